r"""`instruction` against IFEval's own checkers: `python benchmarks/instruction.py --ifeval input_data.jsonl --peer PYTHON`.

For each of the benchmark's rows responses are made with a fixed seed: some that follow every constraint, some that miss
one by one unit either way, these with a first line, a last line or asterisks that the loose reading forgives, random
texts glued from what checkers look for, and nothing. Each constraint of the row is judged on each of them, strictly
and loosely, here and there; every kind's counts are printed, and where the two differ, why, or the first cases.
The peer is lm-eval's copy of google-research's checkers in an environment of its own: `python -m venv peer;
peer/bin/pip install --no-deps lm-eval==0.4.13 langdetect immutabledict nltk==3.10.4 regex joblib click tqdm six packaging`, and
`llama-index-core`, in which nltk's punkt data are: the registry has them nowhere else. langdetect is seeded.
"""

import json
import random
import re
import subprocess
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from instruction_answers import Values, responses

from rewards.kinds.instruction.constraints import CONSTRAINTS
from rewards.kinds.instruction.verifier import READINGS, Reading, marks_of, variants

PEER = """
import importlib.util, json, logging, os, random, sys, types
place = importlib.util.find_spec("lm_eval").submodule_search_locations[0]
for name, path in (("lm_eval", place), ("lm_eval.tasks", place + "/tasks")):  # their own __init__ needs all of lm-eval
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [path]
import nltk
nltk.data.path[:0] = [os.path.join(one, "llama_index/core/_static/nltk_cache") for one in sys.path]
from langdetect import DetectorFactory
from lm_eval.tasks.ifeval import utils
logging.disable(logging.ERROR)
DetectorFactory.seed = 0
judges = {"strict": utils.test_instruction_following_strict, "loose": utils.test_instruction_following_loose}

def mark(row, at, response, judge):
    random.seed(0)  # a parameter that the checkers do not accept is drawn
    one = utils.InputExample(row["key"], row["instruction_id_list"][at:at + 1], row["prompt"], row["kwargs"][at:at + 1])
    try:
        return bool(judge(one, response).follow_all_instructions)
    except Exception as error:
        return type(error).__name__

json.dump(
    [[{name: [mark(row, at, response, judge) for at in range(len(row["kwargs"]))] for name, judge in judges.items()}
      for response in texts] for row, texts in json.load(sys.stdin)], sys.stdout)
"""

DETECTED = ("change_case:english_capital", "change_case:english_lowercase", "language:response_language")
SHOWN_CHARACTERS = 160

# An ellipsis, an initial, or what may be an abbreviation, before a capital.
_NAME_OR_START = re.compile(r"(?:\.\.|\b\w|\b(?:\w\.)+\w|\b[A-Z]\w{0,4})\.[\"')\]*]*\s+[\"'(\[*]*[A-Z]")

Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One constraint of one row on one response in one reading; `theirs` is an error's name where they raise."""

    kind: str
    values: Values
    response: str
    reading: Reading
    ours: bool
    theirs: bool | str

    @property
    def agrees(self) -> bool:
        return self.ours is self.theirs


def _only_brackets(case: Case) -> bool:
    return any(not line.replace("*", "").strip("<> \t") for line in case.response.split("\n") if "<<" in line)


def _no_letters(case: Case) -> bool:
    readings = variants(case.response) if case.reading == "loose" else [case.response]
    return case.theirs is True and any(one.strip() and not any(map(str.isalpha, one)) for one in readings)


# Where the verdicts differ and ours are kept: the kind, why, and whether a case is one of these. The first that fits is named.
EXPLAINED: tuple[tuple[str, str, Callable[[Case], bool]], ...] = (
    (
        "keywords:letter_frequency",
        "lm-eval draws a random letter where a row names a mark; google-research's file of today counts the mark, as here",
        lambda case: not case.values["letter"].isalpha(),
    ),
    (
        "length_constraints:number_sentences",
        "East Asian and Indic marks end sentences here; punkt's English model does not know them",
        lambda case: bool(re.search("[。！？।॥؟۔]", case.response)),
    ),
    (
        "length_constraints:number_sentences",
        "punkt's table of 20,000 words is not here: a capital after an abbreviation, an initial or an ellipsis may be a name",
        lambda case: bool(_NAME_OR_START.search(case.response)),
    ),
    ("detectable_format:title", "brackets alone are no title here, `<<>> <<>>` is one there", _only_brackets),
    (
        "length_constraints:number_sentences",
        "closing quotes “so” end sentences here, and in punkt since nltk 3.10",
        lambda case: bool(re.search("[‘’“”«»]", case.response)),
    ),
    (
        "length_constraints:number_words",
        "accents and vowel signs of their own part words here, as in Python's `re`; since nltk 3.10 they do not",
        lambda case: any(unicodedata.category(one).startswith("M") for one in case.response),
    ),
    (
        "detectable_format:json_format",
        "nesting or a number too long for Python's parser raises there, or is refused",
        lambda case: isinstance(case.theirs, str),
    ),
    *((kind, "a text without letters is in no language here and in every one there", _no_letters) for kind in DETECTED),
    *((kind, "py3langid here, langdetect there", lambda _: True) for kind in DETECTED),
)


