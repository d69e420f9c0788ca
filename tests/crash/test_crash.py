"""Kill -9 at every commit: what was committed survives, what was not is done again, nothing twice.

For every shape, an uninterrupted trial counts the commits N and gives the expected outcome. Then,
for every k in 1..N, one trial is killed right before the k-th COMMIT and one right after; a second
trial on what is left must come to the same outcome. Enumerated, not sampled; the count is printed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.crash.shapes import SHAPES
from tests.postgres import Cluster

ROOT = Path(__file__).parents[2]
TERMINAL = ("run_completed", "run_failed", "run_cancelled")


class Zygote:
    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.zygote"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, **request: Any) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the zygote died"
        report: dict[str, Any] = json.loads(line)
        return report

    def close(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    made = Zygote()
    yield made
    made.close()


def read_effects(folder: Path) -> dict[str, list[int]]:
    """Give the attempts that executed, in order, by step id."""
    effects: dict[str, list[int]] = {}
    path = folder / "effects"
    for line in path.read_text().splitlines() if path.exists() else []:
        step_id, attempt = line.rsplit(" ", 1)
        effects.setdefault(step_id, []).append(int(attempt))
    return effects


def check_laws(report: dict[str, Any], folder: Path, point: str) -> None:
    """Every log is whole, and tells of exactly the attempts that executed."""
    assert "error" not in report, f"{point}: {report['error']}"
    assert report["left"] == {"waits": 0, "hooks": 0, "locks": 0}, f"{point}: something was left behind"
    effects = read_effects(folder)
    for run_id, history in report["histories"].items():
        types = [event[0] for event in history["events"]]
        assert sum(type_ in TERMINAL for type_ in types) == 1, f"{point}: {run_id} did not end exactly once: {types}"
        began: dict[int, list[int]] = {}
        completed: dict[int, int] = {}
        for type_, number, attempt in history["events"]:
            if type_ in ("step_created", "step_started") and attempt:
                began.setdefault(number, []).append(attempt)
                assert number not in completed, f"{point}: step {number} of {run_id} began after it was completed"
            if type_ == "step_completed":
                assert number not in completed, f"{point}: step {number} of {run_id} completed twice"
                completed[number] = attempt
        for number, attempts in began.items():
            if number in history["inherited"]:
                assert f"{run_id}:{number}" not in effects, f"{point}: {run_id} ran step {number}, which it inherited"
                continue
            executed = effects.get(f"{run_id}:{number}", [])
            assert len(set(executed)) == len(executed), f"{point}: an attempt executed twice: {executed}"
            assert set(executed) <= set(attempts), f"{point}: an attempt is not in the log: {executed} {attempts}"
            if number in completed:
                assert executed[-1] == completed[number], f"{point}: step {number} ran again: {executed}"


def check_streams(report: dict[str, Any], point: str) -> None:
    """Each attempt's chunks are there once and in order, the last attempt's all of them."""
    for chunks in report["streams"].values():
        seen = [tuple(chunk) for chunk in chunks]
        assert len(set(seen)) == len(seen), f"{point}: a chunk is there twice: {seen}"
        by_attempt: dict[int, list[int]] = {}
        for attempt, index in seen:
            by_attempt.setdefault(attempt, []).append(index)
        for indexes in by_attempt.values():
            assert indexes == list(range(len(indexes))), f"{point}: a chunk was lost: {seen}"
        assert len(by_attempt[max(by_attempt)]) == 4, f"{point}: the last attempt's chunks are not all there: {seen}"


@pytest.mark.parametrize("name", list(SHAPES))
def test_a_worker_killed_at_any_commit_changes_nothing_of_the_outcome(
    name: str, zygote: Zygote, tmp_path: Path, record_property: Any
) -> None:
    def run(folder: Path, **more: Any) -> dict[str, Any]:
        return zygote.run(shape=name, folder=str(folder), **more)

    record_property("kills", kill_everywhere(name, run, tmp_path))


def test_nor_does_one_whose_world_is_a_database(
    zygote: Zygote, tmp_path: Path, postgres: Cluster, emptied_postgres_url: str
) -> None:
    """At some commits only, of a shape that reaches out of its run: each trial is a process and a world."""
    name = "child"
    begun: set[Path] = set()

    def run(folder: Path, **more: Any) -> dict[str, Any]:
        if folder not in begun:  # a world a folder: the same one, emptied
            postgres.empty(emptied_postgres_url)
            begun.add(folder)
        return zygote.run(shape=name, folder=str(folder), world=emptied_postgres_url, **more)

    kill_everywhere(name, run, tmp_path, points=4)


def kill_everywhere(name: str, run: Callable[..., dict[str, Any]], tmp_path: Path, points: int | None = None) -> int:
    """Kill a trial before and after each commit (or at so many `points` of them), have another one go on, and compare.

    Gives how many were killed.
    """
    calm = tmp_path / "calm"
    calm.mkdir()
    expected = run(calm)
    check_laws(expected, calm, f"{name}, uninterrupted")
    check_streams(expected, f"{name}, uninterrupted")
    assert expected["warnings"] == []
    trials = 0
    # Timers may group the commits of a trial otherwise than the calm one, so the last points may not
    # be reached: then the trial ends by itself, and counts as uninterrupted.
    stride = 1 if points is None else max(1, expected["commits"] // points)
    for kill_at in range(1, expected["commits"] + 1, stride):
        for phase in ("before", "after"):
            point = f"{name}, killed {phase} commit {kill_at} of {expected['commits']}"
            folder = tmp_path / f"{kill_at}-{phase}"
            folder.mkdir()
            first = run(folder, kill_at=kill_at, phase=phase)
            assert first["was_killed"] or "outcome" in first, f"{point}: {first.get('error')}"
            second = run(folder)
            check_laws(second, folder, point)
            check_streams(second, point)
            assert second["outcome"] == expected["outcome"], point
            main = second["histories"]["crash-run"]
            assert main["status"] == expected["histories"]["crash-run"]["status"], point
            assert main["attributes"] == expected["histories"]["crash-run"]["attributes"], point
            trials += first["was_killed"]
            shutil.rmtree(folder)
    assert trials > 0
    print(f"{name}: {trials} kills at {expected['commits']} commits, same outcome after each")
    return trials
