"""The pretraining corpus of the embedded model: worked chains of sums as bare text, and short sentences.

The base model learns to work through a chain of additions and subtractions line by line, anywhere in a text, and the
words of the problems. It never sees a chat, a think block or a boxed answer: the four stages teach those. Chains of the
evaluation split are left out. Neighbours: tokenizer.py, pretrain.py.
"""

import random
from collections.abc import Iterator

from alignment.data.generators.families import problems
from alignment.data.sources.splits import split_of

CHAIN = {"min_terms": 2, "max_terms": 10, "min_digits": 1, "max_digits": 2}

SENTENCES = (
    "State the final answer to the following arithmetic problem",
    "The user asks a question and the assistant gives the answer",
    "Think about the problem step by step and then write the answer",
    "Answer at once when you are told not to think",
    "Considering the limited time by the user, I have to give the solution based on the thinking directly now.",
    "You are a helpful assistant",
    "The final answer is written in a box, as in \\boxed{%d}",
    "/think means to think and /no_think means to answer at once",
    "First add the numbers one by one, then check the result",
    "Wait, let me look at that again",
    "Here is a list of %d numbers and their sum",
    "What is the result? The result is %d",
)


def documents(seed: int) -> Iterator[tuple[str, str]]:
    """An unlimited number of documents as `(without loss, with loss)`, the same for the same seed.

    9 of 10 are worked chains, the rest sentences. Questions carry no loss: their random digits cannot be predicted and
    would only add noise to the gradient.
    """
    rng = random.Random(seed)
    for problem in problems("chain_sum", seed=seed, parameters=CHAIN):
        if split_of(problem.question) == "evaluation":
            continue
        expression = problem.question.split(": ", 1)[1]
        yield f"{_opening(rng, problem.question, expression)}\n{_gap(rng)}", f"{problem.trace}\n"
        if rng.random() < 0.1:
            yield "", _sentence(rng) + "\n"


def _opening(rng: random.Random, question: str, expression: str) -> str:
    """The chain alone, as the question, or after another sentence, so that copying works at any position."""
    draw = rng.random()
    if draw < 0.3:
        return expression
    return question if draw < 0.7 else f"{_sentence(rng)}: {expression}"


def _gap(rng: random.Random) -> str:
    """Words between a chain and its solution, in half of the documents.

    Without them the model finds operands by their distance: it solves every chain in bare text, and none in a chat.
    """
    if rng.random() < 0.5:
        return ""
    words = " ".join(_sentence(rng) for _ in range(rng.randint(1, 2))).split(" ")
    return " ".join(words[: rng.randint(1, 16)]) + "\n"


def _sentence(rng: random.Random) -> str:
    sentence = rng.choice(SENTENCES)
    return sentence % rng.randrange(-99, 999) if "%d" in sentence else sentence
