"""Classifiers as checks: rows whose text a model scores too low, or too high, by the recipe's threshold.

Neighbours: recipe/blocks/classifier.py (what a recipe says), inference/classifier.py (the model), quality.py (rules
without a model).
"""

from collections.abc import Sequence

from alignment.core.progress import Progress
from alignment.data.rows import Conversation
from alignment.data_factory.filters.check import SOUND, Check, Finding
from alignment.data_factory.filters.responses import response_of
from alignment.recipe.blocks.classifier import Classifier

CHUNK = 1024  # rows that are scored between two progress reports
Windows = Sequence[tuple[float, int]]  # score and tokens of each window of a text


def classifier_check(asked: Classifier) -> Check[Conversation]:
    """The check that a classifier is. Raises ArtifactError, when it judges, if the model cannot be loaded."""

    def judge(rows: Sequence[Conversation]) -> list[Finding]:
        """The model is loaded once, and gone when the rows are judged."""
        from alignment.inference.classifier import TextClassifier

        model = TextClassifier(asked.model, asked.label, asked.max_length, asked.revision)
        progress, found = Progress(asked.name, len(rows)), list[Finding]()
        for start in range(0, len(rows), CHUNK):
            texts = [text_of(row, asked) for row in rows[start : start + CHUNK]]
            found += [finding(asked, windows) for windows in model.scores(texts)]
            progress.report(len(found))
        return found

    return Check(asked.name, sentence(asked), judge)


def sentence(asked: Classifier) -> str:
    """What the check says, for the data card."""
    bound = f"below {asked.at_least:g}" if asked.at_least is not None else f"above {asked.at_most:g}"
    model = asked.model.rstrip("/").rpartition("/")[2] if asked.model.startswith("/") else asked.model
    named = f"`{asked.label}`" if asked.label else "its label"
    return f"{model}{'@' + asked.revision if asked.revision else ''} scores {named} {bound}, reading the {asked.reads}"


def text_of(row: Conversation, asked: Classifier) -> str:
    """What a classifier is shown of a row."""
    if asked.reads == "conversation":
        turns = ((turn.get("reasoning_content") or "", turn.get("content") or "") for turn in row.messages)
        return "\n\n".join(str(text) for pair in turns for text in pair if text)
    last = response_of(row)
    return last.question if asked.reads == "question" else last.answer


def finding(asked: Classifier, windows: Windows) -> Finding:
    """Whether the scores of a text's windows pass the threshold; an empty text cannot be told."""
    if not windows:
        return Finding(None, "nothing to read")
    if asked.at_least is not None:
        mean = sum(score * tokens for score, tokens in windows) / sum(tokens for _, tokens in windows)
        return Finding(True, f"score {mean:.3f}") if mean < asked.at_least else SOUND
    highest = max(score for score, _ in windows)
    return Finding(True, f"score {highest:.3f}") if asked.at_most is not None and highest > asked.at_most else SOUND
