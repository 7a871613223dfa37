"""Two policies compared by a judge: both orders, what length and position explain, and nothing asked or sampled twice."""

import json
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from alignment.commands.compare.options import CompareOptions
from alignment.commands.evaluate.options import EvaluateOptions
from alignment.core.errors import AlignmentError, ArtifactError, DataError, OptionError, RecipeError
from alignment.core.files import canonical_hash, folder_files, write_json, write_json_lines
from alignment.core.resources import resource
from alignment.core.statistics.length_control import length_controlled
from alignment.evaluation.comparison.judging import Judged, judged, open_judge
from alignment.evaluation.comparison.plan import ComparisonPlan
from alignment.recipe.blocks.evaluation import Evaluations
from alignment.recipe.blocks.hardware import Hardware
from alignment.records.comparison import ComparedPair, ComparisonFigures, ComparisonRecord, RecordedAnswer
from alignment.records.manifest import Manifest
from alignment.records.policies import Policy
from alignment.records.run_folder import RunFolder
from alignment.report.build import build_report
from alignment.report.render.html import render_page
from alignment.report.render.markdown import render_markdown
from alignment.report.run import read_run
from judge_server import JudgeServer
from smoke.processes import alignment

USAGE = {"prompt_tokens": 100, "completion_tokens": 10}


def planned(folder: Path, *answers: tuple[str, str]) -> ComparisonPlan:
    """Two policies whose answers are sampled already: one pair for each problem."""
    plan = ComparisonPlan(
        a=Policy("general_rl", folder / "a", "1" * 64),
        b=Policy("mode_fusion", folder / "b", "2" * 64),
        modes=("thinking",),
        settings=Evaluations(after_each_stage=["chain-sum"]),
        output=folder / "comparisons",
        hardware=Hardware(),
    )
    for side, (_, policy) in enumerate(plan.sides):
        rows = [
            RecordedAnswer(
                "chain-sum", f"p{n}", 0, ({"role": "user", "content": f"question {n}"},), pair[side], len(pair[side]), 0, False
            )
            for n, pair in enumerate(answers)
        ]  # fmt: skip
        write_json_lines(plan.answers_file(policy, "thinking"), rows)
    return plan


def compared(plan: ComparisonPlan, server: JudgeServer, **options: Any) -> Judged:
    judge = open_judge({"base_url": server.base_url, "retries": 0, "judgements": str(plan.judgements), **options})
    return judged(plan, judge, lambda done, total: None)


def only(found: Judged) -> ComparisonFigures:
    (figures,) = found.record.figures
    return figures


