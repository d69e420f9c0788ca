"""Tests of runs over HTTP: what `wf test gen` writes, as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.wfstudio.recorded import Recording, recording
from tests.wfstudio.site import TOKEN, call
from wfstudio.core.live import Feed
from wfstudio.server.access import Access
from wfstudio.server.app import make_app


async def ask(found: Recording, path: str) -> Any:
    app = make_app(found.client, Feed(), access=Access(TOKEN, port=4600), replays=found.replays)
    headers = [("host", "127.0.0.1:4600"), ("authorization", f"Bearer {TOKEN}")]
    return await call(app, "GET", path, headers, [b""])


async def test_a_test_and_its_history_are_given_and_nothing_is_written(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        run_id = await found.run("pay", "ada lovelace")
        answer = await ask(found, f"/api/runs/{run_id}/test?step=charge")
        assert answer.status == 200
        view = answer.json
        assert (view["run_id"], view["workflow"], view["calls"], view["steps"]) == (
            run_id,
            "flow:pay",
            ["step flow:charge"],
            [1],
        )
        assert view["test"]["path"] == f"tests/test_pay_{run_id[-6:].lower()}.py"
        assert "def test_pay_replays(wf_env):" in view["test"]["text"]
        assert "lovelace" in view["history"]["text"]
        assert not (tmp_path / "tests").exists()


async def test_it_may_be_redacted(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        run_id = await found.run("pay", "ada lovelace")
        view = (await ask(found, f"/api/runs/{run_id}/test?redact=true&hide=charge.amount&keep=reason")).json
        assert view["error"]["message"] == "keep: 'reason' is nothing that this run was given"
        view = (await ask(found, f"/api/runs/{run_id}/test?redact=true&hide=charge.amount")).json
        assert view["is_redacted"]
        assert "lovelace" not in view["history"]["text"]


async def test_what_cannot_be_made_says_why(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        run_id = await found.run("pay", "ada lovelace")
        assert (await ask(found, "/api/runs/wrun_1/test")).status == 404
        assert (await ask(found, f"/api/runs/{run_id}/test?step=x")).status == 400
        found.edit("await charge(card)", "await charge(card, 4)")
        answer = await ask(found, f"/api/runs/{run_id}/test")
        assert (answer.status, answer.slug) == (409, "conflict")
