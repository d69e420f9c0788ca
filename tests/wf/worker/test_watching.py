"""Watching bodies: what is struck, what is not, and that a strike hits nothing but the activation it is for."""

from __future__ import annotations

import asyncio
import dis
import functools
import gc
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import wf
from wf import codec, events, registry
from wf.engine.body import Body
from wf.engine.replay import BodyBlocked, Replay
from wf.errors import BlockedError
from wf.events import Event
from wf.worker import watching
from wf.worker.watching import LOOKS, MOST_PATIENCE, BodyWatch


@pytest.fixture(autouse=True)
def own_registry() -> Iterator[None]:
    with registry.isolated():
        yield


def on_a_loop(scene: Callable[[BodyWatch], None]) -> None:
    """Play a scene as a worker would: on the thread of a running loop."""

    async def play() -> None:
        loop = asyncio.get_running_loop()
        scene(BodyWatch(loop))
        assert asyncio.get_running_loop() is loop
        await asyncio.sleep(0)  # what was sent too late would arrive here

    asyncio.run(play())


def body_of(coroutine: Any) -> Body:
    body = Body(
        run_id="run",
        seed_id="run",
        draw_token=lambda number: "token",
        find_child=lambda number: None,
        payload_limit=1000,
    )
    body.start(coroutine)
    return body


class Looking(threading.Thread):
    """Looks at a watch again and again, as the guard does, but without a pause; or strikes whatever runs."""

    def __init__(self, watch: BodyWatch, act: Callable[[], object] | None = None) -> None:
        super().__init__(daemon=True)
        self.looks = 0
        self._act = act or watch.look
        self._is_over = threading.Event()

    def __enter__(self) -> Looking:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self.join()

    def run(self) -> None:
        while not self._is_over.is_set():
            self._act()
            self.looks += 1


# -- who is struck


def test_a_body_that_runs_on_and_on_is_interrupted_and_its_stack_is_told() -> None:
    def spin() -> None:
        while True:
            pass

    async def spins() -> None:
        spin()

    def scene(watch: BodyWatch) -> None:
        with Looking(watch), pytest.raises(BodyBlocked) as caught:
            watch.run(body_of(spins()))
        outer, inner = caught.value.stack
        assert outer.startswith(f"{__file__}:")
        assert (outer.endswith(" in spins"), inner.endswith(" in spin")) == (True, True)
        assert caught.value.__context__ is None

    on_a_loop(scene)


def test_a_body_that_swallows_interruptions_is_struck_until_it_ends_and_is_void_all_the_same() -> None:
    swallowed: list[str] = []

    async def stubborn() -> str:
        while len(swallowed) < 3:
            try:
                while True:
                    pass
            except BaseException as error:
                swallowed.append(type(error).__name__)
        return "done"

    def scene(watch: BodyWatch) -> None:
        with Looking(watch), pytest.raises(BodyBlocked):
            watch.run(body_of(stubborn()))

    on_a_loop(scene)
    assert set(swallowed) == {"Interruption"}, "up to three times: one may arrive in the handler itself"


def test_an_interruption_runs_nothing_else_of_the_body() -> None:
    told: list[str] = []

    async def spins() -> None:
        while True:
            pass

    async def other() -> None:
        told.append("the other task")

    async def both() -> None:
        try:
            await asyncio.gather(spins(), other())
        finally:
            told.append("finally")

    def scene(watch: BodyWatch) -> None:
        body = body_of(both())
        with Looking(watch), pytest.raises(BodyBlocked):
            watch.run(body)
        body.abandon()

    on_a_loop(scene)
    assert told == []


def run_until(is_over: Callable[[], bool]) -> Any:
    """A body that runs on until something is so, and ends."""

    async def runs() -> str:
        while not is_over():
            pass
        return "done"

    return runs()


def test_a_body_that_ends_in_time_is_left_alone() -> None:
    def scene(watch: BodyWatch) -> None:
        for _ in range(3):
            looks = iter(range(LOOKS - 1))  # one to see it, and one too few
            watch.look()
            body = body_of(run_until(functools.partial(_is_looked_through, watch, looks)))
            watch.run(body)
            assert body.main is not None
            assert body.main.result() == "done"

    on_a_loop(scene)


def _is_looked_through(watch: BodyWatch, looks: Iterator[int]) -> bool:
    watch.look()
    return next(looks, None) is None


