"""Forks of runs that were imported: they go on here, by this world's key, and the import stays as it came."""

from __future__ import annotations

import pytest

from tests.wfstudio.history.worlds import bundle_of, look_at, open_source, without
from tests.wfstudio.studio import open_studio, rest, until
from wf.forking import ForkError
from wf.world import RunFilter
from wfstudio.core.client import Client
from wfstudio.core.forks import ForkRequest
from wfstudio.core.views import ForkedView, RunView
from wfstudio.history.transfers import import_bundle

RUN = "ordered-elsewhere-long-ago"


async def bundle(*, is_redacted: bool = False, is_ended: bool = False) -> bytes:
    """Make a bundle of a run that waits for a word, or was given it."""
    async with open_source() as client:
        await client.start("order", [["tea", "milk"]], id=RUN)
        await rest(client, RUN, "waiting for hook")
        if is_ended:
            await client.resume("order:tea+milk", {"approved": True, "note": "from elsewhere"})
            await client.wait_for_end(RUN, 10)
        return await bundle_of(client, RUN, is_redacted=is_redacted)


async def answer(client: Client, forked: ForkedView, note: str) -> RunView:
    [hook] = await until(lambda: client.list_hooks(forked.run.id))
    await client.resume(str(hook.token), {"approved": True, "note": note})
    return await client.wait_for_end(forked.run.id, 10)


async def test_a_run_that_waited_elsewhere_goes_on_here_with_another_past() -> None:
    data = await bundle()
    async with open_studio() as client:
        await import_bundle(client.session, data, "x.wf.zip")
        before = without(await look_at(client, RUN))
        forked = await client.fork(RUN, ForkRequest(outputs={"charge": "paid elsewhere"}))
        ended = await answer(client, forked, "here")
        assert ended.output == "paid elsewhere: here"
        assert ended.origin is None, "it is this world's own"
        assert ended.fork is not None
        assert (ended.fork.run_id, [edit.name for edit in ended.fork.edits]) == (RUN, ["studio.charge"])
        steps = await client.list_steps(ended.id)
        assert [(step.name, step.output) for step in steps][-1] == ("studio.charge", "paid elsewhere")
        assert without(await look_at(client, RUN)) == before


async def test_a_run_that_ended_elsewhere_is_asked_again_here() -> None:
    data = await bundle(is_ended=True)
    async with open_studio() as client:
        await import_bundle(client.session, data, "x.wf.zip")
        payload = {"approved": False, "note": "told otherwise"}
        forked = await client.fork(RUN, ForkRequest(payloads={"order:tea+milk": payload}))
        assert (await client.wait_for_end(forked.run.id, 10)).output == "paid 7: told otherwise"
        again = await client.fork(RUN, ForkRequest(start="price#2"))
        ended = await answer(client, again, "now")
        assert ended.output == "paid 7: now"
        deeper = await client.fork(ended.id, ForkRequest(start="charge"))
        assert (await answer(client, deeper, "a fork of it")).output == "paid 7: a fork of it"


async def test_a_run_whose_payloads_were_left_out_is_not_forked() -> None:
    data = await bundle(is_redacted=True)
    async with open_studio() as client:
        await import_bundle(client.session, data, "x.wf.zip")
        for request in (ForkRequest(), ForkRequest(outputs={"charge": "x"}), ForkRequest(start="charge")):
            with pytest.raises(ForkError) as refused:
                await client.fork(RUN, request)
            assert "its payloads were left out of the bundle that it came in" in str(refused.value)
        assert len(await client.session.world.list_runs(RunFilter())) == 1
