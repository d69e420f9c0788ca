"""Generation: a test and a history from a recorded run.

Whatever is written was tried first: the run must replay against the code on the disk, or with redaction the run
as it was told anew. A step's own test is not tried: it would really carry out the step.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from wf import events
from wf.catalog import Catalog, StepEntry, WorkflowEntry, make_catalog, open_catalog
from wf.errors import DecryptionError
from wf.histories import encode_history, list_calls, make_history
from wf.world import RunRow
from wfstudio.core.bench.wire import Judge, Judged, Log, Retell, Retold
from wfstudio.core.bench.workbench import LoadedBench, Workbench
from wfstudio.core.errors import ConflictError, NotFoundError, UsageError
from wfstudio.core.written_tests.composing import TAKEN, Draft, StepTest, compose, write_path
from wfstudio.core.written_tests.layout import Code, Group, lay_out, measure
from wfstudio.core.written_tests.literals import Imports, Unwritable, Writer, decode_error_parts
from wfstudio.core.written_tests.locating import Located, Locator
from wfstudio.core.written_tests.places import (
    Style,
    is_on_path,
    make_file_name,
    make_slug,
    name_workflow,
    read_style,
    shorten_run,
)
from wfstudio.core.written_tests.redaction import (
    Input,
    Place,
    Redaction,
    Redactor,
    list_inputs,
    list_paths,
    read_places,
)

JUDGE_SECONDS: Final = 30.0
HISTORIES: Final = "histories"
MOST_LINES: Final = 60
"""Lines of a value that are written into a test; a larger one is taken from the history."""

WIDEST: Final = 3
"""How many times as long as a line should be, one of them may be."""

_MOST_TRIED: Final = 60
_LEAST_TOLD: Final = 6


class FileView(msgspec.Struct, frozen=True):
    """`path` is relative to the project's root, or absolute where it is not in it."""

    path: str
    text: str


class TestFilesView(msgspec.Struct, frozen=True, kw_only=True):
    """What a run was made into: a test and the history that it replays. `calls` are those of the body, `steps` the
    numbers of those that have a test of their own, `notes` what should be known about it."""

    __test__ = False  # for pytest, which else takes the name for a test's

    run_id: str
    workflow: str
    calls: list[str]
    steps: list[int]
    test: FileView
    history: FileView
    is_redacted: bool = False
    notes: list[str] = []


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for. `steps` are names or numbers; `folder` is where the test is to lie (default: `tests`)."""

    steps: Sequence[str] = ()
    folder: str | None = None
    is_redacting: bool = False
    keep: Sequence[str] = ()
    hide: Sequence[str] = ()
    command: str | None = None


class TestMaker:
    """Makes tests of the runs of a world; `workbench` has its runs and the code."""

    __test__ = False

    def __init__(self, workbench: Workbench) -> None:
        self._workbench = workbench
        self._root = workbench.root

    async def make(self, run_id: str, wish: Wish | None = None) -> TestFilesView:
        """Make a test of a run. Writes nothing.

        Raises `ConflictError` for a run that does not replay (redacted, if it was asked to be) or whose code no
        import gets hold of, `UsageError` for steps and places that it has not, `LoadError`.
        """
        wish = wish or Wish()
        row = await self._workbench.read_row(run_id)
        log = await self._workbench.open_log(row)
        redaction = Redaction(
            wish.is_redacting, read_places(wish.keep, log, "keep"), read_places(wish.hide, log, "hide")
        )
        if redaction.keep and not redaction.is_wanted:
            raise UsageError("keep goes with redact or hide: without them everything is kept")
        chosen = _choose_steps(log, wish.steps)
        notes: list[str] = []
        told = log
        async with self._workbench.loaded(None) as loaded:
            if redaction.is_wanted:
                told, notes = await _redact(loaded, row, log, redaction)
            await _verify(loaded, row, told)
        _refuse_changed(log, told, chosen)
        maker = _Maker(self._root, await self._read_catalog(row), row, told, wish)
        return maker.make(chosen, notes, is_redacted=redaction.is_wanted)

    async def _read_catalog(self, row: RunRow) -> Catalog:
        """Read what the run's own code, or else the newest one, says of workflows and steps."""
        world, keyring = self._workbench.session.world, self._workbench.session.keyring
        newest = await world.list_deployments()
        own = await world.get_deployment(row.deployment_id) if row.deployment_id else None
        for deployment in [*newest[:1], *([own] if own is not None else [])]:
            try:
                catalog = open_catalog(keyring, deployment)
            except DecryptionError:
                continue
            if any(entry.id == row.workflow for entry in catalog.workflows):
                return catalog
        return make_catalog(Path(self._root))


