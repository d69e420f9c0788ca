"""Registries: what the decorators record about workflows and steps, and how the rest finds it.

1. One id, one place. An id belongs to one piece of code in this process, across all registries;
   a second registration from another `file:line` is an error that names both. The same code run
   again (a reload, a notebook cell, a test's function defined anew) replaces what it registered.
2. A registered object is its function to readers (`inspect`, `help`, docs) and `.func` to callers
   that want it undecorated.
3. Arguments are bound and encoded at the call, so they pass by value as of the call, and a call
   that cannot be made fails where it was written. Nothing is recorded before it is awaited.

What a checker sees: calling a step gives a `Coroutine` of its result, for `async def` and `def`
alike, because that is what it is in a workflow body, where calls are made, gathered and given to
`create_task`. A plain `def` step called outside a run gives its bare result; there, write
`step.func(...)`, which says the same and keeps the checker content.
"""

from __future__ import annotations

import copy
import functools
import inspect
import re
import warnings
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from types import FunctionType, MethodType, ModuleType
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Final,
    Generic,
    Literal,
    ParamSpec,
    Protocol,
    Self,
    TypeVar,
    cast,
    overload,
)

import msgspec

from wf.codec import encode_arguments
from wf.codec.names import module_name
from wf.context import current_attempt, current_body
from wf.durations import Duration, parse_duration
from wf.errors import shorten
from wf.ids import is_run_id
from wf.retry import RetryPolicy
from wf.signature import Signature

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
S = TypeVar("S")
Call = Coroutine[object, None, R]
"""What a call in a body gives. Not `Coroutine[Any, Any, R]`: for that mypy types `asyncio.gather` as Any."""

Kind = Literal["workflow", "step"]
_DIRECTIVES: Final[dict[str, Kind]] = {"use workflow": "workflow", "use step": "step"}
_NAMESPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\Z")
_LONGEST_NAME = 200
_MOST_BACKOFF = 1_000_000


# -- what is registered -------------------------------------------------------------------------


class StartOptions(msgspec.Struct, frozen=True):
    """How a run is to be started; `with_options` makes them. `delay_us` counts from the start call."""

    id: str | None = None
    attributes: dict[str, str] | None = None
    deployment: str | None = None
    delay_us: int | None = None


class Definition(Generic[P, R]):
    """What a workflow and a step have in common.

    `where` is the file and line of the code. `origin` tells one execution of a module from another:
    its globals and its spec.
    """

    __slots__ = ("__dict__", "__weakref__", "concurrency", "func", "id", "origin", "signature", "timeout_us", "where")
    kind: Kind

    __name__: str
    __qualname__: str
    __wrapped__: Callable[..., Any]
    __signature__: inspect.Signature

    def __init__(
        self, func: Callable[P, Any], id: str, *, timeout: Duration | None = None, concurrency: int | None = None
    ) -> None:
        inner = cast(FunctionType, inspect.unwrap(func))
        names = inner.__globals__
        self.func = func
        self.id = id
        self.where: tuple[str, int] = (inner.__code__.co_filename, inner.__code__.co_firstlineno)
        self.origin: tuple[dict[str, Any], Any] = (names, names.get("__spec__"))
        self.timeout_us = _read_timeout(timeout)
        self.concurrency = None if concurrency is None else _read_count("concurrency", concurrency, at_least=1)
        self.signature = Signature(func)
        functools.update_wrapper(cast(Any, self), func)
        self.__signature__ = self.signature.parameters

    def __repr__(self) -> str:
        return f"<{self.kind} {self.id}>"


class Workflow(Definition[P, R]):
    """A registered workflow. Called in a workflow's body it runs as a child; else use `wf.start`."""

    __slots__ = ("options",)
    kind = "workflow"
    func: Callable[P, Coroutine[Any, Any, R]]

    def __init__(
        self, func: Callable[P, Any], id: str, *, timeout: Duration | None = None, concurrency: int | None = None
    ) -> None:
        super().__init__(func, id, timeout=timeout, concurrency=concurrency)
        self.options = StartOptions()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Call[R]:
        body = current_body.get()
        if body is None or current_attempt.get() is not None:
            name = self.__name__
            raise TypeError(
                f"workflow {self.id} was called outside a workflow; "
                f"use `await wf.start({name}, ...)`, or `wf.run({name}, ...)` in a script"
            )
        arguments = encode_arguments(self.signature.bind(args, kwargs))
        return cast("Call[R]", body.call_child(self, arguments))

    def with_options(
        self,
        *,
        id: str | None = None,
        attributes: Mapping[str, str] | None = None,
        deployment: str | None = None,
        delay: Duration | None = None,
    ) -> Self:
        """Give the same workflow with other start options; those not named stay as they are.

        `id` becomes the run id and makes the start idempotent. `delay` puts off the first activation.
        The attributes' own limits are checked at the start.
        """
        changes: dict[str, Any] = {}
        if id is not None:
            if not isinstance(id, str):
                raise TypeError(f"id: {type(id).__name__} is not a run id; give a text")
            if not is_run_id(id):
                raise ValueError(f"id: {shorten(id)} is not a run id; use 1 to 200 letters, digits and ._:@+=/-")
            changes["id"] = id
        if attributes is not None:
            if not isinstance(attributes, Mapping):
                raise TypeError(f"attributes: {type(attributes).__name__} is not a mapping of texts")
            changes["attributes"] = dict(attributes)
        if deployment is not None:
            if not isinstance(deployment, str):
                raise TypeError(f"deployment: {type(deployment).__name__} is not a deployment id; give a text")
            changes["deployment"] = deployment
        if delay is not None:
            changes["delay_us"] = parse_duration(delay, "delay")
        other = copy.copy(self)
        other.options = msgspec.structs.replace(self.options, **changes)
        return other


