"""Posts: states of one run's replay, kept along its log, so that any moment of it is near one.

The replay goes through the log once. Every now and then it leaves a post: a fork of the process, which
stands there from then on. A moment is looked at from the last post before it: the post forks a copy, the
copy is fed with the events in between, shows what it sees, and ends. So looking forwards and backwards
costs the same, and whatever a `__repr__` of the user's does, it does to a copy.

1. A post feeds nothing and calls nothing of the user's. Its state is what the replay was.
2. A look that comes to no end in time is repeated without the user's `__repr__`s.
3. A body that makes other calls at every replay (a hidden clock) may not come to where the first replay
   came: then the moment is where it stands, and says what stood in the way.

Things that don't work: keeping rendered moments (10 000 of them, and the user's `__repr__`s called for
all), and replaying from the start at every step back (80 ms for 10 000 events, at 50 ms that it may cost).
"""

from __future__ import annotations

import bisect
import gc
import os
import signal
import socket
from contextvars import Context
from typing import Final, NoReturn

import msgspec

from wf import events
from wf.engine.replay import Replay
from wf.errors import NondeterminismError
from wf.settings import Limits
from wf.worker.attention import describe_trouble, find_missing_step
from wf.worker.tracing import quiet_context
from wf.worker.verdicts import begin_replay
from wf.world import RunRow
from wfstudio.core.bench import wire
from wfstudio.core.bench.copies import ask_copy, fork_quietly
from wfstudio.core.bench.moments import Notes, Scene, show_event, take_notes
from wfstudio.core.bench.views import MomentView, TroubleView
from wfstudio.core.parentage import die_with_parent

SHORTEST_STRIDE: Final = 500
MOST_POSTS: Final = 24
LOOK_SECONDS: Final = 3.0


class _Glance(msgspec.Struct, frozen=True):
    """What a post is asked: how it is at `seq`, compared with `before_seq`. `more` is log that it lacks."""

    seq: int
    before_seq: int
    reached_seq: int
    events: int
    more: wire.Log
    is_plain: bool
    trouble: TroubleView | None


_decode_glance = msgspec.msgpack.Decoder(_Glance).decode


class _Post:
    """A post as its parent sees it: it stands behind the event `seq`, and knows the log up to `known`."""

    def __init__(self, pid: int, control: socket.socket, seq: int, known: int) -> None:
        self.pid = pid
        self.control = control
        self.seq = seq
        self.known = known

    def ask(self, glance: _Glance) -> bytes | None:
        """Give its answer, empty where its copy came to no end. None: the post itself is gone."""
        try:
            self.control.sendall(wire.encode_message(glance))
            return wire.read_message(self.control)
        except ConnectionError:
            return None

    def close(self) -> None:
        self.control.close()
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