# -- which steps --------------------------------------------------------------------------------


def _choose_steps(log: Log, words: Sequence[str]) -> list[int]:
    """Give the numbers of the calls that words name: a number, a step's id, or its short name, which means all."""
    called = {event.correlation_id or 0: event.name or "" for event, _ in log if event.type == events.STEP_CREATED}
    found: list[int] = []
    for word in words:
        text = word.rpartition(":")[2] if word.rpartition(":")[2].isdecimal() else word
        if text.isdecimal() and int(text) in called:
            named = [int(text)]
        else:
            named = [number for number, name in called.items() if word in (name, name_workflow(name), _qualname(name))]
        named = [number for number in named if not called[number].startswith("wf/")]
        if not named:
            known = dict.fromkeys(name_workflow(name) for name in called.values() if not name.startswith("wf/"))
            hint = f"it called {', '.join(known)}" if known else "it called no step of yours"
            raise UsageError(f"the run called no step {word!r:.80}", hint)
        found += [number for number in named if number not in found]
    return sorted(found)


def _qualname(name: str) -> str:
    return name.rpartition("/")[2].rpartition(":")[2]


def _refuse_changed(log: Log, told: Log, chosen: Sequence[int]) -> None:
    """Refuse tests of steps whose recorded values are not the real ones any more."""
    ends = (events.STEP_CREATED, events.STEP_COMPLETED, events.STEP_FAILED)
    changed = {
        before.correlation_id
        for (before, data), (_, other) in zip(log, told, strict=True)
        if before.type in ends and data != other
    }
    for number in chosen:
        if number in changed:
            text = f"step {number} has a test of its own only with what it was really called with, and that is redacted"
            raise ConflictError(text, "leave out --step, or --keep the step and what it is called with")


# -- redacting ----------------------------------------------------------------------------------


async def _redact(loaded: LoadedBench, row: RunRow, log: Log, redaction: Redaction) -> tuple[Log, list[str]]:
    """Give the run as the code tells it from redacted inputs, and what is to be said about it."""
    redactor = Redactor(redaction, secrets.token_bytes(32))
    told = await _ask(loaded, row, redactor.redact(log))
    if told.trouble is None:
        return told.log, _tell_leaks(redactor, row, told.log)
    trouble = told.trouble
    seq = trouble.seq or len(log)
    guilty = await _find_guilty(loaded, row, log, redactor, seq)
    differs = f"event {seq} recorded {trouble.recorded}, the body now makes {trouble.actual}"
    text = f"redacted, the run does not replay: {differs}"
    if trouble.where:
        text += f"\n  at {trouble.where}"
    if guilty:
        raise ConflictError(
            text, "it decides by what is redacted: " + " or ".join(f"`--keep {place}`" for place in guilty)
        )
    raise ConflictError(text, "keep what it decides by: `--keep STEP`, or `--keep STEP.FIELD`; several may be needed")


async def _ask(loaded: LoadedBench, row: RunRow, log: Log) -> Retold:
    return await loaded.bench.ask(Retell(row, log), Retold, JUDGE_SECONDS)


async def _find_guilty(loaded: LoadedBench, row: RunRow, log: Log, redactor: Redactor, seq: int) -> list[Place]:
    """Find the inputs, as small as can be, each of which alone brings the run further if it is kept."""
    data = {event.seq: payload for event, payload in log}
    tried = 0

    async def helps(place: Place) -> bool:
        nonlocal tried
        tried += 1
        told = await _ask(loaded, row, redactor.redact(log, [place]))
        return told.trouble is None or (told.trouble.seq or 0) > seq

    found: list[Place] = []
    for item in _nearest(list_inputs(log), seq):
        if tried >= _MOST_TRIED or not await helps(Place(item.name)):
            continue
        paths = [path for path in list_paths(data[item.seq] or b"null") if path][: _MOST_TRIED - tried]
        smaller = [Place(item.name, path) for path in paths if await helps(Place(item.name, path))]
        found += smaller[:1] or [Place(item.name)]
    return list(dict.fromkeys(found))


def _nearest(inputs: Sequence[Input], seq: int) -> list[Input]:
    """Give the inputs before an event, the last of each name, nearest first."""
    found: dict[str, Input] = {}
    for item in reversed([item for item in inputs if item.seq < seq]):
        found.setdefault(item.name, item)
    return list(found.values())


