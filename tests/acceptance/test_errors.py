"""API.md §1, "Errors that steer", and how exceptions cross the log."""

from __future__ import annotations

import asyncio
import itertools
import json
import traceback
from dataclasses import dataclass
from datetime import timedelta

import msgspec
import pydantic
import pytest

import wf
from wf import codec
from wf.records import open_event
from wf.testing import WorkflowEnvironment


class OrderError(Exception):
    def __init__(self, order_id, *, code):
        super().__init__(f"order {order_id} failed")
        self.order_id = order_id
        self.code = code


class PlainError(Exception):
    pass


@dataclass
class DataError(Exception):
    a: int
    b: str = "x"


class Holder:
    class Inner(ValueError):
        pass


# -- retries


async def test_a_step_is_tried_four_times_by_default_with_growing_delays(wf_env):
    at = []

    @wf.step
    async def flaky():
        at.append(wf_env.time)
        raise ConnectionError("down")

    @wf.workflow
    async def flow():
        try:
            await flaky()
        except ConnectionError as error:
            return str(error)

    assert await wf_env.run(flow) == "down"
    gaps = [(b - a).total_seconds() for a, b in itertools.pairwise(at)]
    assert [round(gap, 2) for gap in gaps] == [1, 2, 4]


async def test_delays_are_retry_delay_times_backoff_capped(wf_env):
    at = []

    @wf.step(max_retries=5, retry_delay="10s", backoff=3, max_delay="1m")
    async def flaky():
        at.append(wf_env.time)
        raise ConnectionError("down")

    @wf.workflow
    async def flow():
        with pytest.raises(ConnectionError):
            await flaky()

    await wf_env.run(flow)
    gaps = [(b - a).total_seconds() for a, b in itertools.pairwise(at)]
    assert [round(gap, 2) for gap in gaps] == [10, 30, 60, 60, 60]


async def test_a_step_that_recovers_gives_its_value(wf_env):
    tries = []

    @wf.step
    def flaky():
        tries.append(1)
        if len(tries) < 3:
            raise OSError("not yet")
        return len(tries)

    @wf.workflow
    async def flow():
        return await flaky()

    assert await wf_env.run(flow) == 3


async def test_no_retries(wf_env):
    tries = []

    @wf.step(max_retries=0)
    async def once():
        tries.append(1)
        raise OSError("no")

    @wf.workflow
    async def flow():
        with pytest.raises(OSError, match="no"):
            await once()

    await wf_env.run(flow)
    assert len(tries) == 1


async def test_retries_go_on_after_a_restart(wf_env, restart):
    tries = []

    @wf.step(max_retries=2, retry_delay="1h")
    async def flaky():
        tries.append(wf.get_step_metadata().attempt)
        raise OSError("no")

    @wf.workflow
    async def flow():
        try:
            await flaky()
        except OSError:
            return "gave up"

    run = await wf_env.start(flow)
    while tries != [1]:
        await asyncio.sleep(0)
    await wf_env._settle()
    await restart()
    assert await run.return_value() == "gave up"
    assert tries == [1, 2, 3]


async def test_a_fatal_error_is_not_retried(wf_env):
    tries = []

    @wf.step
    async def fails():
        tries.append(1)
        raise wf.FatalError("no use")

    @wf.workflow
    async def flow():
        try:
            await fails()
        except wf.FatalError as error:
            return type(error) is wf.FatalError, str(error), error.args

    assert await wf_env.run(flow) == (True, "no use", ("no use",))
    assert len(tries) == 1


async def test_a_subclass_of_fatal_error_is_fatal(wf_env):
    tries = []

    class Refused(wf.FatalError):
        pass

    @wf.step
    async def fails():
        tries.append(1)
        raise Refused("no use")

    @wf.workflow
    async def flow():
        with pytest.raises(Refused):
            await fails()

    await wf_env.run(flow)
    assert len(tries) == 1


