"""Forks, differences and faults on a sample project: on the command line and over HTTP, under `wf dev`."""

from __future__ import annotations

import shutil
import urllib.parse
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import do
from tests.pages import save
from tests.quick import ask
from tests.test_samples import LEFTOVERS
from tests.wfstudio.dev.process import Process, serving

RUN = "site-ada"
Wf = Callable[..., tuple[int, Any]]
YES = {"approved": True, "comment": "looks good"}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site_builder"
    shutil.copytree(do.ROOT / "sample_projects" / "site_builder", folder, ignore=LEFTOVERS)
    text = (folder / "flow.py").read_text().replace('retry_delay="2s"', 'retry_delay="10ms"')
    (folder / "flow.py").write_text(text)
    return folder


@pytest.fixture
def wf(quick_wf: Path, site: Path) -> Wf:
    """Call a command in the project for its JSON; gives its exit code, too."""
    return partial(ask, quick_wf, site)


@pytest.fixture
def dev(site: Path, wf: Wf) -> Iterator[Process]:
    """A `wf dev` in which a run waits for its approval."""
    with serving(SimpleNamespace(root=site)) as process:
        process.wait_for("reload")
        assert wf("start", "build_site", '"ada"', "--id", RUN)[0] == 0
        wait_until_asked(process, RUN)
        yield process


def wait_until_asked(dev: Process, run_id: str) -> None:
    dev.wait_for_run(run_id, lambda run: (run["reason"] or "").startswith("waiting for hook"))


def wait_for_end(dev: Process, run_id: str) -> Any:
    run = dev.wait_for_run(run_id, lambda run: run["ended_at"] is not None)
    assert run["status"] == "completed", run
    return run["output"]


def approve(dev: Process, token: str) -> None:
    dev.call("POST", f"/api/hooks/{urllib.parse.quote(token, safe='')}/resume", {"payload": YES})


def edit(dev: Process) -> None:
    """Save code that tells more, in the same calls."""
    path = dev.project.root / "flow.py"
    text = path.read_text()
    assert '{"published": False, ' in text
    save(path, text.replace('{"published": False, ', '{"published": False, "asked": user_id, '))
    dev.wait_for("reload", lambda facts: facts["outcome"] == "loaded" and "asked" in path.read_text())


@pytest.mark.acceptance
def test_a_run_of_older_code_is_forked_with_another_answer_and_compared(dev: Process, site: Path, wf: Wf) -> None:
    approve(dev, "site:ada")
    published = wait_for_end(dev, RUN)
    assert published["published"] is True
    events = dev.call("GET", f"/api/runs/{RUN}/events?limit=200")["items"]
    edit(dev)
    code, fork = wf("fork", RUN, "--payload", 'site:ada={"approved": false, "comment": "too red"}', "--wait")
    assert code == 0, fork
    assert fork["output"] == {"published": False, "asked": "ada", "comment": "too red"}
    assert fork["deployment_id"] != dev.call("GET", f"/api/runs/{RUN}")["deployment_id"]
    assert [edited["what"] for edited in fork["fork"]["edits"]] == ["payload"]
    assert dev.call("GET", f"/api/runs/{RUN}/events?limit=200")["items"][: len(events)] == events
    progress = f"/api/runs/{fork['id']}/streams/progress"
    before = dev.call("GET", f"/api/runs/{RUN}/streams/progress?limit=1")["items"][0]["value"]
    assert before.startswith("rendered ")  # whichever page was ready first
    assert dev.call("GET", f"{progress}?limit=1")["items"][0]["value"] == before
    code, diff = wf("diff", RUN, fork["id"])
    assert code == 1
    assert diff["divergence"]["what"] == "output"
    assert diff["divergence"]["text"].startswith("hook Approval differs in payload")
    assert {call["name"] for call in diff["calls"] if call["state"] == "only_a"} >= {"flow:write_release"}
    assert dev.call("GET", f"/api/diff?a={RUN}&b={fork['id']}")["divergence"] == diff["divergence"]


