"""Sizes: how many bytes, for people."""

from __future__ import annotations

from typing import Final

_UNITS: Final = ("B", "KB", "MB", "GB")


def show_size(number: float) -> str:
    """Write a number of bytes: `512 B`, `1.2 KB`. A KB is 1000 of them."""
    for unit in _UNITS:
        if number < 1000 or unit == _UNITS[-1]:
            break
        number /= 1000
    return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
