"""The stage of these tests: a project whose runs become tests, which are then run as a user would run them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.programs import PYTEST
from tests.wfstudio.recorded import Recording
from wfstudio.core.written_tests.generation import TestFilesView, TestMaker, Wish, write_files

SHOP = '''
    """A shop."""

    import asyncio
    from dataclasses import dataclass

    import wf


    class Declined(Exception): ...


    @dataclass
    class Item:
        sku: str
        cents: int


    @dataclass
    class Receipt:
        number: str
        total: int
        items: list[Item]


    @dataclass
    class Approval(wf.BaseHook):
        approved: bool
        comment: str = ""


    @wf.step
    async def price(skus: list[str]) -> list[Item]:
        return [Item(sku, 100 * len(sku)) for sku in skus]


    @wf.step(max_retries=0)
    def charge(customer: str, total: int) -> Receipt:
        if customer == "bad":
            raise Declined(f"no money (of {customer})")
        return Receipt(f"r-{customer}", total, [Item("x", total)])


    @wf.step(max_retries=0)
    async def stamp(text: str) -> str:
        return f"{text} in attempt {wf.get_step_metadata().attempt}"


    @wf.step
    async def greet(name: str, *titles: str, loud: bool = False) -> str:
        return f"{' '.join(titles)} {name}{'!' if loud else ''}"


    @wf.workflow
    async def buy(customer: str, skus: list[str]) -> str:
        items = await price(skus)
        total = sum(item.cents for item in items)
        receipt = await charge(customer, total)
        await wf.sleep("3d")
        await stamp(receipt.number)
        await greet(customer, "Dr", "h.c.", loud=True)
        async with wf.lock(f"customer:{customer}"):
            decision = await Approval.wait(token=f"buy:{customer}")
        return decision.comment


    @wf.workflow
    async def refuse(customer: str) -> str:
        try:
            await charge(customer, 1)
        except Declined as error:
            return str(error)
        return "charged"


    @wf.workflow
    async def decide(answer: str) -> str:
        said = await greet(answer)
        if said.strip() == "yes":
            await stamp("agreed")
        return said
'''


async def buy(found: Recording) -> str:
    """Run `buy` up to its end, in the world's own time but for the sleep."""
    run = await found.start("buy", "ada lovelace", ["blue-pen", "ink"])
    await found.embedded.drain()
    await found.client.wake(run.run_id)
    await found.embedded.drain()
    await found.client.resume("buy:ada lovelace", {"approved": True, "comment": "fine, thanks"})
    return (await found.client.wait_for_end(run.run_id, 20)).id


async def make(found: Recording, run_id: str, **wish: Any) -> TestFilesView:
    return await TestMaker(found.replays.workbench).make(run_id, Wish(**wish))


async def write(found: Recording, run_id: str, **wish: Any) -> TestFilesView:
    view = await make(found, run_id, **wish)
    write_files(view, str(found.root), is_forced=False)
    return view


def run_pytest(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a project, warnings being errors."""
    command = [sys.executable, *PYTEST, "-W", "error", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120)


def check_format(root: Path, *arguments: str) -> str:
    """Give what ruff would change in the tests; nothing, as a rule."""
    command = [sys.executable, "-m", "ruff", "format", "--diff", *arguments, "tests"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True).stdout
