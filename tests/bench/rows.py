"""What does a measurement say? One figure, beside its floor and its budget."""

from dataclasses import dataclass, field


@dataclass
class Row:
    """One line of the table."""

    row: str
    engine: str
    what: str
    value: float
    unit: str
    floor: float | None = None
    budget: str = ""
    met: bool = True
    ratio: float | None = field(init=False)

    def __post_init__(self) -> None:
        self.ratio = round(self.value / self.floor, 2) if self.floor else None


def at_most(row: str, engine: str, what: str, value: float, unit: str, limit: float) -> Row:
    return Row(row, engine, what, value, unit, None, f"<= {limit:g} {unit}", value <= limit)


def beside(row: str, engine: str, what: str, value: float, floor: float, times: float) -> Row:
    """Compare two times in seconds."""
    budget = f"<= {times:g} x floor"
    return Row(row, engine, what, value * 1000, "ms", floor * 1000, budget, value <= times * floor)


def at_least(
    row: str, engine: str, what: str, value: float, unit: str, direct: float, share: float
) -> Row:
    """Compare a rate with the one without us."""
    budget, met = f">= {share:g} x direct", value >= share * direct
    return Row(row, engine, what, value, unit, direct, budget, met)
