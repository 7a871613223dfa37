"""GenerativeVerifier: scores each step by what a language model answers when it is asked whether the step is right.

The score is the probability of `Yes` against `No` as the first token of the answer, after a prompt that shows the
problem and the solution so far: the direct form of GenRM (arXiv 2408.15240, section 3.1), asked of every step. It needs
no labels and no training; a model that was fine-tuned on such answers is read in the same way. Nothing is sampled, and
no rationale is written before the answer (GenRM-CoT). Neighbours: process_model.py (trained heads), step_logprobs.py (a
policy's own log-probs).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from transformers import AutoTokenizer

from alignment.core.errors import ArtifactError
from alignment.core.precision import Precision
from alignment.core.statistics.logistic import sigmoid
from alignment.data.chat.template import inert, render_prompt
from alignment.data.rows import Message
from alignment.data.steps.definition import StepRule
from alignment.inference.frozen_policy import FrozenPolicy, language_model_config
from alignment.inference.process_model import Solution

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

YES, NO = "Yes", "No"
QUESTION = "Is step {number} correct, given the steps before it? Answer Yes or No."


class GenerativeVerifier:
    """A language model from a folder or hub id as a scorer of steps. Implements StepModel.

    Raises ArtifactError if the folder has no language model, or its tokenizer begins both answers with one token.
    """

    def __init__(
        self, model: str, rule: StepRule, precision: Precision = "auto", *, trust_remote_code: bool = False
    ) -> None:
        lack = "which answers nothing; name a language model"
        config = language_model_config(model, lack, trust_remote_code=trust_remote_code)
        self.name, self.rule = Path(model).name, rule
        self._tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            model, trust_remote_code=trust_remote_code
        )
        self._answers = answer_tokens(self._tokenizer)
        if self._answers[0] == self._answers[1]:
            raise ArtifactError(
                f"{model}: its tokenizer begins `{YES}` and `{NO}` with the same token, so that no probability tells them apart"
            )
        self._longest = int(getattr(config.get_text_config(), "max_position_embeddings", 1 << 30))
        self._model = FrozenPolicy(model, precision, trust_remote_code=trust_remote_code)

    def scores(self, solutions: Sequence[Solution]) -> list[list[float] | None]:
        """p(Yes) / (p(Yes) + p(No)) for each step. A step costs one reading of the prompt and the steps up to it."""
        asked = [self._prompts(one) for one in solutions]
        prompts = [prompt for one in asked for prompt in one or ()]
        found = iter(self._model.next_logprobs(prompts, self._answers))
        return [None if one is None else [against(*next(found)) for _ in one] for one in asked]

    def close(self) -> None:
        """Free the model."""
        del self._model

    def _prompts(self, solution: Solution) -> list[list[int]] | None:
        """The prompt of each step; None where the longest, that of the last, cannot be read with one more token."""
        found = [self._prompt_ids(solution, number) for number in range(1, len(solution.steps) + 1)]
        return None if found and len(found[-1]) >= self._longest else found

    def _prompt_ids(self, solution: Solution, number: int) -> list[int]:
        steps = [inert(one, self._tokenizer) for one in solution.steps[:number]]
        return render_prompt(self._tokenizer, verification(solution.prompt, steps), "non_thinking", flagged=False)


def verification(prompt: Sequence[Message], steps: Sequence[str]) -> list[Message]:
    """The conversation that asks whether the last of these steps is right: the prompt, with the steps in its last turn."""
    shown = "\n\n".join(f"Step {number}: {text}" for number, text in enumerate(steps, 1))
    question = QUESTION.format(number=len(steps))
    last = dict(prompt[-1])
    last["content"] = f"{last.get('content') or ''}\n\nA solution so far:\n\n{shown}\n\n{question}"
    return [*(dict(one) for one in prompt[:-1]), last]


def answer_tokens(tokenizer: "PreTrainedTokenizerBase") -> tuple[int, int]:
    """The first token of each answer, as it stands at the beginning of a turn."""
    yes, no = (tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in (YES, NO))
    return int(yes), int(no)


def against(yes: float, no: float) -> float:
    """p(yes) / (p(yes) + p(no)) of two log-probs, without underflow."""
    return sigmoid(yes - no)