class Posts:
    """One run's replay with its posts. `control` is the process's own line, which posts must not hold."""

    def __init__(self, run: RunRow, root: str, limits: Limits, control: socket.socket) -> None:
        self._run = run
        self._root = root
        self._limits = limits
        self._control = control
        self._log: wire.Log = []
        self._deliveries: list[int] = []
        self._posts: list[_Post] = []
        self._replay: Replay | None = None
        self._context: Context
        self._seq = 0
        self._where: str | None = None
        self._trouble: TroubleView | None = None

    def travel(self, log: wire.Log) -> int:
        """Go through the log, or through what it has more, and give the last event that the code follows."""
        if not self._log:
            gc.disable()  # a collection touches all there is, and would give every fork pages of its own
            gc.freeze()
            self._replay = begin_replay(self._run, log, self._limits)
            self._context = quiet_context()  # a user's spans in the body were made when it ran
        self._log += log
        if self._replay is None:  # it has not begun: nothing to replay
            self._seq = len(self._log)
            return self._seq
        self._replay.expect(log)
        stride = max(SHORTEST_STRIDE, -(-len(self._log) // MOST_POSTS))
        if not self._posts:
            self._leave_post()
        while self._trouble is None and self._seq < len(self._log):
            self._step()
            if self._seq - self._posts[-1].seq >= stride:
                self._leave_post()
        if self._trouble is None:
            self._check_end()
        return self._seq

    def close(self) -> None:
        for post in self._posts:
            post.close()

    # -- replaying, here and in copies

    def _step(self) -> None:
        """Feed the next event, or note what stands in the way."""
        assert self._replay is not None
        event, data = self._log[self._seq]
        try:
            self._context.run(self._replay.feed, event, data)
        except NondeterminismError as error:
            self._trouble = self._describe(error)
            return
        except Exception as error:  # a body that fails the engine itself
            self._trouble = TroubleView(code="NONDETERMINISM", message=f"the run cannot be replayed: {error!r}")
            return
        self._seq = event.seq
        self._where = self._replay.made_at
        if event.type in events.DELIVERIES:
            self._deliveries.append(event.seq)

    def _check_end(self) -> None:
        assert self._replay is not None
        try:
            self._replay.check_end()
        except NondeterminismError as error:
            self._trouble = self._describe(error)

    def _describe(self, error: NondeterminismError) -> TroubleView:
        missing = find_missing_step(error, [event for event, _ in self._log])
        trouble = describe_trouble(missing or error)
        where = None if trouble.where is None else trouble.where.removeprefix(os.path.join(self._root, ""))
        facts = msgspec.structs.asdict(trouble) | {"where": where}
        return TroubleView(**facts, is_extension=error.is_extension)

    # -- looking

    def look(self, seq: int) -> bytes | wire.Refused:
        """Say how the run was right after an event, as an encoded answer."""
        if not 1 <= seq <= len(self._log):
            return wire.Refused("not-found", f"the run has {len(self._log)} events, and none with the number {seq}")
        if self._replay is None:
            return wire.encode_answer(wire.Seen(self._show_unbegun(seq)))
        target = min(seq, self._seq)
        place = bisect.bisect_right(self._deliveries, target)
        before = self._deliveries[place - 2] if place > 1 else 0
        for is_plain in (False, True):
            answer = self._ask_nearest(before, target, is_plain=is_plain)
            if answer:
                return answer
        return wire.Refused("bench", f"event {seq} cannot be shown: the process that was to do it died, or hung")

    def _ask_nearest(self, before: int, target: int, *, is_plain: bool) -> bytes | None:
        """Ask the last post that stands at or before `before`; one that is gone is forgotten."""
        while near := [post for post in self._posts if post.seq <= before]:
            post = near[-1]
            more = self._log[post.known : target]
            glance = _Glance(target, before, self._seq, len(self._log), more, is_plain, self._trouble)
            answer = post.ask(glance)
            if answer is not None:
                return answer
            self._posts.remove(post)
            post.close()
        return None

    def _show_unbegun(self, seq: int) -> MomentView:
        return MomentView(
            run_id=self._run.run_id,
            workflow=self._run.workflow,
            status=self._run.status,
            seq=seq,
            events=len(self._log),
            reached_seq=self._seq,
            event=show_event(self._log[seq - 1][0], None, self._root),
            has_begun=False,
        )

    # -- what a post does

    def _leave_post(self) -> None:
        """Fork: the child stands here from now on, and answers."""
        ours, theirs = socket.socketpair()
        pid = fork_quietly()
        if pid == 0:
            try:
                die_with_parent()
                ours.close()
                self._control.close()
                for post in self._posts:
                    post.control.close()
                self._stand(theirs)
            finally:
                os._exit(0)
        theirs.close()
        self._posts.append(_Post(pid, ours, self._seq, len(self._log)))

    def _stand(self, control: socket.socket) -> NoReturn:
        while (data := wire.read_message(control)) is not None:
            glance = _decode_glance(data)
            answer = ask_copy(lambda glance=glance: self._see(glance), LOOK_SECONDS)  # type: ignore[misc]
            control.sendall(wire.encode_message(answer or b""))
        os._exit(0)

    def _see(self, glance: _Glance) -> bytes:
        """In a copy: go on to the moment that is asked for, and show it."""
        replay = self._replay
        assert replay is not None
        if glance.more:
            self._log += glance.more
            replay.expect(glance.more)
        self._feed_until(glance.before_seq)
        notes: Notes | None = take_notes(replay) if replay.is_started else None
        self._feed_until(glance.seq)
        scene = Scene(replay, self._root, notes, is_plain=glance.is_plain)
        calls, more_calls = scene.list_calls()
        place = bisect.bisect_right(self._deliveries, self._seq)
        return wire.encode_answer(
            wire.Seen(
                MomentView(
                    run_id=self._run.run_id,
                    workflow=self._run.workflow,
                    status=self._run.status,
                    seq=self._seq,
                    events=glance.events,
                    reached_seq=glance.reached_seq,
                    event=show_event(self._log[max(self._seq, 1) - 1][0], self._where, self._root),
                    delivered_seq=self._deliveries[place - 1] if place else None,
                    before_seq=self._deliveries[place - 2] if place > 1 else None,
                    now=scene.show_now(),
                    has_begun=replay.is_started,
                    tasks=scene.show_tasks(),
                    more_tasks=scene.more_tasks,
                    open_calls=calls,
                    more_calls=more_calls,
                    attributes=dict(replay.body.attributes),
                    end=scene.show_end() if replay.is_started else None,
                    trouble=self._trouble or glance.trouble,
                    is_plain=glance.is_plain,
                )
            )
        )

    def _feed_until(self, seq: int) -> None:
        while self._seq < seq and self._trouble is None:
            self._step()
