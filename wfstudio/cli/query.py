"""`wf query`: SQL over all history."""

from __future__ import annotations

import asyncio
import errno
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from io import BytesIO, StringIO
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

import msgspec
import typer

from wf.durations import parse_duration
from wfstudio.cli import parameters
from wfstudio.cli.connection import carry_out, check_world, open_client, settle
from wfstudio.cli.misuse import Misuse, suggest
from wfstudio.cli.query_formats import CAPPED, FORMATS, make_writer
from wfstudio.cli.query_schema import draw_functions, draw_view, find_views
from wfstudio.cli.tables import Column, draw_table
from wfstudio.cli.terminal import Terminal, results, words
from wfstudio.history.asking import MOST_SECONDS, SECONDS, Asker, make_question
from wfstudio.history.exports import open_output, pour
from wfstudio.history.formats import BINARY_FORMATS, format_of
from wfstudio.history.library import Library, is_query_name
from wfstudio.history.placeholders import read_value
from wfstudio.history.schema import VIEWS, show_schema
from wfstudio.history.wire import Done
from wfstudio.text.printable import printable

SHOWN_ROWS: Final = 1000
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
LISTED: Final = ("table", "json", "jsonl")
WATCH_SECONDS: Final = 2.0
"""How often a watched query is asked again, while the world changes."""


def complete_query(ctx: typer.Context, incomplete: str) -> list[str]:
    names = [query.name for query in Library(settle(None).root).list()]
    return [name for name in (*names, *(view.name for view in VIEWS)) if name.startswith(incomplete)]


def query(
    sql: Annotated[
        str | None,
        typer.Argument(
            metavar="SQL|NAME",
            help="A query, the name of a saved one, or of a table; `-` reads it from standard input.",
            autocompletion=complete_query,
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", metavar="FILE", help="Read the query from a file.")
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help=f"{', '.join(FORMATS)} (default: by FILE's name, else table).",
            autocompletion=lambda: list(FORMATS),
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the result to a file.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", "-n", metavar="N", min=1, help=f"At most so many rows (default: {SHOWN_ROWS} in tables)."
        ),
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", metavar="NAME=VALUE", help="What `$NAME` stands for; may be repeated."),
    ] = None,
    is_watching: Annotated[
        bool, typer.Option("--watch", "-w", help="Show the result again when the world changes.")
    ] = False,
    is_schema: Annotated[bool, typer.Option("--schema", help="List tables, columns and functions.")] = False,
    is_list: Annotated[bool, typer.Option("--list", help="List the saved queries.")] = False,
    save: Annotated[str | None, typer.Option("--save", metavar="NAME", help="Keep the query with the project.")] = None,
    timeout: Annotated[
        str, typer.Option("--timeout", metavar="TIME", help="How long the query may take.")
    ] = f"{SECONDS:g}s",
    is_locked: Annotated[bool, typer.Option("--locked", help="Do not decrypt: payloads are NULL.")] = False,
    is_json: parameters.Json = False,
    world: parameters.World = None,
) -> int:
    """Ask all history in SQL: runs, steps, attempts, events, hooks, waits, streams, logs, deployments.

    With no query, on a terminal, it asks for one after the other.

    Examples:

        wf query "SELECT name, p95(duration_ms) FROM steps GROUP BY name"

        wf query failures

        wf query "FROM runs WHERE workflow = $w" -p w=shop:order --format csv -o runs.csv
    """
    form = _read_format(form, output, is_json=is_json)
    if is_schema or is_list:
        _check_listing("--schema" if is_schema else "--list", form, output)
    if is_schema:
        return _print_schema(sql, form)
    library = Library(settle(world).root)
    if is_list:
        return _print_library(library, form)
    text = _read_query(sql, file, library)
    if save is not None:
        if text is None:
            raise Misuse("what is to be saved?", hint='`wf query --save NAME "SELECT …"`')
        words().print(f"saved as {printable(str(library.save(save, text)))}")
        return 0
    ask = Ask(text or "", form, output, limit, read_parameters(given), _read_seconds(timeout), is_locked)
    if is_watching and (form != "table" or output is not None):
        raise Misuse("--watch shows a table", hint="leave --format and --output out")
    if text is not None:
        return carry_out(_watch(world, ask) if is_watching else _answer(world, ask))
    if is_watching or output is not None or form in BINARY_FORMATS:
        raise Misuse("what is to be asked?", hint='`wf query "SELECT …"`, or the name of a saved query')
    from wfstudio.cli.prompt import converse  # prompt_toolkit takes a while, and nobody else needs it

    code: int = carry_out(converse(world, ask))
    return code


