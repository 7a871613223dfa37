"""Log-probs of padded rows, computed on none of their padding: rows lie end to end and attend each to itself alone.

TRL lays prompts (padded on the left) and completions (padded on the right) out to the longest of a step: of ragged rows
half is padding. Here a batch becomes one long row for a model that was loaded with packed attention
(inference/attention/packed.py), and what it says of each token goes back to where the token stood.
"""

from dataclasses import dataclass

import torch
from torch.nn.functional import pad


@dataclass(frozen=True)
class Packed:
    """A batch as one row of its T tokens. rows_T and columns_T say where in the padded batch each of them stands."""

    input_ids_1T: torch.Tensor
    position_ids_1T: torch.Tensor
    bounds: torch.Tensor  # where each row begins, and T at the end, int32
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