def test_many_short_activations_are_not_one_long_one() -> None:
    async def waits() -> None:
        for _ in range(10 * LOOKS):
            await asyncio.sleep(0)
            await asyncio.get_running_loop().create_future()

    def scene(watch: BodyWatch) -> None:
        body = body_of(waits())
        for _ in range(10 * LOOKS):
            watch.run(body)
            watch.look()  # between two of them
            body.loop._ready.append(asyncio.Handle(watch.look, (), body.loop))  # and within each
        assert body.main is not None
        assert not body.main.done()
        body.close()

    on_a_loop(scene)


def test_calls_are_progress_for_a_while() -> None:
    async def calls(body: list[Body], watch: BodyWatch, looks: list[int], is_calling: bool) -> None:
        while True:
            looks.append(1)
            body[0]._calls += is_calling
            watch.look()

    def scene(watch: BodyWatch) -> None:
        counts = []
        for is_calling in (False, True):
            body: list[Body] = []
            looks: list[int] = []
            body.append(body_of(calls(body, watch, looks, is_calling)))
            with pytest.raises(BodyBlocked):
                watch.run(body[0])
            counts.append(len(looks))
        assert counts[0] == LOOKS + 1
        assert LOOKS * MOST_PATIENCE <= counts[1] <= LOOKS * (MOST_PATIENCE + 1) + 1

    on_a_loop(scene)


def look_much(watch: BodyWatch) -> None:
    for _ in range(3 * LOOKS):
        assert not watch.look()


def test_who_is_in_a_debugger_is_left_alone_and_has_all_the_time_again_after_it() -> None:
    debugger: dict[str, Any] = {"__name__": "bdb"}
    exec("def wait(act, watch): act(watch)", debugger)

    async def debugged(watch: BodyWatch) -> str:
        debugger["wait"](look_much, watch)
        for _ in range(LOOKS - 1):
            assert not watch.look()
        return "went on"

    def scene(watch: BodyWatch) -> None:
        body = body_of(debugged(watch))
        watch.run(body)
        assert body.main is not None
        assert body.main.result() == "went on"

    on_a_loop(scene)


def test_who_is_traced_line_by_line_is_left_alone() -> None:
    async def traced(watch: BodyWatch) -> str:
        sys._getframe().f_trace = lambda frame, event, argument: None  # as a debugger that steps leaves it
        look_much(watch)
        return "went on"

    def scene(watch: BodyWatch) -> None:
        body = body_of(traced(watch))
        watch.run(body)
        assert body.main is not None
        assert body.main.result() == "went on"

    on_a_loop(scene)


def test_who_may_hold_a_lock_of_the_process_is_struck_when_it_is_back() -> None:
    logging: dict[str, Any] = {"__name__": "logging.handlers"}
    exec("def emit(act, watch): act(watch)", logging)
    told: list[str] = []

    async def logs(watch: BodyWatch) -> None:
        logging["emit"](look_much, watch)
        told.append("it was not struck there")
        watch.look()
        told.append("here it was")

    def scene(watch: BodyWatch) -> None:
        with pytest.raises(BodyBlocked):
            watch.run(body_of(logs(watch)))

    on_a_loop(scene)
    assert told == ["it was not struck there"]


