"""The prompt of `wf query`: what it takes for a question, offers, answers and survives."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from tests.wfstudio.cli.conftest import World
from tests.wfstudio.history.processes import LISTS, wait_for_children
from wf.settings import Settings
from wfstudio.cli.prompt import Prompt, SqlCompleter, converse, is_whole, make_session, page
from wfstudio.cli.query import Ask
from wfstudio.history.asking import Asker
from wfstudio.history.library import Library

ENDLESS = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t"
UP, ENTER, CTRL_C, CTRL_D = "\x1b[A", "\r", "\x03", "\x04"


@asynccontextmanager
async def open_prompt(world: World, root: Path, **ask: Any) -> AsyncIterator[Prompt]:
    asker = Asker(Settings(root=root, world=world.url), keeps_warm=True)
    try:
        yield Prompt(asker, Library(root), Ask("", **ask))
    finally:
        await asker.close()


@pytest.fixture
def prompt(world: World, tmp_path: Path) -> Prompt:
    """A prompt that is asked nothing."""
    library = Library(tmp_path)
    library.save("mine", "-- Mine.\nSELECT 1")
    return Prompt(Asker(Settings(root=tmp_path, world=world.url)), library, Ask(""))


# -- lines ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["", "  ", "SELECT 1;", "SELECT 1 ; ", "SELECT\n1;", "SELECT 1\n", "runs", "failures", ".help", ".save x"]
)  # fmt: skip
def test_a_question_is_whole(text: str) -> None:
    assert is_whole(text)


@pytest.mark.parametrize("text", ["SELECT 1", "SELECT", "from", "SELECT\n  1", "FROM runs WHERE"])
def test_a_question_goes_on(text: str) -> None:
    assert not is_whole(text)


@pytest.fixture
def keys() -> Iterator[PipeInput]:
    with create_pipe_input() as found, create_app_session(input=found, output=DummyOutput()):
        yield found


async def test_a_question_of_several_lines_ends_with_a_semicolon_or_an_empty_line(
    prompt: Prompt, keys: PipeInput
) -> None:
    session = make_session(prompt, None)
    keys.send_text(f"SELECT{ENTER}  1;{ENTER}")
    assert await session.prompt_async() == "SELECT\n  1;"
    keys.send_text(f"FROM runs{ENTER}LIMIT 1{ENTER}{ENTER}")
    assert await session.prompt_async() == "FROM runs\nLIMIT 1\n"
    keys.send_text(f"runs{ENTER}")
    assert await session.prompt_async() == "runs"


async def test_what_was_asked_is_there_again_also_the_next_time(
    prompt: Prompt, keys: PipeInput, tmp_path: Path
) -> None:
    path = tmp_path / "asked"
    for text in ("SELECT 1;", "SELECT 2;"):
        keys.send_text(text + ENTER)
        await make_session(prompt, path).prompt_async()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    session = make_session(prompt, path)
    asking = asyncio.create_task(session.prompt_async())
    async with asyncio.timeout(10):
        while len(session.history.get_strings()) < 2:  # it is read in the background
            await asyncio.sleep(0.01)
        keys.send_text(UP)
        while session.default_buffer.text != "SELECT 2;":
            await asyncio.sleep(0.01)
        keys.send_text(UP + ENTER)
        assert await asking == "SELECT 1;"


async def test_who_may_only_read_goes_without_a_history(prompt: Prompt, keys: PipeInput, tmp_path: Path) -> None:
    session = make_session(prompt, tmp_path / "no" / "such" / "folder")
    keys.send_text(f"SELECT 1;{ENTER}")
    assert await session.prompt_async() == "SELECT 1;"


# -- completion ----------------------------------------------------------------------------------


def complete(prompt: Prompt, text: str) -> dict[str, str]:
    """Give what is offered at the end of a text, with what is said of it."""
    found = SqlCompleter(prompt).get_completions(Document(text, len(text)), CompleteEvent())
    return {completion.text: completion.display_meta_text for completion in found}


def test_tables_columns_functions_and_words_are_offered(prompt: Prompt) -> None:
    assert complete(prompt, "SELECT * FROM hoo") == {
        "hooks": "One row a hook or webhook that a body registered, live or not."
    }
    assert complete(prompt, "SELECT p9") == {"p95(": "function", "p99(": "function"}
    assert complete(prompt, "SELECT name FROM steps GRO") == {"GROUP": ""}
    assert complete(prompt, "SELECT duration_") == {"duration_ms": "DOUBLE"}


def test_only_columns_of_the_tables_that_are_named_are_offered(prompt: Prompt) -> None:
    assert "waited_ms" in complete(prompt, "SELECT wa")
    assert "waited_ms" not in complete(prompt, "FROM runs SELECT wa")
    assert "waited_ms" in complete(prompt, "FROM runs JOIN hooks USING (run_id) SELECT wa")
    assert complete(prompt, "FROM runs AS r WHERE r.attri") == {"attributes": "MAP(VARCHAR, VARCHAR)"}


def test_saved_queries_are_offered_at_the_beginning(prompt: Prompt) -> None:
    assert complete(prompt, "mi")["mine"] == "Mine."
    assert "mine" not in complete(prompt, "SELECT mi")
    assert "failures" in complete(prompt, "fai")


def test_the_prompts_own_words_are_offered(prompt: Prompt) -> None:
    assert set(complete(prompt, ".s")) == {".schema", ".save"}
    assert set(complete(prompt, ".schema ho")) == {"hooks"}
    assert set(complete(prompt, ".format c")) == {"csv"}
    assert complete(prompt, ".limit 1") == {}


@pytest.mark.parametrize("text", ["", " ", "SELECT ", "SELECT 1 +", "SELECT (", "x."])
def test_nothing_is_offered_before_a_letter_is_typed(prompt: Prompt, text: str) -> None:
    assert complete(prompt, text) == {}


# -- answers -------------------------------------------------------------------------------------


async def test_a_conversation(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One after the other, as somebody types them; the answers are piped, so nothing is cut or coloured."""

    async def say(text: str) -> tuple[str, str]:
        assert await prompt.carry_out(text) is True
        return capsys.readouterr()

    async with open_prompt(world, tmp_path) as prompt:
        await prompt.learn()
        assert "quantile_cont" in prompt.functions
        assert ".param NAME=VALUE" in (await say(".help")).out  # type: ignore[attr-defined]
        assert (await say(".save x"))[1] == "nothing was asked yet\n"
        out, err = await say("SELECT status, count(*) AS n FROM runs GROUP BY ALL ORDER BY ALL;")
        *lines, last = out.splitlines()
        assert (lines, err) == (["status     n", "completed  5", "failed     1", "running    2"], "")
        assert last.startswith("3 rows in ")
        assert (await say(".save by-status"))[0] == f"saved as {tmp_path}/queries/by-status.sql\n"
        assert (await say("by-status"))[0].splitlines()[:4] == lines
        assert await say(".param w=studio.greet") == ("", "")
        assert await say(".param n=2") == ("", "")
        assert (await say(".param"))[0] == 'w = "studio.greet"\nn = 2\n'
        assert await say(".format jsonl") == ("", "")
        out, _ = await say("SELECT count(*) AS n FROM runs WHERE workflow = $w;")
        assert out.splitlines()[0] == '{"n":2}', "a parameter that is not named does not disturb"
        assert await say(".limit 2") == ("", "")
        out, _ = await say("FROM range(5);")
        assert out.splitlines()[:2] == ['{"range":0}', '{"range":1}']
        assert out.splitlines()[2].startswith("the first 2 rows in ")
        assert out.endswith(" ms; `.limit N` gives more\n")
        out, err = await say("SELEC 1;")
        assert (out, err) == (
            "",
            'Parser Error: syntax error at or near "SELEC"\n\nLINE 1: SELEC 1\n        ^^^^^\n'
            "  fix: `.schema` lists the tables and their columns\n  more: docs/errors/query.md\n",
        )
        assert (await say("SELECT $who;"))[1].splitlines()[-2] == (
            "  fix: give a value for each `$name`: `.param name=value`"
        )
    assert await prompt.carry_out("") is True
    for leave in (".quit", "quit;", ".exit", "exit"):
        assert await prompt.carry_out(leave) is False