@pytest.mark.acceptance
def test_over_http_a_step_gives_something_else_and_the_rest_is_run_by_todays_code(dev: Process) -> None:
    pages = [{"path": "index.html", "title": "Only", "text": ["One page."], "photo": None}]
    told = dev.call("POST", f"/api/runs/{RUN}/fork", {"set": {"plan_site": pages}, "id": "short"})
    assert told["run"]["fork"]["run_id"] == RUN
    wait_until_asked(dev, "short")
    assert dev.call("GET", "/api/runs/short")["attributes"] == {"tenant": "analytical-engines", "pages": "1"}
    approve(dev, "site:ada~short")
    assert [Path(file).name for file in wait_for_end(dev, "short")["files"]] == ["index.html"]
    assert dev.call("GET", f"/api/runs/{RUN}")["status"] == "running", "the one that was forked still waits"
    approve(dev, "site:ada")
    assert len(wait_for_end(dev, RUN)["files"]) > 1
    diff = dev.call("GET", f"/api/diff?a={RUN}&b=short")
    assert (diff["divergence"]["name"], diff["divergence"]["what"]) == ("flow:plan_site", "output")


@pytest.mark.acceptance
def test_a_fork_from_a_step_and_one_with_other_arguments(dev: Process, site: Path, wf: Wf) -> None:
    approve(dev, "site:ada")
    wait_for_end(dev, RUN)
    _, again = wf("fork", RUN, "--from", "check_links", "--wait")
    assert again["output"]["links_checked"] > 0
    steps = dev.call("GET", f"/api/runs/{again['id']}/steps?limit=50")["items"]
    assert steps[-1]["name"] == "flow:check_links"
    _, other = wf("fork", RUN, "--input", '["grace"]', "--id", "other")
    assert other["run"]["fork"]["edits"][0]["what"] == "input"
    wait_until_asked(dev, "other")
    assert wf("resume", "site:grace~other", '{"approved": false}')[0] == 0
    assert wait_for_end(dev, "other")["published"] is False


@pytest.mark.acceptance
def test_one_run_is_compared_with_two_versions_of_the_code(dev: Process, site: Path, wf: Wf) -> None:
    own = dev.call("GET", f"/api/runs/{RUN}")["deployment_id"]
    path = site / "flow.py"
    line = "    decision = await wait_for_decision(user_id)\n"
    assert line in path.read_text()
    save(path, path.read_text().replace(line, '    await report("soon")\n' + line))
    reload = dev.wait_for("reload", lambda facts: facts["deployment_id"] != own)
    code, diff = wf("diff", RUN, "--code", own, "--code", reload["deployment_id"])
    assert code == 1
    assert [side["outcome"] for side in diff["codes"]] == ["clean", "diverges"]
    assert diff["files"] == ["flow.py"]
    told = dev.call("POST", f"/api/runs/{RUN}/diff", {"codes": [own, reload["deployment_id"]]})
    assert [side["outcome"] for side in told["codes"]] == ["clean", "diverges"]


@pytest.mark.acceptance
def test_faults_are_injected_from_the_command_line_and_over_http(dev: Process, wf: Wf) -> None:
    code, rule = wf("fault", "add", "fail=flow.ImageServiceBusy: again", "--workflow", "build_site", "--step",
                    "render_page", "--attempt", "2")  # fmt: skip
    assert (code, rule["id"]) == (0, "f1")
    crash = {"action": "crash", "workflow": "build_site", "step": "fetch_profile", "attempt": 1}
    assert dev.call("POST", "/api/faults", crash)["id"] == "f2"
    wf("start", "build_site", '"grace"', "--id", "hurt")
    wait_until_asked(dev, "hurt")
    assert dev.wait_for("worker")["cause"] == "killed by SIGKILL"
    trace = dev.call("GET", "/api/runs/hurt/trace")
    told = [marker["data"]["text"] for marker in trace["markers"] if marker["kind"] == "fault"]
    assert told[0] == "crash in fetch_profile (position 1), attempt 1, by f2 seed 0"
    assert any(text.startswith("fail=flow.ImageServiceBusy: again in render_page") for text in told)
    steps = {step["name"]: step for step in dev.call("GET", "/api/runs/hurt/steps?limit=50")["items"]}
    assert [attempt["status"] for attempt in steps["flow:fetch_profile"]["attempts"]] == ["lost", "completed"]
    assert wf("fault", "clear") == (0, {"cleared": 2})
    waits = dev.call("GET", "/api/runs/hurt")
    assert waits["status"] == "running"
    jumped = dev.call("POST", "/api/runs/hurt/jump", {})
    assert jumped["kind"] == "deadline", "seven days go by"
    assert wait_for_end(dev, "hurt") == {"published": False, "comment": "nobody answered for 7 days"}
    code, diff = wf("diff", RUN, "hurt")
    assert code == 1
    assert diff["divergence"] is not None
