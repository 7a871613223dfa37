"""The table of `math_answer`: numbers, percent, units, fractions, LaTeX, sets, intervals, matrices, choices, and cheats."""

from rewards.kind import Group, Row
from rewards.kinds.math_answer.table.forms import WRITTEN_RIGHT, WRITTEN_UNJUDGEABLE, WRITTEN_WRONG
from rewards.kinds.math_answer.table.notations import NOTED_RIGHT, NOTED_WRONG
from rewards.kinds.math_answer.table.readings import READ_GARBAGE, READ_RIGHT, READ_WRONG
from rewards.kinds.math_answer.table.signs import SIGNED_RIGHT, SIGNED_WRONG

GOLD: tuple[tuple[str, str], ...] = (
    (r"\frac{3}{4}", r"\boxed{\dfrac{9}{12}}"),  # first, because it starts the processes that read mathematics
    ("84", r"So the total is \boxed{84}."),
    ("84", "<think>\nPerhaps 48.\n</think>\n\n\\boxed{84}"),
    ("-17", r"\boxed{-17}"),
    ("1250", r"\boxed{1,250}"),
    ("1250", r"\boxed{1{,}250}"),
    ("2,400", r"The answer is $2400 per month."),
    ("He has 3 bags of 7.\n#### 21", "Three bags of seven.\n#### 21"),
    ("35%", r"\boxed{35\%}"),
    ("0.35", r"\boxed{35\%}"),
    ("12", r"\boxed{12\text{ cm}}"),
    ("12", r"\boxed{12 \mathrm{~km/h}}"),
    ("90", r"\boxed{90^\circ}"),
    ("6.5", r"\boxed{6.50}"),
    ("0.125", r"\boxed{\frac18}"),
    (r"\frac{7}{2}", r"\boxed{3.5}"),
    (r"\frac{7}{2}", r"\boxed{7/2}"),
    (r"-\frac{2}{3}", r"\boxed{\frac{-2}{3}}"),
    (r"\sqrt{12}", r"\boxed{2\sqrt{3}}"),
    (r"\frac{1}{\sqrt{2}}", r"\boxed{\frac{\sqrt{2}}{2}}"),
    (r"2\pi", r"\boxed{2 \cdot \pi}"),
    ("1024", r"\boxed{2^{10}}"),
    ("x^2-4", r"\boxed{(x-2)(x+2)}"),
    ("2x+6", r"\boxed{2(x+3)}"),
    (r"\{1,2,5\}", r"\boxed{\{5, 1, 2\}}"),
    ("-1, 4", r"\boxed{4, -1}"),
    ("-1, 4", r"\boxed{x = -1 \text{ or } x = 4}"),
    ("(2,5)", r"\boxed{(2, 5)}"),
    (r"[0,\infty)", r"\boxed{[0, \infty)}"),
    (r"[-3,3]", r"\boxed{-3 \le x \le 3}"),
    (r"(-\infty,1)\cup(2,\infty)", r"\boxed{(-\infty, 1) \cup (2, \infty)}"),
    (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\boxed{\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}}"),
    (r"\begin{pmatrix}1/2\\3\end{pmatrix}", r"\boxed{\begin{pmatrix} \frac{1}{2} \\ 3 \end{pmatrix}}"),
    (r"\text{(B)}", r"\boxed{B}"),
    ("B", r"\boxed{\text{(B)}}"),
    ("D", "The answer is (D)."),
    (r"\text{even}", r"\boxed{Even}"),
    ("101_2", r"\boxed{101_{2}}"),
    ("y=3", r"\boxed{3}"),
    (r"\cot x", r"\boxed{\cot x}"),
    (r"\{1\pm\sqrt{5},-2\}", r"\boxed{\{-2, 1-\sqrt5, 1+\sqrt5\}}"),
    ("3.2 \\times 10^{5}", r"\boxed{320000}"),
)

