"""`wf diff`: two runs, or a run and code; exit code 1 where they differ."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.wfstudio.cli.conftest import Serving, Wf
from tests.wfstudio.studio import run, until
from wfstudio.cli import diff as module
from wfstudio.core.client import Client
from wfstudio.core.diff_views import CodeDiffView
from wfstudio.core.forks import ForkRequest

FIRST = "first-of-the-orders"
SECOND = "second-of-the-orders"


async def order(client: Client, id: str, *names: str, card: str = "good") -> None:
    started = await client.start("order", [list(names)], {"card": card}, id=id)
    [hook] = await until(lambda: client.list_hooks(started.id))
    await client.resume(str(hook.token), {"approved": True})
    await client.wait_for_end(started.id, 10)


async def order_two(client: Client) -> None:
    await order(client, FIRST, "tea", "milk")
    await order(client, SECOND, "tea", "cocoa", "milk", card="bad")


def plain(text: str) -> str:
    """Leave out how long things took, and squeeze what is between columns."""
    text = re.sub(r"dep_[0-9a-f]{24}", "dep", re.sub(r"[+-]?\d+(\.\d)? ms", "T", text))
    return "\n".join(re.sub(r" {2,}", "  ", line).rstrip() for line in text.splitlines())


def test_two_runs_that_differ_are_drawn_side_by_side(wf_cli: Wf, serving: Serving) -> None:
    serving.do(order_two)
    told = wf_cli("diff", FIRST, SECOND, "--world", serving.url)
    assert told.code == 1
    assert told.err == ""
    lines = plain(told.out).splitlines()
    assert lines[1:7] == [
        f"a  {FIRST}  completed  studio.order  T  dep",
        f"b  {SECOND}  completed  studio.order  T  T  dep",
        "",
        "they part at event 1 of a and event 1 of b: the runs differ in input.names[1] and 1 more place",
        "input",
        '  + input.names[1]  "cocoa"',
    ]
    assert [line.split("  T")[0] for line in lines[8:18]] == [
        "",
        "CALL  A  B  DELTA  STATUS",
        "+ studio.price#2",
        "~ studio.charge",
        '  ~ input.total  "7" → "12"',
        '  ~ input.card  "good" → "bad"',
        lines[14],
        "~ hook Approval",
        '  ~ input.token  "order:tea+milk" → "order:tea+cocoa+milk"',
        "",
    ]
    assert lines[14].startswith('  ~ output  "paid 7" → {"type":"tests.wfstudio.flows.Declined"')
    assert "output" in lines
    assert '  ~ output  "paid 7: True" → "declined (bad): True"' in lines
    assert lines[-1] == "2 calls are the same, 2 differ, 1 only in b"


def test_two_that_are_the_same_say_so_and_exit_with_0(wf_cli: Wf, serving: Serving) -> None:
    async def begin(client: Client) -> None:
        await order(client, FIRST, "tea")
        await order(client, SECOND, "tea")

    serving.do(begin)
    told = wf_cli("diff", FIRST, SECOND, "--world", serving.url)
    assert told.code == 0
    assert plain(told.out).splitlines()[4:] == ["they are the same", "", "3 calls are the same"] or "times" in told.out
    listed = plain(wf_cli("diff", FIRST, SECOND, "--all", "--world", serving.url).out)
    assert "  studio.price  T  T  T  completed" in listed
    assert wf_cli("diff", FIRST, FIRST, "--json", "--world", serving.url).json["is_same"] is True


def test_json_is_that_of_the_client(wf_cli: Wf, serving: Serving) -> None:
    serving.do(order_two)
    told = wf_cli("diff", FIRST, SECOND, "--json", "--world", serving.url)
    assert told.code == 1
    assert [(call["name"], call["state"]) for call in told.json["calls"]] == [
        ("studio.price", "only_b"), ("studio.charge", "changed"), ("tests.wfstudio.flows:Approval", "changed"),
    ]  # fmt: skip
    assert told.json["divergence"]["what"] == "input"
    everything = wf_cli("diff", FIRST, SECOND, "--json", "--all", "--world", serving.url).json
    assert len(everything["calls"]) == 5
    locked = wf_cli("diff", FIRST, SECOND, "--locked", "--world", serving.url)
    assert "payloads were not opened: only what is clear is compared" in locked.out


def test_a_fork_differs_from_its_origin_where_it_was_edited(wf_cli: Wf, serving: Serving) -> None:
    async def begin(client: Client) -> None:
        await order(client, FIRST, "tea")
        await client.fork(FIRST, ForkRequest(errors={"charge": "FatalError: no"}, id=SECOND))
        await client.wait_for_end(SECOND, 10)

    serving.do(begin)
    told = wf_cli("diff", FIRST, SECOND, "--world", serving.url)
    lines = plain(told.out).splitlines()
    assert "b failed with wf.errors.FatalError: no" in lines
    assert "they part at event 6 of a and event 7 of b: studio.charge differs in output" in lines
    assert [line.partition("  ")[0] for line in lines if line.startswith(("+", "-", "~"))] == [
        "~ studio.charge",
        "- hook Approval",
    ]


def test_a_terminal_sees_colours_and_no_control_characters(make_terminal: Any, serving: Serving) -> None:
    async def begin(client: Client) -> list[str]:
        return [(await run(client, "fail", text)).id for text in ("no \x1b[31mmoney", "none\u202e left")]

    first, second = serving.do(begin)
    view = serving.do(lambda client: client.diff(first, second, is_all=True))
    for terminal in (make_terminal(70), make_terminal(120, "ascii")):
        text = terminal.to_encodable("\n".join(module.draw_diff(terminal, view)))
        assert "\x1b[31mmoney" not in text
        assert "\u202e" not in text
        assert r"\x1b[31mmoney" in text
        assert "\x1b[3" in text, "there are colours of our own"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([FIRST],
         ["name the run to compare it with, or code", "  fix: `wf diff RUN RUN`, or `wf diff RUN --code own`"]),
        ([FIRST, SECOND, "--code", "own"],
         ["two runs are compared, or one run with code", "  fix: leave out the second run, or --code"]),
        ([FIRST, "--code", "a", "--code", "b", "--code", "c"],
         ["3 codes are named; name one, or two", "  fix: a run is replayed against each"]),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_a_misuse(words: list[str], told: list[str], wf_cli: Wf, serving: Serving) -> None:
    serving.do(lambda client: order(client, FIRST, "tea"))
    refused = wf_cli("diff", *words, "--world", serving.url)
    assert refused.code == 2
    assert refused.err.splitlines()[:2] == told


def test_an_unknown_run_is_told(wf_cli: Wf, serving: Serving) -> None:
    serving.do(lambda client: order(client, FIRST, "tea"))
    refused = wf_cli("diff", FIRST, "wrun_none", "--world", serving.url)
    assert (refused.code, refused.err.splitlines()[0]) == (1, "no run has the id 'wrun_none'")


# -- code ---------------------------------------------------------------------------------------


def test_a_run_is_compared_with_what_code_does(wf_cli: Wf, project: Path) -> None:
    ran = wf_cli("run", "shop_flow.py:pay", '"ada"', "--id", "paid", "--quiet")
    assert ran.code == 0
    [kept] = wf_cli("inspect", "deployments", "--json").json["items"]
    same = wf_cli("diff", "paid", "--code", "today", "--code", kept["id"])
    assert same.code == 0
    assert [line for line in same.out.splitlines() if line.startswith("paid")] == ["paid  clean  shop_flow:pay"] * 2
    file = project / "shop_flow.py"
    file.write_text(
        file.read_text().replace("return await charge(card, amount)", "return await charge(card, 2 * amount)")
    )
    told = wf_cli("diff", "paid", "--code", kept["id"], "--code", "today")
    assert told.code == 1
    lines = told.out.splitlines()
    assert lines[0] == "paid  clean  shop_flow:pay"
    assert "paid  diverges at event 3  shop_flow:pay" in lines
    assert any("another `amount`" in line for line in lines)
    assert any(line.endswith("parts from the log first") for line in lines)
    view = wf_cli("diff", "paid", "--code", "today", "--json")
    assert view.code == 1
    assert (view.json["is_same"], view.json["first"], len(view.json["codes"])) == (False, 0, 1)
    unknown = wf_cli("diff", "paid", "--code", "dep_none")
    assert unknown.code == 1
    assert unknown.err.startswith("the code of the deployment 'dep_none' is not kept")


def test_files_that_differ_are_named(make_terminal: Any) -> None:
    view = CodeDiffView(run_id="r", workflow="w", codes=[], is_same=True, files=["a.py", "b\x1b.py"])
    assert module.draw_code_diff(make_terminal(), view, "/") == ["files that differ: a.py, b\\x1b.py"]
