"""Exceptions as values: every one can be written, and comes back as what it was."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import pydantic
import pytest
from pydantic_core import PydanticCustomError

from wf import errors
from wf.codec import decode, encode
from wf.codec.exceptions import MAX_TEXT
from wf.errors import SerializationError, StepError

ME = __name__


class TwoArguments(Exception):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


class OnlyKeywords(Exception):
    def __init__(self, *, code: int) -> None:
        super().__init__()
        self.code = code


class OwnNew(Exception):
    def __new__(cls, *args: Any) -> OwnNew:
        raise AssertionError("its code was run")


class Slotted(Exception):
    __slots__ = ("detail",)

    def __init__(self, detail: Any) -> None:
        self.detail = detail


@dataclasses.dataclass
class Fields(Exception):
    code: int
    parts: tuple[int, ...] = ()


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class OddText(Exception):
    def __str__(self) -> str:
        return 5  # type: ignore[return-value]


class Hostile(Exception):
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


class NamedArgs(Exception):
    args = property(lambda self: "not a tuple")


class Group(ExceptionGroup[Exception]):
    def derive(self, excs: Any) -> Any:
        return Group(self.message, excs)


class FileProblem(OSError):
    def __init__(self, path: str) -> None:
        super().__init__(2, "no such thing", path)
        self.hint = "look elsewhere"


class Text(str):
    __slots__ = ()


class Word(StrEnum):
    A = "a"


def again(error: BaseException) -> Any:
    data = encode(error)
    result = decode(data)
    assert encode(result) == data, "what was read is written alike"
    assert encode(error) == data
    return result


def alike(a: BaseException, b: BaseException) -> None:
    assert type(a) is type(b)
    assert a.args == b.args
    assert str(a) == str(b)
    hidden = ("__wf_traceback__", "__notes__")
    assert {k: v for k, v in vars(a).items() if k not in hidden} == {
        k: v for k, v in vars(b).items() if k not in hidden
    }
    assert getattr(a, "__notes__", []) == getattr(b, "__notes__", [])


CASES: list[BaseException] = [
    ValueError(),
    ValueError("x"),
    ValueError("x", 1, None, (1, 2), {"a": [1]}),
    KeyError("k"),
    KeyError(("a", 1)),
    IndexError("list index out of range"),
    ZeroDivisionError("division by zero"),
    RuntimeError("\ud800"),
    RuntimeError("\0" * 10),
    AssertionError(),
    StopIteration(5),
    StopAsyncIteration(),
    SystemExit(3),
    SystemExit("bye"),
    KeyboardInterrupt(),
    GeneratorExit(),
    TimeoutError("late"),
    TimeoutError(),
    asyncio.CancelledError("why"),
    asyncio.IncompleteReadError(b"x", 5),
    OSError(2, "No such file", "a.txt"),
    OSError(2, "No such file", "a.txt", None, "b.txt"),
    FileNotFoundError(2, "No such file or directory", "a.txt"),
    FileNotFoundError("just text"),
    PermissionError(13, "no", "a"),
    BlockingIOError(11, "again", 5),
    ConnectionRefusedError(111, "refused"),
    OSError(),
    FileProblem("x"),
    ImportError("no", name="m", path="p"),
    ModuleNotFoundError("no", name="m"),
    NameError("no", name="n"),
    AttributeError("no", name="a"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    UnicodeEncodeError("ascii", "é", 0, 1, "bad"),
    UnicodeTranslateError("é", 0, 1, "bad"),
    SyntaxError("bad", ("f.py", 1, 2, "x = ", 1, 3)),
    SyntaxError("bad"),
    json.JSONDecodeError("bad", "doc", 1),
    subprocess.CalledProcessError(1, ["a"], b"out", b"err"),
    subprocess.TimeoutExpired(["a"], 5),
    TwoArguments(1, "x"),
    OnlyKeywords(code=1),
    Exception.__new__(OwnNew, "x"),
    Slotted([1, (2,)]),
    Fields(1, (2, 3)),
    errors.FatalError("no"),
    errors.RetryableError("later", retry_after="10s"),
    errors.RetryableError("later", retry_after=timedelta(seconds=5)),
    errors.RetryableError("later", retry_after=datetime(2024, 1, 1, tzinfo=UTC)),
    errors.RetryableError("later", 2.5),
    errors.StepError("shop.Oops", "text"),
    errors.StepTimeoutError("took longer than 5 s"),
    errors.SerializationError("value.x", "function cannot be carried"),
    errors.PayloadTooLargeError("the result", 5, 4),
    errors.HookNotFoundError("t"),
    errors.HookDisposedError("t"),
    errors.HookConflictError("t", "wrun_1"),
    errors.ValidationError("no"),
    errors.WorkflowRunFailedError("wrun_1", "TIMEOUT", "late"),
    errors.WorkflowRunCancelledError("wrun_1", None),
    errors.RunNotFoundError("wrun_1"),
    errors.ImportedRunError("wrun_1", "bundle:runs.wf.zip"),
    errors.NotInRunError("outside"),
    errors.LockTimeoutError("l"),
    errors.NondeterminismError("x", run_id="wrun_1", seq=3, recorded="a", actual="b", where="f.py:1 in g"),
    errors.DeadLetterError("wrun_1", "shop:fulfil", 3),
    errors.BlockedError("wrun_1", "shop:fulfil", ["flow.py:3 in fulfil", "flow.py:9 in spin"]),
    errors.NotRegisteredError("step", "shop:chargecard", ["shop:charge_card"]),
    errors.WorkflowIOError("no"),
    errors.DecryptionError("wrun_1", None, "payload", "changed"),
    errors.WorldError("x"),
    errors.StorageFull("x"),
    errors.WorldBusy("x"),
]


@pytest.mark.parametrize("error", CASES, ids=lambda error: type(error).__name__)
def test_an_exception_comes_back_as_it_was(error: BaseException) -> None:
    alike(again(error), error)


@pytest.mark.parametrize("error", CASES, ids=lambda error: type(error).__name__)
def test_what_it_keeps_outside_its_dict_comes_back(error: BaseException) -> None:
    result = again(error)
    names = """errno strerror filename filename2 characters_written encoding object start end reason name path msg
        lineno offset text end_lineno code value detail"""
    for name in names.split():
        assert getattr(result, name, "absent") == getattr(error, name, "absent")


def test_every_error_of_wf_is_tried_above() -> None:
    tried = {type(error) for error in CASES}
    own = {value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, BaseException)}
    assert own - tried <= {errors.WorkflowError}


def test_no_code_of_the_class_is_run() -> None:
    calls: list[str] = []

    class Loud(Exception):
        def __new__(cls, *args: Any) -> Loud:
            calls.append("new")
            return super().__new__(cls, *args)

        def __init__(self, *args: Any) -> None:
            calls.append("init")

        def __setattr__(self, name: str, value: Any) -> None:
            calls.append("setattr")
            super().__setattr__(name, value)

        def __setstate__(self, state: Any) -> None:
            calls.append("setstate")

        def __str__(self) -> str:
            calls.append("str")
            return "loud"

    error = Loud("x")
    error.detail = 1
    data = encode(error)
    calls.clear()
    result = decode(data)
    assert calls == []
    assert (type(result), result.args, result.detail) == (Loud, ("x",), 1)


def test_causes_and_contexts_come_back() -> None:
    def fail() -> None:
        try:
            try:
                raise KeyError("first")
            except KeyError:
                raise TypeError("second")  # noqa: B904
        except TypeError as error:
            raise ValueError("third") from error

    with pytest.raises(ValueError) as caught:
        fail()
    result = again(caught.value)
    assert repr(result.__cause__) == "TypeError('second')"
    assert repr(result.__cause__.__context__) == "KeyError('first')"
    assert result.__context__ is None or result.__context__ is result.__cause__
    assert result.__suppress_context__
    assert not result.__cause__.__suppress_context__


def test_a_suppressed_context_stays_so() -> None:
    def fail() -> None:
        try:
            raise KeyError("hidden")
        except KeyError:
            raise ValueError("shown") from None

    with pytest.raises(ValueError) as caught:
        fail()
    assert b"hidden" not in encode(caught.value)[:60]
    result = again(caught.value)
    assert result.__cause__ is None
    assert result.__context__ is None
    assert result.__suppress_context__


def test_notes_come_back() -> None:
    error = ValueError("x")
    error.add_note("one")
    error.add_note("two\ud800")
    error.__notes__.append(5)  # type: ignore[arg-type]
    assert again(error).__notes__ == ["one", "two\ud800", "5"]


def test_groups_come_back_with_their_members() -> None:
    inner = ExceptionGroup("inner", [KeyError("a"), TwoArguments(1, "b")])
    group = Group("outer", [ValueError("c"), inner])
    group.extra = (1,)  # type: ignore[attr-defined]
    result = again(group)
    assert (type(result), result.message, result.extra) == (Group, "outer", (1,))
    assert result.args == ("outer", list(result.exceptions)) or result.args[0] == "outer"
    value, nested = result.exceptions
    assert repr(value) == "ValueError('c')"
    assert type(nested) is ExceptionGroup
    assert [type(member) for member in nested.exceptions] == [KeyError, TwoArguments]
    assert result.split(KeyError)[0] is not None
    base = again(BaseExceptionGroup("b", [KeyboardInterrupt()]))
    assert type(base) is BaseExceptionGroup
    assert type(base.exceptions[0]) is KeyboardInterrupt


# -- what cannot be carried of it ---------------------------------------------------------------


def test_odd_arguments_and_attributes_become_their_repr() -> None:
    error = ValueError("x", threading.Lock(), [print])
    error.fine = (1,)  # type: ignore[attr-defined]
    error.handler = lambda: 0  # type: ignore[attr-defined]
    error.me = error  # type: ignore[attr-defined]
    error.others = [error]  # type: ignore[attr-defined]
    error.cycle = cycle = []  # type: ignore[attr-defined, var-annotated]
    cycle.append(cycle)
    result = decode(encode(error))
    assert result.args[0] == "x"
    assert result.args[1].startswith("<unlocked _thread.lock")
    assert result.args[2] == "[<built-in function print>]"
    assert result.fine == (1,)
    assert result.handler.startswith("<function test_odd")
    assert result.me.startswith("ValueError('x'")
    assert result.cycle == "[[...]]"


def test_exceptions_within_exceptions_come_back() -> None:
    error = ValueError(KeyError("a"), [TwoArguments(1, "b")])
    error.inner = TypeError("c")  # type: ignore[attr-defined]
    result = again(error)
    assert type(result.args[0]) is KeyError
    assert type(result.args[1][0]) is TwoArguments
    assert type(result.inner) is TypeError


def test_a_cause_that_refers_back_is_left_out() -> None:
    first, second = ValueError("first"), KeyError("second")
    first.__cause__, second.__cause__ = second, first
    result = again(first)
    assert repr(result.__cause__) == "KeyError('second')"
    assert result.__cause__.__cause__ is None
    own = RuntimeError("own")
    own.__cause__ = own
    result = again(own)
    assert result.__cause__ is None
    context = RuntimeError("context")
    other = ValueError("other")
    context.__context__, other.__context__ = other, context
    assert repr(again(context).__context__) == "ValueError('other')"


def test_a_long_chain_ends_somewhere() -> None:
    error = ValueError(0)
    for number in range(1, 1000):
        outer = ValueError(number)
        outer.__cause__ = error
        error = outer
    result = again(error)
    count = 0
    while result is not None:
        assert result.args == (999 - count,)
        result, count = result.__cause__, count + 1
    assert count == 100


def test_a_thicket_of_causes_and_contexts_is_written_once() -> None:
    error = ValueError(0)
    for number in range(1, 60):  # 2**60 paths
        outer = ValueError(number)
        outer.__cause__ = outer.__context__ = error
        outer.__suppress_context__ = False
        error = outer
    assert len(encode(error)) < 10_000


def test_a_thicket_of_groups_is_written_once() -> None:
    group: Exception = ValueError("seed")
    for _ in range(60):
        group = ExceptionGroup("g", [group, group])
    data = encode(group)
    assert len(data) < 20_000
    assert type(decode(data)) is ExceptionGroup


def test_the_same_exception_twice_in_a_value_comes_back_twice() -> None:
    error = ValueError("x")
    error.__cause__ = KeyError("y")
    result = decode(encode([error, error]))
    assert [repr(item.__cause__) for item in result] == ["KeyError('y')", "KeyError('y')"]


def test_exceptions_that_do_not_print_are_carried() -> None:
    result = decode(encode(Unprintable("x", print)))
    assert type(result) is Unprintable
    assert result.args == ("x", "<built-in function print>")
    assert b"<Unprintable: str raised RuntimeError>" in encode(Unprintable())
    assert b"<OddText: str raised TypeError>" in encode(OddText())
    assert type(again(OddText("x"))) is OddText
    outer = ValueError(Unprintable("x"), [print, Unprintable()])
    result = decode(encode(outer))
    assert type(result.args[0]) is Unprintable


def test_an_exception_that_answers_nothing_is_carried_by_name() -> None:
    result = decode(encode([Hostile("x")]))
    assert type(result[0]) is Hostile
    assert again(NamedArgs("x"))
    assert vars(BaseException)["args"].__get__(again(NamedArgs("x"))) == ("x",)


def test_texts_are_cut() -> None:
    error = ValueError("x" * 10_000_000)
    error.body = "y" * 10_000_000  # type: ignore[attr-defined]
    error.data = ["z" * 10_000_000]  # type: ignore[attr-defined]
    error.add_note("n" * 10_000_000)
    data = encode(error)
    assert len(data) < 5 * MAX_TEXT
    result = decode(data)
    assert result.args == ("x" * (MAX_TEXT - 1) + "…",)
    assert result.body == "y" * (MAX_TEXT - 1) + "…"
    assert result.data.startswith("['zzz")
    assert result.__notes__[0].endswith("n…")
    assert encode(result) == data


def test_many_long_texts_are_cut_together() -> None:
    group = ExceptionGroup("g", [ValueError("x" * 100_000) for _ in range(500)])
    data = encode(group)
    assert len(data) < 2_000_000
    assert len(decode(data).exceptions) == 500
    many = ValueError(*["x" * 60_000 for _ in range(500)])
    assert len(encode(many)) < 2_000_000
    assert len(decode(encode(many)).args) == 500


def test_a_large_text_that_could_not_be_decoded_leaves_its_message() -> None:
    result = decode(encode(UnicodeDecodeError("utf-8", b"\xff" * 10_000_000, 0, 1, "bad")))
    assert type(result) is StepError
    assert str(result) == "builtins.UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff in position 0: bad"


def test_texts_of_a_class_of_their_own_become_plain() -> None:
    result = again(ValueError(Text("a"), Word.A))
    assert result.args == ("a", Word.A)
    assert [type(item) for item in result.args] == [str, Word]


def test_the_object_of_an_attribute_error_stays_behind() -> None:
    with pytest.raises(AttributeError) as caught:
        threading.local().missing  # noqa: B018
    result = again(caught.value)
    assert result.name == "missing"
    assert result.obj is None


# -- classes that are not here ------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["no.such:Oops", "os:system", "subprocess:Popen", f"{ME}:again", "builtins:dict", "x", ""]
)
def test_an_exception_of_a_class_that_is_not_loaded_is_a_step_error(name: str) -> None:
    data = {
        "type": name,
        "message": "went wrong",
        "args": [1],
        "notes": ["n"],
        "cause": {"$exception": {"type": "builtins:KeyError", "message": "'k'", "args": ["k"]}},
        "traceback": "  File\n",
    }
    result: Any = decode(json.dumps({"$exception": data}).encode())
    assert isinstance(result, StepError)
    assert result.type_name == name.replace(":", ".")
    assert result.text == "went wrong"
    assert repr(result.__cause__) == "KeyError('k')"
    assert result.__notes__ == ["n"]
    assert vars(result)["__wf_traceback__"] == "  File\n"


def test_an_exception_that_cannot_be_rebuilt_is_a_step_error() -> None:
    data = {"type": "pydantic_core._pydantic_core:ValidationError", "message": "1 validation error"}  # no parts of it
    result: Any = decode(json.dumps({"$exception": data}).encode())
    assert type(result) is StepError
    assert result.type_name == "pydantic_core._pydantic_core.ValidationError"
    assert result.text == "1 validation error"


class Line(pydantic.BaseModel):
    sku: str


class Order(pydantic.BaseModel):
    number: int = pydantic.Field(gt=3)
    lines: list[Line] = []

    @pydantic.field_validator("number")
    @classmethod
    def check(cls, number: int) -> int:
        if number == 7:
            raise ValueError("not {seven}")
        if number == 8:
            raise PydanticCustomError("of_mine", "{n} is not for sale", {"n": number})
        return number


@pytest.mark.parametrize(
    "data", [{}, {"number": "x"}, {"number": 1, "lines": [{}, {"sku": 1}]}, {"number": 7}, {"number": 8}]
)
def test_pydantics_own_error_comes_back_with_all_it_says(data: dict[str, Any]) -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        Order(**data)
    caught.value.add_note("a note")
    result: Any = again(caught.value)
    assert type(result) is pydantic.ValidationError
    assert (str(result), result.title, result.__notes__) == (str(caught.value), "Order", ["a note"])
    assert repr(result.errors()) == repr(caught.value.errors())


def test_what_pydantic_refused_may_be_what_cannot_be_carried() -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        Order(number=object(), lines=[object()])  # type: ignore[arg-type, list-item]
    result: Any = decode(encode(caught.value))
    assert type(result) is pydantic.ValidationError
    assert [line["loc"] for line in result.errors()] == [("number",), ("lines", 0)]
    assert [line["input"][:7] for line in result.errors()] == ["<object", "<object"]


# -- tracebacks -----------------------------------------------------------------------------------


def user_code() -> None:
    raise ValueError("x")


def test_the_traceback_becomes_text() -> None:
    with pytest.raises(ValueError) as caught:
        user_code()
    result = again(caught.value)
    lines = result.__wf_traceback__.splitlines()
    assert lines[-3].endswith("in user_code") or lines[-2].endswith("in user_code")
    assert 'raise ValueError("x")' in result.__wf_traceback__
    assert result.__traceback__ is None


def test_frames_passed_later_stand_before_the_earlier() -> None:
    with pytest.raises(ValueError) as caught:
        user_code()
    first = decode(encode(caught.value))

    def body() -> None:
        raise first

    with pytest.raises(ValueError) as caught:
        body()
    text = decode(encode(caught.value)).__wf_traceback__
    assert text.index("in body") < text.index("in user_code")


def test_a_deep_traceback_is_cut_at_its_beginning() -> None:
    def dig(depth: int) -> None:
        if depth == 0:
            raise ValueError("bottom")
        (dig if depth % 2 else lambda depth: dig(depth))(depth - 1)

    with pytest.raises(ValueError) as caught:
        dig(300)
    text = again(caught.value).__wf_traceback__
    assert 'raise ValueError("bottom")' in text
    assert len(text) <= MAX_TEXT


def test_a_traceback_begins_at_the_users_code() -> None:
    # Frames as they are in a worker: the runtime, the standard library, then the user's function.
    import wf.errors

    namespace: dict[str, Any] = {"function": user_code}
    exec(compile("def attempt():\n    run(function)\n", wf.errors.__file__, "exec"), namespace)
    exec(compile("def run(function):\n    function()\n", threading.__file__, "exec"), namespace)
    with pytest.raises(ValueError) as caught:
        namespace["attempt"]()
    error = caught.value
    assert error.__traceback__ is not None
    text = decode(encode(error.with_traceback(error.__traceback__.tb_next))).__wf_traceback__
    assert text.startswith(f'  File "{__file__}"')
    assert "in attempt" not in text
    assert "in run" not in text


def test_a_traceback_that_cannot_be_formatted_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> Any:
        raise UnicodeDecodeError("utf-8", b"", 0, 1, "bad")

    with pytest.raises(ValueError) as caught:
        user_code()
    monkeypatch.setattr("wf.codec.exceptions.traceback.format_tb", fail)
    assert "(the traceback cannot be shown: UnicodeDecodeError)" in decode(encode(caught.value)).__wf_traceback__


# -- malformed ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        "null",
        "[]",
        "{}",
        '"x"',
        '{"type":"builtins:ValueError"}',
        '{"type":5,"message":"x"}',
        '{"type":"builtins:ValueError","message":5}',
        '{"type":"builtins:ValueError","message":"x","args":5}',
        '{"type":"builtins:ValueError","message":"x","attributes":[1]}',
        '{"type":"builtins:ValueError","message":"x","cause":5}',
        '{"type":"builtins:ValueError","message":"x","context":"x"}',
        '{"type":"builtins:ValueError","message":"x","notes":5}',
    ],
)
def test_malformed_exceptions_are_refused(data: str) -> None:
    with pytest.raises(SerializationError, match="malformed"):
        decode(f'{{"$exception":{data}}}'.encode())


@pytest.mark.parametrize("name", ["__class__", "__dict__", "__traceback__", "__cause__", "with_traceback", "args"])
def test_attributes_of_odd_names_do_no_harm(name: str) -> None:
    data = {"type": "builtins:ValueError", "message": "x", "args": ["x"], "attributes": {name: [1], "fine": 1}}
    result: Any = decode(json.dumps({"$exception": data}).encode())
    assert isinstance(result, ValueError)
    assert result.args == ("x",)
    assert vars(result)["fine"] == 1
    assert result.__cause__ is None
