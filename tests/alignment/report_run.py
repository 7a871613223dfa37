"""Small run directories for the report's tests, written file by file as a run would leave them."""

import json
import math
from pathlib import Path
from typing import Any

STAGES = [("cold_start", "sft"), ("reasoning_rl", "grpo"), ("fusion_data", "sample"), ("mode_fusion", "sft")]
HOSTILE = "<script>alert('owned')</script><img src=x onerror=alert(1)>"


def put(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def put_lines(path: Path, lines: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")


def wilson(share: float, count: int) -> tuple[float, float]:
    z = 1.96
    middle = share + z * z / (2 * count)
    reach = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return (middle - reach) / (1 + z * z / count), (middle + reach) / (1 + z * z / count)


def scored(share: float, count: int = 500) -> dict[str, Any]:
    low, high = wilson(share, count)
    return {"count": count, "accuracy": share, "accuracy_low": low, "accuracy_high": high}


def evaluation(stage: str, mode: str, share: float, text: str = "<think>1 + 1</think>\n\n2") -> dict[str, Any]:
    measures = {"format": 0.9, "think_follow": 0.95, "mean_thinking_tokens": 40, "mean_answer_tokens": 8}
    sample = {"task": "sum", "question": "1 + 1?", "answer": "2", "text": text, "correct": True, "thinking_tokens": 5}
    tasks = [{"task": "sum"} | scored(share, 250), {"task": "sort"} | scored(share, 250)]
    rest = {"truncated_fraction": 0.01, "unknown": 0, "seconds": 3.0, "tasks": tasks, "samples": [sample]}
    return {"stage": stage, "mode": mode} | scored(share) | measures | rest


def write_stage(run: Path, number: int, shares: dict[str, float], text: str = "2") -> Path:
    name, kind = STAGES[number - 1]
    folder = run / f"{number:02d}-{name}"
    inputs = {"model": "m" * 64} if number == 1 else {STAGES[number - 2][0]: f"{number - 1}" * 64}
    put(folder / "stage.json", {"name": name, "kind": kind, "identity": {}})
    put(folder / "attempts" / "01.json", {"started": 0, "ended": 60, "outcome": "finished"})
    manifest = {"name": name, "kind": kind, "outcome": "finished", "inputs": inputs, "output_hash": f"{number}" * 64}
    put(folder / "manifest.json", manifest | {"seconds": 60.0, "steps": 30, "tokens": 9000, "counts": {"rows": 10}})
    rising = [{"step": step, "steps": 30, "loss": 2 / step, "reward": step / 30} for step in range(1, 31)]
    put_lines(folder / "metrics.jsonl", rising)
    rollout = {"question": text, "answer": "2", "mode": "thinking", "text": text, "reward": 1.0, "stop_reason": "end"}
    put_lines(folder / "rollouts.jsonl", [rollout | {"step": step} for step in (1, 30)])
    for mode, share in shares.items():
        put(folder / "evaluations" / f"{mode}.json", evaluation(name, mode, share, text))
    return folder


CARD = {
    "schema": 1,
    "shares": {"thinking_fraction": {"words": "rows that think", "asked": 0.5, "made": 0.4, "rows": 4, "of": 10}},
    "flags": {"thinking": {"none": 2, "user": 2}, "non_thinking": {"system": 1, "user": 5}},
    "turns": {"1": 8, "2": 2},
    "flag_changes": 1,
    "data": [
        {"source": "sums", "licences": {"sums": "MIT"}, "rows_read": 12, "left_out": {"too long": 2}, "rows_used": 10}
    ],
}


def put_card(stage: Path, text: str = "<|im_start|>user\n1 + 1 /think<|im_end|>") -> None:
    """The data card of a fusion stage, with one rendered sample."""
    manifest = json.loads((stage / "manifest.json").read_text(encoding="utf-8"))
    put(stage / "manifest.json", manifest | {"kind": "fusion", "counts": {"rows": 10, "modes": {"thinking": 4}}})
    put(
        stage / "output" / "card.json",
        CARD | {"samples": [{"mode": "thinking", "flag": "user", "turns": 1, "text": text}]},
    )


def write_run(run: Path, text: str = "<think>1 + 1</think>\n\n2") -> Path:
    versions = {"torch": "2.11.0"}
    put(run / "run.json", {"recipe": "tiny", "seed": 17, "model": "base", "started": "2026-01-02T03:04:05+00:00"})
    put(run / "run.json", json.loads((run / "run.json").read_text()) | {"versions": versions, "hardware": {"cores": 2}})
    stages = "".join(f"  - {{name: {name}, kind: {kind}}}\n" for name, kind in STAGES)
    (run / "recipe.yaml").write_text(f"name: tiny\nstages:\n{stages}", encoding="utf-8")
    for number, thinking, plain in ((1, 0.4, 0.2), (2, 0.8, 0.2), (3, None, None), (4, 0.7, 0.5)):
        shares = {} if thinking is None or plain is None else {"thinking": thinking, "non_thinking": plain}
        folder = write_stage(run, number, shares, text)
    sweep = [
        {"budget": budget, "mean_thinking_tokens": budget / 2, "mean_answer_tokens": 8, "forced_fraction": 0.5}
        | scored(share)
        for budget, share in ((0, 0.4), (64, 0.5), (256, 0.7))
    ]
    put(folder / "evaluations" / "budget.json", {"points": sweep})
    return run
