"""Forks: a new run beside another, which shares its history up to an event and goes on with today's code.

`fork_run` is what all faces call. It reads what people mean (a step by its name, a result as JSON), chooses
the cut and the code, checks everything, and then writes one run. What it does to the history is
`wf.forking`'s and its first owner's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from wf import codec
from wf import events as types
from wf.catalog import Catalog, WorkflowEntry, open_catalog
from wf.deployment import read_deployment
from wf.engine import fork as cuts
from wf.engine.body import check_attributes
from wf.errors import NotRegisteredError, PayloadTooLargeError, shorten
from wf.forking import ForkError, Source, read_source, seal_fork
from wf.ids import hash_token, is_run_id
from wf.records import Answer, read_fork
from wf.session import Session
from wf.world import DeploymentRow, NewRun, RunRow
from wfstudio.core.arguments import bind_arguments
from wfstudio.core.calls import CALLS, Call, Opened, find_call, list_calls, name_call
from wfstudio.core.edits import Classes, ErrorText, make_error, make_output, make_payload, read_error_text
from wfstudio.core.errors import ConflictError, NotFoundError, UsageError
from wfstudio.core.reasons import short_name

LATEST = "latest"
_ANSWERED = (types.STEP_CREATED, types.CHILD_STARTED)


class ForkRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a fork is to be. Steps, children and hooks are named as `calls.find_call` reads it.

    `start` is the seq of an event, or the name of a call, which is then made and answered anew; None is right
    after the first edit, or, without one, before what ended the run. `outputs` and `errors` are what steps
    and children came to instead, `payloads` what hooks were sent, `input` the run's arguments, by name or in
    order. With `keeps_tokens` it takes the run's place, which must have ended.
    """

    start: int | str | None = None
    outputs: dict[str, Any] = {}
    errors: dict[str, str | ErrorText] = {}
    payloads: dict[str, Any] = {}
    input: dict[str, Any] | list[Any] | None = None
    id: str | None = None
    attributes: dict[str, str] = {}
    deployment: str | None = None
    keeps_tokens: bool = False


class Forked(NamedTuple):
    """The new run's id, and what its maker should know: where it was cut, which code it has."""

    run_id: str
    notes: list[str]


class Code(NamedTuple):
    """The code that a new run of an old workflow gets. `entry` is the workflow in it."""

    deployment_id: str
    catalog: Catalog
    entry: WorkflowEntry | None


async def fork_run(session: Session, run_id: str, request: ForkRequest) -> Forked:
    """Fork a run. Raises `ForkError` where it would not be sound, and before anything is written."""
    _check(request)
    source = await read_source(session, run_id)
    code = await choose_code(session, source.row, request.deployment)
    plan = await _make_plan(session, source, request, code)
    new = seal_fork(
        session,
        source,
        plan.cut,
        answers=[edit.answer for edit in plan.edits],
        arguments=plan.arguments,
        attributes=request.attributes,
        run_id=request.id,
        is_beside=not request.keeps_tokens,
        deployment=code.deployment_id,
        concurrency=None if code.entry is None else code.entry.concurrency,
    )
    if request.keeps_tokens:
        await _check_tokens(session, source, plan.cut)
    await _create(session, source.row, new)
    return Forked(new.event.run_id, [*plan.notes, *_say_more(source, code, new, plan.cut)])


def _check(request: ForkRequest) -> None:
    if request.id is not None and not is_run_id(request.id):
        raise UsageError(f"{shorten(request.id)} is no run id", "use 1 to 200 letters, digits and ._:@+=/-")
    edited = bool(request.outputs or request.errors or request.payloads)
    if request.input is not None and (edited or request.start not in (None, 1)):
        text = "a fork with another input starts from the beginning: there is nothing to go on from, and to edit"
        raise UsageError(text, "give the input alone")
    check_attributes({}, dict(request.attributes))


async def _create(session: Session, row: RunRow, new: NewRun) -> None:
    created = await session.world.create_run(new)
    if created.is_new or created.run.head == new.event.link:
        return
    first = await session.world.read_events(created.run.run_id, 0, 1)
    if created.run.forked_from != row.run_id or not first or read_fork(first[0]) != read_fork(new.event):
        name = shorten(created.run.run_id)
        raise ConflictError(f"the run id {name} belongs to another run", "give another id, or none")


# -- code ---------------------------------------------------------------------------------------


