"""Tasks of the group `format`: sums in a box, JSON, a gap, a postscript, and the language of the question.

A language task asks in one of five languages, and the slip answers in English, as policies that drift do. Whether the mode
is obeyed is judged on every row of every task, by `think_format`. Neighbours: task.py, all.py.
"""

import random
from functools import partial

from alignment.data.generators.general.instructions import WORDS
from alignment.data.generators.general.task import Answered, Task, constrained, names, numbers, said
from alignment.data.generators.traces import chain_sum_trace

# Of each language: the question, its answer, and the word for a number, which an answer has to have: the constraint of IFEval
# lets a text pass whose language nobody can tell, and a policy that is paid for it alone learns to write one.
LANGUAGES = {
    "de": ("Nenne die Zahl {}.", "Hier ist die Zahl: {}.", "Zahl"),
    "fr": ("Nomme le nombre {}.", "Voici le nombre voulu: {}.", "nombre"),
    "es": ("Escribe el número {}.", "Este es el número: {}.", "número"),
    "it": ("Scrivi il numero {}.", "Ecco il tuo numero: {}.", "numero"),
    "pt": ("Escreve o número {}.", "Este é o seu número: {}.", "número"),
}
ENGLISH = "Here is the number: {}."
LEAST_WORDS = 4  # of an answer: of one or two words nobody can say in which language they are


def _sum(draw: random.Random) -> Answered:
    terms = [draw.randint(1, 99) for _ in range(draw.randint(2, 3))]
    expression = " ".join([str(terms[0]), *(f"{draw.choice('+-')} {term}" for term in terms[1:])])
    worked = chain_sum_trace(expression)
    result = worked.rpartition("= ")[2]
    right = said(worked, f"\\boxed{{{result}}}")
    return Answered(f"{expression} =", right, right, answer=result)


def _json(draw: random.Random) -> Answered:
    a, word = draw.randint(10, 99), draw.choice(WORDS)
    return Answered(
        f"The {word} is {a}. Write it as JSON.",
        said(f"{word}, {a}", f'{{"{word}": {a}}}'),
        said(f"{word}, {a}", f"{word}: {a}"),
        constrained(names(word, a), ("detectable_format:json_format", {})),
    )


def _placeholder(draw: random.Random) -> Answered:
    a = draw.randint(100, 999)
    return Answered(
        f"Write {a} and a gap like [name].",
        said(f"{a}", f"{a} [name]"),
        said(f"{a}", f"{a} name"),
        constrained(names(a), ("detectable_content:number_placeholders", {"num_placeholders": 1})),
    )


def _postscript(draw: random.Random) -> Answered:
    a, b = numbers(draw, 2)
    return Answered(
        f"Write {a}, and {b} as a postscript.",
        said(f"{a}, {b}", f"{a}\nP.S. {b}"),
        said(f"{a}, {b}", f"{a}\n{b}"),
        constrained(names(a, b), ("detectable_content:postscript", {"postscript_marker": "P.S."})),
    )


def _language(code: str, draw: random.Random) -> Answered:
    a = draw.randint(100, 999)
    question, answer, word = LANGUAGES[code]
    return Answered(
        question.format(a),
        said(f"{a}", answer.format(a)),
        said(f"{a}", ENGLISH.format(a)),
        constrained(
            names(a, word),
            ("language:response_language", {"language": code}),
            ("length_constraints:number_words", {"num_words": LEAST_WORDS, "relation": "at least"}),
        ),
    )


TASKS = (
    Task("sum", "format", _sum),
    Task("json", "format", _json),
    Task("placeholder", "format", _placeholder),
    Task("postscript", "format", _postscript),
    *(Task(f"language-{code}", "format", partial(_language, code)) for code in LANGUAGES),
)
