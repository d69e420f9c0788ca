"""The shop that the desk speaks for: customers' orders and refunds, in an SQLite file of its own.

Plain functions; nothing here knows of workflows. A refund carries a key, and the same key is one refund however often
it is asked for: that is what a payment provider offers, too.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

DATABASE = Path(__file__).resolve().parent / "shop.db"

SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, customer TEXT, item TEXT, cents INTEGER, parcel TEXT);
CREATE TABLE IF NOT EXISTS refunds (key TEXT PRIMARY KEY, order_id TEXT UNIQUE REFERENCES orders, cents INTEGER);
"""
ORDERS = [
    ("A100", "ada", "a tea kettle", 2990, "delivered on Monday"),
    ("A101", "ada", "an espresso machine", 48000, "delivered on Tuesday"),
    ("B200", "grace", "a desk lamp", 4500, "with the carrier, expected on Friday"),
    ("B201", "grace", "a box of nanoseconds", 999, "not sent yet"),
]


@dataclass
class Order:
    id: str
    customer: str
    item: str
    cents: int
    parcel: str


class NoSuchOrder(LookupError):
    """The customer has no order of this number."""


class RefundedAlready(Exception):
    """The money for this order was paid back before."""


@contextmanager
def opened() -> Iterator[sqlite3.Connection]:
    """Open the shop's database for one transaction; the first one makes it."""
    with closing(sqlite3.connect(DATABASE, timeout=10)) as connection:
        connection.executescript(SCHEMA)
        with connection:
            connection.executemany("INSERT OR IGNORE INTO orders VALUES (?, ?, ?, ?, ?)", ORDERS)
            yield connection


def list_orders(customer: str) -> list[Order]:
    with opened() as connection:
        rows = connection.execute("SELECT * FROM orders WHERE customer = ? ORDER BY id", (customer,))
        return [Order(*row) for row in rows]


def find_order(customer: str, order_id: str) -> Order:
    """Give one of a customer's own orders. Raises `NoSuchOrder`, also where the order is somebody else's."""
    found = next((order for order in list_orders(customer) if order.id == order_id), None)
    if found is None:
        raise NoSuchOrder(f"{customer} has no order {order_id}")
    return found


def pay_back(key: str, order_id: str, cents: int) -> str:
    """Pay money back, once for a key, and give a receipt. Raises `RefundedAlready` for another key."""
    with opened() as connection:
        connection.execute("INSERT OR IGNORE INTO refunds VALUES (?, ?, ?)", (key, order_id, cents))
        row = connection.execute("SELECT rowid, key FROM refunds WHERE order_id = ?", (order_id,)).fetchone()
        if row[1] != key:
            raise RefundedAlready(f"the money for {order_id} was paid back before")
        return f"R{row[0]:04}"


def list_refunds() -> list[tuple[str, int]]:
    with opened() as connection:
        return connection.execute("SELECT order_id, cents FROM refunds ORDER BY rowid").fetchall()
