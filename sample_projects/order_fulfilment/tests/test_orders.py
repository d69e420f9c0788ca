"""Orders with every fate there is, and what is left behind: nothing, or a delivered parcel that was paid for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import carrier
import inventory
import orders
import payment
import pytest
import shipping
import store
from payment import Confirmation
from store import Line, Order

import wf

FULL = {"abacus": 0, "kettle": 10, "lamp": 3, "machine": 2}
SMALL = Order("o-1", "ada", "4242-4242", [Line("kettle"), Line("lamp", 2)])
LARGE = Order("o-2", "grace", "4242-4242", [Line("machine")])


async def until_booked(wf_env: Any, order: Order) -> wf.Run[Any]:
    """Wait until a parcel is booked, and give the run that ships it."""
    while not store.list_parcels(order.id):
        await wf_env.skip(0)
    [run] = (await wf.list_runs(workflow=shipping.ship, attributes={"order": order.id})).items
    await wf_env.wait_for_hook(run)
    return run


async def state_of(run: wf.Run[Any]) -> str | None:
    return (await run.attributes()).get("state")


async def test_an_order_is_reserved_paid_and_delivered(wf_env: Any) -> None:
    run = await wf_env.start(orders.fulfil, SMALL)
    await until_booked(wf_env, SMALL)
    assert await carrier.send("o-1", "picked up") == (200, "picked up: noted\n")
    assert await carrier.send("o-1", "delivered") == (200, "delivered: noted\n")
    assert await run.return_value() == orders.Fulfilment("o-1", "delivered", 11990)
    assert store.count_stock() == {**FULL, "kettle": 9, "lamp": 1}
    assert store.list_payments("o-1") == [(11990, "captured")]
    assert store.list_mails("ada") == ["o-1 is on its way", "o-1 was delivered"]
    assert await run.attributes() == {"order": "o-1", "customer": "ada", "state": "delivered", "cents": "11990"}
    assert await carrier.send("o-1", "delivered") == (404, "nobody waits for it")


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (Order("o-3", "alan", "4242-0002", [Line("kettle")]), "the card that ends with 0002 was declined"),
        (Order("o-4", "alan", "4242-4242", [Line("kettle"), Line("abacus")]), "there are not 1 of abacus"),
        (Order("o-5", "alan", "4242-4242", [Line("teapot")]), "there is no teapot in this shop"),
    ],
)
async def test_what_cannot_be_bought_is_given_up_and_leaves_nothing(wf_env: Any, order: Order, why: str) -> None:
    found = await wf_env.run(orders.fulfil, order)
    assert (found.state, found.why) == ("given up", why)
    assert store.count_stock() == FULL
    assert store.list_payments(order.id) == []
    assert store.list_mails("alan") == [f"{order.id} is cancelled: {why}"]


async def test_a_busy_bank_is_asked_again_after_the_time_that_it_named(wf_env: Any) -> None:
    began = wf_env.time
    assert await wf_env.run(payment.take_payment, Order("o-6", "ada", "4242-0119", [Line("kettle")]), 2990)
    assert wf_env.time - began == timedelta(seconds=2)
    assert store.list_payments("o-6") == [(2990, "captured")]


async def test_much_money_is_taken_only_when_the_customer_confirms(wf_env: Any) -> None:
    run = await wf_env.start(payment.take_payment, LARGE, 48000)
    hook = await wf_env.wait_for_hook(run, "confirm:o-2")
    assert hook.metadata == {"order": "o-2", "customer": "grace", "cents": 48000}
    assert store.list_payments("o-2") == [(48000, "authorised")]
    await Confirmation(True).resume(hook)
    await run.return_value()
    assert store.list_payments("o-2") == [(48000, "captured")]


async def test_a_payment_that_nobody_confirms_is_given_up_after_half_an_hour(wf_env: Any) -> None:
    began = wf_env.time
    found = await wf_env.run(orders.fulfil, LARGE)
    assert found.why == "grace did not confirm within 0:30:00"
    assert wf_env.time - began == timedelta(minutes=30)
    assert store.list_payments("o-2") == [(48000, "void")]
    assert store.count_stock() == FULL
    with pytest.raises(wf.HookNotFoundError):
        await Confirmation(True).resume("confirm:o-2")


async def test_a_payment_that_the_customer_refuses_is_given_up(wf_env: Any) -> None:
    run = await wf_env.start(payment.take_payment, LARGE, 48000)
    await Confirmation(False).resume(await wf_env.wait_for_hook(run, "confirm:o-2"))
    with pytest.raises(wf.WorkflowRunFailedError, match="grace did not agree to the payment"):
        await run.return_value()
    assert store.list_payments("o-2") == [(48000, "void")]


async def test_a_lost_parcel_brings_everything_back(wf_env: Any) -> None:
    run = await wf_env.start(orders.fulfil, SMALL)
    await until_booked(wf_env, SMALL)
    await carrier.send("o-1", "lost")
    assert (await run.return_value()).why == "the carrier has lost o-1"
    assert store.count_stock() == FULL
    assert store.list_payments("o-1") == [(11990, "refunded")]
    assert (await run.attributes())["why"] == "ParcelLost"


async def test_an_order_that_is_not_delivered_within_five_days_is_cancelled(wf_env: Any) -> None:
    run = await wf_env.start(orders.fulfil, SMALL)
    await until_booked(wf_env, SMALL)
    await carrier.send("o-1", "picked up")
    await wf_env.skip("4d 23h")
    assert await state_of(run) == "shipping"
    await wf_env.skip("1h")
    assert (await run.return_value()).why == "o-1 was not delivered within 5 days"
    assert [parcel.state for parcel in store.list_parcels("o-1")] == ["cancelled"]
    assert store.count_stock() == FULL
    assert store.list_payments("o-1") == [(11990, "refunded")]


async def test_a_forged_notice_is_refused_and_changes_nothing(wf_env: Any) -> None:
    run = await wf_env.start(orders.fulfil, SMALL)
    shipment = await until_booked(wf_env, SMALL)
    assert await carrier.send("o-1", "delivered", is_forged=True) == (401, "the signature does not fit\n")
    assert (await state_of(shipment), await run.status()) == ("booked", "running")
    await carrier.send("o-1", "delivered")
    assert (await run.return_value()).state == "delivered"


@pytest.mark.parametrize("is_paid", [False, True])
async def test_a_customer_may_cancel_at_any_time_and_everything_is_undone(wf_env: Any, is_paid: bool) -> None:
    run = await wf_env.start(orders.fulfil, LARGE)
    while (token := await find_token(wf_env)) is None:
        await wf_env.skip(0)
    if is_paid:
        await Confirmation(True).resume(token)
        await until_booked(wf_env, LARGE)
    await run.cancel("changed my mind")
    with pytest.raises(wf.WorkflowRunCancelledError):
        await run.return_value()
    assert store.count_stock() == FULL
    assert store.list_payments("o-2") == [(48000, "refunded" if is_paid else "void")]
    assert [parcel.state for parcel in store.list_parcels("o-2")] == ["cancelled"] * is_paid
    assert store.list_mails("grace")[-1] == "o-2 is cancelled, as you wished"
    assert [child.run_id async for child in wf.list_runs(status=["pending", "running"])] == []


async def find_token(wf_env: Any) -> wf.Hook | None:
    try:
        return await wf.get_hook_by_token("confirm:o-2")
    except wf.HookNotFoundError:
        return None


async def test_a_child_that_had_completed_when_the_cancel_came_is_undone_by_its_parent(wf_env: Any) -> None:
    """The reservation is made; the bank keeps its order waiting, and the customer goes away."""
    wf_env.mock(payment.authorise, wf.RetryableError("tomorrow", retry_after="1d"))
    run = await wf_env.start(orders.fulfil, SMALL)
    while store.count_stock() == FULL or await state_of(run) != "paying":
        await wf_env.skip(0)
    await run.cancel()
    with pytest.raises(wf.WorkflowRunCancelledError):
        await run.return_value()
    assert store.count_stock() == FULL


async def test_an_error_that_nobody_foresaw_fails_the_run_after_everything_is_undone(wf_env: Any) -> None:
    wf_env.mock(shipping.book_parcel, KeyError("a bug"))
    with pytest.raises(wf.WorkflowRunFailedError) as failed:
        await wf_env.run(orders.fulfil, SMALL)
    assert isinstance(failed.value.__cause__, KeyError)
    assert store.count_stock() == FULL
    assert store.list_payments("o-1") == [(11990, "refunded")]


async def test_a_step_that_lost_its_answer_reserves_once(wf_env: Any) -> None:
    def reserve_and_stumble(line: Line) -> str:
        key: str = inventory.reserve.func(line)
        if wf.get_step_metadata().attempt == 1:
            raise ConnectionError("lost")
        return key

    wf_env.mock(inventory.reserve, reserve_and_stumble)
    assert len(await wf_env.run(inventory.reserve_goods, SMALL)) == 2
    assert store.count_stock() == {**FULL, "kettle": 9, "lamp": 1}


async def test_the_demo_needs_nobody(wf_env: Any) -> None:
    found = await wf_env.run(orders.demo)
    assert [(one.order_id, one.state) for one in found] == [
        ("demo-1", "delivered"), ("demo-2", "given up"), ("demo-3", "given up"), ("demo-4", "given up"),
    ]  # fmt: skip
    assert store.count_stock() == {**FULL, "kettle": 9, "lamp": 2}


async def test_recorded_orders_still_fit_todays_code(wf_env: Any, tmp_path: Any) -> None:
    await wf_env.run(orders.demo)
    runs = [run async for run in wf.list_runs()]
    assert len(runs) > 10
    for number, run in enumerate(runs):
        wf_env.replay(wf.testing.record(run, tmp_path / f"{number}.history.json"))
