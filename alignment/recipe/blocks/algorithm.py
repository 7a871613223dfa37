"""`algorithm` of a grpo stage: the advantages, the loss per token, and how tokens are averaged.

One class is one vetted preset; its defaults are its paper's settings. `algorithm: dapo` is short for its defaults, and
`algorithm: {type: dapo, clip_high: 0.25}` changes one of them. Neighbours: training/rl/advantages.py and
training/rl/losses.py (the formulas), recipe/own/function.py (functions of your own), docs/rl.md (when to use which).
"""

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field

from alignment.recipe.closed import Closed
from alignment.recipe.own.function import NAMED_FUNCTION
from alignment.recipe.trainer_keys import MOVING_REFERENCE

ADVANTAGES = ("group_normalised", "group_centred", "leave_one_out")
PROCESS_ADVANTAGES = ("papo", "pure", "grpo_process", "vine")  # which also read the scores of steps
Average = Literal["tokens", "sequences", "constant", "sequence_sums"]
_ADVANTAGES = "Advantages of completions: group_normalised, group_centred, leave_one_out, or `module:function`."
_AVERAGE = (
    "What the loss is averaged over: all tokens of a step, tokens then sequences, sequences x max_completion_tokens, "
    "or sequences alone (sums of tokens)."
)
_CLIP_LOW = "The ratio of new to old probability is clipped below 1 minus this."
_CLIP_HIGH = "The ratio of new to old probability is clipped above 1 plus this."
_BETA = "Weight of the KL divergence from the policy at the stage's start; 0 needs no reference model in memory."
_ONE_OF_OURS = rf"^({'|'.join((*ADVANTAGES, *PROCESS_ADVANTAGES))}|{NAMED_FUNCTION})$"
_STEP_CREDIT = "Advantages of tokens from rewards and the scores of steps."


class AlgorithmFields(Closed):
    """The fields of every algorithm."""

    type: str = Field(description="The preset, by its paper's name; written alone, it stands for all its defaults.")
    advantages: str = Field("group_normalised", pattern=_ONE_OF_OURS, description=_ADVANTAGES)
    aggregation: Literal["sum_then_normalise", "normalise_then_sum"] = Field(
        "sum_then_normalise",
        description="sum_then_normalise: advantages of the weighted sum of rewards; normalise_then_sum: each reward is normalised "
        "within its group before they are added up by weight (GDPO, arXiv 2601.05242), so that all have one scale.",
    )
    average: Average = Field("tokens", description=_AVERAGE)
    beta: float = Field(0.0, ge=0, description=_BETA)
    loss: str | None = Field(
        None,
        pattern=f"^{NAMED_FUNCTION}$",
        description="A per-token loss of your own as `module:function`; default: the algorithm's.",
    )
    iterations: int = Field(
        1, ge=1, description="Optimizer steps on the same rollouts; the first never clips, for its ratio is 1."
    )
    entropy_bonus: float = Field(
        0.0, ge=0, description="Weight of the mean entropy of the next token, which is added to the objective."
    )
    importance_cap: float | None = Field(
        None,
        gt=0,
        description="Multiply each token's loss by min(trainer's / engine's probability, this); default: by 1.",
    )
    mask_truncated: bool = Field(
        False, description="Completions cut off at max_completion_tokens carry no loss (DAPO's overlong filter)."
    )
    drop_zero_advantage_rows: bool = Field(
        True, description="Skip computing rows whose group had zero reward variance, hence no gradient."
    )

    @property
    def own_functions(self) -> list[str]:
        """The functions of the user's own that it names, as `module:function`."""
        ours = (*ADVANTAGES, *PROCESS_ADVANTAGES)
        return [name for name in (self.advantages, self.loss) if name is not None and name not in ours]


class Grpo(AlgorithmFields):
    """GRPO (arXiv 2402.03300): group-normalised advantages, a clipped ratio, a mean within each answer, a KL term."""

    type: Literal["grpo"] = Field(description="GRPO, arXiv 2402.03300.")
    average: Average = Field("sequences", description=_AVERAGE)
    clip_low: float = Field(0.2, gt=0, lt=1, description=_CLIP_LOW)
    clip_high: float = Field(0.2, gt=0, description=_CLIP_HIGH)
    beta: float = Field(0.04, ge=0, description=_BETA)


class Dapo(AlgorithmFields):
    """DAPO (arXiv 2503.14476): GRPO without KL, clipped higher, every token of a step counts alike."""

    type: Literal["dapo"] = Field("dapo", description="DAPO, arXiv 2503.14476.")
    clip_low: float = Field(0.2, gt=0, lt=1, description=_CLIP_LOW)
    clip_high: float = Field(0.28, gt=0, description=_CLIP_HIGH)


