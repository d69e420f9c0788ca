"""The wire: what a world's owner and other processes say to each other over a stream socket.

1. Both sides begin with one line of JSON (`Hello`, then `Welcome`), so that any two versions can
   at least refuse each other in words. `schema` is a digest of the `World` protocol itself:
   whoever changes a method or a struct makes a new wire, without having to remember to.
2. Then come frames: a header (`!IBBI`: body length, kind, method, id) and a msgpack body.
   A request's body is the tuple of its arguments, a result's the returned value, both typed by
   the annotations of `World`, from which the table of methods is derived once.
3. An error travels as (class name, arguments, hint) and becomes only what `wf.errors` names;
   any other exception arrives as a `WorldError` that says what it was. Nothing is unpickled.
4. A frame over the limit, an unknown kind or method ends the connection, never the process.

Endpoints are `unix:<path>` and, where there are no unix sockets, `tcp:<host>:<port>:<token>`.
"""

from __future__ import annotations

import hashlib
import inspect
import struct
import sys
import typing
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import msgspec

from wf import errors, events, world
from wf.errors import WorkflowError, WorldError
from wf.world import World

MAX_FRAME: Final = 1 << 30
"""1 GiB. A claim may bring 2000 events and a commit as many results, each of up to 50 MB, so the
limit only has to tell a frame from garbage; memory is taken as bytes arrive, not as announced."""

MAX_LINE: Final = 4096
"""A greeting is one short line; whoever sends more without a line end speaks something else."""

HANDSHAKE_SECONDS: Final = 5.0

HEADER: Final = struct.Struct("!IBBI")

REQUEST: Final = 1
RESULT: Final = 2
ERROR: Final = 3
SUBSCRIBE: Final = 4
"""Its id names the subscription from then on; it is answered like a request."""
UNSUBSCRIBE: Final = 5
RING: Final = 6
RECEIVED: Final = 7
DECLINED: Final = 8
"""What became of the result of a `claim`: leases that nobody heard of must not stay."""

KINDS: Final = frozenset(range(REQUEST, DECLINED + 1))


class ConnectionLost(WorldError):
    """The owner of the world went away before it answered.

    Internal: `SharedWorld` turns it into a new election. `was_sent` says whether the owner may
    have seen the request, so that its outcome is unknown.
    """

    def __init__(self, reason: str, was_sent: bool = True) -> None:
        super().__init__(reason)
        self.was_sent = was_sent


class GarbledError(Exception):
    """The peer does not speak this protocol; the connection is of no further use."""


# -- the greeting -------------------------------------------------------------------------------


class Hello(msgspec.Struct, frozen=True):
    """The caller's first line. `process` is who calls, `token` what a TCP endpoint demands."""

    wf_world: int
    schema: str
    process: str
    token: str = ""


class Welcome(msgspec.Struct, frozen=True):
    """The owner's answer: what is served, or why not."""

    wf_world: int
    schema: str
    process: str
    url: str = ""
    durability: str = ""
    refusal: str | None = None


WIRE_VERSION: Final = 2
"""Of the framing below, and of the topics that ring; the schema has its own digest."""

_line_encoder: Final = msgspec.json.Encoder()
_hello_decoder: Final = msgspec.json.Decoder(Hello)
_welcome_decoder: Final = msgspec.json.Decoder(Welcome)


def encode_line(greeting: Hello | Welcome) -> bytes:
    return _line_encoder.encode(greeting) + b"\n"


def decode_hello(line: bytes) -> Hello:
    try:
        return _hello_decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise GarbledError(f"not a greeting: {error}") from error


def decode_welcome(line: bytes) -> Welcome:
    try:
        return _welcome_decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise GarbledError(f"not a greeting: {error}") from error


def is_same_wire(greeting: Hello | Welcome) -> bool:
    return greeting.wf_world == WIRE_VERSION and greeting.schema == SCHEMA


# -- methods ------------------------------------------------------------------------------------


class Method(NamedTuple):
    """A method of `World` that can be called from afar."""

    number: int
    name: str
    arguments: msgspec.msgpack.Decoder[tuple[Any, ...]]
    result: msgspec.msgpack.Decoder[Any]


def _derive_methods() -> tuple[Method, ...]:
    """Build the table from the protocol's annotations.

    `close` is the caller's own affair and `subscribe` takes a function: both have kinds of their own.
    """
    table: list[Method] = []
    for name, function in sorted(vars(World).items()):
        if not inspect.iscoroutinefunction(function) or name in ("close", "subscribe"):
            continue
        hints = typing.get_type_hints(function)
        result = hints.pop("return")
        arguments: Any = tuple[tuple(hints.values())]  # type: ignore[misc]
        table.append(Method(len(table), name, msgspec.msgpack.Decoder(arguments), msgspec.msgpack.Decoder(result)))
    return tuple(table)


