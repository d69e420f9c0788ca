"""What the decorators record, who may have an id, and what a call does where."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import sys
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, assert_type

import pytest

import wf
from wf import codec, registry
from wf.context import current_attempt, current_body
from wf.errors import SerializationError
from wf.registry import (
    SandboxPolicy,
    StartOptions,
    Step,
    Workflow,
    Workflows,
    find_step,
    find_workflow,
    list_steps,
    list_workflows,
    register_directives,
    step,
    workflow,
)
from wf.retry import RetryPolicy


@pytest.fixture(autouse=True)
def own_registry() -> Iterator[None]:
    with registry.isolated():
        yield


class Recorder:
    """A body that keeps the calls made in it."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def call_step(self, step: Step[Any, Any], arguments: bytes) -> Awaitable[Any]:
        return self._keep(step.id, arguments)

    def call_child(self, workflow: Workflow[Any, Any], arguments: bytes) -> Awaitable[Any]:
        return self._keep(workflow.id, arguments)

    def _keep(self, id: str, arguments: bytes) -> Awaitable[Any]:
        self.calls.append((id.rpartition(".")[2], codec.decode_arguments(arguments)))
        return asyncio.sleep(0)


@contextmanager
def a_body() -> Iterator[Recorder]:
    body = Recorder()
    token = current_body.set(body)
    try:
        yield body
    finally:
        current_body.reset(token)