@pytest.mark.parametrize("after", [90, 90.0, "90s", "1m 30s", timedelta(seconds=90), "datetime"])
async def test_a_retryable_error_is_retried_after_exactly_that(wf_env, after):
    at, kept = [], []

    @wf.step(retry_delay="1h")
    async def flaky(after):
        at.append(wf_env.time)
        if len(at) == 1:
            after = wf_env.time + timedelta(seconds=90) if after == "datetime" else after
            error = wf.RetryableError("busy", retry_after=after)
            kept.append(error.retry_after == after)
            raise error
        return "done"

    @wf.workflow
    async def flow(after):
        return await flaky(after)

    assert await wf_env.run(flow, after) == "done"
    assert kept == [True]
    assert round((at[1] - at[0]).total_seconds(), 3) == 90


async def test_a_retryable_error_without_a_time_uses_the_steps_own_delay(wf_env):
    at = []

    @wf.step(retry_delay="7s")
    async def flaky():
        at.append(wf_env.time)
        if len(at) == 1:
            raise wf.RetryableError("busy")

    @wf.workflow
    async def flow():
        await flaky()

    await wf_env.run(flow)
    assert round((at[1] - at[0]).total_seconds(), 3) == 7


async def test_a_retryable_error_stays_bounded_and_arrives_as_given(wf_env):
    tries = []

    @wf.step(max_retries=2)
    async def busy():
        tries.append(1)
        raise wf.RetryableError("busy", retry_after="10s")

    @wf.workflow
    async def flow():
        try:
            await busy()
        except wf.RetryableError as error:
            return str(error), error.retry_after

    assert await wf_env.run(flow) == ("busy", "10s")
    assert len(tries) == 3


async def test_a_retryable_error_with_a_time_that_is_none_keeps_its_reason_and_says_so(wf_env, caplog):
    at = []

    @wf.step(retry_delay="7s", max_retries=1)
    async def busy():
        at.append(wf_env.time)
        raise wf.RetryableError("busy", retry_after="soon")

    @wf.workflow
    async def flow():
        try:
            await busy()
        except wf.RetryableError as error:
            return str(error), error.retry_after, error.__notes__

    run = await wf_env.start(flow)
    text, retry_after, notes = await run.return_value()
    mistake = "retry_after: 'soon' is not a duration; write it like '1h 30m' (ms s m h d w)"
    mistake += "; the step's own delay is used instead"
    assert (text, retry_after, notes.count(mistake)) == ("busy", "soon", 1)
    assert (at[1] - at[0]).total_seconds() == 7
    told = [record.getMessage() for record in caplog.records if mistake in record.getMessage()]
    assert told == [f"step {busy.id} of run {run.run_id}, attempt {attempt}: {mistake}" for attempt in (1, 2)]
    session = wf_env.session
    for event in await session.world.read_events(run.run_id):
        if event.type == "step_retrying":
            assert mistake in codec.decode(open_event(session.keyring.run(run.run_id), event)).__notes__


async def test_a_steps_timeout_is_a_step_timeout_error_and_retried():
    # The step's own loop is real, so the shortest timeout there is will do.
    tries = []

    @wf.step(timeout="5ms", max_retries=1, retry_delay=0)
    async def hangs():
        tries.append(1)
        await asyncio.Event().wait()

    @wf.workflow
    async def flow():
        try:
            await hangs()
        except wf.StepTimeoutError as error:
            return isinstance(error, TimeoutError), isinstance(error, wf.StepError), str(error)

    async with WorkflowEnvironment() as env:
        is_timeout, is_step_error, text = await env.run(flow)
    assert is_timeout
    assert is_step_error
    assert len(tries) == 2
    assert "hangs" in text
    assert "5ms" in text or "5 ms" in text or "0.005" in text


# -- the exception comes through as it was


