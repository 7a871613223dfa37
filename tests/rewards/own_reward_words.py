"""What a reward of one's own imports from the file beside it."""


def clean(text: str) -> str:
    return text.strip()