async def choose_code(session: Session, row: RunRow, deployment: str | None = None) -> Code:
    """Choose the code for a new run of a run's workflow: the newest that knows it, or the one that is named.

    Where the newest does not know it, it is the run's own. Raises `ForkError` for code that nobody here has
    ever loaded, `NotRegisteredError` for one that is named and does not know it.
    """
    if deployment not in (None, LATEST):
        named = await session.world.get_deployment(str(deployment))
        if named is None:
            raise NotFoundError(
                f"no deployment has the id {shorten(deployment)}", "`wf inspect deployments` lists them"
            )
        code = _open_code(session, named, row.workflow)
        if named.used_at == 0:
            text = f"the deployment {named.deployment_id} was imported, and is there to be read"
            raise ForkError(text, "load the code that you trust, with `wf dev` or a worker")
        if code.entry is None:
            raise NotRegisteredError("workflow", row.workflow, [entry.id for entry in code.catalog.workflows])
        return code
    found = await session.world.list_deployments()
    newest = found[0] if found and found[0].used_at != 0 else None
    if newest is not None:
        code = _open_code(session, newest, row.workflow)
        if code.entry is not None:
            return code
    if row.origin is not None:  # what came with it is somebody else's code: reading is one thing, running another
        text = f"run {row.run_id} was imported, and today's code has no workflow {shorten(row.workflow)}"
        raise ForkError(text, "load the code that defines it, with `wf dev` or a worker, and try again")
    own = await session.world.get_deployment(row.deployment_id)
    return Code(row.deployment_id, Catalog(), None) if own is None else _open_code(session, own, row.workflow)


def _open_code(session: Session, row: DeploymentRow, workflow: str) -> Code:
    catalog = open_catalog(session.keyring, row)
    return Code(row.deployment_id, catalog, next((e for e in catalog.workflows if e.id == workflow), None))


# -- the plan -----------------------------------------------------------------------------------


class _Edit(NamedTuple):
    """An answer, and the seq of the delivery that it takes the place of; None: nothing was delivered."""

    answer: Answer
    replaces: int | None


class _Plan(NamedTuple):
    cut: int
    edits: list[_Edit]
    arguments: bytes | None
    notes: list[str]


async def _make_plan(session: Session, source: Source, request: ForkRequest, code: Code) -> _Plan:
    if request.input is not None:
        return _Plan(1, [], _bind_input(session, source.row, code, request.input), [])
    edits = await _make_edits(session, source, request, code)
    log = source.events
    cut, notes = _find_cut(source, request, edits)
    if edits and cut < 2 and any(event.type == types.RUN_STARTED for event in log):
        cut = next(event.seq for event in log if event.type == types.RUN_STARTED)
    first = min((edit.replaces for edit in edits if edit.replaces is not None), default=None)
    if first is not None and cut > first:
        edit = next(edit for edit in edits if edit.replaces == first)
        raise ForkError(
            f"run {source.row.run_id} cannot be forked after event {cut}: {short_name(edit.answer.name)} (position"
            f" {edit.answer.id}) was answered at event {first}, and what came after it was made of that answer",
            f"fork from {first}, or say nothing of where",
        )
    return _Plan(cut, sorted(edits, key=lambda edit: edit.replaces or len(log) + 1), None, notes)


def _bind_input(session: Session, row: RunRow, code: Code, given: dict[str, Any] | list[Any]) -> bytes:
    if code.entry is None:
        raise NotRegisteredError("workflow", row.workflow, [entry.id for entry in code.catalog.workflows])
    args, kwargs = ([], given) if isinstance(given, dict) else (given, {})
    arguments = codec.encode_arguments(bind_arguments(code.entry, args, kwargs))
    limit = session.settings.limits.payload
    if len(arguments) > limit:
        raise PayloadTooLargeError(f"the arguments of {code.entry.id}", len(arguments), limit)
    return arguments


async def _make_edits(session: Session, source: Source, request: ForkRequest, code: Code) -> list[_Edit]:
    run_id, log = source.row.run_id, source.log
    limit = session.settings.limits.payload
    edits: list[_Edit] = []
    for name, value in request.outputs.items():
        call = find_call(run_id, log, name, _ANSWERED)
        edits.append(_Edit(make_output(call, value, code.catalog, limit), _find_replaced(call)))
    if request.errors:
        files = await read_deployment(session, code.deployment_id) or {}
        classes = Classes(log, code.catalog, files)
        for name, text in request.errors.items():
            call = find_call(run_id, log, name, _ANSWERED)
            error = read_error_text(text) if isinstance(text, str) else text
            edits.append(_Edit(make_error(call, error, classes, limit), _find_replaced(call)))
    for name, value in request.payloads.items():
        call = find_call(run_id, log, name, (types.HOOK_CREATED,))
        replaced = _find_payload(call, request.start)
        answer = make_payload(call, value, replaced, limit)
        edits.append(_Edit(answer, None if replaced is None else replaced[0].seq))
    numbers = [edit.answer.id for edit in edits if edit.answer.type != types.HOOK_RECEIVED]
    if len(set(numbers)) != len(numbers):
        raise UsageError("a step is given two answers", "give one output, or one error, for each step")
    return edits


