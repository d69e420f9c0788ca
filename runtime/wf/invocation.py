"""Invocations: a workflow and its arguments as a command line writes them, run in this process.

`python -m wf run` and the studio's `wf run` are two doors to this.

1. Settings are those of the project that the target lies in, whatever the working directory is.
2. Words that are no JSON and arguments that do not fit are refused before anything is started.
3. A failure is shown as Python shows one, cause first, in the user's frames only.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from wf import codec
from wf.arguments import give_types
from wf.codec.exceptions import keep_users_frames as keep_users_frames
from wf.loading import find_in, load_target, split_target
from wf.registry import Workflow
from wf.settings import Settings, configure, load_settings, parse_world_url

_NAMED = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)


class Invocation(msgspec.Struct, frozen=True):
    """A workflow to run, the modules it was loaded with, and arguments that fit it. `settings` are in force here."""

    modules: list[ModuleType]
    workflow: Workflow[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    settings: Settings


def read_invocation(
    target: str,
    words: list[str],
    *,
    id: str | None = None,
    attributes: Mapping[str, str] | None = None,
    world: str | None = None,
) -> Invocation:
    """Load `TARGET[:WORKFLOW]` and bind the words to its parameters.

    Puts the settings of the target's project in force for this process. Raises what loading raises,
    `ValueError` and `TypeError` for arguments that cannot be read or do not fit.
    """
    place, name = split_target(target)
    modules = load_target(place)
    workflow = find_in(modules, name)
    words_by_place, words_by_name = read_arguments(words)
    recorded = workflow.signature.bind(words_by_place, words_by_name)
    args, kwargs = workflow.signature.apply(give_types(workflow.func, recorded))
    workflow = workflow.with_options(id=id, attributes=attributes)
    return Invocation(modules, workflow, args, kwargs, adopt_settings(place, world))


def adopt_settings(place: str, world: str | None = None) -> Settings:
    """Put the settings of the project that a path lies in (else the working directory's) in force here."""
    settings = load_settings(Path(place) if os.path.exists(place) else None)
    address = settings.address if world is None else parse_world_url(world, settings.root)
    configure(
        world=address.url,
        durability=settings.durability,
        concurrency=settings.concurrency,
        limits=msgspec.structs.asdict(settings.limits),
    )
    return msgspec.structs.replace(settings, world=address.url)


def read_arguments(words: list[str]) -> tuple[list[Any], dict[str, Any]]:
    """Read arguments from a command line. A word that is no JSON is a `ValueError` with the cure."""
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for word in words:
        named = _NAMED.fullmatch(word)
        if named is not None:
            if named[1] in kwargs:
                raise ValueError(f"the argument {named[1]} is given twice")
            kwargs[named[1]] = _read_json(named[2], word)
        elif kwargs:
            raise ValueError(f"the argument {word!r:.80} stands after a named one")
        else:
            args.append(_read_json(word, word))
    return args, kwargs


def _read_json(text: str, word: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        quoted = word.replace(text, json.dumps(text)) if text else word
        raise ValueError(f"the argument {word!r:.80} is not JSON\n  fix: for a text write '{quoted:.80}'") from None


def to_json(value: Any) -> str:
    """Write a result as JSON; what JSON has no word for is written as the codec does."""
    text = codec.encode(value, "result").decode()
    return json.dumps(json.loads(text), ensure_ascii=False)


# -- failures -----------------------------------------------------------------------------------


def describe_failure(error: BaseException) -> str:
    """Write a recorded exception and its causes as Python would, the first cause first."""
    parts: list[str] = []
    outer: BaseException | None = None
    link: BaseException | None = error
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        if outer is None or not _is_repeated(link, outer):
            parts.insert(0, _describe_one(link))
        outer = link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return "\n\n".join(parts)


def _is_repeated(error: BaseException, outer: BaseException) -> bool:
    """Tell whether an exception is the one that went on as `outer`: a step's, raised again in the body."""
    return type(error) is type(outer) and error.args == outer.args and _frames(error) in _frames(outer)


def _describe_one(error: BaseException) -> str:
    lines: list[str] = []
    frames = _frames(error)
    if frames:
        lines += ["Traceback (most recent call last):", frames.rstrip("\n")]
    lines.append(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
    # A note on a step repeats the step's frames, which stand above.
    lines += [f"  {str(note).partition(chr(10))[0]}" for note in getattr(error, "__notes__", ())]
    return "\n".join(lines)


def _frames(error: BaseException) -> str:
    trace = getattr(error, "__wf_traceback__", None)
    return "".join(keep_users_frames(trace)) if isinstance(trace, str) else ""
