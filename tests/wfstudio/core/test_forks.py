"""Forks as faces make them: by names and JSON, checked before anything is written."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.wfstudio import flows
from tests.wfstudio.studio import DEPLOYMENT, ROOT, keep_code, open_studio, rest, run, until
from wf.catalog import Catalog, make_catalog, seal_catalog, seal_source
from wf.errors import (
    FatalError,
    HookNotFoundError,
    NotRegisteredError,
    PayloadTooLargeError,
    RunNotFoundError,
    ValidationError,
    WorkflowError,
)
from wf.forking import ForkError
from wf.session import Session
from wf.world import DeploymentRow, RunFilter
from wfstudio.core.client import Client
from wfstudio.core.errors import ConflictError, NotFoundError, UsageError
from wfstudio.core.forks import ForkRequest
from wfstudio.core.views import EditView, ForkedView, ForkView, RunView

NEWER = "dep_" + "1" * 24


async def fork(client: Client, run_id: str, **more: Any) -> ForkedView:
    return await client.fork(run_id, ForkRequest(**more))


async def end(client: Client, forked: ForkedView, **payload: Any) -> RunView:
    """Answer a fork's hook, and give how it ended."""
    run_id = forked.run.id
    hooks = await until(lambda: client.list_hooks(run_id))
    await client.resume(str(hooks[0].token), {"approved": True, **payload})
    return await client.wait_for_end(run_id, 10)


@asynccontextmanager
async def ordered(*names: str, card: str = "good") -> AsyncIterator[tuple[Client, RunView]]:
    """Give a run of `order` that waits for a word."""
    async with open_studio() as client:
        started = await client.start(
            "order", [list(names or ("tea", "milk"))], {"card": card}, id="origin-of-all-forks"
        )
        yield client, await rest(client, started.id, "waiting for hook")


async def count_runs(client: Client) -> int:
    return len(await client.session.world.list_runs(RunFilter()))


# -- where from -----------------------------------------------------------------------------------


async def test_a_fork_begins_after_a_delivery_and_says_where() -> None:
    async with ordered() as (client, origin):
        events = await client.list_events(origin.id)
        prices = [event.seq for event in events if event.type == "step_completed"]
        exact = await fork(client, origin.id, start=prices[0])
        assert exact.run.fork == ForkView(run_id=origin.id, seq=prices[0], is_beside=True)
        assert exact.notes == [
            f"forked from {origin.id} after event {prices[0]}, step_completed studio.price (position 1)"
        ]
        between = await fork(client, origin.id, start=prices[1] - 1)
        assert between.notes == [
            f"event {prices[1] - 1} is no delivery to the body: the cut is before it",
            f"forked from {origin.id} after event {prices[0]}, step_completed studio.price (position 1)",
        ]
        first = await fork(client, origin.id, start=1)
        assert first.notes == [f"forked from {origin.id} at its beginning"]
        for forked in (exact, between, first):
            assert (await end(client, forked)).output == "paid 7: True"
        assert (await client.get_run(origin.id)).status == "running"


async def test_a_fork_from_a_call_makes_it_anew() -> None:
    async with ordered() as (client, origin):
        for start, completed in (("charge", 2), ("price#2", 1), ("studio.price#1", 0), (f"{origin.id}:3", 2),
                                 ("order:tea+milk", 3), ("Approval", 3)):  # fmt: skip
            forked = await fork(client, origin.id, start=start)
            log = await until(lambda: client.list_events(forked.run.id, 1))  # noqa: B023  awaited here
            copied = [event for event in log if event.at < forked.run.created_at]
            assert sum(event.type == "step_completed" for event in copied) == completed, start
            assert (await end(client, forked)).output == "paid 7: True"


