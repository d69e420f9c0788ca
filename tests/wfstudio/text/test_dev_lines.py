"""The lines of the dev server, word for word."""

from __future__ import annotations

from typing import Any

from wfstudio.text.dev_lines import (
    Painter,
    show_banner,
    show_check,
    show_divergences,
    show_error,
    show_finding,
    show_link,
    show_loading,
    show_reload,
    show_urls,
    show_worker,
)

PLAIN = Painter(is_coloured=False)
TROUBLE = {
    "code": "NONDETERMINISM",
    "message": "run wrun_1 replayed differently",
    "seq": 4,
    "recorded": "step charge_card (position 2)",
    "actual": "a sleep (position 2)",
    "where": "flows.py:41 in fulfil",
}
VERDICT = {"run_id": "wrun_1", "workflow": "flows:fulfil", "outcome": "diverges", "trouble": TROUBLE}


def reload(**facts: Any) -> dict[str, Any]:
    usual = {
        "outcome": "loaded",
        "files": ["flows.py"],
        "workflows": 3,
        "load_ms": 140.4,
        "clean": 0,
        "diverging": [],
        "error": None,
    }
    return {**usual, **facts}


def test_a_reload_is_one_line_with_its_verdicts() -> None:
    line = show_reload(PLAIN, reload(clean=14, diverging=[VERDICT]))
    assert line == (
        "flows.py › 3 workflows reloaded in 140 ms › 14 runs replay clean, 1 diverges (step charge_card, event 4) [d]"
    )


def test_one_of_anything_is_said_in_the_singular() -> None:
    assert show_reload(PLAIN, reload(workflows=1, clean=1)) == (
        "flows.py › 1 workflow reloaded in 140 ms › 1 run replays clean"
    )


def test_the_first_load_of_all_names_no_file() -> None:
    assert show_reload(PLAIN, reload(files=[])) == "3 workflows loaded in 140 ms"


def test_many_files_are_counted() -> None:
    assert show_reload(PLAIN, reload(files=["a/x.py", "b/y.py"])).startswith("x.py, y.py › ")
    assert show_reload(PLAIN, reload(files=[f"{n}.py" for n in range(500)])).startswith("500 files › ")


def test_a_save_that_changes_nothing_says_so() -> None:
    assert show_reload(PLAIN, reload(outcome="unchanged")) == "flows.py › nothing that is loaded changed (140 ms)"


def test_a_save_that_mends_what_did_not_load_says_so() -> None:
    facts = reload(outcome="unchanged", is_mended=True)
    assert show_reload(PLAIN, facts) == "flows.py › loads again, and is what serves (140 ms)"


def test_code_that_takes_long_to_load_is_told_of() -> None:
    assert show_loading(PLAIN, {"files": ["flows.py"], "seconds": 5.0}) == (
        "flows.py › still loading after 5 s: look at what runs when the modules are imported; "
        "the code before goes on serving"
    )
    assert show_loading(PLAIN, {"files": [], "seconds": 5.0}) == (
        "still loading after 5 s: look at what runs when the modules are imported"
    )


def test_the_urls_are_where_who_goes() -> None:
    text = show_urls(PLAIN, url="http://127.0.0.1:4600", link="http://127.0.0.1:4600/#code=x")
    assert text == (
        "  studio    http://127.0.0.1:4600\n"
        "  API       http://127.0.0.1:4600/api\n"
        "  webhooks  http://127.0.0.1:4600/hooks/TOKEN\n"
        "  open this in a browser, once, within a minute:\n"
        "  http://127.0.0.1:4600/#code=x"
    )
    assert show_link(PLAIN, "http://x/#code=y") == (
        "  open this in a browser, once, within a minute:\n  http://x/#code=y"
    )


def test_code_that_does_not_load_is_shown_with_its_frame_and_the_cure() -> None:
    error = {
        "message": "flows.py cannot be imported: SyntaxError: invalid syntax",
        "where": "flows.py:2",
        "frame": "     1 | import wf\n>    2 | x y",
        "hint": "mend it",
    }
    assert show_reload(PLAIN, reload(outcome="not_loaded", error=error)) == (
        "flows.py › not loaded, the code before goes on serving\n"
        "flows.py cannot be imported: SyntaxError: invalid syntax\n"
        "  at flows.py:2\n"
        "       1 | import wf\n"
        "  >    2 | x y\n"
        "  fix: mend it"
    )


