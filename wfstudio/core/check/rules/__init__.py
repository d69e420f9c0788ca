"""The rules, in the order of their codes. WF0xx speak of files, WF1xx of answers that change, WF2xx of what reaches
out of the body, WF3xx of state, WF4xx of awaiting, WF5xx of signatures. A code is never given to another rule."""

from __future__ import annotations

from typing import Final

from wfstudio.core.check.rules import answers, awaiting, outside, signatures, source, state
from wfstudio.core.check.rules.rule import Problem, Rule

RULES: Final[tuple[type[Rule], ...]] = tuple(
    sorted(
        (*source.RULES, *answers.RULES, *outside.RULES, *state.RULES, *awaiting.RULES, *signatures.RULES),
        key=lambda rule: rule.code,
    )
)

BY_CODE: Final = {rule.code: rule for rule in RULES}

__all__ = ["BY_CODE", "RULES", "Problem", "Rule"]