class Step(Definition[P, R]):
    """A registered step. In a workflow's body a call is recorded and retried; else it is a plain call."""

    __slots__ = ("is_async", "is_cancellable", "policy")
    kind = "step"

    def __init__(
        self,
        func: Callable[P, Any],
        id: str,
        *,
        max_retries: int = 3,
        retry_delay: Duration = "1s",
        backoff: float = 2.0,
        max_delay: Duration = "5m",
        timeout: Duration | None = None,
        concurrency: int | None = None,
        cancellable: bool = False,
    ) -> None:
        super().__init__(func, id, timeout=timeout, concurrency=concurrency)
        self.policy = RetryPolicy(
            max_retries=_read_count("max_retries", max_retries, at_least=0),
            retry_delay_us=parse_duration(retry_delay, "retry_delay"),
            backoff=_read_backoff(backoff),
            max_delay_us=parse_duration(max_delay, "max_delay"),
        )
        if not isinstance(cancellable, bool):
            raise TypeError(f"cancellable: {shorten(cancellable)} is not a bool")
        self.is_cancellable = cancellable
        self.is_async = inspect.iscoroutinefunction(func)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Call[R]:
        body = current_body.get()
        if body is None or current_attempt.get() is not None:
            return cast("Call[R]", self.func(*args, **kwargs))
        arguments = encode_arguments(self.signature.bind(args, kwargs))
        return cast("Call[R]", body.call_step(self, arguments))

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...
    @overload
    def __get__(self: Step[Concatenate[S, Q], R], instance: S, owner: type | None = None) -> Callable[Q, Call[R]]: ...
    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """Bind a step that was defined in a class, as a function would be.

        The instance is then the step's first argument and must be carried: a dataclass is.
        """
        return self if instance is None else MethodType(self, instance)


if TYPE_CHECKING:  # one class; a checker is told which kind of function `.func` is

    class AsyncStep(Step[P, R]):
        func: Callable[P, Coroutine[Any, Any, R]]

    class PlainStep(Step[P, R]):
        func: Callable[P, R]


class WorkflowDecorator(Protocol):
    def __call__(self, func: Callable[P, Coroutine[Any, Any, R]], /) -> Workflow[P, R]: ...


class StepDecorator(Protocol):
    @overload
    def __call__(self, func: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncStep[P, R]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, func: Callable[P, R], /) -> PlainStep[P, R]: ...


