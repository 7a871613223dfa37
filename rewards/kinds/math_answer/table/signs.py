"""Rows of complex numbers, angles in radians, binomials in other notations, and answers that are denied afterwards.

__init__.py has the rows of the plain ways and joins these to them.
"""

SIGNED_RIGHT: tuple[tuple[object, str], ...] = (
    ("-1", r"\boxed{i^2}"),
    ("-1", r"\boxed{e^{i\pi}}"),
    ("2i", r"\boxed{\sqrt{-4}}"),
    ("-i", r"\boxed{\frac1i}"),
    (r"\frac{1+i}{2}", r"\boxed{\frac{1}{1-i}}"),
    (r"e^{2\pi i/3}", r"\boxed{-\frac12+\frac{\sqrt3}{2}i}"),
    (r"2e^{i\pi/3}", r"\boxed{2(\cos\frac\pi3+i\sin\frac\pi3)}"),
    (r"90^\circ", r"\boxed{\frac{\pi}{2}}"),
    (r"\frac{2\pi}{3}", r"\boxed{120°}"),
    (r"\frac{\pi}{3}", r"\boxed{60 \text{ degrees}}"),
    (r"90^\circ", r"\boxed{\frac{\pi}{2}\text{ radians}}"),
    (r"30^\circ, 150^\circ", r"\boxed{\frac\pi6, \frac{5\pi}{6}}"),
    (r"{10 \choose 3}", r"\boxed{120}"),
    (r"\dbinom52", r"\boxed{10}"),
    ("{}_5C_2", r"\boxed{10}"),
    ("120", r"\boxed{C_{10}^{3}}"),
    ("10", r"\boxed{^5C_2}"),
    (r"\ln 2", r"\boxed{\log_e 2}"),
    ("3:30 PM", r"\boxed{3{:}30\text{ p.m.}}"),
    (r"\hat{i}+2\hat{j}", r"\boxed{\mathbf{i}+2\mathbf{j}}"),
    (r"2\hat{i}+3\hat{j}", r"\boxed{2\hat\imath+3\hat\jmath}"),
    ("42", r"\boxed{41} is incorrect. So it is \boxed{42}, which is not wrong."),
)  # fmt: skip

SIGNED_WRONG: tuple[tuple[object, str], ...] = (
    ("1", r"\boxed{i^2}"),
    ("-2i", r"\boxed{\sqrt{-4}}"),
    (r"e^{2\pi i/3}", r"\boxed{-\frac12-\frac{\sqrt3}{2}i}"),
    (r"120^\circ", r"\boxed{\frac{\pi}{3}}"),
    (r"30^\circ, 150^\circ", r"\boxed{\frac\pi6}"),
    (r"25^\circ C", r"\boxed{\frac{25\pi}{180}}"),
    (r"{10 \choose 3}", r"\boxed{\frac{10}{3}}"),
    ("10", r"\boxed{^2C_5}"),
    (r"\hat{i}+2\hat{j}", r"\boxed{2\mathbf{i}+\mathbf{j}}"),
    ("42", r"\boxed{42} is incorrect."),
    ("42", r"$\boxed{42}$ is not the correct answer."),
    ("42", "42 is wrong."),
)  # fmt: skip
