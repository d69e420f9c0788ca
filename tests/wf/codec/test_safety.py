"""Law 3 of the codec: reading never imports, executes, opens or unpickles, whatever the bytes say."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import types
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wf.codec import Opaque, decode, decode_arguments, encode
from wf.codec.walk import LIFT, MAX_LIFT_DEPTH
from wf.errors import SerializationError, WorkflowError


class Color(Enum):
    RED = 1


@dataclasses.dataclass(frozen=True)
class Point:
    x: Any


NAMES = [
    "os:system", "subprocess:Popen", "builtins:eval", "builtins:exec", "builtins:open", "builtins:type",
    "builtins:object", "types:FunctionType",
    "antigravity:geohash", "this:s", "idlelib.idle:x", "no.such.module:X", "os", ":", "", "os:", ":system",
    "os.path:join", "sys:modules",
    "importlib:import_module", "wf.errors:shorten", f"{__name__}:Color.RED", f"{__name__}:Point.__init__",
    f"{__name__}:Point.__class__",
    "pickle:loads", "functools:partial", "zipimport:zipimporter", "../../etc/passwd:x", "a\0b:c",
    "builtins:KeyError.__init__.__globals__",
]  # fmt: skip

HOSTILE = [
    json.dumps(tree)
    for name in NAMES
    for tree in (
        {"$dataclass": [name, {"args": ["true"], "shell": True}]},
        {"$struct": [name, {"x": 1}]},
        {"$pydantic": [name, {"x": 1}]},
        {"$enum": [name, "x"]},
        {"$enum": [name, 1]},
        {"$namedtuple": [name, ["true"]]},
        {"$object": [name, "true"]},
        {"$secret": [name, "true"]},
        {"$url": [name, "true"]},
        {"$exception": {"type": name, "message": "true", "args": ["true"], "attributes": {"x": 1}, "members": [1]}},
        {"$defaultdict": [name, []]},
        {"$defaultdict": [name.partition(":")[2], []]},
        {"$timezone": name},
        {"$datetime": ["2024-01-01T00:00:00", name, 0]},
    )
]

FORBIDDEN = {
    "compile", "exec", "import", "marshal.loads", "open", "os.exec", "os.fork", "os.listdir", "os.posix_spawn",
    "os.scandir", "os.spawn",
    "os.system", "pickle.find_class", "shutil.copyfile", "socket.connect", "subprocess.Popen", "code.__new__",
    "ctypes.dlopen",
}  # fmt: skip

WATCHED = """
import sys, json
lines = sys.stdin.read().split("\\n")
import pydantic, zoneinfo, datetime, uuid, decimal, dataclasses, enum
from wf.codec import Opaque, decode, encode
from wf.errors import SerializationError, WorkflowError
FORBIDDEN = set(json.loads(lines.pop(0)))
{warm}
seen = []
active = False
def hook(event, args):
    if active and event in FORBIDDEN:
        seen.append((event, str(args)[:200]))
sys.addaudithook(hook)
modules = set(sys.modules)
for line in lines:
    active = True
    try:
        decode(bytes.fromhex(line))
    except WorkflowError:
        pass
    active = False
    if seen:
        print(line, seen)
        sys.exit(1)
