"""Origins: where a run came from that did not run here.

`RunRow.origin` is `<kind>:<name>`, the name for people: a file's, or a folder's. The kinds are

- `bundle`: a bundle of `wf export`, whole. Its log is what a worker of wf wrote, so it can be replayed
  and forked by the code that fits it.
- `redacted`: a bundle without payloads. What the log says in clear can be read.
- `vercel`: the data directory of Vercel's local world. The log is a translation: it can be read, and no
  code here makes the same calls.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, cast

Kind = Literal["bundle", "redacted", "vercel"]

REDACTED: Final = "$redacted"
"""The tag that stands for a payload which was left out; its content is the payload's size in bytes."""

_KINDS: Final = ("bundle", "redacted", "vercel")
_LONGEST: Final = 200


class Origin(NamedTuple):
    """Where a run came from. `kind` is None for one that this version does not know."""

    kind: Kind | None
    name: str


def write_origin(kind: Kind, name: str) -> str:
    """Give the text that a world keeps."""
    return f"{kind}:{name[:_LONGEST]}"


def read_origin(text: str) -> Origin:
    kind, _, name = text.partition(":")
    return Origin(cast(Kind, kind), name) if kind in _KINDS else Origin(None, text)


def say_unreplayable(text: str | None) -> str | None:
    """Say why a run of this origin cannot be replayed or forked; None: its origin is no reason."""
    if text is None:
        return None
    match read_origin(text).kind:
        case "bundle":
            return None
        case "redacted":
            return "its payloads were left out of the bundle that it came in"
        case "vercel":
            return "it ran on another runtime, and its log here is a translation"
        case None:
            return "it was imported by another version of wf"
