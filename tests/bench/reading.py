"""Readings: what a measurement found, as it passes from its process to the one that prints."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Reading:
    """A figure's value in its unit; `n` is how many observations it was made of."""

    name: str
    value: float
    n: int
    note: str = ""


def take_median(readings: list[Reading]) -> Reading:
    """Make one reading of those of several processes; the note tells their range, too."""
    if len(readings) == 1:
        return readings[0]
    values = [reading.value for reading in readings]
    middle = median(values)
    nearest = min(readings, key=lambda reading: abs(reading.value - middle))
    span = f"{show_number(min(values))} to {show_number(max(values))} in {len(values)} processes"
    note = f"{span}; {nearest.note}" if nearest.note else span
    return Reading(readings[0].name, middle, sum(reading.n for reading in readings), note)


def show_number(value: float) -> str:
    """Show three digits that matter."""
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