def _digest_schema() -> str:
    """Digest every method and struct of the protocol as their source spells them.

    The spelling (annotations are strings here) is the same on every Python, unlike reprs of types,
    and costs a tenth of asking msgspec for a JSON schema (10 ms).
    """
    lines: list[str] = []
    for name, function in sorted(vars(World).items()):
        if inspect.iscoroutinefunction(function):
            lines.append(f"{name} {function.__annotations__}")
    for module in (events, world):
        for name, value in sorted(vars(module).items()):
            if isinstance(value, type) and issubclass(value, msgspec.Struct):
                config = value.__struct_config__
                lines.append(f"{name} {config.tag} {config.array_like} {value.__annotations__}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


METHODS: Final = _derive_methods()
METHOD: Final = {method.name: method for method in METHODS}
CLAIM: Final = METHOD["claim"]
OPEN_WORKER: Final = METHOD["open_worker"]
CLOSE_WORKER: Final = METHOD["close_worker"]
SCHEMA: Final = _digest_schema()


# -- frames -------------------------------------------------------------------------------------

_encoder: Final = msgspec.msgpack.Encoder()
_error_decoder: Final = msgspec.msgpack.Decoder(tuple[str, list[Any], str | None])
_text_decoder: Final = msgspec.msgpack.Decoder(str)

encode_body: Final = _encoder.encode
decode_text: Final = _text_decoder.decode


def frame(kind: int, id: int, body: bytes = b"", method: int = 0) -> bytes:
    return HEADER.pack(len(body), kind, method, id) + body


class Frame(NamedTuple):
    kind: int
    method: int
    id: int
    body: memoryview


class FrameReader:
    """Cuts a stream of bytes into frames. `limit` bounds a body's length."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._needed = HEADER.size

    def feed(self, data: bytes) -> Iterable[Frame]:
        """Give the frames that `data` completes; their bodies are views, to be decoded at once.

        Raises `GarbledError` at what cannot be a frame.
        """
        if not self._buffer and len(data) >= HEADER.size:
            length, kind, method, id = HEADER.unpack_from(data)
            if length == len(data) - HEADER.size and length <= self._limit and kind in KINDS:
                return (Frame(kind, method, id, memoryview(data)[HEADER.size :]),)  # as almost always
        return self._cut(data)

    def _cut(self, data: bytes | bytearray) -> Iterator[Frame]:
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._needed:
                return
            data = self._buffer
            self._buffer = bytearray()
        view = memoryview(data)
        size = len(data)
        at = 0
        while size - at >= HEADER.size:
            length, kind, method, id = HEADER.unpack_from(data, at)
            if length > self._limit:
                raise GarbledError(f"a frame of {length} bytes is over the limit of {self._limit}")
            if kind not in KINDS:
                raise GarbledError(f"{kind} is no kind of frame")
            end = at + HEADER.size + length
            if end > size:
                self._needed = end - at
                break
            yield Frame(kind, method, id, view[at + HEADER.size : end])
            at = end
        else:
            self._needed = HEADER.size
        self._buffer += view[at:]


# -- errors -------------------------------------------------------------------------------------

_ERRORS: Final = {
    name: value
    for name in errors.__all__
    if isinstance(value := getattr(errors, name), type) and issubclass(value, WorkflowError)
}


def encode_error(error: BaseException) -> bytes:
    """Encode an exception by its nearest class in `wf.errors`; a foreign one as `WorldError`."""
    for cls in type(error).__mro__:
        if _ERRORS.get(cls.__name__) is cls:
            hint = error.hint if isinstance(error, WorkflowError) else None
            arguments = error.args if cls is type(error) else (str(error),)
            try:
                return encode_body((cls.__name__, arguments, hint))
            except (TypeError, ValueError, OverflowError, RecursionError):
                return encode_body((cls.__name__, (repr(error),), hint))
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return encode_body(("WorldError", (text,), None))


def decode_error(body: bytes | memoryview) -> WorkflowError:
    """Rebuild an error; an unknown class or unfitting arguments give a `WorldError` that says so."""
    name, arguments, hint = _error_decoder.decode(body)
    cls = _ERRORS.get(name)
    error: WorkflowError
    try:
        error = cls(*arguments) if cls is not None else WorldError(f"{name}: {', '.join(map(str, arguments))}")
    except Exception:  # the arguments are the peer's, so the constructor may do anything
        error = WorldError(f"{name}: {', '.join(map(str, arguments))}")
    if hint is not None and hint != error.hint:
        error.hint = hint
    return error


# -- endpoints ----------------------------------------------------------------------------------


class UnixEndpoint(NamedTuple):
    path: str


class TcpEndpoint(NamedTuple):
    host: str
    port: int
    token: str


def parse_endpoint(endpoint: str) -> UnixEndpoint | TcpEndpoint:
    scheme, _, rest = endpoint.partition(":")
    if scheme == "unix" and rest:
        return UnixEndpoint(rest)
    if scheme == "tcp":
        host, _, tail = rest.partition(":")
        port, _, token = tail.partition(":")
        if host and port.isdigit():
            return TcpEndpoint(host, int(port), token)
    # The token, where there is one, must not be in the message.
    raise WorldError(f"the endpoint of scheme {scheme!r} is not one this version knows")


def has_unix_sockets() -> bool:
    import socket

    return hasattr(socket, "AF_UNIX") and sys.platform != "win32"