class SandboxPolicy:
    """Accepted, with any arguments, for programs written for another runtime. It does nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...


# -- registries ---------------------------------------------------------------------------------


class Workflows:
    """A registry with its own decorators. A `namespace` stands before the ids it gives, with a slash.

    `as_vercel_job` is accepted for programs of Vercel's SDK and means nothing here.
    """

    __slots__ = ("namespace",)

    def __init__(
        self, *, namespace: str | None = None, sandbox_policy: object = None, as_vercel_job: bool = True
    ) -> None:
        if namespace is not None and not (isinstance(namespace, str) and _NAMESPACE.match(namespace)):
            raise ValueError(f"namespace: {shorten(namespace)} is not a name; use letters, digits and _.-")
        self.namespace = namespace
        if sandbox_policy is not None:
            _warn_of_sandbox()

    @overload
    def workflow(self, func: Callable[P, Coroutine[Any, Any, R]], /) -> Workflow[P, R]: ...
    @overload
    def workflow(
        self,
        func: None = None,
        /,
        *,
        name: str | None = None,
        timeout: Duration | None = None,
        concurrency: int | None = None,
        sandbox_policy: object = None,
    ) -> WorkflowDecorator: ...
    def workflow(
        self,
        func: Any = None,
        /,
        *,
        name: str | None = None,
        timeout: Duration | None = None,
        concurrency: int | None = None,
        sandbox_policy: object = None,
    ) -> Any:
        """Register an `async def` function as a workflow.

        `timeout` bounds a run as a whole. With `concurrency=n` at most n runs of it execute at once;
        the rest wait in order of creation.
        """
        if sandbox_policy is not None:
            _warn_of_sandbox()
        return self._decorate("workflow", func, name, {"timeout": timeout, "concurrency": concurrency})

    @overload
    def step(self, func: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncStep[P, R]: ...  # type: ignore[overload-overlap]
    @overload
    def step(self, func: Callable[P, R], /) -> PlainStep[P, R]: ...
    @overload
    def step(
        self,
        func: None = None,
        /,
        *,
        name: str | None = None,
        max_retries: int = 3,
        retry_delay: Duration = "1s",
        backoff: float = 2.0,
        max_delay: Duration = "5m",
        timeout: Duration | None = None,
        concurrency: int | None = None,
        cancellable: bool = False,
    ) -> StepDecorator: ...
    def step(
        self,
        func: Any = None,
        /,
        *,
        name: str | None = None,
        max_retries: int = 3,
        retry_delay: Duration = "1s",
        backoff: float = 2.0,
        max_delay: Duration = "5m",
        timeout: Duration | None = None,
        concurrency: int | None = None,
        cancellable: bool = False,
    ) -> Any:
        """Register a function as a step: `async def` runs on the worker's loop, `def` in a thread.

        `max_retries=3` means at most 4 attempts; `timeout` bounds one of them. With `concurrency=n`
        at most n attempts run at once in the whole world, first come, first served.
        """
        options = {
            "max_retries": max_retries,
            "retry_delay": retry_delay,
            "backoff": backoff,
            "max_delay": max_delay,
            "timeout": timeout,
            "concurrency": concurrency,
            "cancellable": cancellable,
        }
        return self._decorate("step", func, name, options)

    def _decorate(self, kind: Kind, func: Any, name: str | None, options: dict[str, Any]) -> Any:
        if name is not None:
            _check_name(name)
        if func is None:
            return lambda func: self._register(kind, func, name, options)
        return self._register(kind, func, name, options)

    def _register(self, kind: Kind, func: Any, name: str | None, options: dict[str, Any]) -> Any:
        if isinstance(func, staticmethod):
            return staticmethod(self._register(kind, func.__func__, name, options))
        _check_function(kind, func, name)
        id = name or f"{module_name(func.__module__)}:{func.__qualname__}"
        if self.namespace:
            id = f"{self.namespace}/{id}"
        if kind == "workflow":
            workflow: Workflow[Any, Any] = Workflow(func, id, **options)
            _claim_id(workflow)
            _workflows[id] = workflow
            return workflow
        step: Step[Any, Any] = Step(func, id, **options)
        _claim_id(step)
        _steps[id] = step
        return step


_workflows: dict[str, Workflow[Any, Any]] = {}
_steps: dict[str, Step[Any, Any]] = {}

default_registry: Final = Workflows()
workflow: Final = default_registry.workflow
step: Final = default_registry.step


def find_workflow(id: str) -> Workflow[Any, Any] | None:
    """Give the workflow that any registry of this process has under this id."""
    return _workflows.get(id)


def find_step(id: str) -> Step[Any, Any] | None:
    """Give the step that any registry of this process has under this id."""
    return _steps.get(id)


def list_workflows() -> list[Workflow[Any, Any]]:
    """Give all workflows of this process, in order of registration."""
    return list(_workflows.values())


def list_steps() -> list[Step[Any, Any]]:
    """Give all steps of this process, in order of registration."""
    return list(_steps.values())


@contextmanager
def isolated(*, keep: bool = False) -> Iterator[None]:
    """Forget at the block's end what was registered in it, and restore what stood there before.

    With `keep` only if the block raises: what fails to load leaves no half of itself behind.
    """
    workflows, steps = dict(_workflows), dict(_steps)
    is_kept = False
    try:
        yield
        is_kept = keep
    finally:
        if not is_kept:
            _workflows.clear()
            _workflows.update(workflows)
            _steps.clear()
            _steps.update(steps)


def register_directives(module: ModuleType, registry: Workflows = default_registry) -> None:
    """Register a module's functions whose docstring is `use workflow` or `use step`.

    Each is replaced in the module (and in the module's own classes) by the registered object, so
    code of the module that names it gets that one. Doing it again changes nothing.
    """
    _register_directives_in(module, module.__name__, registry, {}, set())


def _register_directives_in(
    holder: ModuleType | type, module: str, registry: Workflows, done: dict[Any, Any], seen: set[type]
) -> None:
    for name, value in list(vars(holder).items()):
        func = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
        if isinstance(value, type) and value.__module__ == module and value not in seen:
            seen.add(value)
            _register_directives_in(value, module, registry, done, seen)
        if not isinstance(func, FunctionType) or func.__module__ != module:
            continue
        kind = _DIRECTIVES.get((func.__doc__ or "").strip())
        if kind is None:
            continue
        if value not in done:
            done[value] = registry._register(kind, value, None, {})
        setattr(holder, name, done[value])


# -- checks -------------------------------------------------------------------------------------


def _claim_id(new: Definition[Any, Any]) -> None:
    """Refuse an id that other code has; take it from code that this is a new version of."""
    old = _workflows.get(new.id) or _steps.get(new.id)
    if old is None:
        return
    if not _is_new_version(new, old):
        kind = new.kind if new.kind == old.kind else "id"
        raise ValueError(
            f"{kind} {new.id} is registered twice\n"
            f"  at {old.where[0]}:{old.where[1]} in {old.__qualname__}\n"
            f"  and {new.where[0]}:{new.where[1]} in {new.__qualname__}\n"
            "  fix: rename one of them, or give it another `name=`"
        )
    _workflows.pop(new.id, None)
    _steps.pop(new.id, None)


def _is_new_version(new: Definition[Any, Any], old: Definition[Any, Any]) -> bool:
    if new.where == old.where:
        return True
    if "<locals>" in new.id:
        return True
    scope, _, _ = new.__qualname__.rpartition("<locals>")
    old_scope, _, _ = old.__qualname__.rpartition("<locals>")
    if old_scope and scope != old_scope:
        return True  # `name=` on a function inside a function: each test may have its own `charge`
    its = new.origin[0]
    if its.get("__name__") == "__main__" and "__file__" not in its:
        return True  # typed at a prompt or in a notebook: every cell is another file
    # A reload runs an edited file in the same globals, with functions on other lines. What tells
    # it from a second definition in the file is the module's spec, which a reload makes anew.
    is_same_run = all(here is there for here, there in zip(new.origin, old.origin, strict=True))
    return new.where[0] == old.where[0] and not is_same_run


def _check_function(kind: Kind, func: Any, name: str | None) -> None:
    label = getattr(func, "__qualname__", None) or shorten(func)
    if isinstance(func, Definition):
        raise TypeError(f"@wf.{kind}: {label} is a {func.kind} already; decorate it once")
    if isinstance(func, classmethod):
        raise TypeError(f"@wf.{kind}: {func.__qualname__} is a classmethod; make it a staticmethod")
    if isinstance(func, type) or not callable(func) or not hasattr(inspect.unwrap(func), "__code__"):
        raise TypeError(f"@wf.{kind} decorates a function, not {label}")
    if inspect.isasyncgenfunction(func) or inspect.isgeneratorfunction(func):
        raise TypeError(f"@wf.{kind}: {label} is a generator; return a list, or write to `wf.get_writable()` in a step")
    if kind == "workflow" and not inspect.iscoroutinefunction(func):
        raise TypeError(f"@wf.workflow: {label} must be `async def`")
    if func.__name__ == "<lambda>" and name is None:
        raise TypeError(f"@wf.{kind}: a lambda has no name to be found by again; write a `def`, or give `name=`")


def _check_name(name: Any) -> None:
    if not isinstance(name, str):
        raise TypeError(f"name: {shorten(name)} is not a text")
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable() or name != name.strip():
        raise ValueError(f"name: {shorten(name)} is not a name; use 1 to {_LONGEST_NAME} printable characters")


def _read_timeout(value: Any) -> int | None:
    if value is None:
        return None
    micros = parse_duration(value, "timeout")
    if micros == 0:
        raise ValueError("timeout: 0 leaves no time at all; leave it out for no limit")
    return micros


def _read_count(option: str, value: Any, *, at_least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{option}: {shorten(value)} is not an integer")
    if value < at_least:
        raise ValueError(f"{option}: {value} is less than {at_least}")
    return value


def _read_backoff(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"backoff: {shorten(value)} is not a number")
    if not 0 <= value <= _MOST_BACKOFF:  # nan is outside, too
        raise ValueError(f"backoff: {shorten(value)} is not a number from 0 to {_MOST_BACKOFF}")
    return float(value)


_sandbox_was_mentioned = False


def _warn_of_sandbox() -> None:
    global _sandbox_was_mentioned
    if not _sandbox_was_mentioned:
        _sandbox_was_mentioned = True
        warnings.warn(
            "sandbox_policy does nothing in wf: there is no import sandbox, any library may be imported",
            stacklevel=3,
        )
