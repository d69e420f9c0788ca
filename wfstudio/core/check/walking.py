"""Walking: one function of a body, statement by statement, with what its variables hold.

1. Branches are walked apart and joined again; one that leaves the function or the loop is not joined. A
   loop's body is walked twice, silently the first time, so that it sees what it leaves behind.
2. A function is walked once, whoever calls it. What it calls is noted as an edge, and whoever asks for
   the walk follows the edges.
3. A function that is given to a call counts as called: `sorted(orders, key=price)`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from wfstudio.core.check.events import (
    Called,
    Changed,
    Dropped,
    Entered,
    Event,
    Misused,
    Ordered,
    Read,
    Referred,
    Stated,
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

_ENTERS: Final = ("__enter__", "__exit__", "__aenter__", "__aexit__")
_OF_COROUTINES: Final = frozenset({"close", "send", "throw", "__await__", "add_done_callback", "cancel", "done"})
_HANDLES: Final = {
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


class Walk:
    """The walk of one function; rules hear of it as `tell(walk, event)`."""

    def __init__(self, function: Function, inference: Inference, tell: Callable[[Walk, Event], None]) -> None:
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

    # -- the whole

    def run(self) -> None:
        """Walk the function."""
        function = self.function
        self._emit(Entered(function, self.inference.role_of(function)))
        self._enter_wrappers()
        node = function.node
        if isinstance(node, ast.Lambda):
            self._visit(node.body)
        else:
            self._block(node.body)

    def _emit(self, event: Event) -> None:
        if not self._silent:
            self._tell(self, event)

    def _follow(self, target: Function | None, *, is_bare: bool = False) -> None:
        if target is not None and not self._silent and target is not self.function:
            self.edges.append(Edge(target, is_bare=is_bare))

    def _enter_wrappers(self) -> None:
        """Follow what the project's own decorators put around the function."""
        for decorator in self.function.decorators:
            node = decorator.func if isinstance(decorator, ast.Call) else decorator
            kind = self.inference.infer(node, Place(self.function.outer))
            if isinstance(kind, Func) and not self.inference.role_of(kind.function):
                for inner in self.module_functions(kind.function):
                    self._follow(inner)

    def module_functions(self, outer: Function) -> Iterator[Function]:
        """Give the functions that are defined in another, but for steps and workflows."""
        for function in outer.module.functions.values():
            parent = function.outer_function
            while parent is not None and parent is not outer:
                parent = parent.outer_function
            if parent is outer and not isinstance(function.node, ast.Lambda) and not self.inference.role_of(function):
                yield function

    # -- statements

    def _block(self, body: Sequence[ast.stmt]) -> bool:
        """Walk statements; tell whether what follows them is never reached."""
        return any(self._statement(statement) for statement in body)  # stops at the first that leaves

    def _statement(self, node: ast.stmt) -> bool:
        self._emit(Stated(node))
        match node:
            case ast.Expr():
                self._expression_statement(node)
            case ast.Assign():
                self._visit(node.value)
                self._check_unused(node)
                for target in node.targets:
                    self._store(target, self.kind(node.value), node.value)
            case ast.AnnAssign():
                self._annotated(node)
            case ast.AugAssign():
                self._augmented(node)
            case ast.For() | ast.AsyncFor():
                self._for(node)
            case ast.While():
                self._loop(node.body, node.orelse, node.test)
            case ast.If():
                self._visit_test(node.test)
                return self._branches([node.body, node.orelse])
            case ast.With() | ast.AsyncWith():
                return self._with(node)
            case ast.Try() | ast.TryStar():
                return self._try(node)
            case ast.Match():
                self._visit(node.subject)
                return self._match(node)
            case ast.Return():
                if node.value is not None:
                    self._visit(node.value)
                    if self.is_root:
                        self._check_use(node.value, "returned as the result")
                return True
            case ast.Raise() | ast.Assert() | ast.Delete():
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, ast.expr):
                        self._visit_or_drop(child)
                return isinstance(node, ast.Raise)
            case ast.Break() | ast.Continue():
                return True
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                self._holds.pop(node.name, None)
            case _:
                pass
        return False

    def _expression_statement(self, node: ast.Expr) -> None:
        self._visit(node.value)
        if not isinstance(node.value, ast.Call):
            return
        what = self._name_dropped(node.value)
        if what is not None:
            self._emit(Dropped(node.value, what))

    def _name_dropped(self, node: ast.expr) -> str | None:
        """Name what is lost if the value of an expression is dropped; None if that is nothing."""
        if isinstance(node, ast.Call):
            callee = self.kind(node.func)
            if isinstance(callee, Outside) and callee.name in _HANDLES:
                return _HANDLES[callee.name]
            if isinstance(callee, Method) and isinstance(callee.owner, Type) and callee.name == "wait":
                return f"the hook {callee.owner.cls.name}"
        kind = self.kind(node)
        found = [one for one in each(kind) if isinstance(one, Awaitable)]
        return found[0].what if found and len(found) == len(list(each(kind))) else None

    def _check_unused(self, node: ast.Assign) -> None:
        """Notice a coroutine that a variable gets, and that nothing ever reads."""
        target = node.targets[0]
        if len(node.targets) == 1 and isinstance(target, ast.Name) and target.id not in self._loaded:
            home = self.function.scope.find_home(target.id)
            what = self._name_dropped(node.value) if home is self.function.scope else None
            if what is not None and what != "asyncio.gather":
                self._emit(Dropped(node.value, what, target.id))

    def _annotated(self, node: ast.AnnAssign) -> None:
        kind = self.inference.annotate(node.annotation, self._place.scope)
        if node.value is not None:
            self._visit(node.value)
            found = self.kind(node.value)
            if kind == UNKNOWN or (isinstance(kind, SetOf) and isinstance(found, SetOf) and found.is_new):
                kind = found if kind == UNKNOWN else kind
            self._store(node.target, kind, node.value)
        elif isinstance(node.target, ast.Name):
            self._holds[node.target.id] = kind

    def _augmented(self, node: ast.AugAssign) -> None:
        self._visit(node.value)
        target = node.target
        if isinstance(target, ast.Name):
            self._emit(Read(target))
            before = self.inference.look_up(target.id, self._place)
            if self._is_outer(target.id):
                self._emit(Changed(node, target, "assigned"))
            if is_object(before, "builtins.list") and may_be_set(self.kind(node.value)):
                self._emit(Ordered(node.value, "a list takes its members"))
            if self._place.scope.find_home(target.id) is self.function.scope:
                self._holds[target.id] = before
        else:
            self._store(target, UNKNOWN, None)

    def _for(self, node: ast.For | ast.AsyncFor) -> None:
        self._visit(node.iter)
        self._check_use(node.iter, "iterated over")
        kind = self.kind(node.iter)
        if may_be_set(kind):
            self._emit(Ordered(node.iter, "a loop goes through it"))
        self._follow_special(kind, "__iter__", "__next__", "__aiter__", "__anext__")
        self._loop(node.body, node.orelse, None, lambda: self._store(node.target, self.inference.iterate(kind), None))

    def _loop(
        self,
        body: Sequence[ast.stmt],
        orelse: Sequence[ast.stmt],
        test: ast.expr | None,
        begin: Callable[[], None] | None = None,
    ) -> None:
        before = dict(self._holds)
        # Once is enough where nothing is told: else nested loops would double the work with each level.
        for is_silent in (True,) if self._silent else (True, False):
            self._silent += is_silent
            if test is not None:
                self._visit_test(test)
            if begin is not None:
                begin()
            self._block(body)
            self._silent -= is_silent
            self._join([before, dict(self._holds)])
        self._block(orelse)

    def _branches(self, bodies: Sequence[Sequence[ast.stmt]]) -> bool:
        """Walk each branch from here, and join those that come to their end."""
        before = dict(self._holds)
        ends: list[dict[str, Kind]] = []
        for body in bodies:
            self._set(before)
            if not self._block(body):
                ends.append(dict(self._holds))
        self._join(ends or [before])
        return not ends

    def _match(self, node: ast.Match) -> bool:
        before = dict(self._holds)
        ends: list[dict[str, Kind]] = []
        has_rest = False
        for case in node.cases:
            self._set(before)
            for part in ast.walk(case.pattern):
                name = getattr(part, "name", None) or getattr(part, "rest", None)
                if isinstance(name, str):
                    self._holds[name] = UNKNOWN
            if case.guard is not None:
                self._visit_test(case.guard)
            has_rest = has_rest or (isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None)
            if not self._block(case.body):
                ends.append(dict(self._holds))
        if not has_rest:
            ends.append(before)
        self._join(ends or [before])
        return not ends

    def _with(self, node: ast.With | ast.AsyncWith) -> bool:
        way = "entered" if isinstance(node, ast.With) else "entered_async"
        for item in node.items:
            self._visit(item.context_expr)
            kind = self.kind(item.context_expr)
            self._follow_special(kind, *_ENTERS)
            if item.optional_vars is not None:
                entered = merge([self.inference.follow_path(one, (way,)) for one in each(kind)])  # type: ignore[arg-type]
                self._store(item.optional_vars, entered, item.context_expr)
        return self._block(node.body)

    def _try(self, node: ast.Try | ast.TryStar) -> bool:
        before = dict(self._holds)
        is_left = self._block(node.body)
        after = dict(self._holds)
        if not is_left:
            is_left = self._block(node.orelse)
        ends = [] if is_left else [dict(self._holds)]
        self._join([before, after])
        begin = dict(self._holds)
        for handler in node.handlers:
            self._set(begin)
            if handler.type is not None:
                self._visit(handler.type)
            if handler.name is not None:
                self._holds[handler.name] = UNKNOWN
            if not self._block(handler.body):
                ends.append(dict(self._holds))
        self._join(ends or [begin])
        is_ended = self._block(node.finalbody)
        return is_ended or not ends

    def _set(self, holds: dict[str, Kind]) -> None:
        self._holds.clear()
        self._holds.update(holds)

    def _join(self, ends: Sequence[dict[str, Kind]]) -> None:
        """Let each variable hold what it may hold at the end of any of these."""
        names = {name for end in ends for name in end}
        joined = {}
        for name in names:
            missing = any(name not in end for end in ends)  # a parameter or an import, until it was assigned
            kinds = [end[name] for end in ends if name in end]
            if missing:
                home = self.function.scope
                kinds.append(self.inference.read_bindings(home.bindings.get(name, ())))
            joined[name] = merge(kinds)
        self._set(joined)

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
