"""Exports: an answer goes into a stream or a file, as it comes, in the format that is asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from wfstudio.core.errors import UsageError
from wfstudio.history.asking import SECONDS, Asker, make_question
from wfstudio.history.formats import BINARY_FORMATS, Writer, decode_rows, make_writer
from wfstudio.history.wire import Done, Head, Piece, Question, Rows


async def pour(asker: Asker, question: Question, stream: BinaryIO, writer: Writer | None, *, seconds: float) -> Done:
    """Ask, and write the answer: rows through the writer, the pieces of a binary format as they are."""
    done: Done | None = None
    async with aclosing(asker.ask(question, seconds=seconds)) as answers:
        async for answer in answers:
            match answer:
                case Head() if writer is not None:
                    writer.begin(answer.columns)
                case Rows() if writer is not None:
                    writer.add(decode_rows(answer))
                case Piece():
                    stream.write(answer.data)
                case Done():
                    done = answer
    assert done is not None  # asking ends with it, or raises
    if writer is not None:
        writer.end()
    stream.flush()
    return done


async def export(
    asker: Asker,
    sql: str,
    path: Path,
    form: str,
    *,
    parameters: Mapping[str, Any] | None = None,
    seconds: float = SECONDS,
) -> Done:
    """Write all rows of an answer to a file, whole or not at all. Raises `UsageError` where it cannot be written."""
    is_binary = form in BINARY_FORMATS
    question = make_question(sql, parameters=dict(parameters or {}), shape=form if is_binary else "rows")
    try:
        with open_output(path) as stream:

            def write(text: str) -> None:
                stream.write(text.encode("utf-8", "backslashreplace"))

            return await pour(asker, question, stream, None if is_binary else make_writer(form, write), seconds=seconds)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", "name another file") from None


@contextmanager
def open_output(path: Path) -> Iterator[BinaryIO]:
    """Write a file whole or not at all: a query that fails leaves what was there. Raises `OSError`."""
    if path.exists() and not path.is_file():  # a pipe, a device: there is nothing to replace
        with path.open("wb") as stream:
            yield stream
        return
    target = path.resolve()
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        # It may hold opened payloads: nobody else's to read.
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            yield stream
        os.replace(draft, target)
    finally:
        draft.unlink(missing_ok=True)
