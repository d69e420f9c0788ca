"""Rendering: jinja2, set so that a mistake is an error and what is rendered is code, not HTML."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, StrictUndefined


@cache
def _environment() -> Environment:
    return Environment(
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )


def render(text: str, values: Mapping[str, Any]) -> str:
    """Render a template's text. A name that has no value is an error."""
    return _environment().from_string(text).render(values)
