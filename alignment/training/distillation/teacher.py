"""The teacher of a distill stage: found, compared with the student's vocabulary, and loaded beside it.

Under ZeRO-3 it is loaded in shards, as the student is; else each process has a whole copy. Neighbours: trainer.py (asks
it), checks/model/teacher.py (compares folders before anything starts), ../packing_check.py (packed rows).
"""

from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoConfig, AutoTokenizer, PreTrainedModel

from alignment.core.errors import ArtifactError, RecipeError
from alignment.inference.adapters import load_whole
from alignment.inference.attention import packed
from alignment.inference.precision import scoring_dtype
from alignment.inference.top_logprobs import TopLogprobsServer
from alignment.recipe.blocks.teacher import other_tokens
from alignment.training.context import StageContext
from alignment.training.distillation.served import ServedTeacher
from alignment.training.packing_check import mixed_rows, on_device, packed_policy, report_padding, unpackable
from alignment.training.policy import load_policy


@dataclass(frozen=True)
class Pair:
    """A student that trains and its frozen teacher, here or behind a server. packs: rows lie end to end in both."""

    student: torch.nn.Module
    teacher: PreTrainedModel | None
    packs: bool
    served: ServedTeacher | None = None


def load_pair(context: StageContext) -> Pair:
    """Student and teacher, both for packed rows if each of them can be packed; the log says why not.

    Raises RecipeError if their vocabularies differ, ArtifactError if one cannot be loaded.
    """
    refuse_other_vocabulary(context)
    if (server := context.stage.teacher.server) is not None:
        student, packs = packed_policy(context)
        return Pair(student, None, packs, ServedTeacher(TopLogprobsServer(server, context.stage.teacher.model)))
    teacher, why_not = _teacher(context)
    if why_not is None:
        student, packs = packed_policy(context)
        return Pair(student, teacher if packs else _load(context), packs)
    report_padding(context, f"of the teacher: {why_not}")
    return Pair(load_policy(context), teacher, packs=False)


def refuse_other_vocabulary(context: StageContext) -> None:
    """Raise RecipeError unless every token has the same id in both, and both give logits for as many.

    Of a teacher behind a server the tokenizer alone is compared: rows of its embedding that no token has are never listed.
    """
    path, options = context.teacher_path(), _options(context)
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, **options)
        config = None if context.stage.teacher.server is not None else AutoConfig.from_pretrained(path, **options)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: the teacher's tokenizer and config cannot be read ({error})") from error
    own = AutoConfig.from_pretrained(context.policy_path, trust_remote_code=context.recipe.trust_remote_code)
    size = own.get_text_config().vocab_size
    sizes = (size, size if config is None else config.get_text_config().vocab_size)
    found = other_tokens(context.tokenizer().get_vocab(), tokenizer.get_vocab(), sizes)
    if found is not None:
        raise RecipeError(f"stage {context.stage.name}: {path} cannot teach {context.policy_path}: {found}")


def _teacher(context: StageContext) -> tuple[PreTrainedModel, str | None]:
    """The teacher, with packed attention if its rows can be packed, and else why not."""
    if (why_not := unpackable(context, context.teacher_path())) is None:
        model = on_device(_load(context, packed.register()))
        if (why_not := mixed_rows(model)) is None:
            return model, None
    return _load(context), why_not


def _load(context: StageContext, attention: str | None = None) -> PreTrainedModel:
    """The teacher in bfloat16 on a GPU, else float32; frozen and in inference mode."""
    path = context.teacher_path()
    try:
        model = load_whole(path, dtype=scoring_dtype(), attn_implementation=attention, **_options(context))
    except (OSError, RuntimeError, ValueError) as error:
        raise ArtifactError(f"{path}: the teacher cannot be loaded ({error})") from error
    return model.eval().requires_grad_(False)


def _options(context: StageContext) -> dict[str, Any]:
    """What `from_pretrained` needs to find the teacher's files."""
    revision = context.stage.teacher.revision
    return {
        "trust_remote_code": context.recipe.trust_remote_code,
        **({} if revision is None else {"revision": revision}),
    }
