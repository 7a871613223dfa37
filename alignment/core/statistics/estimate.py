"""A figure with its interval at 95%. Neighbours: intervals.py (how the ends are computed), core/typed_json.py (three keys)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A measured value and the ends of its interval at 95%; None is unknown, which is never 0."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def rounded(self, digits: int) -> "Estimate":
        """The same with so many digits after the point."""
        return Estimate(*(None if one is None else round(one, digits) for one in (self.value, self.low, self.high)))


UNKNOWN = Estimate(None)