class DrGrpo(AlgorithmFields):
    """Dr. GRPO (arXiv 2503.20783): GRPO without KL, without division by the group's deviation or the answer's length."""

    type: Literal["dr_grpo"] = Field(description="Dr GRPO, arXiv 2503.20783.")
    advantages: str = Field("group_centred", pattern=_ONE_OF_OURS, description=_ADVANTAGES)
    average: Average = Field("constant", description=_AVERAGE)
    clip_low: float = Field(0.2, gt=0, lt=1, description=_CLIP_LOW)
    clip_high: float = Field(0.2, gt=0, description=_CLIP_HIGH)


class Gspo(AlgorithmFields):
    """GSPO (arXiv 2507.18071): GRPO without KL and with one ratio for each answer, the geometric mean of its tokens'."""

    type: Literal["gspo"] = Field(description="GSPO, arXiv 2507.18071.")
    average: Average = Field("sequences", description=_AVERAGE)
    clip_low: float = Field(3e-4, gt=0, lt=1, description=_CLIP_LOW)
    clip_high: float = Field(4e-4, gt=0, description=_CLIP_HIGH)


class Cispo(AlgorithmFields):
    """CISPO (arXiv 2506.13585): the importance weight is clipped, and every token keeps its gradient."""

    type: Literal["cispo"] = Field(description="CISPO, arXiv 2506.13585.")
    max_weight: float = Field(
        5.0,
        gt=0,
        description="Upper bound of a token's weight new/old probability; 5 as in ScaleRL, the paper does not disclose it.",
    )


class Rloo(AlgorithmFields):
    """RLOO (arXiv 2402.14740): REINFORCE on whole answers, the mean of the group's other rewards as baseline."""

    type: Literal["rloo"] = Field(description="RLOO, arXiv 2402.14740.")
    advantages: str = Field("leave_one_out", pattern=_ONE_OF_OURS, description=_ADVANTAGES)
    average: Average = Field("sequence_sums", description=_AVERAGE)
    iterations: Literal[1] = Field(1, description="REINFORCE has no ratio, so each step needs rollouts of its own.")


class Papo(AlgorithmFields):
    """PAPO (arXiv 2603.26535): outcome advantages as DAPO's, and process scores normalised among right answers alone."""

    type: Literal["papo"] = Field(description="PAPO, arXiv 2603.26535; needs `process`.")
    advantages: Literal["papo"] = Field("papo", description=_STEP_CREDIT)
    process_weight: float = Field(
        1.0, ge=0, description="Factor of the process part; 1 in the paper, 0.6 for its 7B model."
    )
    clip_low: float = Field(0.2, gt=0, lt=1, description=_CLIP_LOW)
    clip_high: float = Field(0.28, gt=0, description=_CLIP_HIGH)


class Pure(AlgorithmFields):
    """PURE (arXiv 2504.15275): the worst step of an answer has nearly all of its credit."""

    type: Literal["pure"] = Field(description="PURE, arXiv 2504.15275; needs `process`.")
    advantages: Literal["pure"] = Field("pure", description=_STEP_CREDIT)
    temperature: float = Field(
        0.1, gt=0, description="Of the softmax that weighs steps; small is close to the minimum."
    )
    outcome_weight: float = Field(
        1.0,
        ge=0,
        description="Factor of the outcome's advantage; with 0 the policy learns to please the process model.",
    )
    clip_low: float = Field(0.2, gt=0, lt=1, description=_CLIP_LOW)
    clip_high: float = Field(0.2, gt=0, description=_CLIP_HIGH)


class GrpoProcess(AlgorithmFields):
    """GRPO with process supervision (arXiv 2402.03300, section 4.1.3), to compare with: it pays for many steps."""

    type: Literal["grpo_process"] = Field(
        description="GRPO with process supervision, arXiv 2402.03300; needs `process`."
    )
    advantages: Literal["grpo_process"] = Field("grpo_process", description=_STEP_CREDIT)
    clip_low: float = Field(0.2, gt=0, lt=1, description=_CLIP_LOW)
    clip_high: float = Field(0.2, gt=0, description=_CLIP_HIGH)


class Vine(AlgorithmFields):
    """VinePPO (arXiv 2410.01679): a step is worth the change in value, by completions of the prefixes around it."""

    type: Literal["vine"] = Field(description="VinePPO, arXiv 2410.01679; needs `process: {completions: 9}`.")
    advantages: Literal["vine"] = Field("vine", description=_STEP_CREDIT)
    clip_low: float = Field(0.2, gt=0, lt=1, description=_CLIP_LOW)
    clip_high: float = Field(0.2, gt=0, description=_CLIP_HIGH)


def _written_short(value: Any) -> Any:
    """`algorithm: dapo` means `algorithm: {type: dapo}`."""
    return {"type": value} if isinstance(value, str) else value