def _tell_leaks(redactor: Redactor, row: RunRow, log: Log) -> list[str]:
    """Say which redacted texts are there all the same: as an id, a name or a key, which stay."""
    parts = [row.run_id]
    for event, data in log:
        parts += [event.name or "", event.meta or "", "" if data is None else data.decode("utf-8", "replace")]
    everything = "\n".join(parts)
    left = [
        text
        for text, other in redactor.changed.items()
        if len(text) >= _LEAST_TOLD and text != other and text in everything
    ]
    if not left:
        return []
    named = ", ".join(repr(text[:40]) for text in left[:5]) + (" …" if len(left) > 5 else "")
    return [f"still there, as an id, a name, a key, or a text of the code's own: {named}"]


async def _verify(loaded: LoadedBench, row: RunRow, log: Log) -> None:
    """Refuse a log that the code on the disk does not replay."""
    judged = await loaded.bench.ask(Judge(row, log), Judged, JUDGE_SECONDS)
    trouble = judged.verdict.trouble
    if trouble is None:
        return
    text = f"a test of this run would fail today: {trouble.message}"
    if trouble.where:
        text += f"\n  at {trouble.where}"
    raise ConflictError(text, f"`wf replay {row.run_id}` says more; put the code back, or take a run of today's code")


# -- making it ----------------------------------------------------------------------------------


class _Maker:
    """Makes the files of one run, of which everything is known."""

    def __init__(self, root: str, catalog: Catalog, row: RunRow, log: Log, wish: Wish) -> None:
        self._root = root
        self._row = row
        self._log = log
        self._wish = wish
        self._steps = {entry.id: entry for entry in catalog.steps}
        self._workflow = next((entry for entry in catalog.workflows if entry.id == row.workflow), None)
        self._style: Style = read_style(root)
        self._locator = Locator(root)
        self._imports = Imports(set(TAKEN))
        self._folder = os.path.abspath(wish.folder or os.path.join(root, "tests"))

    def make(self, chosen: Sequence[int], notes: Sequence[str], *, is_redacted: bool) -> TestFilesView:
        row = self._row
        place = self._locate(self._workflow, f"workflow {row.workflow}")
        self._imports.use(place.module)
        history = make_history(row.run_id, row.workflow, self._log)
        title = make_slug(name_workflow(row.workflow))
        steps = [self._make_step(number, place, count) for number, count in _count_names(self._log, chosen)]
        file = f"{make_file_name(row.run_id)}.json"
        is_found = is_on_path(place.base, self._folder, self._root)
        calls = list_calls(history.events)
        draft = Draft(
            command=self._wish.command or f"wf test gen {row.run_id}",
            run_id=row.run_id,
            workflow=row.workflow,
            title=title,
            history=file,
            module=place.module,
            calls=calls,
            steps=steps,
            path=None if is_found else write_path(place.base, self._folder),
        )
        ours = {module for _, module in self._imports.list_modules() if self._locator.is_ours(module, place.module)}
        test = os.path.join(self._folder, f"test_{title}_{shorten_run(row.run_id)}.py")
        kept = os.path.join(self._folder, HISTORIES, file)
        return TestFilesView(
            run_id=row.run_id,
            workflow=row.workflow,
            calls=calls,
            steps=list(chosen),
            test=FileView(self._shorten(test), compose(draft, self._imports, self._style, ours)),
            history=FileView(self._shorten(kept), encode_history(history).decode() + "\n"),
            is_redacted=is_redacted,
            notes=[*notes, *(_TELL_STEP for _ in chosen[:1])],
        )

    def _shorten(self, path: str) -> str:
        return path.removeprefix(os.path.join(self._root, ""))

    def _locate(self, entry: WorkflowEntry | StepEntry | None, what: str) -> Located:
        if entry is None:
            raise NotFoundError(
                f"no code that is kept here defines {what}", "`wf dev` or `wf worker` keep what they load"
            )
        found = self._locator.find(entry)
        if found is None:
            place = f"{entry.file}:{entry.line}"
            text = f"{what} cannot be imported by a test: it is not at {place} any more, or in a function"
            raise ConflictError(text, "define it at the top of its module")
        return found

    # -- steps

    def _make_step(self, number: int, place: Located, count: int) -> StepTest:
        created = next(
            (event, data)
            for event, data in self._log
            if event.type == events.STEP_CREATED and event.correlation_id == number
        )
        name = created[0].name or ""
        entry = self._steps.get(name)
        located = self._locate(entry, f"step {name}")
        assert entry is not None  # else `_locate` has refused it
        ends = [
            (event.type, data)
            for event, data in self._log
            if event.correlation_id == number and event.type in (events.STEP_COMPLETED, events.STEP_FAILED)
        ]
        if not ends:
            raise ConflictError(f"step {number}, {name}, has not ended", "wait for it, or name another one")
        writer = Writer(self._imports, self._locator, place.module, self._style.mark)
        kind, data = ends[0]
        arguments = self._write_arguments(writer, located, created[1] or b"{}", name)
        result, error, message = None, None, ""
        if kind == events.STEP_FAILED:
            error, message = self._write_error(data or b"null", name)
        else:
            result = self._write_result(writer, data or b"null", name)
        how = "fails_as_it_failed" if kind == events.STEP_FAILED else "gives_what_it_gave"
        title = f"{make_slug(name_workflow(name))}_{how}" + (f"_{count}" if count else "")
        return StepTest(
            call=f"{self._imports.use(located.module)}.{located.name}",
            title=title,
            number=number,
            is_async=entry.is_async,
            needs_run=self._locator.needs_run(located.function),
            arguments=arguments,
            result=result,
            error=error,
            message=message,
        )

    def _write_arguments(
        self, writer: Writer, located: Located, data: bytes, name: str
    ) -> list[tuple[str, Code]] | None:
        try:
            written = writer.write_arguments(data)
        except Unwritable as refusal:
            if refusal.is_lasting:
                raise _refuse_step(name, refusal) from None
            return None
        items = _order_arguments(located, written)
        return items if self._is_readable(Group("(", items, ")")) else None

    def _write_result(self, writer: Writer, data: bytes, name: str) -> Code | None:
        try:
            written = writer.write(data)
        except Unwritable as refusal:
            if refusal.is_lasting:
                raise _refuse_step(name, refusal) from None
            return None
        return written if self._is_readable(written) else None

    def _write_error(self, data: bytes, name: str) -> tuple[str, str]:
        kind, message = decode_error_parts(data)
        module, _, qualname = kind.partition(":")
        if "<locals>" in qualname:
            raise ConflictError(f"step {name} raised {qualname}, a class that cannot be imported")
        if module == "builtins":
            return qualname, message
        if module == "wf" or module.startswith("wf."):
            return f"{self._imports.use('wf')}.{qualname}", message
        return f"{self._imports.use(module)}.{qualname}", message

    def _is_readable(self, code: Code) -> bool:
        lines = lay_out(code, width=self._style.width).split("\n")
        return len(lines) <= MOST_LINES and max(measure(line) for line in lines) <= WIDEST * self._style.width


