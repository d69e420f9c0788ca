"""Diffs: the first difference of two runs, what each call did otherwise, and nothing that is one by nature."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.wfstudio import flows
from tests.wfstudio.studio import open_studio, rest, run, until
from wf.errors import RunNotFoundError
from wf.keys import Keyring
from wfstudio.core import diffs
from wfstudio.core.client import Client
from wfstudio.core.diff_views import DiffView, DivergenceView
from wfstudio.core.forks import ForkRequest
from wfstudio.core.views import RunView


async def order(client: Client, *names: str, card: str = "good", **word: Any) -> RunView:
    """Give a run of `order` that has had its word."""
    started = await client.start("order", [list(names)], {"card": card})
    [hook] = await until(lambda: client.list_hooks(started.id))
    await client.resume(str(hook.token), {"approved": True, **word})
    return await client.wait_for_end(started.id, 10)


async def fork(client: Client, run_id: str, **more: Any) -> str:
    return (await client.fork(run_id, ForkRequest(**more))).run.id


async def end(client: Client, run_id: str) -> None:
    [hook] = await until(lambda: client.list_hooks(run_id))
    await client.resume(str(hook.token), {"approved": True})
    await client.wait_for_end(run_id, 10)


def show(view: DiffView) -> list[str]:
    """Write the calls that differ: name, state, places."""
    return [
        f"{call.name}#{call.occurrence} {call.state} {[change.path for change in [*call.input, *call.output]]}"
        for call in view.calls
    ]


async def test_two_runs_of_the_same_are_the_same() -> None:
    async with open_studio() as client:
        first, second = await order(client, "tea", "milk"), await order(client, "tea", "milk")
        view = await client.diff(first.id, second.id)
        assert (view.is_same, view.divergence, view.calls, view.same_calls) == (True, None, [], 4)
        assert view.delta_ms is not None
        assert view.a.id == first.id and view.b.status == "completed"
        same = await client.diff(first.id, first.id, is_all=True)
        assert [(call.name, call.occurrence, call.state, call.delta_ms) for call in same.calls] == [
            ("studio.price", 1, "same", 0),
            ("studio.price", 2, "same", 0),
            ("studio.charge", 1, "same", 0),
            ("tests.wfstudio.flows:Approval", 1, "same", 0),
        ]


async def test_the_first_difference_comes_first_whatever_follows_from_it() -> None:
    async with open_studio() as client:
        first = await order(client, "tea", "milk")
        forked = await fork(client, first.id, outputs={"price#2": {"name": "milk", "price": "9", "note": ""}})
        await end(client, forked)
        view = await client.diff(first.id, forked)
        assert view.divergence == DivergenceView(
            what="output",
            text="studio.price#2 differs in output.price",
            name="studio.price",
            seq_a=6,
            seq_b=7,
            correlation_id_a=2,
            correlation_id_b=2,
        )
        assert show(view) == [
            "studio.price#2 changed ['output.price']",
            "studio.charge#1 changed ['input.total', 'output']",
        ]
        [price, charge] = view.calls
        assert [(change.before, change.after) for change in price.output] == [("4", "9")]
        assert [(change.before, change.after) for change in charge.output] == [("paid 7", "paid 12")]
        assert [(change.path, change.before, change.after) for change in view.output] == [
            ("output", "paid 7: True", "paid 12: True")
        ]
        assert (view.same_calls, view.changed_calls, view.is_same) == (2, 2, False)


async def test_a_call_that_was_put_in_shifts_nothing() -> None:
    async with open_studio() as client:
        short, long = await order(client, "tea", "milk", "bread"), await order(client, "tea", "cocoa", "milk", "bread")
        view = await client.diff(short.id, long.id)
        assert view.divergence == DivergenceView(
            what="input", text="the runs differ in input.names[1]", seq_a=1, seq_b=1
        )
        assert [change.kind for change in view.input] == ["added"]
        assert show(view) == [
            "studio.price#2 only_b []",
            "studio.charge#1 changed ['input.total', 'output']",
            "tests.wfstudio.flows:Approval#1 changed ['input.token']",
        ]
        assert (view.only_a, view.only_b, view.same_calls) == (0, 1, 3)
        turned = await client.diff(long.id, short.id)
        assert show(turned)[0] == "studio.price#2 only_a []"


async def test_an_error_is_an_output_and_says_what_it_was() -> None:
    async with open_studio() as client:
        good = await order(client, "tea")
        forked = await fork(client, good.id, errors={"charge": "OSError: cut"})
        await end(client, forked)
        view = await client.diff(good.id, forked)
        assert view.divergence is not None
        assert (view.divergence.what, view.divergence.text) == ("output", "studio.charge differs in output")
        [charge] = view.calls
        assert charge.a is not None and charge.b is not None and charge.b.error is not None
        assert (charge.a.status, charge.b.status, charge.b.error.type) == ("completed", "failed", "OSError")
        again = await fork(client, good.id, errors={"charge": "OSError: cut"})
        await end(client, again)
        assert (await client.diff(forked, again)).is_same


async def test_what_a_hook_was_sent_is_compared_payload_by_payload() -> None:
    async with open_studio() as client:
        first, second = await order(client, "tea", note="fine"), await order(client, "tea", note="good")
        view = await client.diff(first.id, second.id)
        assert view.divergence is not None
        assert view.divergence.text == "hook Approval differs in payloads[0].note"
        open_ = await client.start("order", [["tea"]])
        await rest(client, open_.id, "waiting for hook")
        view = await client.diff(first.id, open_.id)
        assert [(change.path, change.kind) for call in view.calls for change in call.output] == [
            ("payloads[0]", "removed")
        ]


async def test_runs_that_ended_otherwise_differ_in_that() -> None:
    async with open_studio() as client:
        broken = await run(client, "mend", "gate")
        flows.mended.add("gate")
        mended = await run(client, "mend", "gate")
        view = await client.diff(broken.id, mended.id)
        assert view.a.error is not None
        assert (view.a.status, view.a.error.message, view.b.status) == ("failed", "gate is broken", "completed")
        assert view.divergence is not None
        assert (view.divergence.what, view.divergence.name) == ("output", "studio.check_mended")
        nap = await client.start("nap", [])
        await rest(client, nap.id, "sleeping")
        other = await client.start("nap", [])
        await rest(client, other.id, "sleeping")
        assert (await client.diff(nap.id, other.id)).is_same
        await client.wake(other.id)
        await client.wait_for_end(other.id, 10)
        view = await client.diff(nap.id, other.id)
        assert view.divergence is not None
        assert view.divergence.text == "sleep is waiting in a and completed in b"


async def test_other_workflows_are_told_first() -> None:
    async with open_studio() as client:
        one, other = await run(client, "greet", "ada"), await run(client, "parent", "ada")
        view = await client.diff(one.id, other.id)
        assert view.divergence is not None
        assert view.divergence.text == "they are runs of studio.greet and of studio.parent"
        assert [call.state for call in view.calls] == ["only_a", "only_b"]
        assert [call.kind for call in view.calls] == ["step", "child"]


async def test_sleeps_are_compared_by_how_long_they_are() -> None:
    async with open_studio() as client:
        runs = [await client.start("nap", [seconds]) for seconds in (3600, 3600, 60)]
        for started in runs:
            await rest(client, started.id, "sleeping")
        assert (await client.diff(runs[0].id, runs[1].id)).is_same
        [call] = (await client.diff(runs[0].id, runs[2].id)).calls
        assert [(change.path, change.before, change.after) for change in call.input] == [
            ("input.ms", 3_600_000, 60_000)
        ]


async def test_attributes_are_compared_and_are_no_divergence() -> None:
    async with open_studio() as client:
        runs = [(await client.start("greet", ["ada"], attributes={"n": str(n), "x": "y"})).id for n in (1, 2)]
        for run_id in runs:
            await client.wait_for_end(run_id, 10)
        view = await client.diff(*runs)
        assert [(change.path, change.before, change.after) for change in view.attributes] == [
            ("attributes.n", "1", "2")
        ]
        assert (view.is_same, view.divergence) == (False, None)


async def test_without_a_key_what_is_clear_is_compared() -> None:
    async with open_studio() as client:
        first, second = await order(client, "tea"), await order(client, "tea", "milk")
        locked = await client.diff(first.id, second.id, is_locked=True)
        assert (locked.is_locked, locked.input, locked.output) == (True, [], [])
        assert show(locked) == ["studio.price#2 only_b []"]
        client.session.keyring = Keyring([os.urandom(32)])
        assert (await client.diff(first.id, second.id)).is_locked


async def test_large_values_are_compared_and_shown_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"n": n, "text": f"row {n}"} for n in range(100_000)]
    other = msgspec.json.decode(msgspec.json.encode(rows))
    other[50_000]["text"] = "edited"
    other.insert(7, {"n": -1, "text": "x" * 10_000})
    a, b, c = (msgspec.json.encode(value) for value in (rows, other, [{"n": str(n)} for n in range(100_000)]))
    changes, more = diffs._diff_values(a, b, "output")
    assert [(change.path, change.kind) for change in changes] == [
        ("output[7]", "added"),
        ("output[50000].text", "changed"),
    ]
    assert more == 0
    assert diffs._cut(changes[0]).after == {"$large": 10_018}
    changes, more = diffs._diff_values(a, c, "output")
    assert (len(changes), more) == (diffs.MOST_OF_A_VALUE, 9 * diffs.MOST_OF_A_VALUE), "counted as far as that"
    monkeypatch.setattr(diffs, "LARGEST_COMPARED", 100)
    [huge], _ = diffs._diff_values(a, b, "output")
    assert (huge.before, huge.after) == ({"$large": len(a)}, {"$large": len(b)})


async def test_of_many_changes_each_call_shows_at_least_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diffs, "MOST_CHANGES", 2)
    async with open_studio() as client:
        first, second = await order(client, "tea", "milk"), await order(client, "bread", "jam", note="x")
        view = await client.diff(first.id, second.id)
        assert view.more_changes + sum(call.more_changes for call in view.calls) > 0
        assert all(call.input or call.output for call in view.calls if call.state == "changed")


async def test_of_many_calls_the_first_are_listed_and_all_are_counted(tmp_path: Path) -> None:
    async with open_studio("sqlite", tmp_path) as client:
        first, second = await run(client, "greet", "ada", 30), await run(client, "greet", "bob", 31)
        view = await diffs.diff_runs(client.session, first.id, second.id, limit=10)
        assert (len(view.calls), view.more_calls, view.changed_calls, view.only_b) == (10, 21, 30, 1)


async def test_an_unknown_run_has_no_diff() -> None:
    async with open_studio() as client:
        done = await run(client, "greet", "ada")
        for pair in ((done.id, "wrun_none"), ("no id!", done.id)):
            with pytest.raises(RunNotFoundError):
                await client.diff(*pair)
