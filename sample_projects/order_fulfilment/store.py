"""What the shop, its bank and its carrier keep: stock, payments, parcels, mails, in one SQLite file.

Plain functions; nothing here knows of workflows. In a real shop these are other people's services, and they offer what
is offered here: a request carries a key, and the same key asks for the same thing, however often it comes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

DATABASE = Path(__file__).resolve().parent / "shop.db"

SCHEMA = """
CREATE TABLE IF NOT EXISTS stock (sku TEXT PRIMARY KEY, cents INTEGER, quantity INTEGER CHECK (quantity >= 0));
CREATE TABLE IF NOT EXISTS reservations (key TEXT PRIMARY KEY, sku TEXT, quantity INTEGER);
CREATE TABLE IF NOT EXISTS payments (key TEXT PRIMARY KEY, order_id TEXT, cents INTEGER, state TEXT);
CREATE TABLE IF NOT EXISTS parcels (key TEXT PRIMARY KEY, order_id TEXT, url TEXT, state TEXT);
CREATE TABLE IF NOT EXISTS mails (key TEXT PRIMARY KEY, customer TEXT, text TEXT);
"""
GOODS = [("kettle", 2990, 10), ("lamp", 4500, 3), ("machine", 48000, 2), ("abacus", 1250, 0)]


@dataclass
class Line:
    sku: str
    quantity: int = 1


@dataclass
class Order:
    id: str
    customer: str
    card: str
    lines: list[Line]


@dataclass
class Parcel:
    key: str
    order_id: str
    url: str
    state: str


class OutOfStock(Exception):
    """There is less of something than was asked for."""


class Declined(Exception):
    """The bank says no."""


class BankBusy(Exception):
    """The bank says: later."""


@contextmanager
def opened() -> Iterator[sqlite3.Connection]:
    """Open the database for one transaction; the first one makes it."""
    with closing(sqlite3.connect(DATABASE, timeout=10, isolation_level="IMMEDIATE")) as connection:
        connection.executescript(SCHEMA)
        with connection:
            connection.executemany("INSERT OR IGNORE INTO stock VALUES (?, ?, ?)", GOODS)
            yield connection


# -- stock --------------------------------------------------------------------------------------


def price(lines: list[Line]) -> int:
    """Give what the lines cost together, in cents. Raises `OutOfStock` for goods that nobody knows."""
    with opened() as connection:
        prices = dict(connection.execute("SELECT sku, cents FROM stock"))
    for line in lines:
        if line.sku not in prices:
            raise OutOfStock(f"there is no {line.sku} in this shop")
    return sum(prices[line.sku] * line.quantity for line in lines)


def reserve(key: str, line: Line) -> None:
    """Take goods off the shelf, once for a key. Raises `OutOfStock`."""
    with opened() as connection:
        if connection.execute("SELECT 1 FROM reservations WHERE key = ?", (key,)).fetchone():
            return
        taken = connection.execute(
            "UPDATE stock SET quantity = quantity - ? WHERE sku = ? AND quantity >= ?",
            (line.quantity, line.sku, line.quantity),
        )
        if taken.rowcount == 0:
            raise OutOfStock(f"there are not {line.quantity} of {line.sku}")
        connection.execute("INSERT INTO reservations VALUES (?, ?, ?)", (key, line.sku, line.quantity))


def put_back(key: str) -> None:
    """Put what was reserved by a key back on the shelf; what was put back already is nothing."""
    with opened() as connection:
        for sku, quantity in connection.execute(
            "SELECT sku, quantity FROM reservations WHERE key = ?", (key,)
        ).fetchall():
            connection.execute("UPDATE stock SET quantity = quantity + ? WHERE sku = ?", (quantity, sku))
        connection.execute("DELETE FROM reservations WHERE key = ?", (key,))


def count_stock() -> dict[str, int]:
    with opened() as connection:
        return dict(connection.execute("SELECT sku, quantity FROM stock ORDER BY sku"))


# -- the bank -------------------------------------------------------------------------------------
# Cards that end with 0002 have no money, and with 0119 a bank that is busy at first.

_busy: set[str] = set()


def authorise(key: str, order_id: str, cents: int, card: str) -> None:
    """Have money set aside, once for a key. Raises `Declined`, `BankBusy`."""
    if card.endswith("0002"):
        raise Declined(f"the card that ends with {card[-4:]} was declined")
    if card.endswith("0119") and key not in _busy:
        _busy.add(key)
        raise BankBusy("the bank is busy")
    with opened() as connection:
        row = (key, order_id, cents, "authorised")
        connection.execute("INSERT OR IGNORE INTO payments VALUES (?, ?, ?, ?)", row)


def settle(key: str, state: str) -> None:
    """Have the bank take the money (`captured`), or give it back (`void`, `refunded`)."""
    with opened() as connection:
        connection.execute("UPDATE payments SET state = ? WHERE key = ?", (state, key))


def list_payments(order_id: str) -> list[tuple[int, str]]:
    with opened() as connection:
        query = "SELECT cents, state FROM payments WHERE order_id = ? ORDER BY rowid"
        return connection.execute(query, (order_id,)).fetchall()


# -- the carrier's book, and mails ------------------------------------------------------------------


def book_parcel(key: str, order_id: str, url: str) -> None:
    with opened() as connection:
        connection.execute("INSERT OR IGNORE INTO parcels VALUES (?, ?, ?, 'booked')", (key, order_id, url))


def set_parcel(key: str, state: str) -> None:
    with opened() as connection:
        connection.execute("UPDATE parcels SET state = ? WHERE key = ?", (state, key))


def list_parcels(order_id: str | None = None) -> list[Parcel]:
    """List parcels, the newest first."""
    with opened() as connection:
        query = "SELECT * FROM parcels WHERE ? IS NULL OR order_id = ? ORDER BY rowid DESC"
        return [Parcel(*row) for row in connection.execute(query, (order_id, order_id))]


def send_mail(key: str, customer: str, text: str) -> None:
    with opened() as connection:
        connection.execute("INSERT OR IGNORE INTO mails VALUES (?, ?, ?)", (key, customer, text))


def list_mails(customer: str) -> list[str]:
    with opened() as connection:
        return [text for (text,) in connection.execute("SELECT text FROM mails WHERE customer = ?", (customer,))]
