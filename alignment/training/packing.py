"""Log-probs of padded rows, computed on none of their padding: rows lie end to end and attend each to itself alone.

TRL lays prompts (padded on the left) and completions (padded on the right) out to the longest of a step: of ragged rows
half is padding. Here a batch becomes one long row for a model that was loaded with packed attention
(inference/attention/packed.py), and what it says of each token goes back to where the token stood. A model whose rows
would mix (packing_check.py) gets them padded on the right, where nothing that comes before sees the padding. On a CPU
neighbouring rows of one group share their prompt, which is computed once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch.nn.functional import pad

from alignment.inference.attention import packed


class Layout(Protocol):
    """A batch as a model takes it, and the way back: Packed or Aligned."""

    def model_inputs(self) -> dict[str, torch.Tensor]:
        """Keyword arguments for a model's forward pass."""
        ...

    def labels(self, first_column: int) -> torch.Tensor:
        """The tokens from a column of the padded batch on, and -100 elsewhere, in the shape of the model's input."""
        ...

    def laid_out(self, values_BL: torch.Tensor) -> torch.Tensor:
        """Values of the padded batch's tokens in the shape of the model's input, zero for padding."""
        ...

    def padded(self, next_token_values: torch.Tensor) -> torch.Tensor:
        """What the model says of each next token, (rows, length - 1), where the token stands in the padded batch."""
        ...


# (token ids, mask, first column of the completions) of a padded batch, as a model is to take it.
LayOut = Callable[[torch.Tensor, torch.Tensor, int], Layout]


@dataclass(frozen=True)
class Packed:
    """A batch as one row of its T tokens. rows_T and columns_T say where in the padded batch each of them stands."""

    input_ids_1T: torch.Tensor
    position_ids_1T: torch.Tensor
    bounds: torch.Tensor  # where each row begins, and T at the end, int32; a second row has what each row continues
    rows_T: torch.Tensor
    columns_T: torch.Tensor
    padded_shape: torch.Size

    def model_inputs(self) -> dict[str, torch.Tensor]:
        """Keyword arguments for a model's forward pass; there is no attention mask, since nothing is masked."""
        return {
            "input_ids": self.input_ids_1T,
            "position_ids": self.position_ids_1T,
            "cu_seq_lens_q": self.bounds,
        }

    def labels(self, first_column: int) -> torch.Tensor:
        """The tokens from a column on, (1, T), and -100 for those before it and for the first of each row."""
        unscored_T = (self.columns_T < first_column) | (self.position_ids_1T[0] == 0)
        return self.input_ids_1T.masked_fill(unscored_T, -100)

    def laid_out(self, values_BL: torch.Tensor) -> torch.Tensor:
        """Values of the padded batch's tokens, (1, T)."""
        return values_BL[self.rows_T, self.columns_T][None]

    def padded(self, next_token_values: torch.Tensor) -> torch.Tensor:
        """Values of the next token, (1, T - 1), as values of the token itself in the padded batch, zero elsewhere."""
        values_T = pad(next_token_values[0], (1, 0))
        return values_T.new_zeros(self.padded_shape).index_put((self.rows_T, self.columns_T), values_T)


def pack(ids_BL: torch.Tensor, mask_BL: torch.Tensor) -> Packed:
    """Lay the rows of a padded batch end to end. mask_BL is 1 for what is no padding; every row has some."""
    rows_T, columns_T = mask_BL.nonzero(as_tuple=True)
    positions_BL = mask_BL.long().cumsum(dim=1) - 1
    return Packed(
        input_ids_1T=ids_BL[rows_T, columns_T][None],
        position_ids_1T=positions_BL[rows_T, columns_T][None],
        bounds=pad(mask_BL.sum(dim=1).cumsum(dim=0), (1, 0)).to(torch.int32),
        rows_T=rows_T,
        columns_T=columns_T,
        padded_shape=ids_BL.shape,
    )


def row_inputs(model: torch.nn.Module, ids_1T: torch.Tensor) -> dict[str, torch.Tensor]:
    """One row without padding, as a model with packed attention or with any other takes it."""
    if model.config._attn_implementation in (packed.NAME, packed.SHARED):  # type: ignore[union-attr]  # noqa: SLF001  no public reader
        return pack(ids_1T, torch.ones_like(ids_1T)).model_inputs()
    return {"input_ids": ids_1T}


class _Piece(NamedTuple):
    """Tokens of one row that lie together: their columns in the padded batch, and the piece that they continue, or -1."""

    row: int
    columns: torch.Tensor
    continues: int


