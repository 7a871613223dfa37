"""The table of `think_format`: both modes, each condition broken alone and together, and forms made to look right."""

from rewards.audit_tables import Row

GOOD = "<think>\nSix and six.\n</think>\n\nTwelve."
EMPTY = "<think>\n\n</think>\n\nTwelve."

ROWS: tuple[Row, ...] = (
    Row("gold", GOOD, 1.0, mode="thinking"),
    Row("gold", "<think>\nOne.\n\nTwo.\n\nThree.\n</think>\n\nTwelve.\n\nIndeed.", 1.0, mode="thinking"),
    Row("gold", "<think>\nif a < b: think\n</think>\n\n```\n<b>12</b>\n```", 1.0, mode="thinking"),
    Row("gold", "<think>\n考え中。\n</think>\n\n十二。", 1.0, mode="thinking"),
    Row("gold", EMPTY, 1.0, mode="non_thinking"),
    Row("gold", "Twelve.", 1.0, mode="non_thinking"),
    Row("gold", "Twelve.\n\nSix and six make twelve.", 1.0, mode="non_thinking"),
    # One condition broken: the block is not written as the template writes it.
    Row("near_miss", "<think>Six and six.</think>Twelve.", 0.7, mode="thinking"),
    Row("near_miss", "<think>\nSix.\n</think>\nTwelve.", 0.7, mode="thinking"),
    Row("near_miss", "Well, " + GOOD, 0.7, mode="thinking"),
    Row("near_miss", "\n" + GOOD, 0.7, mode="thinking"),
    Row("near_miss", "<think></think>Twelve.", 0.7, mode="non_thinking"),
    Row("near_miss", "<think>\n \n</think>\n\nTwelve.", 0.7, mode="non_thinking"),
    # The mode is not obeyed.
    Row("near_miss", EMPTY, 0.4, mode="thinking"),
    Row("near_miss", GOOD, 0.4, mode="non_thinking"),
    Row("near_miss", "Twelve.", 0.2, mode="thinking"),
    # No answer, or one with tags in it.
    Row("near_miss", "<think>\nSix and six.\n</think>\n\n", 0.5, mode="thinking"),
    Row("near_miss", GOOD + "</think>", 0.3, mode="thinking"),
    Row("near_miss", "Six and six.\n</think>\n\nTwelve.", 0.5, mode="thinking"),
    Row("garbage", "", 0.0, mode="thinking"),
    Row("garbage", " \n\t", 0.0, mode="non_thinking"),
    Row("garbage", "<think>", 0.0, mode="thinking"),
    Row("garbage", "<think>\nSix and", 0.3, mode="thinking"),
    Row("garbage", "</think>", 0.0, mode="thinking"),
    Row("unjudgeable", GOOD, None),
    Row("unjudgeable", "Twelve.", None),
    Row("unjudgeable", "", None),
    Row("adversarial", GOOD * 2, 0.6, mode="thinking"),
    Row("adversarial", "<think>\n" * 50 + "Six." + "\n</think>\n\n" * 50 + "Twelve.", 0.6, mode="thinking"),
    Row("adversarial", "<think>\n" + "\n x" * 200_000, 0.3, mode="thinking"),
    Row("adversarial", "<think>\n\n</think>\n\n" + GOOD, 0.3, mode="non_thinking"),
    Row("adversarial", "<THINK>\nSix.\n</THINK>\n\nTwelve.", 0.2, mode="thinking"),
)
