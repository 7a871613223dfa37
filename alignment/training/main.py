"""Trains a stage to its end: from its last whole checkpoint, through every step that the recipe asks for, to output/.

Every kind that leaves a policy hands its trainer in here. Neighbours: context.py (where a stage reads and writes),
policy.py (what is left), stages/ (the trainers).
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import AutoModelForCausalLM, PreTrainedTokenizerBase

from alignment.core.errors import ArtifactError
from alignment.data.chat.turn_end import end_ids, turn_end_id
from alignment.inference.lora_linear import fuse_adapters
from alignment.inference.ranks import Ranks
from alignment.recipe.kinds import Done
from alignment.records.attempt import record_resumption
from alignment.training.callbacks import EpochOrder, Recorder
from alignment.training.context import StageContext, step_of
from alignment.training.load_balance import balanced_steps
from alignment.training.policy import complete_head, save_policy, without_adapter
from alignment.training.saved import probe_logits, refuse_another_policy, rounded_to
from alignment.training.sharded import SumsOverGloo

Build = Callable[[StageContext], tuple[Any, Recorder]]  # a trainer of TRL that is ready to train, and its recorder


def train(
    context: StageContext,
    build: Build,
    loads: Any = AutoModelForCausalLM,
    measure: Callable[[Any], None] | None = None,
) -> Done:
    """Train from the last whole checkpoint and save the policy. Raises ArtifactError if steps are missing in the end, or if
    what was saved is not what was trained. loads: the class of transformers that loads what is saved. measure: is called
    with the trainer, on every rank, after the last step."""
    # Where trackers write unless the user says otherwise; TensorBoard's own choice is among the checkpoints, which are cleared.
    os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(context.folder.tensorboard))
    os.environ.setdefault("WANDB_PROJECT", context.recipe.name)
    trainer, recorder = build(context)
    complete(trainer)
    checkpoint = last_checkpoint(context)
    if context.is_main:
        resumed_from = step_of(Path(checkpoint)) if checkpoint else 0
        record_resumption(context.folder, resumed_from)
        context.drop_lines_after(resumed_from)
    with context.at_end:
        trainer.train(resume_from_checkpoint=checkpoint)
    done, wanted = trainer.state.global_step, trainer.state.max_steps
    if done < 1 or done < wanted:
        raise ArtifactError(
            f"stage {context.stage.name} took {done} of {wanted} optimizer steps: it has trained less than the recipe "
            "says and is not finished. Look at the rows it was given, and at max_steps and num_train_epochs"
        )
    if measure is not None:
        measure(trainer)
    save_proven(context, trainer, loads)
    return Done(done, recorder.tokens)


def last_checkpoint(context: StageContext) -> str | None:
    """The last whole checkpoint, as the first rank finds it: a shared file system may show it to others later. Collective."""
    found: str = Ranks().from_first(lambda: str(context.last_checkpoint() or ""))
    return found or None


def complete(trainer: Any) -> None:
    """Give a trainer what every kind's needs, before it trains."""
    trainer.add_callback(EpochOrder())
    trainer.add_callback(SumsOverGloo())
    if (balanced := balanced_steps(without_adapter(trainer.model))) is not None:
        trainer.add_callback(balanced)
    complete_head(trainer.model)
    fuse_adapters(trainer.model)


def end_at_turns(model: Any, tokenizer: PreTrainedTokenizerBase) -> None:
    """List in the model's generation_config every token that ends a turn or a text.

    Then plain transformers and vLLM stop where this project's engines do, whatever the tokenizer's eos token is.
    """
    own, config = [turn_end_id(tokenizer), tokenizer.eos_token_id], getattr(model, "generation_config", None)
    if config is not None:  # a process reward model has none: it writes nothing
        config.eos_token_id = end_ids(own, config.eos_token_id)


def save_proven(context: StageContext, trainer: Any, loads: Any = AutoModelForCausalLM) -> None:
    """Write output/ and prove that it is what was trained. Collective. Raises ArtifactError if it is not."""
    logits = probe_logits(trainer)
    if not bool(logits.isfinite().all()):
        raise ArtifactError(
            f"stage {context.stage.name}: the trained policy computes NaN or infinity, so there is nothing to keep; "
            f"{context.folder.metrics} shows since which step. Write a smaller learning_rate, or max_grad_norm"
        )
    end_at_turns(trainer.accelerator.unwrap_model(trainer.model), trainer.processing_class)
    save_policy(context, trainer, context.folder.output)
    if context.is_main:
        trusted = context.recipe.trust_remote_code
        rounded = rounded_to(trainer)
        refuse_another_policy(context.folder.output, logits, loads, trust_remote_code=trusted, rounded=rounded)
    trainer.accelerator.wait_for_everyone()
