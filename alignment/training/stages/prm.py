"""Runs a prm stage: a policy with a two-class head learns to score the steps of solutions.

output/ is a folder that `AutoModelForTokenClassification` loads, and vLLM with `runner="pooling"`. Its config says what
the step token is and how solutions are split. Neighbours: training/kinds/prm.py (declares the kind),
training/process_trainer.py (loss).
"""

import math
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from datasets import Dataset
from peft import get_peft_model
from tokenizers import AddedToken
from transformers import (
    AutoConfig,
    AutoModelForTokenClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    TrainingArguments,
    set_seed,
)

from alignment.core.errors import ArtifactError, DataError
from alignment.core.files import write_text
from alignment.data.mixture import load_parts
from alignment.data.rows import WRONG_BELOW, Stepwise
from alignment.data.sources.rows import LeftOut
from alignment.data.steps.definition import faults_of
from alignment.data.steps.mixture import steps_of
from alignment.data.steps.template import render_steps, step_token_id
from alignment.inference.attention import packed
from alignment.inference.weights.gathered import gathered
from alignment.recipe.kinds import Done
from alignment.training.adapter_config import adapter_config, under_new_head
from alignment.training.callbacks import Recorder
from alignment.training.context import StageContext
from alignment.training.expansion import grow
from alignment.training.main import train
from alignment.training.packing_check import mixed_rows, report_padding, unpackable
from alignment.training.process_trainer import HEADS, ProcessModelTrainer, Rates, collate

if TYPE_CHECKING:
    from alignment.training.kinds.prm import PrmStage

LABELS = {0: "wrong", 1: "right"}


def train_process_model(context: StageContext) -> Done:
    """Train and save, and prove that what was saved is what was trained."""
    done = train(context, build, AutoModelForTokenClassification)
    if context.is_main:
        write_text(context.folder.output / "README.md", _card(context))
    return done


def build(context: StageContext) -> tuple[ProcessModelTrainer, Recorder]:
    """The trainer of a prm stage, ready to train. Raises DataError without rows that have labels and are short enough."""
    stage: PrmStage = context.stage
    tokenizer = context.tokenizer()
    is_new = stage.step_token not in tokenizer.get_vocab()
    if is_new:
        tokenizer.add_tokens([AddedToken(stage.step_token, special=True)], special_tokens=True)
    left_out: list[LeftOut] = []
    rows = steps_of(context.recipe, load_parts(stage.data), context.artifact, left_out)
    context.leave_out(left_out)
    data = _rendered(context, tokenizer, rows)
    settings = _arguments(
        {
            **context.trainer_settings(),
            "lr_scheduler_type": "constant",
            "label_names": ["targets"],
            "ddp_find_unused_parameters": True,  # the head is trained alone at first
        }
    )
    recorder = Recorder(context)
    pad_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    model = _model(context, tokenizer, token_is_new=is_new)
    class_weights = _class_weights(context, data)
    grown: dict[str, Any] = {}
    if stage.expand is not None:
        model, grown = grow(context, tokenizer, model, data, class_weights)
    trainer = ProcessModelTrainer(
        rates=Rates(
            head=stage.head_learning_rate,
            all=settings.learning_rate,
            head_fraction=stage.head_fraction,
            rest=1.0 if stage.expand is None else stage.expand.policy_rate,
            warmup=int(settings.warmup_steps),
        ),
        class_weights=class_weights,
        **grown,
        model=model,
        args=settings,
        train_dataset=Dataset.from_list(data),
        processing_class=tokenizer,
        data_collator=lambda found: collate(found, pad_id),
        callbacks=[recorder],
    )
    return trainer, recorder


def _arguments(settings: dict[str, Any]) -> TrainingArguments:
    """The settings that transformers' Trainer knows; TRL's configs have further ones."""
    known = {field.name for field in fields(TrainingArguments)}
    return TrainingArguments(**{name: value for name, value in settings.items() if name in known})


def _model(context: StageContext, tokenizer: PreTrainedTokenizerBase, *, token_is_new: bool) -> torch.nn.Module:
    """The policy's body with a new head; rows are packed where that computes what rows alone compute."""
    stage: PrmStage = context.stage
    why_not = unpackable(context)
    model = _loaded(context, tokenizer, packed.register() if why_not is None else None)
    if why_not is None and (why_not := mixed_rows(model)) is not None:
        model = _loaded(context, tokenizer, None)
    if why_not is not None:
        report_padding(context, why_not)
    if token_is_new:
        _begin_as_line_break(model, tokenizer)
    adapter = adapter_config(stage.lora, tokenizer, model)
    if adapter is None:
        return model
    heads = [name for name in HEADS if hasattr(model, name)]
    adapted: torch.nn.Module = get_peft_model(model, under_new_head(adapter, heads, None))
    return adapted


