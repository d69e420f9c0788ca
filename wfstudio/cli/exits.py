"""Exit codes: how a command ended, for scripts."""

from __future__ import annotations

from typing import Final

FAILED: Final = 1
"""The run failed, or the world refused what was asked of it."""

MISUSED: Final = 2
"""The command line is wrong; nothing was done."""

TAKEN: Final = 3
"""Another server has this world; nothing was done."""

INTERRUPTED: Final = 130
"""As shells say it of what ended by Ctrl-C."""
