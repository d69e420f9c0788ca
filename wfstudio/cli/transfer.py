"""`wf export` and `wf import`: runs into a bundle, and out of one, or out of another runtime's folder."""

from __future__ import annotations

import io
import os
import secrets
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO, Annotated, Final

import msgspec
import typer

from wf.errors import WorldError
from wf.keys import Keyring
from wf.session import Session
from wf.worlds.memory import MemoryWorld
from wfstudio.cli import parameters
from wfstudio.cli.connection import carry_out, find_run, open_client, settle, tell_none
from wfstudio.cli.consent import count_runs
from wfstudio.cli.misuse import Misuse
from wfstudio.cli.tables import Column, draw_table
from wfstudio.cli.terminal import results, words
from wfstudio.core.client import Client
from wfstudio.core.errors import ConflictError, NotFoundError
from wfstudio.core.views import RunQuery
from wfstudio.history.bundle.form import MAX_BUNDLE_BYTES, BundleError
from wfstudio.history.bundle.writing import Written, name_bundle, write_bundle
from wfstudio.history.transfers import (
    ImportView,
    add_descendants,
    import_bundle,
    import_folder,
    list_chosen,
)
from wfstudio.text.printable import printable
from wfstudio.text.sizes import show_size

_PIPE: Final = "-"
_COLUMNS: Final = (Column("id"), Column("outcome"), Column("status"), Column("workflow", is_flexible=True))
_BINARY: Final = getattr(os, "O_BINARY", 0)  # Windows would change newlines


class Exported(msgspec.Struct, frozen=True):
    """What `wf export --json` prints. `size` is bytes."""

    file: str
    runs: list[str]
    events: int
    deployments: int
    is_redacted: bool
    size: int


def export_runs(
    runs: parameters.Runs = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to; `-` is stdout (default: named by its run)."),
    ] = None,
    is_redacted: Annotated[
        bool, typer.Option("--redact", help="Leave out payloads, printed lines, code, and attributes' values.")
    ] = False,
    has_children: Annotated[
        bool, typer.Option("--with-children", help="Also the runs that they started, and that they continued as.")
    ] = False,
    status: parameters.Status = None,
    workflow: parameters.Workflow = None,
    attributes: parameters.WithAttributes = None,
    since: parameters.Since = None,
    until: parameters.Until = None,
    is_forced: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    is_json: parameters.Json = False,
    world: parameters.World = None,
) -> int:
    """Write runs into a bundle, which `wf import` reads in another project: their logs, streams, lines and code.

    Examples:

        wf export wrun_01K3 --with-children

        wf export --status failed --since 1d --redact -o failed.wf.zip
    """
    query = parameters.read_query(status, workflow, attributes, since, until)
    is_chosen = any(option is not None for option in (status, workflow, attributes, since, until))
    if bool(runs) == is_chosen:
        raise Misuse(
            "name the runs or choose them with filters, not both"
            if runs
            else "name the runs to export, or choose them",
            hint="`wf export RUN`, `--workflow NAME`, `--since 1h`, ...",
        )
    if output == _PIPE and (is_json or sys.stdout.isatty()):
        raise Misuse("a bundle on stdout goes into a pipe or a file", hint="name the file: `-o runs.wf.zip`")

    async def export() -> int:
        async with open_client(world) as client:
            run_ids = await _choose(client, runs or [], query)
            if not run_ids:
                await tell_none(client, "no run is like that; nothing was written", query.workflow)
                return 0
            if has_children:
                run_ids = await add_descendants(client.session, run_ids)
            name = output or name_bundle(run_ids, client.session.now_us())
            with _open_target(name, is_forced=is_forced) as file:
                written = await write_bundle(client.session, run_ids, file, is_redacted=is_redacted)
        _tell_export(name, written, is_json=is_json)
        return 0

    return carry_out(export())


async def _choose(client: Client, texts: list[str], query: RunQuery) -> list[str]:
    if not texts:
        return await list_chosen(client.session, query)
    return list(dict.fromkeys([await find_run(client, text) for text in texts]))


@contextmanager
def _open_target(name: str, *, is_forced: bool) -> Iterator[IO[bytes]]:
    """Give the file to write to, which takes its place whole or not at all; private, since payloads are in it."""
    if name == _PIPE:
        buffer = io.BytesIO()
        yield buffer
        sys.stdout.buffer.write(buffer.getbuffer())
        sys.stdout.buffer.flush()
        return
    path = Path(name)
    if not is_forced and os.path.lexists(path):
        raise _is_there(name)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with os.fdopen(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY, 0o600), "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if is_forced:
            os.replace(draft, path)
        else:
            _put_in_place(draft, path)
    except OSError as error:
        raise WorldError(f"{name} cannot be written: {error.strerror or error}") from error
    finally:
        draft.unlink(missing_ok=True)