def test_divergences_name_run_place_and_remedies() -> None:
    assert show_divergences(PLAIN, [VERDICT]) == (
        "wrun_1 flows:fulfil\n"
        "  run wrun_1 replayed differently\n"
        "  at flows.py:41 in fulfil\n"
        "  with today's code: `wf fork wrun_1 --from 3`, or from the beginning, `--from 1`\n"
        "  they go on with the code that started them; `wf cancel RUN` ends one"
    )
    assert show_divergences(PLAIN, []) == "no run in flight diverges"


def test_a_worker_that_died_says_why_and_when_the_next_comes() -> None:
    facts = {"pid": 7, "cause": "killed by SIGSEGV", "restart_ms": 100.0}
    assert show_worker(PLAIN, facts) == "worker 7: killed by SIGSEGV, a new one starts in 0.1 s"
    assert show_worker(PLAIN, {"pid": 7, "cause": "silent"}) == "worker 7: silent"


def test_a_workflow_that_its_own_code_cannot_replay_is_told_with_the_cure() -> None:
    assert show_finding(PLAIN, VERDICT) == (
        "flows:fulfil is not deterministic: run wrun_1 replayed differently\n"
        "  at flows.py:41 in fulfil\n"
        "  fix: ask `wf.now`, `wf.random` or a step instead of the clock, the dice or the order of a set"
    )


FINDINGS = [
    {"code": "WF303", "severity": "warning", "message": "a default", "file": "flow.py", "line": 2, "column": 1},
    {"code": "WF101", "severity": "error", "message": "`time.time` asks the clock", "file": "flow.py", "line": 6},
]


def test_findings_are_one_line_with_their_number_and_the_worst_of_them() -> None:
    facts = {"errors": 1, "codes": {"WF101": 1, "WF303": 1}, "findings": FINDINGS, "before": 0}
    assert show_check(PLAIN, facts) == "2 findings (WF101, WF303) › flow.py:6 `time.time` asks the clock › wf check"
    facts = {"errors": 0, "codes": {"WF303": 1}, "findings": FINDINGS[:1], "before": 0}
    assert show_check(PLAIN, facts) == "1 finding (WF303) › flow.py:2 a default › wf check"


def test_findings_that_are_gone_are_told_too() -> None:
    assert show_check(PLAIN, {"errors": 0, "codes": {}, "findings": [], "before": 2}) == "no findings any more"


def test_the_banner_says_where_everything_is() -> None:
    banner = show_banner(
        PLAIN,
        version="1.0",
        url="http://127.0.0.1:4601",
        world="sqlite:///.wf/world.db",
        durability="power",
        target="flow.py",
        warnings=["port 4600 is taken"],
    )
    for part in ("http://127.0.0.1:4601", "sqlite:///.wf/world.db (power: fsync", "flow.py", "port 4600 is taken"):
        assert part in banner


def test_user_code_cannot_move_the_cursor() -> None:
    assert show_error(PLAIN, {"message": "a\x1b[2Jb\x07\x9bc\u202e"}) == r"a\x1b[2Jb\x07\x9bc\u202e"
    assert "\x1b" not in show_error(PLAIN, {"message": "\x1b]0;title\x07", "where": "\x1b[1m", "hint": "\x1b"})


def test_colours_are_only_for_terminals_that_want_them() -> None:
    assert Painter(is_coloured=True).bad("x") == "\x1b[31mx\x1b[0m"
    assert PLAIN.bad("x") == "x"


def test_a_place_is_named_as_seen_from_where_the_reader_is() -> None:
    verdict = {**VERDICT, "trouble": {**TROUBLE, "where": "/srv/shop/flows.py:41 in fulfil"}}
    assert "  at flows.py:41 in fulfil\n" in show_divergences(Painter(is_coloured=False, folder="/srv/shop"), [verdict])
    for painter in (PLAIN, Painter(is_coloured=False, folder="/srv/sho")):
        assert "  at /srv/shop/flows.py:41 in fulfil\n" in show_divergences(painter, [verdict])