@pytest.mark.parametrize(
    ("text", "err"),
    [
        ("failurs", "there is no query 'failurs'\n  fix: did you mean `failures`?\n"),
        ("zzzz", "there is no query 'zzzz'\n  fix: `.queries` lists them\n"),
        (".schema rns", "there is no table 'rns'\n  fix: did you mean `runs`?\n"),
        (".format cvs", "'cvs' is no format\n  fix: one of table, json, jsonl, csv, markdown\n"),
        (".limit many", "'many' is no number of rows\n"),
        (".limit 0", "'0' is no number of rows\n"),
        (".limit ²", "'²' is no number of rows\n"),
        (".param x", "--param: 'x' is not `key=value`\n"),
        (".sc\x1b[2J", "there is no .sc\\x1b[2J\n  fix: `.help` lists what there is\n"),
    ],
)
async def test_what_is_mistyped_is_explained(
    text: str, err: str, prompt: Prompt, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await prompt.carry_out(text) is True
    assert capsys.readouterr() == ("", err)


async def test_what_there_is_can_be_looked_up(prompt: Prompt, capsys: pytest.CaptureFixture[str]) -> None:
    await prompt.carry_out(".schema")
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()][:4] == [
        "NAME",
        "runs",
        "steps",
        "attempts",
    ]
    await prompt.carry_out(".schema waits")
    assert capsys.readouterr().out.splitlines()[0] == "waits: One row a sleep or timeout of a body."
    await prompt.carry_out(".queries")
    assert capsys.readouterr().out.splitlines()[1].split() == ["mine", "project", "Mine."]


