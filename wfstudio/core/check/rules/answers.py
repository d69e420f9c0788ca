"""Rules on what has another answer each time: the clock, chance, the environment, hashes, the order of sets."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any, Final

from wfstudio.core.check.events import Called, Ordered, Referred
from wfstudio.core.check.kinds import INT, Outside
from wfstudio.core.check.rules.rule import Problem, Rule
from wfstudio.core.check.tables import Table, show_name
from wfstudio.core.check.walking import Walk

_CLOCK: Final = Table(
    {
        "time": r"(time|monotonic|perf_counter|process_time|thread_time|clock_gettime)(_ns)?",
        "datetime.datetime": r"now|utcnow|today",
        "datetime.date": r"today",
        "pandas.Timestamp": r"now|utcnow|today",
        "arrow": r"now|utcnow",
        "pendulum": r"now|today|tomorrow|yesterday",
        "django.utils.timezone": r"now|localtime|localdate",
        "whenever.Instant": r"now",
    }
)
_CLOCK_WITHOUT: Final = {"time.localtime": 1, "time.gmtime": 1, "time.ctime": 1, "time.asctime": 1, "time.strftime": 2}
"""What asks the clock if it gets fewer arguments than this."""


class Clock(Rule):
    """A body asks the clock

    Found are `time.time()`, `time.monotonic()`, `time.perf_counter()` and their `_ns` twins,
    `datetime.now()`, `datetime.utcnow()`, `date.today()`, `time.localtime()` without an argument, and the
    `now` of the common libraries for dates; also where they are only named, as in
    `field(default_factory=datetime.now)`.

    ## Why

    A body is run again from its start after a restart. The clock says something else then. What the body
    decides or passes on by it differs from the log, and the run stops with a
    [NondeterminismError](../errors/nondeterminism.md).

    ## Fix

    `wf.now()` gives an aware datetime, `wf.time_ns()` a number: the time of the last event that reached the
    body, the same at every replay. How long something took belongs into the step that does it; the log has
    every step's duration anyway.

    ## Example

    ```python
    import time

    import wf


    @wf.step
    async def remind(order: str, at: float) -> None: ...


    @wf.workflow
    async def wrong(order: str) -> None:
        await remind(order, time.time() + 3600)


    @wf.workflow
    async def right(order: str) -> None:
        await remind(order, wf.now().timestamp() + 3600)
    ```
    """

    code = "WF101"
    why = "a replay asks again and gets another answer, so the run no longer fits its log"
    fix = "ask `wf.now()` or `wf.time_ns()`, or ask the clock in a step"
    events = (Referred, Called)

    def look(self, walk: Walk, event: Any) -> Iterator[Problem]:
        match event:
            case Referred(node=node, name=name, known=known) if _CLOCK.has(name) and not _CLOCK.has(known):
                yield Problem(node, f"`{show_name(name)}` asks the clock")
            case Called(node=node, callee=Outside(name=name)) if name in _CLOCK_WITHOUT:
                if len(node.args) + len(node.keywords) < _CLOCK_WITHOUT[name]:
                    yield Problem(node, f"`{name}` without a time asks the clock")


_CHANCE: Final = Table(
    {
        "random": (
            r"random|randint|randrange|randbytes|choice|choices|sample|shuffle|uniform|triangular|seed|getrandbits"
            r"|\w*variate|gauss|setstate|getstate|binomialvariate"
        ),
        "random.SystemRandom": r".+",
        "secrets": r"(?!compare_digest).+",
        "os": r"urandom|getrandom",
        "numpy.random": r"(?!default_rng|Generator|RandomState|SeedSequence|PCG64|MT19937|Philox).+",
        "torch": r"rand|randn|randint|randperm|rand_like|randn_like|normal|bernoulli|multinomial|manual_seed|seed",
        "Crypto.Random": r".+",
        "nanoid": r"generate",
    }
)
_SEEDED: Final = frozenset(
    {"random.Random", "numpy.random.default_rng", "numpy.random.RandomState", "numpy.random.SeedSequence"}
)
"""What is the same each time if it is given a seed."""


class Chance(Rule):
    """A body draws by chance

    Found are the functions of `random`, `secrets`, `numpy.random` and `torch`, `os.urandom`,
    `random.SystemRandom`, and generators without a seed, such as `random.Random()`.

    ## Why

    A replay draws again, and gets something else: another branch, another argument. Seeding the module's own
    generator (`random.seed`) is no way out, since all runs of a process share it.

    ## Fix

    `wf.random()` gives a `random.Random` of the run's own, which draws the same at every replay:
    `wf.random().choice(names)`. It is not for secrets: draw those in a step.

    ## Example

    ```python
    import random

    import wf


    @wf.step
    async def ask(reviewer: str) -> bool: ...


    @wf.workflow
    async def wrong(reviewers: list[str]) -> bool:
        return await ask(random.choice(reviewers))


    @wf.workflow
    async def right(reviewers: list[str]) -> bool:
        return await ask(wf.random().choice(reviewers))
    ```
    """

    code = "WF102"
    why = "a replay draws again and gets something else, so the run no longer fits its log"
    fix = "draw from `wf.random()`, or draw in a step"
    events = (Referred, Called)

    def look(self, walk: Walk, event: Any) -> Iterator[Problem]:
        match event:
            case Referred(node=node, name=name, known=known) if _CHANCE.has(name) and not _CHANCE.has(known):
                yield Problem(node, f"`{show_name(name)}` draws by chance")
            case Called(node=node, callee=Outside(name=name)) if name == "random.SystemRandom":
                yield Problem(node, f"`{name}` draws by chance")
            case Called(node=node, callee=Outside(name=name)) if name in _SEEDED and not (node.args or node.keywords):
                yield Problem(node, f"`{name}` without a seed draws by chance")


_IDS: Final = Table(
    {
        "uuid": r"uuid1|uuid4|uuid6|uuid7|getnode",
        "ulid": r"new|ULID|from_timestamp|ulid|microsecond\.new",
        "shortuuid": r"uuid|random|ShortUUID\.\w+",
        "bson": r"ObjectId",
        "bson.objectid": r"ObjectId",
        "ksuid": r"ksuid|Ksuid",
        "cuid2": r"cuid_wrapper|Cuid",
        "uuid_utils": r"uuid1|uuid4|uuid6|uuid7",
        "uuid6": r"uuid6|uuid7|uuid8",
    }
)
_IDS_WITHOUT: Final = ("bson.ObjectId", "bson.objectid.ObjectId", "ulid.ULID")


class FreshId(Rule):
    """A body makes a fresh id

    Found are `uuid.uuid1()`, `uuid4()`, `uuid6()` and `uuid7()`, and what the libraries for ULIDs, ObjectIds
    and the like draw. `uuid3` and `uuid5` are made of their arguments alone, and are fine.

    ## Why

    A replay makes another id. What was stored, sent or charged under the first one is not found again, and
    the next call that gets it differs from the log.

    ## Fix

    `wf.uuid4()` draws a UUID from the run's own random numbers: the same at every replay. For an idempotency
    key take `wf.get_step_metadata().step_id` in the step.

    ## Example

    ```python
    import uuid

    import wf


    @wf.step
    async def create(invoice: str) -> None: ...


    @wf.workflow
    async def wrong() -> None:
        await create(str(uuid.uuid4()))


    @wf.workflow
    async def right() -> None:
        await create(str(wf.uuid4()))
    ```
    """

    code = "WF103"
    why = "a replay makes another id, so the run no longer fits its log"
    fix = "ask `wf.uuid4()`, or make the id in a step"
    events = (Referred, Called)

    def look(self, walk: Walk, event: Any) -> Iterator[Problem]:
        match event:
            case Referred(node=node, name=name, known=known) if (
                _IDS.has(name) and not _IDS.has(known) and name not in _IDS_WITHOUT
            ):
                yield Problem(node, f"`{show_name(name)}` makes a fresh id")
            case Called(node=node, callee=Outside(name=name)) if name in _IDS_WITHOUT:
                if not (node.args or node.keywords):
                    yield Problem(node, f"`{name}` without a value makes a fresh id")


_ENVIRONMENT: Final = Table(
    {
        "os": (
            r"(environb?|getenvb?)(\..*)?|getcwdb?|getpid|getppid|getlogin|getuid|geteuid|getgid|cpu_count|uname"
            r"|process_cpu_count|getloadavg|getpgid|getpgrp|gethostname|putenv|unsetenv|path\.expanduser|path\.expandvars"
        ),
        "platform": r"\w+",
        "socket": r"gethostname|getfqdn",
        "sys": r"argv(\..*)?|orig_argv(\..*)?",
        "getpass": r"getuser",
        "locale": r"getlocale|getdefaultlocale|getpreferredencoding|getencoding",
        "pathlib.Path": r"cwd|home|expanduser",
        "multiprocessing": r"cpu_count|current_process",
        "tempfile": r"gettempdir|gettempprefix",
        "dotenv": r"load_dotenv|dotenv_values|find_dotenv|get_key",
        "decouple": r"config",
        "pwd": r"\w+",
    }
)


class Environment(Rule):
    """A body reads the environment

    Found are `os.environ`, `os.getenv`, `sys.argv`, the working directory, the host's name, the process's id,
    the user, and what else belongs to the process and the machine rather than to the run. What a module reads
    when it is imported is not found: it is part of the code.

    ## Why

    A run outlives its process, and may go on on another machine. There the environment is another one, and so
    is what the body does.

    ## Fix

    Pass settings in as arguments of the workflow, or read them in a step: then they are in the log.

    ## Example

    ```python
    import os

    import wf


    @wf.step
    async def read_region() -> str:
        return os.environ.get("REGION", "eu")


    @wf.step
    async def deploy(region: str) -> None: ...


    @wf.workflow
    async def wrong() -> None:
        await deploy(os.environ.get("REGION", "eu"))


    @wf.workflow
    async def right() -> None:
        await deploy(await read_region())
    ```
    """

    code = "WF104"
    why = "a replay in another process or on another machine reads something else"
    fix = "pass it in as an argument, or read it in a step"
    events = (Referred,)

    def look(self, walk: Walk, event: Any) -> Iterator[Problem]:
        match event:
            case Referred(node=node, name=name, known=known):
                if _ENVIRONMENT.has(name) and not _ENVIRONMENT.has(known):
                    yield Problem(node, f"`{show_name(name)}` reads the environment")


class Address(Rule):
    """A body asks for `id()` or `hash()`

    Found are the builtins `id` and `hash`, called or given as a key (`sorted(things, key=id)`). The hash of
    an `int` is fine.

    ## Why

    `id()` is an address in memory, and `hash()` of a text is salted: both differ from one process to the
    next. Whatever is chosen or ordered by them comes out differently in a replay.

    ## Fix

    Order by something of the value itself. For a stable digest take `hashlib.sha256`, or `zlib.crc32` where a
    small number is enough.

    ## Example

    ```python
    import zlib

    import wf


    @wf.step
    async def send(shard: int, user: str) -> None: ...


    @wf.workflow
    async def wrong(user: str) -> None:
        await send(hash(user) % 4, user)


    @wf.workflow
    async def right(user: str) -> None:
        await send(zlib.crc32(user.encode()) % 4, user)
    ```
    """

    code = "WF105"
    why = "addresses and hashes of texts differ in every process, so a replay comes to another result"
    fix = "use something of the value itself, or a digest such as `zlib.crc32`"
    events = (Referred, Called)

    def look(self, walk: Walk, event: Any) -> Iterator[Problem]:
        match event:
            case Called(node=node, callee=Outside(name="builtins.hash")):
                if len(node.args) == 1 and walk.kind(node.args[0]) != INT:
                    yield Problem(node, "`hash` differs from one process to the next")
            case Called(node=node, callee=Outside(name="builtins.id")):
                yield Problem(node, "`id` differs from one process to the next")
            case Called(node=node, callee=_):
                for keyword in node.keywords:
                    kind = walk.kind(keyword.value)
                    if isinstance(kind, Outside) and kind.name in ("builtins.id", "builtins.hash"):
                        text = f"`{show_name(kind.name)}` as `{keyword.arg}` differs from one process to the next"
                        yield Problem(keyword.value, text)


class SetOrder(Rule):
    """A body goes through a set

    Found are loops, comprehensions, unpacking, and calls such as `list`, `enumerate`, `join` and `set.pop`
    that take the members of a set in the order in which they happen to come. A set is what is written as one
    (`{a, b}`, `set(...)`, `frozenset(...)`), what operators and methods of sets give, what is annotated as a
    set, also by a step that returns one, and `a.keys() & b.keys()`.

    Not found is what does not depend on the order: `in`, `len`, `sorted`, `sum`, `min`, `max`, `any`, `all`,
    another set made of it, and passing the set to a step. Sets of tasks are fine, too: in a body they have
    the order in which they were made.

    ## Why

    The order of a set of texts differs from one process to the next, and no set's order is part of the
    language. A replay would make its calls in another order than the log has.

    ## Fix

    `sorted(...)`; or keep a `dict` (`dict.fromkeys(names)`), which has the order in which it was filled.

    ## Example

    ```python
    import wf


    @wf.step
    async def notify(user: str) -> None: ...


    @wf.workflow
    async def wrong(readers: set[str], writers: set[str]) -> None:
        for user in readers | writers:
            await notify(user)


    @wf.workflow
    async def right(readers: set[str], writers: set[str]) -> None:
        for user in sorted(readers | writers):
            await notify(user)
    ```
    """

    code = "WF106"
    why = "the order of a set differs from one process to the next, and with it that of the calls"
    fix = "sort it: `sorted(...)`"
    events = (Ordered,)

    def look(self, walk: Walk, event: Any) -> Iterator[Problem]:
        if isinstance(event, Ordered):
            text = ast.unparse(event.node)
            shown = f"`{text}`" if len(text) <= 40 and "\n" not in text else "this"
            yield Problem(event.node, f"{shown} is a set, and {event.how} in whatever order it has")


RULES: Final = (Clock, Chance, FreshId, Environment, Address, SetOrder)