async def test_the_workflow_gets_the_exception_that_the_step_raised(wf_env, restart):
    kept = []

    @wf.step(max_retries=0)
    async def fails():
        error = OrderError(7, code="E7")
        error.extra = {"nested": [1, 2]}
        error.add_note("a note of my own")
        raise error from KeyError("inner")

    @wf.workflow
    async def flow():
        try:
            await fails()
        except OrderError as error:
            kept.append(error)
            await wf.hook(token="go")
            return (
                type(error) is OrderError,
                error.args,
                str(error),
                error.order_id,
                error.code,
                error.extra,
                type(error.__cause__).__name__,
                error.__cause__.args,
                error.__notes__[0],
            )

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    await restart()
    await wf.resume_hook("go")
    value = await run.return_value()
    assert value == (
        True,
        ("order 7 failed",),
        "order 7 failed",
        7,
        "E7",
        {"nested": [1, 2]},
        "KeyError",
        ("inner",),
        "a note of my own",
    )
    notes = "\n".join(kept[0].__notes__)
    assert fails.id in notes
    assert "attempt" in notes
    assert "test_errors.py" in notes
    assert 'raise error from KeyError("inner")' in notes
    assert kept[1].__notes__ == kept[0].__notes__


async def test_the_note_is_shown_by_the_traceback_module(wf_env):
    @wf.step(max_retries=0)
    async def charge_the_card():
        raise PlainError("declined")

    @wf.workflow
    async def flow():
        try:
            await charge_the_card()
        except PlainError as error:
            return "".join(traceback.format_exception(error))

    text = await wf_env.run(flow)
    assert "charge_the_card" in text


@pytest.mark.parametrize(
    "make",
    [
        lambda: ValueError("x", 2),
        lambda: KeyError("k"),
        lambda: OSError(2, "no such file", "name"),
        lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
        lambda: StopIteration(5),
        lambda: DataError(1, "b"),
        lambda: Holder.Inner("deep"),
        lambda: ExceptionGroup("many", [ValueError(1), TypeError("t")]),
        lambda: TimeoutError("late"),
        lambda: json.JSONDecodeError("bad", "{", 1),
        lambda: ZeroDivisionError(),
        lambda: PlainError(),
        lambda: wf.errors.HookConflictError("t", "r"),
        lambda: wf.errors.WorkflowRunFailedError("r", "USER_ERROR"),
        lambda: wf.errors.SerializationError("a.b", "no"),
    ],
    ids=lambda make: type(make()).__name__,
)
async def test_any_class_of_a_loaded_module_comes_back(wf_env, restart, make):
    @wf.step(max_retries=0)
    async def fails():
        raise make()

    @wf.workflow
    async def flow():
        try:
            await fails()
        except Exception as error:
            got.append(error)
            await wf.hook(token="go")

    got = []
    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    await restart()
    await wf.resume_hook("go")
    await run.return_value()
    expected = make()
    if isinstance(expected, StopIteration):  # Python turns it into a RuntimeError at the coroutine's edge
        assert [type(e) for e in got] == [RuntimeError, RuntimeError]
        return
    for error in got:
        assert type(error) is type(expected)
        assert str(error) == str(expected)
        if not isinstance(expected, ExceptionGroup):
            assert error.args == expected.args
    if isinstance(expected, ExceptionGroup):
        assert [repr(e) for e in got[0].exceptions] == [repr(e) for e in expected.exceptions]


async def test_a_pydantic_validation_error_arrives_as_what_it_is(wf_env):
    class Model(pydantic.BaseModel):
        x: int

    @wf.step(max_retries=0)
    async def fails():
        Model(x="no")  # type: ignore[arg-type]

    @wf.workflow
    async def flow():
        try:
            await fails()
        except pydantic.ValidationError as error:
            return error.errors(include_url=False)

    [line] = await wf_env.run(flow)
    assert (line["type"], line["loc"], line["input"]) == ("int_parsing", ("x",), "no")


@dataclass(frozen=True)
class FrozenError(Exception):
    code: int


