"""A stage that cannot train says why in words, and nothing that a launcher prints after it is shown."""

from pathlib import Path

import pytest

from smoke.processes import alignment
from smoke.small_recipe import cold_start, write_recipe


@pytest.mark.parametrize(
    ("hardware", "status"),
    [({"accelerate": "cpu"}, 2), ({"accelerate": "cpu-2", "processes": 2}, 1)],  # 1: whatever it was, says the launcher
    ids=["1", "2"],
)
def test_a_stage_without_a_row_that_fits_says_so(hardware: dict[str, object], status: int, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "small.yaml", cold_start(max_length=16), hardware=hardware, evaluations={})
    done = alignment("run", recipe, "--run", tmp_path / "run")
    assert done.returncode == 1
    log = tmp_path / "run" / "01-cold_start" / "attempts" / "01.log"
    first, second = done.stderr.strip().splitlines()
    assert first == f"cold_start (sft): failed with exit status {status} ({log}):"
    assert second.startswith("all 96 rows are longer than max_length 16")
    assert "error: all 96 rows" in log.read_text(encoding="utf-8"), "the log has the error, and the rest of it"
