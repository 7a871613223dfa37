"""What a policy leans to: log-odds of two answers to the same question, with the order and the role of the answers swapped.

A policy may favour what stands first, or an answer's words whatever is asked; both cancel in the mean over the swaps
and are recorded apart. Nothing is sampled: the log-probs of both answers are read after the prompt of non-thinking
mode. The answers' lengths cancel with the role. Neighbours: data/tables/paired_prompts.py (the table),
records/paired_prompts.py (what is recorded).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from alignment.data.chat.template import render_prompt
from alignment.data.chat.turn_end import turn_end_id
from alignment.data.rows import user_turn
from alignment.data.tables.paired_prompts import PairedPrompt, paired_prompts
from alignment.evaluation.answering import Evaluator
from alignment.inference.sampler import Sampler
from alignment.records.paired_prompts import PairedPromptsRecord, PairOdds

AT_ONCE = 32  # sequences


def measure_paired_prompts(evaluator: Evaluator, table: str) -> PairedPromptsRecord:
    """The log-odds of a table's rows under the evaluator's policy; table: a name or path.

    Rows whose prompt and answer are longer than the evaluation's sequences are left out and counted.
    """
    sampler = evaluator.sampler
    most_tokens = evaluator.settings.max_prompt_tokens + evaluator.settings.max_completion_tokens
    rows = paired_prompts(table)
    asked = [[_sequences(sampler, row, text) for text, _, _ in row.askings] for row in rows]
    fitting = [all(len(ids) <= most_tokens for pair in one for ids, _ in pair) for one in asked]
    kept = [(row, one) for row, one, fits in zip(rows, asked, fitting, strict=True) if fits]
    flat = [sequence for _, one in kept for pair in one for sequence in pair]
    scored = _logprobs(sampler, [ids for ids, _ in flat])
    odds = []
    for row, one in kept:
        found = [[sum(next(scored)[start - 1 :]) for _, start in pair] for pair in one]
        odds.append(pair_odds(row, [first - second for first, second in found]))
    return PairedPromptsRecord(tuple(odds), len(rows) - len(kept), Path(table).stem)


def _logprobs(sampler: Sampler, sequences: Sequence[list[int]]) -> Iterator[list[float]]:
    """The log-probs of sequences in order, a few at a time, since engines may hold a call's logits at once."""
    for start in range(0, len(sequences), AT_ONCE):
        yield from sampler.engine.logprobs(sequences[start : start + AT_ONCE])


def pair_odds(row: PairedPrompt, differences: Sequence[float]) -> PairOdds:
    """One row's figures. differences: log-prob of `a` less that of `b` in nats, in the order of `askings`."""
    askings = row.askings
    count = len(askings)
    signed = list(zip(differences, askings, strict=True))
    return PairOdds(
        group=row.group,
        language=row.language,
        a=row.a,
        b=row.b,
        log_odds=round(sum(odds * role for odds, (_, role, _) in signed) / count, 4),
        order_effect=round(sum(odds * order for odds, (_, _, order) in signed) / count, 4),
        answer_effect=round(sum(differences) / count, 4) if row.opposite else None,
    )


def _sequences(sampler: Sampler, row: PairedPrompt, text: str) -> list[tuple[list[int], int]]:
    """The token ids of a prompt with each answer and the end of its turn, and where the answer begins."""
    tokenizer = sampler.tokenizer
    prompt = render_prompt(tokenizer, [user_turn(text)], "non_thinking", flagged=False)
    end = turn_end_id(tokenizer)
    answers = (list(tokenizer(answer, add_special_tokens=False)["input_ids"]) for answer in (row.a, row.b))
    return [([*prompt, *ids, *([] if end is None else [end])], len(prompt)) for ids in answers]
