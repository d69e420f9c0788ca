"""Walking: one function of a body, statement by statement, with what its variables hold.

1. Branches are walked apart and joined again; one that leaves the function or the loop is not joined. A
   loop's body is walked twice, silently the first time, so that it sees what it leaves behind.
2. A function is walked once, whoever calls it; whoever asks for the walk follows its edges.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence

from wfstudio.core.check.events import Changed, Dropped, Entered, Ordered, Read, Stated
from wfstudio.core.check.inference import Place
from wfstudio.core.check.kinds import (
    UNKNOWN,
    Awaitable,
    Func,
    Kind,
    Method,
    Outside,
    SetOf,
    Type,
    each,
    is_object,
    may_be_set,
    merge,
)
from wfstudio.core.check.scopes import Function
from wfstudio.core.check.visiting import ENTERS, HANDLES, Visitor


class Walk(Visitor):
    """The walk of one function; rules hear of it as `tell(walk, event)`."""

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
            if isinstance(callee, Outside) and callee.name in HANDLES:
                return HANDLES[callee.name]
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
            if what is not None and what not in HANDLES.values() and not what.startswith("the hook"):
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
            self._follow_special(kind, *ENTERS)
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
