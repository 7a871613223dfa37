"""`alignment chat`: a system turn, earlier turns and tools reach the model, and tool turns are shown."""

import io

import pytest
from rich.console import Console
from test_trajectories import MULTIPLY, STOP_TEXT, Script, encoded
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from alignment.commands.chat.conversation import Conversation, Opening, _answer
from alignment.core.errors import OptionError
from alignment.core.resources import resource
from alignment.inference.sampler import Sampler
from alignment.inference.thinking_budget import ThinkTokens
from alignment.recipe.blocks.sampling import ThinkingBudget
from alignment.rollout.environments.registry import with_tools
from alignment.rollout.sampler import TrajectorySampler


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(str(resource("data/base")))


def test_a_call_its_result_and_the_answer_are_shown_and_stay_in_the_conversation(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    lines = [MULTIPLY, "<think>\ndone\n</think>\n\nIt is [bold]8369910[/bold].", "Again: 8369910."]
    thinking = ThinkTokens.of(tokenizer, STOP_TEXT)
    engine = Script(tokenizer.eos_token_id, [[encoded(tokenizer, one) for one in lines]], thinking)
    choice = Opening(system="Be exact.", environment=with_tools("calculator")).environment
    sampler = TrajectorySampler(Sampler(engine, tokenizer, thinking), choice, 1000)  # type: ignore[arg-type]
    talk = Conversation(None, 0.6, ThinkingBudget(), 1000, messages=[{"role": "system", "content": "Be exact."}])
    shown = io.StringIO()
    console = Console(file=shown, width=200)
    _answer(sampler, talk, "What is 12345 * 678?", console)
    page = shown.getvalue()
    assert "first the product" in page and 'calls calculator {"expression": "12345 * 678"}' in page
    assert "tool: 8369910" in page and "It is [bold]8369910[/bold]." in page
    assert [turn["role"] for turn in talk.messages] == ["system", "user", "assistant", "tool", "assistant"]
    engine.rounds.clear()
    _answer(sampler, talk, "Again?", console)
    prompt = tokenizer.decode(engine.rounds[0][0].prompt_ids)
    for piece in ("Be exact.", '"name": "calculator"', "<tool_response>\n8369910", "It is [bold]", "user\nAgain?"):
        assert piece in prompt
    sampler.close()


def test_a_tool_that_does_not_exist_is_refused_before_a_model_is_loaded() -> None:
    with pytest.raises(OptionError, match="--tools calculator, shell: .*'calculator', 'python' or 'store'"):
        with_tools("calculator, shell")
    assert with_tools("").kind == "single_turn"
