"""API.md, its head: a program for Vercel's `vercel.workflow` runs with only its import changed.

The programs are those of the SDK's README (0.12), and what else its signatures allow.
"""

from __future__ import annotations

import ast
import enum
import gc
import inspect
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pydantic
import pytest

import wf as the_package
from wf import (
    BaseHook,
    FatalError,
    Hook,
    HookNotFoundError,
    RetryableError,
    TypeValidationError,
    WorkflowRunFailedError,
    Workflows,
    WorkflowWritable,
    get_hook_by_token,
    get_run,
    get_step_metadata,
    get_writable,
    read_stream,
    register_serializable,
    remove_attributes,
    sandbox,
    serializable,
    set_attributes,
    sleep,
    start,
    vercel,
)
from wf.codec import Opaque

EXPORTS = """
    Workflows ENDPOINT_PATH MANIFEST_PATH HTTPHandler HTTPRequest HTTPResponse now random remove_attributes
    set_attributes sleep start time_ns Run WorkflowRunStatus BaseHook Hook HookEvent get_hook_by_token get_run
    get_step_metadata get_workflow_metadata get_writable read_stream WorkflowWritable WorkflowStreamWriter
    WorkflowStreamHandle StepInfo WorkflowInfo WorkflowFeatures serializable register_serializable
    EntityConflictError FatalError HookConflictError HookDisposedError HookNotFoundError RemoteError RetryableError
    RunExpiredError SerializationError StepNotRegisteredError ThrottleError TooEarlyError TypeValidationError
    WorkflowRunFailedError WorkflowWorldError sandbox SandboxPolicy
""".split()

wf = Workflows(as_vercel_job=False)


def test_every_name_that_the_sdk_exports_can_be_imported():
    assert [name for name in EXPORTS if not hasattr(the_package, name)] == []
    errors = [name for name in EXPORTS if name.endswith("Error")]
    assert [name for name in errors if not issubclass(getattr(the_package.errors, name), Exception)] == []
    assert not hasattr(the_package, "NoSuchError")
    assert not hasattr(the_package.errors, "NoSuchError")


def test_a_sandbox_policy_with_cleanups_is_accepted():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is said once in a process that it does nothing
        policy = sandbox.SandboxPolicy(cleanups=(*sandbox.ALL_CLEANUPS,), share_sandboxes=True)
        assert Workflows(sandbox_policy=policy, namespace="billing").namespace == "billing"


# -- steps, retries, durations, attributes


@wf.step(max_retries=5)
async def charge(customer: str) -> timedelta:
    if not customer:
        raise FatalError("no customer")
    info = get_step_metadata()
    if info.attempt < 3:
        raise RetryableError("rate limited", retry_after="10 seconds")
    return datetime.now(UTC) - info.step_started_at


@wf.workflow
async def renew(customer: str) -> None:
    await set_attributes({"service.name": "billing"}, phase="charging")
    await sleep("1 hour 30 minutes")
    await charge(customer)
    await set_attributes([("phase", "done")])
    await remove_attributes("service.name", allow_reserved_attributes=False)
    try:
        await set_attributes("phase")
    except FatalError:
        await set_attributes(refused="yes")


async def test_durations_may_be_written_in_words(wf_env):
    began = wf_env.time
    run = await start(renew, "cus_123")
    await run.return_value()
    assert timedelta(hours=1.5, seconds=20) <= wf_env.time - began < timedelta(hours=1.5, seconds=21)
    assert await run.attributes() == {"phase": "done", "refused": "yes"}


async def test_a_failed_run_gives_its_error(wf_env):
    run = await start(renew, "")
    with pytest.raises(WorkflowRunFailedError) as failed:
        await run.return_value()
    assert isinstance(failed.value.error, FatalError)
    assert (failed.value.run_id, failed.value.error_code) == (run.run_id, "USER_ERROR")


# -- hooks


@dataclass
class Approval(BaseHook):
    approved: bool
    note: str | None = None


class Decision(pydantic.BaseModel, BaseHook):
    approved: bool
    note: str | None = None


@wf.workflow
async def wait_for_approval(order: str) -> list[tuple[bool, str | None]]:
    async with Approval.wait(metadata={"order": order}, token=f"order:{order}") as hook:
        first = await anext(hook)
    async with Decision.wait(token=f"decision:{order}") as decisions:
        async for decision in decisions:
            if decision.approved:
                break
    return [(first.approved, first.note), (decision.approved, decision.note)]


async def test_hooks_are_resumed_by_their_models_with_the_options_of_pydantic(wf_env):
    run = await start(wait_for_approval, "7")
    await wf_env.wait_for_hook(run)
    found = await get_hook_by_token("order:7")
    assert found.metadata == {"order": "7"}
    assert isinstance(await Approval(True, "a").resume(found), Hook)
    await wf_env.wait_for_hook(run, "decision:7")
    await Decision(approved=False).resume("decision:7", mode="json")
    await Decision(approved=True, note="b").resume("decision:7", exclude={"note"})
    assert await run.return_value() == [(True, "a"), (True, None)]
    with pytest.raises(HookNotFoundError):
        await Approval(True).resume("order:7")


