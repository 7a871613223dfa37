"""Made conversations for the quality and safety rules: sound ones, near misses of each rule, and thirty of each fault.

No real address, number or key stands here: those that have to be valid are put together when they are asked for.
"""

import random
from collections.abc import Callable, Iterator

from alignment.data.rows import Conversation, user_turn

SENTENCES = (
    "Rivers wash the salt out of the land and carry it into the sea over many thousands of years.",
    "When the sun warms the surface, some of the water rises as vapour and leaves the salt behind.",
    "A small garden needs water early in the morning, before the heat of the day takes it away again.",
    "The library opens at nine on weekdays, and readers may borrow up to twelve books at a time.",
    "Bread rises because yeast eats the sugar in the flour and gives off a gas that the dough holds.",
    "A bicycle with narrow tyres rolls easily on a road, and badly through sand or deep snow.",
    "Old maps show the coast further inland, since the harbour has been filled step by step.",
    "Before the bridge was built, a ferry took people across twice a day, weather permitting.",
    "Bees find their way by the sun, and tell each other by a dance where the flowers are.",
    "The tower leans because the ground on one side is softer than on the other.",
    "Most birds of that island cannot fly, as nothing has hunted them there for a long time.",
    "Iron rusts faster near the sea, where the air carries salt and seldom dries completely.",
)
CODE = "```python\nfor number in range(10):  # count\n    print(number)  # show\n```"


def prose(drawn: random.Random, sentences: int = 8, by: str = " ") -> str:
    return by.join(drawn.sample(SENTENCES, sentences))


def row(name: str, answer: str, thinking: str = "", question: str = "Tell me about it, please.") -> Conversation:
    turn = {"role": "assistant", "reasoning_content": thinking, "content": answer}
    return Conversation(name, [user_turn(question), turn], "thinking" if thinking else "non_thinking")


def sound_rows(count: int = 180) -> list[Conversation]:
    """Sound answers; two thirds are near misses of a rule each."""
    return [row(f"sound/{number}", NEAR[number % len(NEAR)](random.Random(number))) for number in range(count)]


NEAR: tuple[Callable[[random.Random], str], ...] = (
    prose,
    lambda drawn: "42",
    lambda drawn: f"{prose(drawn)}\n\n{CODE}",
    lambda drawn: "Three things help:\n\n- water in the morning\n- a little shade\n- patience",
    lambda drawn: f"# A heading\n\n{prose(drawn)}\n\n## Another one\n\n{prose(drawn, 3)}",
    lambda drawn: r"We have $x^2 - 4 = (x-2)(x+2)$ and so \[x = 2,\] hence \boxed{\frac{4}{2}}",
    lambda drawn: f"{prose(drawn)} And so on…",
    lambda drawn: "\n".join(f"Step {number}: {number} + {number} = {2 * number}" for number in range(1, 15)),
    lambda drawn: f"A privacy policy says what is kept about you. {prose(drawn)}",
    lambda drawn: "海水是咸的，因为河流把陆地上的盐带进了大海。" * 5,
    lambda drawn: "Write to name@example.com, or look at 192.168.0.1 and version 4.12.300.1 of the page.",
    lambda drawn: "The sum is 4111 + 1111, and +49 stands for Germany; the key begins with sk- and the café is naïve.",
)
RULES = ("length", "word_length", "symbols", "ellipsis_lines", "repeated_lines", "frequent_ngram", "page_remains", "cut_off",
         "damaged_characters", "personal_data", "secrets")  # fmt: skip


def planted_rows(rule: str, count: int = 30) -> Iterator[Conversation]:
    """Rows at fault by one rule."""
    for number in range(count):
        yield row(f"{rule}/{number}", _faulty(rule, random.Random(number), number))


def _faulty(rule: str, drawn: random.Random, number: int) -> str:
    text, start = prose(drawn), prose(drawn, 2)
    made: dict[str, Callable[[], str]] = {
        "length": lambda: " " * number,
        "word_length": lambda: " ".join(drawn.choices(("ab", "xy", "q", "we"), k=80)) + ".",
        "symbols": lambda: text + " " + " ".join(f"#tag{number}{place} it" for place in range(30)) + ".",
        "ellipsis_lines": lambda: "\n".join(f"{one[: 60 + number]}..." for one in drawn.sample(SENTENCES, 9)),
        "repeated_lines": lambda: "\n".join([*drawn.sample(SENTENCES, 7), *[SENTENCES[number % 12]] * 6]),
        "frequent_ngram": lambda: prose(drawn, 12) + f" buy {start.split()[0]} cheaply today, now" * 25 + ".",
        "page_remains": lambda: f"{start}\n\n{drawn.choice(('Accept all cookies', '| Sign in |', 'Skip to main content', '© 2019 Acme Ltd.', 'Lorem ipsum dolor sit amet.'))}\n\n{text}",
        "cut_off": lambda: drawn.choice((f"{text} They went home because", f"{text}\n```python\nprint(1)", r"So it is \boxed{\frac{1}{2", f"{start} First,")),
        "damaged_characters": lambda: text.replace("the", drawn.choice(("itâ€™s", "cafÃ©", "\ufffd", "\x03")), 1),
        "personal_data": lambda: f"{start} {_personal(drawn, number)} {text}",
        "secrets": lambda: f"{start} {_secret(drawn, number)} {text}",
    }  # fmt: skip
    return made[rule]()


def _personal(drawn: random.Random, number: int) -> str:
    digits = [str(drawn.randint(0, 9)) for _ in range(14)]
    body = "4" + "".join(digits)
    check = next(last for last in "0123456789" if _luhn(body + last))
    card = body + check
    account = f"{drawn.randint(10**17, 10**18 - 1)}"
    control = 98 - int(account + "131400") % 97  # D is 13, E is 14
    return (
        f"Write to {drawn.choice(('jo', 'anna.b', 'info'))}@{drawn.choice(('mailhost', 'firma'))}{number}.org.",
        f"The server is {drawn.randint(11, 99)}.{drawn.randint(1, 250)}.{drawn.randint(1, 250)}.{drawn.randint(1, 250)} today.",
        f"Call +49 30 {drawn.randint(1000, 9999)} {drawn.randint(1000, 9999)} at once.",
        "Pay with " + " ".join(card[place : place + 4] for place in range(0, 16, 4)) + ", please.",
        f"Send it to DE{control:02d}{account}.",
    )[number % 5]


def _luhn(digits: str) -> bool:
    return sum(sum(divmod(int(one) * (1 + place % 2), 10)) for place, one in enumerate(digits[::-1])) % 10 == 0


def _secret(drawn: random.Random, number: int) -> str:
    letters = "".join(drawn.choices("ABCDEFGHJKLMNPQRSTUVWXYZ234567", k=36))
    return (
        "AK" + "IA" + letters[:16],
        "gh" + "p_" + letters,
        "hf" + "_" + letters[:34],
        "-----BEGIN RSA " + "PRIVATE KEY-----",
        "s" + "k-" + letters,
    )[number % 5]
