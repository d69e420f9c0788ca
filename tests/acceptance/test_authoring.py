"""API.md §1, registries and decorators."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
import types
import warnings
from datetime import timedelta

import pytest

import wf
from wf import registry


@wf.step
async def double(x: int) -> int:
    return x * 2


@wf.workflow
async def doubled(x: int) -> int:
    return await double(x)


# -- decorators


async def test_a_workflow_awaits_a_step_and_returns_its_value(wf_env):
    assert await wf_env.run(doubled, 21) == 42


async def test_arguments_go_by_position_and_by_name(wf_env):
    assert await wf_env.run(doubled, x=21) == 42

    @wf.workflow
    async def keywords(a, /, b, *rest, c=3, **more):
        return [a, b, list(rest), c, more]

    assert await wf_env.run(keywords, 1, 2) == [1, 2, [], 3, {}]
    assert await wf_env.run(keywords, 1, 2, 8, 9, c=4, d=5) == [1, 2, [8, 9], 4, {"d": 5}]


async def test_a_step_takes_all_kinds_of_parameters(wf_env):
    @wf.step
    async def keywords(a, /, b, *rest, c=3, **more):
        return (a, b, rest, c, more)

    @wf.workflow
    async def flow():
        return [await keywords(1, 2), await keywords(1, b=2, c=4, a=7), await keywords(1, 2, 8, 9)]

    assert await wf_env.run(flow) == [
        (1, 2, (), 3, {}),
        (1, 2, (), 4, {"a": 7}),
        (1, 2, (8, 9), 3, {}),
    ]


def test_the_undecorated_function_is_func():
    assert inspect.iscoroutinefunction(doubled.func)
    assert inspect.iscoroutinefunction(double.func)
    assert asyncio.run(double.func(2)) == 4


def test_decorated_functions_keep_name_doc_and_signature():
    @wf.step(max_retries=1)
    async def documented(a: int, b: str = "x") -> None:
        """Say what it does."""

    assert documented.__name__ == "documented"
    assert documented.__doc__ == "Say what it does."
    assert list(inspect.signature(documented).parameters) == ["a", "b"]


def test_ids_are_module_and_qualname_unless_named():
    assert doubled.id == f"{doubled.func.__module__}:doubled"
    assert double.id == f"{double.func.__module__}:double"

    @wf.step(name="billing.charge")
    async def charge(): ...

    assert charge.id == "billing.charge"

    @wf.workflow(name="billing.flow")
    async def flow(): ...

    assert flow.id == "billing.flow"


def test_a_separate_registry_has_the_same_decorators():
    app = wf.Workflows()
    other = wf.Workflows(namespace="other")

    @app.workflow
    async def one(): ...

    @other.workflow(name="flow")
    async def two(): ...

    @other.step(max_retries=0)
    async def three(): ...

    assert one.id.endswith("one")
    assert "other" in two.id
    assert "other" in three.id
    with pytest.raises(TypeError):
        wf.Workflows("positional")  # type: ignore[misc]


async def test_workflows_of_a_separate_registry_run(wf_env):
    app = wf.Workflows(namespace="apart")

    @app.step
    async def inc(x):
        return x + 1

    @app.workflow
    async def flow(x):
        return await inc(x)

    assert await wf_env.run(flow, 1) == 2


def test_a_sandbox_policy_is_accepted_and_says_once_that_it_does_nothing(monkeypatch):
    monkeypatch.setattr(registry, "_sandbox_was_mentioned", False)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        app = wf.Workflows(sandbox_policy=wf.SandboxPolicy(allow=["x"]))
        wf.Workflows(sandbox_policy=wf.SandboxPolicy())

        @app.workflow
        async def flow(): ...

        @app.workflow(sandbox_policy=wf.SandboxPolicy())
        async def flow2(): ...

    assert len(seen) == 1
    assert "sandbox" in str(seen[0].message)


def test_a_workflow_must_be_async():
    with pytest.raises(TypeError, match="async def"):

        @wf.workflow
        def plain(): ...

    with pytest.raises(TypeError):

        @wf.workflow
        async def generator():
            yield 1

    with pytest.raises(TypeError):

        @wf.workflow
        class Flow: ...

    with pytest.raises(TypeError):

        @wf.workflow(timeout="1h")
        def plain_too(): ...


def test_options_are_keywords_only_and_unknown_ones_are_refused():
    with pytest.raises(TypeError):
        wf.step(3)  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        wf.step(retries=3)  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        wf.workflow(max_retries=3)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"max_retries": -1}, ValueError),
        ({"max_retries": "3"}, TypeError),
        ({"max_retries": True}, TypeError),
        ({"retry_delay": "soon"}, ValueError),
        ({"retry_delay": -1}, ValueError),
        ({"timeout": 0}, ValueError),
        ({"timeout": "x"}, ValueError),
        ({"timeout": object()}, TypeError),
        ({"concurrency": 0}, ValueError),
        ({"concurrency": 1.5}, TypeError),
        ({"backoff": "2"}, TypeError),
        ({"backoff": -1}, ValueError),
        ({"max_delay": "1y"}, ValueError),
        ({"name": ""}, ValueError),
        ({"name": 3}, TypeError),
        ({"cancellable": 1}, TypeError),
    ],
)
def test_a_bad_option_is_refused_at_import(options, error):
    with pytest.raises(error):

        @wf.step(**options)
        async def bad(): ...


def test_durations_are_seconds_texts_or_timedeltas():
    for value in (2, 2.0, "2s", "2000ms", timedelta(seconds=2)):

        @wf.step(retry_delay=value, timeout=value, max_delay=value)
        async def fine(): ...

        assert fine.policy.retry_delay_us == 2_000_000


def test_the_defaults_of_a_step():
    parameters = inspect.signature(wf.step).parameters
    defaults = {name: p.default for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY}
    assert defaults == {
        "name": None,
        "max_retries": 3,
        "retry_delay": "1s",
        "backoff": 2.0,
        "max_delay": "5m",
        "timeout": None,
        "concurrency": None,
        "cancellable": False,
    }
    parameters = inspect.signature(wf.workflow).parameters
    for name in ("name", "timeout", "concurrency"):
        assert parameters[name].default is None
        assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY


def test_two_registrations_of_one_id_are_an_error_that_names_both_places():
    with registry.isolated():
        namespace: dict = {"wf": wf, "__name__": "made_up"}
        one = compile("@wf.step(name='same.id')\nasync def first(): ...\n", "/app/one.py", "exec")
        two = compile("\n\n@wf.step(name='same.id')\nasync def second(): ...\n", "/app/two.py", "exec")
        exec(one, namespace)
        with pytest.raises(ValueError) as caught:
            exec(two, {"wf": wf, "__name__": "made_up2"})
        assert "/app/one.py:1" in str(caught.value)
        assert "/app/two.py:3" in str(caught.value)
        assert "same.id" in str(caught.value)


async def test_functions_defined_in_functions_work(wf_env):
    def make(n):
        @wf.step
        async def add(x):
            return x + n

        @wf.workflow
        async def flow(x):
            return await add(x)

        return flow

    assert await wf_env.run(make(1), 1) == 2
    assert await wf_env.run(make(5), 1) == 6


# -- steps: async and plain


async def test_an_async_step_runs_on_the_workers_loop_and_a_plain_one_in_a_thread(wf_env):
    seen = {}

    @wf.step
    async def on_loop():
        seen["loop"] = threading.get_ident(), asyncio.get_running_loop()

    @wf.step
    def in_thread():
        seen["thread"] = threading.get_ident()
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        return "from a thread"

    @wf.workflow
    async def flow():
        await on_loop()
        return await in_thread()

    assert await wf_env.run(flow) == "from a thread"
    assert seen["loop"] == (threading.get_ident(), asyncio.get_running_loop())
    assert seen["thread"] != threading.get_ident()


async def test_plain_steps_run_side_by_side(wf_env):
    barrier = threading.Barrier(3, timeout=10)

    @wf.step
    def meet(n):
        barrier.wait()
        return n

    @wf.workflow
    async def flow():
        return await asyncio.gather(*(meet(n) for n in range(3)))

    assert await wf_env.run(flow) == [0, 1, 2]


async def test_a_step_called_outside_a_run_is_a_plain_call():
    @wf.step
    def plain(x):
        return x + 1

    assert plain(1) == 2
    assert await double(4) == 8


async def test_a_step_called_inside_another_step_is_a_plain_call(wf_env):
    calls = []

    @wf.step
    async def inner(value):
        calls.append(wf.get_step_metadata().step_name)
        return value

    @wf.step
    async def outer():
        marker = object()  # could not be carried
        return (await inner(marker)) is marker

    @wf.step
    def inner_plain(value):
        return value

    @wf.step
    def outer_plain():
        marker = object()
        return inner_plain(marker) is marker

    @wf.workflow
    async def flow():
        return await outer(), await outer_plain()

    assert await wf_env.run(flow) == (True, True)
    assert calls == [outer.id]


async def test_calling_a_workflow_outside_a_run_names_start_and_run(wf_env):
    with pytest.raises(TypeError, match=r"wf\.start") as caught:
        doubled(1)
    assert "wf.run" in str(caught.value)

    @wf.step(max_retries=0)
    async def calls_it():
        await doubled(1)

    @wf.workflow
    async def flow():
        try:
            await calls_it()
        except TypeError as error:
            return str(error)

    assert "wf.start" in await wf_env.run(flow)


async def test_awaiting_a_workflow_in_a_workflow_runs_a_child(wf_env):
    @wf.workflow
    async def parent():
        return await doubled(4)

    run = await wf_env.start(parent)
    assert await run.return_value() == 8
    assert sorted([r.run_id == run.run_id async for r in wf.list_runs()]) == [False, True]


async def test_a_call_that_does_not_fit_is_a_type_error_where_it_was_written(wf_env):
    @wf.workflow
    async def flow():
        with pytest.raises(TypeError):
            double()
        with pytest.raises(TypeError):
            double(1, 2)
        with pytest.raises(TypeError):
            double(y=1)
        return "fine"

    assert await wf_env.run(flow) == "fine"
    with pytest.raises(TypeError):
        await wf.start(doubled)
    with pytest.raises(TypeError):
        await wf.start(doubled, 1, 2)
    with pytest.raises(TypeError):
        await wf.start(doubled.func, 1)
    assert [r async for r in wf.list_runs(workflow=doubled)] == []


async def test_a_step_in_a_class_binds_like_a_function(wf_env):
    class Tools:
        @staticmethod
        @wf.step
        async def inner(x):
            return x + 1

        @wf.step
        @staticmethod
        async def outer(x):
            return x + 2

    @wf.workflow
    async def flow():
        return await Tools.inner(1), await Tools().outer(1)

    assert await wf_env.run(flow) == (2, 3)


async def test_steps_under_functools_wraps_keep_their_parameters(wf_env):
    def logged(func):
        @functools.wraps(func)
        async def wrapper(*args, **kwargs):
            return "logged", await func(*args, **kwargs)

        return wrapper

    @wf.step
    @logged
    async def add(a, b=2):
        return a + b

    @wf.workflow
    async def flow():
        return await add(1), await add(1, b=5)

    assert await wf_env.run(flow) == (("logged", 3), ("logged", 6))


# -- directives


def test_directives_register_functions_whose_docstring_is_exactly_that():
    module = types.ModuleType("acceptance_directives")
    source = '''
async def flow(x):
    "use workflow"
    return await work(x)

async def work(x):
    """use step"""
    return x + 1

def plain(x):
    """use step"""
    return x

async def other(x):
    """use step, please"""
'''
    exec(compile(source, "acceptance_directives.py", "exec"), module.__dict__)
    wf.register_directives(module)
    assert module.flow.id == "acceptance_directives:flow"
    assert module.work.id == "acceptance_directives:work"
    assert module.plain(3) == 3
    assert hasattr(module.plain, "func")
    assert isinstance(module.other, types.FunctionType)
    before = module.flow
    wf.register_directives(module)
    assert module.flow is before


async def test_directives_run(wf_env):
    module = types.ModuleType("acceptance_directives_run")
    source = (
        "async def flow(x):\n 'use workflow'\n return await work(x)\nasync def work(x):\n 'use step'\n return x+1\n"
    )
    exec(compile(source, "acceptance_directives_run.py", "exec"), module.__dict__)
    wf.register_directives(module)
    assert await wf_env.run(module.flow, 1) == 2


# -- the workflow's options


async def test_a_workflows_timeout_fails_the_run_with_its_code(wf_env):
    cleaned = []

    @wf.step
    async def clean():
        cleaned.append(True)

    @wf.workflow(timeout="10s")
    async def slow():
        try:
            await wf.sleep("1h")
        finally:
            await clean()

    started = wf_env.time
    run = await wf_env.start(slow)
    with pytest.raises(wf.WorkflowRunFailedError) as caught:
        await run.return_value()
    assert caught.value.error_code == "TIMEOUT"
    assert caught.value.run_id == run.run_id
    assert isinstance(caught.value.__cause__, TimeoutError)
    assert cleaned == [True]
    assert timedelta(seconds=10) <= wf_env.time - started < timedelta(minutes=1)


async def test_a_timeout_survives_a_restart(wf_env, restart):
    @wf.workflow(timeout="10s")
    async def slow():
        await wf.sleep("1h")

    run = await wf_env.start(slow)
    await wf_env.wait_for_sleep(run)
    await restart()
    await wf_env.skip("11s")
    with pytest.raises(wf.WorkflowRunFailedError) as caught:
        await run.return_value()
    assert caught.value.error_code == "TIMEOUT"


async def test_at_most_n_runs_of_a_workflow_execute_at_once_in_order_of_creation(wf_env):
    started, running, most = [], 0, 0

    @wf.step
    async def enter(n):
        nonlocal running, most
        running += 1
        most = max(most, running)
        started.append(n)

    @wf.step
    async def leave():
        nonlocal running
        running -= 1

    @wf.workflow(concurrency=2)
    async def narrow(n):
        await enter(n)
        await wf.sleep("1m")
        await leave()

    runs = [await wf_env.start(narrow, n) for n in range(6)]
    for run in runs:
        await run.return_value()
    assert most == 2
    assert started == list(range(6))


async def test_a_run_that_waits_for_room_is_pending_and_waits_on_when_another_sleeps(wf_env):
    @wf.workflow(concurrency=1)
    async def narrow():
        await wf.sleep("1h")

    first = await wf_env.start(narrow)
    second = await wf_env.start(narrow)
    await wf_env.wait_for_sleep(first)
    assert await first.status() == "running"
    assert await second.status() == "pending"
    await wf_env.skip("61m")
    await first.return_value()
    await second.return_value()


async def test_a_steps_concurrency_holds_over_all_runs_first_come_first_served(wf_env):
    running, most, order = 0, 0, []

    @wf.step(concurrency=2)
    async def narrow(n):
        nonlocal running, most
        running += 1
        most = max(most, running)
        order.append(n)
        for _ in range(5):
            await asyncio.sleep(0)
        running -= 1

    @wf.workflow
    async def flow(n):
        await asyncio.gather(*(narrow(10 * n + i) for i in range(3)))

    runs = [await wf_env.start(flow, n) for n in range(4)]
    for run in runs:
        await run.return_value()
    assert most == 2
    assert len(order) == 12
    for n in range(4):
        assert [x for x in order if x // 10 == n] == [10 * n, 10 * n + 1, 10 * n + 2]


def test_start_options_are_keywords_and_leave_the_workflow_alone():
    other = doubled.with_options(id="my-run", attributes={"a": "b"}, delay="1h", deployment="latest")
    assert other is not doubled
    assert other.id == doubled.id
    assert doubled.options.id is None
    with pytest.raises(TypeError):
        doubled.with_options("my-run")  # type: ignore[misc]
    with pytest.raises(ValueError):
        doubled.with_options(delay="soon")


def test_names_in_all_exist():
    for name in wf.__all__:
        assert getattr(wf, name) is not None