@wf.step(max_retries=0)
async def fails_frozen():
    raise FrozenError(7)


@wf.step(max_retries=0)
def times_out_in_a_thread():
    try:
        raise KeyError("deep")
    except KeyError as error:
        raise TimeoutError("no answer") from error


async def test_a_timeout_error_of_a_plain_step_keeps_its_cause_and_its_frames(wf_env):
    @wf.workflow
    async def flow():
        try:
            await times_out_in_a_thread()
        except TimeoutError as error:
            return error

    error = await wf_env.run(flow)
    assert (type(error), error.args, repr(error.__cause__)) == (TimeoutError, ("no answer",), "KeyError('deep')")
    [note] = error.__notes__
    assert 'in times_out_in_a_thread\n    raise TimeoutError("no answer") from error' in note


async def test_an_exception_that_refuses_notes_has_them_all_the_same(wf_env):
    @wf.workflow
    async def child():
        async with wf.saga() as saga:
            saga.undo(fall, "undone")
            await fails_frozen()

    @wf.workflow
    async def flow():
        try:
            await child()
        except FrozenError as error:
            return error.code, error.__notes__

    code, notes = await wf_env.run(flow)
    step, undo, run = (note.splitlines()[0] for note in notes)
    assert (code, step.endswith("fails_frozen failed in attempt 1")) == (7, True)
    assert undo.endswith("fall failed: ValueError: undone")
    assert run.startswith("in the child run ")


async def test_a_local_class_comes_back_in_the_process_that_defined_it(wf_env):
    class LocalError(Exception):
        pass

    @wf.step(max_retries=0)
    async def fails():
        raise LocalError("local")

    @wf.workflow
    async def flow():
        try:
            await fails()
        except LocalError as error:
            return error.args

    assert await wf_env.run(flow) == ("local",)


async def test_a_class_that_is_gone_arrives_as_step_error(wf_env, restart, monkeypatch):
    @wf.step(max_retries=0)
    async def fails():
        made = type("Made", (Exception,), {"__module__": "nowhere.loaded"})
        raise made("who am I")

    @wf.workflow
    async def flow():
        try:
            await fails()
        except Exception as error:
            kept = error
        await wf.hook(token="go")
        return kept.type_name, str(kept)

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    monkeypatch.setattr("wf.codec.names._remembered", {})  # as in a new process
    await restart()
    await wf.resume_hook("go")
    type_name, text = await run.return_value()
    assert type_name == "nowhere.loaded.Made"
    assert "who am I" in text


async def test_a_step_error_has_type_name_and_message():
    error = wf.StepError("mod.Name", "text")
    assert error.type_name == "mod.Name"
    assert "text" in error.message
    assert isinstance(error, wf.WorkflowError)


async def test_an_attribute_that_cannot_be_carried_does_not_hide_the_exception(wf_env):
    @wf.step(max_retries=0)
    async def fails():
        error = PlainError("kept")
        error.handle = lambda: None
        error.fine = 5
        raise error

    @wf.workflow
    async def flow():
        try:
            await fails()
        except PlainError as error:
            return str(error), error.fine

    assert await wf_env.run(flow) == ("kept", 5)


@pytest.mark.parametrize("kind", ["repr", "self_cause", "lambda", "huge", "surrogate", "base", "exit", "interrupt"])
async def test_odd_exceptions_do_not_break_the_worker(wf_env, kind):
    class OddError(Exception):
        def __str__(self):
            raise RuntimeError("no text")

        __repr__ = __str__

    def make():
        match kind:
            case "repr":
                return OddError(1)
            case "self_cause":
                error = ValueError("loop")
                error.__cause__ = error
                return error
            case "lambda":
                return ValueError(lambda: None)
            case "huge":
                return ValueError("x" * 5_000_000)
            case "surrogate":
                return ValueError("\ud800")
            case "base":
                return BaseException("base")
            case "exit":
                return SystemExit(3)
            case "interrupt":
                return KeyboardInterrupt()

    @wf.step(max_retries=0)
    async def fails():
        raise make()

    @wf.workflow
    async def flow():
        try:
            await fails()
        except BaseException:
            return "caught"

    assert await wf_env.run(flow) == "caught"


