"""The prompt of `wf query`: one question after the other, with history, completion and paging.

A question ends with `;` or an empty line. Words that begin with a dot are the prompt's own. Ctrl-C ends the
query that is being answered, Ctrl-D the prompt.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import msgspec
from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.history import FileHistory, History
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.lexers import PygmentsLexer
from pygments.lexers.sql import SqlLexer

from wf.errors import WorkflowError
from wfstudio.cli.connection import settle
from wfstudio.cli.misuse import Misuse
from wfstudio.cli.query import SHOWN_ROWS, Ask, encoding_of, find_query, give, open_asker, read_parameters
from wfstudio.cli.query_formats import TEXT_FORMATS
from wfstudio.cli.query_schema import draw_names, draw_view, find_views
from wfstudio.cli.tables import Column, draw_table
from wfstudio.cli.terminal import Terminal, results, words
from wfstudio.history import completion
from wfstudio.history.asking import Asker
from wfstudio.history.library import Library
from wfstudio.history.schema import VIEWS
from wfstudio.history.wire import Done
from wfstudio.text.printable import printable, printable_lines, to_json

PROMPT: Final = "wf> "
GOES_ON: Final = "..> "

_HELP: Final = """\
  SELECT …;            ask; a question ends with ; or an empty line
  NAME                 ask a saved query, or show a table
  .schema [TABLE]      tables and columns
  .queries             the saved queries
  .save NAME           keep the last question with the project
  .param NAME=VALUE    what `$NAME` stands for; `.param` lists them
  .format FORMAT       table, json, jsonl, csv or markdown
  .limit N             at most so many rows
  .help  .quit         this text; leave (or Ctrl-D)"""
_DOTS: Final = (".schema", ".queries", ".save", ".param", ".format", ".limit", ".help", ".quit")
_SAID_HERE: Final = {
    "`wf query --schema`": "`.schema`",
    "`wf query --list`": "`.queries`",
    "`--param name=value`": "`.param name=value`",
}
"""How the cures that errors name are called at the prompt."""
_LEAVE: Final = (".quit", ".exit", "quit", "exit")


async def converse(world: str | None, ask: Ask) -> int:
    """Ask for questions and answer them, until the end of the input. `ask` says how."""
    settings = settle(world)
    path = settings.local_path
    async with open_asker(world, keeps_warm=True) as asker:
        prompt = Prompt(asker, Library(settings.root), ask)
        terminal = results()
        terminal.print(terminal.paint("SQL over all history. `.help` for help, `.quit` to leave.", "dim"))
        learning = asyncio.create_task(prompt.learn())
        try:
            session = make_session(prompt, None if path is None else path.with_name(f"{path.name}.queries"))
            with _deaf():
                await _ask_and_answer(session, prompt)
        finally:
            learning.cancel()
            await asyncio.gather(learning, return_exceptions=True)
    return 0


async def _ask_and_answer(session: PromptSession[str], prompt: Prompt) -> None:
    while True:
        try:
            text = await session.prompt_async(PROMPT)
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        if not await prompt.carry_out(text):
            return


class Prompt:
    """What the prompt knows, and what it does with a line."""

    def __init__(self, asker: Asker, library: Library, ask: Ask) -> None:
        self._asker = asker
        self.library = library
        self.functions: list[str] = list(completion.OURS)
        # A limit in every format: all of an answer is in memory before it is paged.
        self._ask = msgspec.structs.replace(ask, limit=ask.limit or SHOWN_ROWS)
        self._last: str | None = None

    async def learn(self) -> None:
        """Ask for the names of DuckDB's functions, for completion. Without them it completes the rest."""
        self.functions += await completion.list_functions(self._asker)

    async def carry_out(self, text: str) -> bool:
        """Carry out what was typed; False ends the prompt."""
        text = text.strip().rstrip(";").strip()
        if text in _LEAVE:
            return False
        try:
            if text.startswith("."):
                self._obey(text)
            elif text:
                await self._answer(find_query(text, self.library))
        except (Misuse, WorkflowError) as error:
            words().print(printable_lines(_explain(error)))
        return True

    def _obey(self, text: str) -> None:
        word, _, rest = text.partition(" ")
        rest = rest.strip()
        terminal = results()
        match word:
            case ".help":
                terminal.print(_HELP)
            case ".schema":
                page(terminal, draw_view(terminal, find_views(rest)[0]) if rest else draw_names(terminal))
            case ".queries":
                rows = [[query.name, query.origin, printable(query.doc)] for query in self.library.list()]
                page(terminal, draw_table(terminal, _SAVED, rows))
            case ".save" if self._last is not None:
                terminal.print(f"saved as {printable(str(self.library.save(rest, self._last)))}")
            case ".save":
                raise Misuse("nothing was asked yet")
            case ".param" if rest:
                self._ask = msgspec.structs.replace(
                    self._ask, parameters=self._ask.parameters | read_parameters([rest])
                )
            case ".param":
                terminal.print(
                    *(f"{name} = {printable(to_json(value))}" for name, value in self._ask.parameters.items())
                )
            case ".format" if rest in TEXT_FORMATS:
                self._ask = msgspec.structs.replace(self._ask, form=rest)
            case ".format":
                raise Misuse(f"{rest!r:.40} is no format", hint=f"one of {', '.join(TEXT_FORMATS)}")
            case ".limit" if rest.isascii() and rest.isdigit() and int(rest):
                self._ask = msgspec.structs.replace(self._ask, limit=int(rest))
            case ".limit":
                raise Misuse(f"{rest!r:.40} is no number of rows")
            case _:
                raise Misuse(f"there is no {word:.40}", hint="`.help` lists what there is")

    async def _answer(self, sql: str) -> None:
        self._last = sql
        terminal, stream = results(), BytesIO()
        # Only what the question names: a parameter too many is an error.
        used = {name: value for name, value in self._ask.parameters.items() if _names(sql, name)}
        ask = msgspec.structs.replace(self._ask, sql=sql, parameters=used)
        asking = asyncio.create_task(give(self._asker, ask, stream, terminal))
        loop = asyncio.get_running_loop()
        # Once: a second Ctrl-C would cut its end short.
        loop.add_signal_handler(signal.SIGINT, lambda: asking.cancelling() or asking.cancel())
        try:
            done = await asking
        except asyncio.CancelledError:
            words().print("cancelled")
            return
        finally:
            loop.remove_signal_handler(signal.SIGINT)
            signal.signal(signal.SIGINT, _ignore)
        page(terminal, stream.getvalue().decode(encoding_of(terminal)).splitlines())
        terminal.print(terminal.paint(_tell_end(done), "dim"))


