"""Files of known verdicts for tests of judges."""

import json
from pathlib import Path


def known_sums(path: Path, *, wrong: int = 8, right: int = 8) -> Path:
    """Sums with right and wrong answers, which JudgeServer tells apart by their last word."""
    rows = [
        {
            "question": f"What is {one} + 1?",
            "response": f"It is {one + 1 + off}",
            "score": not off,
            "answer": str(one + 1),
        }
        for off, count in ((0, right), (3, wrong))
        for one in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
