"""Workflows that the studio's tests run."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import wf
from wf.streams import Writable

log = logging.getLogger("flows")


@dataclass
class Approval(wf.BaseHook):
    approved: bool
    note: str = ""


@wf.step(name="studio.greet_one")
async def greet_one(name: str) -> str:
    print(f"greeting {name}")
    log.warning("about %s", name)
    return f"hello, {name}"


@wf.workflow(name="studio.greet")
async def greet(name: str, times: int = 1, *, loud: bool = False) -> list[str]:
    """Greet somebody, several times."""
    await wf.set_attributes(name=name)
    found = [await greet_one(name) for _ in range(times)]
    return [text.upper() for text in found] if loud else found


@wf.workflow(name="studio.approve")
async def approve(site: str) -> str:
    decision = await Approval.wait(token=f"site:{site}", metadata={"site": site})
    return "live" if decision.approved else f"refused: {decision.note}"


@wf.workflow(name="studio.nap")
async def nap(seconds: float = 3600) -> str:
    await wf.sleep(seconds)
    return "rested"


@wf.step(name="studio.explode", max_retries=0)
async def explode(message: str) -> None:
    raise ValueError(message)


@wf.workflow(name="studio.fail")
async def fail(message: str) -> None:
    await explode(message)


@wf.step(name="studio.slow")
async def slow(gate: str) -> None:
    print("slow begins")
    begun.add(gate)
    while gate not in opened:
        await asyncio.sleep(0.001)


@wf.step(name="studio.quick")
async def quick(gate: str) -> None:
    while gate not in begun:
        await asyncio.sleep(0.001)
    print("quick")


@wf.step(name="studio.open_gate")
async def open_gate(gate: str) -> None:
    opened.add(gate)


begun: set[str] = set()
opened: set[str] = set()


@wf.workflow(name="studio.overtake")
async def overtake() -> None:
    gate = wf.get_workflow_metadata().run_id
    async with asyncio.TaskGroup() as group:
        group.create_task(slow(gate))
        await quick(gate)
        await wf.hook(token="go on")
        await open_gate(gate)


mended: set[str] = set()


@wf.step(name="studio.check_mended", max_retries=0)
async def check_mended(key: str) -> str:
    if key not in mended:
        raise ValueError(f"{key} is broken")
    return f"{key} is mended"


@wf.workflow(name="studio.mend")
async def mend(key: str) -> list[str]:
    return [await greet_one(key), await check_mended(key)]


@wf.step(name="studio.flaky", max_retries=2, retry_delay="1ms")
async def flaky() -> int:
    attempt = wf.get_step_metadata().attempt
    if attempt < 3:
        raise OSError(f"attempt {attempt}")
    return attempt


@wf.step(name="studio.patient", max_retries=2, retry_delay="1h")
async def patient() -> None:
    raise OSError("later")


@wf.workflow(name="studio.retry")
async def retry(is_patient: bool = False) -> int | None:
    return await (patient() if is_patient else flaky())


@wf.step(name="studio.pour")
async def pour(out: Writable, count: int, is_closing: bool) -> None:
    for number in range(count):
        await out.write({"n": number})
    if is_closing:
        await out.close()


@wf.workflow(name="studio.stream")
async def stream(count: int, is_closing: bool = True, waits_for: str | None = None) -> str:
    await pour(wf.get_writable(), count, is_closing)
    if waits_for is not None:
        await wf.hook(token=waits_for)
        await pour(wf.get_writable(), count, True)
    return "poured"


@wf.step(name="studio.answer")
async def answer(request: wf.Request) -> None:
    await request.respond(wf.Response(201, f"got {request.text()}", {"x-answer": "yes"}))


@wf.workflow(name="studio.receive")
async def receive(token: str, how: str = "accepted") -> str:
    fixed = wf.Response(418, "short and stout", {"x-pot": "tea"})
    event = wf.webhook(token, {"accepted": None, "fixed": fixed, "manual": "manual"}[how])
    request = await event
    if how == "manual":
        await answer(request)
    return request.text()


@wf.workflow(name="studio.parent")
async def parent(name: str) -> list[str]:
    return await greet(name)


@wf.step(name="studio.block")
async def block(seconds: float) -> None:
    await asyncio.sleep(seconds)


@wf.workflow(name="studio.busy")
async def busy(seconds: float = 60) -> None:
    await block(seconds)


@wf.workflow(name="studio.gather")
async def collect(first: int, /, *rest: int, **named: str) -> Any:
    return [first, list(rest), named]


@wf.workflow(name="studio.guard")
async def guard(name: str) -> None:
    async with wf.lock(name):
        await wf.hook(token=f"holds:{wf.get_workflow_metadata().run_id}")


class Declined(ValueError):
    pass


@dataclass
class Item:
    name: str
    price: Decimal
    note: str = ""


@wf.step(name="studio.price")
async def price(name: str) -> Item:
    return Item(name, Decimal(len(name)))


@wf.step(name="studio.charge", max_retries=0)
async def charge(total: str, card: str) -> str:
    if card == "bad":
        raise Declined(card)
    return f"paid {total}"


@wf.workflow(name="studio.order")
async def order(names: list[str], card: str = "good") -> str:
    """Price some items, charge them, and wait for a word."""
    items = [await price(name) for name in names]
    try:
        receipt = await charge(str(sum(item.price for item in items)), card)
    except Declined as error:
        receipt = f"declined ({error})"
    except OSError as error:
        receipt = f"no line ({error})"
    decision = await Approval.wait(token=f"order:{'+'.join(names)}")
    return f"{receipt}: {decision.note or decision.approved}"
