"""Fulfils orders: reserve the goods, take the money, ship. What does not work out is undone.

    fulfil    one order. Stock, payment and shipping are child runs of their own
    demo      four orders with four fates, and a carrier who plays along: runs unattended to its end

An order that cannot be fulfilled is no failure of the program: its run completes, and says why it was given up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import carrier
import store
from inventory import OutOfStock, put_back, reserve_goods
from payment import Declined, PaymentExpired, settle, take_payment
from shipping import DeliveryOverdue, ParcelLost, ship
from store import Line, Order

import wf


@dataclass
class Fulfilment:
    """How an order ended: `delivered` or `given up`, and why."""

    order_id: str
    state: str
    cents: int
    why: str = ""


@wf.workflow
async def fulfil(order: Order) -> Fulfilment:
    """Fulfil an order, or leave everything as it was before."""
    await wf.set_attributes(order=order.id, customer=order.customer, state="reserving")
    cents = 0
    try:
        cents = await price(order.lines)
        await wf.set_attributes(cents=str(cents))
        async with wf.saga() as saga:
            goods = await wf.start(reserve_goods, order)
            saga.undo(take_back, goods, put_back)
            await finish(goods)

            await wf.set_attributes(state="paying")
            payment = await wf.start(take_payment, order, cents)
            saga.undo(take_back, payment, refund)
            await finish(payment)

            await wf.set_attributes(state="shipping")
            shipment = await wf.start(ship, order)
            saga.undo(take_back, shipment)
            await notify(order.customer, f"{order.id} is on its way")
            await finish(shipment)
    except (OutOfStock, Declined, PaymentExpired, ParcelLost, DeliveryOverdue) as error:
        await wf.set_attributes(state="given up", why=type(error).__name__)
        await notify(order.customer, f"{order.id} is cancelled: {error}")
        return Fulfilment(order.id, "given up", cents, str(error))
    except asyncio.CancelledError:  # by the customer: everything is undone by now
        await wf.set_attributes(state="given up", why="cancelled")
        await notify(order.customer, f"{order.id} is cancelled, as you wished")
        raise
    await wf.set_attributes(state="delivered")
    await notify(order.customer, f"{order.id} was delivered")
    return Fulfilment(order.id, "delivered", cents)


async def finish(child: wf.Run[Any]) -> None:
    """Wait for a child that was started, and raise what it raised: why an order is given up, we want to know."""
    try:
        await child.return_value()
    except wf.WorkflowRunFailedError as failure:
        if isinstance(failure.__cause__, Exception):
            raise failure.__cause__ from None
        raise


async def take_back(child: wf.Run[Any], undo: Callable[[Any], Awaitable[None]] | None = None) -> None:
    """Undo a child, however far it has come. To cancel a parent does not cancel its children; so we do.

    This is no step, but what it calls is durable: it goes on after a restart like everything in a body.
    """
    await child.cancel("the order is given up")
    try:
        given = await child.return_value()
    except (wf.WorkflowRunCancelledError, wf.WorkflowRunFailedError):
        return  # its own saga has put everything back
    if undo is not None:  # it has completed before the cancel came
        await undo(given)


async def refund(payment: str) -> None:
    await settle(payment, "refunded")


@wf.step
def price(lines: list[Line]) -> int:
    try:
        return store.price(lines)
    except store.OutOfStock as error:
        raise OutOfStock(str(error)) from error


@wf.step
def notify(customer: str, text: str) -> None:
    """Send a mail, once: the step's id is its key."""
    store.send_mail(wf.get_step_metadata().step_id, customer, text)


# -- a demonstration --------------------------------------------------------------------------------

DEMO = [
    (Order("demo-1", "ada", "4242-0119", [Line("kettle"), Line("lamp")]), ["picked up", "delivered"]),
    (Order("demo-2", "grace", "4242-0002", [Line("kettle")]), []),
    (Order("demo-3", "alan", "4242-4242", [Line("kettle"), Line("abacus")]), []),
    (Order("demo-4", "ada", "4242-4242", [Line("kettle", 2)]), ["picked up", "lost"]),
]


@wf.workflow
async def demo() -> list[Fulfilment]:
    """Fulfil four orders side by side, and play the carrier of those that get so far."""

    async def one(order: Order, news: list[str]) -> Fulfilment:
        run = await wf.start(fulfil, order)
        for state in news:
            await play_carrier(order.id, state)
        found: Fulfilment = await run.return_value()
        return found

    return list(await asyncio.gather(*(one(order, news) for order, news in DEMO)))


@wf.step(max_retries=100, retry_delay="100ms", backoff=1)
async def play_carrier(order_id: str, state: str) -> dict[str, Any]:
    """Send a notice, as soon as there is a parcel to send it for."""
    status, text = await carrier.send(order_id, state)
    return {"status": status, "text": text}
