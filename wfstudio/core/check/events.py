"""Events: what a walk tells the rules, in the order in which Python would come by."""

from __future__ import annotations

import ast
from typing import Any, Literal

import msgspec

from wfstudio.core.check.kinds import Kind
from wfstudio.core.check.scopes import Function


class Entered(msgspec.Struct, frozen=True):
    """A function that is part of a body, or a step, is looked at as a whole."""

    function: Function
    role: str


class Declared(msgspec.Struct, frozen=True):
    """A workflow or a step, when everything has been read."""

    function: Function
    role: str
    carrier: Any


class Referred(msgspec.Struct, frozen=True):
    """Something outside the project is named, called or not: `os.environ`, `time.time`.

    `known` is what the variable stands for that the expression begins with, if one does: where that came
    from was told already.
    """

    node: ast.expr
    name: str
    known: str = ""


class Called(msgspec.Struct, frozen=True):
    """Something is called. `maker`: it is a method of what this function itself made by calling that."""

    node: ast.Call
    callee: Kind
    maker: str = ""


class Ordered(msgspec.Struct, frozen=True):
    """The members of a set come in some order, and it matters. `how` says what takes them."""

    node: ast.expr
    how: str


class Dropped(msgspec.Struct, frozen=True):
    """A call gives something to await, and nothing ever does. `name` is a variable that got it."""

    node: ast.expr
    what: str
    name: str | None = None


class Misused(msgspec.Struct, frozen=True):
    """Something to await is used as if it were its result."""

    node: ast.expr
    what: str
    how: str


class Changed(msgspec.Struct, frozen=True):
    """A variable, or what it holds, is changed."""

    node: ast.AST
    root: ast.Name
    how: Literal["assigned", "changed"]


class Read(msgspec.Struct, frozen=True):
    """A variable is read."""

    node: ast.Name


class Stated(msgspec.Struct, frozen=True):
    """A statement begins."""

    node: ast.stmt


Event = Entered | Declared | Referred | Called | Ordered | Dropped | Misused | Changed | Read | Stated

__all__ = [
    "Called",
    "Changed",
    "Declared",
    "Dropped",
    "Entered",
    "Event",
    "Misused",
    "Ordered",
    "Read",
    "Referred",
    "Stated",
]