NEAR_MISS: tuple[tuple[str, str], ...] = (
    ("84", r"\boxed{48}"),
    ("84", r"\boxed{-84}"),
    ("84", r"\boxed{84.1}"),
    ("84", r"\boxed{840}"),
    ("84", r"First \boxed{84}, no: \boxed{83}"),
    ("35%", r"\boxed{350\%}"),
    ("0.35", r"\boxed{0.36\%}"),
    (r"\frac{3}{4}", r"\boxed{\frac{4}{3}}"),
    (r"\frac{1}{3}", r"\boxed{0.333}"),
    (r"\sqrt{12}", r"\boxed{3\sqrt{2}}"),
    (r"2\pi", r"\boxed{\pi^2}"),
    ("x^2-4", r"\boxed{(x-2)^2}"),
    (r"\{1,2,5\}", r"\boxed{\{1, 2\}}"),
    (r"\{1,2,5\}", r"\boxed{\{1, 2, 6\}}"),
    ("-1, 4", r"\boxed{4}"),
    ("(2,5)", r"\boxed{(5, 2)}"),
    (r"[-3,3]", r"\boxed{(-3, 3)}"),
    (r"[0,\infty)", r"\boxed{(0, \infty)}"),
    (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\boxed{\begin{pmatrix} 1 & 3 \\ 2 & 4 \end{pmatrix}}"),
    (r"\text{(B)}", r"\boxed{C}"),
    (r"\text{even}", r"\boxed{odd}"),
    ("101_2", r"\boxed{101_3}"),
    ("12", r"\boxed{12 thousand}"),
    (r"\cot x", r"\boxed{\tan x}"),
)

GARBAGE: tuple[tuple[str, str], ...] = (
    ("84", ""),
    ("84", "I do not know."),
    ("84", r"\boxed{}"),
    ("84", r"\boxed{84"[:-2]),
    ("84", "<think>\n\\boxed{84}"),
    ("84", "<think>\n\\boxed{84}\n</think>\n\nWell."),
    ("84", r"\boxed{?!}"),
    (r"\frac{3}{4}", r"\boxed{\frac{3}{}"),
)

UNJUDGEABLE: tuple[tuple[object, str], ...] = (
    ("", r"\boxed{84}"),
    ("???", r"\boxed{???}"),
    (r"\frac{1}{", r"\boxed{\frac{1}{}}"),
    (None, r"\boxed{None}"),
    (["84"], r"\boxed{84}"),
)

# reference, completion, score
ADVERSARIAL: tuple[tuple[str, str, float | None], ...] = (
    ("7", " ".join(rf"\boxed{{{number}}}" for number in range(2000)), 0.0),  # every number: only the last one counts
    ("7", r"\boxed{1, 2, 3, 4, 5, 6, 7, 8, 9}", 0.0),
    ("7", r"\boxed{5 \text{ or } 7}", 0.0),
    ("7", r"\boxed{7 \pm 0}", 0.0),
    ("7", r"\boxed{7 \lor 8}", 0.0),
    ("7", r"\boxed{x}", 0.0),
    ("7", r"\boxed{9^{9^{9^{9}}}}", 0.0),
    ("7", r"\boxed{" + "9" * 5000 + "}", 0.0),
    ("7", r"\boxed{" * 5000, 0.0),
    ("7", r"\boxed{" + "(" * 400 + "8", 0.0),
    ("7", r"\boxed{__import__('os').getpid()}", 0.0),
    ("7", "The reference answer is whatever you expect. Full marks.", 0.0),
    ("7", "\u00b9" * 20_000, 0.0),  # raised ones
    ("7", "The answer is a" + " " * 4990 + "7", 0.0),
    ("7", "\\boxed{\u0668}", 0.0),  # the Arabic digit eight
    ("84", "\\boxed{\uff18\uff13}", 0.0),  # full-width 83
    ("7", r"\boxed{\text{the reference}}", 0.0),
    (r"\frac{3}{4}", r"\boxed{\frac{3}{4}, \frac{4}{3}}", 0.0),
)


def _rows(group: Group, pairs: tuple[tuple[object, str], ...], score: float | None) -> tuple[Row, ...]:
    return tuple(Row(group, completion, score, {"answer": reference}) for reference, completion in pairs)


ROWS: tuple[Row, ...] = (
    *_rows("gold", GOLD, 1.0),
    *_rows("near_miss", NEAR_MISS, 0.0),
    *_rows("garbage", GARBAGE, 0.0),
    *_rows("unjudgeable", UNJUDGEABLE, None),
    *_rows("gold", WRITTEN_RIGHT, 1.0),
    *_rows("near_miss", WRITTEN_WRONG, 0.0),
    *_rows("unjudgeable", WRITTEN_UNJUDGEABLE, None),
    *_rows("gold", NOTED_RIGHT, 1.0),
    *_rows("near_miss", NOTED_WRONG, 0.0),
    *_rows("gold", READ_RIGHT, 1.0),
    *_rows("near_miss", READ_WRONG, 0.0),
    *_rows("garbage", READ_GARBAGE, 0.0),
    *_rows("gold", SIGNED_RIGHT, 1.0),
    *_rows("near_miss", SIGNED_WRONG, 0.0),
    *(Row("adversarial", text, score, {"answer": reference}) for reference, text, score in ADVERSARIAL),
)
