"""Runs a reward_model stage: the policy's body with a scalar head learns which of two answers was preferred.

TRL's RewardTrainer trains it (Bradley-Terry, arXiv 2203.02155, section 3.5). It drops pairs that are too long without a
word: here they are counted, and refused above a fraction. output/ is a folder that `AutoModelForSequenceClassification`
loads with one label. Neighbours: training/kinds/reward_model.py (declares the kind), core/statistics/preference.py
(what is measured).
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from datasets import Dataset
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    set_seed,
)
from trl import RewardConfig, RewardTrainer

from alignment.core.errors import ArtifactError, DataError
from alignment.core.files import write_text
from alignment.core.statistics.intervals import as_text
from alignment.core.statistics.preference import ScoredPair
from alignment.data.chat.template import render_preference
from alignment.data.chat.turns_rendered import TurnsRendered
from alignment.data.mixture import load_parts
from alignment.data.rows import Preference
from alignment.recipe.kinds import Done
from alignment.records.reward_model import RewardModelRecord, record_of
from alignment.training.adapter_config import adapter_config, under_new_head
from alignment.training.callbacks import Recorder
from alignment.training.context import StageContext
from alignment.training.disk_table import disk_table
from alignment.training.held_out import Measurer, measuring_settings
from alignment.training.main import train
from alignment.training.policy import weights_dtype
from alignment.training.sound_rows import sound_pairs

if TYPE_CHECKING:
    from alignment.training.kinds.reward_model import RewardModelStage

HEAD = "score"  # transformers' name of the scalar head
FILE = "reward_model.json"


class PairTrainer(RewardTrainer):
    """RewardTrainer on pairs that are token ids already: chosen_ids and rejected_ids, each with its prompt, and a margin."""

    def _prepare_dataset(self, dataset: Dataset, *_: Any, **__: Any) -> Dataset:
        """The rows as they are. Overrides TRL's, which renders, tokenizes, and drops what is too long."""
        return dataset

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """TRL's, but the model is not handed the margins: TRL passes them on, and not every architecture ignores them."""

        def called(margin: torch.Tensor | None = None, **given: Any) -> Any:
            return model(**given)

        return super().compute_loss(called, inputs, *args, **kwargs)


def train_reward_model(context: StageContext) -> Done:
    """Train, measure the held-out pairs, save, and prove that what was saved is what was trained."""
    done = train(context, build, AutoModelForSequenceClassification, partial(_measure, context))
    if context.is_main:
        write_text(context.folder.output / "README.md", _card(context))
    return done


def build(context: StageContext) -> tuple[PairTrainer, Recorder]:
    """The trainer of a reward_model stage, ready to train. Raises DataError if too few pairs are short enough."""
    stage: RewardModelStage = context.stage
    tokenizer = context.tokenizer()
    rows, measured = sound_pairs(context)
    margins = sum(pair.margin is not None for pair in rows)
    table, held = (
        _table(context, _rendered(tokenizer, pairs, stage.max_length, margins > 0), name, len(pairs))
        for name, pairs in (("rows", rows), ("held-out", measured))
    )
    if table is None or (stage.held_out is not None and held is None):
        raise DataError(
            f"stage {stage.name} has no pairs to {'train on' if table is None else 'hold out'}; give it more"
        )
    context.counts["rows"] = len(table)
    if margins:
        context.counts["margins"] = margins
    recorder = Recorder(context)
    settings = RewardConfig(
        **{
            **context.trainer_settings(),
            **measuring_settings(context),
            "max_length": stage.max_length,
            "center_rewards_coefficient": stage.centre or None,
        }
    )
    model = _model(context)
    adapter = adapter_config(stage.lora, tokenizer, model)
    trainer = PairTrainer(
        model=model,
        args=settings,
        train_dataset=table,
        eval_dataset=held,
        processing_class=tokenizer,
        peft_config=None if adapter is None else under_new_head(adapter, [HEAD], "SEQ_CLS"),
        callbacks=[recorder, *([Measurer(context, len(held))] if held is not None else [])],
    )
    return trainer, recorder