async def test_without_a_place_a_fork_begins_where_that_makes_sense() -> None:
    async with ordered() as (client, origin):
        live = await fork(client, origin.id)
        assert live.notes[0] == f"forked from {origin.id} after event 8, step_completed studio.charge (position 3)"
        assert live.notes[1:] == []
        await client.resume("order:tea+milk", {"approved": True, "note": "yes"})
        await client.wait_for_end(origin.id, 10)
        with pytest.raises(UsageError) as refused:
            await fork(client, origin.id)
        assert refused.value.explain().splitlines()[:2] == [
            f"run {origin.id} completed; say from where it is to go on",
            "  fix: name an event or a step, or what is to be otherwise; `wf inspect events RUN` lists them",
        ]
        failed = await run(client, "mend", "clock")
        flows.mended.add("clock")
        again = await fork(client, failed.id)
        assert (await client.wait_for_end(again.run.id, 10)).output == ["hello, clock", "clock is mended"]


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ({"start": 99}, "has the events 1 to 9, and 99 is none of them"),
        ({"start": 0}, "has the events 1 to 9, and 0 is none of them"),
        ({"start": "pay"}, "run origin-of-all-forks has no step 'pay'"),
        ({"start": "price"}, "2 calls of the run are named 'price'"),
        ({"start": "price#3"}, "run origin-of-all-forks calls 'price' 2 times"),
        ({"start": "charge#2"}, "run origin-of-all-forks calls 'charge' 1 time"),
        ({"outputs": {"17": 1}}, "run origin-of-all-forks has no step 17"),
        ({"outputs": {"Approval": 1}}, "run origin-of-all-forks has no step 'Approval'"),
        ({"payloads": {"charge": 1}}, "run origin-of-all-forks has no hook 'charge'"),
        ({"outputs": {"3": "x"}, "errors": {"charge": "ValueError"}}, "a step is given two answers"),
        ({"input": {"names": []}, "outputs": {"3": "x"}}, "a fork with another input starts from the beginning"),
        ({"input": [], "start": 5}, "a fork with another input starts from the beginning"),
        ({"id": "no id"}, "'no id' is no run id"),
        ({"deployment": "dep_none"}, "no deployment has the id 'dep_none'"),
        ({"attributes": {"$x": "1"}}, "attribute key '$x' begins with `$`, which is reserved"),
    ],
)
async def test_what_cannot_be_meant_is_refused_and_nothing_is_written(request_: dict[str, Any], told: str) -> None:
    async with ordered() as (client, origin):
        with pytest.raises((UsageError, NotFoundError, FatalError)) as refused:
            await fork(client, origin.id, **request_)
        assert told in str(refused.value)
        assert await count_runs(client) == 1


async def test_names_that_are_wrong_come_with_those_that_are_right() -> None:
    async with ordered() as (client, origin):
        for name, hint in (
            ("chrage", "did you mean `charge`?"),
            ("price", "name one: studio.price#1 (position 1), studio.price#2 (position 2)"),
            ("xyz", "known are studio.price (position 1), studio.price (position 2), studio.charge (position 3)"),
        ):
            with pytest.raises((NotFoundError, UsageError)) as refused:
                await fork(client, origin.id, outputs={name: 1})
            assert refused.value.hint == hint
        with pytest.raises(RunNotFoundError):
            await fork(client, "wrun_none", start=1)


# -- what is otherwise ------------------------------------------------------------------------------


async def test_an_edited_result_keeps_its_type_and_what_came_after_it_runs_anew() -> None:
    async with ordered() as (client, origin):
        forked = await fork(client, origin.id, outputs={"price#1": {"name": "tea", "price": "100.5", "note": ""}})
        assert forked.run.fork == ForkView(
            run_id=origin.id,
            seq=4,
            is_beside=True,
            edits=[EditView(what="output", correlation_id=1, name="studio.price")],
        )
        assert (await end(client, forked, note="fine")).output == "paid 104.5: fine"
        steps = await client.list_steps(forked.run.id)
        assert [step.output for step in steps] == [
            {"name": "tea", "price": "100.5", "note": ""},
            {"name": "milk", "price": "4", "note": ""},
            "paid 104.5",
        ]


async def test_a_result_where_there_was_none_gets_the_type_that_the_code_says() -> None:
    async with ordered() as (client, origin):
        await keep_sources(client.session)
        forked = await fork(client, origin.id, start=2, outputs={"price#1": {"name": "x", "price": "9"}})
        assert (await end(client, forked)).output == "paid 13: True", "a field with a default may be left out"


@pytest.mark.parametrize(
    ("value", "message", "hint"),
    [
        ({"nam": "tea", "price": 1}, "'name' is a required property",
         "give what the code says, or what was recorded; for that, name: it is missing, and Item was recorded with it"),
        ("tea", "'tea' is not of type 'object'",
         "give what the code says, or what was recorded; for that, it was recorded as Item"),
    ],
)  # fmt: skip
async def test_a_result_that_does_not_fit_is_refused(value: Any, message: str, hint: str) -> None:
    async with ordered() as (client, origin):
        await keep_sources(client.session)
        with pytest.raises(ValidationError) as refused:
            await fork(client, origin.id, outputs={"price#1": value})
        assert str(refused.value) == f"the output does not fit studio.price (position 1): {message}"
        assert refused.value.hint == hint
        assert await count_runs(client) == 1


