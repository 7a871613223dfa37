"""A process reward model in vLLM: token classification whose pooler returns the step tokens alone.

STEP pooling turns off chunked prefill and prefix caching in vLLM 0.31. Neighbours: ../process_model.py (who asks),
in_process.py (sets the environment that vLLM needs).
"""

from collections.abc import Sequence

import torch

import alignment.inference.vllm.in_process  # noqa: F401  sets what vLLM reads when it is imported
from alignment.data.step_template import RenderedSteps
from alignment.inference.start import BESIDE_TRAINER
from alignment.recipe.process import RIGHT

LONGEST = 32_768  # tokens of a solution, where the model would read more


class VllmPooling:
    """Backend of a ProcessModel on `LLM(runner="pooling")`."""

    def __init__(self, model: str, step_id: int, longest: int) -> None:
        from vllm import LLM
        from vllm.config import PoolerConfig

        on_cpu = not torch.cuda.is_available()
        if on_cpu:
            torch._dynamo.config.disable = True  # noqa: SLF001  as in in_process.py
        self._llm = LLM(
            model=model,
            runner="pooling",
            pooler_config=PoolerConfig(tok_pooling_type="STEP", step_tag_id=step_id),
            dtype="float32" if on_cpu else "bfloat16",
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
