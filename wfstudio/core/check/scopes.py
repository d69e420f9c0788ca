"""Scopes: which names a piece of code binds, and what each binding says of its value.

One pass over a module's tree makes all of its scopes, functions and classes. Nothing is resolved here:
a binding keeps the expression that it came from, and `inference` reads it when it is asked.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
ScopeNode = (
    ast.Module | ast.ClassDef | FunctionNode | ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
)
_COMPREHENSIONS: Final = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)

Part = int | Literal["each", "entered", "entered_async", "rest"]
"""A way from a value to a part of it: the Nth of a tuple, each member, what `with` gives."""


class Binding:
    """A name gets a value. The subclasses say from where."""

    __slots__ = ()


class Imported(Binding):
    """`import source`, or with `name` `from source import name`. `source` is absolute, `asking` the module."""

    __slots__ = ("asking", "name", "source")

    def __init__(self, asking: Any, source: str, name: str | None) -> None:
        self.asking = asking
        self.source = source
        self.name = name


class Defined(Binding):
    __slots__ = ("thing",)

    def __init__(self, thing: Function | Class) -> None:
        self.thing = thing


class Assigned(Binding):
    """`path` leads from the value to the part that the name gets. An annotation says more than the value."""

    __slots__ = ("annotation", "path", "scope", "value")

    def __init__(
        self, value: ast.expr | None, path: tuple[Part, ...], scope: Scope, annotation: ast.expr | None = None
    ) -> None:
        self.value = value
        self.path = path
        self.scope = scope
        self.annotation = annotation


class Parameter(Binding):
    __slots__ = ("annotation", "function", "kind")

    def __init__(
        self, annotation: ast.expr | None, function: Function | None, kind: Literal["plain", "first", "args", "kwargs"]
    ) -> None:
        self.annotation = annotation
        self.function = function
        self.kind = kind


class Hidden(Binding):
    """Something that nothing is known of: an exception, a captured pattern."""

    __slots__ = ()


class Scope:
    """Where names live. `owner` is the function or class whose scope it is, None for others."""

    def __init__(
        self, node: ScopeNode, parent: Scope | None, module: Any, owner: Function | Class | None = None
    ) -> None:
        self.node = node
        self.parent = parent
        self.module = module
        self.owner = owner
        self.bindings: dict[str, list[Binding]] = {}
        self.globals: set[str] = set()
        self.nonlocals: set[str] = set()
        self.stars: list[str] = []

    @property
    def is_class(self) -> bool:
        return isinstance(self.node, ast.ClassDef)

    @property
    def is_module(self) -> bool:
        return isinstance(self.node, ast.Module)

    def bind(self, name: str, binding: Binding) -> None:
        home: Scope = self
        if name in self.globals:
            home = self.module.scope
        elif name in self.nonlocals:
            home = self.find_home(name) or self
        home.bindings.setdefault(name, []).append(binding)

    def find_home(self, name: str) -> Scope | None:
        """Give the scope that a name used here belongs to; None: it is a builtin, or nothing."""
        if name in self.globals:
            return self.module.scope  # type: ignore[no-any-return]
        scope: Scope | None = self
        is_first = True
        while scope is not None:
            is_seen = is_first or not scope.is_class  # a class's names are not seen from its methods
            if is_seen and name in scope.bindings and not (is_first and name in scope.nonlocals):
                return scope
            if is_seen and name in scope.globals:
                return self.module.scope  # type: ignore[no-any-return]
            scope = scope.parent
            is_first = False
        return None


class Function:
    """A function or lambda of the project."""

    def __init__(self, node: FunctionNode | ast.Lambda, outer: Scope, cls: Class | None, qualname: str) -> None:
        self.node = node
        self.outer = outer
        self.cls = cls
        self.qualname = qualname
        self.scope = Scope(node, outer, outer.module, self)
        self.is_async = isinstance(node, ast.AsyncFunctionDef)
        self.is_generator = False
        self.returns: list[ast.expr] = []

    @property
    def name(self) -> str:
        return self.node.name if isinstance(self.node, FunctionNode) else "<lambda>"

    @property
    def module(self) -> Any:
        return self.outer.module

    @property
    def decorators(self) -> list[ast.expr]:
        return self.node.decorator_list if isinstance(self.node, FunctionNode) else []

    @property
    def first_line(self) -> int:
        """The line that Python holds for the function's first: its first decorator's."""
        return min([self.node.lineno, *(decorator.lineno for decorator in self.decorators)])

    @property
    def parameters(self) -> list[ast.arg]:
        given = self.node.args
        stars = [arg for arg in (given.vararg, given.kwarg) if arg is not None]
        return [*given.posonlyargs, *given.args, *given.kwonlyargs, *stars]

    @property
    def outer_function(self) -> Function | None:
        """The function that this one is defined in, if it is in one."""
        scope: Scope | None = self.outer
        while scope is not None:
            if isinstance(scope.owner, Function):
                return scope.owner
            scope = scope.parent
        return None


class Class:
    """A class of the project."""

    def __init__(self, node: ast.ClassDef, outer: Scope, qualname: str) -> None:
        self.node = node
        self.outer = outer
        self.qualname = qualname
        self.scope = Scope(node, outer, outer.module, self)
        self.attributes: dict[str, list[Binding]] = {}
        """What methods assign to `self.name`."""

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def module(self) -> Any:
        return self.outer.module


class _Builder:
    """Fills a module's scopes. `functions`, `classes` and `scopes` are by node."""

    def __init__(self, module: Any, tree: ast.Module, package: str) -> None:
        self.module = module
        self.package = package
        self.functions: dict[ast.AST, Function] = {}
        self.classes: dict[ast.AST, Class] = {}
        self.scopes: dict[ast.AST, Scope] = {}
        self.rebound: dict[str, list[Function]] = {}
        self.scope = Scope(tree, None, module)
        module.scope = self.scope
        self.scopes[tree] = self.scope

    # -- statements

    def build(self, body: Iterable[ast.stmt], scope: Scope, prefix: str) -> None:
        body = list(body)
        for statement in body:
            self._declare(statement, scope)
        for statement in body:
            self._statement(statement, scope, prefix)

    def _declare(self, statement: ast.stmt, scope: Scope) -> None:
        """Note `global` and `nonlocal` before the names that they speak of are bound."""
        stack: list[ast.AST] = [statement]
        while stack:
            node = stack.pop()
            if isinstance(node, ast.Global):
                scope.globals.update(node.names)
            elif isinstance(node, ast.Nonlocal):
                scope.nonlocals.update(node.names)
            elif not isinstance(node, (*_FUNCTIONS, ast.ClassDef, ast.Lambda)):
                stack += [child for child in ast.iter_child_nodes(node) if isinstance(child, _HOLD_STATEMENTS)]

    def _statement(self, node: ast.stmt, scope: Scope, prefix: str) -> None:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._function(node, scope, prefix)
            case ast.ClassDef():
                self._class(node, scope, prefix)
            case ast.Import():
                for alias in node.names:
                    whole = alias.asname is not None
                    name = alias.asname or alias.name.partition(".")[0]
                    scope.bind(name, Imported(self.module, alias.name if whole else name, None))
            case ast.ImportFrom():
                source = self._absolute(node)
                for alias in node.names:
                    if alias.name == "*":
                        scope.stars.append(source)
                    else:
                        scope.bind(alias.asname or alias.name, Imported(self.module, source, alias.name))
            case ast.Assign():
                self._expression(node.value, scope, prefix)
                for target in node.targets:
                    self._target(target, node.value, (), scope, prefix)
            case ast.AnnAssign():
                if node.value is not None:
                    self._expression(node.value, scope, prefix)
                self._target(node.target, node.value, (), scope, prefix, node.annotation)
            case ast.AugAssign():
                self._expression(node.value, scope, prefix)
                self._rebind(node.target, scope)
                if not isinstance(node.target, ast.Name):  # a name keeps the kind that it has
                    self._target(node.target, None, (), scope, prefix)
            case ast.For() | ast.AsyncFor():
                self._expression(node.iter, scope, prefix)
                self._target(node.target, node.iter, ("each",), scope, prefix)
                self._blocks((node.body, node.orelse), scope, prefix)
            case ast.With() | ast.AsyncWith():
                way: Part = "entered" if isinstance(node, ast.With) else "entered_async"
                for item in node.items:
                    self._expression(item.context_expr, scope, prefix)
                    if item.optional_vars is not None:
                        self._target(item.optional_vars, item.context_expr, (way,), scope, prefix)
                self._blocks((node.body,), scope, prefix)
            case ast.Try() | ast.TryStar():
                self._blocks((node.body,), scope, prefix)
                for handler in node.handlers:
                    if handler.type is not None:
                        self._expression(handler.type, scope, prefix)
                    if handler.name is not None:
                        scope.bind(handler.name, Hidden())
                    self._blocks((handler.body,), scope, prefix)
                self._blocks((node.orelse, node.finalbody), scope, prefix)
            case ast.Match():
                self._expression(node.subject, scope, prefix)
                for case in node.cases:
                    for part in ast.walk(case.pattern):
                        captured = getattr(part, "name", None) or getattr(part, "rest", None)
                        if isinstance(captured, str):
                            scope.bind(captured, Hidden())
                    if case.guard is not None:
                        self._expression(case.guard, scope, prefix)
                    self._blocks((case.body,), scope, prefix)
            case ast.If() | ast.While():
                self._expression(node.test, scope, prefix)
                self._blocks((node.body, node.orelse), scope, prefix)
            case _:
                if isinstance(node, ast.Delete):
                    for target in node.targets:
                        self._rebind(target, scope)
                if isinstance(node, ast.Return) and node.value is not None and isinstance(scope.owner, Function):
                    scope.owner.returns.append(node.value)
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, ast.expr):
                        self._expression(child, scope, prefix)

    def _blocks(self, blocks: Sequence[list[ast.stmt]], scope: Scope, prefix: str) -> None:
        for block in blocks:
            for statement in block:
                self._statement(statement, scope, prefix)

    def _function(self, node: FunctionNode, scope: Scope, prefix: str) -> None:
        for decorator in node.decorator_list:
            self._expression(decorator, scope, prefix)
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None:
                self._expression(default, scope, prefix)
        cls = scope.owner if isinstance(scope.owner, Class) else None
        function = Function(node, scope, cls, f"{prefix}{node.name}")
        self._add_function(function)
        scope.bind(node.name, Defined(function))
        self.build(node.body, function.scope, f"{function.qualname}.<locals>.")

    def _add_function(self, function: Function) -> None:
        node = function.node
        self.functions[node] = function
        self.scopes[node] = function.scope
        given = node.args
        is_static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in function.decorators)
        for place, arg in enumerate([*given.posonlyargs, *given.args]):
            is_first = place == 0 and function.cls is not None and not is_static
            function.scope.bind(arg.arg, Parameter(arg.annotation, function, "first" if is_first else "plain"))
        for arg in given.kwonlyargs:
            function.scope.bind(arg.arg, Parameter(arg.annotation, function, "plain"))
        if given.vararg is not None:
            function.scope.bind(given.vararg.arg, Parameter(given.vararg.annotation, function, "args"))
        if given.kwarg is not None:
            function.scope.bind(given.kwarg.arg, Parameter(given.kwarg.annotation, function, "kwargs"))

    def _class(self, node: ast.ClassDef, scope: Scope, prefix: str) -> None:
        for part in (*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)):
            self._expression(part, scope, prefix)
        cls = Class(node, scope, f"{prefix}{node.name}")
        self.classes[node] = cls
        self.scopes[node] = cls.scope
        scope.bind(node.name, Defined(cls))
        self.build(node.body, cls.scope, f"{cls.qualname}.")

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.package.split(".") if self.package else []
        parts = parts[: len(parts) - node.level + 1]
        return ".".join([*parts, *([node.module] if node.module else [])])

    # -- targets

    def _target(
        self,
        target: ast.expr,
        value: ast.expr | None,
        path: tuple[Part, ...],
        scope: Scope,
        prefix: str,
        annotation: ast.expr | None = None,
    ) -> None:
        match target:
            case ast.Name():
                self._rebind(target, scope)
                if value is not None or annotation is not None:
                    scope.bind(target.id, Assigned(value, path, scope, annotation))
            case ast.Tuple() | ast.List():
                is_starred = False
                for place, part in enumerate(target.elts):
                    is_starred = is_starred or isinstance(part, ast.Starred)
                    self._target(part, value, (*path, "rest" if is_starred else place), scope, prefix)
            case ast.Starred():
                self._target(target.value, value, path, scope, prefix)
            case ast.Attribute():
                self._expression(target.value, scope, prefix)
                self._own_attribute(target, value, path, scope, annotation)
            case ast.Subscript():
                self._expression(target.value, scope, prefix)
                self._expression(target.slice, scope, prefix)
            case _:
                pass

    def _own_attribute(
        self,
        target: ast.Attribute,
        value: ast.expr | None,
        path: tuple[Part, ...],
        scope: Scope,
        annotation: ast.expr | None,
    ) -> None:
        """Note `self.name = value` of a method with its class."""
        function = scope.owner
        if not isinstance(function, Function) or function.cls is None or not isinstance(target.value, ast.Name):
            return
        first = next(iter(function.parameters), None)
        if first is not None and target.value.id == first.arg:
            function.cls.attributes.setdefault(target.attr, []).append(Assigned(value, path, scope, annotation))

    def _rebind(self, target: ast.expr, scope: Scope) -> None:
        if isinstance(target, ast.Name) and target.id in scope.globals and isinstance(scope.owner, Function):
            self.rebound.setdefault(target.id, []).append(scope.owner)

    # -- expressions

    def _expression(self, node: ast.expr, scope: Scope, prefix: str) -> None:
        match node:
            case ast.Lambda():
                function = Function(node, scope, None, f"{prefix}<lambda>")
                function.returns.append(node.body)
                self._add_function(function)
                for default in (*node.args.defaults, *node.args.kw_defaults):
                    if default is not None:
                        self._expression(default, scope, prefix)
                self._expression(node.body, function.scope, f"{function.qualname}.<locals>.")
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                self._comprehension(node, scope, prefix)
            case ast.NamedExpr():
                self._expression(node.value, scope, prefix)
                home = scope
                while isinstance(home.node, _COMPREHENSIONS) and home.parent is not None:
                    home = home.parent
                self._target(node.target, node.value, (), home, prefix)
            case ast.Yield() | ast.YieldFrom():
                if isinstance(scope.owner, Function):
                    scope.owner.is_generator = True
                if node.value is not None:
                    self._expression(node.value, scope, prefix)
            case _:
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, ast.expr):
                        self._expression(child, scope, prefix)
                    elif isinstance(child, (ast.keyword, ast.FormattedValue)):
                        self._expression(child.value, scope, prefix)

    def _comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp, scope: Scope, prefix: str
    ) -> None:
        inner = Scope(node, scope, self.module)
        self.scopes[node] = inner
        for place, part in enumerate(node.generators):
            outer = scope if place == 0 else inner  # the first iterable is evaluated outside
            self._expression(part.iter, outer, prefix)
            self._target(part.target, part.iter, ("each",), inner, prefix)
            for condition in part.ifs:
                self._expression(condition, inner, prefix)
        if isinstance(node, ast.DictComp):
            self._expression(node.key, inner, prefix)
            self._expression(node.value, inner, prefix)
        else:
            self._expression(node.elt, inner, prefix)


_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)
_HOLD_STATEMENTS: Final = (ast.stmt, ast.ExceptHandler, ast.match_case)


def build_scopes(module: Any, tree: ast.Module, package: str) -> _Builder:
    """Make all scopes of a module. `package` is what its relative imports are relative to."""
    builder = _Builder(module, tree, package)
    builder.build(tree.body, builder.scope, "")
    return builder
