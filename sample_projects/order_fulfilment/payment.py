"""Payment: have the money set aside, let the customer confirm much of it, take it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import store
from store import Order

import wf

CONFIRM_FROM_CENTS = 20_000
CONFIRMATION = timedelta(minutes=30)


class Declined(wf.FatalError):
    """The bank, or the customer, says no."""


class PaymentExpired(wf.FatalError):
    """The customer did not confirm in time."""


@dataclass
class Confirmation(wf.BaseHook):
    """What the customer answers when the bank asks."""

    confirmed: bool


@wf.workflow
async def take_payment(order: Order, cents: int) -> str:
    """Take the money for an order, and give the payment's key."""
    async with wf.saga() as saga:
        payment = await authorise(order.id, cents, order.card)
        saga.undo(settle, payment, "void")
        if cents >= CONFIRM_FROM_CENTS:
            await wf.set_attributes(order=order.id, state="waiting for the customer")
            await confirm(order, cents)
            await wf.set_attributes(state="confirmed")
        await settle(payment, "captured")
    return payment


async def confirm(order: Order, cents: int) -> None:
    """Wait until the customer confirms. Raises `Declined` and `PaymentExpired`."""
    metadata = {"order": order.id, "customer": order.customer, "cents": cents}
    async with Confirmation.wait(token=f"confirm:{order.id}", metadata=metadata) as hook:
        try:
            async with asyncio.timeout(CONFIRMATION.total_seconds()):
                answer = await hook
        except TimeoutError:
            raise PaymentExpired(f"{order.customer} did not confirm within {CONFIRMATION}") from None
    if not answer.confirmed:
        raise Declined(f"{order.customer} did not agree to the payment")


@wf.step
def authorise(order_id: str, cents: int, card: str) -> str:
    key = wf.get_step_metadata().step_id
    try:
        store.authorise(key, order_id, cents, card)
    except store.Declined as error:
        raise Declined(str(error)) from error
    except store.BankBusy as error:
        raise wf.RetryableError(str(error), retry_after="2s") from error
    return key


@wf.step(max_retries=10)
def settle(payment: str, state: str) -> None:
    """Have the bank take the money (`captured`), or give it back (`void`, `refunded`)."""
    store.settle(payment, state)