_TELL_STEP: Final = "tests of steps carry out the step for real, with what it was called with; they were not tried"


def _refuse_step(name: str, refusal: Unwritable) -> ConflictError:
    return ConflictError(f"step {name} cannot be called by a test: {refusal.reason}", "leave out its --step")


def _order_arguments(located: Located, written: dict[str, Code]) -> list[tuple[str, Code]]:
    """Give the arguments of a call: by name, but for those that can only be given by place."""
    given = located.function.node.args
    places = [arg.arg for arg in given.posonlyargs]
    star = next((name for name in written if name.startswith("*") and not name.startswith("**")), None)
    if star is not None:  # what stands before `*args` is given by place, too
        places += [arg.arg for arg in given.args]
    if located.function.cls is not None and given.args and given.args[0].arg == "self":
        places.append("self")
    items: list[tuple[str, Code]] = []
    for name, value in written.items():
        if name.startswith("*"):
            items += _spread(name, value)
        else:
            items.append(("" if name in places else f"{name}=", value))
    return items


def _spread(name: str, value: Code) -> list[tuple[str, Code]]:
    """Write out `*args` and `**kwargs`."""
    assert isinstance(value, Group)
    if not name.startswith("**"):
        return list(value.items)
    pairs = [(key.rstrip(": ")[1:-1], item) for key, item in value.items]
    if all(key.isidentifier() for key, _ in pairs):
        return [(f"{key}=", item) for key, item in pairs]
    return [("**", value)]


def _count_names(log: Log, chosen: Sequence[int]) -> list[tuple[int, int]]:
    """Number the calls of a step that is chosen several times, from 1; one that is alone has 0."""
    names = {event.correlation_id: event.name for event, _ in log if event.type == events.STEP_CREATED}
    found = []
    for number in chosen:
        same = [other for other in chosen if name_workflow(names[other] or "") == name_workflow(names[number] or "")]
        found.append((number, same.index(number) + 1 if len(same) > 1 else 0))
    return found


def write_files(view: TestFilesView, root: str, *, is_forced: bool) -> list[str]:
    """Write the files, and give their paths. Raises `ConflictError` where one is there already."""
    files = [(os.path.join(root, file.path), file.text) for file in (view.test, view.history)]
    for path, _ in files:
        if os.path.lexists(path) and not is_forced:
            raise ConflictError(f"{path} is there already", "give --force to write it anew, or another folder with -o")
    for path, text in files:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Path(path).write_text(text, "utf-8")
    return [path for path, _ in files]
