"""Visiting: the expressions of one function, with what its variables hold where they stand.

What is named, called, gone through and changed is told to the rules; what is called of the project's own
code is noted as an edge. `walking` goes through the statements and keeps the variables.

A function that is given to a call counts as called: `sorted(orders, key=price)`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from wfstudio.core.check.events import (
    Called,
    Changed,
    Event,
    Misused,
    Ordered,
    Read,
    Referred,
)
from wfstudio.core.check.inference import Inference, Place
from wfstudio.core.check.kinds import (
    UNKNOWN,
    AnyOf,
    Awaitable,
    Func,
    Kind,
    Method,
    Object,
    Outside,
    SetOf,
    Type,
    each,
    is_object,
    may_be_set,
    merge,
)
from wfstudio.core.check.scopes import Function, Scope

ORDERED: Final = frozenset(
    {
        "builtins.dict", "builtins.enumerate", "builtins.filter", "builtins.iter", "builtins.list", "builtins.map",
        "builtins.tuple", "builtins.zip", "builtins.str.join", "builtins.bytes.join", "builtins.dict.fromkeys",
        "collections.deque", "functools.reduce", "asyncio.as_completed",
    }
)  # fmt: skip
"""What hands the members of its arguments on in their order."""

UNORDERED: Final = frozenset(
    {
        "builtins.all", "builtins.any", "builtins.frozenset", "builtins.len", "builtins.max", "builtins.min",
        "builtins.set", "builtins.sorted", "builtins.sum", "collections.Counter", "math.fsum", "math.prod",
    }
)  # fmt: skip
"""What gives the same whatever the order of its argument is."""

APART: Final = frozenset(
    {"asyncio.to_thread", "asyncio.run_coroutine_threadsafe", "threading.Thread", "multiprocessing.Process"}
)
"""What runs a function elsewhere. That it is called at all is wrong in a body; what it then runs does not matter."""

MUTATORS: Final = frozenset(
    {
        "add", "append", "appendleft", "clear", "difference_update", "discard", "extend", "extendleft", "insert",
        "intersection_update", "pop", "popitem", "popleft", "remove", "reverse", "rotate", "setdefault", "sort",
        "subtract", "symmetric_difference_update", "update",
    }
)  # fmt: skip

ENTERS: Final = ("__enter__", "__exit__", "__aenter__", "__aexit__")
_OF_COROUTINES: Final = frozenset({"close", "send", "throw", "__await__", "add_done_callback", "cancel", "done"})
HANDLES: Final = {
    "wf.hook": "the hook",
    "wf.webhook": "the webhook",
    "wf.lock": "the lock",
    "wf.saga": "the saga",
    "asyncio.gather": "asyncio.gather",
    "asyncio.timeout": "asyncio.timeout",
}
"""Calls that give no coroutine, and yet come to nothing when their result is dropped."""

_COMPREHENSIONS: Final = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


class Edge:
    """A function calls another one, or a step. `is_bare`: what a step or workflow decorates (`.func`)."""

    __slots__ = ("is_bare", "target")

    def __init__(self, target: Function, *, is_bare: bool = False) -> None:
        self.target = target
        self.is_bare = is_bare


class Visitor:
    """Visits expressions of a function. Rules hear of what is there as `tell(visitor, event)`."""

    def __init__(self, function: Function, inference: Inference, tell: Callable[[Any, Event], None]) -> None:
        self.function = function
        self.module = function.module
        self.inference = inference
        self.edges: list[Edge] = []
        self._tell = tell
        self._holds: dict[str, Kind] = {}
        self._place = Place(function.scope, function.scope, self._holds)
        self._silent = 0
        self._order_free: set[int] = set()
        self._loaded = _list_loaded(function.node)
        self._makers: dict[str, str] = {}

    # -- what rules ask

    def kind(self, node: ast.expr) -> Kind:
        """Give what is known of an expression where the walk stands."""
        return self.inference.infer(node, self._place)

    def find_home(self, name: str) -> Scope | None:
        """Give the scope that a name belongs to where the walk stands."""
        return self._place.scope.find_home(name)

    @property
    def is_root(self) -> bool:
        return self.inference.role_of(self.function) == "workflow"

    # -- telling

    def _emit(self, event: Event) -> None:
        if not self._silent:
            self._tell(self, event)

    def _follow(self, target: Function | None, *, is_bare: bool = False) -> None:
        if target is not None and not self._silent and target is not self.function:
            self.edges.append(Edge(target, is_bare=is_bare))

    # -- storing

    def _store(self, target: ast.expr, kind: Kind, value: ast.expr | None) -> None:
        match target:
            case ast.Name():
                if self._is_outer(target.id):
                    self._emit(Changed(target, target, "assigned"))
                else:
                    self._holds[target.id] = kind
                    self._makers[target.id] = self._name_maker(value)
            case ast.Tuple() | ast.List():
                is_single = len(target.elts) == 1 and not isinstance(target.elts[0], ast.Starred)
                if may_be_set(kind) and not is_single:
                    self._emit(Ordered(value or target, "it is unpacked"))
                is_starred = False
                for place, part in enumerate(target.elts):
                    is_starred = is_starred or isinstance(part, ast.Starred)
                    inner = UNKNOWN if is_starred else self.inference.follow_path(kind, (place,))
                    self._store(part, inner, None)
            case ast.Starred():
                self._store(target.value, UNKNOWN, None)
            case ast.Attribute() | ast.Subscript():
                self._visit(target.value)
                if isinstance(target, ast.Subscript):
                    self._visit(target.slice)
                self._change(target)
            case _:
                pass

    def _change(self, target: ast.Attribute | ast.Subscript) -> None:
        root = find_root(target)
        if root is not None:
            self._emit(Changed(target, root, "changed"))

    def _is_outer(self, name: str) -> bool:
        return name in self.function.scope.globals or name in self.function.scope.nonlocals

    def _visit_or_drop(self, node: ast.expr) -> None:
        if isinstance(getattr(node, "ctx", None), ast.Del):
            if isinstance(node, (ast.Attribute, ast.Subscript)):
                self._visit(node.value)
                self._change(node)
            elif isinstance(node, ast.Name) and self._is_outer(node.id):
                self._emit(Changed(node, node, "assigned"))
        else:
            self._visit(node)

    # -- expressions

    def _visit(self, node: ast.expr) -> None:
        match node:
            case ast.Name():
                self._name(node)
            case ast.Attribute():
                self._attribute(node)
            case ast.Call():
                self._call(node)
            case ast.Lambda():
                self._within(self.module.scopes[node], lambda: self._visit(node.body))
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                self._comprehension(node)
            case ast.NamedExpr():
                self._visit(node.value)
                self._store(node.target, self.kind(node.value), node.value)
            case ast.Starred():
                self._visit(node.value)
                if may_be_set(self.kind(node.value)):
                    self._emit(Ordered(node.value, "it is unpacked"))
            case ast.YieldFrom():
                self._visit(node.value)
                if may_be_set(self.kind(node.value)):
                    self._emit(Ordered(node.value, "its members are yielded"))
            case ast.IfExp():
                self._visit_test(node.test)
                self._visit(node.body)
                self._visit(node.orelse)
            case ast.UnaryOp(op=ast.Not()):
                self._visit_test(node.operand)
            case ast.BoolOp():
                for value in node.values:
                    self._visit_test(value)
            case ast.Compare():
                self._compare(node)
            case ast.BinOp():
                for side in (node.left, node.right):
                    self._visit(side)
                    self._check_use(side, "calculated with")
            case ast.Subscript():
                self._visit(node.value)
                self._visit(node.slice)
                self._check_use(node.value, "indexed")
            case ast.FormattedValue():
                self._visit(node.value)
                self._check_use(node.value, "written into a text")
                if node.format_spec is not None:
                    self._visit(node.format_spec)
            case _:
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, ast.expr):
                        self._visit(child)

    def _visit_test(self, node: ast.expr) -> None:
        self._visit(node)
        if isinstance(node, ast.Call):  # a variable may hold a coroutine or None, and be tested for that
            self._check_use(node, "tested")

    def _check_use(self, node: ast.expr, how: str) -> None:
        kind = self.kind(node)
        kinds = list(each(kind))
        found = [one for one in kinds if isinstance(one, Awaitable)]
        if found and len(found) == len(kinds):
            self._emit(Misused(node, found[0].what, how))

    def _compare(self, node: ast.Compare) -> None:
        sides = [node.left, *node.comparators]
        for side in sides:
            self._visit(side)
        is_identity = all(isinstance(op, (ast.Is, ast.IsNot, ast.In, ast.NotIn)) for op in node.ops)
        if not is_identity:
            for side in sides:
                self._check_use(side, "compared")

    def _name(self, node: ast.Name) -> None:
        self._emit(Read(node))
        self._refer(node, node)

    def _attribute(self, node: ast.Attribute) -> None:
        owner = self.kind(node.value)
        is_chain = isinstance(owner, Outside) and isinstance(node.value, (ast.Name, ast.Attribute))
        if is_chain:
            root = find_root(node)
            if root is not None:
                self._emit(Read(root))
        else:
            self._visit(node.value)
        if node.attr not in _OF_COROUTINES:
            self._check_use(node.value, f"asked for `.{node.attr}`")
        for one in each(owner):
            self._follow(self.inference.find_property(one, node.attr))
        self._refer(node, find_root(node))

    def _refer(self, node: ast.expr, root: ast.Name | None) -> None:
        """Tell of what is named, with what is known of the variable of this function that it begins with."""
        stands_for: list[str] = []
        if root is not None and root.id in self._holds and self.find_home(root.id) is self.function.scope:
            stands_for = [one.name for one in each(self._holds[root.id]) if isinstance(one, Outside)]
        for one in each(self.kind(node)):
            if isinstance(one, Outside) and not (node is root and one.name in stands_for):
                self._emit(Referred(node, one.name, stands_for[0] if stands_for else ""))

    def _within(self, scope: Scope, visit: Callable[[], None]) -> None:
        outer = self._place
        self._place = outer.inner(scope)
        try:
            visit()
        finally:
            self._place = outer

    def _comprehension(self, node: Any) -> None:
        is_free = (isinstance(node, ast.SetComp) or id(node) in self._order_free) and not _has_await(node)
        scope = self.module.scopes[node]
        first = node.generators[0]
        self._comprehend(first, is_free)

        def rest() -> None:
            for condition in first.ifs:
                self._visit_test(condition)
            for part in node.generators[1:]:
                self._comprehend(part, is_free)
                for condition in part.ifs:
                    self._visit_test(condition)
            for name in ("key", "value", "elt"):
                if hasattr(node, name):
                    self._visit(getattr(node, name))

        self._within(scope, rest)

    def _comprehend(self, part: ast.comprehension, is_free: bool) -> None:
        self._visit(part.iter)
        self._check_use(part.iter, "iterated over")
        if may_be_set(self.kind(part.iter)) and not is_free:
            self._emit(Ordered(part.iter, "a comprehension goes through it"))

    # -- calls

    def _call(self, node: ast.Call) -> None:
        callee = self.kind(node.func)
        kinds = list(each(callee))
        self._visit(node.func)
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        is_free = any(isinstance(one, Outside) and one.name in UNORDERED for one in kinds)
        if is_free or id(node) in self._order_free:
            self._order_free.update(id(part) for part in given)
        for part in given:
            self._visit(part)
        maker = self._find_maker(node.func)
        for one in kinds:
            self._emit(Called(node, one, maker))
            self._enter(one, node)
            self._check_order(one, node)
            self._check_method(one, node)
            if isinstance(one, Func) and not one.is_bare and self.inference.role_of(one.function):
                for part in given:
                    self._check_use(part, f"given to {self.inference.role_of(one.function)} {one.function.name}")
        self._follow_given(kinds, node, given)

    def _find_maker(self, node: ast.expr) -> str:
        """Name what made a method's object, if that was in this function: its making was told already."""
        if not isinstance(node, ast.Attribute):
            return ""
        owner = node.value
        while isinstance(owner, (ast.Attribute, ast.Await)):
            owner = owner.value
        return self._makers.get(owner.id, "") if isinstance(owner, ast.Name) else self._name_maker(owner)

    def _name_maker(self, node: ast.expr | None) -> str:
        while isinstance(node, ast.Await):
            node = node.value
        callee = self.kind(node.func) if isinstance(node, ast.Call) else UNKNOWN
        return callee.name if isinstance(callee, Outside) else ""

    def _enter(self, callee: Kind, node: ast.Call) -> None:
        """Follow a call into the project's own code."""
        match callee:
            case Func():
                self._follow(callee.function, is_bare=callee.is_bare)
            case Type():
                for name in ("__new__", "__init__", "__post_init__"):
                    self._follow(self.inference.find_method(callee.cls, name))
                self._follow_defaults(callee, node)
            case Object(of=Type()):
                self._follow_special(callee, "__call__")
            case _:
                pass

    def _follow_special(self, kind: Kind, *names: str) -> None:
        for one in each(kind):
            if isinstance(one, Object) and isinstance(one.of, Type):
                for name in names:
                    self._follow(self.inference.find_method(one.of.cls, name))

    def _follow_defaults(self, made: Type, node: ast.Call) -> None:
        """Look at what makes the defaults of a dataclass or model: `field(default_factory=datetime.now)`."""
        given = {keyword.arg for keyword in node.keywords}
        for base in self.inference.ancestors(made.cls):
            if not isinstance(base, Type):
                continue
            for name, bindings in base.cls.scope.bindings.items():
                value = getattr(bindings[-1], "value", None)
                if name in given or not isinstance(value, ast.Call):
                    continue
                for keyword in value.keywords:
                    if keyword.arg == "default_factory":
                        self._follow_factory(keyword.value, base.cls.scope, node)

    def _follow_factory(self, factory: ast.expr, scope: Scope, node: ast.Call) -> None:
        kind = self.inference.infer(factory, Place(scope))
        if isinstance(kind, Func):
            self._follow(kind.function)
        elif isinstance(kind, Outside):
            self._emit(Referred(node.func, kind.name))

    def _follow_given(self, callees: list[Kind], node: ast.Call, given: Sequence[ast.expr]) -> None:
        for one in callees:
            if isinstance(one, Outside) and one.name in APART:
                return
            if isinstance(one, Func) and not one.is_bare and self.inference.role_of(one.function):
                return
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("run_in_executor", "submit"):
            return
        for part in given:
            for kind in each(self.kind(part)):
                if not isinstance(kind, Func) or isinstance(part, ast.Lambda):
                    continue
                if kind.is_bare or not self.inference.role_of(kind.function):
                    self._follow(kind.function, is_bare=kind.is_bare)

    def _check_order(self, callee: Kind, node: ast.Call) -> None:
        name = callee.name if isinstance(callee, Outside) else ""
        is_list = isinstance(callee, Method) and is_object(callee.owner, "builtins.list") and callee.name == "extend"
        takes_order = name in ORDERED or name.startswith("itertools.") or is_list
        if not takes_order or id(node) in self._order_free:
            return
        for part in node.args:
            if may_be_set(self.kind(part)):
                last = "extend" if is_list else name.rpartition(".")[2]
                self._emit(Ordered(part, f"`{last}` takes its members"))

    def _check_method(self, callee: Kind, node: ast.Call) -> None:
        if not isinstance(callee, Method) or not isinstance(node.func, ast.Attribute):
            return
        owner, name = node.func.value, callee.name
        if isinstance(callee.owner, SetOf):
            if name == "pop" and may_be_set(callee.owner):
                self._emit(Ordered(owner, "`pop` takes any of its members"))
            if name == "add" and isinstance(owner, ast.Name) and node.args:
                self._add_member(owner.id, callee.owner, self.kind(node.args[0]))
        if name in MUTATORS and isinstance(callee.owner, (SetOf, Object)):
            root = find_root(owner)
            if root is not None:
                self._emit(Changed(node, root, "changed"))

    def _add_member(self, name: str, owner: SetOf, member: Kind) -> None:
        if self._place.scope.find_home(name) is self.function.scope and name in self._holds:
            part = member if owner.is_new else merge([owner.part, member])
            self._holds[name] = SetOf(UNKNOWN if isinstance(part, AnyOf) else part)


def find_root(node: ast.expr) -> ast.Name | None:
    """Give the variable that an expression begins with: `CACHE` of `CACHE["a"].items`."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node if isinstance(node, ast.Name) else None


def walk_here(node: ast.AST) -> Iterator[ast.AST]:
    """Give a node and those below it, but not what is in functions and classes that are defined there."""
    stack = [node]
    while stack:
        here = stack.pop()
        yield here
        stack += [child for child in ast.iter_child_nodes(here) if not isinstance(child, (*_FUNCTIONS, ast.ClassDef))]


def has_await(nodes: Sequence[ast.AST]) -> bool:
    """Tell whether something is awaited in these nodes themselves."""
    kinds = (ast.Await, ast.AsyncFor, ast.AsyncWith)
    return any(
        isinstance(part, kinds) or (isinstance(part, ast.comprehension) and part.is_async)
        for node in nodes
        for part in walk_here(node)
    )


def _has_await(node: ast.AST) -> bool:
    return has_await([node])


def _list_loaded(node: ast.AST) -> frozenset[str]:
    """List the names that are read anywhere in a function, in functions within it, too."""
    return frozenset(
        part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)
    )