_SAVED: Final = (Column("name"), Column("from"), Column("what it asks", is_flexible=True))


def _names(sql: str, parameter: str) -> bool:
    return re.search(rf"\${re.escape(parameter)}\b", sql) is not None


def _tell_end(done: Done) -> str:
    rows = f"{done.rows} row{'' if done.rows == 1 else 's'}"
    if done.is_capped:
        return f"the first {rows} in {done.elapsed_ms:.0f} ms; `.limit N` gives more"
    return f"{rows} in {done.elapsed_ms:.0f} ms"


def _explain(error: Exception) -> str:
    hint = getattr(error, "hint", None)
    text = error.explain() if isinstance(error, WorkflowError) else f"{error}\n  fix: {hint}" if hint else str(error)
    for there, here in _SAID_HERE.items():
        text = text.replace(there, here)
    return text


def page(terminal: Terminal, lines: list[str]) -> None:
    """Show lines: at once where they fit, else through the pager of this system."""
    pager = os.environ.get("PAGER") or shutil.which("less")
    if len(lines) < shutil.get_terminal_size().lines - 1 or not terminal.is_tty or not pager:
        terminal.print(*lines)
        return
    text = "".join(f"{line}\n" for line in lines)
    # -S: long lines are moved, not folded; -R: our colours and nothing else, all of the rest is escaped.
    environ = {**os.environ, "LESS": os.environ.get("LESS", "-SRFX"), "LESSSECURE": "1"}
    shown = text.encode(encoding_of(terminal), "backslashreplace")
    subprocess.run(pager, shell=bool(os.environ.get("PAGER")), input=shown, env=environ, check=False)


@contextmanager
def _deaf() -> Iterator[None]:
    """Have Ctrl-C end what listens for it, and neither the prompt between two questions nor us behind a pager."""
    was = signal.signal(signal.SIGINT, _ignore)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, was)


def _ignore(number: int, frame: object) -> None:
    """Do nothing. Not `SIG_IGN`, which a pager would inherit."""


# -- the line that is typed ------------------------------------------------------------------------


def make_session(prompt: Prompt, history: Path | None, **settings: Any) -> PromptSession[str]:
    """Make the session that reads lines. `history` is where they are kept, private as the world."""
    return PromptSession(
        history=None if history is None else _open_history(history),
        completer=SqlCompleter(prompt),
        complete_while_typing=True,
        lexer=PygmentsLexer(SqlLexer),
        multiline=True,
        key_bindings=_bind_keys(),
        prompt_continuation=GOES_ON,
        **settings,
    )


def _open_history(path: Path) -> History | None:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
    except OSError:  # who only may read goes without
        return None
    return FileHistory(str(path))


def is_whole(text: str) -> bool:
    """Tell whether Enter asks: a dot's word, one word, what ends with `;`, or an empty line behind it."""
    bare = text.strip()
    is_name = len(bare.split()) == 1 and bare.upper() not in completion.KEYWORDS
    return not bare or bare.startswith(".") or bare.endswith(";") or is_name or text.endswith("\n")


def _bind_keys() -> KeyBindings:
    keys = KeyBindings()

    @Condition
    def is_asking() -> bool:
        return is_whole(get_app().current_buffer.text)

    @keys.add("enter", filter=is_asking)
    def ask(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    return keys


class SqlCompleter(Completer):
    """Offers what SQL may go on as, and the prompt's own words."""

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        before = document.text_before_cursor
        if before.lstrip().startswith("."):
            word = before.split(" ")[-1]
            found = completion.choose(word, self._of_dots(before))
        else:
            word = completion.find_word(before)
            queries, functions = self._prompt.library.list(), self._prompt.functions
            found = completion.offer_sql(document.text, before, queries=queries, functions=functions)
        for offer in found:
            yield Completion(offer.text, start_position=-len(word), display_meta=offer.about)

    def _of_dots(self, before: str) -> list[completion.Offer]:
        command, space, _ = before.lstrip().partition(" ")
        if not space:
            return [completion.Offer(dot, "") for dot in _DOTS]
        if command == ".schema":
            return [completion.Offer(view.name, view.doc) for view in VIEWS]
        return [completion.Offer(name, "") for name in TEXT_FORMATS] if command == ".format" else []