@LISTS
async def test_ctrl_c_ends_a_query_and_not_the_prompt(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    was = signal.signal(signal.SIGINT, lambda *_: None)  # as `converse` has it
    try:
        async with open_prompt(world, tmp_path) as prompt:
            asking = asyncio.create_task(prompt.carry_out(f"{ENDLESS};"))
            await wait_for_children()
            for _ in range(3):  # whoever is in a hurry
                os.kill(os.getpid(), signal.SIGINT)
                await asyncio.sleep(0)
            assert await asking is True
            assert capsys.readouterr() == ("", "cancelled\n")
            os.kill(os.getpid(), signal.SIGINT)
            assert await prompt.carry_out("SELECT 1 AS one;") is True
            assert capsys.readouterr().out.startswith("one\n  1\n1 row in ")
    finally:
        signal.signal(signal.SIGINT, was)


async def test_from_its_first_line_to_its_last(
    world: World, tmp_path: Path, keys: PipeInput, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    keys.send_text(f"half a li{CTRL_C}SELECT 40 + 2 AS n;{ENTER}{CTRL_D}")
    before = signal.getsignal(signal.SIGINT)
    assert await converse(world.url, Ask("", form="csv")) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[:3] == ["SQL over all history. `.help` for help, `.quit` to leave.", "n", "42"]
    assert err == ""
    assert signal.getsignal(signal.SIGINT) is before


# -- paging --------------------------------------------------------------------------------------


def test_what_is_longer_than_the_screen_goes_through_the_pager(
    make_terminal: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = make_terminal(80)
    monkeypatch.setenv("PAGER", f"cat > {tmp_path}/paged; echo $LESS $LESSSECURE > {tmp_path}/less")
    monkeypatch.delenv("LESS", raising=False)
    page(terminal, ["one", "two"])
    assert terminal.stream.text == "one\ntwo\n"
    lines = [f"line {number} é" for number in range(24)]
    page(terminal, lines)
    assert terminal.stream.text == "one\ntwo\n", "the pager has the terminal"
    assert (tmp_path / "paged").read_text("utf-8").splitlines() == lines
    assert (tmp_path / "less").read_text() == "-SRFX 1\n"


def test_without_a_pager_or_a_terminal_all_is_printed(
    make_terminal: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["x"] * 100
    terminal = make_terminal(80)
    monkeypatch.delenv("PAGER", raising=False)
    monkeypatch.setenv("PATH", "")
    page(terminal, lines)
    assert terminal.stream.text.count("x\n") == 100


# -- a real terminal -----------------------------------------------------------------------------


class Tmux:
    """A terminal of 80 by 24 that runs one command, driven and looked at as a person does."""

    def __init__(self, folder: Path, command: list[str]) -> None:
        self._socket = str(folder / "tmux")
        self._command = command
        self._folder = folder

    def __enter__(self) -> Tmux:
        environ = ["env", "-u", "COLUMNS", "-u", "LINES", "-u", "NO_COLOR", "PAGER=less", "LESS=-SRX"]
        script = f'{shlex.join([*environ, *self._command])}; echo "left with $?"; exec sleep 600'
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", "-c", str(self._folder), script)
        return self

    def __exit__(self, *error: object) -> None:
        subprocess.run(["tmux", "-S", self._socket, "kill-server"], capture_output=True)

    def type(self, text: str) -> None:
        self._tmux("send-keys", "-l", "--", text.removesuffix(";") + ("\\;" if text.endswith(";") else ""))

    def press(self, *keys: str) -> None:
        self._tmux("send-keys", *keys)

    @property
    def shown(self) -> str:
        return self._tmux("capture-pane", "-p")

    def press_until(self, key: str, look: str | Callable[[str], bool]) -> None:
        """Press a key again and again, a quarter of a second apart: one that comes too early may be lost."""
        deadline = time.monotonic() + 20
        while True:
            self.press(key)
            try:
                self.wait_for(look, seconds=0.25)
                return
            except AssertionError:
                assert time.monotonic() < deadline, self.shown

    def wait_for(self, look: str | Callable[[str], bool], *, seconds: float = 20) -> str:
        deadline = time.monotonic() + seconds
        while True:
            shown = self.shown
            if look in shown if isinstance(look, str) else look(shown):
                return shown
            assert time.monotonic() < deadline, shown
            time.sleep(0.02)

    def _tmux(self, *words: str) -> str:
        return subprocess.run(
            ["tmux", "-S", self._socket, *words], check=True, capture_output=True, text=True, timeout=20
        ).stdout


@pytest.mark.skipif(shutil.which("tmux") is None or shutil.which("less") is None, reason="it needs tmux and less")
def test_a_person_at_a_terminal(world: World, tmp_path: Path) -> None:
    with Tmux(tmp_path, [sys.executable, "-m", "wfstudio", "query", "--world", world.url]) as terminal:
        terminal.wait_for("wf>")
        terminal.type("SELECT 6 * 7 AS answer;")
        terminal.press("Enter")
        terminal.wait_for("1 row in")
        # Completion: a menu while one types, and Tab takes from it.
        terminal.type("FROM hoo")
        terminal.wait_for("One row a hook")
        terminal.press("Tab")
        terminal.wait_for("FROM hooks")
        terminal.press("C-c")
        # What was asked comes back by the arrow keys.
        terminal.press_until("Up", lambda shown: shown.count("SELECT 6 * 7 AS answer;") == 2)
        terminal.press("Enter")
        terminal.wait_for(lambda shown: shown.count("1 row in") == 2)
        # Ctrl-C ends the query, and the prompt is there again.
        terminal.type(f"{ENDLESS};")
        terminal.press("Enter")
        terminal.press_until("C-c", "cancelled")
        # A long answer is paged, and Ctrl-C is the pager's.
        terminal.type("SELECT 'row ' || range AS r FROM range(200);")
        terminal.press("Enter")
        terminal.wait_for("row 21")
        terminal.press("C-c")
        terminal.press_until("G", "row 199")
        terminal.press("q")
        terminal.wait_for("200 rows in")
        # A mistake is explained, and Ctrl-D leaves.
        terminal.type("failurs")
        terminal.press("Enter")
        terminal.wait_for("did you mean `failures`?")
        terminal.press_until("C-d", "left with 0")
        assert "Traceback" not in terminal.shown
