"""The scripted model, asked as a real one would be."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from model import Message, ToolCall, complete, decide

KETTLE = {"id": "A100", "customer": "ada", "item": "a tea kettle", "cents": 2990, "parcel": "delivered on Monday"}


def said(*texts: str) -> list[Message]:
    return [Message("customer", text) for text in texts]


def told(name: str, result: Any) -> Message:
    return Message("tool", call=ToolCall(name), result=result)


@pytest.mark.parametrize(
    ("conversation", "answer"),
    [
        (said("My kettle is broken"), ToolCall("list_orders")),
        ([*said("My kettle is broken"), told("list_orders", [KETTLE])], "Which order is it, A100 (a tea kettle)?"),
        (said("My kettle is broken", "a100."), ToolCall("find_order", {"order_id": "A100"})),
        ([*said("Refund A100"), told("find_order", KETTLE)], ToolCall("refund", {"order_id": "A100"})),
        (
            [*said("Refund A100"), told("find_order", KETTLE), told("refund", {"paid": True, "receipt": "R1"})],
            "Done: I have paid back 29.90 euros for a tea kettle. The receipt is R1.",
        ),
        (
            [*said("Refund A100"), told("find_order", KETTLE), told("refund", {"paid": False, "why": "too late"})],
            "I am sorry. I may not pay back 29.90 euros for a tea kettle: too late.",
        ),
        (
            [*said("Where is A100?"), told("find_order", KETTLE)],
            "Your order A100, a tea kettle: delivered on Monday.",
        ),
        (
            [*said("Where is A999?"), told("find_order", {"error": "ada has no order A999"})],
            "I am sorry, that did not work: ada has no order A999.",
        ),
        (said("Is vinegar good?"), ToolCall("ask_colleague", {"question": "Is vinegar good?"})),
    ],
)
def test_the_script(conversation: list[Message], answer: str | ToolCall) -> None:
    assert decide(conversation) == answer


def test_a_text_comes_in_pieces_and_a_call_whole() -> None:
    async def collect(messages: list[Message]) -> list[str | ToolCall]:
        return [piece async for piece in complete(messages)]

    pieces = asyncio.run(collect(said("thank you")))
    assert len(pieces) > 5
    assert "".join(map(str, pieces)).startswith("You are welcome. I leave")
    assert asyncio.run(collect(said("broken"))) == [ToolCall("list_orders")]