@pytest.fixture
def make_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], ModuleType]:
    """Write a module's source and import it; a second time reloads it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def make(name: str, source: str) -> ModuleType:
        (tmp_path / f"{name}.py").write_text(f"import wf.registry as wf\n{source}")
        importlib.invalidate_caches()
        if name in sys.modules:
            return importlib.reload(sys.modules[name])
        monkeypatch.setitem(sys.modules, name, ModuleType(name))  # so that it is forgotten at the end
        del sys.modules[name]
        return importlib.import_module(name)

    return make


# -- ids ----------------------------------------------------------------------------------------


def test_an_id_is_module_and_qualified_name(make_module: Any) -> None:
    module = make_module("orders", "@wf.step\ndef pay(): ...\nclass Shop:\n @staticmethod\n @wf.step\n def ship(): ...")
    assert module.pay.id == "orders:pay"
    assert module.Shop.ship.id == "orders:Shop.ship"
    assert (repr(module.pay), find_step("orders:pay")) == ("<step orders:pay>", module.pay)


def test_a_name_stands_for_the_whole_id() -> None:
    @workflow(name="billing.close")
    async def close() -> None: ...

    assert close.id == "billing.close"
    assert find_workflow("billing.close") is close


def test_a_namespace_stands_before_the_id_with_a_slash(make_module: Any) -> None:
    app = Workflows(namespace="shop")

    @app.step(name="pay")
    def pay() -> None: ...

    @app.workflow
    async def main() -> None: ...

    assert pay.id == "shop/pay"
    assert main.id.startswith("shop/")
    assert main.id.endswith(":test_a_namespace_stands_before_the_id_with_a_slash.<locals>.main")
    assert find_step("shop/pay") is pay


@pytest.mark.parametrize("namespace", ["", "a/b", "a b", "-a", 3])
def test_a_namespace_is_a_plain_word(namespace: Any) -> None:
    with pytest.raises(ValueError, match="is not a name; use letters, digits"):
        Workflows(namespace=namespace)


def test_a_script_has_its_files_name(monkeypatch: pytest.MonkeyPatch) -> None:
    main = ModuleType("__main__")
    main.__file__ = "flows/order.py"
    monkeypatch.setitem(sys.modules, "__main__", main)
    exec("import wf.registry as wf\n@wf.step\ndef pay(): ...", vars(main))
    assert main.pay.id == "order:pay"


def test_lookups_span_all_registries_and_give_none_for_strangers() -> None:
    before = (len(list_workflows()), len(list_steps()))

    @Workflows().workflow
    async def one() -> None: ...

    @Workflows(namespace="x").step
    def two() -> None: ...

    assert (len(list_workflows()), len(list_steps())) == (before[0] + 1, before[1] + 1)
    assert (list_workflows()[-1], list_steps()[-1]) == (one, two)
    assert (find_workflow("no:such"), find_step("no:such"), find_step(one.id)) == (None, None, None)


# -- duplicates ---------------------------------------------------------------------------------


def test_one_id_in_two_places_is_an_error_that_names_both(make_module: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError) as error:
        make_module("orders", "@wf.step\ndef pay(): ...\n\n\n@wf.step\ndef pay(): ...")
    assert str(error.value) == (
        "step orders:pay is registered twice\n"
        f"  at {tmp_path}/orders.py:2 in pay\n"
        f"  and {tmp_path}/orders.py:6 in pay\n"
        "  fix: rename one of them, or give it another `name=`"
    )


def test_two_modules_may_not_share_a_name(make_module: Any) -> None:
    make_module("orders", "@wf.step(name='pay')\ndef pay(): ...")
    with pytest.raises(ValueError, match=r"(?s)step pay is registered.*orders\.py:2 in pay.*bills\.py:2 in settle"):
        make_module("bills", "@wf.step(name='pay')\ndef settle(): ...")


def test_a_workflow_and_a_step_may_not_share_an_id(make_module: Any) -> None:
    with pytest.raises(ValueError, match="id orders:pay is registered twice"):
        make_module("orders", "@wf.step\ndef pay(): ...\n@wf.workflow\nasync def pay(): ...")


def test_two_registries_may_not_share_an_id(make_module: Any) -> None:
    source = "@wf.Workflows().step(name='pay')\ndef a(): ...\n@wf.Workflows().step(name='pay')\ndef b(): ..."
    with pytest.raises(ValueError, match="step pay is registered twice"):
        make_module("orders", source)


def test_a_duplicate_leaves_the_first_in_its_place(make_module: Any) -> None:
    first = make_module("orders", "@wf.step(name='pay')\ndef pay(): ...").pay
    with pytest.raises(ValueError):
        make_module("bills", "@wf.workflow(name='pay')\nasync def settle(): ...")
    assert (find_step("pay"), find_workflow("pay")) == (first, None)


def test_a_reload_replaces_even_what_moved_or_changed_its_kind(make_module: Any) -> None:
    make_module("orders", "@wf.step\ndef pay(): ...\n@wf.step\ndef ship(): ...")
    module = make_module("orders", "# moved\n\n@wf.step\ndef ship(): ...\n@wf.workflow\nasync def pay(): ...")
    assert find_step("orders:ship") is module.ship
    assert find_workflow("orders:pay") is module.pay
    assert find_step("orders:pay") is None


def test_a_reload_that_defines_twice_is_still_an_error(make_module: Any) -> None:
    make_module("orders", "@wf.step\ndef pay(): ...")
    with pytest.raises(ValueError, match="step orders:pay is registered twice"):
        make_module("orders", "\n@wf.step\ndef pay(): ...\n@wf.step\ndef pay(): ...")


def test_a_function_in_a_function_replaces_its_namesake() -> None:
    def define() -> list[Step[[], None]]:
        @step
        def pay() -> None: ...

        first = pay

        @step  # type: ignore[no-redef]
        def pay() -> None: ...

        return [first, pay]

    first, second = define()
    assert first.id == second.id
    assert find_step(first.id) is second


def test_the_same_code_run_again_replaces_its_name() -> None:
    def define() -> Step[[], None]:
        @step(name="pay")
        def pay() -> None: ...

        return pay

    assert define() is not define()


def test_functions_of_different_tests_may_share_a_name() -> None:
    def one_test() -> None:
        @step(name="pay")
        def pay() -> None: ...

    def another_test() -> Step[[], None]:
        @step(name="pay")
        def pay() -> None: ...

        return pay

    one_test()
    second = another_test()
    assert find_step("pay") is second


def test_one_name_for_two_functions_of_one_scope_is_an_error() -> None:
    @step(name="pay")
    def pay() -> None: ...

    with pytest.raises(ValueError, match="step pay is registered twice"):

        @step(name="pay")
        def settle() -> None: ...


def test_a_notebook_may_define_a_cell_anew() -> None:
    cells = {"__name__": "__main__"}
    exec(compile("import wf.registry as wf\n@wf.step(name='pay')\ndef pay(): ...", "<cell 1>", "exec"), cells)
    exec(compile("\n\n@wf.step(name='pay')\ndef pay(): ...", "<cell 2>", "exec"), cells)
    found = find_step("pay")
    assert found is not None
    assert found.where == ("<cell 2>", 3)


def test_what_fails_in_a_kept_block_is_forgotten() -> None:
    @step(name="a")
    def a() -> None: ...

    with pytest.raises(ZeroDivisionError), registry.isolated(keep=True):

        @step(name="b")
        def b() -> None: ...

        raise ZeroDivisionError
    with registry.isolated(keep=True):

        @step(name="c")
        def c() -> None: ...

    assert [find_step(name) for name in "abc"] == [a, None, c]


# -- options ------------------------------------------------------------------------------------


def test_a_steps_options_are_as_documented() -> None:
    @step
    def plain() -> None: ...

    @step(
        max_retries=5, retry_delay="2s", backoff=3, max_delay=timedelta(minutes=1), timeout=30, concurrency=2,
        cancellable=True,
    )  # fmt: skip
    async def full() -> None: ...

    assert plain.policy == RetryPolicy(3, 1_000_000, 2.0, 300_000_000)
    assert (plain.timeout_us, plain.concurrency, plain.is_cancellable, plain.is_async) == (None, None, False, False)
    assert full.policy == RetryPolicy(5, 2_000_000, 3.0, 60_000_000)
    assert (full.timeout_us, full.concurrency, full.is_cancellable, full.is_async) == (30_000_000, 2, True, True)


def test_a_workflows_options_are_as_documented() -> None:
    @workflow
    async def plain() -> None: ...

    @workflow(timeout="2h", concurrency=1)
    async def full() -> None: ...

    assert (plain.timeout_us, plain.concurrency, plain.options) == (None, None, StartOptions())
    assert (full.timeout_us, full.concurrency) == (7_200_000_000, 1)


LIKE_THIS = "write it like '1h 30m' (ms s m h d w)"
GIVE_THIS = "give seconds, '1h 30m' or a timedelta"


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"max_retries": -1}, ValueError, "max_retries: -1 is less than 0"),
        ({"max_retries": 2.0}, TypeError, "max_retries: 2.0 is not an integer"),
        ({"max_retries": True}, TypeError, "max_retries: True is not an integer"),
        ({"max_retries": None}, TypeError, "max_retries: None is not an integer"),
        ({"retry_delay": -1}, ValueError, "retry_delay: -1 is negative"),
        ({"retry_delay": "soon"}, ValueError, f"retry_delay: 'soon' is not a duration; {LIKE_THIS}"),
        ({"retry_delay": None}, TypeError, f"retry_delay: NoneType is not a duration; {GIVE_THIS}"),
        ({"max_delay": b"1s"}, TypeError, f"max_delay: bytes is not a duration; {GIVE_THIS}"),
        ({"backoff": -0.5}, ValueError, "backoff: -0.5 is not a number from 0 to 1000000"),
        ({"backoff": float("nan")}, ValueError, "backoff: nan is not a number from 0 to 1000000"),
        ({"backoff": "2"}, TypeError, "backoff: '2' is not a number"),
        ({"timeout": 0}, ValueError, "timeout: 0 leaves no time at all; leave it out for no limit"),
        ({"timeout": -3}, ValueError, "timeout: -3 is negative"),
        ({"concurrency": 0}, ValueError, "concurrency: 0 is less than 1"),
        ({"concurrency": "2"}, TypeError, "concurrency: '2' is not an integer"),
        ({"cancellable": 1}, TypeError, "cancellable: 1 is not a bool"),
        ({"name": 3}, TypeError, "name: 3 is not a text"),
        ({"name": ""}, ValueError, "name: '' is not a name; use 1 to 200 printable characters"),
        ({"name": "a\nb"}, ValueError, "name: 'a\\nb' is not a name; use 1 to 200 printable characters"),
    ],
)  # fmt: skip
def test_a_bad_option_is_refused_by_its_name(options: dict[str, Any], kind: type[Exception], text: str) -> None:
    before = list_steps()
    with pytest.raises(kind) as error:
        step(**{"name": "pay", **options})(lambda: None)
    assert str(error.value) == text
    assert list_steps() == before


def test_an_unknown_option_is_refused_as_python_does() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'max_retry'"):
        step(max_retry=3)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="unexpected keyword argument 'max_retries'"):
        workflow(max_retries=3)  # type: ignore[call-overload]


def test_a_sandbox_policy_is_accepted_and_mentioned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_sandbox_was_mentioned", False)
    with pytest.warns(UserWarning, match="sandbox_policy does nothing in wf"):
        Workflows(sandbox_policy=SandboxPolicy("strict", allow=["requests"]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Workflows(sandbox_policy=SandboxPolicy())
        workflow(sandbox_policy=SandboxPolicy())


# -- what may be decorated ------------------------------------------------------------------------


def test_a_workflow_must_be_async() -> None:
    with pytest.raises(TypeError) as error:

        @workflow  # type: ignore[arg-type]
        def main() -> None: ...

    assert str(error.value) == "@wf.workflow: test_a_workflow_must_be_async.<locals>.main must be `async def`"


async def agen() -> Any:
    yield 1


def gen() -> Any:
    yield 1


class Thing:
    @classmethod
    def make(cls) -> None: ...


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (agen, "@wf.step: agen is a generator; return a list, or write to `wf.get_writable()` in a step"),
        (gen, "@wf.step: gen is a generator; return a list, or write to `wf.get_writable()` in a step"),
        (Thing, "@wf.step decorates a function, not Thing"),
        (Thing(), "@wf.step decorates a function, not <"),
        ("charge", "@wf.step decorates a function, not 'charge'"),
        (len, "@wf.step decorates a function, not len"),
        (lambda: None, "@wf.step: a lambda has no name to be found by again; write a `def`, or give `name=`"),
        (vars(Thing)["make"], "@wf.step: Thing.make is a classmethod; make it a staticmethod"),
    ],
)
def test_what_is_no_plain_function_is_refused(target: Any, text: str) -> None:
    with pytest.raises(TypeError) as error:
        step(target)
    assert str(error.value).startswith(text)


def test_decorating_twice_is_refused() -> None:
    @step
    def pay() -> None: ...

    with pytest.raises(TypeError, match="pay is a step already; decorate it once"):
        workflow(pay)


def test_a_lambda_with_a_name_may_be_a_step() -> None:
    double = step(name="double")(lambda x: 2 * x)
    assert double(4) == 8  # type: ignore[comparison-overlap]


def test_a_decorated_function_is_found_where_it_was_written() -> None:
    def logged(func: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(func)
        def wrapper(*args: Any) -> Any:
            return func(*args)

        return wrapper

    @step
    @logged
    def pay(amount: int) -> int:
        return amount

    assert pay.where == (__file__, pay.func.__wrapped__.__code__.co_firstlineno)  # type: ignore[attr-defined]
    assert pay.signature.bind((3,), {}) == {"amount": 3}


# -- reading --------------------------------------------------------------------------------------


def test_a_registered_object_reads_like_its_function() -> None:
    @step(max_retries=1)
    def pay(amount: int, note: str = "") -> str:
        """Pay it."""
        return note

    assert (pay.__name__, pay.__doc__, pay.__module__) == ("pay", "Pay it.", __name__)
    assert pay.__qualname__ == pay.func.__qualname__
    assert pay.__wrapped__ is pay.func
    assert str(inspect.signature(pay)) == "(amount: 'int', note: 'str' = '') -> 'str'"
    assert inspect.unwrap(pay) is pay.func
    assert inspect.getsourcelines(pay) == inspect.getsourcelines(pay.func)


def test_with_options_is_a_copy_that_carries_them() -> None:
    @workflow
    async def main(x: int) -> int:
        return x

    named = main.with_options(id="order:42", attributes={"customer": "ada"}, delay="1m")
    moved = named.with_options(deployment="latest")
    assert main.options == StartOptions()
    assert named.options == StartOptions("order:42", {"customer": "ada"}, None, 60_000_000)
    assert moved.options == StartOptions("order:42", {"customer": "ada"}, "latest", 60_000_000)
    assert (named.id, named.func, named.where, named.__name__) == (main.id, main.func, main.where, "main")
    assert find_workflow(main.id) is main


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"id": ""}, ValueError, "id: '' is not a run id; use 1 to 200 letters, digits and ._:@+=/-"),
        ({"id": "a b"}, ValueError, "id: 'a b' is not a run id; use 1 to 200 letters, digits and ._:@+=/-"),
        ({"id": 42}, TypeError, "id: int is not a run id; give a text"),
        ({"delay": -1}, ValueError, "delay: -1 is negative"),
        ({"attributes": ["a"]}, TypeError, "attributes: list is not a mapping of texts"),
        ({"deployment": 3}, TypeError, "deployment: int is not a deployment id; give a text"),
    ],
)
def test_bad_start_options_are_refused_at_once(options: dict[str, Any], kind: type[Exception], text: str) -> None:
    @workflow
    async def main() -> None: ...

    with pytest.raises(kind) as error:
        main.with_options(**options)
    assert str(error.value) == text


# -- calls ----------------------------------------------------------------------------------------


def test_outside_a_run_a_step_is_a_plain_call() -> None:
    @step
    async def fetch(x: int) -> int:
        return x + 1

    @step
    def render(x: object) -> object:
        return x

    marker = object()
    assert asyncio.run(fetch(1)) == 2
    assert render(marker) is marker


def test_in_a_body_a_call_is_recorded_by_parameter_name() -> None:
    @step
    def pay(amount: int, note: str = "") -> None: ...

    @workflow
    async def child(*names: str) -> None: ...

    with a_body() as body:
        for call in (pay(1), pay(note="x", amount=2), child("a", "b")):
            call.close()
    assert body.calls == [
        ("pay", {"amount": 1}),
        ("pay", {"amount": 2, "note": "x"}),
        ("child", {"*names": ["a", "b"]}),
    ]


def test_arguments_pass_by_value_as_of_the_call() -> None:
    @step
    def pay(lines: list[int]) -> None: ...

    lines = [1]
    with a_body() as body:
        call = pay(lines)
        lines.append(2)
        call.close()
    assert body.calls == [("pay", {"lines": [1]})]


def test_a_call_that_cannot_be_made_fails_where_it_is_written() -> None:
    @step
    def pay(amount: int) -> None: ...

    call: Any = pay
    with a_body() as body:
        with pytest.raises(TypeError, match=r"pay\(\) missing 1 required positional argument: 'amount'"):
            call()
        with pytest.raises(SerializationError, match="amount: "):
            call(lambda: None)
    assert body.calls == []


def test_inside_an_attempt_a_step_is_a_plain_call() -> None:
    @step
    def pay(amount: int) -> int:
        return amount

    with a_body() as body:
        token = current_attempt.set(object())
        try:
            assert pay(3) == 3  # type: ignore[comparison-overlap]
        finally:
            current_attempt.reset(token)
    assert body.calls == []


def test_a_workflow_called_outside_a_body_says_what_to_call() -> None:
    @workflow(name="main")
    async def main() -> None: ...

    call: Any = main
    with pytest.raises(TypeError) as error:
        call()
    assert str(error.value) == (
        "workflow main was called outside a workflow; "
        "use `await wf.start(main, ...)`, or `wf.run(main, ...)` in a script"
    )
    with a_body():
        token = current_attempt.set(object())
        try:
            with pytest.raises(TypeError, match="was called outside a workflow"):
                call()
        finally:
            current_attempt.reset(token)


# -- classes --------------------------------------------------------------------------------------


@dataclass
class Till:
    cents: int

    @step
    def count(self, times: int = 1) -> int:
        return self.cents * times

    @staticmethod
    @step
    def outer(x: int) -> int:
        return x

    @step
    @staticmethod
    def inner(x: int) -> int:
        return x


def test_staticmethods_are_steps_in_either_order() -> None:
    for holder in (Till, Till(1)):
        outer: Any = holder.outer
        inner: Any = holder.inner
        assert (outer(2), inner(3)) == (2, 3)
        assert isinstance(outer, Step)
        assert isinstance(inner, Step)


def test_a_method_step_carries_its_instance() -> None:
    call: Any = Till(5).count
    assert call(3) == 15
    assert Till.count(Till(2)) == 2  # type: ignore[comparison-overlap]
    assert call.id == f"{Till.__module__}:Till.count"
    with a_body() as body:
        Till(7).count(2).close()
    assert body.calls == [("count", {"self": Till(7), "times": 2})]


# -- directives -----------------------------------------------------------------------------------

DIRECTIVES = '''
def pay(amount):
    """use step"""
    return amount

async def main():
    """
    use workflow
    """
    return pay

def explain():
    """To use step, read on."""

class Shop:
    @staticmethod
    def ship():
        "use step"

alias = pay
'''


def test_directives_register_as_decorators_do(make_module: Any) -> None:
    module = make_module("orders", DIRECTIVES)
    register_directives(module)
    assert (find_step("orders:pay"), find_workflow("orders:main")) == (module.pay, module.main)
    assert find_step("orders:Shop.ship") is module.Shop.ship
    assert inspect.isfunction(module.explain)
    assert module.alias is module.pay
    assert asyncio.run(module.main.func()) is module.pay


def test_directives_are_registered_once(make_module: Any) -> None:
    module = make_module("orders", DIRECTIVES)
    register_directives(module)
    first = module.pay
    register_directives(module)
    assert module.pay is first


def test_a_reload_registers_directives_anew(make_module: Any) -> None:
    register_directives(make_module("orders", DIRECTIVES))
    module = make_module("orders", "\n\n" + DIRECTIVES)
    register_directives(module)
    assert find_step("orders:pay") is module.pay


def test_an_imported_function_belongs_to_its_own_module(make_module: Any) -> None:
    make_module("orders", DIRECTIVES)
    module = make_module("shop", "from orders import pay")
    register_directives(module)
    assert inspect.isfunction(module.pay)


def test_a_directive_is_checked_like_a_decorator(make_module: Any) -> None:
    with pytest.raises(TypeError, match="main must be `async def`"):
        register_directives(make_module("orders", "def main():\n    'use workflow'"))


# -- types: checked by mypy, not by running ---------------------------------------------------------

if TYPE_CHECKING:

    @step
    async def fetch(x: int, note: str = "") -> str:
        return note

    @step(max_retries=1)
    def render(x: int) -> bytes:
        return b""

    @workflow
    async def typed(n: int) -> float:
        assert_type(await fetch(n), str)
        assert_type(await render(n), bytes)
        assert_type(await asyncio.gather(fetch(1), render(2)), tuple[str, bytes])
        assert_type(await asyncio.create_task(render(n)), bytes)
        assert_type(await typed(3), float)
        assert_type(await Till(1).count(times=2), int)
        await fetch("x")  # type: ignore[arg-type]
        async with asyncio.TaskGroup() as group:
            task = assert_type(group.create_task(fetch(1)), asyncio.Task[str])
        task.result()
        return 1.0

    async def program() -> None:
        run = assert_type(await wf.start(typed.with_options(id="x"), 1), wf.Run[float])
        assert_type(await run.return_value(timeout="1s"), float)
        assert_type(await wf.get_run("x", type=int).return_value(), int)
        assert_type(await wf.get_run("x").return_value(), Any)
        assert_type(await typed.func(1), float)
        assert_type(await fetch.func(1), str)
        assert_type(render.func(1), bytes)
        assert_type(await anext(run.readable(type=int)), int)
        async with wf.testing.WorkflowEnvironment() as env:
            assert_type(await env.run(typed, 1), float)
        print(wf.no_such_name)  # type: ignore[attr-defined]

    assert_type(wf.run(typed, 1), float)
    assert_type(typed.with_options(id="x").id, str)
