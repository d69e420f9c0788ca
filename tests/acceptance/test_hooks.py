"""API.md §2 and §8: hooks."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal

import msgspec
import pydantic
import pytest

import wf


@dataclass
class Approval(wf.BaseHook):
    approved: bool
    by: str = "nobody"


@dataclass
class Line:
    sku: str
    count: int


@dataclass
class Order(wf.BaseHook):
    at: datetime
    lines: list[Line]
    kind: Literal["a", "b"] = "a"


class ModelFirst(pydantic.BaseModel, wf.BaseHook):
    amount: int = pydantic.Field(gt=0)
    day: date | None = None


class HookFirst(wf.BaseHook, pydantic.BaseModel):
    name: str


class Struct(msgspec.Struct):
    x: int


class Color(enum.Enum):
    RED = "red"


class PlainModel(pydantic.BaseModel):
    n: int


@wf.step
async def echo(value):
    return value


@wf.workflow
async def approve(token: str):
    decision = await Approval.wait(token=token)
    assert isinstance(decision, Approval)
    return [decision.approved, decision.by]


# -- models


async def test_a_dataclass_is_a_hooks_payload(wf_env):
    run = await wf_env.start(approve, "site:1")
    found = await wf_env.wait_for_hook(run, token="site:1")
    assert found.token == "site:1"
    await Approval(approved=True, by="ann").resume("site:1")
    assert await run.return_value() == [True, "ann"]


async def test_resume_takes_a_hook_too_and_gives_one(wf_env):
    run = await wf_env.start(approve, "t")
    found = await wf_env.wait_for_hook(run)
    given = await Approval(True).resume(found)
    assert isinstance(given, wf.Hook)
    assert (given.token, given.run_id) == ("t", run.run_id)
    assert await run.return_value() == [True, "nobody"]


async def test_resume_hook_takes_plain_values_and_instances(wf_env):
    for payload in ({"approved": False}, Approval(False)):
        run = await wf_env.start(approve, "t")
        await wf_env.wait_for_hook(run)
        await wf.resume_hook("t", payload)
        assert await run.return_value() == [False, "nobody"]


async def test_nested_models_come_back_as_themselves(wf_env):
    @wf.workflow
    async def flow():
        order = await Order.wait(token="t")
        assert isinstance(order.lines[0], Line)
        return order.at, order.lines[0].count, order.kind

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    at = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    await Order(at, [Line("s", 2)], "b").resume("t")
    assert await run.return_value() == (at, 2, "b")


@pytest.mark.parametrize("payload", [ModelFirst(amount=3, day=date(2026, 1, 2)), {"amount": 3, "day": "2026-01-02"}])
async def test_a_pydantic_model_is_a_hooks_payload(wf_env, payload):
    @wf.workflow
    async def flow():
        got = await ModelFirst.wait(token="t")
        assert isinstance(got, ModelFirst)
        return got.amount, got.day

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    with pytest.raises(wf.ValidationError):
        await wf.resume_hook("t", {"amount": 0})
    if isinstance(payload, ModelFirst):
        await payload.resume("t")
    else:
        await wf.resume_hook("t", payload)
    assert await run.return_value() == (3, date(2026, 1, 2))


async def test_a_pydantic_model_the_other_way_round(wf_env):
    @wf.workflow
    async def flow():
        return (await HookFirst.wait(token="t")).name

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    await HookFirst(name="n").resume("t")
    assert await run.return_value() == "n"


# -- validation


@pytest.mark.parametrize(
    "payload", [{"approved": "yes"}, {}, {"approved": 1}, [], None, "x", {"approved": True, "by": 5}]
)
async def test_what_does_not_fit_raises_at_the_resumer_and_writes_nothing(wf_env, payload):
    run = await wf_env.start(approve, "t")
    await wf_env.wait_for_hook(run)
    before = (await wf_env.session.world.get_run(run.run_id)).seq
    with pytest.raises(wf.ValidationError) as caught:
        await wf.resume_hook("t", payload)
    assert isinstance(caught.value, ValueError)
    await wf_env._embedded.drain()
    assert (await wf_env.session.world.get_run(run.run_id)).seq == before
    await Approval(True).resume("t")
    assert await run.return_value() == [True, "nobody"]


async def test_an_instance_with_wrong_fields_is_refused_too(wf_env):
    run = await wf_env.start(approve, "t")
    await wf_env.wait_for_hook(run)
    with pytest.raises(wf.ValidationError):
        await Approval(approved="yes").resume("t")  # type: ignore[arg-type]
    with pytest.raises(wf.ValidationError):
        await HookFirst(name="another model").resume("t")
    await run.terminate()


@pytest.mark.parametrize(
    ("schema", "good", "value", "bad"),
    [
        (int, 3, 3, "3"),
        (list[int], [1, 2], [1, 2], ["a"]),
        (Struct, {"x": 1}, Struct(1), {"x": "a"}),
        (Struct, Struct(1), Struct(1), {}),
        (Line, {"sku": "s", "count": 1}, Line("s", 1), {"sku": "s"}),
        (Line, Line("s", 1), Line("s", 1), {"sku": "s", "count": "x"}),
        (PlainModel, {"n": 1}, PlainModel(n=1), {"n": "x"}),
        (PlainModel, PlainModel(n=1), PlainModel(n=1), {}),
        (list[PlainModel], [{"n": 1}], [PlainModel(n=1)], [{"n": "x"}]),
        (Annotated[int, pydantic.Field(gt=5)], 6, 6, 5),
        (Annotated[int, msgspec.Meta(gt=5)], 6, 6, 5),
        (Color, "red", Color.RED, "blue"),
        (Color, Color.RED, Color.RED, 3),
        (str | None, None, None, 3),
        (Literal["a", "b"], "a", "a", "c"),
        (datetime, "2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), 3),
        (
            datetime,
            datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
            datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
            None,
        ),
        (date, "2026-01-02", date(2026, 1, 2), "no date"),
        (list[int], (1, 2), [1, 2], ("a",)),
        (dict[str, Line], {"a": {"sku": "s", "count": 1}}, {"a": Line("s", 1)}, {"a": {}}),
        ({"type": "object", "required": ["n"]}, {"n": 1}, {"n": 1}, {}),
        ({"type": "integer", "minimum": 3}, 3, 3, 2),
        ({}, {"any": [1]}, {"any": [1]}, ...),
    ],
)
async def test_a_schema_is_a_type_or_json_schema(wf_env, schema, good, value, bad):
    got = []

    @wf.workflow
    async def flow():
        got.append(await wf.hook(token="t", schema=schema))

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    if bad is not ...:
        with pytest.raises(wf.ValidationError):
            await wf.resume_hook("t", bad)
    await wf.resume_hook("t", good)
    await run.return_value()
    assert got == [value]
    assert type(got[0]) is type(value)


@pytest.mark.parametrize("payload", [None, True, 3, 2.5, "text", [1, [2]], {"a": {"b": None}}])
async def test_a_hook_without_a_schema_takes_any_json_value(wf_env, payload):
    @wf.workflow
    async def flow():
        return await wf.hook("t")

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    await wf.resume_hook("t", payload)
    assert await run.return_value() == payload


async def test_a_payload_that_cannot_be_carried_names_its_path(wf_env):
    @wf.workflow
    async def flow():
        return await wf.hook("t")

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    with pytest.raises(wf.SerializationError, match=r"^payload\['a'\]\[0\]: "):
        await wf.resume_hook("t", {"a": [print]})
    await run.terminate()


class Careful(pydantic.BaseModel, wf.BaseHook):
    name: str

    @pydantic.field_validator("name")
    @classmethod
    def is_lower(cls, value: str) -> str:
        if value != value.lower():
            raise ValueError("not lower case")
        return value


async def test_what_only_the_model_can_say_is_checked_where_the_model_is_loaded(wf_env):
    @wf.workflow
    async def flow():
        return (await Careful.wait(token="t")).name, (await Order.wait(token="o")).at

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    with pytest.raises(wf.ValidationError, match="lower case"):
        await wf.resume_hook("t", {"name": "UPPER"})
    await wf.resume_hook("t", {"name": "lower"})
    await wf_env.wait_for_hook(run, token="o")
    with pytest.raises(wf.ValidationError):
        await wf.resume_hook("o", {"at": "no time", "lines": []})
    await wf.resume_hook("o", {"at": "2026-01-02T03:04:05Z", "lines": []})
    assert await run.return_value() == ("lower", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


# -- tokens


async def test_a_generated_token_is_long_random_and_the_same_on_replay(wf_env, restart):
    seen = []

    @wf.workflow
    async def flow():
        first, second = wf.hook(), Approval.wait()
        seen.append((first.token, second.token))
        return await first

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    token = seen[0][0]
    assert len(set(seen[0])) == 2
    assert len(token) >= 43  # 256 bits in base64
    assert run.run_id not in token
    await restart()
    await wf.resume_hook(token, "x")
    assert await run.return_value() == "x"
    assert seen[0] == seen[1]


async def test_get_hook_by_token(wf_env):
    @wf.workflow
    async def flow():
        return await wf.hook(token="t", metadata={"user": 5, "tags": ["a"]}, schema=int)

    run = await wf_env.start(flow)
    before = wf_env.time
    await wf_env.wait_for_hook(run)
    found = await wf.get_hook_by_token("t")
    assert isinstance(found, wf.Hook)
    assert (found.token, found.run_id, found.metadata) == ("t", run.run_id, {"user": 5, "tags": ["a"]})
    assert found.hook_id
    assert found.created_at.tzinfo is not None
    assert abs(found.created_at - before) < timedelta(minutes=1)
    assert found.schema == {"type": "integer"}
    await wf.resume_hook(found, 3)
    assert await run.return_value() == 3


async def test_unknown_and_ended_hooks_are_not_found(wf_env):
    with pytest.raises(wf.HookNotFoundError):
        await wf.get_hook_by_token("nobody")
    with pytest.raises(wf.HookNotFoundError):
        await wf.resume_hook("nobody", 1)
    with pytest.raises(wf.HookNotFoundError):
        await Approval(True).resume("nobody")
    run = await wf_env.start(approve, "t")
    await wf_env.wait_for_hook(run)
    await Approval(True).resume("t")
    await run.return_value()
    with pytest.raises(wf.HookNotFoundError) as caught:
        await Approval(True).resume("t")
    assert "t" in str(caught.value)


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled", "terminated"])
async def test_a_token_is_free_again_after_the_end_of_its_run(wf_env, end):
    @wf.workflow
    async def flow():
        wf.hook(token="t")
        command = await wf.hook(token="command")
        if command == "fail":
            raise ValueError

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run, token="t")
    match end:
        case "completed":
            await wf.resume_hook("command", "stop")
        case "failed":
            await wf.resume_hook("command", "fail")
        case "cancelled":
            await run.cancel()
        case "terminated":
            await run.terminate()
    try:
        await run.return_value()
    except (wf.WorkflowRunFailedError, wf.WorkflowRunCancelledError):
        pass
    again = await wf_env.start(approve, "t")
    await wf_env.wait_for_hook(again)
    await Approval(True).resume("t")
    assert await again.return_value() == [True, "nobody"]


@pytest.mark.parametrize(
    ("token", "error"), [("", ValueError), (5, TypeError), ("x" * 100_000, ValueError), (b"b", TypeError)]
)
async def test_bad_tokens_are_refused_in_the_body(wf_env, token, error):
    @wf.workflow
    async def flow():
        with pytest.raises(error):
            wf.hook(token=token)
        return "refused"

    assert await wf_env.run(flow) == "refused"


async def test_any_text_is_a_token(wf_env):
    @wf.workflow
    async def flow(token):
        return await wf.hook(token=token)

    for token in ("a b", "ä/ö?&#", "\0", "x" * 500, "'; drop table hooks --", "😀"):
        run = await wf_env.start(flow, token)
        await wf_env.wait_for_hook(run, token=token)
        await wf.resume_hook(token, 1)
        assert await run.return_value() == 1


# -- conflicts


async def test_the_second_claimant_gets_a_conflict_that_names_the_owner(wf_env, restart):
    first = await wf_env.start(approve, "t")
    await wf_env.wait_for_hook(first)

    @wf.workflow
    async def second():
        event = Approval.wait(token="t")
        try:
            await event
        except wf.HookConflictError as error:
            found = error.token, error.conflicting_run_id
        with pytest.raises(wf.HookConflictError):
            await event
        await wf.hook(token="go")
        return found

    run = await wf_env.start(second)
    await wf_env.wait_for_hook(run, token="go")
    await restart()
    await wf.resume_hook("go")
    assert await run.return_value() == ("t", first.run_id)
    await Approval(True).resume("t")
    assert await first.return_value() == [True, "nobody"]


async def test_get_conflict_gives_none_or_the_owner(wf_env, restart):
    first = await wf_env.start(approve, "t")
    await wf_env.wait_for_hook(first)

    @wf.workflow
    async def second():
        taken, free = Approval.wait(token="t"), Approval.wait(token="free")
        owner = await taken.get_conflict()
        assert isinstance(owner, wf.Run)
        nobody = await free.get_conflict()
        value = await free
        return owner.run_id, nobody, value.approved

    run = await wf_env.start(second)
    await wf_env.wait_for_hook(run, token="free")
    await restart()
    await Approval(False).resume("free")
    assert await run.return_value() == (first.run_id, None, False)
    await first.terminate()


async def test_get_conflict_commits_the_registration(wf_env):
    @wf.step
    async def resume_it():
        await wf.resume_hook("t", "early")

    @wf.workflow
    async def flow():
        event = wf.hook(token="t")
        assert await event.get_conflict() is None
        await resume_it()
        return await event

    assert await wf_env.run(flow) == "early"


async def test_two_hooks_of_one_run_with_one_token_conflict_too(wf_env):
    @wf.workflow
    async def flow():
        first, second = wf.hook(token="t"), wf.hook(token="t")
        with pytest.raises(wf.HookConflictError):
            await second
        return await first

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    await wf_env._settle()
    await wf.resume_hook("t", 1)
    assert await run.return_value() == 1


# -- payloads


async def test_each_payload_once_in_order_with_await_and_async_for(wf_env, restart):
    @wf.workflow
    async def flow():
        event = wf.hook(token="t")
        got = [await event]
        async for payload in event:
            got.append(payload)
            if payload == 3:
                break
        got.append(await event)
        return got

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    for n in range(3):
        await wf.resume_hook("t", n)
    await restart()
    for n in (3, 4):
        await wf.resume_hook("t", n)
    assert await run.return_value() == [0, 1, 2, 3, 4]


async def test_a_payload_that_arrived_while_nobody_awaited_is_kept(wf_env, restart):
    @wf.workflow
    async def flow():
        event = wf.hook(token="t")
        await wf.hook(token="gate")
        return [await event, await event]

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run, token="gate")
    await wf.resume_hook("t", "early")
    await wf.resume_hook("t", "earlier")
    await restart()
    await wf.resume_hook("gate")
    assert await run.return_value() == ["early", "earlier"]


async def test_a_hook_is_visible_once_the_body_suspends_awaited_or_not(wf_env):
    @wf.workflow
    async def flow():
        event = wf.hook(token="t")
        await wf.sleep("1h")
        return await event

    run = await wf_env.start(flow)
    await wf_env.wait_for_sleep(run)
    await wf.resume_hook("t", "during the sleep")
    await wf_env.skip("61m")
    assert await run.return_value() == "during the sleep"


async def test_a_payload_goes_to_the_newest_await(wf_env, restart):
    @wf.workflow
    async def flow():
        event = wf.hook(token="t")

        async def waits():
            return await event

        older = asyncio.create_task(waits())
        await asyncio.sleep(0)
        newer = asyncio.create_task(waits())
        await wf.hook(token="gate")
        return [older.done(), await newer, await older]

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run, token="gate")
    await wf.resume_hook("t", 1)
    await wf.resume_hook("gate")
    await restart()
    await wf.resume_hook("t", 2)
    assert await run.return_value() == [False, 1, 2]


async def test_a_timed_out_await_takes_nothing(wf_env):
    @wf.workflow
    async def flow():
        event = wf.hook(token="t")
        try:
            await asyncio.wait_for(event, 3600)
        except TimeoutError:
            pass
        await wf.hook(token="gate")
        return await event

    run = await wf_env.start(flow)
    found = asyncio.create_task(run.return_value())  # lets the clock jump
    while True:
        try:
            await wf.get_hook_by_token("gate")
            break
        except wf.HookNotFoundError:
            await asyncio.sleep(0)
    await wf.resume_hook("t", "late")
    await wf.resume_hook("gate")
    assert await found == "late"


async def test_a_hook_that_lost_a_race_gets_the_next_payload_when_awaited_again(wf_env, restart):
    @wf.workflow
    async def flow():
        event = wf.hook(token="t")

        async def waits():
            return await event

        loser = asyncio.create_task(waits())
        winner = asyncio.create_task(wf.sleep(1))
        await asyncio.wait({loser, winner}, return_when=asyncio.FIRST_COMPLETED)
        return await event, loser.done()

    run = await wf_env.start(flow)
    await wf_env.wait_for_sleep(run)
    await wf_env.skip(2)
    await restart()
    await wf.resume_hook("t", "only one")
    assert await run.return_value() == ("only one", False)


async def test_a_race_of_a_hook_and_a_timeout(wf_env):
    @wf.workflow
    async def flow():
        event = Approval.wait(token="t")
        try:
            async with asyncio.timeout(86400):
                return (await event).approved
        except TimeoutError:
            return "timed out"

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    await Approval(True).resume("t")
    assert await run.return_value() is True
    assert await wf_env.run(flow) == "timed out"


async def test_hooks_work_in_gather(wf_env):
    @wf.workflow
    async def flow():
        return await asyncio.gather(wf.hook(token="a"), wf.hook(token="b"), echo(3))

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run, token="b")
    await wf.resume_hook("b", 2)
    await wf.resume_hook("a", 1)
    assert await run.return_value() == [1, 2, 3]


# -- dispose


async def test_after_dispose_await_raises_and_the_token_is_free(wf_env, restart):
    @wf.workflow
    async def flow():
        event = wf.hook(token="t")
        event.dispose()
        event.dispose()
        with pytest.raises(wf.HookDisposedError):
            await event
        again = wf.hook(token="t")
        assert await again.get_conflict() is None
        return await again

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    await restart()
    await wf.resume_hook("t", "to the second")
    assert await run.return_value() == "to the second"


async def test_async_with_disposes(wf_env):
    @wf.workflow
    async def flow():
        async with wf.hook(token="t") as event:
            assert event.token == "t"
            value = await event
        with pytest.raises(wf.HookDisposedError):
            await event
        await wf.hook(token="gate")
        return value

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run, token="t")
    await wf.resume_hook("t", 1)
    await wf_env.wait_for_hook(run, token="gate")
    with pytest.raises(wf.HookNotFoundError):
        await wf.resume_hook("t", 2)
    await wf.resume_hook("gate")
    assert await run.return_value() == 1


async def test_dispose_ends_a_pending_await_and_async_for(wf_env):
    @wf.workflow
    async def flow():
        event = wf.hook(token="t")

        async def waits():
            return await event

        async def loops():
            return [payload async for payload in event]

        one, two = asyncio.create_task(waits()), asyncio.create_task(loops())
        await echo(1)
        event.dispose()
        with pytest.raises(wf.HookDisposedError):
            await one
        return await two

    assert await wf_env.run(flow) == []


# -- where it works


async def test_hooks_are_registered_in_bodies_only(wf_env):
    for call in (lambda: Approval.wait(token="t"), lambda: wf.hook(), lambda: wf.webhook()):
        with pytest.raises(wf.NotInRunError):
            call()

    @wf.step(max_retries=0)
    async def in_step():
        wf.hook()

    @wf.workflow
    async def flow():
        with pytest.raises(wf.NotInRunError):
            await in_step()

    await wf_env.run(flow)


async def test_workflows_and_steps_may_resume_hooks(wf_env, restart):
    first = await wf_env.start(approve, "a")
    second = await wf_env.start(approve, "b")
    await wf_env.wait_for_hook(first)
    await wf_env.wait_for_hook(second)

    @wf.step
    async def from_step():
        await Approval(True, "step").resume("b")

    @wf.workflow
    async def flow():
        found = await wf.get_hook_by_token("a")
        await Approval(True, "body").resume(found)
        with pytest.raises(wf.HookNotFoundError):
            await wf.resume_hook("nobody")
        await from_step()
        await wf.hook(token="go")
        return found.token

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    await restart()
    await wf.resume_hook("go")
    assert await run.return_value() == "a"
    assert await first.return_value() == [True, "body"]
    assert await second.return_value() == [True, "step"]


def test_signatures():
    event = wf.HookEvent[Approval]
    assert event is not None
    assert [f.name for f in dataclasses.fields(Approval)] == ["approved", "by"]
    assert Approval(True) == Approval(True)
    with pytest.raises(TypeError):
        Approval.wait("positional")  # type: ignore[misc]


async def test_the_wait_call_may_be_typed_and_awaited_in_one_line_with_metadata(wf_env):
    @wf.workflow
    async def flow():
        return (await Approval.wait(token="t", metadata={"for": "you"})).approved

    run = await wf_env.start(flow)
    found = await wf_env.wait_for_hook(run)
    assert found.metadata == {"for": "you"}
    assert found.schema is not None
    await Approval(True).resume("t")
    assert await run.return_value() is True


async def test_a_class_without_fields_cannot_say_what_its_payloads_are(wf_env):
    class Forgotten(wf.BaseHook):
        approved: bool

    @wf.workflow
    async def flow():
        with pytest.raises(
            TypeError, match="Forgotten says nothing of its payloads: make it a dataclass or a pydantic"
        ):
            await Forgotten.wait(token="t")

    await wf_env.run(flow)
    with pytest.raises(wf.HookNotFoundError):
        await wf.get_hook_by_token("t")
