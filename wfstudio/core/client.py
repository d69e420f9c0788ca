"""The client: reading and acting on a world, as every face does it.

1. What comes from outside is checked before anything is written.
2. An action is durable when it returns; it is taken up by whatever worker has the run.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, Final

from wf import codec
from wf import operations as ops
from wf.catalog import Catalog, open_catalog
from wf.durations import Duration, parse_duration, show_duration
from wf.engine.body import check_attributes
from wf.errors import ImportedRunError, NotRegisteredError, PayloadTooLargeError, shorten
from wf.events import ENDED
from wf.forking import read_source, retry_run
from wf.hooks import find_taking_hook, resume_hook
from wf.ids import is_run_id
from wf.records import seal_message, seal_new_run
from wf.session import Session, enter_session, leave_session
from wf.webhooks import ANSWER_SECONDS, Request, Response, list_delivered, resume_webhook
from wfstudio.core import rows
from wfstudio.core.arguments import bind_arguments, find_entry
from wfstudio.core.diff_views import DiffView
from wfstudio.core.diffs import diff_runs
from wfstudio.core.errors import ConflictError, UsageError
from wfstudio.core.faults import FaultError, is_named
from wfstudio.core.forks import ForkRequest, choose_code, fork_run
from wfstudio.core.reading import Reader
from wfstudio.core.views import ForkedView, HookView, RunView, WaitView

DELIVERY_HEADER: Final = "webhook-id"
"""What names a delivery to a webhook, as Standard Webhooks has it."""

_MOST_DELIVERED: Final = 10_000
"""Deliveries of which it is kept what they were: the log says so, but only once a worker has taken them."""


def _other_delivery() -> ConflictError:
    return ConflictError("another request was delivered under this id", "a new delivery needs a new id")


class Client(Reader):
    """A world as the faces see it: everything is read and done here, once, for CLI, HTTP, TUI and browser."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._delivered: OrderedDict[tuple[str, str | None], bytes] = OrderedDict()

    async def start(
        self,
        workflow: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        id: str | None = None,
        attributes: Mapping[str, str] | None = None,
        deployment: str | None = None,
        delay: Duration | None = None,
    ) -> RunView:
        """Start a run of a workflow (its id, or its short name) with JSON arguments, and give it.

        It is pegged to the newest deployment, or to the one that is named. A run that has the `id`
        already is given as it is, if it is one of this workflow, else `ConflictError`. What is
        unknown or does not fit raises before anything is written.
        """
        row = None if deployment in (None, "latest") else await self._read_deployment(str(deployment))
        row = row or await self._newest_deployment()
        if row is not None and row.used_at == 0:
            text = f"the code of {row.deployment_id} came with a run that was imported, and is not run here"
            raise ConflictError(text, "load the code with `wf dev` or a worker, and leave --deployment out")
        catalog = Catalog() if row is None else open_catalog(self.session.keyring, row)
        entry = find_entry(catalog.workflows, workflow)
        arguments = codec.encode_arguments(bind_arguments(entry, args, kwargs or {}))
        limit = self.session.settings.limits.payload
        if len(arguments) > limit:
            raise PayloadTooLargeError(f"the arguments of {entry.id}", len(arguments), limit)
        if id is not None and not is_run_id(id):
            raise UsageError(f"{shorten(id)} is no run id", "use 1 to 200 letters, digits and ._:@+=/-")
        check_attributes({}, dict(attributes or {}))
        new = seal_new_run(
            self.session.keyring,
            run_id=id or self.session.new_run_id(),
            workflow=entry.id,
            arguments=arguments,
            at=self.session.now_us(),
            deployment_id="" if row is None else row.deployment_id,
            attributes=attributes or {},
            concurrency=entry.concurrency,
            delay_us=_read_delay(delay),
            is_plain=True,
        )
        async with self.session.start_gate():
            created = await self.session.world.create_run(new)
        if created.run.origin is not None:
            raise ImportedRunError(created.run.run_id, created.run.origin)
        if created.run.workflow != entry.id:
            owner = f"the run id {shorten(created.run.run_id)} belongs to a run of {created.run.workflow}"
            raise ConflictError(f"{owner}, not of {entry.id}", "give another id, or none")
        return await self.get_run(created.run.run_id)

    async def resume(self, token: str, payload: Any, *, delivery_id: str | None = None) -> HookView:
        """Send a payload to the hook with a token, and give the hook. It is checked against its schema first."""
        with self._acting():
            row, _, _ = await find_taking_hook(token, delivery_id)
            await resume_hook(token, payload, delivery_id=delivery_id)
        return rows.show_hook(row, rows.Opener(self.session.keyring, row.run_id, is_locked=False))

    async def deliver_webhook(
        self, token: str, request: Request, *, delivery_id: str | None = None, timeout: Duration = ANSWER_SECONDS
    ) -> Response:
        """Deliver a request to a webhook, and give the answer for its caller.

        A delivery that is repeated gets the answer of the first one, also when the hook is gone. Raises
        `ConflictError` where it is another request under the same id, of which a log tells, or this client knows.
        """
        with self._acting():
            if delivery_id is None:
                return await resume_webhook(token, request, timeout=timeout)
            name = delivery_id, request.headers.get(DELIVERY_HEADER)
            # Before anything is waited for: of two at the same moment one is the first.
            digest = sha256(request.method.encode() + b"\n" + request.body).digest()
            if self._delivered.setdefault(name, digest) != digest:
                raise _other_delivery()
            if len(self._delivered) > _MOST_DELIVERED:
                self._delivered.popitem(last=False)
            try:
                await self._check_repeated(token, request, delivery_id)
                return await resume_webhook(token, request, delivery_id=delivery_id, timeout=timeout)
            except Exception:
                self._delivered.pop(name, None)  # it was not taken: it may come again as something else
                raise

    async def _check_repeated(self, token: str, request: Request, delivery_id: str) -> None:
        own = request.headers.get(DELIVERY_HEADER)
        for earlier in await list_delivered(token, delivery_id):
            is_same = (earlier.method, earlier.body) == (request.method, request.body)
            if earlier.headers.get(DELIVERY_HEADER) == own and not is_same:
                raise _other_delivery()

    async def cancel(self, run_id: str, reason: str | None = None, *, force: bool = False) -> RunView:
        """Ask a run to stop, or with `force` end it at once; give the run as it is then."""
        await self._read_row(run_id)
        if reason is not None and len(reason) > ops.MAX_REASON:
            raise UsageError(f"the reason has {len(reason)} characters; give at most {ops.MAX_REASON}")
        with self._acting():
            await ops.cancel_run(run_id, reason, "cancel", force)
        return await self.get_run(run_id)

    async def wake(self, run_id: str) -> int:
        """End a run's pending sleeps early, and say how many."""
        await self._read_row(run_id)
        with self._acting():
            return await ops.wake_run(run_id)

    async def jump(self, run_id: str) -> WaitView:
        """Have a run's next due time come now, and give what it waited for: a sleep, a deadline, a retry, its timeout.

        It is told on the run as a fault. Raises `FaultError` for a run that waits for no time.
        """
        row = await self._read_row(run_id)
        if row.origin is not None:
            raise ImportedRunError(run_id, row.origin)
        waits = await self.session.world.list_waits(run_id, 1)
        if not waits:
            raise FaultError(f"run {run_id} waits for no time", "`wf inspect waits` lists the runs that do")
        [wait] = waits
        now = self.session.now_us()
        early = show_duration(max(0, wait.due_at - now))
        text = f"jump to the {wait.kind} at position {wait.correlation_id}, {early} early"
        meta = {"due_at": wait.due_at, "fault": text}
        message = seal_message(
            self.session.keyring, run_id, "timer", now, correlation_id=wait.correlation_id, meta=meta
        )
        if (await self.session.world.send(run_id, message)).status != "queued":
            raise FaultError(f"run {run_id} has ended meanwhile")
        return rows.show_wait(wait)

    async def check_fault(self, run: str | None, workflow: str | None, step: str | None) -> None:
        """Refuse a fault that could strike nothing: of a run that has ended, of a workflow or step that is none."""
        row = await self.session.world.get_run(run) if run is not None and is_run_id(run) else None
        if row is not None and (row.status in ENDED or row.origin is not None):
            raise FaultError(f"run {run} is {row.status}: nothing befalls it any more", "fork it, and disturb the fork")
        newest = await self._newest_deployment()
        catalog = Catalog() if newest is None else open_catalog(self.session.keyring, newest)
        for kind, name, entries in (("workflow", workflow, catalog.workflows), ("step", step, catalog.steps)):
            ids = [entry.id for entry in entries]
            if name is not None and not name.isdecimal() and ids and not any(is_named(name, id) for id in ids):
                bare = [id.rpartition(".")[2].rpartition(":")[2] for id in ids]
                raise NotRegisteredError(kind, name, list(dict.fromkeys([*bare, *ids])))

    async def retry(self, run_id: str) -> RunView:
        """Try an ended run again, in a new run with today's code, and give that one.

        Completed steps keep their results; what failed runs again. Raises `ForkError` for a run that
        has not ended, or that held a lock there.
        """
        await self._read_row(run_id)
        source = await read_source(self.session, run_id)
        code = await choose_code(self.session, source.row)
        concurrency = None if code.entry is None else code.entry.concurrency
        again = await retry_run(self.session, run_id, deployment=code.deployment_id, concurrency=concurrency)
        return await self.get_run(again.run_id)

    async def fork(self, run_id: str, request: ForkRequest) -> ForkedView:
        """Start a run beside another, with its history up to an event and today's code: see `forks.ForkRequest`."""
        await self._read_row(run_id)
        forked = await fork_run(self.session, run_id, request)
        return ForkedView(run=await self.get_run(forked.run_id), notes=forked.notes)

    async def diff(self, a: str, b: str, *, is_locked: bool = False, is_all: bool = False) -> DiffView:
        """Compare two runs, call by call; with `is_all` calls that do not differ are listed, too."""
        return await diff_runs(self.session, a, b, is_locked=is_locked, is_all=is_all)

    @contextmanager
    def _acting(self) -> Iterator[None]:
        """Have the operations of `wf` act on this client's world: they ask for the session of the process."""
        enter_session(self.session)
        try:
            yield
        finally:
            leave_session(self.session)


def _read_delay(delay: Duration | None) -> int | None:
    if delay is None:
        return None
    try:
        return parse_duration(delay, "delay")
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from None
