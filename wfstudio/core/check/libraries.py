"""Libraries: what functions and classes that are not the project's give, as far as the check cares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from wfstudio.core.check.kinds import (
    BOOL,
    BYTES,
    FLOAT,
    INT,
    LIST,
    NONE,
    STR,
    TASK,
    UNKNOWN,
    Awaitable,
    Kind,
    Object,
    Outside,
    SetOf,
    TupleOf,
    outside,
)

PATH: Final = outside("pathlib.Path")
RUN: Final = outside("wf.Run")
LOOP: Final = outside("asyncio.AbstractEventLoop")
FILE: Final = outside("io.TextIOWrapper")
DATETIME: Final = outside("datetime.datetime")
HOOK: Final = outside("wf.HookEvent")

SET_CLASSES: Final = frozenset(
    {
        "builtins.set", "builtins.frozenset", "typing.Set", "typing.FrozenSet", "typing.AbstractSet",
        "typing.MutableSet", "collections.abc.Set", "collections.abc.MutableSet",
    }
)  # fmt: skip

LIST_CLASSES: Final = frozenset(
    {
        "builtins.list", "typing.List", "typing.Sequence", "typing.MutableSequence", "typing.Iterable",
        "typing.Collection", "typing.Iterator", "typing.Deque", "collections.deque", "collections.abc.Sequence",
        "collections.abc.MutableSequence", "collections.abc.Iterable", "collections.abc.Collection",
        "collections.abc.Iterator", "collections.abc.AsyncIterator", "collections.abc.AsyncIterable",
        "typing.AsyncIterator", "typing.AsyncIterable",
    }
)  # fmt: skip

DICT_CLASSES: Final = frozenset(
    {
        "builtins.dict", "typing.Dict", "typing.Mapping", "typing.MutableMapping", "typing.DefaultDict",
        "typing.OrderedDict", "collections.abc.Mapping", "collections.abc.MutableMapping", "collections.defaultdict",
        "collections.OrderedDict", "collections.Counter", "typing.Counter",
    }
)  # fmt: skip

CONTAINERS: Final = LIST_CLASSES | DICT_CLASSES | {"builtins.bytearray"}

FUTURES: Final = ("asyncio.Task", "asyncio.Future", "asyncio.tasks.Task", "asyncio.futures.Future")

RETURNS: Final[Mapping[str, Kind]] = {
    "asyncio.create_task": TASK,
    "asyncio.ensure_future": TASK,
    "asyncio.gather": outside("asyncio.Future"),
    "asyncio.get_event_loop": LOOP,
    "asyncio.get_running_loop": LOOP,
    "asyncio.new_event_loop": LOOP,
    "asyncio.shield": outside("asyncio.Future"),
    "asyncio.sleep": Awaitable(NONE, "asyncio.sleep"),
    "asyncio.to_thread": Awaitable(UNKNOWN, "asyncio.to_thread"),
    "asyncio.wait": Awaitable(TupleOf((SetOf(TASK), SetOf(TASK))), "asyncio.wait"),
    "asyncio.wait_for": Awaitable(UNKNOWN, "asyncio.wait_for"),
    "asyncio.TaskGroup.create_task": TASK,
    "builtins.bool": BOOL,
    "builtins.bytes": BYTES,
    "builtins.float": FLOAT,
    "builtins.hash": INT,
    "builtins.id": INT,
    "builtins.int": INT,
    "builtins.len": INT,
    "builtins.open": FILE,
    "builtins.ord": INT,
    "builtins.repr": STR,
    "builtins.str": STR,
    "collections.OrderedDict": outside("builtins.dict"),
    "collections.defaultdict": outside("builtins.dict"),
    "collections.deque": LIST,
    "datetime.datetime.fromisoformat": DATETIME,
    "datetime.datetime.now": DATETIME,
    "pathlib.Path.cwd": PATH,
    "pathlib.Path.home": PATH,
    "pathlib.Path.joinpath": PATH,
    "pathlib.Path.relative_to": PATH,
    "pathlib.Path.with_name": PATH,
    "pathlib.Path.with_stem": PATH,
    "pathlib.Path.with_suffix": PATH,
    "pathlib.Path.expanduser": PATH,
    "pathlib.Path.resolve": PATH,
    "pathlib.Path.absolute": PATH,
    "random.Random": outside("random.Random"),
    "wf.BaseHook.wait": HOOK,
    "wf.continue_as_new": Awaitable(UNKNOWN, "wf.continue_as_new"),
    "wf.get_hook_by_token": Awaitable(outside("wf.Hook"), "wf.get_hook_by_token"),
    "wf.get_run": RUN,
    "wf.get_workflow_metadata": outside("wf.WorkflowInfo"),
    "wf.get_writable": outside("wf.Writable"),
    "wf.hook": HOOK,
    "wf.lock": outside("wf.Lock"),
    "wf.now": DATETIME,
    "wf.random": outside("random.Random"),
    "wf.resume_hook": Awaitable(UNKNOWN, "wf.resume_hook"),
    "wf.resume_webhook": Awaitable(UNKNOWN, "wf.resume_webhook"),
    "wf.saga": outside("wf.Saga"),
    "wf.sleep": Awaitable(NONE, "wf.sleep"),
    "wf.start": Awaitable(RUN, "wf.start"),
    "wf.time_ns": INT,
    "wf.uuid4": outside("uuid.UUID"),
    "wf.webhook": Object(Outside("wf.HookEvent"), outside("wf.Request")),
    **{
        f"wf.Run.{name}": Awaitable(UNKNOWN, f"run.{name}")
        for name in (
            "attention", "attributes", "cancel", "continued_as", "list_streams", "return_value", "status",
            "stream_info", "terminate", "wake_up",
        )
    },
    "wf.HookEvent.get_conflict": Awaitable(UNKNOWN, "hook.get_conflict"),
    "wf.Writable.write": Awaitable(NONE, "write"),
}  # fmt: skip
"""What a call gives, by the dotted name of what is called. A class that is not here gives an instance."""

MEMBERS: Final[Mapping[str, Kind]] = {
    "pathlib.Path.parent": PATH,
    "pathlib.Path.parents": Object(Outside("builtins.list"), PATH),
    "pathlib.Path.name": STR,
    "pathlib.Path.stem": STR,
    "pathlib.Path.suffix": STR,
    "pathlib.Path.parts": Object(Outside("builtins.list"), STR),
    "wf.Run.run_id": STR,
    "wf.WorkflowInfo.run_id": STR,
    "wf.HookEvent.token": STR,
}

_SAME: Final[Mapping[str, str]] = {
    "asyncio.tasks.Task": "asyncio.Task",
    "asyncio.futures.Future": "asyncio.Future",
    "asyncio.taskgroups.TaskGroup": "asyncio.TaskGroup",
    "asyncio.events.AbstractEventLoop": "asyncio.AbstractEventLoop",
    "concurrent.futures.process.ProcessPoolExecutor": "concurrent.futures.ProcessPoolExecutor",
    "concurrent.futures.thread.ThreadPoolExecutor": "concurrent.futures.ThreadPoolExecutor",
    "posix.environ": "os.environ",
    "wf.Workflows.step": "wf.step",
    "wf.Workflows.workflow": "wf.workflow",
    "wf.streams.Writable": "wf.Writable",
    "wf.WorkflowStreamHandle": "wf.Writable",
    "wf.WorkflowStreamWriter": "wf.Writable",
    "wf.WorkflowWritable": "wf.Writable",
    "wf.locks.Lock": "wf.Lock",
    "wf.locks.Saga": "wf.Saga",
}


def canonical(name: str) -> str:
    """Give the one name for what a library offers under several: `wf.registry.step` is `wf.step`."""
    found = _SAME.get(name)
    if found is not None:
        return found
    if name.startswith("wf."):
        parts = name.split(".")
        if len(parts) > 2 and parts[1] in _WF_MODULES:
            return canonical(".".join(["wf", *parts[2:]]))
    return name


_WF_MODULES: Final = frozenset(
    {
        "codec", "context", "embedding", "errors", "hooks", "locks", "primitives", "registry", "run", "settings",
        "starting", "streams", "webhooks", "world",
    }
)  # fmt: skip