def test_a_module_that_is_being_imported_is_not_left_half(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_slow_module.py").write_text("import tests.wf.worker.test_watching as t\nt.while_importing()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    this = sys.modules.setdefault("tests.wf.worker.test_watching", sys.modules[__name__])

    async def imports() -> str:
        import a_slow_module  # type: ignore[import-not-found]

        return str(a_slow_module.__name__)

    def scene(watch: BodyWatch) -> None:
        this.while_importing = lambda: look_much(watch)  # type: ignore[attr-defined]
        body = body_of(imports())
        watch.run(body)
        assert body.main is not None
        assert body.main.result() == "a_slow_module"

    on_a_loop(scene)


# -- who might end the process is told


class Notes:
    """What a watch says of the body that runs."""

    def __init__(self) -> None:
        self.said: list[Any] = []

    def go_on(self) -> None:
        self.said.append("well")

    def exempt(self) -> None:
        self.said.append("exempt")

    def note_stack(self, stack: tuple[str, ...]) -> None:
        self.said.append(stack[-1].partition(" in ")[2])


def test_a_body_is_well_until_it_takes_too_long_and_when_it_cannot_be_interrupted_its_stack_is_noted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    notes: Any = Notes()
    for name in ("go_on", "exempt", "note_stack"):
        monkeypatch.setattr(watching.Casualties, name, getattr(Notes, name))

    async def stands(watch: BodyWatch) -> None:
        watch._strike = lambda thread, interruption: None  # as if it were in C
        for _ in range(LOOKS + 3):
            watch.look()

    def scene(watch: BodyWatch) -> None:
        watch.casualties.append(notes)
        watch._prepare()
        body = body_of(stands(watch))
        with pytest.raises(BodyBlocked):
            watch.run(body)

    on_a_loop(scene)
    assert notes.said == ["well", "stands", "stands"]


def test_a_process_with_a_debugger_that_stops_all_threads_is_exempt(monkeypatch: pytest.MonkeyPatch) -> None:
    notes: Any = Notes()
    for name in ("go_on", "exempt", "note_stack"):
        monkeypatch.setattr(watching.Casualties, name, getattr(Notes, name))
    monkeypatch.setitem(sys.modules, "pydevd", sys)

    def scene(watch: BodyWatch) -> None:
        watch.casualties.append(notes)
        watch.look()

    on_a_loop(scene)
    assert notes.said == ["exempt"]


# -- nothing else is hit (law 1)


def test_strikes_at_any_moment_hit_their_activation_or_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads meet some ten thousand times, and the interpreter changes between them as often as it can."""

    async def short() -> None:
        for _ in range(3):
            try:
                await asyncio.sleep(0)
            finally:
                pass

    def scene(watch: BodyWatch) -> None:
        def strike_at_once() -> None:
            number = watch._number
            if number % 2:
                watch._strike_at(number, ("somewhere",))

        loop, hooks = asyncio.get_running_loop(), sys.get_asyncgen_hooks()
        struck = 0
        watch._prepare()
        with Looking(watch, strike_at_once) as striker:
            for _ in range(10_000):
                body = body_of(short())
                try:
                    watch.run(body)
                except BodyBlocked as blocked:
                    assert blocked.stack == ("somewhere",)
                    body.abandon()
                    struck += 1
                else:
                    assert watch._struck != watch._number - 1
                    assert body.main is not None
                    assert body.main.done()
                    assert body.main.exception() is None
                assert asyncio.get_running_loop() is loop
                assert sys.get_asyncgen_hooks() == hooks
                assert watch._number % 2 == 0
        assert striker.looks > 100
        assert struck > 10, "the threads never met"

    # Callbacks of weak references (asyncio's sets of tasks have some) swallow what arrives in them, as law 4 says. Who
    # is told of that must be of C: it would be hit as well.
    monkeypatch.setattr(sys, "unraisablehook", bool)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        on_a_loop(scene)
    finally:
        sys.setswitchinterval(before)


@pytest.mark.parametrize("is_collecting", [True, False])
def test_no_garbage_is_collected_between_the_look_at_the_number_and_the_strike(is_collecting: bool) -> None:
    """A finalizer is Python, in which the interpreter may change threads; then the strike would come too late."""
    seen: list[bool] = []

    async def stands(watch: BodyWatch) -> None:
        watch._prepare()
        watch._strike = lambda thread, interruption: seen.append(gc.isenabled())
        watch._strike_at(watch._number, ("somewhere",))

    def scene(watch: BodyWatch) -> None:
        with pytest.raises(BodyBlocked):
            watch.run(body_of(stands(watch)))

    was_collecting = gc.isenabled()
    (gc.enable if is_collecting else gc.disable)()
    try:
        on_a_loop(scene)
        assert (seen, gc.isenabled()) == ([False], is_collecting)
    finally:
        (gc.enable if was_collecting else gc.disable)()


# Where CPython looks whether an interruption has come, or another thread wants to run.
_PAUSES = ("RESUME", "JUMP_BACKWARD", "CALL", "FOR_ITER", "SEND", "YIELD_VALUE", "IMPORT")
_NO_PAUSES = ("JUMP_BACKWARD_NO_INTERRUPT", "CALL_INTRINSIC")


def walk(code: list[dis.Instruction], at: int) -> Iterator[dis.Instruction]:
    """Give the instructions that follow one, where no condition branches off."""
    places = {one.offset: place for place, one in enumerate(code)}
    while True:
        at += 1
        one = code[at]
        yield one
        if one.opname in ("JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT"):
            at = places[one.argval] - 1


def assert_no_pause(code: list[dis.Instruction], start: int, is_end: Callable[[dis.Instruction], bool]) -> None:
    for one in walk(code, start):
        if is_end(one):
            return
        assert not one.opname.startswith(_PAUSES) or one.opname.startswith(_NO_PAUSES), one


def loads(name: str) -> Callable[[dis.Instruction], bool]:
    return lambda one: one.opname.startswith("LOAD") and one.argval == name


def is_call(one: dis.Instruction) -> bool:
    return one.opname.startswith("CALL")


def test_who_leaves_an_activation_cannot_be_hit_before_what_is_on_its_way_is_taken_back() -> None:
    code = list(dis.get_instructions(BodyWatch.run))
    stores = [at for at, one in enumerate(code) if one.opname == "STORE_ATTR" and one.argval == "_number"]
    _, in_time, caught_store = stores
    caught = next(at for at, one in enumerate(code) if one.opname == "PUSH_EXC_INFO")
    assert caught < caught_store
    assert_no_pause(code, caught, lambda one: one is code[caught_store])
    for store in (in_time, caught_store):
        assert_no_pause(code, store, loads("_struck"))
        assert_no_pause(code, store, loads("_clear"))
    clears = [at for at, one in enumerate(code) if loads("_clear")(one)]
    assert len(clears) == 2
    for cleared in clears:
        assert is_call(next(one for one in walk(code, cleared) if one.opname not in ("PRECALL", "PUSH_NULL")))


def test_who_strikes_gives_no_other_thread_a_turn_between_the_last_look_and_the_strike() -> None:
    code = list(dis.get_instructions(BodyWatch._strike_at))
    (look,) = (at for at, one in enumerate(code) if loads("_number")(one))
    seen: list[dis.Instruction] = []
    for one in walk(code, look):
        seen.append(one)
        if is_call(one):
            break
        assert not one.opname.startswith(_PAUSES), one
    assert any(map(loads("Interruption"), seen))


# -- under a replay


def make_log(*types: tuple[str, int | None, str | None, str | None, Any]) -> list[tuple[Event, bytes | None]]:
    log: list[tuple[Event, bytes | None]] = []
    for seq, (type_, number, name, meta, value) in enumerate(types, 1):
        data = None if value is None else codec.encode(value, "value")
        attempt = 1 if type_.startswith("step") else None
        log.append((Event("run", seq, type_, number, name, attempt, seq * 1000, meta, None, b""), data))
    return log


def make_replay(workflow: Any, watch: BodyWatch | None = None) -> Replay:
    replay = Replay(
        run_id="run",
        workflow_id=workflow.id,
        start_body=lambda arguments: workflow.func(),
        draw_token=lambda: "token",
        payload_limit=1000,
    )
    replay.watch = watch
    return replay


@wf.step(name="watched-step")
async def step(n: int) -> int: ...


BEFORE = [
    (events.RUN_CREATED, None, "flow", "{}", {}),
    (events.RUN_STARTED, None, None, None, None),
    (events.STEP_CREATED, 1, "watched-step", None, {"n": 1}),
    (events.STEP_CREATED, 2, "watched-step", None, {"n": 2}),
    (events.STEP_COMPLETED, 1, "watched-step", None, 1),
    (events.RUN_BLOCKED, None, None, None, None),
    (events.STEP_COMPLETED, 2, "watched-step", None, 2),
]
AFTER = [
    (events.STEP_CREATED, 3, "watched-step", None, {"n": 3}),
    (events.STEP_COMPLETED, 3, "watched-step", None, 3),
    (events.RUN_COMPLETED, None, None, None, 6),
]


def make_flow(*, spins: bool = False) -> Any:
    @wf.workflow(name="flow")
    async def flow() -> int:
        one, two = asyncio.create_task(step(1)), asyncio.create_task(step(2))
        total = await one
        while spins:
            pass
        third = asyncio.create_task(step(3))
        return total + await two + await third

    return flow


def test_a_log_that_ends_where_the_body_was_interrupted_goes_on_with_the_calls_of_other_code() -> None:
    replay = make_replay(make_flow())
    replay.replay(make_log(*BEFORE))
    assert [(command.event, command.correlation_id) for command in replay.take_commands()] == [("step_created", 3)]


def test_what_the_body_then_did_replays_behind_what_came_meanwhile() -> None:
    make_replay(make_flow()).replay(make_log(*BEFORE, *AFTER))


def test_a_replay_that_is_interrupted_says_so_and_is_not_finished() -> None:
    def scene(watch: BodyWatch) -> None:
        replay = make_replay(make_flow(spins=True), watch)
        with Looking(watch), pytest.raises(BlockedError) as caught:
            replay.replay(make_log(*BEFORE[:5]))
        assert (caught.value.run_id, caught.value.workflow) == ("run", "flow")
        assert str(caught.value.where).endswith(" in flow")
        assert not replay.commands
        replay.close()

    on_a_loop(scene)
