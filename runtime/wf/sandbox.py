"""What programs of Vercel's SDK say about its import sandbox. There is none here, and it all does nothing.

A body is watched while it runs (`worker/guard.py`), so any library may be imported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from wf.registry import SandboxPolicy as SandboxPolicy


class SandboxCleanupContext:
    """What a cleanup would be given. None is ever called."""


CleanupHandler = Callable[..., None]


def clear_pydantic_generics_cache(context: Any = None) -> None:
    """Do nothing: a body shares its modules with the rest of the process."""


def clear_typing_caches(context: Any = None) -> None:
    """Do nothing: a body shares its modules with the rest of the process."""


ALL_CLEANUPS: Final[tuple[CleanupHandler, ...]] = (clear_pydantic_generics_cache, clear_typing_caches)

__all__ = [
    "ALL_CLEANUPS",
    "CleanupHandler",
    "SandboxCleanupContext",
    "SandboxPolicy",
    "clear_pydantic_generics_cache",
    "clear_typing_caches",
]
