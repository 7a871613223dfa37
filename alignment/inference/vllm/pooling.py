"""Models that score, in vLLM's pooling runner: a process reward model's step tokens, and a reward model's one number.

STEP pooling turns off chunked prefill and prefix caching in vLLM 0.31. Neighbours: ../process_model.py and
../reward_model.py (who ask), in_process.py (sets the environment that vLLM needs).
"""

from collections.abc import Sequence

import torch

from alignment.core.errors import EngineError
from alignment.core.precision import Precision
from alignment.data.steps.template import RenderedSteps
from alignment.inference.precision import scoring_dtype
from alignment.inference.start import BESIDE_TRAINER
from alignment.inference.vllm.in_process import beside_other_ranks, generators_kept
from alignment.inference.vllm.kind import CANNOT_START
from alignment.recipe.blocks.process import RIGHT

LONGEST = 32_768  # tokens of a solution or conversation, where the model would read more


class VllmPooling:
    """Backend of a ProcessModel on `LLM(runner="pooling")`."""

    def __init__(self, model: str, step_id: int, longest: int, precision: Precision) -> None:
        from vllm import LLM
        from vllm.config import PoolerConfig

        on_cpu = not torch.cuda.is_available()
        if on_cpu:
            torch._dynamo.config.disable = True  # noqa: SLF001  as in in_process.py
        self._llm = LLM(
            model=model,
            runner="pooling",
            pooler_config=PoolerConfig(tok_pooling_type="STEP", step_tag_id=step_id),
            dtype=scoring_dtype(precision),
            enforce_eager=on_cpu,
            max_model_len=min(longest, LONGEST),
            gpu_memory_utilization=BESIDE_TRAINER,
            disable_log_stats=True,
        )

    def probabilities(self, rendered: Sequence[RenderedSteps]) -> list[list[float]]:
        """See Backend. vLLM returns softmaxed (steps, 2) for each sequence."""
        from vllm.inputs import TokensPrompt

        prompts = [TokensPrompt(prompt_token_ids=one.input_ids) for one in rendered]
        found = self._llm.encode(prompts, pooling_task="token_classify", use_tqdm=False)
        return [one.outputs.data[:, RIGHT].tolist() for one in found]

    def close(self) -> None:
        """See Backend."""
        del self._llm


class VllmRewards:
    """Backend of a RewardModel on `LLM(runner="pooling")`: the classifier's one logit, without the sigmoid of `LLM.classify`.

    Weights are in bfloat16 on a GPU, of whose memory vLLM takes a fraction, and in float32 on a CPU, as in transformers. Raises
    EngineError for a model that this vLLM cannot run here.
    """

    def __init__(
        self, model: str, longest: int, gpu_memory_fraction: float, *, trust_remote_code: bool = False
    ) -> None:
        from vllm import LLM

        on_cpu = not torch.cuda.is_available()
        if on_cpu:
            torch._dynamo.config.disable = True  # noqa: SLF001  as in in_process.py
        self.longest = min(longest, LONGEST)
        try:
            with generators_kept():
                self._llm = LLM(
                    model=model,
                    runner="pooling",
                    dtype=scoring_dtype(),
                    enforce_eager=on_cpu,
                    max_model_len=self.longest,
                    gpu_memory_utilization=gpu_memory_fraction,
                    trust_remote_code=trust_remote_code,
                    disable_log_stats=True,
                    **({} if on_cpu or not torch.distributed.is_initialized() else beside_other_ranks()),
                )
        except CANNOT_START as error:
            first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise EngineError(
                f"vLLM cannot score with {model}: {first[:300]}. Write `engine: transformers` in the scorer"
            ) from error

    def rewards(self, sequences: Sequence[Sequence[int]]) -> list[float]:
        """The reward of each sequence of token ids, in order."""
        from vllm import PoolingParams
        from vllm.inputs import TokensPrompt

        prompts = [TokensPrompt(prompt_token_ids=list(ids)) for ids in sequences]
        asked = PoolingParams(use_activation=False)
        with generators_kept():
            found = self._llm.encode(prompts, asked, pooling_task="classify", use_tqdm=False)
        return [float(one.outputs.data[0]) for one in found]

    def close(self) -> None:
        """Shut down vLLM's engine core."""
        self._llm.llm_engine.engine_core.shutdown()
