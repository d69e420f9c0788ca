"""Asking: turns, processes kept warm, and processes that talk nonsense. What queries may do is in `test_questions`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from tests.wfstudio.history.processes import LISTS, children, wait_for_children
from tests.wfstudio.history.stage import WorldFile, make_completed
from wf.settings import Settings
from wfstudio.history import asking
from wfstudio.history.asking import Asker, make_question
from wfstudio.history.errors import QueryError, QueryLimitError
from wfstudio.history.wire import Done

ENDLESS = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    root = tmp_path_factory.mktemp("project")
    world = WorldFile(root / "world.db")
    world.write(make_completed("wrun_1").events)
    world.close()
    return Settings(root=root, world=f"sqlite:///{root}/world.db")


@asynccontextmanager
async def open_asker(settings: Settings, **options: Any) -> AsyncIterator[Asker]:
    asker = Asker(settings, **options)
    try:
        yield asker
    finally:
        await asker.close()


async def ask(asker: Asker, sql: str, **options: Any) -> int:
    """Ask, and give how many rows there are."""
    count = -1
    async with aclosing(asker.ask(make_question(sql, is_locked=True), **options)) as answers:
        async for answer in answers:
            if isinstance(answer, Done):
                count = answer.rows
    return count


pytestmark = LISTS


async def test_a_question_that_waits_for_its_turn_can_be_cancelled(settings: Settings) -> None:
    async with open_asker(settings, at_once=1) as asker:
        first = asyncio.create_task(ask(asker, ENDLESS, id="first"))
        await wait_for_children()
        second = asyncio.create_task(ask(asker, "SELECT 2", id="second"))
        await until(lambda: asker.cancel("second"))
        with pytest.raises(QueryLimitError) as caught:
            await second
        assert caught.value.message == "the query was cancelled"
        assert not first.done(), "its turn was not taken away"
        assert asker.cancel("first")
        with pytest.raises(QueryLimitError):
            await first
        assert await ask(asker, "SELECT 3") == 1, "and the turn is free again"


async def test_who_leaves_while_waiting_for_a_turn_takes_none(settings: Settings) -> None:
    async with open_asker(settings, at_once=1) as asker:
        first = asyncio.create_task(ask(asker, ENDLESS, id="first"))
        await wait_for_children()
        waiting = [asyncio.create_task(ask(asker, "SELECT 2")) for _ in range(3)]
        await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        asker.cancel("first")
        with pytest.raises(QueryLimitError):
            await first
        assert await asyncio.gather(ask(asker, "SELECT 4"), ask(asker, "SELECT 5")) == [1, 1]


async def test_one_process_is_kept_warm_however_the_last_questions_ended(settings: Settings) -> None:
    async with open_asker(settings, keeps_warm=True) as asker:
        await asyncio.gather(*(ask(asker, "SELECT 1") for _ in range(2)))
        assert len(children()) == 1
        with pytest.raises(QueryError):
            await ask(asker, "SELEC 1")
        [warm] = children()
        assert await ask(asker, "SELECT 1") == 1
        assert warm not in children(), "it answered"
        with pytest.raises(QueryLimitError):
            await ask(asker, ENDLESS, seconds=0.2)
        assert len(children()) == 1
    assert children() == set()


async def test_an_asker_that_is_closed_while_it_answers_leaves_no_process(settings: Settings) -> None:
    asker = Asker(settings, keeps_warm=True)
    task = asyncio.create_task(ask(asker, ENDLESS))
    await wait_for_children()
    await asker.close()
    with pytest.raises(QueryLimitError, match="the query was cancelled"):
        await task
    assert children() == set()


async def test_a_process_hears_no_ctrl_c_but_its_askers(settings: Settings) -> None:
    async with open_asker(settings) as asker:
        await asker.warm_up()
        [pid] = children()
        assert os.getpgid(pid) == pid != os.getpgid(0)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("sys.stdout.buffer.write(bytes([255] * 9)); sys.stdout.flush(); time.sleep(60)", "talked nonsense"),
        ("sys.stdout.buffer.write(b'\\0\\0\\0\\2xy'); sys.stdout.flush(); time.sleep(60)", "failed: exit code 0"),
        ("os.close(1); time.sleep(60)", "failed: exit code 0"),
        ("sys.exit('it broke')", "failed: it broke"),
        ("sys.exit(3)", "failed: exit code 3"),
    ],
)
async def test_a_process_that_talks_nonsense_does_not_keep_anybody_waiting(
    settings: Settings, program: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def start() -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        words = ["-c", f"import os, sys, time; sys.stdin.read(); {program}"]
        return await asyncio.create_subprocess_exec(sys.executable, *words, stdin=pipe, stdout=pipe, stderr=pipe)

    monkeypatch.setattr(asking, "_start", start)
    monkeypatch.setattr(asking, "_LAST_WORDS_SECONDS", 0.1)
    async with open_asker(settings) as asker:
        with pytest.raises(QueryError) as caught:
            await ask(asker, "SELECT 1")
    assert caught.value.message == f"the process that answers queries {message}"
    assert caught.value.hint == "report it: this is a bug in wf"


async def until(look: Any) -> None:
    async with asyncio.timeout(10):
        while not look():
            await asyncio.sleep(0.005)
