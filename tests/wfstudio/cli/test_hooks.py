"""`wf hooks` and `wf resume`."""

from __future__ import annotations

import io

import pytest

from tests.wfstudio.cli.conftest import Serving, Wf, World
from tests.wfstudio.studio import rest


@pytest.fixture
def waiting(serving: Serving) -> Serving:
    async def begin(client):
        return await rest(client, (await client.start("approve", ["docs"])).id)

    serving.do(begin)
    return serving


def test_hooks_are_listed_with_what_they_want(wf_cli: Wf, world: World) -> None:
    listed = wf_cli("hooks", "--world", world.url)
    assert listed.out.splitlines()[1].split()[0] == "site:docs"
    [hook] = wf_cli("hooks", world.waiting, "--jsonl", "--world", world.url).jsonl
    assert (hook["token"], hook["run_id"], hook["metadata"]) == ("site:docs", world.waiting, {"site": "docs"})
    assert wf_cli("hooks", "--json", "--world", world.url).json == {"items": [hook], "cursor": None}


def test_no_hook_is_said_on_stderr(wf_cli: Wf, serving: Serving) -> None:
    assert wf_cli("hooks", "--world", serving.url) == (0, "", "no hook waits for a payload\n")


def test_a_payload_resumes_the_run(wf_cli: Wf, waiting: Serving) -> None:
    [hook] = wf_cli("hooks", "--jsonl", "--world", waiting.url).jsonl
    resumed = wf_cli("resume", "site:docs", '{"approved": true}', "--world", waiting.url)
    assert resumed == (0, "", f"resumed the hook site:docs of run {hook['run_id']}\n")
    assert waiting.do(lambda client: client.wait_for_end(hook["run_id"], 10)).output == "live"


def test_a_payload_may_come_from_stdin_and_the_hook_be_given_as_json(
    wf_cli: Wf, waiting: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('{"approved": false}'))
    resumed = wf_cli("resume", "site:docs", "--input", "-", "--json", "--world", waiting.url)
    assert (resumed.code, resumed.json["token"]) == (0, "site:docs")


def test_a_payload_that_does_not_fit_is_told_the_schema_and_changes_nothing(wf_cli: Wf, waiting: Serving) -> None:
    told = wf_cli("resume", "site:docs", '{"approved": "yes"}', "--world", waiting.url)
    assert told.code == 2
    assert (
        told.err.splitlines()[0]
        == "the payload does not fit the hook's schema: approved: 'yes' is not of type 'boolean'"
    )
    assert told.err.splitlines()[1] == (
        "  fix: it must be {approved*: boolean, note: string}; a star marks what must be there"
    )
    assert len(wf_cli("hooks", "--jsonl", "--world", waiting.url).jsonl) == 1


def test_an_unknown_token_is_suggested(wf_cli: Wf, waiting: Serving) -> None:
    told = wf_cli("resume", "site:dosc", "true", "--world", waiting.url)
    assert told == (
        1,
        "",
        "no live hook has the token 'site:dosc'\n"
        "  fix: did you mean `site:docs`?\n"
        "  more: docs/errors/hook-not-found.md\n",
    )


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["yes"], "the payload 'yes' is not JSON\n  fix: for a text write '\"yes\"'\n"),
        (["1", "2"], "the payload is one JSON value\n  fix: quote it: '1 2'\n"),
        (["1", "--input", "-"], "the payload is given twice: on the command line, and with --input\n"),
        (["--jsn"], "no such option: --jsn\n  fix: did you mean `--json`?\n"),
    ],
)
def test_what_is_no_payload_is_refused(words: list[str], text: str, wf_cli: Wf, world: World) -> None:
    told = wf_cli("resume", "site:docs", *words, "--world", world.url)
    assert told == (2, "", f"{text}  more: wf resume --help\n")