def reason(case: Case) -> str | None:
    """Why a case differs, where that is known."""
    return next((why for kind, why, fits in EXPLAINED if kind == case.kind and fits(case)), None)


def peer(python: Path, work: list[tuple[Row, list[str]]]) -> list[list[dict[str, list[bool | str]]]]:
    """The marks of the public checkers, by row, response and reading."""
    done = subprocess.run([python, "-W", "ignore", "-c", PEER], input=json.dumps(work), capture_output=True, text=True)
    if done.returncode:
        raise typer.BadParameter(f"the peer failed:\n{done.stderr[-2000:]}", param_hint="--peer")
    told: list[list[dict[str, list[bool | str]]]] = json.loads(done.stdout[done.stdout.index("[") :])
    return told


def cases(work: list[tuple[Row, list[str]]], python: Path) -> Iterator[Case]:
    """Every constraint on every response in both readings. A checker of ours that raises ends the run."""
    for (row, texts), marks in zip(work, peer(python, work), strict=True):
        names, kwargs = row["instruction_id_list"], row["kwargs"]
        for response, told in zip(texts, marks, strict=True):
            for reading in READINGS:
                found = zip(names, kwargs, marks_of(response, names, kwargs, reading), told[reading], strict=True)
                for name, values, ours, theirs in found:
                    yield Case(name, values, response, reading, ours, theirs)


def table(found: list[Case], kinds: list[str]) -> None:
    """Per kind and reading: how many cases, how both judge them, and how many differ."""
    print(f"  {'kind':<46}{'reading':<8}{'cases':>7}{'both do':>9}{'both not':>9}{'differ':>8}")
    for kind in kinds:
        for reading in READINGS:
            some = [case for case in found if case.kind == kind and case.reading == reading]
            same = Counter(case.ours for case in some if case.agrees)
            differ = len(some) - same.total()
            print(f"  {kind:<46}{reading:<8}{len(some):>7,}{same[True]:>9,}{same[False]:>9,}{differ:>8,}")


def differences(found: list[Case], shown: int) -> None:
    """Each kind's disagreements by reason, and the first cases of those that have none."""
    counts = Counter((case.kind, reason(case)) for case in found if not case.agrees)
    for (kind, why), count in sorted(counts.items(), key=lambda item: (item[0][0], -item[1])):
        print(f"  {kind}: {count:,}: {why or 'UNEXPLAINED'}")
        first = [case for case in found if not case.agrees and case.kind == kind and reason(case) == why]
        for case in first[: shown if why is None else min(shown, 1)]:
            text = case.response if len(case.response) < SHOWN_CHARACTERS else f"{case.response[:SHOWN_CHARACTERS]}…"
            print(f"    {case.reading} {case.values}: {case.ours} here, {case.theirs} there: {text!r}")


def agreement(name: str, found: list[Case]) -> None:
    for reading in READINGS:
        some = [case for case in found if case.reading == reading]
        same = sum(case.agrees for case in some)
        unexplained = sum(not case.agrees and reason(case) is None for case in some)
        share = 100 * same / len(some)
        print(f"{name}, {reading}: {same:,} of {len(some):,} verdicts agree ({share:.2f}%); {unexplained} unexplained")


def main(
    ifeval: Annotated[Path, typer.Option(help="IFEval's input_data.jsonl")],
    peer_python: Annotated[Path, typer.Option("--peer", help="a Python that has lm-eval's checkers and punkt's data")],
    seed: Annotated[int, typer.Option(help="of the responses")] = 0,
    shown: Annotated[int, typer.Option(help="how many differing cases of a kind to print")] = 3,
) -> None:
    """Judge, compare and print."""
    rows = [json.loads(line) for line in ifeval.read_text(encoding="utf-8").splitlines()]
    rng = random.Random(seed)
    work = [(row, responses(row, [one["prompt"] for one in rows], rng)) for row in rows]
    found = list(cases(work, peer_python))
    texts = sum(len(texts) for _, texts in work)
    print(f"{len(rows)} rows, {texts:,} responses, {len(found):,} verdicts of each side; seed {seed}")
    table(found, list(CONSTRAINTS))
    print("differences:")
    differences(found, shown)
    detected = [case for case in found if case.kind in DETECTED]
    agreement("the kinds that detect no language", [case for case in found if case.kind not in DETECTED])
    agreement("the three that do", detected)
    agreement("all", found)


if __name__ == "__main__":
    typer.run(main)
