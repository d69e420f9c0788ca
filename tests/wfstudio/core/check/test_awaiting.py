"""Calls that nobody awaits, and handlers that swallow a cancel."""

from __future__ import annotations

import pytest

from tests.wfstudio.core.check.stage import check_body, codes_of

FOUND = {
    "WF401": [
        "charge('a')",
        "wf.sleep('1h')",
        "child('a')",
        "asyncio.sleep(1)",
        "wf.hook()",
        "Approval.wait(token='a')",
        "x = charge('a')",
        "receipt = charge('a')\nreturn receipt.id",
        "receipt = charge('a')\nawait child(receipt)",
        "await child(charge('a'))",
        "if charge('a'): pass",
        "return charge('a')",
        "run = await wf.start(child, 'a')\nrun.cancel()",
        "wf.start(child, 'a')",
        "wf.continue_as_new('a')",
        "async def inner(): await charge('a')\ninner()",
        "asyncio.gather(charge('a'), charge('b'))",
        "wf.lock('x')",
        "x = f\"{charge('a')}\"",
        "Approval(approved=True).resume('t')",
        "asyncio.wait_for(charge('a'), 3)",
        "while not charge('a'): pass",
        "render('x')",
        "x = charge('a') + 'b'",
        "for x in charge('a'): pass",
        "_ = charge('a')",
        "wf.get_run('x').cancel()",
        "child.with_options(id='x')('a')",
        "wf.webhook()",
    ],
    "WF402": [
        "try:\n    await charge('a')\nexcept:\n    pass",
        "try:\n    await charge('a')\nexcept BaseException:\n    return 1",
        "try:\n    await charge('a')\nexcept (ValueError, BaseException) as e:\n    print(e)",
        "import contextlib\nwith contextlib.suppress(BaseException):\n    await charge('a')",
        "try:\n    await charge('a')\nfinally:\n    return 3",
        "try:\n    async with wf.lock('x'): pass\nexcept BaseException: pass",
        "for x in given:\n    try:\n        await charge('a')\n    finally:\n        continue",
    ],
}

FINE = [
    "x = charge('a')\nawait x",
    "xs = [charge(x) for x in given]\nawait asyncio.gather(*xs)",
    "t = asyncio.create_task(charge('a'))\nawait t",
    "async with asyncio.TaskGroup() as g:\n    t = g.create_task(charge('a'))\nreturn t.result()",
    "wf.set_attributes(a='b')",
    "await asyncio.wait_for(charge('a'), 3)",
    "async with wf.lock('x'):\n    await charge('a')",
    "async with wf.saga() as saga:\n    saga.undo(charge, 'a')",
    "hook = wf.hook()\nawait hook",
    "h = Approval.wait(token='x')\nr = await h\nif r.approved: pass",
    "async with Approval.wait(token='x') as h:\n    d = await h",
    "asyncio.create_task(charge('a'))",
    "coro = None\nif order:\n    coro = charge('a')\nif coro is not None:\n    await coro",
    "coro = charge('a') if order else None\nif coro:\n    await coro",
    "run = await wf.start(child, 'a')\nawait run.return_value()",
    "calls = {'a': charge('a')}\nawait calls['a']",
    "x = await (charge('a') if order else charge('b'))",
    "def later(): return charge('a')\nawait later()",
    "f = lambda: charge('a')\nawait f()",
    "await asyncio.gather(*map(charge, given))",
    "hook = wf.hook(token='a')\nhook.dispose()",
    "hook = wf.hook(token='a')",
    "try:\n    await charge('a')\nexcept Exception:\n    pass",
    "try:\n    await charge('a')\nexcept BaseException:\n    await charge('undo')\n    raise",
    "try:\n    await charge('a')\nexcept asyncio.CancelledError:\n    await charge('x')",
    "try:\n    x = int(order)\nexcept:\n    x = 0",
    "try:\n    await charge('a')\nexcept asyncio.CancelledError:\n    raise\nexcept BaseException:\n    pass",
    "t = asyncio.create_task(charge('a'))\nt.cancel()\ntry:\n    await t\nexcept asyncio.CancelledError: pass",
    "try:\n    await charge('a')\nfinally:\n    for x in given:\n        break",
    "import contextlib\nwith contextlib.suppress(ValueError):\n    await charge('a')",
]


@pytest.mark.parametrize(("code", "body"), [(code, body) for code, bodies in FOUND.items() for body in bodies])
def test_it_is_found_and_nothing_else_is(code: str, body: str) -> None:
    assert set(codes_of(body)) == {code}


@pytest.mark.parametrize("body", FINE)
def test_it_is_fine(body: str) -> None:
    assert [finding.message for finding in check_body(body)] == []
