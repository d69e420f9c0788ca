"""Names of classes: how a log refers to a class, and how the class is found again.

1. A class is named `module:qualname`. `__main__` counts as the main file's module name, when a
   name is written and when it is looked up, so a script and an import of it name things alike.
2. Finding never imports and never runs code: only `sys.modules` and the `__dict__`s below it are
   read, without attribute access (a module's `__getattr__` or a lazy module could import).
3. A class that cannot be found so (it was defined in a function) is remembered, weakly, when it
   is first written or registered: the process that defined it finds it, no other does.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import PurePath
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

_remembered: WeakValueDictionary[str, type] = WeakValueDictionary()
_names: WeakKeyDictionary[type, tuple[str, bool]] = WeakKeyDictionary()


def module_name(module: str) -> str:
    """Give the name under which a module is recorded: its own, or the main file's for `__main__`."""
    # Children that multiprocessing spawns know the main file as __mp_main__.
    if module != "__main__" and module != "__mp_main__":
        return "pathlib" if module == "pathlib._local" else module  # so it calls itself in 3.13 alone
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None:  # python -m package.module
        return str(spec.name)
    return _stem(getattr(main, "__file__", None) or "__main__")


@lru_cache(maxsize=8)
def _stem(file: str) -> str:
    return PurePath(file).stem


def type_name(cls: type) -> str:
    """Give the name of a class in a log, `module:qualname`."""
    return f"{module_name(cls.__module__)}:{_qualname(cls)}"


def public_type_name(cls: type) -> str:
    """Give the name of a class as people read it, `module.qualname`."""
    return f"{module_name(cls.__module__)}.{_qualname(cls)}"


def _qualname(cls: type) -> str:
    # It calls itself `PatternError` since 3.13, and a failure must not: a replay compares its name.
    return "error" if cls is re.error else cls.__qualname__


def remember(cls: type) -> str:
    """Give a class's name, and make sure that this process finds the class by it."""
    known = _names.get(cls)
    if known is None:
        name = type_name(cls)
        known = _names[cls] = (name, _walk(name, lambda found: found is cls) is None)
    name, is_hidden = known
    if is_hidden:
        # Each call of a function makes its own class of this name: the one written last is meant.
        _remembered[name] = cls
    return name


def find_class(name: str, is_expected: Callable[[type], bool]) -> type | None:
    """Find a loaded class of the expected sort, or None. Never imports and runs no code."""
    found = _walk(name, is_expected)
    if found is None:
        found = _remembered.get(name)
        if found is not None and not is_expected(found):
            return None
    return found


def _walk(name: str, is_expected: Callable[[type], bool]) -> type | None:
    module, _, qualname = name.partition(":")
    if module == module_name("__main__"):
        found = _in_module(sys.modules.get("__main__"), qualname)
        if found is not None and is_expected(found):
            return found
    found = _in_module(sys.modules.get(module), qualname)
    return found if found is not None and is_expected(found) else None


def _in_module(module: object, qualname: str) -> type | None:
    try:
        names: Mapping[str, Any] = object.__getattribute__(module, "__dict__")
        found: Any = names.get(qualname)
        if found is None:
            # `Page[int]` of a generic model is no attribute of its module: look at what Page begot.
            plain, bracket, _ = qualname.partition("[")
            for part in plain.split("."):
                found = names.get(part)
                names = type.__getattribute__(found, "__dict__")  # TypeError for what is no class
            if bracket:
                subclasses = type.__subclasses__(found)
                found = next((cls for cls in subclasses if cls.__qualname__ == qualname), None)
    except (AttributeError, TypeError):
        return None
    # Not isinstance: that asks an object for its __class__, which a lazy one may compute.
    return found if issubclass(type(found), type) else None
