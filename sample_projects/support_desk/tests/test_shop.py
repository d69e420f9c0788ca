from __future__ import annotations

import pytest
import shop


def test_the_same_key_pays_once_and_another_key_is_refused() -> None:
    first = shop.pay_back("key 1", "A100", 2990)
    assert shop.pay_back("key 1", "A100", 2990) == first
    assert shop.list_refunds() == [("A100", 2990)]
    with pytest.raises(shop.RefundedAlready, match="A100 was paid back before"):
        shop.pay_back("key 2", "A100", 2990)


def test_a_customer_sees_only_their_own_orders() -> None:
    assert [order.id for order in shop.list_orders("grace")] == ["B200", "B201"]
    assert shop.find_order("grace", "B200").cents == 4500
    with pytest.raises(shop.NoSuchOrder):
        shop.find_order("ada", "B200")
