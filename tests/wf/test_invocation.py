"""Invocations: words of a command line, a workflow and its arguments; and failures as a reader wants them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from wf import codec
from wf.invocation import adopt_settings, describe_failure, keep_users_frames, read_arguments, read_invocation, to_json
from wf.loading import LoadError
from wf.registry import isolated
from wf.settings import forget_configuration, load_settings

FLOW = """
import wf

@wf.workflow
async def order(card, amount=3): ...

@wf.workflow
async def refund(card): ...
"""


@pytest.fixture(autouse=True)
def no_traces() -> Iterator[None]:
    paths = list(sys.path)
    with isolated():
        yield
    forget_configuration()
    sys.path[:] = paths
    sys.modules.pop("order_flow", None)


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text('[tool.wf]\nworld = "sqlite:///orders.db"\nconcurrency = 7\n')
    path = tmp_path / "order_flow.py"
    path.write_text(FLOW)
    return path


def test_words_are_json_in_order_or_by_name() -> None:
    assert read_arguments(['"ada"', "3", "tags=[1, null]", 'note="a=b"']) == (
        ["ada", 3],
        {"tags": [1, None], "note": "a=b"},
    )
    assert read_arguments([]) == ([], {})


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["ada"], "the argument 'ada' is not JSON\n  fix: for a text write '\"ada\"'"),
        (["name=ada"], "the argument 'name=ada' is not JSON\n  fix: for a text write 'name=\"ada\"'"),
        (["a=1", "2"], "the argument '2' stands after a named one"),
        (["a=1", "a=2"], "the argument a is given twice"),
        ([""], "the argument '' is not JSON\n  fix: for a text write ''"),
    ],
)  # fmt: skip
def test_a_word_that_cannot_be_read_is_told_the_cure(words: list[str], text: str) -> None:
    with pytest.raises(ValueError) as refused:
        read_arguments(words)
    assert str(refused.value) == text


def test_an_invocation_has_what_a_start_needs(flow: Path) -> None:
    made = read_invocation(f"{flow}:order", ['"ada"', "amount=5"], id="one", attributes={"tenant": "acme"})
    assert made.workflow.id == "order_flow:order"
    assert (made.workflow.options.id, made.workflow.options.attributes) == ("one", {"tenant": "acme"})
    assert (made.args, made.kwargs) == (("ada", 5), {})
    assert [module.__name__ for module in made.modules] == ["order_flow"]


def test_arguments_that_do_not_fit_and_workflows_that_are_not_there_raise(flow: Path) -> None:
    with pytest.raises(TypeError, match=r"order\(\) missing 1 required positional argument: 'card'"):
        read_invocation(f"{flow}:order", [])
    with pytest.raises(LoadError, match="there are 2 workflows in order_flow"):
        read_invocation(str(flow), ["1"])


def test_settings_are_those_of_the_targets_project(
    flow: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    settings = read_invocation(f"{flow}:order", ["1"]).settings
    assert settings.root == flow.parent
    assert settings.world == f"sqlite:///{flow.parent}/orders.db"
    in_force = load_settings()
    assert (in_force.world, in_force.concurrency) == (settings.world, 7)


def test_a_world_that_is_named_wins(flow: Path) -> None:
    assert adopt_settings(str(flow), "sqlite:///other.db").world == f"sqlite:///{flow.parent}/other.db"
    assert adopt_settings(str(flow), "memory://").world == "memory://"


def test_a_result_is_written_as_json() -> None:
    assert to_json({"name": "ö", "n": [1, None]}) == '{"name": "ö", "n": [1, null]}'


# -- failures -----------------------------------------------------------------------------------


def carry(error: BaseException) -> BaseException:
    """Give an exception as a waiter gets it: encoded where it was raised, decoded here."""
    found = codec.decode(codec.encode(error, "error"))
    assert isinstance(found, BaseException)
    return found


def fail() -> None:
    raise ValueError("no money")


def caught(call) -> BaseException:
    try:
        call()
    except Exception as error:
        return carry(error)
    raise AssertionError


def test_a_failure_is_shown_as_python_shows_one() -> None:
    lines = describe_failure(caught(fail)).split("\n")
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-3].endswith(", in fail")
    assert lines[-1] == "ValueError: no money"


def test_the_cause_comes_first() -> None:
    def wrap() -> None:
        try:
            fail()
        except ValueError as error:
            raise RuntimeError("order failed") from error

    text = describe_failure(caught(wrap))
    assert text.index("ValueError: no money") < text.index("RuntimeError: order failed")
    assert text.count("Traceback") == 2


def test_what_was_raised_again_is_shown_once() -> None:
    """As a step's exception is: it has its frames already when the body raises it."""
    steps: list[BaseException] = []

    def again() -> None:
        try:
            fail()
        except ValueError as error:
            steps.append(carry(error))
        raise steps[0]

    error = caught(again)
    error.__cause__ = carry(steps[0].with_traceback(None))
    assert describe_failure(error).count("ValueError: no money") == 1


def test_notes_are_kept_without_the_frames_that_they_repeat() -> None:
    error = caught(fail)
    error.add_note('step charge failed in attempt 2\n  File "x.py", line 1, in charge')
    assert describe_failure(error).endswith("ValueError: no money\n  step charge failed in attempt 2")


def test_frames_of_the_runtime_are_left_out() -> None:
    ours = Path(codec.__file__).parents[1]
    trace = (
        '  File "/app/flow.py", line 3, in order\n    await charge()\n'
        f'  File "{ours}/engine/body.py", line 9, in call_step\n    return await future\n           ^^^^^\n'
        '  File "/app/flow.py", line 8, in charge\n    raise ValueError\n'
    )
    assert "".join(keep_users_frames(trace)) == (
        '  File "/app/flow.py", line 3, in order\n    await charge()\n'
        '  File "/app/flow.py", line 8, in charge\n    raise ValueError\n'
    )
