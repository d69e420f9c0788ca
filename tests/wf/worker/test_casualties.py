"""Casualties: a death is counted against the run whose body ran, and against nobody else."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import msgspec
import pytest

from wf.settings import load_settings
from wf.worker import casualties
from wf.worker.casualties import Casualties, Death, Turn, mark_blocked, open_casualties, read_turns

DIES = """
    import os, signal, sys
    from pathlib import Path
    from wf.worker.casualties import Casualties

    watch = Casualties(Path(sys.argv[1]), sys.argv[2])
    for word in sys.argv[3:]:
        if word == "leave":
            watch.leave()
        elif word == "close":
            watch.close()
        else:
            watch.enter(word)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def die(folder: Path, *words: str, deployment: str = "dep_1") -> None:
    """Have a process enter and leave bodies, and be killed."""
    program = [sys.executable, "-c", textwrap.dedent(DIES), str(folder), deployment, *words]
    assert subprocess.run(program, timeout=60).returncode == -9


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "world.db.bodies"


def count(folder: Path, run_id: str, deployment: str = "dep_1") -> int:
    watch = Casualties(folder, deployment)
    try:
        return watch.count(run_id)
    finally:
        watch.close()


def test_a_death_in_a_body_counts_against_its_run_alone(folder: Path) -> None:
    die(folder, "wrun_long_name_before", "leave", "wrun_a", "leave", "wrun_b")
    assert (count(folder, "wrun_b"), count(folder, "wrun_a"), count(folder, "wrun_long_name_before")) == (1, 0, 0)
    die(folder, "wrun_b")
    assert count(folder, "wrun_b") == 2


def test_a_death_outside_of_bodies_counts_against_nobody(folder: Path) -> None:
    die(folder, "wrun_a", "leave")
    die(folder)
    assert count(folder, "wrun_a") == 0
    assert not (folder / "ledger.json").exists() or msgspec.json.decode((folder / "ledger.json").read_bytes()) == []


def test_other_code_starts_from_nothing(folder: Path) -> None:
    die(folder, "wrun_a", deployment="dep_old")
    assert (count(folder, "wrun_a", "dep_old"), count(folder, "wrun_a", "dep_new")) == (1, 0)


def test_who_leaves_in_an_orderly_way_leaves_no_file(folder: Path) -> None:
    die(folder, "wrun_a", "leave", "close")
    assert count(folder, "wrun_a") == 0
    assert [name for name in os.listdir(folder) if name[0].isdigit()] == []


def test_a_process_that_lives_is_not_buried(folder: Path) -> None:
    alive = Casualties(folder, "dep_1")
    alive.enter("wrun_a")
    assert count(folder, "wrun_a") == 0
    assert len([name for name in os.listdir(folder) if name[0].isdigit()]) == 1
    alive.leave()
    alive.close()


def test_two_who_look_count_a_death_once_and_both_know_of_it(folder: Path) -> None:
    first, second = Casualties(folder, "dep_1"), Casualties(folder, "dep_1")
    die(folder, "wrun_a")
    first.bury()
    second.bury()
    assert (first.count("wrun_a"), second.count("wrun_a")) == (1, 1)
    first.close()
    second.close()