GOOD = [(f"a good answer {n}", f"a poor answer {n}") for n in range(8)]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of two trained stages, the second started from the first."""
    write_json(tmp_path / "run.json", {"recipe": "small"})
    (tmp_path / "recipe.yaml").write_text(
        "name: small\nmodel: embedded\nhardware: {accelerate: cpu}\nstages:\n"
        "  - {name: cold_start, kind: sft, data: tiny-cold-start}\n  - {name: more, kind: sft, data: tiny-cold-start}\n"
        "evaluations: {after_each_stage: [chain-sum], count: 3, max_completion_tokens: 24, engine: transformers}\n",
        encoding="utf-8",
    )
    inputs = {"model": "m" * 64}
    for number, name in enumerate(("cold_start", "more"), 1):
        folder = RunFolder(tmp_path).stage(number, name)
        shutil.copytree(resource("data/base"), folder.output)
        (folder.output / "README.md").write_text(name, encoding="utf-8")
        files = folder_files(folder.output)
        hashed = canonical_hash({**files, "stage": name})
        Manifest(name, "sft", {}, "", inputs, files, hashed, 0, 1.0).write(folder.manifest_path)
        inputs = {name: hashed}
    return tmp_path


def test_the_better_policy_wins_in_both_orders_and_is_asked_about_once(tmp_path: Path) -> None:
    plan = planned(tmp_path, *GOOD, ("bad", "the good one"), ("neither", "of them"))
    with JudgeServer(usage=USAGE) as server:
        found = compared(plan, server, price_per_million_input=2.0)
        assert len(server.requests) == 20
        again = compared(plan, server)
        assert len(server.requests) == 20, "what was judged is kept by content"
    figures = only(found)
    assert (figures.pairs, figures.wins, figures.losses, figures.ties, figures.unjudged) == (10, 8, 1, 1, 0)
    assert figures.win_rate.value == 0.85
    assert figures.win_rate.low is not None and 0.5 < figures.win_rate.low < 0.85
    assert figures.first_won.value == 0.5 and figures.orders_disagree.value == 0.0
    assert (figures.a.mean_characters.value, figures.b.mean_characters.value) == (13.0, 13.9)
    assert found.record.judge == "small-judge" and found.record.cautions == ()
    assert (found.record.spending.asked, found.record.spending.tokens) == (20, 2200)
    assert found.record.spending.cost == pytest.approx(20 * 100 * 2 / 1e6)
    assert (again.record.spending.asked, again.record.spending.cached) == (0, 20)
    (file,) = (tmp_path / "comparisons").glob("*.json")
    assert file.name.startswith("general_rl-against-mode_fusion-")
    assert ComparisonRecord.read(file).figures == found.record.figures
    rows = list(ComparedPair.read_lines(file.with_suffix(".jsonl")))
    assert (rows[8].winner, rows[8].a_first, rows[8].b_first, rows[8].b) == ("b", "b", "b", "the good one")


def test_a_judge_that_prefers_the_first_answer_is_found_out(tmp_path: Path) -> None:
    with JudgeServer(prefer_first=True) as server:
        found = compared(planned(tmp_path, *GOOD), server)
    figures = only(found)
    assert (figures.ties, figures.win_rate.value, figures.orders_disagree.value) == (8, 0.5, 1.0)
    assert figures.first_won.value == 1.0
    assert "prefers what stands first (100% of its verdicts)" in found.record.cautions[0]


def of_lengths(lengths: Sequence[tuple[int, int]]) -> list[tuple[str, str]]:
    return [("x" * a + f" {n}", "y" * b + f" {n}") for n, (a, b) in enumerate(lengths)]


def test_a_judge_that_prefers_length_is_seen_and_taken_out(tmp_path: Path) -> None:
    draw = random.Random(0)
    lengths = [(draw.randint(20, 120), draw.randint(10, 80)) for _ in range(60)]
    with JudgeServer(prefer_longer=True) as server:
        found = compared(planned(tmp_path, *of_lengths(lengths)), server)
    figures = only(found)
    won = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in lengths)
    assert figures.win_rate.value == pytest.approx(won / 60, abs=1e-3)
    assert figures.win_rate.low is not None and figures.win_rate.low > 0.6, "it would be called clearly better"
    assert (figures.longer_won.value, figures.if_shorter.value, figures.if_longer.value) == (1.0, 0.0, 1.0)
    controlled = figures.length_controlled
    assert controlled.low is not None and controlled.high is not None and controlled.value is not None
    assert controlled.low < 0.5 < controlled.high and controlled.value < figures.win_rate.value - 0.1
    assert any("the longer answer is better in 100% of the pairs" in one for one in found.record.cautions)


def test_what_needs_no_judge_is_not_asked_and_what_has_no_verdict_is_no_loss(tmp_path: Path) -> None:
    known = [("", "something"), ("something", ""), ("the same", "the same"), ("", "")]
    with JudgeServer(500, "refuse", usage=USAGE) as server:
        found = compared(planned(tmp_path, *known, *GOOD[:3]), server, concurrency=1)
        assert len(server.requests) == 6
    figures = only(found)
    assert (figures.wins, figures.losses, figures.ties, figures.unjudged) == (3, 1, 2, 1)
    assert found.record.unjudged == {"judge_http_error": 1} and figures.a.no_answer == 2
    assert figures.win_rate.value == pytest.approx(4 / 6, abs=1e-4)
    assert "1 of 7 pairs have no verdict" in found.record.cautions[-1]
    with JudgeServer(reply="I like them both") as server, pytest.raises(DataError, match="judge_unparsable 3"):
        compared(planned(tmp_path / "none", *GOOD[:3]), server)


def test_a_spent_budget_leaves_pairs_open_and_a_larger_one_pays_for_the_rest_alone(tmp_path: Path) -> None:
    plan = planned(tmp_path, *GOOD)
    with JudgeServer(usage=USAGE) as server:
        poor = compared(plan, server, max_tokens_total=660, concurrency=1)
        assert len(server.requests) == 6 and poor.budget_is_spent and only(poor).unjudged == 5
        rich = compared(plan, server, max_tokens_total=100_000)
        assert len(server.requests) == 16 and not rich.budget_is_spent and only(rich).wins == 8
    assert len(list(plan.output.glob("*.json"))) == 1, "a budget makes no other comparison"


def test_the_regression_finds_what_is_left_at_equal_lengths() -> None:
    draw = random.Random(1)
    longer = [draw.gauss(0.5, 1.0) for _ in range(4000)]
    won = [float(draw.random() < 0.5) for _ in longer]
    biased = [1.0 if by > 0 else 0.0 for by in longer]
    assert length_controlled(won, longer).value == pytest.approx(0.5, abs=0.03)
    assert sum(biased) / len(biased) > 0.65 and length_controlled(biased, longer).value == pytest.approx(0.5, abs=0.05)
    better = [float(draw.random() < 0.8) for _ in longer]
    found = length_controlled(better, longer)
    assert found.low is not None and found.high is not None and found.low < 0.8 < found.high < 0.84
    assert length_controlled([], []).value is None
    always = length_controlled([1.0] * 100, [30.0] * 100)
    assert always.low is not None and always.low < 0.5, "length and quality cannot be told apart"
    assert length_controlled([1.0] * 100, [0.0] * 100).low == pytest.approx(0.94, abs=0.03)


def test_the_report_shows_a_comparison_and_says_when_it_is_stale(run: Path) -> None:
    plan = planned(run, *GOOD)
    with JudgeServer(prefer_first=True) as server:
        compared(plan, server)
    document = build_report(read_run(run))
    page, text = render_page(document, read_run(run)), render_markdown(document)
    assert document.pairwise[0].figures[0].pairs == 8
    for form in (page, text):
        assert "Pairwise comparisons" in form and "no clear difference" in form and "prefers what stands first" in form
    record = document.pairwise[0]
    stale = record.a.__class__("cold_start", "9" * 64)
    (file,) = plan.output.glob("*.json")
    ComparisonRecord(**{**vars(record), "a": stale}).write(file)
    assert any("is of another policy than is there now" in note for note in build_report(read_run(run)).notes)


def options(path: Path, stage: str | None = None, against: str | None = None, tasks: str = "") -> CompareOptions:
    return CompareOptions(EvaluateOptions(path, stage, tasks), against, "http://127.0.0.1:1/v1")


def test_a_stage_is_compared_with_what_it_started_from_unless_another_is_named(run: Path, tmp_path: Path) -> None:
    plan = options(run).plan()
    assert (plan.a.name, plan.b.name) == ("more", "cold_start") and plan.output == run / "comparisons"
    first = options(run, "cold_start").plan()
    assert (first.a.name, first.b.name, first.b.folder) == ("cold_start", "model", resource("data/base"))
    assert options(run, "cold_start", "more").plan().b.name == "more"
    folders = run / "01-cold_start" / "output", run / "02-more" / "output"
    apart = options(folders[0], against=str(folders[1]), tasks="chain-sum").plan()
    assert (apart.a.name, apart.b.name) == ("01-cold_start-output", "02-more-output")
    assert apart.output == Path("runs/comparisons-output")


@pytest.mark.parametrize(
    ("stage", "against", "kind", "message"),
    [
        ("more", "more", OptionError, "are one policy; write another --stage or --against"),
        (None, "nothing", OptionError, "no such folder, or one of cold_start, more"),
        ("fusion", None, ArtifactError, "has no stage `fusion`"),
    ],
)
def test_policies_that_are_not_two_are_refused(
    run: Path, stage: str | None, against: str | None, kind: type[AlignmentError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        options(run, stage, against).plan()


def test_a_model_folder_needs_another_and_a_judge_of_pairs_has_no_rubric(run: Path) -> None:
    with pytest.raises(OptionError, match="has no stage before it; write --against"):
        options(run / "02-more" / "output", tasks="chain-sum").plan()
    for given, message in (({"form": "rubric"}, "does not read the option 'form'"), ({"modl": "x"}, "'modl'")):
        with pytest.raises(RecipeError, match=message):
            open_judge(given)
    with pytest.raises(RecipeError, match="retries not below it"):
        open_judge({"retries": -1})


def test_the_command_samples_judges_and_writes_a_report_and_does_nothing_twice(run: Path) -> None:
    weights = run / "02-more" / "output" / "model.safetensors"
    save_file({name: value * 1.2 for name, value in load_file(weights).items()}, weights, {"format": "pt"})
    command = ["compare", str(run), "--modes", "non_thinking", "--samples", "2"]
    with JudgeServer(prefer_longer=True) as server:
        command += ["--judge", server.base_url, "--option", "retries=0", "--seed", "5", "--json"]
        first, second = (alignment(*command) for _ in range(2))
        asked = len(server.requests)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    found, again = json.loads(first.stdout), json.loads(second.stdout)
    (figures,) = found["figures"]
    assert figures["pairs"] == 6 and 0 < found["asked"] == asked, "the second command asked nothing"
    assert again["figures"] == found["figures"] and (again["asked"], again["cached"]) == (0, asked)
    assert len(list((run / "comparisons" / "answers").glob("*.jsonl"))) == 2
    assert "sampling answers" in first.stderr and "sampling answers" not in second.stderr
    assert "Pairwise comparisons" in (run / "report.md").read_text(encoding="utf-8")
