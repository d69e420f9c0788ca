"""Progress: what is told of a run in lines, and how it is drawn as a tree."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import msgspec

from tests.jumping import jump
from tests.wfstudio.cli.conftest import Serving
from tests.wfstudio.studio import open_studio, run
from wf.worlds.memory import MemoryWorld
from wfstudio.cli.progress import LOOK_AGAIN_SECONDS, LOOK_SECONDS, Progress, draw_tree
from wfstudio.core.client import Client
from wfstudio.core.traces import Segment, Span, Trace
from wfstudio.text.looks import Look, lay_out, look_at
from wfstudio.text.widths import cell_width

NOW = datetime(2026, 1, 1, 0, 0, 2, tzinfo=UTC).timestamp()
AT = "2026-01-01T00:00:00.000000Z"


def span(id: str, kind: str, name: str, status: str, start: float, end: float | None, **more: object) -> Span:
    known = {
        "segments": [Segment(kind="running" if kind in ("run", "step") else "waiting", start_ms=start, end_ms=end)]
    }
    return Span(
        id=id, kind=kind, name=name, status=status, seq=1, at=AT, start_ms=start, end_ms=end, **{**known, **more}
    )  # fmt: skip


def trace(run_id: str, *spans: Span) -> Trace:
    return Trace(
        run_id=run_id, workflow="shop:order", status="running", seq=3, at=AT, end_ms=None, spans=list(spans), markers=[]
    )


PARENT = trace(
    "wrun_1",
    span("run", "run", "shop:order", "running", 0, None),
    span("1", "step", "shop:charge", "failed", 10, 60, error_type="shop.Declined", attempts=2),
    span("2", "child", "shop:pay", "running", 60, None, child_run_id="wrun_2"),
    span("3", "deadline", "deadline", "waiting", 60, None),
)
CHILD = trace(
    "wrun_2",
    span("run", "run", "shop:pay", "running", 0, None),
    span("1", "sleep", "sleep", "waiting", 0, None),
)
LOOK = Look(PARENT, {"wrun_2": CHILD})
REASON = "sleeping until 2026-01-02T00:00:00.000000Z"


def test_a_tree_has_a_line_for_every_call_and_its_childrens(make_terminal) -> None:
    terminal = make_terminal(NO_COLOR="1")
    spinner = draw_tree(terminal, LOOK, REASON, NOW, 20)[0][0]
    assert draw_tree(terminal, LOOK, REASON, NOW, 20) == [
        f"{spinner} order      ██████████████████████████████████████████       2 s",
        "✗ charge x2  ██                                             50 ms  shop.Declined",
        f"{spinner} child pay   ─────────────────────────────────────────    1.94 s",
        f"{spinner}   sleep    ──────────────────────────────────────────       2 s",
        "  sleeping for another 23h",
    ]


def test_a_terminal_without_unicode_has_a_plain_tree(make_terminal) -> None:
    assert "\n".join(draw_tree(make_terminal(encoding="ascii", NO_COLOR="1"), LOOK, REASON, NOW, 20)).isascii()


def test_a_tree_is_never_wider_than_the_terminal(make_terminal) -> None:
    for width in (60, 80, 200):
        lines = draw_tree(make_terminal(width, NO_COLOR="1"), LOOK, None, NOW, 20)
        assert max(cell_width(line) for line in lines) <= width


def test_a_tree_is_never_higher_than_the_terminal(make_terminal) -> None:
    many = trace(
        "wrun_1", PARENT.spans[0], *(span(str(n), "step", f"s{n}", "completed", n, n + 1) for n in range(1, 99))
    )
    lines = draw_tree(make_terminal(NO_COLOR="1"), Look(many), None, NOW, 10)
    assert len(lines) == 10
    assert lines[0].endswith("█       2 s")
    assert lines[1] == "  … 90 more"
    assert lines[-1].startswith("✓ s98 ")
    assert lines[-1].endswith("  1.0 ms")


def test_lines_tell_once_what_ended_and_what_it_waits_for(make_terminal) -> None:
    terminal = make_terminal(NO_COLOR="1")
    progress = Progress(terminal)
    progress.show(LOOK, REASON)
    progress.show(LOOK, REASON)
    assert terminal.stream.text.splitlines() == [
        "charge x2 failed in 50 ms (shop.Declined)",
        "sleeping until 2026-01-02T00:00:00.000000Z",
    ]
    ended = msgspec.structs.replace(PARENT.spans[2], status="completed", end_ms=160)
    progress.show(Look(trace("wrun_1", PARENT.spans[0], PARENT.spans[1], ended), LOOK.children), None)
    assert terminal.stream.text.splitlines()[2:] == ["child pay completed in 100 ms"]


def test_a_retry_is_told_with_its_time(make_terminal) -> None:
    terminal = make_terminal(NO_COLOR="1")
    retrying = span("1", "step", "shop:charge", "retrying", 0, None, error_type="OSError", attempts=1, due_at=AT)
    Progress(terminal).show(Look(trace("wrun_1", retrying)), None)
    assert terminal.stream.text == f"charge failed in attempt 1 (OSError); the next one at {AT}\n"


def test_a_look_finds_the_children_of_children(serving: Serving) -> None:
    async def look(client):
        return await look_at(client, (await run(client, "parent", "bob")).id)

    found = serving.do(look)
    assert [child.workflow for child in found.children.values()] == ["studio.greet"]
    assert [row.span.name for row in lay_out(found)] == ["studio.parent", "studio.greet", "studio.greet_one"]


def test_an_attempt_is_a_segment_and_not_a_line(make_terminal) -> None:
    again = span(
        "1", "step", "shop:charge", "running", 0, None,
        segments=[Segment(kind="running", start_ms=0, end_ms=1, outcome="failed"), Segment(kind="running", start_ms=1)],
    )  # fmt: skip
    terminal = make_terminal(NO_COLOR="1")
    Progress(terminal).show(Look(trace("wrun_1", again)), None)
    assert terminal.stream.text == ""


class CountedProgress(Progress):
    looks = 0

    async def look(self, client: Client, run_id: str) -> None:
        self.looks += 1
        await super().look(client, run_id)


async def begin_and_end() -> tuple[Client, str]:
    async with open_studio() as client:
        return client, (await run(client, "parent", "bob")).id


def test_a_run_without_news_is_looked_at_once_a_second_and_one_with_news_at_once(make_terminal) -> None:
    async def body() -> None:
        progress = CountedProgress(make_terminal())
        async with asyncio.TaskGroup() as group:
            following = group.create_task(progress.follow(client, run_id))
            await asyncio.sleep(60)
            assert progress.looks <= 60 / LOOK_AGAIN_SECONDS
            child_id = next(id for id in progress._looker.runs if id != run_id)
            for news_of in (run_id, child_id):
                before = progress.looks
                while progress.looks == before:  # at any time of its pace
                    await asyncio.sleep(LOOK_SECONDS / 2)
                await asyncio.sleep(LOOK_SECONDS)
                world._doorbells.ring([(f"log:{news_of}", news_of)])
                await asyncio.sleep(0)
                await asyncio.sleep(LOOK_SECONDS / 2)
                assert progress.looks == before + 2
            before = progress.looks
            for _ in range(1000):
                world._doorbells.ring([(f"log:{child_id}", child_id)])
                await asyncio.sleep(0.01)
            assert 90 <= progress.looks - before <= 10 / LOOK_SECONDS + 1
            following.cancel()

    client, run_id = asyncio.run(begin_and_end())
    world = client.session.world
    assert isinstance(world, MemoryWorld)
    jump(body)