def test_deaths_are_forgiven_after_an_hour_and_forgotten(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    die(folder, "wrun_a")
    assert count(folder, "wrun_a") == 1
    later = time.time() + casualties.FORGIVEN_SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert count(folder, "wrun_a") == 0
    die(folder, "wrun_b")
    assert count(folder, "wrun_b") == 1
    [kept] = msgspec.json.decode((folder / "ledger.json").read_bytes(), type=list[Death])
    assert (kept.run_id, kept.deaths) == ("wrun_b", 1)


def test_files_that_are_broken_are_put_aside_without_harm(folder: Path) -> None:
    die(folder, "wrun_a")
    assert count(folder, "wrun_a") == 1
    (folder / "ledger.json").write_text("{")
    (folder / "999999999-1-X").write_bytes(b"\xff\xff short")
    (folder / "999999999-2-X").write_bytes(b"\xff\xff" + bytes(1022))
    (folder / "7 is no process").write_bytes(b"")
    (folder / "7").write_bytes(b"")
    assert count(folder, "wrun_a") == 0
    die(folder, "wrun_a")
    assert count(folder, "wrun_a") == 1


def test_a_folder_that_cannot_be_written_stops_no_worker(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "world.db.bodies").write_text("a file is in the way")
    settings = msgspec.structs.replace(load_settings(tmp_path), world=f"sqlite:///{tmp_path}/world.db")
    assert open_casualties(settings, "dep_1") is None
    assert "bodies are not watched over" in caplog.text


def test_what_could_not_be_noted_is_noted_by_the_next_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    die(folder, "wrun_a")

    def fill(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(os, "replace", fill)
        watch = Casualties(folder, "dep_1")
        assert watch.count("wrun_a") == 1, "who could not note it knows it all the same"
        watch.bury()
        assert watch.count("wrun_a") == 1
        watch.close()
    assert "who died could not be noted: [Errno 28]" in caplog.text
    assert count(folder, "wrun_a") == 1
    assert count(folder, "wrun_a") == 1


# -- bodies that do not come to an end


def die_blocked(folder: Path, *words: str) -> None:
    """Have a process stand still in a body, and be marked and ended by who looks at it from outside."""
    program = [sys.executable, "-c", textwrap.dedent(STANDS), str(folder), *words]
    with subprocess.Popen(program, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"stands\n"
        (turn,) = read_turns(folder, process.pid)
        assert turn.run_id == words[0]
        assert read_turns(folder, process.pid) == {turn}, "it stands still"
        mark_blocked(turn)
        process.kill()


STANDS = """
    import sys, time
    from pathlib import Path
    from wf.worker.casualties import Casualties

    watch = Casualties(Path(sys.argv[1]), "dep_1")
    watch.enter(sys.argv[2])
    watch.note_stack(sys.argv[3:])
    print("stands", flush=True)
    time.sleep(60)
"""


def find_blocked(folder: Path, run_id: str, deployment: str = "dep_1") -> Death | None:
    watch = Casualties(folder, deployment)
    try:
        return watch.find_blocked(run_id)
    finally:
        watch.close()


def test_a_body_that_was_ended_from_outside_is_known_as_blocked_with_its_stack_and_under_its_code(folder: Path) -> None:
    die_blocked(folder, "wrun_a", "flow.py:3 in main", "flow.py:9 in spin")
    death = find_blocked(folder, "wrun_a")
    assert death is not None
    assert (death.deaths, death.stack) == (1, ["flow.py:3 in main", "flow.py:9 in spin"])
    assert find_blocked(folder, "wrun_a", "dep_2") is None
    assert find_blocked(folder, "wrun_b") is None
    die(folder, "wrun_a")
    death = find_blocked(folder, "wrun_a")
    assert death is not None
    assert (death.deaths, len(death.stack)) == (2, 2), "a later death takes nothing away"
    die(folder, "wrun_b")
    assert find_blocked(folder, "wrun_b") is None


def test_a_stack_that_is_too_long_keeps_its_innermost_part(folder: Path) -> None:
    die_blocked(folder, "wrun_a", *(f"flow.py:{n} in a_function_of_a_longer_name" for n in range(50)))
    death = find_blocked(folder, "wrun_a")
    assert death is not None
    assert death.stack[-1] == "flow.py:49 in a_function_of_a_longer_name"
    assert len("\n".join(death.stack)) <= 256


def test_a_body_that_was_blocked_is_forgiven_after_a_while(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    die_blocked(folder, "wrun_a")
    assert find_blocked(folder, "wrun_a") is not None
    monkeypatch.setattr(casualties, "FORGIVEN_SECONDS", -1)
    assert find_blocked(folder, "wrun_a") is None


def test_each_activation_is_another_turn_and_so_is_one_that_is_well(folder: Path) -> None:
    watch = Casualties(folder, "dep_1")
    seen = []
    for _ in range(2):
        watch.enter("wrun_a")
        seen.append(read_turns(folder, os.getpid()))
        watch.go_on()
        seen.append(read_turns(folder, os.getpid()))
        watch.leave()
        assert read_turns(folder, os.getpid()) == set()
    assert len(set().union(*seen)) == 4
    watch.enter("wrun_a")
    watch.exempt()
    assert read_turns(folder, os.getpid()) == set()
    watch.close()
    assert read_turns(folder, os.getpid()) == set()
    assert read_turns(folder / "nowhere", os.getpid()) == set()
    mark_blocked(Turn(folder / "gone", "wrun_a", 1))


def test_the_process_of_another_pid_is_not_taken_for_this_one(folder: Path) -> None:
    watch = Casualties(folder, "dep_1")
    watch.enter("wrun_a")
    assert read_turns(folder, int(f"{os.getpid()}"[:-1] or 0)) == set()
    watch.close()
