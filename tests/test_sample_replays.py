"""Replays and time travel on a sample project: on the command line and over HTTP, by its own and by edited code."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import do
from tests.pages import save
from tests.quick import ask
from tests.test_samples import LEFTOVERS, SiteBuilder
from tests.wfstudio.dev.process import serving

RUN = "site-ada"
Wf = Callable[..., tuple[int, Any]]


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the site builder whose run waits for approval, and whose process was killed."""
    folder = tmp_path_factory.mktemp("sample") / "site_builder"
    shutil.copytree(do.ROOT / "sample_projects" / "site_builder", folder, ignore=LEFTOVERS)
    project = SiteBuilder(folder)
    try:
        project.build_until_it_waits_and_kill()
    finally:
        project.close()
    return folder


@pytest.fixture
def site(waiting: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "site_builder"
    shutil.copytree(waiting, folder, ignore=shutil.ignore_patterns("*.sock"))
    return folder


@pytest.fixture
def wf(quick_wf: Path, site: Path) -> Wf:
    """Call a command in the project for its JSON; gives its exit code, too."""
    return partial(ask, quick_wf, site)


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "flow.py"
    text = path.read_text()
    assert old in text
    save(path, text.replace(old, new))


@pytest.mark.acceptance
def test_the_waiting_run_is_clean_and_shows_where_it_waits(wf: Wf) -> None:
    code, verdict = wf("replay", RUN)
    assert (code, verdict["outcome"], verdict["workflow"]) == (0, "clean", "flow:build_site")
    _, moment = wf("replay", RUN, "--at", "last")
    [main] = moment["tasks"]
    assert [frame["function"] for frame in main["frames"]] == ["build_site", "wait_for_decision"]
    assert main["awaits"]["kind"] in ("step", "hook")  # it was killed when it said that it would wait
    assert {local["name"] for local in main["frames"][0]["locals"]} >= {"user_id", "profile", "pages", "files"}


@pytest.mark.acceptance
def test_its_fan_out_is_shown_as_it_was(wf: Wf) -> None:
    _, moment = wf("replay", RUN, "--at", "12")
    pages = [task for task in moment["tasks"] if task["name"].startswith("make_page")]
    assert len(pages) > 1
    assert {task["awaits"]["text"] for task in pages} <= {"step flow:render_page", "step flow:report"}


@pytest.mark.acceptance
def test_edited_code_diverges_and_the_old_code_is_still_there(site: Path, wf: Wf) -> None:
    edit(
        site,
        "decision = await wait_for_decision(user_id)",
        'await report("x")\n    decision = await wait_for_decision(user_id)',
    )
    code, verdict = wf("replay", RUN)
    assert (code, verdict["outcome"]) == (1, "diverges")
    assert verdict["actual"].startswith("step flow:report")
    assert verdict["where"].startswith("flow.py:92 in build_site")
    assert wf("replay", RUN, "--code", "own")[1]["outcome"] == "clean"
    (site / "flow.py").unlink()
    _, moment = wf("replay", RUN, "--at", "last")
    lines = [line["text"].strip() for line in moment["tasks"][0]["frames"][0]["source"]]
    assert "decision = await wait_for_decision(user_id)" in lines


@pytest.mark.acceptance
def test_a_step_is_carried_out_once_more(wf: Wf) -> None:
    code, view = wf("replay", RUN, "--step", "render_page#1")
    assert (code, view["outcome"]) == (0, "same")
    code, view = wf("replay", RUN, "--step", "fetch_profile", "--input", '{"user_id": "grace"}')
    assert (code, view["outcome"]) == (1, "differs")
    assert "result.name" in {change["path"] for change in view["changes"]}


@pytest.mark.acceptance
def test_wf_dev_answers_the_same_over_http(site: Path) -> None:
    with serving(SimpleNamespace(root=site)) as dev:
        dev.wait_for("reload")
        assert dev.call("POST", f"/api/runs/{RUN}/replay", {})["outcome"] == "clean"
        assert dev.call("POST", "/api/replay", {"runs": "open"})["clean"] == 1
        assert dev.call("POST", f"/api/runs/{RUN}/steps/fetch_profile/replay", {})["outcome"] == "same"
        dev.wait_for_run(RUN, lambda run: (run["reason"] or "").startswith("waiting for hook"))
        moment = dev.call("GET", f"/api/runs/{RUN}/at/last")
        assert moment["tasks"][0]["awaits"]["text"].startswith("hook site:ada, until ")
        assert moment["tasks"][0]["frames"][1]["function"] == "wait_for_decision"
        old = moment["deployment_id"]
        edit(
            site,
            "decision = await wait_for_decision(user_id)",
            'await report("x")\n    decision = await wait_for_decision(user_id)',
        )
        dev.wait_for("reload", lambda facts: facts["outcome"] == "loaded" and facts["deployment_id"] != old)
        assert dev.call("POST", f"/api/runs/{RUN}/replay", {})["outcome"] == "diverges"
        again = dev.call("GET", f"/api/runs/{RUN}/at/last")
        assert (again["deployment_id"], again["is_own"], again["tasks"]) == (old, True, moment["tasks"])