AnyAlgorithm = Grpo | Dapo | DrGrpo | Gspo | Cispo | Rloo | Papo | Pure | GrpoProcess | Vine
Algorithm = Annotated[
    Annotated[AnyAlgorithm, Field(discriminator="type")],
    BeforeValidator(_written_short),
]
ALGORITHMS: tuple[type[AlgorithmFields], ...] = get_args(AnyAlgorithm)
ALGORITHM_NAMES = [get_args(one.model_fields["type"].annotation)[0] for one in ALGORITHMS]

_A_LOSS_OF_YOUR_OWN = "write a per-token loss of your own: `loss: module:function` under `algorithm`"
_SAMPLING = "sampling is the stage's own: see `rollout`"
_ENGINE = "the engine is the stage's own: see `rollout`"
_KEPT = "rollouts.jsonl and the report keep completions"
# TRL's names for what an algorithm, or this project's rollouts, decide here; what to write in place of each.
OWNED_BY_ALGORITHM: dict[str, str] = {
    "loss_type": f"write `algorithm: NAME` beside `trainer`, one of: {', '.join(ALGORITHM_NAMES)}",
    "beta": "write `beta` under `algorithm`",
    "epsilon": "write `clip_low` under `algorithm`, and `clip_high` where it is another",
    "epsilon_high": "write `clip_high` under `algorithm`, or `max_weight` for cispo",
    "scale_rewards": "write `advantages` under `algorithm`: group_normalised divides by the deviation, group_centred does not",
    "importance_sampling_level": "write `algorithm: gspo` beside `trainer` for one ratio an answer",
    "mask_truncated_completions": "write `mask_truncated` under `algorithm`",
    "num_iterations": "write `iterations` under `algorithm`",
    "entropy_coef": "write `entropy_bonus` under `algorithm`",
    "multi_objective_aggregation": "write `aggregation` under `algorithm`",
    "pad_to_multiple_of": "rows are computed without padding",
    **dict.fromkeys(
        ("vllm_importance_sampling_correction", "vllm_importance_sampling_mode", "vllm_importance_sampling_cap",
         "vllm_importance_sampling_clip_max", "vllm_importance_sampling_clip_min"),
        "write `importance_cap` under `algorithm`",
    ),
    **dict.fromkeys(
        ("delta", "top_entropy_quantile", "use_adaptive_entropy", "entropy_coef_delta", "entropy_coef_max",
         "entropy_coef_min", "entropy_target", "off_policy_mask_threshold", "sapo_temperature_neg", "sapo_temperature_pos",
         "use_bias_correction_kl", "vespo_k_neg", "vespo_k_pos", "vespo_lambda_neg", "vespo_lambda_pos"),
        _A_LOSS_OF_YOUR_OWN,
    ),
    **dict.fromkeys(("generation_kwargs", "min_p", "repetition_penalty", "max_tool_calling_iterations"), _SAMPLING),
    **dict.fromkeys(
        ("cache_implementation", "ds3_gather_for_generation", "transformers_continuous_batching_config",
         "use_transformers_continuous_batching", "use_transformers_paged", "vllm_enable_sleep_mode",
         "vllm_gpu_memory_utilization", "vllm_group_port", "vllm_max_model_length", "vllm_model_impl",
         "vllm_server_base_url", "vllm_server_host", "vllm_server_port", "vllm_server_timeout",
         "vllm_structured_outputs_regex", "vllm_tensor_parallel_size"),
        _ENGINE,
    ),
    **dict.fromkeys(
        ("log_completions", "log_completions_hub_repo", "log_multimodal", "log_unique_prompts", "num_completions_to_print"),
        _KEPT,
    ),
    **dict.fromkeys(("sync_ref_model", "ref_model_mixup_alpha", "ref_model_sync_steps"), MOVING_REFERENCE),
    **dict.fromkeys(
        ("batch_eval_metrics", "bf16_full_eval", "do_eval", "eval_accumulation_steps", "eval_delay", "eval_do_concat_batches",
         "eval_on_start", "eval_steps", "eval_strategy", "eval_use_gather_object", "fp16_full_eval", "greater_is_better",
         "include_for_metrics", "load_best_model_at_end", "metric_for_best_model", "num_generations_eval",
         "per_device_eval_batch_size", "prediction_loss_only"),
        "it has no effect: a policy is measured after the stage; see `evaluations`",
    ),
    "train_sampling_strategy": "the order of problems is the stage's own; `shuffle_dataset: false` takes them as they come",
    "dataloader_drop_last": "it has no effect: a step always has whole groups",
    "include_num_input_tokens_seen": "the stage counts the tokens itself",
    **dict.fromkeys(("label_names", "label_smoothing_factor"), "it has no effect: the loss is the algorithm's"),
}  # fmt: skip
