"""Feeds: where SQL reads a world from. A file is read beside its owner, a database like by anybody else."""

from __future__ import annotations

from pathlib import Path

from wf.settings import Settings
from wf.worlds.feed import Feed
from wf.worlds.sqlite.feed import SqliteFeed


def open_feed(path: Path, url: str | None = None) -> Feed:
    """Open the feed of a world's file; or, with a `url`, of the database that it names. Raises `WorldError`."""
    if url is None:
        return SqliteFeed(path)
    from wf.worlds.postgres.feed import PostgresFeed  # needs psycopg

    return PostgresFeed(url)


def feed_url(settings: Settings) -> str | None:
    """Give the URL that a world's feed is opened by; None for a file."""
    address = settings.address
    return address.url if address.kind == "postgresql" else None
