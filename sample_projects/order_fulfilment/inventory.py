"""Stock: take everything that an order needs off the shelf, or nothing."""

from __future__ import annotations

import asyncio

import store
from store import Line, Order

import wf


class OutOfStock(wf.FatalError):
    """Goods are not there. Asking again would not bring them."""


@wf.workflow
async def reserve_goods(order: Order) -> list[str]:
    """Reserve all lines of an order side by side, and give the keys of the reservations."""
    async with wf.saga() as saga:

        async def reserve_one(line: Line) -> str:
            key = await reserve(line)
            saga.undo(put_back, [key])
            return key

        # All are asked before one that failed is looked at: what the others have got must be put back, too.
        found = await asyncio.gather(*(reserve_one(line) for line in order.lines), return_exceptions=True)
        for outcome in found:
            if isinstance(outcome, BaseException):
                raise outcome
        return [key for key in found if isinstance(key, str)]


@wf.step
def reserve(line: Line) -> str:
    key = wf.get_step_metadata().step_id
    try:
        store.reserve(key, line)
    except store.OutOfStock as error:
        raise OutOfStock(str(error)) from error
    return key


@wf.step(max_retries=10)
def put_back(keys: list[str]) -> None:
    for key in keys:
        store.put_back(key)