# -- streams


class Token(pydantic.BaseModel):
    text: str
    index: int


@wf.step
async def summarize(*, document: str, out: WorkflowWritable[Token]) -> str:
    typed = get_writable(type=Token, namespace="tokens")
    for index, text in enumerate(document.split()):
        await typed.write(Token(text=text, index=index))
    await typed.close()
    await out.with_type(Token).write(Token(text="end", index=-1))
    async with get_writable() as plain:
        await plain.write({"text": "more", "index": 1})
    return out.name


@wf.workflow
async def analyze(*, document: str) -> str:
    return await summarize(document=document, out=get_writable())


async def test_a_stream_is_read_as_a_type(wf_env):
    run = await start(analyze, document="a b c")
    name = await run.return_value()
    assert [token.text async for token in run.readable(namespace="tokens", type=Token)] == ["a", "b", "c"]
    both = [Token(text="end", index=-1), Token(text="more", index=1)]
    assert [token async for token in run.readable(type=Token, start_index=None)] == both
    assert [token async for token in read_stream(run.run_id, name, type=Token, start_index=-1)] == both[1:]
    info = await run.stream_info(namespace="tokens")
    assert (info.tail_index, info.done) == (2, True)


async def test_a_chunk_that_does_not_fit_is_named(wf_env):
    run = await start(analyze, document="a")
    with pytest.raises(TypeValidationError, match="chunk 0 of the stream tokens does not fit int"):
        async for _ in run.readable(namespace="tokens", type=int):
            pass
    reader = run.readable(start_index=1, type=dict[str, int])
    with pytest.raises(TypeValidationError, match="chunk 1 of the stream default does not fit"):
        await anext(reader)
    await reader.aclose()


# -- values


@serializable
class Tier(enum.Enum):
    PRO = "pro"


class Money:
    def __init__(self, cents: int) -> None:
        self.cents = cents

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Money) and other.cents == self.cents


register_serializable(Money, class_id="js//Money", serialize=lambda money: money.cents, deserialize=Money)


class Order(pydantic.BaseModel):
    sku: str
    quantity: int


@dataclass
class Line:
    sku: str


@wf.step
async def keep(value: object) -> object:
    return value


@wf.workflow
async def kept(value: object) -> object:
    return await keep(value)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (Order(sku="a", quantity=1), Order),
        ([Order(sku="a", quantity=1)], list[Order]),
        ([Line("a")], list[Line]),
        ((Tier.PRO, 1), tuple[Tier, int]),
        ({"a": Money(3)}, dict[str, Money]),
        (Money(3), Money),
        (None, Order | None),
        (None, None),
    ],
)
async def test_a_result_of_the_type_that_was_asked_for_passes(wf_env, value, kind):
    run = await start(kept, value)
    assert await get_run(run.run_id, type=kind).return_value() == value


async def test_plain_values_become_the_type_that_was_asked_for(wf_env):
    run = await start(kept, {"sku": "a", "quantity": 2})
    assert await get_run(run.run_id, type=Order).return_value() == Order(sku="a", quantity=2)


@pytest.mark.parametrize("kind", [int, list[Line], Money, Order])
async def test_a_result_of_another_type_is_refused(wf_env, kind):
    run = await start(kept, "text")
    with pytest.raises(TypeValidationError, match=f"the result of run {run.run_id} does not fit"):
        await get_run(run.run_id, type=kind).return_value()


@dataclass
class Receipt:
    number: int
    lines: list[Line]


async def test_values_of_classes_that_are_not_loaded_become_the_type_that_was_asked_for(wf_env):
    elsewhere = [  # what they are in the process that wrote them
        dataclass(type("TheirLine", (), {"__annotations__": {"sku": str}})),
        dataclass(type("TheirReceipt", (), {"__annotations__": {"number": int, "lines": list}})),
    ]

    @wf.step
    async def tell() -> None:
        async with get_writable() as writer:
            await writer.write([elsewhere[0]("b")])

    @wf.workflow
    async def flow() -> object:
        await tell()
        line, receipt = elsewhere
        return receipt(1, [line("a")])

    run = await start(flow)
    await run.return_value()
    elsewhere.clear()
    gc.collect()
    assert isinstance(await run.return_value(), Opaque)
    assert await get_run(run.run_id, type=Receipt).return_value() == Receipt(1, [Line("a")])
    assert [chunk async for chunk in run.readable(type=list[Line])] == [[Line("b")]]


def test_checkers_are_told_of_every_name_that_is_given_on_demand():
    tree = ast.parse(inspect.getsource(the_package))
    told = [alias for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names]
    explicit = {alias.name for alias in told if alias.name == alias.asname}  # else a checker calls it private
    assert explicit == set(vercel.__all__)
