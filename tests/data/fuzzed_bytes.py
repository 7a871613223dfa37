"""Mutations of a file's bytes, each with what must, and may, be read of the file afterwards; and the 300 fuzzed files.

Neighbours: fuzzed_shapes.py (the good files), fuzzed_rows.py (mutations of values), test_fuzzed_files.py (reads them).
"""

import gzip
import json
import random
from collections.abc import Callable

from fuzzed_rows import row_mutations
from fuzzed_shapes import FORMATS, GOOD, ROWS, Mutated, Row, Truth, all_of, as_csv, as_lines, messages, said

ByteMutation = Callable[[list[Row], bytes, int], Mutated]


def without(rows: list[Row], *places: int) -> list[Truth]:
    return [row.truth for number, row in enumerate(rows) if number not in places]


def harmless(change: Callable[[bytes], bytes]) -> ByteMutation:
    return lambda rows, content, at: Mutated("", "", change(content), all_of(rows))


def fatal(change: Callable[[bytes, int], bytes]) -> ByteMutation:
    """The file is no longer of its format: refused, or its rows left out."""
    return lambda rows, content, at: Mutated("", "", change(content, at), [], all_of(rows), refused=True)


def one_line(change: Callable[[bytes], bytes], gone: int = 1) -> ByteMutation:
    """A line that is no longer JSON: its row is left out, and all others are read."""

    def mutate(rows: list[Row], content: bytes, at: int) -> Mutated:
        parts = content.split(b"\n")
        parts[at] = change(parts[at])
        return Mutated("", "", b"\n".join(parts), without(rows, at), gone=gone)

    return mutate


def joined(rows: list[Row], content: bytes, at: int) -> Mutated:
    """Two objects on one line."""
    parts = content.split(b"\n")
    at = min(at, len(rows) - 2)
    parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return Mutated("", "", b"\n".join(parts), without(rows, at, at + 1), gone=1)


def flipped(rows: list[Row], content: bytes, at: int) -> Mutated:
    """One byte is another: the row says what its line then says, or is left out."""
    draw, parts = random.Random(at), content.split(b"\n")
    line = bytearray(parts[at])
    line[draw.randrange(len(line))] = draw.choice(b'abz09"{}[],: \\')
    parts[at] = bytes(line)
    may: list[Truth] = []
    try:
        turns = json.loads(parts[at])["messages"]
        may = [("chat", tuple(said(one["role"], one["content"]) for one in turns), "[]")]
    except (ValueError, KeyError, TypeError):
        pass
    return Mutated("", "", b"\n".join(parts), without(rows, at), may)


def torn_csv(rows: list[Row], content: bytes, at: int) -> Mutated:
    """A record with one field more than the header."""
    parts = content.split(b"\r\n")
    parts[at + 1] += b",more"
    return Mutated("", "", b"\r\n".join(parts), without(rows, at), gone=1)


