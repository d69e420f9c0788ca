"""Shipping: book a parcel, and believe what the carrier says of it, if it is the carrier.

The carrier calls a webhook of the run. Who knows its URL can call it, too, so each notice is signed; one with a wrong
signature is refused with 401, and changes nothing.
"""

from __future__ import annotations

import asyncio
import hmac
from dataclasses import dataclass
from datetime import timedelta

import store
from store import Order

import wf

SECRET = b"shared with the carrier"  # a real one comes from the environment, and is read in a step
DELIVERY = timedelta(days=5)


class ParcelLost(wf.FatalError):
    """The carrier does not know where it is."""


class DeliveryOverdue(wf.FatalError):
    """The carrier has said nothing for too long."""


@dataclass
class Notice:
    """What the carrier says: `picked up`, `delivered`, or `lost`."""

    state: str


@wf.workflow
async def ship(order: Order) -> str:
    """Have an order delivered, and give the parcel's key. Raises `ParcelLost`, `DeliveryOverdue`."""
    await wf.set_attributes(order=order.id, state="booked")
    async with wf.saga() as saga, wf.webhook(respond_with="manual") as hook:
        parcel = await book_parcel(order.id, hook.url or "")
        saga.undo(cancel_parcel, parcel)
        try:
            async with asyncio.timeout(DELIVERY.total_seconds()):
                async for request in hook:
                    notice = await read_notice(request)
                    if notice is None:
                        continue
                    await wf.set_attributes(state=notice.state)
                    if notice.state == "lost":
                        raise ParcelLost(f"the carrier has lost {order.id}")
                    if notice.state == "delivered":
                        break
        except TimeoutError:
            raise DeliveryOverdue(f"{order.id} was not delivered within {DELIVERY.days} days") from None
    return parcel


def sign(body: bytes) -> str:
    return hmac.new(SECRET, body, "sha256").hexdigest()


@wf.step
def book_parcel(order_id: str, url: str) -> str:
    key = wf.get_step_metadata().step_id
    store.book_parcel(key, order_id, url)
    return key


@wf.step
async def read_notice(request: wf.Request) -> Notice | None:
    """Check a notice, answer the carrier, and give what it says; None if it is not from the carrier."""
    if not hmac.compare_digest(sign(request.body), request.headers.get("carrier-signature", "")):
        await request.respond(401, "the signature does not fit\n")
        return None
    notice = Notice(request.json()["state"])
    await request.respond(200, f"{notice.state}: noted\n")
    return notice


@wf.step(max_retries=10)
def cancel_parcel(parcel: str) -> None:
    store.set_parcel(parcel, "cancelled")