async def test_a_result_of_code_that_nobody_knows_any_more_is_as_it_was_recorded_or_plain() -> None:
    async with ordered() as (client, origin):
        row = await client.session.world.get_deployment(DEPLOYMENT)
        assert row is not None
        entries = [e for e in make_catalog(ROOT).workflows if e.id == "studio.order"]
        catalog = seal_catalog(client.session.keyring, DEPLOYMENT, Catalog(entries))
        await client.session.world.put_deployment(msgspec.structs.replace(row, catalog=catalog), {})
        with pytest.raises(ValidationError) as refused:
            await fork(client, origin.id, outputs={"price#1": {"name": "x"}})
        assert str(refused.value).endswith("(position 1): price: it is missing, and Item was recorded with it")
        like = await fork(client, origin.id, outputs={"price#1": {"name": "x", "price": 3, "note": ""}})
        assert (await end(client, like)).output == "paid 7: True"


async def test_an_error_is_raised_in_the_body_as_what_it_is() -> None:
    async with ordered() as (client, origin):
        await keep_sources(client.session)
        for text, output in (
            ("Declined: stolen", "declined (stolen): True"),
            ("tests.wfstudio.flows.Declined:a : b", "declined (a : b): True"),
            ("OSError", "no line (): True"),
            ("ConnectionError: cut", "no line (cut): True"),
            ("socket.gaierror: who", "no line (who): True"),
        ):
            forked = await fork(client, origin.id, errors={"charge": text})
            assert (await end(client, forked)).output == output
        fatal = await fork(client, origin.id, errors={"charge": "FatalError: for good"})
        ended = await client.wait_for_end(fatal.run.id, 10)
        assert ended.error is not None
        assert (ended.error.type, ended.error.message) == ("wf.errors.FatalError", "for good")
        unknown = await fork(client, origin.id, errors={"charge": "some.library.Broken: it"})
        ended = await client.wait_for_end(unknown.run.id, 10)
        assert ended.error is not None
        assert (ended.error.type, ended.error.message) == ("wf.errors.StepError", "some.library.Broken: it")


async def keep_sources(session: Session) -> None:
    """Keep the real source of the flows with their deployment."""
    content = (ROOT / "tests" / "wfstudio" / "flows.py").read_bytes()
    digest = sha256(content).hexdigest()
    steps = [entry for entry in make_catalog(ROOT).steps if entry.file == "tests/wfstudio/flows.py"]
    flows_ = [entry for entry in make_catalog(ROOT).workflows if entry.file == "tests/wfstudio/flows.py"]
    catalog = seal_catalog(session.keyring, NEWER, Catalog(flows_, steps))
    row = DeploymentRow(NEWER, session.now_us() + 10, {"tests/wfstudio/flows.py": digest}, catalog=catalog)
    await session.world.put_deployment(row, {digest: seal_source(session.keyring, digest, content)})


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("ValueErorr: x", "no exception is called 'ValueErorr'", "did you mean `ValueError`?"),
        ("Declned", "no exception is called 'Declned'", "did you mean `Declined`?"),
        ("Item", "no exception is called 'Item'", None),
        ("KeyboardInterrupt", "KeyboardInterrupt ends a process or a task; no step fails with it", None),
        ("asyncio.CancelledError", "CancelledError ends a process or a task; no step fails with it", None),
        ("", "no exception is called ''", "write `ValueError`, or `module.Class` for one of your own"),
        ("a b.c", "no exception is called 'a b.c'", "write `ValueError`, or `module.Class` for one of your own"),
    ],
)
async def test_an_error_that_is_none_is_refused(text: str, message: str, hint: str | None) -> None:
    async with ordered() as (client, origin):
        await keep_sources(client.session)
        with pytest.raises(UsageError) as refused:
            await fork(client, origin.id, errors={"charge": text})
        assert str(refused.value) == message
        if hint is not None:
            assert refused.value.hint == hint
        assert await count_runs(client) == 1


async def test_another_payload_is_checked_like_one_that_is_sent() -> None:
    async with ordered() as (client, origin):
        await client.resume("order:tea+milk", {"approved": True, "note": "yes"})
        assert (await client.wait_for_end(origin.id, 10)).output == "paid 7: yes"
        for name in ("order:tea+milk", "Approval", "4"):
            forked = await fork(client, origin.id, payloads={name: {"approved": False, "note": "no"}})
            assert (await client.wait_for_end(forked.run.id, 10)).output == "paid 7: no"
            assert forked.run.fork is not None
            assert [edit.what for edit in forked.run.fork.edits] == ["payload"]
        with pytest.raises(ValidationError, match="'approved' is a required property"):
            await fork(client, origin.id, payloads={"4": {"note": "no"}})