class Ask(msgspec.Struct, frozen=True):
    """What to ask, and how to write the answer. No `limit`: as many rows as the format has."""

    sql: str
    form: str = "table"
    output: Path | None = None
    limit: int | None = None
    parameters: dict[str, Any] = {}
    seconds: float = SECONDS
    is_locked: bool = False

    @property
    def row_limit(self) -> int | None:
        return self.limit or (SHOWN_ROWS if self.form in CAPPED else None)


# -- what was typed --------------------------------------------------------------------------------


def _read_format(form: str | None, output: Path | None, *, is_json: bool) -> str:
    found = form or ("json" if is_json else None) or (output and format_of(output)) or "table"
    if found not in FORMATS:
        raise Misuse(
            f"--format: {found!r:.80} is no format", hint=suggest(found, FORMATS) or f"one of {', '.join(FORMATS)}"
        )
    return found


def _check_listing(option: str, form: str, output: Path | None) -> None:
    if output is not None:
        raise Misuse(
            f"{option} is printed, not written to a file", hint=f"leave --output out: `wf query {option} > FILE`"
        )
    if form not in LISTED:
        raise Misuse(f"{option}: there is no {form} of it", hint=f"one of {', '.join(LISTED)}")


def _read_query(sql: str | None, file: Path | None, library: Library) -> str | None:
    """Give the query that is meant, or None where there is none and somebody who can be asked."""
    if file is not None:
        if sql is not None:
            raise Misuse("a query and --file are two queries", hint="give one of them")
        try:
            return file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise Misuse(f"--file {file}: {getattr(error, 'strerror', None) or 'this is no text in UTF-8'}") from None
    if sql == "-" or (sql is None and (sys.stdin is None or not sys.stdin.isatty())):
        try:
            return "" if sys.stdin is None else sys.stdin.read()  # None: it is closed
        except UnicodeDecodeError:
            raise Misuse("standard input is no text in UTF-8") from None
    return None if sql is None else find_query(sql, library)


def find_query(text: str, library: Library) -> str:
    """Give the SQL of a saved query or a table that is named, or the text itself."""
    word = text.strip()
    if not is_query_name(word):
        return text
    found = library.find(word)
    if found is not None:
        return found.sql
    views = [view.name for view in VIEWS]
    if word in views:
        return f"FROM {word}"
    known = [query.name for query in library.list()] + views
    raise Misuse(f"there is no query {word!r:.80}", hint=suggest(word, known) or "`wf query --list` lists them")


def read_parameters(given: list[str] | None) -> dict[str, Any]:
    """Read `name=value`: a JSON text, number, `true`, `false` or `null` is what it says, anything else a text."""
    return {name: read_value(text) for name, text in parameters.read_pairs(given, "--param").items()}


def _read_seconds(text: str) -> float:
    try:
        seconds = parse_duration(float(text) if text.replace(".", "", 1).isdigit() else text, "--timeout") / 1_000_000
    except (ValueError, TypeError, OverflowError) as error:
        raise Misuse(str(error)) from None
    if not 0 < seconds <= MOST_SECONDS:
        raise Misuse(f"--timeout: {text!r:.40} is not between 0 and {MOST_SECONDS:g} s")
    return seconds


# -- answers ---------------------------------------------------------------------------------------


async def _answer(world: str | None, ask: Ask) -> int:
    terminal = results()
    if ask.output is None and ask.form in BINARY_FORMATS and terminal.is_tty:
        raise Misuse(f"{ask.form} is nothing for a terminal", hint="name a file: `-o FILE`")
    async with open_asker(world) as asker:
        if ask.output is None:
            try:
                done = await give(asker, ask, sys.stdout.buffer, terminal)
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
                raise Misuse(f"standard output: {error.strerror}") from None
        else:
            with _open_output(ask.output) as stream:
                done = await give(asker, ask, stream, _paper())
    if done.is_capped and ask.limit is None:
        words().print(f"only the first {done.rows} rows; `--limit N` gives more, `--format csv` all of them")
    return 0


