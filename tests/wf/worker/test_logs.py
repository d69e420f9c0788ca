"""Logs: what attempts print and log is kept with them, and shown where it was shown before."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import wf
from tests.reliability.stage import KEYRING
from wf import registry
from wf.embedding import EmbeddedWorker
from wf.worker import logs
from wf.worker.logs import LogLine, open_log
from wf.worlds.memory import MemoryWorld


@pytest.fixture(autouse=True)
def _own_registry() -> Iterator[None]:
    with registry.isolated():
        yield


@contextmanager
def unconfigured() -> Iterator[None]:
    """A program that has not configured logging; pytest puts handlers of its own in for each test."""
    root = logging.getLogger()
    handlers, root.handlers = root.handlers, []
    try:
        yield
    finally:
        root.handlers = handlers


async def keep(step: Any) -> dict[int, list[LogLine]]:
    """Run a workflow of one step, and give what was kept of each attempt."""

    @wf.workflow(name="main")
    async def main() -> None:
        await step()

    world = MemoryWorld()
    async with EmbeddedWorker(world, grace=0, keyring=KEYRING, capture_logs=True):
        run = await wf.start(main)
        await run.return_value()
    key = KEYRING.run(run.run_id)
    return {
        row.attempt: open_log(key, row.correlation_id, row.attempt, row.index, row.payload)
        for row in await world.read_logs(run.run_id)
    }


def show(lines: list[LogLine]) -> list[tuple[str, str]]:
    return [(line.source, line.text) for line in lines]


async def test_what_a_step_prints_and_logs_is_kept_in_order_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    @wf.step(name="step")
    async def step() -> None:
        print("one\ntwo")
        logging.getLogger("user").warning("three")
        print("four", end="", file=sys.stderr)

    kept = await keep(step)
    assert show(kept[1]) == [("stdout", "one"), ("stdout", "two"), ("logging:WARNING", "three"), ("stderr", "four")]
    assert capsys.readouterr() == ("one\ntwo\n", "four")


async def test_a_steps_thread_and_its_tasks_write_to_its_log() -> None:
    @wf.step(name="plain")
    def plain() -> None:
        print("from a thread")

    @wf.step(name="awaiting")
    async def awaiting() -> None:
        async def part(n: int) -> None:
            print(n)

        await asyncio.gather(part(1), part(2))

    assert show((await keep(plain))[1]) == [("stdout", "from a thread")]
    with registry.isolated():
        assert show((await keep(awaiting))[1]) == [("stdout", "1"), ("stdout", "2")]


async def test_each_attempt_has_a_log_of_its_own() -> None:
    @wf.step(name="step", retry_delay="1ms")
    async def step() -> None:
        attempt = wf.get_step_metadata().attempt
        print("attempt", attempt)
        if attempt == 1:
            raise ConnectionError

    kept = await keep(step)
    assert {attempt: show(lines) for attempt, lines in kept.items()} == {
        1: [("stdout", "attempt 1")],
        2: [("stdout", "attempt 2")],
    }


async def test_what_is_printed_over_the_bound_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_LINES", 2)

    @wf.step(name="step")
    async def step() -> None:
        print("1\n2\n3\n4")

    kept = await keep(step)
    assert show(kept[1]) == [("stdout", "1"), ("stdout", "2"), ("stderr", "… 2 more lines were not kept")]


async def test_a_lone_surrogate_and_a_broken_format_are_kept_as_they_can_be(
    capsys: pytest.CaptureFixture[str],
) -> None:
    @wf.step(name="step")
    async def step() -> None:
        logging.getLogger("user").warning("\ud800 here")
        logging.getLogger("user").warning("%d files", "many")

    with unconfigured():  # pytest's handler raises what it cannot format
        kept = await keep(step)
    broken = "'%d files' (could not be formatted: %d format: a real number is required, not str)"
    assert show(kept[1]) == [("logging:WARNING", "? here"), ("logging:WARNING", broken)]
    assert capsys.readouterr().err.splitlines()[-1] == broken


async def test_without_a_configuration_of_logging_warnings_are_shown_as_python_does_and_kept_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    @wf.step(name="step")
    async def step() -> None:
        logging.getLogger("user").info("too quiet")
        logging.getLogger("user").warning("from %s", "the step")

    with unconfigured():
        kept = await keep(step)
    assert show(kept[1]) == [("logging:WARNING", "from the step")]
    assert capsys.readouterr().err == "from the step\n"


async def test_outside_an_attempt_warnings_are_shown_too(capsys: pytest.CaptureFixture[str]) -> None:
    with unconfigured():
        async with EmbeddedWorker(MemoryWorld(), grace=0, keyring=KEYRING, capture_logs=True):
            logging.getLogger("user").warning("something is amiss")
    assert capsys.readouterr().err == "something is amiss\n"


async def test_a_record_that_another_handler_gets_is_not_shown_a_second_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    got: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            got.append(record.getMessage())

    handler = Handler()
    logger = logging.getLogger("user.with.a.handler")
    logger.addHandler(handler)
    with unconfigured():
        async with EmbeddedWorker(MemoryWorld(), grace=0, keyring=KEYRING, capture_logs=True):
            logging.getLogger("user.with.a.handler.below").warning("once")
    logger.removeHandler(handler)
    assert (got, capsys.readouterr().err) == (["once"], "")


async def test_after_the_last_worker_streams_and_handlers_are_as_they_were() -> None:
    before = (sys.stdout, sys.stderr, list(logging.getLogger().handlers))
    async with EmbeddedWorker(MemoryWorld(), grace=0, keyring=KEYRING, capture_logs=True):
        async with EmbeddedWorker(MemoryWorld(), grace=0, keyring=KEYRING, capture_logs=True):
            assert sys.stdout is not before[0]
        assert sys.stdout is not before[0]
    assert (sys.stdout, sys.stderr, list(logging.getLogger().handlers)) == before