def _model(context: StageContext) -> PreTrainedModel:
    """The policy's body with a new scalar head."""
    set_seed(context.recipe.seed)  # of the head
    trusted = context.recipe.trust_remote_code
    try:
        config = AutoConfig.from_pretrained(context.policy_path, num_labels=1, trust_remote_code=trusted)
        found: PreTrainedModel = AutoModelForSequenceClassification.from_pretrained(
            context.policy_path,
            config=config,
            dtype=weights_dtype(context),
            use_safetensors=True,
            trust_remote_code=trusted,
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise ArtifactError(f"{context.policy_path}: cannot be loaded for sequence classification ({error})") from error
    return found


def _table(context: StageContext, rendered: Iterator[dict[str, Any]], name: str, pairs: int) -> Dataset | None:
    """The pairs that are short enough, of so many, in tokens, on disk. Raises DataError if too many are not."""
    stage: RewardModelStage = context.stage
    table = disk_table(context, name, rendered)
    too_long = pairs - (0 if table is None else len(table))
    if too_long > stage.max_too_long_fraction * pairs:
        raise DataError(
            f"{too_long} of {pairs} pairs ({name}) are longer than max_length {stage.max_length}, more than "
            f"max_too_long_fraction {stage.max_too_long_fraction:g}: the long ones would be missing from what is learned; raise "
            "max_length, or max_too_long_fraction if that is meant"
        )
    context.counts["left_out_too_long"] = context.counts.get("left_out_too_long", 0) + too_long
    return table


def _rendered(
    tokenizer: PreTrainedTokenizerBase, pairs: Sequence[Preference], longest: int, margins: bool
) -> Iterator[dict[str, Any]]:
    """Whole conversations of chosen and rejected as token ids, each with the prompt before it.

    margins: whether any pair has one. Then every row has the column that TRL reads, 0 where nothing is said.
    """
    turns = TurnsRendered(tokenizer)
    for pair in pairs:
        turns.prove_pair(pair)
        found = render_preference(tokenizer, pair)
        if found.longest <= longest:
            yield {
                "chosen_ids": found.prompt_ids + found.chosen_ids,
                "rejected_ids": found.prompt_ids + found.rejected_ids,
                **({"margin": pair.margin or 0.0} if margins else {}),
            }


def _measure(context: StageContext, trainer: PairTrainer) -> None:
    """Write the figures on the held-out pairs, where there are any. Collective."""
    if trainer.eval_dataset is None:
        return
    found = record_of(scored(trainer, trainer.eval_dataset))
    if context.is_main:
        context.folder.evaluations.mkdir(exist_ok=True)
        found.write(context.folder.evaluations / FILE)
        context.counts["pair_accuracy"] = found.accuracy.value
        print(
            f"held-out pairs: {as_text(found.accuracy, 0)} right; length alone {as_text(found.length_alone, 0)}",
            flush=True,
        )


def scored(trainer: PairTrainer, pairs: Dataset) -> list[ScoredPair]:
    """Rewards of all pairs, one at a time, so that no padding is read. Every rank computes them all."""
    model = trainer.model
    training, device = model.training, trainer.accelerator.device

    def reward(ids: list[int]) -> float:
        return float(model(input_ids=torch.tensor([ids], device=device), use_cache=False).logits[0, 0])

    model.eval()
    found = []
    for pair in pairs:
        with torch.no_grad():
            chosen, rejected = reward(pair["chosen_ids"]), reward(pair["rejected_ids"])
        found.append(ScoredPair(chosen, rejected, len(pair["chosen_ids"]), len(pair["rejected_ids"])))
    model.train(training)
    return found


def _card(context: StageContext) -> str:
    stage: RewardModelStage = context.stage
    origin = ", ".join(str(part.stage or part.source) for part in load_parts(stage.data))
    path = context.folder.evaluations / FILE
    found = RewardModelRecord.read(path) if path.exists() else None
    figures = "No pairs were held out, so nothing is known of what it is worth."
    if found is not None:
        figures = (
            f"On {found.pairs} held-out pairs it prefers the chosen answer in {as_text(found.accuracy, 0)}; preferring the longer "
            f"answer would be right in {as_text(found.length_alone, 0)}, and where the chosen one is shorter the model is right "
            f"in {as_text(found.accuracy_if_shorter, 0)}."
        )
    return f"""---
library_name: transformers
pipeline_tag: text-classification
---
# Reward model {context.recipe.name}/{stage.name}

One number for a conversation that ends with an answer: the higher, the better the answer. Only differences between answers
to one prompt mean something: the sigmoid of a difference is the probability that the first is preferred.

- Data: {origin}; {context.counts["rows"]} pairs{", LoRA merged" if stage.lora else ""}.
- {figures}
- Not measured here: other domains, other policies' answers, answers written to please it.

```python
from transformers import AutoModelForSequenceClassification, AutoTokenizer
model = AutoModelForSequenceClassification.from_pretrained(FOLDER)
reward = model(**tokenizer(tokenizer.apply_chat_template(messages, tokenize=False), return_tensors="pt",
                           add_special_tokens=False)).logits[0, 0]
```
"""