def byte_mutations(make: Callable[[int], Row], suffix: str) -> dict[str, ByteMutation]:
    """Those of a format."""
    text: dict[str, ByteMutation] = {
        "a byte order mark": harmless(lambda content: b"\xef\xbb\xbf" + content),
        "UTF-16": fatal(lambda content, _: content.decode().encode("utf-16")),
        "nothing": lambda rows, content, at: Mutated("", "", b"", [], must_refuse=True),
    }
    lines: dict[str, ByteMutation] = {
        **text,
        "carriage returns": harmless(lambda content: content.replace(b"\n", b"\r\n")),
        "blank lines": harmless(lambda content: content.replace(b"\n", b"\n\n  \n")),
        "no last line end": harmless(lambda content: content.removesuffix(b"\n")),
        "spaces around": harmless(lambda content: b"".join(b"  " + line + b" \n" for line in content.splitlines())),
        "cut short": lambda rows, content, at: Mutated("", "", content[:-5], without(rows, len(rows) - 1), gone=1),
        "garbage": one_line(lambda line: b"<html>"),
        "a comma behind": one_line(lambda line: line + b","),
        "a byte that is no UTF-8": one_line(lambda line: line[:12] + b"\xff" + line[12:]),
        "zero bytes": one_line(lambda line: b"\x00" * 40),
        "cut in two": one_line(lambda line: line[:25] + b"\n" + line[25:], gone=2),
        "single quotes": one_line(lambda line: line.replace(b'"', b"'")),
        "a key twice": one_line(lambda line: line.replace(b"{", b'{"chosen": 1, "chosen": 2, ', 1)),
        "deep nesting": one_line(lambda line: b"[" * 100_000),
        "an array in a line": one_line(lambda line: b"[" + line + b"]"),
        "a word": one_line(lambda line: b'"text"'),
        "two objects": joined,
    }
    if suffix == ".jsonl":
        first_line = {"an array in a line", "deep nesting"} - set()  # a file that begins with a bracket is an array
        lines |= {name: _not_first(lines[name]) for name in first_line}
        return {**lines, "a flipped byte": flipped} if make is messages else lines
    if suffix == ".jsonl.gz":
        inside: dict[str, ByteMutation] = {name: _packed(one) for name, one in lines.items()}
        inside |= {name: _packed(_not_first(lines[name])) for name in ("an array in a line", "deep nesting")}
        return {
            **inside,
            "packed in two pieces": lambda rows, content, at: Mutated(
                "",
                "",
                b"".join(gzip.compress(line + b"\n") for line in gzip.decompress(content).splitlines()),
                all_of(rows),
            ),
            "a torn package": fatal(lambda content, _: content[: len(content) // 2]),
            "not packed": fatal(lambda content, _: gzip.decompress(content)),
        }
    if suffix == ".json":
        return {
            **text,
            "white space": harmless(lambda content: b"\n\n " + content.replace(b"\n", b" \r\n  ") + b"\n\n"),
            "no white space": harmless(lambda content: json.dumps(json.loads(content)).encode()),
            "as lines": lambda rows, content, at: Mutated("", "", as_lines([row.value for row in rows]), all_of(rows)),
            "no end": fatal(lambda content, _: content.rstrip()[:-1]),
            "more behind": fatal(lambda content, _: content + b"[]"),
            "a comma too many": fatal(lambda content, _: content.rstrip()[:-1] + b",]"),
            "a word among rows": lambda rows, content, at: Mutated(
                "", "", json.dumps([*[row.value for row in rows], "word", None, 3]).encode(), all_of(rows), gone=3
            ),
        }
    if suffix in (".csv", ".tsv"):
        kinds: dict[str, ByteMutation] = {
            **text,
            "line feeds": harmless(lambda content: content.replace(b"\r\n", b"\n")),
            "an open quote": fatal(lambda content, _: content + b'"open'),
            "Latin-1": fatal(lambda content, _: content + b"\xe9\xe8,\xff\r\n"),
            "a column twice": lambda rows, content, at: Mutated(
                "",
                "",
                content.replace(next(iter(rows[0].value)).encode(), list(rows[0].value)[1].encode(), 1),
                [],
                must_refuse=True,
            ),
            "a header alone": lambda rows, content, at: Mutated(
                "", "", content.split(b"\r\n")[0], [], must_refuse=True
            ),
        }
        if suffix == ".csv":
            kinds["a field too many"] = torn_csv
            kinds["semicolons"] = lambda rows, content, at: Mutated(
                "", "", as_csv([row.value for row in rows], ";"), all_of(rows)
            )
            kinds["tabs"] = lambda rows, content, at: Mutated(
                "", "", as_csv([row.value for row in rows], "\t"), all_of(rows)
            )
        return kinds
    return {
        "cut short": fatal(lambda content, _: content[: len(content) // 2]),
        "nothing": text["nothing"],
        "text": lambda rows, content, at: Mutated("", "", as_lines([row.value for row in rows]), [], must_refuse=True),
        "more behind": fatal(lambda content, _: content + b"more"),
        "no beginning": fatal(lambda content, _: content[9:]),
    }


def _not_first(mutation: ByteMutation) -> ByteMutation:
    return lambda rows, content, at: mutation(rows, content, max(1, at))


def _packed(mutation: ByteMutation) -> ByteMutation:
    def mutate(rows: list[Row], content: bytes, at: int) -> Mutated:
        made = mutation(rows, gzip.decompress(content), at)
        made.content = gzip.compress(made.content)
        return made

    return mutate


def mutated(seed: int) -> Mutated:
    """One mutation of one of the good files; the same for the same seed, and every 12 seeds go through all files."""
    draw = random.Random(seed)
    make, suffix = GOOD[seed % len(GOOD)]
    rows = [make(number) for number in range(ROWS)]
    of_rows, of_bytes = row_mutations(make, suffix), byte_mutations(make, suffix)
    names = [*of_rows, *of_bytes]
    name = names[(seed // len(GOOD)) * 7 % len(names)] if len(names) % 7 else names[seed // len(GOOD) % len(names)]
    at = draw.randrange(ROWS)
    title = f"{make.__name__}{suffix}, row {at}: {name}"
    if name in of_rows:
        must, may = of_rows[name](rows[at])
        others = without(rows, at)
        content = FORMATS[suffix]([row.value for row in rows])
        return Mutated(title, suffix, content, [*others, *must], may, gone=0 if must or may else 1)
    made = of_bytes[name](rows, FORMATS[suffix]([row.value for row in rows]), at)
    made.name, made.suffix = title, suffix
    return made