async def test_except_around_a_step_works_live_and_on_replay(wf_env, restart):
    @wf.step(max_retries=0)
    async def fails():
        raise ValueError("v")

    @wf.workflow
    async def flow():
        try:
            await fails()
        except ValueError:
            branch = "caught"
        await wf.hook(token="go")
        return branch

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    await restart()
    await wf.resume_hook("go")
    assert await run.return_value() == "caught"


# -- failed runs


async def test_a_failed_run_raises_workflow_run_failed_error_with_the_cause(wf_env):
    @wf.workflow
    async def flow():
        raise OrderError(9, code="E9") from ValueError("root")

    run = await wf_env.start(flow)
    with pytest.raises(wf.WorkflowRunFailedError) as caught:
        await run.return_value()
    error = caught.value
    assert error.run_id == run.run_id
    assert error.error_code == "USER_ERROR"
    assert type(error.__cause__) is OrderError
    assert error.__cause__.order_id == 9
    assert type(error.__cause__.__cause__) is ValueError
    assert run.run_id in str(error)
    assert await run.status() == "failed"
    with pytest.raises(wf.WorkflowRunFailedError):
        await wf_env.run(flow)


async def test_a_steps_failure_that_nobody_catches_fails_the_run(wf_env):
    @wf.step
    async def fails():
        raise wf.FatalError("enough")

    @wf.workflow
    async def flow():
        await fails()

    with pytest.raises(wf.WorkflowRunFailedError) as caught:
        await wf_env.run(flow)
    assert type(caught.value.__cause__) is wf.FatalError
    assert any(fails.id in note for note in caught.value.__cause__.__notes__)


async def test_a_result_that_cannot_be_carried_fails_the_run(wf_env):
    @wf.workflow
    async def flow():
        return {"a": [1, lambda: None]}

    with pytest.raises(wf.WorkflowRunFailedError) as caught:
        await wf_env.run(flow)
    assert isinstance(caught.value.__cause__, wf.SerializationError)
    assert "result['a'][1]: function cannot be carried" in str(caught.value.__cause__)


async def test_a_steps_result_that_cannot_be_carried_is_not_retried(wf_env):
    tries = []

    @wf.step
    async def odd():
        tries.append(1)
        return [object()]

    @wf.workflow
    async def flow():
        try:
            await odd()
        except wf.SerializationError as error:
            return str(error)

    assert (await wf_env.run(flow)).startswith("result[0]: ")
    assert len(tries) == 1


async def test_system_exit_in_a_body_fails_the_run_only(wf_env):
    @wf.workflow
    async def flow():
        raise SystemExit(1)

    with pytest.raises(wf.WorkflowRunFailedError):
        await wf_env.run(flow)


async def test_a_base_exception_in_a_body_fails_the_run_only(wf_env):
    class OddBaseError(BaseException):
        pass

    @wf.workflow
    async def flow():
        raise OddBaseError("odd")

    with pytest.raises(wf.WorkflowRunFailedError):
        await wf_env.run(flow)


async def test_an_exception_group_fails_the_run_with_its_members(wf_env):
    @wf.step(max_retries=0)
    async def fails(n):
        raise ValueError(n)

    @wf.workflow
    async def flow():
        async with asyncio.TaskGroup() as group:
            group.create_task(fails(1))

    with pytest.raises(wf.WorkflowRunFailedError) as caught:
        await wf_env.run(flow)
    cause = caught.value.__cause__
    assert isinstance(cause, ExceptionGroup)
    assert isinstance(cause.exceptions[0], ValueError)


# -- the family


