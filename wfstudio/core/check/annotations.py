"""Annotations: what is known of a value that one describes.

A union of several types is not known: whoever uses its values narrows it first.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from wfstudio.core.check import libraries
from wfstudio.core.check.kinds import (
    DICT,
    LIST,
    NONE,
    UNKNOWN,
    Kind,
    Object,
    Outside,
    SetOf,
    TupleOf,
    Type,
)
from wfstudio.core.check.scopes import Assigned, Scope

if TYPE_CHECKING:
    from wfstudio.core.check.inference import Inference

_WRAPPERS: Final = frozenset(
    {"typing.Annotated", "typing.Final", "typing.ClassVar", "typing.Required", "typing.NotRequired", "typing.ReadOnly"}
)
_UNIONS: Final = frozenset({"typing.Optional", "typing.Union"})
_DEEPEST: Final = 60


class Annotations:
    """Reads annotations for an inference, which knows what their names mean."""

    def __init__(self, inference: Inference) -> None:
        self._inference = inference
        self._depth = 0

    def read(self, node: ast.expr, scope: Scope) -> Kind:
        """Give the kind of a value that an annotation describes."""
        if self._depth > _DEEPEST:
            return UNKNOWN
        self._depth += 1
        try:
            return self._read(node, scope)
        finally:
            self._depth -= 1

    def _read(self, node: ast.expr, scope: Scope) -> Kind:
        match node:
            case ast.Constant(value=str() as text):
                parsed = parse_annotation(text)
                return UNKNOWN if parsed is None else self.read(parsed, scope)
            case ast.Constant(value=None):
                return NONE
            case ast.BinOp(op=ast.BitOr()):
                return self._unite([self.read(node.left, scope), self.read(node.right, scope)])
            case ast.Subscript():
                return self._read_generic(node, scope)
            case ast.Name() | ast.Attribute():
                return self._read_name(node, scope)
            case _:
                return UNKNOWN

    def _read_name(self, node: ast.Name | ast.Attribute, scope: Scope) -> Kind:
        alias = self.find_alias(node, scope)
        if alias is not None:
            return self.read(*alias)
        match self._inference.infer_in(node, scope):
            case Type() as kind:
                return Object(kind)
            case Outside(name=name):
                if name in libraries.SET_CLASSES:
                    return SetOf()
                if name in libraries.LIST_CLASSES:
                    return LIST
                if name in libraries.DICT_CLASSES:
                    return DICT
                if name in ("typing.Any", "builtins.object"):
                    return UNKNOWN
                return Object(Outside(name))
            case _:
                return UNKNOWN

    def find_alias(self, node: ast.expr, scope: Scope) -> tuple[ast.expr, Scope] | None:
        """Give the annotation that a name stands for (`Tags = set[str]`), and its scope."""
        if not isinstance(node, ast.Name):
            return None
        home = scope.find_home(node.id)
        bindings = home.bindings.get(node.id, []) if home is not None else []
        if len(bindings) == 1 and isinstance(bindings[0], Assigned) and not bindings[0].path:
            value = bindings[0].value
            if isinstance(value, (ast.Subscript, ast.BinOp, ast.Name, ast.Attribute)):
                return value, bindings[0].scope
        return None

    def _read_generic(self, node: ast.Subscript, scope: Scope) -> Kind:
        base = self._inference.infer_in(node.value, scope)
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if not isinstance(base, Outside):
            return Object(base) if isinstance(base, Type) else UNKNOWN
        name = base.name
        if name in _WRAPPERS:
            return self.read(parts[0], scope)
        if name in _UNIONS:
            return self._unite([self.read(part, scope) for part in parts])
        if name in libraries.SET_CLASSES:
            return SetOf(self.read(parts[0], scope))
        if name in ("builtins.tuple", "typing.Tuple"):
            if len(parts) == 2 and isinstance(parts[1], ast.Constant) and parts[1].value is Ellipsis:
                return Object(Outside("builtins.tuple"), self.read(parts[0], scope))
            return TupleOf(tuple(self.read(part, scope) for part in parts))
        if name in libraries.DICT_CLASSES:
            return Object(Outside("builtins.dict"), self.read(parts[-1], scope))
        if name in libraries.LIST_CLASSES:
            return Object(Outside("builtins.list"), self.read(parts[0], scope))
        return UNKNOWN if name in ("typing.Literal", "builtins.type") else Object(base)

    def _unite(self, kinds: list[Kind]) -> Kind:
        """Give a union's kind. One with several members may be narrowed where it is used: nothing is known then."""
        real = [kind for kind in kinds if kind != NONE]
        return real[0] if len(real) == 1 or (real and all(kind == real[0] for kind in real)) else UNKNOWN


def parse_annotation(text: str) -> ast.expr | None:
    """Read an annotation that is written as a text."""
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
