"""A made set of 600 responses: 300 sound ones, half of them near misses, and fifty of each of six faults."""

import random
from dataclasses import dataclass, replace

from alignment.data.generators.families import problem_key
from alignment.data.rows import Conversation, Problem, user_turn
from alignment.data_factory.overlap import TestIndex

THINGS = ("apples", "pencils", "marbles", "stamps", "books", "tickets", "coins", "shells", "cards", "buttons")
PEOPLE = ("Ana", "Ben", "Chloe", "Dev", "Emil", "Fatima", "Goran", "Hana", "Ines", "Jonas")
EVALUATED = (
    "A train leaves the northern station at nine with {} passengers, picks up {} more at the bridge, and drops half of them "
    "at the harbour before it turns back; how many passengers are still on board when it arrives?"
)
CHINESE = "我们先把这些数字加在一起，然后再减去被送走的数量，最后得到答案。"
GERMAN = (
    "Zuerst zählen wir alle Äpfel zusammen, und danach ziehen wir diejenigen ab, die sie ihrem Bruder geschenkt hat."
)
FAULTS = (
    "wrong_answer",
    "repeated_text",
    "guesswork",
    "inconsistent_summary",
    "mixed_languages",
    "similar_to_evaluation",
)


@dataclass(frozen=True)
class Made:
    """A response, its problem, and the fault that was planted in it, if any."""

    row: Conversation
    problem: Problem
    fault: str | None


def evaluated(count: int = 60) -> TestIndex:
    """What is evaluated on: none of the sound rows repeats it."""
    drawn = random.Random(5)
    texts = [EVALUATED.format(drawn.randint(20, 90), drawn.randint(2, 19)) for _ in range(count)]
    return TestIndex.of((f"trains/{number}", text) for number, text in enumerate(texts))


def made_set() -> list[Made]:
    """600 responses in the order of their faults."""
    sound = [_sound(number, near_miss=number % 2 == 1) for number in range(300)]
    return [
        *sound,
        *(_faulty(300 + 50 * place + number, fault) for place, fault in enumerate(FAULTS) for number in range(50)),
    ]


def _story(number: int) -> tuple[str, str, int]:
    """A question, thinking that solves it, and the answer."""
    drawn = random.Random(number)
    person, thing = drawn.choice(PEOPLE), drawn.choice(THINGS)
    start, more, less = drawn.randint(20, 400), drawn.randint(3, 90), drawn.randint(2, 19)
    total = start + more - less
    verbs = drawn.choice(
        (("buys", "gives", "to a friend"), ("finds", "loses", "on the way"), ("is given", "sells", "at the market"))
    )
    question = (
        f"{person} has {start} {thing}, {verbs[0]} {more} more and {verbs[1]} {less} {verbs[2]}. How many are left?"
    )
    opening = drawn.choice(
        ("First we add what comes in.", "Let us go step by step through the story.", "We begin with the start.")
    )
    thinking = f"{opening} {start} + {more} = {start + more}.\nThen what goes away: {start + more} - {less} = {total}"
    return question, thinking, total


def _sound(number: int, *, near_miss: bool) -> Made:
    question, thinking, total = _story(number)
    summary = f"There are \\boxed{{{total}}} left."
    if near_miss:
        kind = number // 2 % 6
        if kind == 0:  # the answer in another notation
            summary = f"So the answer is {total}.0"
        elif kind == 1:  # a check that repeats a line once
            thinking += "\nOnce more: " + thinking.splitlines()[-1]
        elif kind == 2:  # a guess that is then checked
            thinking += f"\nMy first guess was {total}, and I check it: the sum works out, so it is {total}"
        elif kind == 3:  # an interim result after which the right one is concluded
            thinking = f"At first it looks like the answer is {total + 5}. But that forgets something.\n{thinking}"
        elif kind == 4:  # formulas and a name in another script
            thinking += f"\n$\\Delta = {total}$, as Ωμέγα would say"
            thinking += f"\nSo the answer is {total}"
        else:  # shares a dozen words with what is evaluated
            question = f"A train leaves the northern station at nine with {total} passengers. How many? {question}"
    return _made(number, question, thinking, summary, total, None)


def _faulty(number: int, fault: str) -> Made:
    question, thinking, total = _story(number)
    summary = f"There are \\boxed{{{total}}} left."
    if fault == "wrong_answer":
        wrong = total + 1 + number % 7
        thinking, summary = thinking.rpartition("=")[0] + f"= {wrong}", f"There are \\boxed{{{wrong}}} left."
    elif fault == "repeated_text":
        thinking = (
            f"{thinking}\n"
            + f"Wait, let me compute it again, {total} is what I get.\n" * (4 + number % 5)
            + f"= {total}"
        )
    elif fault == "guesswork":
        thinking = (f"Hard to say, there are many numbers in here. I'll just guess {total}", "Hm, so many.",
                    f"I have no idea how this goes, maybe somewhere around here. My best guess: {total}")[number % 3]  # fmt: skip
    elif fault == "inconsistent_summary":
        thinking = thinking.rpartition("=")[0] + f"= {total + 3 + number % 5}"
    elif fault == "mixed_languages":
        foreign = CHINESE if number % 2 else GERMAN * 2
        thinking = f"{foreign}\n{thinking}" if number % 2 else f"{foreign}\n= {total}"
    else:
        drawn = random.Random(5)
        tests = [EVALUATED.format(drawn.randint(20, 90), drawn.randint(2, 19)) for _ in range(60)]
        question = tests[number % 60].replace(
            "how many passengers", ("tell me how many people", "how many travellers")[number % 2]
        )
    return _made(number, question, thinking, summary, total, fault)


def _made(number: int, question: str, thinking: str, summary: str, total: int, fault: str | None) -> Made:
    problem = Problem(f"stories/{number}", [user_turn(question)], str(total), family="stories")
    answer = {"role": "assistant", "reasoning_content": thinking, "content": summary}
    return Made(Conversation(f"{problem.id}#0", [user_turn(question), answer], "thinking", "stories"), problem, fault)


def references(rows: list[Made]) -> dict[str, Problem]:
    """The problems by their question."""
    return {problem_key(one.problem.question): one.problem for one in rows}


def flagged(row: Conversation) -> Conversation:
    """The same with a flag at the end of its question."""
    asked, answer = row.messages
    return replace(row, messages=[user_turn(f"{asked['content']} /think"), answer])
