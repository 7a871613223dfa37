"""Time and memory of deduplicating short rows: `python benchmarks/deduplicate.py [ROWS]`, a million without.

Rows are made questions of some twenty words; a tenth are equal copies and a tenth nearly equal. Printed: seconds, the largest
resident memory, and what fraction of the planted copies was found.
"""

import random
import resource
import sys
import time

from alignment.data_factory.duplicates import copies

FIRST = [
    "al",
    "bo",
    "ca",
    "den",
    "el",
    "fu",
    "gar",
    "hi",
    "im",
    "jo",
    "ka",
    "lo",
    "mer",
    "ni",
    "or",
    "pra",
    "qui",
    "ro",
    "sa",
    "tor",
]
LAST = ["ra", "lent", "mi", "nos", "pek", "qua", "rst", "sto", "tun", "vy", "da", "ber", "col", "fen"]
WORDS = [first + last for first in FIRST for last in LAST]


def rows(count: int) -> list[str]:
    """`count` rows: four fifths drawn, a tenth equal copies, a tenth with the last word changed."""
    drawn = random.Random(3)
    plain = [" ".join(drawn.choices(WORDS, k=drawn.randint(16, 24))) for _ in range(count * 8 // 10)]
    equal = [drawn.choice(plain).upper() for _ in range(count // 10)]
    near = [" ".join([*drawn.choice(plain).split()[:-1], "otherwise"]) for _ in range(count // 10)]
    return plain + equal + near


def main() -> None:
    """Time the search, and count the planted copies that it finds and the rows that it wrongly calls copies."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    made = rows(count)
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    found = copies(made, 0.8)
    seconds, cpu = time.perf_counter() - started, time.process_time()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    plain = count * 8 // 10
    planted = sum(one is not None for one in found[plain:]) / (count - plain)
    wrong = sum(one is not None for one in found[:plain])
    print(
        f"{count:,} rows: {seconds:.1f} s ({cpu:.0f} s of one core with making the rows), {memory / 2**20:.2f} GiB at most "
        f"({before / 2**20:.2f} before), {planted:.2%} of planted copies found, {wrong} others"
    )


if __name__ == "__main__":
    main()
