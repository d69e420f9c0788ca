"""Looking for something in a short list: the words that are in it, or with a `!` in front those that are not."""

from __future__ import annotations


def is_wanted(text: str, asked: str) -> bool:
    """Tell whether all words that were asked for are in a text; of `!words`, whether not all of them are."""
    bare = asked.strip()
    words = bare.removeprefix("!").lower().split()
    if not words:
        return True
    lower = text.lower()
    return all(word in lower for word in words) is not bare.startswith("!")
