"""What a question's asker and the process that answers it say to each other.

One `Question` goes in, as MessagePack, and ends the input. Answers come out as frames: a length of four
bytes, big-endian, and MessagePack. `Head`, then `Rows` or `Piece`s, then `Done`; or `Failed`, at any time.
"""

from __future__ import annotations

from typing import Any, BinaryIO, Final, Literal

import msgspec

LONGEST_FRAME: Final = 64 << 20

Shape = Literal["rows", "arrow", "parquet"]


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A query. `world` is the file; `root` the project, whose keys open payloads unless `is_locked`.

    With `url` the world is the database that it names, and `world` what its mirror lies beside.

    `parameters` go for `$name`. `row_limit` and `byte_limit` cap the answer (None: no cap), the other limits the work.
    """

    world: str
    root: str
    sql: str
    url: str | None = None
    parameters: dict[str, Any] = {}
    shape: Shape = "rows"
    row_limit: int | None = None
    byte_limit: int | None = None
    is_locked: bool = False
    memory_mb: int = 512
    cpu_seconds: int = 60


class Column(msgspec.Struct, frozen=True):
    name: str
    type: str


class Head(msgspec.Struct, frozen=True, tag="head"):
    """The columns, in order; two may have one name."""

    columns: list[Column]


class Rows(msgspec.Struct, frozen=True, tag="rows"):
    """Rows as JSON: `data` is an array of arrays."""

    data: bytes


class Piece(msgspec.Struct, frozen=True, tag="piece"):
    """The next bytes of an Arrow stream or a Parquet file."""

    data: bytes


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The end. `is_capped`: there were more rows than were asked for. `elapsed_ms` is the query's own time."""

    rows: int
    is_capped: bool
    elapsed_ms: float


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """It failed, as the error of this slug says."""

    slug: str
    message: str
    hint: str | None = None


Answer = Head | Rows | Piece | Done | Failed

_encoder: Final = msgspec.msgpack.Encoder()
_answers: Final[msgspec.msgpack.Decoder[Answer]] = msgspec.msgpack.Decoder(Answer)
_questions: Final = msgspec.msgpack.Decoder(Question)


def encode_question(question: Question) -> bytes:
    return _encoder.encode(question)


def decode_question(data: bytes) -> Question:
    return _questions.decode(data)


def decode_answer(data: bytes) -> Answer:
    return _answers.decode(data)


def write_answer(stream: BinaryIO, answer: Answer) -> None:
    data = _encoder.encode(answer)
    stream.write(len(data).to_bytes(4, "big") + data)
    stream.flush()