def _put_in_place(draft: Path, path: Path) -> None:
    """Name a finished file, unless another one has got the name meanwhile."""
    try:
        os.link(draft, path)
    except FileExistsError:
        raise _is_there(str(path)) from None
    except OSError:  # a file system without links
        if os.path.lexists(path):
            raise _is_there(str(path)) from None
        os.replace(draft, path)


def _is_there(name: str) -> ConflictError:
    return ConflictError(f"there is a file {name} already", "name another one with `-o`, or say `--force`")


def _tell_export(name: str, written: Written, *, is_json: bool) -> None:
    if is_json:
        results().print_json(Exported(name, **msgspec.structs.asdict(written)))
        return
    told = f"{count_runs(len(written.runs))} with {written.events} events, {show_size(written.size)}"
    if written.is_redacted:
        told += ", without payloads"
    else:
        told += "; payloads are in it in clear"
    words().print(f"{told}" if name == _PIPE else f"{printable(name)}  {told}")


# -- in -----------------------------------------------------------------------------------------


def import_runs(
    path: Annotated[
        str,
        typer.Argument(metavar="FILE|FOLDER", help="A bundle (`-` is stdin), or a `.workflow-data` folder."),
    ],
    is_dry: Annotated[bool, typer.Option("--dry-run", help="Only check it and say what is in it.")] = False,
    is_json: parameters.Json = False,
    world: parameters.World = None,
) -> int:
    """Take runs in that ran elsewhere, to look at them and query them here; they are read-only.

    Reads bundles of `wf export`, and the `.workflow-data` folder that Vercel's local world writes.

    Examples:

        wf import wrun_01K3.wf.zip

        wf import ../shop/.workflow-data --dry-run
    """

    async def take_in() -> ImportView:
        async with _open_session(world, is_dry=is_dry) as session:
            if path != _PIPE and Path(path).is_dir():
                return await import_folder(session, Path(path), is_dry=is_dry)
            return await import_bundle(session, _read_file(path), _name_source(path), is_dry=is_dry)

    done = carry_out(take_in())
    if is_json:
        results().print_json(done)
        return 0
    terminal = results()
    rows = [(item.id, item.outcome, terminal.show_status(item.status), printable(item.workflow)) for item in done.items]
    terminal.print(*draw_table(terminal, _COLUMNS, rows))
    for problem in done.problems:
        words().print(f"{printable(problem.where)}: {printable(problem.message)}")
    words().print(_tell_import(done, is_dry=is_dry))
    return 0


@asynccontextmanager
async def _open_session(world: str | None, *, is_dry: bool) -> AsyncIterator[Session]:
    """Give a session of the world, which is made if need be; but not to look only: then an empty one stands for it."""
    settings = settle(world)
    path = settings.address.path
    if is_dry and path is not None and not path.exists():
        yield Session(MemoryWorld(), Keyring.off(), settings)
        return
    async with open_client(world, is_making=True) as client:
        yield client.session


def _read_file(path: str) -> bytes:
    """Read a bundle's file, but not one that no bundle can be as large as."""
    try:
        with open(sys.stdin.fileno() if path == _PIPE else path, "rb", closefd=path != _PIPE) as file:
            data = file.read(MAX_BUNDLE_BYTES + 1)
    except FileNotFoundError:
        raise NotFoundError(f"there is no file {path}", "name a bundle, or a `.workflow-data` folder") from None
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror or error}", hint="name a file that can") from None
    return data


def _name_source(path: str) -> str:
    return "stdin" if path == _PIPE else Path(path).name


def _tell_import(done: ImportView, *, is_dry: bool) -> str:
    count = {outcome: sum(item.outcome == outcome for item in done.items) for outcome in ("imported", "present", "new")}
    told = f"{count_runs(count['new'])} would be imported" if is_dry else f"{count_runs(count['imported'])} imported"
    if count["present"]:
        told += f", {count['present']} {'is' if count['present'] == 1 else 'are'} here already"
    if done.problems:
        told += f", {len(done.problems)} problem{'' if len(done.problems) == 1 else 's'}"
    return told