assert set(sys.modules) == modules, set(sys.modules) - modules
print("read", len(lines))
"""


def read_watched(texts: list[bytes], warm: str = "") -> str:
    """Decode in a process that notes every import, exec and open."""
    done = subprocess.run(
        [sys.executable, "-c", WATCHED.replace("{warm}", warm)],
        input="\n".join([json.dumps(sorted(FORBIDDEN)), *(text.hex() for text in texts)]),
        env={"PYTHONPATH": os.pathsep.join(sys.path), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def test_hostile_bytes_import_execute_and_open_nothing() -> None:
    texts = [text.encode() for text in HOSTILE]
    assert read_watched(texts) == f"read {len(texts)}"


def test_every_tag_reads_without_import_or_open() -> None:
    from tests.wf.codec.test_wire import CASES

    # Zones are the documented exception: they are read once from the system's database.
    warm = "import zoneinfo; zoneinfo.ZoneInfo('Europe/Berlin')"
    texts = [text.encode() for _, text in CASES]
    assert read_watched(texts, warm) == f"read {len(texts)}"


def test_a_zone_opens_the_time_zone_database_and_nothing_else() -> None:
    texts = [b'{"$timezone":"../../../etc/passwd"}', b'{"$timezone":"/etc/passwd"}', b'{"$timezone":"Europe/../../x"}']
    assert read_watched(texts) == "read 3"


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_bytes_give_plain_results(text: str) -> None:
    try:
        value = decode(text.encode())
    except SerializationError as error:
        assert str(error).startswith("malformed")
        return
    assert isinstance(value, (Opaque, WorkflowError)), value


def test_a_modules_getattr_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lazy(types.ModuleType):
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError(f"asked for {name}")

    monkeypatch.setitem(sys.modules, "a_lazy_module", Lazy("a_lazy_module"))
    assert isinstance(decode(b'{"$dataclass":["a_lazy_module:Thing",{}]}'), Opaque)

    class Meta(type):
        def __getattribute__(cls, name: str) -> Any:
            raise AssertionError(f"asked for {name}")

    module = types.ModuleType("a_module")
    module.Outer = Meta("Outer", (), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "a_module", module)
    assert isinstance(decode(b'{"$enum":["a_module:Outer.Inner","A"]}'), Opaque)


MALFORMED = [
    b"", b" ", b"{", b"[1,", b'{"a"', b"nul", b"NaN", b"Infinity", b"'a'", b"\xff\xfe", b'"\xff"',
    b'"\xed\xa0\x80"', b'"\\ud800"', b"1e999", b"[1] 2",
    b"01", b"1" * 5000, b'{"a":1,}', b'{1:2}', b"\x00", b"j1", b'{"$tuple":5}', b'{"$tuple":null}',
    b'{"$tuple":{}}', b'{"$tuple":"abc"}', b'{"$set":5}',
    b'{"$set":[[]]}', b'{"$set":[{"a":1}]}', b'{"$frozenset":[[1]]}', b'{"$dict":5}', b'{"$dict":[1]}',
    b'{"$dict":[[1]]}', b'{"$dict":[[1,2,3]]}',
    b'{"$dict":[[[],2]]}', b'{"$dict":{"a":1}}', b'{"$int":5}', b'{"$int":"x"}', b'{"$int":""}',
    b'{"$int":null}', b'{"$float":"1"}', b'{"$float":1}',
    b'{"$float":["nan"]}', b'{"$str":"x"}', b'{"$str":"/w=="}', b'{"$str":5}', b'{"$bytes":"a"}',
    b'{"$bytes":"a==="}', b'{"$bytes":"a b="}', b'{"$bytes":5}',
    b'{"$bytes":null}', b'{"$bytearray":[1]}', b'{"$decimal":"x"}', b'{"$decimal":5}',
    b'{"$decimal":[0,[1],0]}', b'{"$uuid":"x"}', b'{"$uuid":5}',
    b'{"$uuid":null}', b'{"$datetime":"x"}', b'{"$datetime":5}', b'{"$datetime":["x",null,0]}',
    b'{"$datetime":["2024-01-01",null]}',
    b'{"$datetime":["2024-01-01T00:00:00",null,5]}', b'{"$datetime":["2024-01-01T00:00:00",5,0]}',
    b'{"$datetime":["2024-01-01T00:00:00","+99:00",0]}',
    b'{"$datetime":["2024-01-01T00:00:00","../x",0]}', b'{"$date":"x"}', b'{"$date":5}', b'{"$time":"x"}',
    b'{"$time":["x",null,0]}', b'{"$timedelta":[1]}',
    b'{"$timedelta":["a","b","c"]}', b'{"$timedelta":[1e300,0,0]}', b'{"$timedelta":5}', b'{"$timezone":5}',
    b'{"$timezone":["+01:00"]}', b'{"$path":5}',
    b'{"$path":["a"]}', b'{"$pureposixpath":null}', b'{"$ip":["IPv4Address","x"]}', b'{"$ip":["os","x"]}',
    b'{"$ip":5}', b'{"$complex":[1]}', b'{"$complex":["a","b"]}',
    b'{"$fraction":[1,0]}', b'{"$fraction":["1","2"]}', b'{"$range":[1,2,0]}', b'{"$range":["a","b","c"]}',
    b'{"$deque":[1]}', b'{"$deque":[[],-1]}',
    b'{"$counter":[[[],1]]}', b'{"$ordereddict":5}', b'{"$defaultdict":["eval",[]]}',
    b'{"$defaultdict":["object",[]]}', b'{"$defaultdict":[5,[]]}',
    b'{"$enum":5}', b'{"$enum":["a:b"]}', b'{"$enum":[5,"a"]}', b'{"$dataclass":[]}', b'{"$dataclass":["x"]}',
    b'{"$dataclass":[5,{}]}', b'{"$struct":"x"}',
    b'{"$pydantic":[]}', b'{"$namedtuple":["x"]}', b'{"$object":5}', b'{"$object":["x"]}', b'{"$exception":5}',
    b'{"$secret":["x"]}', b'{"$url":[]}',
]  # fmt: skip


@pytest.mark.parametrize("data", MALFORMED, ids=range(len(MALFORMED)))
def test_malformed_bytes_are_a_serialization_error(data: bytes) -> None:
    with pytest.raises(SerializationError) as caught:
        decode(data)
    assert str(caught.value).startswith("malformed")


def test_malformed_fields_are_a_serialization_error() -> None:
    for fields in ("5", "[]", '["x"]', "null", '"x"'):
        with pytest.raises(SerializationError, match="malformed"):
            decode(f'{{"$dataclass":["{__name__}:Point",{fields}]}}'.encode())


@pytest.mark.parametrize("data", [b"5", b"[]", b'{"$tuple":[]}', b'{"$dict":[[1,2]]}', b"null"])
def test_arguments_are_names_and_values(data: bytes) -> None:
    with pytest.raises(SerializationError, match="malformed: arguments are an object of names"):
        decode_arguments(data)


@pytest.mark.parametrize("depth", [MAX_LIFT_DEPTH + 1, 200, 900, 5000, 100_000])
@pytest.mark.parametrize(
    ("opening", "closing"),
    [("[", "]"), ('{"a":', "}"), ('{"$tuple":[', "]}"), ('{"$dict":[[1,', "]]}"), ('{"$set":[{"$tuple":[', "]}]}"),
     ('{"$dataclass":["' + __name__ + ':Point",{"x":', "}]}"), ('["[]{}",', "]"),
     ('{"$exception":{"type":"builtins:ValueError","message":"","cause":', "}}")],
)  # fmt: skip
def test_what_is_nested_too_deep_is_refused(depth: int, opening: str, closing: str) -> None:
    seed = "1" if "exception" not in opening else '{"$exception":{"type":"builtins:ValueError","message":""}}'
    with pytest.raises(SerializationError, match=r"malformed: it is nested (deeper than 120|too deep)"):
        decode((opening * depth + seed + closing * depth).encode())


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('{"$tuple":[', "]}"), ('["[]{}",', "]")])
def test_what_could_be_written_is_not_too_deep(opening: str, closing: str) -> None:
    text = (opening * 100 + "1" + closing * 100).encode()
    assert encode(decode(text)) == text


def test_brackets_in_texts_are_no_depth() -> None:
    value = ["[" * 500, "{" * 500, {"]" * 300: "}"}]
    assert decode(encode(value)) == value


def test_the_deepest_value_comes_back_through_every_sort_of_container() -> None:
    wraps: list[Any] = [
        lambda x: [x],
        lambda x: (x,),
        lambda x: {1: x},
        lambda x: {"a": x},
        lambda x: Point(x),
        lambda x: ValueError(x),
    ]
    value: Any = 0
    for number in range(100):
        value = wraps[number % 6](value)
    data = encode(value)
    assert encode(decode(data)) == data


trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(), inner, max_size=4)
        | st.builds(lambda tag, data: {tag: data}, st.sampled_from(sorted(filter(None, LIFT))), inner)
        | st.builds(
            lambda tag, name, data: {tag: [name, data]},
            st.sampled_from(["$enum", "$dataclass", "$struct", "$pydantic", "$namedtuple", "$object", "$url"]),
            st.sampled_from([f"{__name__}:Color", f"{__name__}:Point", "wf.events:Event", "os:system", "shop:Order"]),
            inner,
        )
    ),
    max_leaves=12,
)  # fmt: skip


@given(trees)
def test_any_json_is_read_or_refused(tree: Any) -> None:
    data = json.dumps(tree, ensure_ascii=False).encode("utf-8", "surrogatepass")
    try:
        value = decode(data)
    except WorkflowError as error:
        assert isinstance(error, SerializationError)
        return
    encode(value)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        decode(data)
    except SerializationError:
        pass


@given(st.data())
def test_damaged_bytes_are_read_or_refused(data: Any) -> None:
    from tests.wf.codec.test_wire import CASES

    text = bytearray(data.draw(st.sampled_from([text for _, text in CASES])).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(text))
    except WorkflowError as error:
        assert isinstance(error, SerializationError)