def test_every_error_of_the_page_is_in_wf_errors():
    names = """WorkflowError FatalError RetryableError StepError StepTimeoutError SerializationError
        PayloadTooLargeError
        HookNotFoundError HookDisposedError HookConflictError WorkflowRunFailedError WorkflowRunCancelledError
        RunNotFoundError NotInRunError LockTimeoutError NondeterminismError NotRegisteredError WorkflowIOError
        DecryptionError WorldError ValidationError""".split()
    for name in names:
        error = getattr(wf.errors, name)
        assert issubclass(error, wf.errors.WorkflowError)
        assert getattr(wf, name) is error


def test_constructors_and_attributes():
    conflict = wf.errors.HookConflictError("tok", "run1")
    assert (conflict.token, conflict.conflicting_run_id) == ("tok", "run1")
    failed = wf.errors.WorkflowRunFailedError("run1", "TIMEOUT")
    assert (failed.run_id, failed.error_code) == ("run1", "TIMEOUT")
    cancelled = wf.errors.WorkflowRunCancelledError("run1", "why")
    assert (cancelled.run_id, cancelled.reason) == ("run1", "why")
    retry = wf.RetryableError("m", retry_after="10s")
    assert (str(retry), retry.retry_after) == ("m", "10s")
    assert str(wf.FatalError("m")) == "m"
    assert issubclass(wf.NotInRunError, RuntimeError)
    assert issubclass(wf.ValidationError, ValueError)
    assert issubclass(wf.LockTimeoutError, TimeoutError)
    assert issubclass(wf.StepTimeoutError, TimeoutError)


class Struct(msgspec.Struct):
    x: int


async def test_errors_carry_values_in_their_args(wf_env):
    @wf.step(max_retries=0)
    async def fails():
        raise ValueError(Struct(4), {"a": (1, 2)}, timedelta(1))

    @wf.workflow
    async def flow():
        try:
            await fails()
        except ValueError as error:
            return list(error.args)

    assert await wf_env.run(flow) == [Struct(4), {"a": (1, 2)}, timedelta(1)]


# -- what is around an exception


@wf.step(max_retries=1, retry_delay=0)
async def fall(message):
    raise ValueError(message)


@wf.step(max_retries=0)
def fall_in_a_thread(message):
    raise ValueError(message)


async def test_what_a_body_raises_has_the_context_that_python_gives_it(wf_env, restart):
    @wf.workflow
    async def flow(pause):
        seen = []
        for step in (fall, fall_in_a_thread):
            try:
                await step("down")
            except ValueError as error:
                seen.append(error.__context__)
        if pause:
            await wf.hook(token="go on")
        raise KeyError(*seen)

    live, replayed = await wf_env.start(flow, False), await wf_env.start(flow, True)
    await wf_env.wait_for_hook(replayed)
    await restart()
    await wf.resume_hook("go on")
    for run in (live, replayed):
        with pytest.raises(wf.WorkflowRunFailedError) as failed:
            await run.return_value()
        cause = failed.value.__cause__
        assert (type(cause), cause.args, cause.__context__) == (KeyError, (None, None), None)


async def test_a_failed_runs_error_shows_where_the_body_raised(wf_env):
    @wf.workflow
    async def child():
        raise ValueError("in the child")

    @wf.workflow
    async def flow():
        run = await wf.start(child)
        try:
            await run.return_value()
        except wf.WorkflowRunFailedError as error:
            return "".join(traceback.format_exception(error))

    text = await wf_env.run(flow)
    assert "ValueError was raised in the run\n  File " in text
    assert 'in child\n    raise ValueError("in the child")\n' in text.partition("was raised in the run")[2]
    run = await wf_env.start(child)
    with pytest.raises(wf.WorkflowRunFailedError) as failed:
        await run.return_value()
    [note] = failed.value.__notes__
    assert note.startswith("ValueError was raised in the run\n  File ")
    assert note.endswith('in child\n    raise ValueError("in the child")')
