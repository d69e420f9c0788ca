from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import store
from store import Line


def test_a_key_reserves_once_and_is_put_back_once() -> None:
    for _ in range(2):
        store.reserve("key 1", Line("lamp", 2))
    assert store.count_stock()["lamp"] == 1
    for _ in range(2):
        store.put_back("key 1")
    assert store.count_stock()["lamp"] == 3


def test_more_than_there_is_is_refused_and_changes_nothing() -> None:
    with pytest.raises(store.OutOfStock, match="there are not 4 of lamp"):
        store.reserve("key 1", Line("lamp", 4))
    assert store.count_stock()["lamp"] == 3


def test_the_last_one_is_sold_once() -> None:
    def buy(number: int) -> bool:
        try:
            store.reserve(f"key {number}", Line("machine"))
        except store.OutOfStock:
            return False
        return True

    with ThreadPoolExecutor(8) as buyers:
        assert sum(buyers.map(buy, range(8))) == 2
    assert store.count_stock()["machine"] == 0


def test_the_price_is_that_of_all_lines() -> None:
    assert store.price([Line("kettle", 2), Line("lamp")]) == 10480
    with pytest.raises(store.OutOfStock, match="there is no teapot"):
        store.price([Line("teapot")])