async def test_a_payload_is_sent_to_a_hook_that_nobody_has_answered() -> None:
    async with ordered() as (client, origin):
        forked = await fork(client, origin.id, payloads={"Approval": {"approved": False}})
        assert (await client.wait_for_end(forked.run.id, 10)).output == "paid 7: False"
        assert (await client.get_run(origin.id)).status == "running"


async def test_a_webhooks_request_is_edited_by_its_parts() -> None:
    async with open_studio() as client:
        started = await client.start("receive", ["web"])
        await rest(client, started.id, "waiting for hook")
        import wf  # the request's class is public

        await client.deliver_webhook("web", wf.Request(headers={"x": "y"}, body=b"paid=no"))
        assert (await client.wait_for_end(started.id, 10)).output == "paid=no"
        for value, output in (
            ({"body": "paid=yes"}, "paid=yes"),
            ("text", "text"),
            ({"body": {"$bytes": "YQ=="}}, "a"),
        ):
            forked = await fork(client, started.id, payloads={"webhook": value})
            assert (await client.wait_for_end(forked.run.id, 10)).output == output
            [event] = [e for e in await client.list_events(forked.run.id) if e.type == "hook_received"]
            assert event.payload["headers"] == {"x": "y"}
        for value in ({"headers": 5}, {"boddy": ""}):
            with pytest.raises(ValidationError, match="the payload is no request for webhook"):
                await fork(client, started.id, payloads={"webhook": value})


async def test_a_child_is_given_another_outcome() -> None:
    async with open_studio() as client:
        parent = await run(client, "parent", "ada")
        forked = await fork(client, parent.id, outputs={"greet": ["hi"]})
        assert (await client.wait_for_end(forked.run.id, 10)).output == ["hi"]
        failed = await fork(client, parent.id, errors={"1": "ValueError: no child"})
        assert (await client.wait_for_end(failed.run.id, 10)).status == "failed"


async def test_several_calls_that_are_open_together_are_answered_together() -> None:
    async with open_studio() as client:
        started = await client.start("overtake", [])
        await until(lambda: client.list_hooks(started.id))
        forked = await fork(client, started.id, outputs={"slow": None}, payloads={"go on": "now"})
        assert forked.run.fork is not None
        assert [(edit.what, edit.name) for edit in forked.run.fork.edits] == [
            ("output", "studio.slow"), ("payload", "hook"),
        ]  # fmt: skip
        assert (await client.wait_for_end(forked.run.id, 10)).status == "completed"
        assert [log.text for log in await client.read_logs(forked.run.id)] == [], "neither of both ran again"
        flows.opened.add(started.id)


async def test_an_answer_in_the_midst_of_what_is_shared_is_refused_with_the_place_that_is_right() -> None:
    async with ordered() as (client, origin):
        with pytest.raises(ForkError) as refused:
            await fork(client, origin.id, start=8, outputs={"price#1": {"name": "x", "price": 1, "note": ""}})
        assert refused.value.explain().splitlines()[:2] == [
            f"run {origin.id} cannot be forked after event 8: studio.price (position 1) was answered at event 4,"
            " and what came after it was made of that answer",
            "  fix: fork from 4, or say nothing of where",
        ]
        with pytest.raises(ForkError, match=r"studio.charge \(position 3\) is not called by then"):
            await fork(client, origin.id, start=2, outputs={"charge": "x"})
        assert await count_runs(client) == 1


async def test_another_input_is_checked_like_that_of_a_start() -> None:
    async with ordered() as (client, origin):
        for given in ({"names": ["a"], "card": "bad"}, [["a"], "bad"]):
            forked = await fork(client, origin.id, input=given, attributes={"why": "to see"})
            assert (forked.run.input, forked.run.attributes) == ({"names": ["a"], "card": "bad"}, {"why": "to see"})
            assert (await end(client, forked)).output == "declined (bad): True"
        for given, told in (({"names": 5}, "names"), ({}, "names is missing"), ({"nam": []}, "names is missing")):
            with pytest.raises(ValidationError, match=told):
                await fork(client, origin.id, input=given)


async def test_a_value_over_the_limit_is_refused() -> None:
    async with ordered() as (client, origin):
        limits = msgspec.structs.replace(client.session.settings.limits, payload=1000)
        client.session.settings = msgspec.structs.replace(client.session.settings, limits=limits)
        big = "x" * 2000
        for request in ({"outputs": {"charge": big}}, {"input": [[big]]}, {"errors": {"charge": f"OSError: {big}"}}):
            with pytest.raises(PayloadTooLargeError):
                await fork(client, origin.id, **request)


# -- tokens, ids, code ------------------------------------------------------------------------------