def _paper() -> Terminal:
    """Give a terminal that is none: what is written to a file has no colours and is whole."""
    paper = Terminal(StringIO())
    paper.has_colour = False
    return paper


@asynccontextmanager
async def open_asker(world: str | None, *, keeps_warm: bool = False) -> AsyncIterator[Asker]:
    """Give who asks. A process gets ready for the question while the world is opened."""
    settings = settle(world)
    check_world(settings)
    asker = Asker(settings, keeps_warm=keeps_warm)
    try:
        await asker.warm_up()
        async with open_client(world) as client:
            # Opening it brings a file of an older version up to date, which who only reads cannot do.
            await client.session.world.list_deployments()
            yield asker
    finally:
        await asker.close()


async def give(asker: Asker, ask: Ask, stream: BinaryIO, terminal: Terminal) -> Done:
    """Ask, and write the answer to a stream, as `terminal` can show it."""
    is_binary = ask.form in BINARY_FORMATS
    encoding = encoding_of(terminal)

    def write(text: str) -> None:
        stream.write(text.encode(encoding, "backslashreplace"))

    writer = None if is_binary else make_writer(ask.form, write, terminal)
    question = make_question(
        ask.sql,
        parameters=ask.parameters,
        shape=ask.form if is_binary else "rows",
        row_limit=ask.row_limit,
        is_locked=ask.is_locked,
    )
    return await pour(asker, question, stream, writer, seconds=ask.seconds)


def encoding_of(terminal: Terminal) -> str:
    """Give the encoding that an answer is written in: the terminal's own, and UTF-8 for programs."""
    return (terminal.is_tty and getattr(terminal.stream, "encoding", None)) or "utf-8"


@contextmanager
def _open_output(path: Path) -> Iterator[BinaryIO]:
    try:
        with open_output(path) as stream:
            yield stream
    except OSError as error:
        raise Misuse(f"--output {path}: {error.strerror}") from None


async def _watch(world: str | None, ask: Ask) -> int:
    """Show the result in place, and again whenever the world has changed; until interrupted."""
    from wf.worlds.feed import Mark
    from wfstudio.cli.screen import redraw
    from wfstudio.history.feeds import feed_url, open_feed

    terminal = results()
    if not terminal.is_tty:
        raise Misuse("--watch needs a terminal", hint="leave it out, and ask again when you want to know")
    settings = settle(world)
    async with open_asker(world) as asker:
        path = settings.local_path
        assert path is not None  # the asker has refused any other
        feed = open_feed(path, feed_url(settings))
        try:
            seen, lines = Mark(-1, -1), [""]

            async def draw() -> tuple[list[str], bool]:
                nonlocal seen, lines
                if (mark := feed.mark()) != seen:
                    seen, lines = mark, await _draw(asker, ask, terminal)
                return lines, False

            await redraw(terminal, draw, _beat())
        finally:
            feed.close()
    return 0


async def _beat() -> AsyncIterator[str]:
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        yield ""


async def _draw(asker: Asker, ask: Ask, terminal: Terminal) -> list[str]:
    stream = BytesIO()
    await give(asker, ask, stream, terminal)
    return stream.getvalue().decode(encoding_of(terminal)).splitlines()


# -- what there is ---------------------------------------------------------------------------------


def _print_schema(name: str | None, form: str) -> int:
    """List tables and columns, of all or of one, and the functions that come with them."""
    views = find_views(name)
    terminal = results()
    if form == "json":
        terminal.print_json(show_schema(views))
    elif form == "jsonl":
        terminal.print_jsonl(show_schema(views).tables)
    else:
        for view in views:
            terminal.print(*draw_view(terminal, view), "")
        terminal.print(*draw_functions(terminal))
    return 0


def _print_library(library: Library, form: str) -> int:
    terminal, found = results(), library.list()
    if form == "json":
        terminal.print_json({"items": found})
    elif form == "jsonl":
        terminal.print_jsonl(found)
    else:
        columns = [Column("name"), Column("from"), Column("what it asks", is_flexible=True)]
        rows = [[query.name, query.origin, printable(query.doc)] for query in found]
        terminal.print(*draw_table(terminal, columns, rows))
    return 0
