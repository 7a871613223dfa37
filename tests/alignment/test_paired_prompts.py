"""Paired prompts: what a policy leans to, apart from where an answer stands and how it is worded, and how that shifts."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from report_run import write_run

from alignment.core.errors import DataError
from alignment.core.resources import resource
from alignment.data.tables.paired_prompts import PairedPrompt, paired_prompts
from alignment.evaluation.measures.paired_prompts import measure_paired_prompts, pair_odds
from alignment.inference.start import Serving, serve
from alignment.recipe.blocks.evaluation import Evaluations
from alignment.records.paired_prompts import PairedPromptsRecord, PairOdds
from alignment.records.run_folder import StageFolder
from alignment.report import write_report

ROW = PairedPrompt("More, {first} or {second}?", "tea", "coffee", "Less, {first} or {second}?", "drinks", "en")


def measured(leaning: float, first: float, wording: float, row: PairedPrompt = ROW) -> PairOdds:
    """The figures of a policy with these log-odds for `a`, for what stands first, and for the words of `a`."""
    return pair_odds(row, [leaning * role + first * order + wording for _, role, order in row.askings])


def test_what_stands_first_and_how_it_is_worded_cancel() -> None:
    found = measured(leaning=0.7, first=2.0, wording=-3.0)
    assert (found.log_odds, found.order_effect, found.answer_effect) == (0.7, 2.0, -3.0)
    single = PairedPrompt("More, {first} or {second}?", "tea", "coffee")
    found = measured(0.7, 2.0, -3.0, single)
    assert found.log_odds == pytest.approx(-2.3), "without an opposite question the wording stays in it"
    assert found.order_effect == 2.0 and found.answer_effect is None


def test_a_policy_is_asked_in_every_order_and_role_and_its_own_log_probs_decide(tmp_path: Path) -> None:
    table = tmp_path / "own.jsonl"
    rows = [
        {
            "prompt": f"{word}, {{first}} or {{second}}?",
            "opposite": "Less, {first} or {second}?",
            "a": "tea",
            "b": "coffee",
        }
        for word in ("More", "Better")
    ]
    table.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    sampler = serve(
        str(resource("data/base")),
        Serving(Evaluations.model_validate({"engine": "transformers"}).engine, 128, 64, "</think>"),
    )
    asked: list[list[int]] = []
    engine = SimpleNamespace(logprobs=lambda ids: (asked.extend(ids), sampler.engine.logprobs(ids))[1])
    seen = SimpleNamespace(tokenizer=sampler.tokenizer, engine=engine)

    def reading(most_tokens: int) -> PairedPromptsRecord:
        settings = SimpleNamespace(max_prompt_tokens=most_tokens - 10, max_completion_tokens=10)
        return measure_paired_prompts(SimpleNamespace(sampler=seen, settings=settings), str(table))  # type: ignore[arg-type]

    found = reading(400)
    texts = [sampler.tokenizer.decode(ids) for ids in asked]
    assert len(texts) == 2 * 8 and "More, tea or coffee?" in texts[0] and "Less, coffee or tea?" in texts[7]
    assert texts[0].endswith("</think>\n\ntea<|im_end|>") and texts[1].endswith("</think>\n\ncoffee<|im_end|>")
    lengths = [
        len(sampler.tokenizer(one["a" if place % 2 == 0 else "b"])["input_ids"]) + 1
        for one in rows
        for place in range(8)
    ]
    sums = [sum(found[-count:]) for found, count in zip(sampler.engine.logprobs(asked), lengths, strict=True)]
    more_a, more_b, less_a, less_b = (sums[at] - sums[at + 1] for at in (0, 2, 4, 6))
    assert found.rows[0].log_odds == pytest.approx((more_a + more_b - less_a - less_b) / 4, abs=1e-3)
    assert reading(20).left_out == 2
    sampler.engine.close()


def test_the_table_that_ships_has_six_languages() -> None:
    rows = paired_prompts("neutral")
    assert len(rows) == 48 and all(row.opposite for row in rows)
    assert {row.language for row in rows} == {"en", "de", "fr", "es", "it", "pt"}


def test_a_table_that_cannot_be_swapped_is_refused_with_its_line(tmp_path: Path) -> None:
    table = tmp_path / "own.jsonl"
    good = {"prompt": "{first} or {second}?", "a": "x", "b": "y"}
    for wrong, said in (
        ({**good, "prompt": "{first} or y?"}, "own.jsonl:2: `prompt` has no {second}"),
        ({**good, "b": "x"}, "the same answer"),
        ({**good, "anser": "x"}, "unknown key `anser`"),
        ({"a": "x", "b": "y"}, "no text in `prompt`"),
    ):
        table.write_text(f"{json.dumps(good)}\n{json.dumps(wrong)}\n", encoding="utf-8")
        with pytest.raises(DataError, match=said):
            paired_prompts(str(table))
    with pytest.raises(DataError, match="one of: neutral"):
        paired_prompts("nuetral")


def test_the_report_has_the_shift_of_the_same_rows(tmp_path: Path) -> None:
    run = write_run(tmp_path / "paired")
    for stage, moved in (("01-cold_start", 0.0), ("02-reasoning_rl", 0.5)):
        rows = tuple(
            PairOdds("drinks", "en", f"a{row}", f"b{row}", row / 10 + moved * (-1) ** row, 1.0, None)
            for row in range(8)
        )
        PairedPromptsRecord(rows, table="own").write(StageFolder(run / stage).evaluations / "paired_prompts.json")
    write_report(run)
    markdown, page = ((run / f"report.{form}").read_text(encoding="utf-8") for form in ("md", "html"))
    line = next(one for one in markdown.splitlines() if one.startswith("| reasoning\\_rl | drinks"))
    assert "| 8 | +0.35 (" in line and "| cold\\_start | +0.00 (" in line
    assert line.endswith("| +0.50 (+0.50 to +0.50) |"), "opposite shifts do not cancel in their size"
    assert "Paired prompts" in page
