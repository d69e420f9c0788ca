"""What a user may get wrong: the error comes early, is of the right class, and nothing breaks."""

from __future__ import annotations

import asyncio

import pytest

import wf


@wf.step(max_retries=0)
async def echo(value):
    return value


@wf.workflow
async def quick():
    return 1


@pytest.mark.parametrize("what", [None, 5, "name", print, echo, lambda: None])
async def test_start_takes_workflows_only(wf_env, what):
    with pytest.raises(TypeError):
        await wf.start(what)
    with pytest.raises(TypeError):
        await wf_env.run(what)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"id": ""}, ValueError),
        ({"id": "x" * 1000}, ValueError),
        ({"id": "a b\n"}, ValueError),
        ({"id": 5}, TypeError),
        ({"attributes": "text"}, TypeError),
        ({"attributes": {"a": 1}}, wf.FatalError),
        ({"deployment": 5}, TypeError),
        ({"delay": "soon"}, ValueError),
        ({"delay": -1}, ValueError),
        ({"nonsense": 1}, TypeError),
    ],
)
async def test_bad_start_options(wf_env, options, error):
    with pytest.raises(error):
        await wf.start(quick.with_options(**options))
    assert (await wf.list_runs()).items == []


async def test_a_workflow_that_returns_a_coroutine_or_task_fails_its_run(wf_env):
    @wf.workflow
    async def flow():
        return asyncio.current_task()

    with pytest.raises(wf.WorkflowRunFailedError) as caught:
        await wf_env.run(flow)
    assert isinstance(caught.value.__cause__, wf.SerializationError)


async def test_awaiting_something_foreign_fails_the_run(wf_env):
    foreign = asyncio.get_running_loop().create_future()

    @wf.workflow
    async def flow():
        await foreign

    with pytest.raises(wf.WorkflowRunFailedError) as caught:
        await wf_env.run(flow)
    assert isinstance(caught.value.__cause__, RuntimeError)
    foreign.cancel()


async def test_asyncio_run_in_a_body_is_refused(wf_env):
    @wf.workflow
    async def flow():
        async def inner(): ...

        coroutine = inner()
        with pytest.raises(RuntimeError):
            asyncio.run(coroutine)
        coroutine.close()
        return "refused"

    assert await wf_env.run(flow) == "refused"


async def test_reasons_must_be_texts(wf_env):
    run = await wf_env.start(quick)
    for call in (run.cancel, run.terminate):
        with pytest.raises((TypeError, ValueError)):
            await call(5)
    await run.return_value()


async def test_timeouts_must_be_durations(wf_env):
    run = await wf_env.start(quick)
    for bad in ("soon", -1, [], object()):
        with pytest.raises((TypeError, ValueError)):
            await run.return_value(timeout=bad)
    assert await run.return_value() == 1


async def test_resume_hook_with_what_is_no_token(wf_env):
    for bad in ("", "x" * 100_000):
        with pytest.raises(wf.HookNotFoundError):
            await wf.resume_hook(bad, 1)
    for bad in (None, 5):
        with pytest.raises((TypeError, wf.HookNotFoundError)):
            await wf.resume_hook(bad, 1)
    with pytest.raises(TypeError):
        await wf.resume_webhook("t", {"not": "a request"})


async def test_a_hooks_metadata_and_schema_must_make_sense(wf_env):
    @wf.workflow
    async def flow():
        with pytest.raises(wf.SerializationError, match=r"^metadata: "):
            wf.hook(metadata=print)
        return "refused"

    assert await wf_env.run(flow) == "refused"


async def test_stream_indexes_and_names_must_make_sense(wf_env):
    run = await wf_env.start(quick)
    await run.return_value()
    for namespace in ("", "$hidden", "default", "x" * 1000):
        with pytest.raises(ValueError):
            run.readable(namespace)
    with pytest.raises(TypeError):
        run.readable(5)
    with pytest.raises((TypeError, ValueError)):
        await anext(run.readable(start_index="1"))


async def test_saga_undo_takes_callables_only(wf_env):
    @wf.workflow
    async def flow():
        async with wf.saga() as saga:
            with pytest.raises(TypeError):
                saga.undo("not a step")
        return "refused"

    assert await wf_env.run(flow) == "refused"


async def test_a_step_given_too_much_says_so_in_the_body(wf_env):
    @wf.workflow
    async def flow():
        with pytest.raises(TypeError) as caught:
            await echo(1, 2)
        return str(caught.value)

    assert "echo" in await wf_env.run(flow)


def test_errors_of_the_decorators_name_the_function():
    with pytest.raises(TypeError, match="not_async"):

        @wf.workflow
        def not_async(): ...

    with pytest.raises(TypeError, match="generates"):

        @wf.step
        def generates():
            yield 1


async def test_every_error_explains_itself(wf_env):
    for error in (
        wf.RunNotFoundError("r"),
        wf.HookNotFoundError("t"),
        wf.SerializationError("a", "b"),
        wf.NotInRunError("x"),
        wf.WorkflowIOError("x"),
        wf.LockTimeoutError("l"),
    ):
        text = error.explain()
        assert "docs/errors/" in text
        assert str(error) in text
