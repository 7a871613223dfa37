"""Recorded classes as JSON: what is written is read back, what is damaged is named, and what can be spared is spared."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import pytest

from alignment.core.errors import ArtifactError
from alignment.core.files import append_json_lines, read_json_lines, write_json_lines, write_text
from alignment.core.locks import hold
from alignment.core.statistics.estimate import Estimate
from alignment.core.typed_json import INLINE, Unreadable, decode, encode
from alignment.records.file_record import FileRecord, LineRecord

BREAKS = "a\u2028b\u2029c\u0085d"  # line breaks for str.splitlines(), and for nobody else


@dataclass(frozen=True)
class Part:
    """A part."""

    name: Annotated[str, "its name"]
    share: Annotated[Estimate, "of the whole"]


@dataclass(frozen=True)
class Whole(FileRecord):
    """A whole."""

    kind: Annotated[Literal["big", "small"], "its kind"]
    first: Annotated[Part, INLINE]
    parts: Annotated[tuple[Part, ...], "all of them"] = ()
    size: Annotated[int | None, "its size"] = None
    rest: Annotated[dict[str, float], INLINE] = field(default_factory=dict)


WHOLE = Whole("big", Part("one", Estimate(0.5, 0.4, 0.6)), (Part("two", Estimate(None)),), 3, {"weight": 1.5})


@dataclass(frozen=True)
class Line(LineRecord):
    """A line."""

    text: Annotated[str, "its text"]


def test_a_value_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    WHOLE.write(tmp_path / "whole.json")
    assert Whole.read(tmp_path / "whole.json") == WHOLE
    found = json.loads((tmp_path / "whole.json").read_text())
    assert (found["name"], found["share"], found["share_low"], found["share_high"]) == ("one", 0.5, 0.4, 0.6)
    assert found["weight"] == 1.5 and "rest" not in found and "first" not in found


def test_unknown_keys_are_ignored_and_missing_optional_ones_are_none() -> None:
    found = decode(Whole, {"kind": "small", "name": "x", "share": 1, "colour": "red", "invented": [1]})
    assert found == Whole("small", Part("x", Estimate(1.0)))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"kind": "huge"}, "kind: found 'huge', and one of big, small is needed"),
        ({"name": 3}, "name: found 3, and text is needed"),
        ({"share": "half"}, "share: found 'half', and a number is needed"),
        ({"parts": [{"name": "x"}]}, "parts.0.share is missing"),
        ({"parts": 4}, "parts: found 4, and a list is needed"),
        ({"size": 1.5}, "size: found 1.5, and a whole number is needed"),
        ({"size": True}, "size: found True"),
    ],
)
def test_damage_is_named_by_file_and_place(tmp_path: Path, change: dict[str, object], says: str) -> None:
    (tmp_path / "whole.json").write_text(json.dumps(encode(WHOLE) | change))
    with pytest.raises(ArtifactError) as caught:
        Whole.read(tmp_path / "whole.json")
    assert str(caught.value).startswith(f"{tmp_path / 'whole.json'}: is damaged: ") and says in str(caught.value)


def test_a_report_spares_what_can_be_spared_and_says_what_it_left_out() -> None:
    damage: list[str] = []
    good = encode(WHOLE.parts[0])
    found = decode(Whole, encode(WHOLE) | {"parts": [good, {"name": 1}, 7], "size": "large"}, damage)
    assert found == Whole("big", WHOLE.first, WHOLE.parts, None, {"weight": 1.5})
    assert damage[0] == "has 2 parts that cannot be read, which were left out." and "size" in damage[1]
    with pytest.raises(Unreadable, match="kind is missing"):
        decode(Whole, {}, damage)


def test_a_line_that_a_kill_cut_short_is_passed_over_and_the_next_stands_on_its_own(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    Line("whole").append(path)
    with path.open("a") as file:
        file.write('{"text": "cut sh')
    Line("next").append(path)
    damaged: list[int] = []
    assert [line.text for line in Line.read_lines(path)] == ["whole", "next"]
    assert len(list(read_json_lines(path, damaged))) == 2 and damaged == [2]


def test_only_a_newline_ends_a_line(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    write_json_lines(path, [Line(BREAKS), Line("half a \ud83d character")])
    append_json_lines(path, [Line(BREAKS)])
    assert BREAKS in path.read_text(encoding="utf-8"), "it is written as it is"
    assert [line.text for line in Line.read_lines(path)] == [BREAKS, "half a \ud83d character", BREAKS]


def test_a_write_that_is_interrupted_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    write_text(path, "old")
    with pytest.raises(TypeError):
        write_json_lines(path, [object()])
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["report.md"]


def test_a_lock_is_held_by_one_process_and_freed_by_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "folder" / ".lock"
    code = "import sys, time; from pathlib import Path; from alignment.core.locks import hold; "
    code += "held = hold(Path(sys.argv[1]), 'taken'); print('held', flush=True); time.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None and other.stdout.readline() == "held\n"
    waited: list[float] = []
    with pytest.raises(ArtifactError, match=r"\.lock: taken by another"):
        hold(path, "taken by another", patience_seconds=0.5, on_wait=lambda: waited.append(time.monotonic()))
    assert len(waited) == 1, "it is said once"
    other.kill()
    other.wait()
    with hold(path, "taken by another", patience_seconds=5):
        pass


def test_an_estimate_that_may_be_missing_is_an_unknown_one_so_that_its_keys_are_always_the_same() -> None:
    @dataclass(frozen=True)
    class Twice:
        """An estimate that could be unknown in two ways."""

        share: Annotated[Estimate | None, "of the whole"] = None

    with pytest.raises(TypeError, match="share: .* write `Estimate` with the default UNKNOWN"):
        encode(Twice())