def _begin_as_line_break(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Give the new step token the embedding of the line break in whose place it stands: the frozen body has seen no other."""
    breaks = tokenizer("\n", add_special_tokens=False)["input_ids"]
    embedding = model.get_input_embeddings()
    with gathered([(embedding, "weight")], changed_on=0), torch.no_grad():
        embedding.weight[model.config.step_token_id] = embedding.weight[breaks].mean(dim=0)


def _loaded(context: StageContext, tokenizer: PreTrainedTokenizerBase, attention: str | None) -> PreTrainedModel:
    stage: PrmStage = context.stage
    chosen = stage.weights_dtype
    dtype = torch.float32 if chosen == "auto" else getattr(torch, chosen)
    set_seed(context.recipe.seed)  # of the new head
    try:
        config = AutoConfig.from_pretrained(
            context.policy_path,
            num_labels=len(LABELS),
            id2label=LABELS,
            label2id={name: number for number, name in LABELS.items()},
            trust_remote_code=context.recipe.trust_remote_code,
        )
        config.classifier_dropout = 0.0
        model = AutoModelForTokenClassification.from_pretrained(
            context.policy_path,
            config=config,
            dtype=dtype,
            attn_implementation=attention,
            use_safetensors=True,
            trust_remote_code=context.recipe.trust_remote_code,
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise ArtifactError(f"{context.policy_path}: cannot be loaded for token classification ({error})") from error
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(len(tokenizer))
    model.config.step_token = stage.step_token
    model.config.step_token_id = step_token_id(tokenizer, stage.step_token)
    model.config.step_split = {"by": stage.steps.by, "marker": stage.steps.marker}
    return model


def _rendered(
    context: StageContext, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Stepwise]
) -> list[dict[str, Any]]:
    """Token ids and targets of each row; labels after the first wrong step are left out."""
    stage: PrmStage = context.stage
    step_id, found, too_long, right, wrong, odd = step_token_id(tokenizer, stage.step_token), [], 0, 0, 0, 0
    solutions = [one.until_first_error() for one in rows]
    for row, rendered in zip(solutions, render_steps(tokenizer, solutions, step_id), strict=True):
        if len(rendered.input_ids) > stage.max_length:
            too_long += 1
            continue
        targets = [math.nan] * len(rendered.input_ids)
        for position, label in zip(rendered.positions, row.labels, strict=True):
            if label is not None:
                targets[position] = float(label >= WRONG_BELOW) if stage.labels == "hard" else label
        known = [one for one in targets if not math.isnan(one)]
        right += sum(one >= WRONG_BELOW for one in known)
        wrong += sum(one < WRONG_BELOW for one in known)
        odd += bool(faults_of(row.steps))
        if known:
            found.append({"input_ids": rendered.input_ids, "targets": targets, "begins": rendered.begins})
    context.counts.update(
        rows=len(found), left_out_too_long=too_long, left_out_unlabelled=len(rows) - too_long - len(found),
        right_steps=right, wrong_steps=wrong, rows_with_odd_steps=odd,
    )  # fmt: skip
    if not right or not wrong:
        raise DataError(
            f"stage {stage.name} has {right} right and {wrong} wrong steps in {len(rows)} solutions ({too_long} are longer than "
            f"max_length {stage.max_length}); it needs both, so label solutions that are wrong in part"
        )
    return found


def _class_weights(context: StageContext, rows: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """Weights of wrong and right steps."""
    if context.stage.class_weights == "none":
        return 1.0, 1.0
    wrong, right = context.counts["wrong_steps"], context.counts["right_steps"]
    return (wrong + right) / (2 * wrong), (wrong + right) / (2 * right)


def _expansion(stage: "PrmStage") -> str:
    if stage.expand is None:
        return ""
    return f", {stage.expand.layers} layers on top and {stage.expand.token_width} more numbers in each hidden state"


def _card(context: StageContext) -> str:
    stage: PrmStage = context.stage
    counts, parts = context.counts, load_parts(stage.data)
    origin = ", ".join(str(part.stage or part.source) for part in parts)
    return f"""---
library_name: transformers
pipeline_tag: token-classification
---
# Process reward model {context.recipe.name}/{stage.name}

Scores each step of a solution: softmax of two logits (wrong, right) at the token `{stage.step_token}` after the step.

- Body: the policy of `{Path(context.policy_path).parent.name if Path(context.policy_path).exists() else context.policy_path}`,
  with a new linear head{", LoRA merged" if stage.lora else ""}{_expansion(stage)}.
- Data: {origin}; {counts["rows"]} solutions, {counts["right_steps"]} right and {counts["wrong_steps"]} wrong steps,
  {stage.labels} labels.
- Steps are split by {stage.steps.by.replace("_", " ")}. Labels after the first wrong step were left out.
- Not measured here: whether it scores other domains, other policies' solutions, or solutions written to please it.
  `alignment processbench` measures it, and `alignment export RUN --stage {stage.name}` then writes a card with its figures.

```python
from transformers import AutoModelForTokenClassification, AutoTokenizer
model = AutoModelForTokenClassification.from_pretrained(FOLDER)
# vLLM: LLM(FOLDER, runner="pooling", pooler_config=PoolerConfig(tok_pooling_type="STEP",
#           step_tag_id=model.config.step_token_id)).encode(prompts, pooling_task="token_classify")
```
"""