def pack_prompts_once(ids_BL: torch.Tensor, mask_BL: torch.Tensor, first_column: int) -> Packed:
    """`pack`, in which neighbouring rows with one prompt have it once, before them. first_column: of the completions.

    A row begins with its prompt's last token, whose next one is its own, and continues the tokens before that. Values of
    a prompt's other tokens lie in the first of its rows alone.
    """
    pieces: list[_Piece] = []
    prompt_BP = torch.where(mask_BL[:, :first_column] > 0, ids_BL[:, :first_column], -1)
    prefix = -1
    for row in range(len(ids_BL)):
        columns_R = mask_BL[row].nonzero()[:, 0]
        begins = max(0, int((columns_R < first_column).sum()) - 1)
        if begins == 0:
            prefix = -1
        elif row == 0 or not torch.equal(prompt_BP[row], prompt_BP[row - 1]):
            prefix = len(pieces)
            pieces.append(_Piece(row, columns_R[:begins], -1))
        pieces.append(_Piece(row, columns_R[begins:], prefix))
    lengths = torch.tensor([len(one.columns) for one in pieces], device=ids_BL.device)
    rows_T = torch.tensor([one.row for one in pieces], device=ids_BL.device).repeat_interleave(lengths)
    columns_T = torch.cat([one.columns for one in pieces])
    continued = torch.tensor([*(one.continues for one in pieces), -1], device=ids_BL.device)
    return Packed(
        input_ids_1T=ids_BL[rows_T, columns_T][None],
        position_ids_1T=(mask_BL.long().cumsum(dim=1) - 1)[rows_T, columns_T][None],
        bounds=torch.stack([pad(lengths.cumsum(dim=0), (1, 0)), continued]).to(torch.int32),
        rows_T=rows_T,
        columns_T=columns_T,
        padded_shape=ids_BL.shape,
    )


@dataclass(frozen=True)
class Aligned:
    """A batch whose rows all begin in the first column. rows_T, columns_T: where each token stands in the padded batch."""

    input_ids_BA: torch.Tensor
    mask_BA: torch.Tensor
    positions_T: torch.Tensor  # the column of each token here
    rows_T: torch.Tensor
    columns_T: torch.Tensor
    padded_shape: torch.Size

    def model_inputs(self) -> dict[str, torch.Tensor]:
        """Keyword arguments for a model's forward pass."""
        return {"input_ids": self.input_ids_BA, "attention_mask": self.mask_BA}

    def labels(self, first_column: int) -> torch.Tensor:
        """The tokens from a column on, (B, A), and -100 for those before it, for the first of each row and for padding."""
        scored_T = (self.columns_T >= first_column) & (self.positions_T > 0)
        labels_BA = torch.full_like(self.input_ids_BA, -100)
        tokens_T = self.input_ids_BA[self.rows_T, self.positions_T]
        return labels_BA.index_put((self.rows_T, self.positions_T), tokens_T.masked_fill(~scored_T, -100))

    def laid_out(self, values_BL: torch.Tensor) -> torch.Tensor:
        """Values of the padded batch's tokens, (B, A), zero for padding."""
        empty_BA = values_BL.new_zeros(self.input_ids_BA.shape)
        return empty_BA.index_put((self.rows_T, self.positions_T), values_BL[self.rows_T, self.columns_T])

    def padded(self, next_token_values: torch.Tensor) -> torch.Tensor:
        """Values of the next token, (B, A - 1), as values of the token itself in the padded batch, zero elsewhere."""
        values_T = pad(next_token_values, (1, 0))[self.rows_T, self.positions_T]
        return values_T.new_zeros(self.padded_shape).index_put((self.rows_T, self.columns_T), values_T)


def align(ids_BL: torch.Tensor, mask_BL: torch.Tensor) -> Aligned:
    """Move the rows of a padded batch to its first column, with padding after them. mask_BL as in `pack`."""
    rows_T, columns_T = mask_BL.nonzero(as_tuple=True)
    positions_T = (mask_BL.long().cumsum(dim=1) - 1)[rows_T, columns_T]
    shape = (len(ids_BL), int(mask_BL.sum(dim=1).max()))
    ids_BA, mask_BA = ids_BL.new_zeros(shape), mask_BL.new_zeros(shape)
    ids_BA[rows_T, positions_T] = ids_BL[rows_T, columns_T]
    mask_BA[rows_T, positions_T] = 1
    return Aligned(ids_BA, mask_BA, positions_T, rows_T, columns_T, ids_BL.shape)


def end_to_end(ids_BL: torch.Tensor, mask_BL: torch.Tensor, _first_column: int) -> Packed:
    """`pack`: on a GPU, where one kernel takes all rows, each has its prompt."""
    return pack(ids_BL, mask_BL)


def padded_right(ids_BL: torch.Tensor, mask_BL: torch.Tensor, _first_column: int) -> Aligned:
    """`align`: for models whose rows would mix."""
    return align(ids_BL, mask_BL)
