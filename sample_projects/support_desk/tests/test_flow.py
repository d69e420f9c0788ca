"""Conversations, with people who answer, answer late, and do not answer."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import flow
import pytest
import shop
from flow import ColleagueReply, CustomerMessage, RefundDecision
from model import Message, ToolCall

import wf

KETTLE = "My kettle A100 is broken, I want my money back"
MACHINE = "My machine A101 is broken, I want my money back"
BYE = CustomerMessage(is_over=True)


async def read(run: wf.Run[Any], kind: str) -> list[dict[str, Any]]:
    return [event async for event in run.readable("conversation") if event["kind"] == kind]


async def test_a_small_refund_is_paid_without_asking(wf_env: Any) -> None:
    run = await wf_env.start(flow.ticket, KETTLE)
    await BYE.resume((await wf_env.wait_for_hook(run)).token)
    ended = await run.return_value()
    assert (ended.answers, ended.refunded_cents) == (1, 2990)
    assert shop.list_refunds() == [("A100", 2990)]
    words = "".join(event["text"] for event in await read(run, "piece"))
    assert (
        words
        == ended.transcript[-1].text
        == ("Done: I have paid back 29.90 euros for a tea kettle. The receipt is R0001.")
    )
    assert [event["name"] for event in await read(run, "tool")] == ["find_order", "refund"]
    assert (await run.attributes())["state"] == "closed"


@pytest.mark.parametrize(("approved", "refunds"), [(True, [("A101", 48000)]), (False, [])])
async def test_a_large_refund_waits_for_a_person(wf_env: Any, approved: bool, refunds: list[Any]) -> None:
    run = await wf_env.start(flow.ticket, MACHINE)
    hook = await wf_env.wait_for_hook(run, f"refund:A101:{run.run_id}")
    assert hook.metadata == {"customer": "ada", "order": "A101", "item": "an espresso machine", "cents": 48000}
    assert (await run.attributes())["state"] == "waiting for a decision"
    assert shop.list_refunds() == []
    await RefundDecision(approved, "Grace", "used for a year").resume(hook)
    await BYE.resume(flow.inbox_token(run.run_id))
    ended = await run.return_value()
    assert shop.list_refunds() == refunds
    assert ("used for a year" in ended.transcript[-1].text) is not approved


async def test_a_decision_that_nobody_takes_is_a_no_after_two_days(wf_env: Any) -> None:
    began = wf_env.time
    run = await wf_env.start(flow.ticket, MACHINE)
    ended = await run.return_value()
    assert "nobody decided within 2 days" in ended.transcript[-1].text
    assert wf_env.time - began >= timedelta(days=2, hours=1)
    with pytest.raises(wf.HookNotFoundError):
        await RefundDecision(approved=True).resume(f"refund:A101:{run.run_id}")


async def test_a_message_that_comes_while_the_desk_works_is_answered_after(wf_env: Any) -> None:
    run = await wf_env.start(flow.ticket, MACHINE)
    hook = await wf_env.wait_for_hook(run, f"refund:A101:{run.run_id}")
    inbox = flow.inbox_token(run.run_id)
    await CustomerMessage("And where is A100?").resume(inbox)
    await BYE.resume(inbox)
    await RefundDecision(approved=True).resume(hook)
    ended = await run.return_value()
    texts = [message.text for message in ended.transcript if message.role in ("customer", "desk") and message.text]
    assert texts[0] == MACHINE
    assert texts[1].startswith("Done")
    assert texts[2:] == ["And where is A100?", "Your order A100, a tea kettle: delivered on Monday."]


async def test_what_the_model_does_not_know_a_colleague_is_asked(wf_env: Any) -> None:
    run = await wf_env.start(flow.ticket, "May I use vinegar?")
    hook = await wf_env.wait_for_hook(run, f"question:1:{run.run_id}")
    assert hook.metadata == {"question": "May I use vinegar?"}
    await ColleagueReply("Yes, but rinse it.", "Alan").resume(hook)
    ended = await run.return_value()
    assert ended.transcript[-1].text == "I asked a colleague. Alan says: Yes, but rinse it."


async def test_a_ticket_is_closed_after_an_hour_of_silence(wf_env: Any) -> None:
    run = await wf_env.start(flow.ticket, "thank you")
    await wf_env.wait_for_hook(run)
    await wf_env.skip("59m")
    assert await run.status() == "running"
    await wf_env.skip("1m")
    assert (await run.return_value()).answers == 1
    with pytest.raises(wf.HookNotFoundError):
        await BYE.resume(flow.inbox_token(run.run_id))


async def test_the_money_is_paid_once_however_often_the_step_is_attempted(wf_env: Any) -> None:
    def pay_and_lose_the_answer(order_id: str, cents: int) -> str:
        receipt: str = flow.pay_back.func(order_id, cents)
        if wf.get_step_metadata().attempt < 3:
            raise ConnectionError("lost")
        return receipt

    wf_env.mock(flow.pay_back, pay_and_lose_the_answer)
    ended = await wf_env.run(flow.ticket, KETTLE)
    assert ended.transcript[-1].text.startswith("Done")
    assert shop.list_refunds() == [("A100", 2990)]


async def test_a_second_refund_of_an_order_is_refused(wf_env: Any) -> None:
    await wf_env.run(flow.ticket, KETTLE)
    ended = await wf_env.run(flow.ticket, KETTLE)
    assert ended.transcript[-1].text == ("I am sorry, that did not work: the money for A100 was paid back before.")
    assert len(shop.list_refunds()) == 1


async def test_somebody_elses_order_is_not_shown(wf_env: Any) -> None:
    ended = await wf_env.run(flow.ticket, "Where is B200?", "ada")
    assert ended.transcript[-1].text == "I am sorry, that did not work: ada has no order B200."


async def test_an_attempt_that_was_cut_off_is_told_from_the_one_after_it(wf_env: Any) -> None:
    async def stumble(turn: int, messages: list[Message]) -> Message:
        if wf.get_step_metadata().attempt == 1:
            half = {"kind": "piece", "turn": turn, "attempt": 1, "text": "You are"}
            await wf.get_writable(dict, namespace="conversation").write(half)
            raise ConnectionError("the model hung up")
        found: Message = await flow.ask_model.func(turn, messages)
        return found

    wf_env.mock(flow.ask_model, stumble)
    run = await wf_env.start(flow.ticket, "thank you")
    pieces = await read(run, "piece")
    assert [piece["text"] for piece in pieces if piece["attempt"] == 1] == ["You are"]
    assert "".join(piece["text"] for piece in pieces if piece["attempt"] == 2).startswith("You are welcome.")


async def test_a_model_that_calls_for_ever_is_stopped(wf_env: Any) -> None:
    wf_env.mock(flow.ask_model, Message("desk", "", ToolCall("list_orders")))
    ended = await wf_env.run(flow.ticket, "hello")
    assert ended.transcript[-1].text == "I cannot find this out. A colleague will write to you."
    assert sum(message.role == "tool" for message in ended.transcript) == flow.MOST_CALLS


async def test_a_tool_that_the_model_made_up_is_told_to_it(wf_env: Any) -> None:
    async def invent(turn: int, messages: list[Message]) -> Message:
        if messages[-1].role == "tool":
            return Message("desk", str(messages[-1].result))
        return Message("desk", "", ToolCall("delete_everything"))

    wf_env.mock(flow.ask_model, invent)
    ended = await wf_env.run(flow.ticket, "hello")
    assert ended.transcript[-1].text == "{'error': 'there is no tool delete_everything'}"


async def test_a_model_that_is_gone_fails_the_ticket_and_lets_its_readers_go(wf_env: Any) -> None:
    wf_env.mock(flow.ask_model, ConnectionError("no line"))
    run = await wf_env.start(flow.ticket, "hello")
    with pytest.raises(wf.WorkflowRunFailedError, match="no line"):
        await run.return_value()
    async with asyncio.timeout(5):
        assert [event["text"] for event in await read(run, "customer")] == ["hello"]


async def test_a_recorded_ticket_still_fits_todays_code(wf_env: Any, tmp_path: Any) -> None:
    run = await wf_env.start(flow.ticket, MACHINE)
    await RefundDecision(approved=True).resume(await wf_env.wait_for_hook(run, f"refund:A101:{run.run_id}"))
    await run.return_value()
    wf_env.replay(wf.testing.record(run, tmp_path / "ticket.history.json"))
