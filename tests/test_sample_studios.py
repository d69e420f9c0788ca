"""What the READMEs of the samples promise of `wf dev`: killed, edited and called from outside while it works."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest

import do
from tests.pages import save
from tests.programs import find_port
from tests.test_samples import LEFTOVERS, SECONDS
from tests.wfstudio.dev.process import Process, serving


def take(name: str, tmp_path: Path) -> Path:
    folder = tmp_path / name
    shutil.copytree(do.ROOT / "sample_projects" / name, folder, ignore=LEFTOVERS)
    return folder


@contextmanager
def developing(folder: Path) -> Iterator[Process]:
    with serving(SimpleNamespace(root=folder), target=None) as process:
        process.wait_for("reload", lambda facts: facts["outcome"] == "loaded")
        yield process


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", *words], cwd=folder, capture_output=True, text=True, timeout=SECONDS
    )


def start(dev: Process, workflow: str, kwargs: dict[str, Any], run_id: str) -> None:
    dev.call("POST", "/api/runs", {"workflow": workflow, "kwargs": kwargs, "id": run_id})


def wait_for(what: str, is_so: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + SECONDS
    while not (found := is_so()):
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.02)
    return found


def wait_for_end(dev: Process, run_id: str) -> Any:
    ended = dev.wait_for_run(run_id, lambda facts: facts["ended_at"] is not None)
    assert ended["status"] == "completed", ended
    return ended["output"]


def events_of(dev: Process, run_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = dev.call("GET", f"/api/runs/{run_id}/events?limit=1000")["items"]
    return found


def assert_each_step_completed_once(dev: Process, run_id: str) -> None:
    completed = Counter(
        event["correlation_id"] for event in events_of(dev, run_id) if event["type"] == "step_completed"
    )
    assert completed
    assert set(completed.values()) == {1}


# -- endless chess


@pytest.fixture
def chess(tmp_path: Path) -> Path:
    folder = take("endless_chess", tmp_path)
    text = (folder / "flow.py").read_text("utf-8")
    (folder / "flow.py").write_text(text.replace("LONGEST_GAME = 240", "LONGEST_GAME = 18"), "utf-8")
    return folder


@pytest.mark.crash
def test_a_game_that_was_killed_goes_on_and_starts_the_next(chess: Path) -> None:
    with developing(chess) as dev:
        start(dev, "play", {"games": 2, "tempo": 0.05}, "cup-1")
        wait_for("some moves are made", lambda: len(events_of(dev, "cup-1")) > 12)
        dev.popen.send_signal(signal.SIGKILL)
    with developing(chess) as dev:
        assert wait_for_end(dev, "cup-1")["next_game"] == "cup-2"
        assert_each_step_completed_once(dev, "cup-1")
        assert wait_for_end(dev, "cup-2")["next_game"] is None
    scores = sorted((chess / "games").glob("*.pgn"))
    assert [path.name for path in scores] == ["cup-1.pgn", "cup-2.pgn"]
    standings = json.loads(run(chess, "-m", "wfstudio", "query", "standings", "--format", "json").stdout)
    assert {(row["player"], row["colour"]) for row in standings} == {
        (player, colour) for player in ("thinker", "grabber") for colour in ("white", "black")
    }


@pytest.mark.acceptance
def test_a_game_stays_with_its_code_and_the_next_one_has_the_new(chess: Path) -> None:
    with developing(chess) as dev:
        start(dev, "play", {"games": 2, "tempo": 3600}, "cup-1")
        wait_for("a move is made", lambda: events_of(dev, "cup-1")[-1]["type"] == "wait_created")
        path = chess / "flow.py"
        text = path.read_text("utf-8")
        assert "\n    board = chess.Board()\n" in text
        save(
            path, text.replace("\n    board = chess.Board()\n", "\n    await wf.sleep(1)\n    board = chess.Board()\n")
        )
        reload = dev.wait_for("reload", lambda facts: facts["outcome"] == "loaded")
        assert [verdict["run_id"] for verdict in reload["diverging"]] == ["cup-1"]
        first, second = play_on(dev, "cup-1"), play_on(dev, "cup-2")
        assert (first != second, second) == (True, reload["deployment_id"])


def play_on(dev: Process, run_id: str) -> Any:
    """End the pauses of a game until it is over, and give the deployment that it ended with."""

    def is_over() -> bool:
        ended: bool = dev.call("GET", f"/api/runs/{run_id}")["ended_at"] is not None
        if not ended:
            dev.call("POST", f"/api/runs/{run_id}/wake", {})
        return ended

    wait_for(f"{run_id} is over", is_over)
    wait_for_end(dev, run_id)
    return dev.call("GET", f"/api/runs/{run_id}")["deployment_id"]


# -- media pipeline


@pytest.mark.crash
def test_pictures_that_were_finished_are_not_made_again_and_progress_counts_on(tmp_path: Path) -> None:
    folder = take("media_pipeline", tmp_path)
    with developing(folder) as dev:
        start(dev, "publish_album", {"name": "alps", "count": 6}, "alps")
        wait_for("a picture is done", lambda: any(e["name"] == "flow:tell" for e in events_of(dev, "alps")))
        dev.popen.send_signal(signal.SIGKILL)
    with developing(folder) as dev:
        album = wait_for_end(dev, "alps")
        assert_each_step_completed_once(dev, "alps")
    assert (len(album["pictures"]), list(album["rejected"])) == (5, ["alps-006.jpg"])
    assert Path(album["contact_sheet"]).is_file()
    watched = run(folder, "watch.py", "alps")
    assert watched.returncode == 0, watched.stderr
    assert {line.split()[1] for line in watched.stdout.splitlines()} == {f"{number}/6" for number in range(1, 7)}


# -- support desk


class Page:
    """A running `desk.py`, and a browser's half of the protocol."""

    def __init__(self, folder: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.popen = subprocess.Popen([sys.executable, "-W", "error", "desk.py", str(port)], cwd=folder)
        wait_for("the page is there", self.is_there)

    def is_there(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/", timeout=5) as answer:
                return answer.status == 200  # type: ignore[no-any-return]
        except OSError:
            return False

    def post(self, path: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(
            f"{self.url}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read() or b"null")

    def read(self, ticket: str, after: int, is_last: Callable[[dict[str, Any]], bool]) -> dict[int, dict[str, Any]]:
        """Give the events after one, by number, up to the last one of interest."""
        headers = {} if after < 0 else {"Last-Event-ID": str(after)}
        request = urllib.request.Request(f"{self.url}/tickets/{ticket}/events", headers=headers)
        found: dict[int, dict[str, Any]] = {}
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            number = -1
            for line in answer:
                field, _, value = line.decode().strip().partition(": ")
                if field == "id":
                    number = int(value)
                if field == "data":
                    found[number] = json.loads(value)
                    if is_last(found[number]):
                        break
        return found

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait()


@pytest.mark.crash
def test_a_page_goes_on_after_the_last_event_it_saw_when_all_were_killed(tmp_path: Path) -> None:
    folder = take("support_desk", tmp_path)
    port = find_port()
    with developing(folder) as dev:
        page = Page(folder, port)
        try:
            ticket = page.post("/tickets", {"question": "My machine A101 is broken", "customer": "ada"})["ticket"]
            before = page.read(ticket, -1, lambda event: event["kind"] == "note")
            pegged_to = dev.call("GET", f"/api/runs/{ticket}")["deployment_id"]
            assert pegged_to.startswith("dep_")
            dev.popen.send_signal(signal.SIGKILL)
        finally:
            page.kill()
    with developing(folder) as dev:
        token = quote(f"refund:A101:{ticket}", safe="")
        dev.call("POST", f"/api/hooks/{token}/resume", {"payload": {"approved": True, "by": "Grace"}})
        page = Page(folder, port)
        try:
            after = page.read(ticket, max(before), lambda event: event["kind"] == "answered")
        finally:
            page.kill()
    assert sorted(before | after) == list(range(len(before) + len(after)))
    words = "".join(event["text"] for event in after.values() if event["kind"] == "piece")
    assert words == "Done: I have paid back 480.00 euros for an espresso machine. The receipt is R0001."


# -- order fulfilment


@pytest.mark.acceptance
def test_an_order_is_told_of_its_parcel_by_a_carrier_over_http(tmp_path: Path) -> None:
    folder = take("order_fulfilment", tmp_path)
    with developing(folder) as dev:
        order = json.loads((folder / "samples" / "small.json").read_text("utf-8"))
        start(dev, "fulfil", order, "o-1")
        wait_for("a parcel is booked", lambda: "o-1" in run(folder, "carrier.py").stdout)
        forged = run(folder, "carrier.py", "o-1", "delivered", "--forged")
        assert (forged.returncode, forged.stdout) == (1, "401 the signature does not fit\n")
        assert run(folder, "carrier.py", "o-1", "picked up", "--twice").stdout == "200 picked up: noted\n" * 2
        assert dev.call("GET", "/api/runs/o-1")["attributes"]["state"] == "shipping"
        assert run(folder, "carrier.py", "o-1", "delivered").stdout == "200 delivered: noted\n"
        assert wait_for_end(dev, "o-1")["state"] == "delivered"
        [shipment] = [r for r in dev.call("GET", "/api/runs")["items"] if r["workflow"] == "shipping:ship"]
        heard = [event for event in events_of(dev, shipment["id"]) if event["type"] == "hook_received"]
        assert len(heard) == 3, "the notice that came twice was heard once"
    asked = run(folder, "-m", "wfstudio", "query", "orders", "--format", "json")
    assert [(row["order"], row["state"], row["total"]) for row in json.loads(asked.stdout)] == [
        ("o-1", "delivered", 119.9)
    ]


@pytest.mark.crash
def test_an_order_that_was_killed_and_then_cancelled_leaves_nothing(tmp_path: Path) -> None:
    folder = take("order_fulfilment", tmp_path)
    order = json.loads((folder / "samples" / "large.json").read_text("utf-8"))
    with developing(folder) as dev:
        start(dev, "fulfil", order, "o-2")
        wait_for("the customer is asked", lambda: dev.call("GET", "/api/hooks")["items"])
        dev.popen.send_signal(signal.SIGKILL)
    with developing(folder) as dev:
        dev.call("POST", "/api/runs/o-2/cancel", {})
        ended = dev.wait_for_run("o-2", lambda facts: facts["ended_at"] is not None)
        assert (ended["status"], ended["attributes"]["why"]) == ("cancelled", "cancelled")
    left = run(folder, "-c", "import store; print(store.count_stock()['machine'], store.list_payments('o-2'))")
    assert left.stdout == "2 [(48000, 'void')]\n"