async def test_the_hooks_of_a_fork_have_tokens_of_their_own() -> None:
    async with ordered() as (client, origin):
        await client.resume("order:tea+milk", {"approved": True})
        await client.wait_for_end(origin.id, 10)
        forked = await fork(client, origin.id, start="Approval", id="mine")
        [hook] = await until(lambda: client.list_hooks("mine"))
        assert hook.token == "order:tea+milk~mine"
        with pytest.raises(HookNotFoundError):
            await client.resume("order:tea+milk", {"approved": True})
        again = await fork(client, "mine", start=9, id="again")
        assert again.notes == ["forked from mine after event 9, step_completed studio.charge (position 3)"]
        [hook] = await until(lambda: client.list_hooks("again"))
        assert hook.token == "order:tea+milk~again"
        inside = await fork(client, origin.id, start=10, id="inside")
        assert inside.notes == [
            f"forked from {origin.id} after event 10, hook_received Approval (position 4)",
            "its hooks have tokens of their own: wf hooks inside",
        ]
        assert forked.run.fork is not None


async def test_a_fork_in_a_runs_place_keeps_its_tokens_once_they_are_free() -> None:
    async with ordered() as (client, origin):
        await client.resume("order:tea+milk", {"approved": True})
        await client.wait_for_end(origin.id, 10)
        first = await fork(client, origin.id, start="Approval", keeps_tokens=True)
        assert first.run.fork == ForkView(run_id=origin.id, seq=8)
        [hook] = await until(lambda: client.list_hooks(first.run.id))
        assert hook.token == "order:tea+milk"
        with pytest.raises(ForkError) as refused:
            await fork(client, origin.id, start=10, keeps_tokens=True)
        assert refused.value.explain().splitlines()[:2] == [
            f"run {first.run.id} has the token of Approval (position 4) now",
            "  fix: end that run first, or fork beside it, with tokens of its own",
        ]


async def test_the_same_id_is_the_same_fork_and_no_other_run() -> None:
    async with ordered() as (client, origin):
        first = await fork(client, origin.id, start=4, id="mine")
        again = await fork(client, origin.id, start=5, id="mine")
        assert again.run.id == first.run.id == "mine"
        assert await count_runs(client) == 2
        for request in ({"start": 6}, {"start": 4, "keeps_tokens": True}, {"input": [[]]}):
            with pytest.raises(ConflictError, match="'mine' belongs to another run"):
                await fork(client, origin.id, id="mine", **request)
        with pytest.raises(ConflictError):
            await fork(client, origin.id, id=origin.id)


async def test_a_fork_goes_on_with_the_newest_code_or_the_one_that_is_named() -> None:
    async with ordered() as (client, origin):
        await keep_code(client.session, NEWER)
        newer = await fork(client, origin.id, start=4)
        assert (newer.run.deployment_id, newer.notes[1]) == (NEWER, f"it goes on with {NEWER}")
        older = await fork(client, origin.id, start=4, deployment=DEPLOYMENT)
        assert (older.run.deployment_id, older.notes[1:]) == (DEPLOYMENT, [])
        await keep_code(client.session, "dep_" + "2" * 24, leaves_out="studio.order")
        assert (await fork(client, origin.id, start=4)).run.deployment_id == DEPLOYMENT, "the newest does not know it"
        with pytest.raises(NotRegisteredError):
            await fork(client, origin.id, start=4, deployment="dep_" + "2" * 24)


async def test_code_that_came_with_a_bundle_is_never_run() -> None:
    async with ordered() as (client, origin):
        row = await client.session.world.get_deployment(DEPLOYMENT)
        assert row is not None
        foreign = msgspec.structs.replace(row, deployment_id="dep_foreign", used_at=0, catalog=seal_catalog(
            client.session.keyring, "dep_foreign", Catalog(make_catalog(ROOT).workflows)))  # fmt: skip
        await client.session.world.put_deployment(foreign, {})
        with pytest.raises(ForkError, match="was imported, and is there to be read"):
            await fork(client, origin.id, start=4, deployment="dep_foreign")


async def test_a_run_is_forked_inside_a_lock_never() -> None:
    async with open_studio() as client:
        started = await client.start("guard", ["door"])
        await rest(client, started.id, "waiting for hook")
        with pytest.raises(ForkError, match="holds a lock at event 4"):
            await fork(client, started.id)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_errors_of_a_fork_know_their_slugs(kind: str, tmp_path: Path) -> None:
    async with open_studio(kind, tmp_path) as client:
        done = await run(client, "greet", "ada")
        with pytest.raises(WorkflowError) as refused:
            await fork(client, done.id, start=4, outputs={"1": 1})
        assert refused.value.slug in ("fork", "not-found")
