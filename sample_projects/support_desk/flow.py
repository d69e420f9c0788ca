"""A support desk: an agent that answers customers, uses tools, and asks people where it may not decide alone.

    ticket    one conversation, from the first question until nobody has anything to say for an hour

The body is the agent's loop: ask the model, do what it asks for, ask again. The model and the tools are steps, so a
conversation survives everything: an answer that was paid for is not asked for again, and a refund is not paid twice.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import model
import shop
from model import Message, ToolCall

import wf

MOST_CALLS = 6
"""Tools that the model may use for one answer: one that calls for ever ends here."""
REFUND_LIMIT_CENTS = 5000
"""What the agent may pay back without asking."""
PATIENCE = timedelta(hours=1)
DECISION = timedelta(days=2)


@dataclass
class CustomerMessage(wf.BaseHook):
    text: str = ""
    is_over: bool = False


@dataclass
class RefundDecision(wf.BaseHook):
    """What a person says of a refund that is too large for the agent."""

    approved: bool
    by: str = ""
    comment: str = ""


@dataclass
class ColleagueReply(wf.BaseHook):
    """What a person answers where the agent does not know."""

    text: str
    by: str = ""


@dataclass
class Ticket:
    """How a conversation went."""

    customer: str
    answers: int
    refunded_cents: int
    transcript: list[Message]


def inbox_token(ticket_id: str) -> str:
    return f"inbox:{ticket_id}"


# -- the workflow -------------------------------------------------------------------------------


@wf.workflow
async def ticket(question: str, customer: str = "ada") -> Ticket:
    """Answer a customer until the ticket is closed, or nobody has written for an hour."""
    ticket_id = wf.get_workflow_metadata().run_id
    desk = Desk(ticket_id, customer)
    await wf.set_attributes(customer=customer, state="answering")
    try:
        async with CustomerMessage.wait(token=inbox_token(ticket_id), metadata={"customer": customer}) as inbox:
            message = CustomerMessage(question)
            while not message.is_over:
                await desk.answer(message.text)
                await wf.set_attributes(state="waiting for the customer")
                try:
                    async with asyncio.timeout(PATIENCE.total_seconds()):
                        message = await inbox  # one that came while we were answering is there already
                except TimeoutError:
                    break
                await wf.set_attributes(state="answering")
    finally:
        await close()  # whatever happened: who reads along must not wait for ever
    await wf.set_attributes(state="closed")
    return Ticket(customer, desk.answers, desk.refunded_cents, desk.messages)


class Desk:
    """The agent's side of one conversation. It lives in the body: a replay makes it again."""

    def __init__(self, ticket_id: str, customer: str) -> None:
        self.ticket_id = ticket_id
        self.customer = customer
        self.messages: list[Message] = []
        self.answers = 0
        self.refunded_cents = 0
        self.questions = 0

    async def answer(self, text: str) -> None:
        """The agent's loop: ask the model, use the tool that it wants, until it answers in words."""
        self.messages.append(Message("customer", text))
        await show({"kind": "customer", "text": text})
        for _ in range(MOST_CALLS):
            reply = await ask_model(self.answers + 1, self.messages)
            self.messages.append(reply)
            if reply.call is None:
                break
            result = await self.use(reply.call)
            self.messages.append(Message("tool", call=reply.call, result=result))
            await show({"kind": "tool", "name": reply.call.name, "arguments": reply.call.arguments, "result": result})
        else:
            self.messages.append(Message("desk", "I cannot find this out. A colleague will write to you."))
            await show({"kind": "note", "text": self.messages[-1].text})
        self.answers += 1

    async def use(self, call: ToolCall) -> Any:
        """Use a tool. What goes wrong is told to the model: it may know another way."""
        try:
            match call.name:
                case "list_orders":
                    return await list_orders(self.customer)
                case "find_order":
                    return await find_order(self.customer, call.arguments["order_id"])
                case "refund":
                    return await self.refund(call.arguments["order_id"])
                case "ask_colleague":
                    return await self.ask_colleague(call.arguments["question"])
                case _:
                    return {"error": f"there is no tool {call.name}"}
        except Exception as error:
            return {"error": str(error)}

    async def refund(self, order_id: str) -> dict[str, Any]:
        """Pay an order back, after asking a person where it is much."""
        order = await find_order(self.customer, order_id)
        if order["cents"] > REFUND_LIMIT_CENTS:
            decision = await self.ask_for_decision(order)
            if not decision.approved:
                return {"paid": False, "why": decision.comment or "it was not approved"}
        receipt = await pay_back(order_id, order["cents"])
        self.refunded_cents += order["cents"]
        await wf.set_attributes(refunded_cents=str(self.refunded_cents))
        return {"paid": True, "receipt": receipt}

    async def ask_for_decision(self, order: dict[str, Any]) -> RefundDecision:
        """Wait for a person who may decide: in the studio, by `wf resume`, or by whatever resumes the hook."""
        token = f"refund:{order['id']}:{self.ticket_id}"
        metadata = {"customer": self.customer, "order": order["id"], "item": order["item"], "cents": order["cents"]}
        async with RefundDecision.wait(token=token, metadata=metadata) as hook:
            await wf.set_attributes(state="waiting for a decision")
            await show({"kind": "note", "text": "A colleague has to agree to this. That may take a while."})
            try:
                async with asyncio.timeout(DECISION.total_seconds()):
                    return await hook
            except TimeoutError:
                return RefundDecision(approved=False, comment=f"nobody decided within {DECISION.days} days")
            finally:
                await wf.set_attributes(state="answering")

    async def ask_colleague(self, question: str) -> dict[str, str]:
        self.questions += 1
        token = f"question:{self.questions}:{self.ticket_id}"
        async with ColleagueReply.wait(token=token, metadata={"question": question}) as hook:
            await wf.set_attributes(state="waiting for a colleague")
            await show({"kind": "note", "text": "I am asking a colleague."})
            reply = await hook
        await wf.set_attributes(state="answering")
        return {"text": reply.text, "by": reply.by}


