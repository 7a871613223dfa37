r"""Which answers to one problem are the same, as `math_answer` would judge them: what a majority vote counts.

Answers are found and normalised as `math_answer` does. Plain numbers, words and identical texts are settled at once; what is
left is compared by `math_answer` itself, so that `\frac{1}{2}` and `0.5` are one answer here as they are in a reward.
"""

from collections.abc import Iterator, Sequence

from rewards.contract import Rollout, split_thinking
from rewards.kinds.math_answer.boxes import last_box
from rewards.kinds.math_answer.brackets import compact
from rewards.kinds.math_answer.reading import final_answer
from rewards.kinds.math_answer.texts import answer_text
from rewards.kinds.math_answer.verifier import LONGEST_ANSWER, MathAnswer, compare_plainly

Places = dict[str, list[int]]  # the answers of one problem, each with the completions that gave it


def given_answer(completion: str) -> str | None:
    """The final answer after the think block, normalised; None where there is none or it is too long to be one."""
    found = final_answer(split_thinking(completion)[1])
    if found is None or len(found) > LONGEST_ANSWER:
        return None
    return answer_text(found) or None


def answer_groups(problems: Sequence[Sequence[str]], verifier: MathAnswer) -> list[list[int | None]]:
    """For each problem, the group of each of its completions: equal numbers are the same answer, None is no answer.

    Groups are numbered by their first member. Two answers whose comparison is not settled (a time limit, a text that
    nobody can read) are different answers.
    """
    listed = [_places(completions) for completions in problems]
    pairs = list(dict.fromkeys(pair for places in listed for pair in _open_pairs(list(places))))
    boxed = [Rollout("", f"\\boxed{{{other}}}", columns={"answer": one}) for one, other in pairs]
    verdicts = verifier.judge(boxed) if boxed else []
    same = {pair for pair, verdict in zip(pairs, verdicts, strict=True) if verdict.score == 1.0}
    return [_numbered(places, len(completions), same) for places, completions in zip(listed, problems, strict=True)]


def _places(completions: Sequence[str]) -> Places:
    places: Places = {}
    spelt: dict[str, str] = {}  # one spelling for all that read alike
    for index, completion in enumerate(completions):
        answer = given_answer(completion)
        if answer is not None:
            places.setdefault(spelt.setdefault(compact(answer), answer), []).append(index)
    return places


def _open_pairs(answers: list[str]) -> Iterator[tuple[str, str]]:
    """The pairs of different spellings that only a computer algebra system can settle."""
    for index, one in enumerate(answers):
        for other in answers[index + 1 :]:
            # A text whose braces do not match would not come out of its box as it went in.
            if compare_plainly(one, other) is None and last_box(f"\\boxed{{{other}}}") == other:
                yield one, other


def _numbered(places: Places, count: int, same: set[tuple[str, str]]) -> list[int | None]:
    groups: list[int | None] = [None] * count
    heads: list[str] = []
    for answer, indexes in places.items():
        number = next((number for number, head in enumerate(heads) if _equal(head, answer, same)), len(heads))
        if number == len(heads):
            heads.append(answer)
        for index in indexes:
            groups[index] = number
    return groups


def _equal(one: str, other: str, same: set[tuple[str, str]]) -> bool:
    plainly = compare_plainly(one, other)
    return (one, other) in same if plainly is None else plainly[0] == 1.0
