"""Openness: whom a server lets in, as its command line says. What opens it must be said, and cannot be guessed."""

from __future__ import annotations

from typing import Final

from wfstudio.cli.misuse import Misuse
from wfstudio.server.access import is_loopback

SHORTEST_TOKEN: Final = 32
_DRAW: Final = 'python -c "import secrets; print(secrets.token_urlsafe(32))"'


def check_token(token: str | None) -> None:
    """Refuse a token that could be found by trying."""
    if token is not None and len(token) < SHORTEST_TOKEN:
        raise Misuse(f"--token: {len(token)} characters can be guessed; give {SHORTEST_TOKEN} or more", hint=_DRAW)


def check_known(host: str, token: str | None) -> None:
    """Refuse to listen to other machines with a token that only this one would know."""
    if not is_loopback(host) and token is None:
        raise Misuse(
            f"--host {host} needs a token that its callers know", hint=f"`--token`, or WF_TOKEN; draw one: {_DRAW}"
        )