# -- steps: the model and what is shown -----------------------------------------------------------


@wf.step(timeout="2m")
async def ask_model(turn: int, messages: list[Message]) -> Message:
    """Ask the model, and show its words as they come."""
    # An attempt that is cut off has shown half an answer, and the next one begins anew. So each piece says which
    # answer and which attempt it is of, and a page that sees a later attempt throws the earlier one away.
    attempt = wf.get_step_metadata().attempt
    stream = wf.get_writable(dict, namespace="conversation")
    text = ""
    async for piece in model.complete(messages):
        if isinstance(piece, ToolCall):
            return Message("desk", text, piece)
        await stream.write({"kind": "piece", "turn": turn, "attempt": attempt, "text": piece})
        text += piece
    await stream.write({"kind": "answered", "turn": turn, "attempt": attempt})
    return Message("desk", text)


@wf.step
async def show(event: dict[str, Any]) -> None:
    await wf.get_writable(dict, namespace="conversation").write(event)


@wf.step
async def close() -> None:
    """End the stream for its readers. A step of its own: an attempt that was killed may close it again."""
    await wf.get_writable(dict, namespace="conversation").close()


# -- steps: tools -----------------------------------------------------------------------------------


@wf.step
def list_orders(customer: str) -> list[dict[str, Any]]:
    return [asdict(order) for order in shop.list_orders(customer)]


@wf.step
def find_order(customer: str, order_id: str) -> dict[str, Any]:
    try:
        return asdict(shop.find_order(customer, order_id))
    except shop.NoSuchOrder as error:
        raise wf.FatalError(str(error)) from error  # asking again would not find it


@wf.step(max_retries=5)
def pay_back(order_id: str, cents: int) -> str:
    """Pay back, and give the receipt."""
    # The step's id is the same for every attempt: one that paid and was killed before it could say so pays no more.
    key = wf.get_step_metadata().step_id
    try:
        return shop.pay_back(key, order_id, cents)
    except shop.RefundedAlready as error:
        raise wf.FatalError(str(error)) from error
