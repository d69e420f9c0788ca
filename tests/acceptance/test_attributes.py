"""API.md §1: attributes of a run."""

from __future__ import annotations

import pytest

import wf


@wf.step
async def nothing(): ...


async def test_a_body_sets_changes_and_removes(wf_env, restart):
    @wf.workflow
    async def flow():
        await wf.set_attributes(team="a", stage="one", gone="x", dropped="y")
        await wf.set_attributes({"stage": "two", "with space": "ok"})
        await wf.set_attributes({"a": "1"}, b="2")
        await wf.set_attributes(dropped=None)
        await wf.remove_attributes("gone", "never set")
        await wf.hook(token="go")

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    expected = {"team": "a", "stage": "two", "with space": "ok", "a": "1", "b": "2"}
    assert await run.attributes() == expected
    await restart()
    await wf.resume_hook("go")
    await run.return_value()
    assert await run.attributes() == expected


async def test_an_unawaited_call_before_return_is_recorded(wf_env):
    @wf.workflow
    async def flow():
        wf.set_attributes(a="1", b="2")
        wf.remove_attributes("b")
        return "done"

    run = await wf_env.start(flow)
    await run.return_value()
    assert await run.attributes() == {"a": "1"}


async def test_start_attributes_are_there_from_the_start(wf_env):
    @wf.workflow
    async def flow():
        await wf.set_attributes(b="3")

    run = await wf.start(flow.with_options(attributes={"a": "1", "b": "2"}))
    assert (await run.attributes())["a"] == "1"
    await run.return_value()
    assert await run.attributes() == {"a": "1", "b": "3"}


async def test_a_step_sets_them_too(wf_env, restart):
    @wf.step
    async def sets():
        await wf.set_attributes({"x": "1"}, y="2")
        await wf.remove_attributes("x")

    @wf.workflow
    async def flow():
        await wf.set_attributes(y="0", z="3")
        await sets()
        await wf.hook(token="go")

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    await restart()
    await wf.resume_hook("go")
    await run.return_value()
    assert await run.attributes() == {"y": "2", "z": "3"}


async def test_an_unawaited_call_in_a_step_is_recorded_too(wf_env):
    @wf.step
    async def sets():
        wf.set_attributes(a="1")

    @wf.workflow
    async def flow():
        await sets()

    run = await wf_env.start(flow)
    await run.return_value()
    assert await run.attributes() == {"a": "1"}


async def test_a_plain_step_sets_them_from_its_thread(wf_env):
    @wf.step
    def sets():
        wf.set_attributes(a="1")
        wf.set_attributes(b="2")
        wf.remove_attributes("b")

    @wf.workflow
    async def flow():
        await sets()

    run = await wf_env.start(flow)
    await run.return_value()
    assert await run.attributes() == {"a": "1"}


LIMITS = [
    {"": "empty key"},
    {"k" * 257: "v"},
    {"k": "v" * 257},
    {"k": "ä" * 129},
    {"$reserved": "v"},
    {"k": 5},
    {5: "v"},
    {f"k{n}": "v" for n in range(65)},
]


@pytest.mark.parametrize("bad", LIMITS, ids=range(len(LIMITS)))
async def test_a_violation_is_a_fatal_error_and_writes_nothing(wf_env, bad):
    @wf.step
    async def in_step(bad):
        await wf.set_attributes(bad)

    @wf.workflow
    async def flow(bad):
        with pytest.raises(wf.FatalError):
            await wf.set_attributes({"fine": "v", **bad})
        with pytest.raises(wf.FatalError):
            await in_step({"fine": "v", **bad})
        await nothing()

    run = await wf_env.start(flow, bad)
    await run.return_value()
    assert await run.attributes() == {}


@pytest.mark.parametrize("bad", LIMITS, ids=range(len(LIMITS)))
async def test_bad_start_attributes_raise_before_anything_is_written(wf_env, bad):
    @wf.workflow
    async def flow(): ...

    with pytest.raises(wf.FatalError):
        await wf.start(flow.with_options(attributes=bad))
    assert (await wf.list_runs()).items == []


async def test_the_limits_themselves_are_allowed(wf_env):
    full = {f"k{n}".ljust(256, "x"): "v" * 256 for n in range(64)}

    @wf.workflow
    async def flow(full):
        await wf.set_attributes(full)
        await wf.set_attributes({next(iter(full)): None, "another": "ä" * 128})
        with pytest.raises(wf.FatalError):
            await wf.set_attributes(one_more="v")

    run = await wf_env.start(flow, full)
    await run.return_value()
    assert len(await run.attributes()) == 64


async def test_reserved_keys_may_be_allowed(wf_env):
    @wf.workflow
    async def flow():
        await wf.set_attributes({"$ours": "v"}, allow_reserved_attributes=True)

    run = await wf_env.start(flow)
    await run.return_value()
    assert await run.attributes() == {"$ours": "v"}


async def test_outside_a_run_they_are_refused():
    with pytest.raises(wf.NotInRunError):
        await wf.set_attributes(a="1")
    with pytest.raises(wf.NotInRunError):
        await wf.remove_attributes("a")


async def test_an_empty_change_is_nothing(wf_env):
    @wf.workflow
    async def flow():
        await wf.set_attributes()
        await wf.set_attributes({})
        await wf.remove_attributes()

    run = await wf_env.start(flow)
    await run.return_value()
    assert await run.attributes() == {}


async def test_they_are_plain_in_the_log(wf_env):
    @wf.workflow
    async def flow():
        await wf.set_attributes(customer="acme")

    run = await wf_env.start(flow)
    await run.return_value()
    assert any("acme" in (e.meta or "") for e in await wf_env.session.world.read_events(run.run_id, 0, 99))
