"""`wf inspect`: every kind of thing, for readers and for programs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.wfstudio.cli.conftest import Screen, Serving, Wf, World
from tests.wfstudio.studio import rest
from wf.settings import Settings
from wf.worlds.process import process_token
from wfstudio.cli.app import main
from wfstudio.cli.inspect import KINDS
from wfstudio.core.client import Client
from wfstudio.core.server_file import ServerFile, server_file_path, write_server_file


@pytest.fixture
def look(wf_cli: Wf, world: World) -> Wf:
    return lambda *words: wf_cli("inspect", *words, "--world", world.url)


def test_runs_are_listed_newest_first(look: Wf, world: World) -> None:
    lines = look().out.splitlines()
    assert lines[0].split() == ["RUN", "STATUS", "WORKFLOW", "CREATED", "TOOK", "REASON", "ATTRIBUTES"]
    assert lines[1].startswith(world.parent) or lines[2].startswith(world.parent)
    assert lines[-1].split()[:3] == [world.completed, "completed", "studio.greet"]
    assert lines[-1].endswith(" name=ada")
    [waiting] = [line for line in lines if line.startswith(world.waiting)]
    assert "waiting for hook site:docs" in waiting


def test_runs_are_chosen_by_status_workflow_attributes_and_time(look: Wf, world: World) -> None:
    def ids(*words: str) -> list[str]:
        return [run["id"] for run in look(*words, "--jsonl").jsonl]

    assert ids("--status", "failed") == [world.failed]
    assert set(ids("--status", "running,failed")) == {world.failed, world.waiting, world.sleeping}
    assert ids("--workflow", "studio.nap") == [world.sleeping]
    assert world.completed in ids("--attr", "name=ada")
    assert ids("--attr", "name=eve") == []
    assert len(ids("--since", "1h")) == len(ids())
    assert ids("--until", "1h") == []


def test_pages_follow_each_other(look: Wf) -> None:
    everything = [run["id"] for run in look("--json").json["items"]]
    found: list[str] = []
    cursor: list[str] = []
    while True:
        page = look("--limit", "3", "--json", *cursor).json
        found += [run["id"] for run in page["items"]]
        if page["cursor"] is None:
            break
        cursor = ["--cursor", page["cursor"]]
    assert found == everything


def test_a_page_that_is_not_the_last_says_so(look: Wf) -> None:
    assert look("--limit", "1").out.splitlines()[-1].startswith("more: --cursor wrun_")


def test_a_run_is_drawn_with_what_it_is_and_its_timeline(look: Wf, world: World) -> None:
    out = look(world.completed).out
    assert out.startswith(f"{world.completed}  completed  studio.greet\n")
    assert '\n  input       {"name":"ada","times":2}\n' in out
    assert '\n  output      ["hello, ada","hello, ada"]\n' in out
    assert out.count("studio.greet_one") == 2
    assert "█ running" in out


def test_a_failed_run_shows_the_users_frames_and_no_escape(look: Wf, world: World) -> None:
    out = look("run", world.failed).out
    assert "Traceback (most recent call last):\n" in out
    assert ", in explode\n" in out
    assert "/wf/engine/" not in out
    assert out.endswith("ValueError: no money \\x1b[31m\n")


def test_an_abbreviated_id_is_enough_if_one_run_has_it(look: Wf, world: World) -> None:
    whole = look("run", world.completed, "--json").json
    # Ids of one millisecond may differ in their last characters only.
    ids = [run["id"] for run in look("runs", "--jsonl").jsonl]
    size = next(n for n in range(6, 99) if sum(run.startswith(world.completed[:n]) for run in ids) == 1)
    short = world.completed[:size]
    assert look("run", short, "--json").json["id"] == whole["id"]
    assert look(short.removeprefix("wrun_").lower(), "--json").json["id"] == whole["id"]
    several = look("wrun_")
    assert several.code == 2
    assert several.err.startswith("8 runs begin with 'wrun_'\n  fix: write more of it: wrun_")


def test_an_unknown_run_is_suggested(look: Wf, world: World) -> None:
    told = look("steps", world.completed[:-1] + "#")
    assert told.code == 1
    assert told.err.startswith(f"no run has the id '{world.completed[:-1]}#'\n  fix: did you mean `wrun_")


def test_an_unknown_kind_is_suggested(look: Wf, world: World) -> None:
    told = look("evnts", world.completed)
    assert (told.code, told.err.splitlines()[:2]) == (2, ["there is no kind 'evnts'", "  fix: did you mean `events`?"])
    assert look("evnts").err.startswith("'evnts' is no kind and no run\n  fix: did you mean `events`?")


def timeless(item: dict) -> dict:
    """Leave out what goes on with the clock."""
    return {key: value for key, value in item.items() if key != "duration_ms"}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "step"])
def test_every_kind_has_text_json_and_lines(kind: str, look: Wf, world: World) -> None:
    name = [] if kind in ("runs", "hooks", "waits", "deployments", "workflows") else [world.completed]
    words = [kind, *name]
    text = look(*words)
    assert text.code == 0
    assert (text.out == "") == (text.err != ""), "what is empty is said on stderr"
    page = look(*words, "--json").json
    lines = look(*words, "--jsonl").jsonl
    assert [timeless(item) for item in page.get("items", [page])] == [timeless(line) for line in lines]


def test_a_list_of_one_run_needs_the_run(look: Wf) -> None:
    told = look("events")
    assert (told.code, told.err.splitlines()[0]) == (2, "name the run: `wf inspect events RUN`")


def test_steps_show_their_attempts(look: Wf, world: World) -> None:
    [step] = look("steps", world.retried, "--json").json["items"]
    assert [attempt["status"] for attempt in step["attempts"]] == ["failed", "failed", "completed"]
    assert look("steps", world.retried).out.splitlines()[1].split()[1:4] == ["studio.flaky", "completed", "3"]


def test_a_step_is_shown_by_its_id(look: Wf, world: World) -> None:
    out = look("step", f"{world.retried}:1").out
    assert out.startswith(f"{world.retried}:1  completed  studio.flaky\n")
    assert "  attempt 2  failed  " in out
    assert "OSError: attempt 2\n" in out
    assert look("step", f"{world.retried}:9").err.startswith(f"there is no step {world.retried}:9\n")
    assert look("step", world.retried).err.startswith("name the step by its id, `RUN:NUMBER`\n")


def test_events_go_on_after_a_cursor(look: Wf, world: World) -> None:
    page = look("events", world.completed, "--limit", "2", "--json").json
    assert [event["type"] for event in page["items"]] == ["run_created", "run_started"]
    rest = look("events", world.completed, "--cursor", page["cursor"], "--jsonl").jsonl
    assert rest[0]["seq"] == 3
    assert rest[-1]["type"] == "run_completed"


def test_hooks_name_what_they_want(look: Wf, world: World) -> None:
    [line] = look("hooks").out.splitlines()[1:]
    assert line.split()[:3] == ["site:docs", "hook", world.waiting]
    assert "{approved*: boolean, note: string}" in line
    assert line.endswith('{"site":"docs"}')
    assert look("hooks", world.completed).err == "no hook waits for a payload\n"


def test_waits_and_streams_and_logs_and_attributes(look: Wf, world: World) -> None:
    assert look("waits").out.splitlines()[1].split()[:3] == [world.sleeping, "1", "sleep"]
    assert look("streams", world.streamed).out.splitlines()[1].split() == ["default", "3", "closed"]
    assert "greeting ada" in look("logs", world.completed).out
    assert look("attributes", world.completed).out.splitlines()[1].split() == ["name", "ada"]


def test_workflows_show_their_signature(look: Wf) -> None:
    [line] = [line for line in look("workflows").out.splitlines() if line.startswith("greet ")]
    assert "name, times=1, loud=False" in line
    assert line.endswith("Greet somebody, several times.")
    assert look("workflows", "greet", "--jsonl").jsonl[0]["id"] == "studio.greet"


def test_a_name_that_is_mistyped_is_suggested_and_not_an_empty_list(look: Wf, world: World) -> None:
    told = look("workflows", "grete")
    assert (told.code, told.err.splitlines()[0]) == (1, "the newest code has no workflow 'grete'")
    assert told.err.splitlines()[1].startswith("  fix: did you mean `greet`")
    told = look("deployments", "nope")
    assert (told.code, told.err.splitlines()[0]) == (1, "no deployment begins with 'nope'")
    told = look("--workflow", "grete")
    assert (told.code, told.out, told.err.splitlines()[0]) == (0, "", "there is no such run")
    assert told.err.splitlines()[1].startswith("  fix: the newest code has no workflow 'grete'; did you mean `greet`")
    assert look("--workflow", "greet", "--status", "cancelled").err == "there is no such run\n"
    told = look("greet")
    assert told.err.splitlines()[1] == "  fix: `wf inspect --workflow greet` lists the runs of that workflow"


@pytest.mark.parametrize("kind", ["runs", "workflows"])
def test_a_limit_holds_for_lists_with_pages_and_without(look: Wf, kind: str) -> None:
    ids = [item["id"] for item in look(kind, "--json").json["items"]]
    assert len(ids) > 1
    assert [item["id"] for item in look(kind, "-n", "1", "--json").json["items"]] == ids[:1]


def test_a_world_without_runs_says_how_one_begins(project: Path, wf_cli: Wf) -> None:
    assert wf_cli("run", "shop_flow.py:pay", '"ada"', "-q").code == 0
    assert wf_cli("gc", "--keep", "0", "-y").code == 0
    told = wf_cli("inspect")
    assert (told.code, told.out) == (0, "")
    assert told.err == "no run yet; `wf start WORKFLOW` starts one, and so does `wf run`\n"
    assert wf_cli("inspect", "--status", "failed").err == "there is no such run\n"


def test_locked_shows_no_payload(look: Wf, world: World) -> None:
    out = look("events", world.completed, "--locked").out
    assert "(locked)" in out
    assert "ada" not in out
    assert "ada" not in look("hooks", "--locked").out
    run = look("run", world.completed, "--locked", "--json").json
    assert (run["is_locked"], run["input"], run["output"]) == (True, None, None)


def test_the_url_is_the_running_studios(look: Wf, world: World, project) -> None:
    assert look("--url").err.startswith("no studio runs beside this world\n  fix: start one with `wf dev`")
    path = server_file_path(Settings(root=project, world=world.url))
    server = ServerFile(os.getpid(), process_token(), "http://127.0.0.1:4600", "secret", "2026-01-01T00:00:00.000000Z")
    write_server_file(path, server)
    try:
        assert look(world.completed, "--url").out == f"http://127.0.0.1:4600/runs/{world.completed}\n"
        for words, place in (
            ((), "/runs"),
            (("waits",), "/runs"),
            (("hooks",), "/studio/hooks"),  # `/hooks/…` are the webhooks'
            (("workflows",), "/studio/workflows"),
            (("deployments", "dep_1"), "/studio/code?deployment=dep_1"),
            (("events", world.completed), f"/runs/{world.completed}?tab=events"),
            (("waits", world.waiting), f"/runs/{world.waiting}"),
            (("step", f"{world.completed}:1"), f"/runs/{world.completed}?span=1"),
        ):
            assert look(*words, "--url").out == f"http://127.0.0.1:4600{place}\n"
        assert "secret" not in look("--url").out + look("--url").err
    finally:
        path.unlink()


def test_a_terminal_sees_when_and_how_in_colour(world: World, make_terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = make_terminal(80)
    monkeypatch.setattr("sys.stdout", terminal.stream)
    assert main(["inspect", "--world", world.url]) == 0
    screen = terminal.stream
    assert isinstance(screen, Screen)
    assert "\x1b[32m✓ completed\x1b[0m" in screen.text
    assert " ago" in screen.text or " now" in screen.text


def test_watching_a_run_prints_what_changes_until_it_has_ended(serving: Serving, wf_cli: Wf) -> None:
    started = serving.do(lambda client: client.start("approve", ["docs"]))

    async def resume_later(client: Client) -> None:
        await rest(client, started.id)
        await client.resume("site:docs", {"approved": True})

    resuming = serving.begin(resume_later)
    watched = wf_cli("inspect", started.id, "--watch", "--jsonl", "--world", serving.url)
    resuming.result(10)
    assert watched.code == 0
    assert watched.jsonl[-1]["status"] == "completed"
    assert watched.jsonl[-1]["output"] == "live"


def test_watching_on_a_terminal_draws_in_place(world: World, make_terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = make_terminal(80)
    monkeypatch.setattr("sys.stdout", terminal.stream)
    assert main(["inspect", world.completed, "--watch", "--world", world.url]) == 0
    assert world.completed in terminal.stream.text
    assert terminal.stream.text.endswith("\x1b[?25h"), "the cursor is shown again"
