"""metrics.jsonl: one line for each logged step of a stage, and what every metric is.

A metric is declared here once: its name on disk, its sentence, whether higher or lower is better, and its label on the
report's page. Neighbours: training/callbacks.py (writes the lines under these names), report/ (summaries, curves).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from alignment.core.typed_json import INLINE
from alignment.records.file_record import LineRecord


@dataclass(frozen=True)
class MetricsRow(LineRecord):
    """One logged step. A resumed stage drops the lines after the step it resumes from, so that no step is recorded twice."""

    step: Annotated[int, "the optimizer step; of a sample stage the chunk of problems"]
    steps: Annotated[int | None, "how many there will be"] = None
    seconds: Annotated[float | None, "since this attempt's training began"] = None
    figures: Annotated[Mapping[str, float | None], INLINE, "the metrics of the step, each under its own key"] = field(default_factory=dict)  # fmt: skip


@dataclass(frozen=True)
class Metric:
    """What a key of metrics.jsonl means. Fractions are from 0 to 1, times in seconds, entropies in nats."""

    sentence: str
    better: Literal["more", "less"] | None = None
    label: str = ""  # of its curve on the report's page; without one it has none


# In the order of the report's curves.
METRICS: dict[str, Metric] = {
    "loss": Metric("the trainer's loss", "less", "loss"),
    "reward": Metric("mean total reward of the rollouts (grpo)", "more", "reward"),
    "entropy": Metric(
        "mean negative log-prob, in nats, of the tokens drawn in all rollouts; at temperature 1 an estimate of the policy's "
        "entropy (grpo)", None, "entropy",
    ),
    "reverse_kl": Metric("reverse KL: how far the student's next-token distribution is from the teacher's, weighed by what the student would write, on its own completions, in nats per token (distill)", "less", "KL to the teacher"),
    "forward_kl": Metric("forward KL: the same, weighed by what the teacher would write, in nats per token (distill)", "less", "KL from the teacher"),
    "student_entropy": Metric("mean entropy of the student's next token on the same tokens, in nats (distill)", None, "student's entropy"),
    "teacher_entropy": Metric("mean entropy of the teacher's next token on the same tokens, in nats (distill)", None, "teacher's entropy"),
    "completion_tokens": Metric("mean length of a completion (grpo, distill)", None, "completion tokens"),
    "thinking_tokens": Metric("mean length of the thinking, in thinking mode (grpo)", None, "thinking tokens"),
    "answer_tokens": Metric("mean tokens of what the policy wrote without its thinking (grpo)", None, "answer tokens"),
    "distinct_bigrams": Metric(
        "distinct fraction of at most 500 word bigrams drawn from the step's answers, which does not depend on their length; mean "
        "over processes (grpo)", None, "distinct bigrams",
    ),
    "zero_variance_groups": Metric("fraction of groups whose completions all have the same reward (grpo)", None, "zero-variance groups"),
    "sampled_pass_rate": Metric(
        "fraction of the completions with every verifier's full score, of all groups that were sampled for the step, replaced ones "
        "too (grpo with dynamic_sampling or order reward_variance)", None, "pass rate of sampled groups",
    ),
    "new_problems": Metric("fraction of the sampled problems that no earlier step had asked for (grpo with order reward_variance)", None, "new problems"),
    "truncated_fraction": Metric("fraction of completions cut off at the token limit (grpo)", None, "truncated fraction"),
    "logprob_gap": Metric("mean distance between the trainer's and the engine's log-probs, in nats (grpo)", None, "log-prob gap"),
    "learning_rate": Metric("learning rate", None, "learning rate"),
    "tokens_per_second": Metric("tokens trained on since the line before, per second", "more", "tokens / second"),
    "token_accuracy": Metric("fraction of trained tokens that are the likeliest (sft)", "more", "token accuracy"),
    "held_out_loss": Metric("mean loss of a token (sft) or a pair (dpo) of the held-out rows, on a line of its own", "less", "held-out loss"),
    "held_out_preference_accuracy": Metric("fraction of held-out pairs whose chosen answer has the greater implicit reward (dpo)", "more", "held-out preference accuracy"),
    "tokens": Metric("tokens trained on so far, over all attempts"),
    "gradient_norm": Metric("norm of the gradient before clipping"),
    "not_finite": Metric("how many of loss and gradient norm were NaN or infinite; those are null"),
    "kl": Metric("estimated KL divergence from the reference policy, in nats per token (grpo with beta)"),
    "reward_std": Metric("standard deviation of the rewards within a group, mean over groups (grpo)"),
    "unknown_fraction": Metric("fraction of completions whose total reward could not be reached (grpo)"),
    "environment_fault_fraction": Metric("fraction of rollouts whose environment failed, which nobody judges; only where some did (grpo)", "less"),
    "replaced_groups": Metric("groups without variance that were replaced by fresh problems (grpo)"),
    "sampled_groups": Metric("groups that were sampled for the step, replaced ones too (grpo with dynamic_sampling)"),
    "sampled_zero_variance": Metric("fraction of them whose completions all have the same reward (grpo with dynamic_sampling)"),
    "staleness": Metric("age in steps of the weights that sampled a token, mean over tokens (grpo with max_staleness)"),
    "interrupted_fraction": Metric("fraction of completions that went on over a change of weights (grpo with max_staleness)"),
    "stale_rows": Metric("completions that were dropped because their weights were older than max_staleness, or because the step did not ask for them (grpo)"),
    "merge_changed_fraction": Metric("of the weights that an adapter changes, the fraction that is still changed after a merge in the engine's coarser type (grpo)", "more"),
    "seconds_weights": Metric("time to hand the weights to the engine (grpo)"),
    "seconds_rollout": Metric("time to sample the completions (grpo)"),
    "seconds_verdicts": Metric("time to judge them beyond what sampling hides (grpo)"),
    "judge_asked": Metric("questions that judges were asked in the step, retries with a reply included (grpo)"),
    "judge_cached": Metric("questions that needed not be asked, since their judgement was kept (grpo)"),
    "judge_tokens": Metric("tokens of the step's questions to judges and their replies (grpo)"),
    "judge_cost": Metric("cost of these tokens, in the unit of the prices in the recipe (grpo)"),
    "reward_chosen": Metric("implicit reward of the chosen answers (dpo)"),
    "reward_rejected": Metric("implicit reward of the rejected answers (dpo)"),
    "preference_accuracy": Metric("fraction of pairs whose chosen answer has the greater implicit reward (dpo), or reward (reward_model)", "more"),
    "reward_margin": Metric("mean difference of the two implicit rewards (dpo), or of the two rewards (reward_model)", "more"),
    "mean_reward": Metric("mean reward of chosen and rejected answers (reward_model)"),
    "process_score": Metric("mean aggregated process score of the rollouts (grpo with `process`)", "more", "process score"),
    "right_fraction": Metric("fraction of the rollouts with every verifier's full score (grpo with `process`)", "more", "right fraction"),
    "steps_per_answer": Metric("mean number of steps of a rollout (grpo with `process`)", None, "steps per answer"),
    "tokens_per_step": Metric("mean tokens of a step (grpo with `process`)", None, "tokens per step"),
    "step_accuracy": Metric("fraction of labelled steps told apart rightly (prm)", "more", "step accuracy"),
    "labels": Metric("steps of the chunk that got a label (step_labels)"),
    "label_tokens": Metric("tokens sampled for the chunk's labels (step_labels)"),
    "accepted_fraction": Metric("fraction of the chunk's completions that were accepted (sample)"),
}  # fmt: skip
VERDICT_MEAN = Metric("mean score of a verifier or scorer over the completions it could judge (grpo)", "more")
VERDICT_UNKNOWN = Metric("fraction of completions that a verifier could not judge (grpo)", "less")
VERDICT_UNKNOWN_FOR = Metric(
    "fraction of completions that a verifier could not judge for this reason; only where some were (grpo)", "less"
)

# Of each task, where a stage has several.
TASK_METRICS: dict[str, Metric] = {
    "groups_fraction": Metric("fraction of the step's groups that are the task's (grpo)"),
    "reward": Metric("mean total reward of the task's rollouts (grpo)", "more"),
    "pass_rate": Metric("fraction of the task's rollouts with every verifier's full score (grpo)", "more"),
}


def metric(name: str) -> Metric:
    """The declaration of a metric.

    Every verifier has `reward/NAME/mean`, `reward/NAME/unknown_fraction` and `reward/NAME/unknown/REASON`, every task `task/NAME/` and a key of TASK_METRICS.
    """
    if name.startswith("task/"):
        return TASK_METRICS.get(name.rpartition("/")[2], Metric("not declared"))
    if name.startswith("reward/"):
        by_reason = VERDICT_UNKNOWN_FOR if "/unknown/" in name else VERDICT_UNKNOWN
        return VERDICT_MEAN if name.endswith("/mean") else by_reason
    return METRICS.get(name, Metric("not declared"))
