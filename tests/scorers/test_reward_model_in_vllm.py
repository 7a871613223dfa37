"""A reward model that a stage trained scores the same in vLLM's pooling runner as in plain transformers."""

from importlib import import_module
from pathlib import Path

import pytest

from alignment.inference.reward_model import RewardModel
from alignment.inference.vllm.kind import vllm_problem
from training.test_reward_model import pairs_file, run_stage


@pytest.mark.long
@pytest.mark.skipif(vllm_problem() is not None, reason="vLLM cannot run here")
def test_a_trained_reward_model_scores_the_same_in_vllm(tmp_path: Path) -> None:
    _, output = run_stage(tmp_path, pairs_file(tmp_path / "pairs.jsonl"))
    model = RewardModel(str(output))
    conversations = [
        [{"role": "user", "content": f"{one} + 5 ="}, {"role": "assistant", "content": answer}]
        for one in range(10, 18)
        for answer in (f"{one + 5}.", f"It is {one + 8}!")
    ]
    sequences = [model.rendered(one, "non_thinking") for one in conversations]
    expected = model.scores(sequences)
    assert max(expected) - min(expected) > 1.0, "it tells them apart"
    assert _by_vllm(output, sequences) == pytest.approx(expected, abs=1e-3)


def _by_vllm(folder: Path, sequences: list[list[int]]) -> list[float]:
    """The classifier's one logit of each sequence, without the sigmoid that `LLM.classify` puts on it."""
    import_module("alignment.inference.vllm.in_process")  # sets what vLLM reads when it is imported
    from vllm import LLM, PoolingParams
    from vllm.inputs import TokensPrompt

    llm = LLM(model=str(folder), runner="pooling", dtype="float32", enforce_eager=True, max_model_len=256)
    prompts = [TokensPrompt(prompt_token_ids=ids) for ids in sequences]
    asked = PoolingParams(use_activation=False)
    return [float(one.outputs.data[0]) for one in llm.encode(prompts, asked, pooling_task="classify", use_tqdm=False)]
