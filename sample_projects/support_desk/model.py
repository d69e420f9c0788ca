"""The model: what a language model would be asked over the network, played by a script, so that no key is needed.

It has the shape of the real thing. It gets the whole conversation and gives either a call of a tool or a text, piece by
piece. To use a real one, let `complete` ask it; nothing else changes.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

SECONDS_A_PIECE = 0.05
ORDER_ID = re.compile(r"\b[A-Za-z]\d{3}\b")


@dataclass
class ToolCall:
    name: str
    arguments: dict[str, str] = field(default_factory=dict)


@dataclass
class Message:
    """`role` is `customer`, `desk` or `tool`. A desk's message is a text or a call; a tool's is what the call gave."""

    role: str
    text: str = ""
    call: ToolCall | None = None
    result: Any = None


async def complete(messages: Sequence[Message]) -> AsyncIterator[str | ToolCall]:
    """Answer a conversation: pieces of a text, or one call."""
    answer = decide(messages)
    if isinstance(answer, ToolCall):
        yield answer
        return
    for piece in re.findall(r"\S+\s*", answer):
        await asyncio.sleep(SECONDS_A_PIECE)
        yield piece


def decide(messages: Sequence[Message]) -> str | ToolCall:
    """Read the customer's last message, and what tools have said since."""
    said = [number for number, message in enumerate(messages) if message.role == "customer"]
    last = said[-1]
    wish = messages[last].text.lower()
    if ORDER_ID.fullmatch(wish.strip(" .!")) and len(said) > 1:  # it only says which order: the wish is the one before
        wish = messages[said[-2]].text.lower()
    told = {message.call.name: message.result for message in messages[last:] if message.call and message.role == "tool"}
    for result in told.values():
        if isinstance(result, dict) and "error" in result:
            return f"I am sorry, that did not work: {result['error']}."
    order_id = find_order_id(messages)
    if re.search(r"refund|money back|return|broken|cracked", wish):
        return settle_refund(told, order_id)
    if re.search(r"where|parcel|track|arriv|deliver", wish):
        return trace_parcel(told, order_id)
    if re.search(r"thank|bye|great", wish):
        return "You are welcome. I leave this open for an hour, in case there is something else."
    if "ask_colleague" not in told:
        return ToolCall("ask_colleague", {"question": messages[last].text})
    reply = told["ask_colleague"]
    return f"I asked a colleague. {reply['by'] or 'They'} says: {reply['text']}"


def settle_refund(told: dict[str, Any], order_id: str | None) -> str | ToolCall:
    if order_id is None:
        return choose_order(told)
    if "find_order" not in told:
        return ToolCall("find_order", {"order_id": order_id})
    if "refund" not in told:
        return ToolCall("refund", {"order_id": order_id})
    order, outcome = told["find_order"], told["refund"]
    price = f"{order['cents'] / 100:.2f} euros"
    if outcome["paid"]:
        return f"Done: I have paid back {price} for {order['item']}. The receipt is {outcome['receipt']}."
    return f"I am sorry. I may not pay back {price} for {order['item']}: {outcome['why']}."


def trace_parcel(told: dict[str, Any], order_id: str | None) -> str | ToolCall:
    if order_id is None:
        return choose_order(told)
    if "find_order" not in told:
        return ToolCall("find_order", {"order_id": order_id})
    order = told["find_order"]
    return f"Your order {order['id']}, {order['item']}: {order['parcel']}."


def choose_order(told: dict[str, Any]) -> str | ToolCall:
    if "list_orders" not in told:
        return ToolCall("list_orders")
    names = " or ".join(f"{order['id']} ({order['item']})" for order in told["list_orders"])
    return f"Which order is it, {names}?" if names else "I do not find any order of yours."


def find_order_id(messages: Sequence[Message]) -> str | None:
    """Find the order that the customer spoke of last."""
    spoken = " ".join(message.text for message in messages if message.role == "customer")
    found = ORDER_ID.findall(spoken)
    return found[-1].upper() if found else None