def _find_replaced(call: Call) -> int | None:
    return call.answers[0][0].seq if call.answers else None


def _find_payload(call: Call, start: int | str | None) -> Opened | None:
    """Give the payload that is replaced: the one that the fork is to start at, else the hook's first."""
    payloads = [answer for answer in call.answers if answer[0].type == types.HOOK_RECEIVED]
    at_start = [payload for payload in payloads if payload[0].seq == start]
    return next(iter(at_start or payloads), None)


# -- the cut ------------------------------------------------------------------------------------


def _find_cut(source: Source, request: ForkRequest, edits: Sequence[_Edit]) -> tuple[int, list[str]]:
    """Find where to cut, and what is to be said of it."""
    row, log = source.row, source.events
    if isinstance(request.start, str):
        call = find_call(row.run_id, source.log, request.start, tuple(CALLS))
        replaced = _find_replaced(call)
        return cuts.find_cut(log, len(log) if replaced is None else replaced - 1), []
    if request.start is not None:
        if not 1 <= request.start <= row.seq:
            raise UsageError(f"run {row.run_id} has the events 1 to {row.seq}, and {request.start} is none of them")
        cut = cuts.find_cut(log, request.start)
        notes = (
            [] if cut == request.start else [f"event {request.start} is no delivery to the body: the cut is before it"]
        )
        return cut, notes
    first = min((edit.replaces for edit in edits if edit.replaces is not None), default=None)
    if first is not None:
        return first, []
    if row.status in (types.FAILED, types.CANCELLED):
        return cuts.find_retry_cut(log), []
    if row.status == types.COMPLETED and not edits:
        raise UsageError(
            f"run {row.run_id} completed; say from where it is to go on",
            "name an event or a step, or what is to be otherwise; `wf inspect events RUN` lists them",
        )
    return cuts.find_cut(log, len(log)), []


async def _check_tokens(session: Session, source: Source, cut: int) -> None:
    """Refuse to take the place of a run whose hooks somebody has still: their payloads would go there."""
    for event in cuts.find_open_calls(source.events[:cut], cut).values():
        if event.type != types.HOOK_CREATED:
            continue
        data = next(data for one, data in source.log if one.seq == event.seq)
        token = str(codec.decode_arguments(data or b"{}")["token"])
        holder = await session.world.find_hook(hash_token(token))
        if holder is not None:
            raise ForkError(
                f"run {holder.run_id} has the token of {short_name(event.name or 'hook')} (position"
                f" {event.correlation_id}) now",
                "end that run first, or fork beside it, with tokens of its own",
            )


def _say_more(source: Source, code: Code, new: NewRun, cut: int) -> list[str]:
    """Say where the fork was cut, and what of it is not as people might expect."""
    row = source.row
    notes = [f"forked from {row.run_id} {say_cut(source.log, cut)}"]
    if code.entry is None:
        notes.append(f"no code that is loaded here knows {row.workflow}: it waits for one that does")
    elif code.deployment_id != row.deployment_id:
        notes.append(f"it goes on with {code.deployment_id}")
    fork = read_fork(new.event)
    live = [
        event for event in cuts.find_open_calls(source.events[:cut], cut).values() if event.type == types.HOOK_CREATED
    ]
    if fork is not None and fork.is_beside and live:
        notes.append(f"its hooks have tokens of their own: wf hooks {new.event.run_id}")
    return notes


def say_cut(log: Sequence[Opened], cut: int) -> str:
    """Say where a log was cut: `after event 6 (step_completed charge)`."""
    event = log[cut - 1][0]
    if event.type == types.RUN_CREATED:
        return "at its beginning"
    call = next((call for call in list_calls(log) if call.number == event.correlation_id), None)
    name = f" {name_call(call)}" if call is not None else ""
    return f"after event {cut}, {event.type}{name}"
