"""Code that was edited, lost or locked out while runs were waiting: real processes, a real file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.reliability.stage import Place

FLOW = """
import os
import wf

def note(text):
    with open(os.environ["EFFECTS"], "a") as file:
        file.write(text + "\\n")

@wf.step
async def first(x: int) -> int:
    note("first")
    return x + 1

@wf.step
async def second(x: int) -> int:
    note("second")
    return x * 10

@wf.workflow
async def main() -> list:
    a = await first(1)
    b = await second(a)
    answer = await wf.hook(token="go")
    return [a, b, answer, await first(b)]
"""

START = """
async with wf.worker(modules=["flow"]) as worker:
    import flow
    run = await wf.start(flow.main.with_options(id="edited"))
    async def is_waiting():
        return bool(await worker.world.list_hooks())
    await until(is_waiting)
"""

LOOK = """
async with wf.worker(modules=["flow"]) as worker:
    run = wf.get_run("edited")
    await until_attention(run)
    attention = await run.attention()
    await wf.resume_hook("go", "payload")
    await worker.drain()
    try:
        await run.return_value(timeout=5)
    except Exception as error:
        raised = [type(error).__name__, str(error)]
    row = await worker.world.get_run("edited")
    print(json.dumps({
        "code": attention.code, "message": attention.message, "seq": attention.seq, "recorded": attention.recorded,
        "actual": attention.actual, "where": attention.where, "raised": raised, "status": await run.status(),
        "events": row.seq,
    }))
"""

FINISH = """
async with wf.worker(modules=["flow"]) as worker:
    run = wf.get_run("edited")
    value = await run.return_value(timeout=20)
    print(json.dumps([value, await run.attention(), (await worker.world.get_run("edited")).seq]))
"""

NUDGE = """
async with wf.worker(modules=["flow"]) as worker:
    await wf.resume_hook("go", "payload")
    run = wf.get_run("edited")
    value = await run.return_value(timeout=20)
    print(json.dumps([value, await run.attention()]))
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.write(FLOW)
    return made


def lines(place: Place) -> list[str]:
    path = place.folder / "effects"
    return path.read_text().split() if path.exists() else []


EDITS = {
    "swapped steps": ("a = await first(1)", "a = await second(1)", "b = await second(a)", "b = await first(a)",
                      "step flow:first (position 1)", "step flow:second (position 1)", 20),
    "an added step": ("    b = await", "    await first(7)\n    b = await", "", "",
                      "step flow:second (position 2)", "step flow:first (position 2)", 21),
    "a removed step": ("    a = await first(1)\n", "    a = 2\n", "", "",
                       "step flow:first (position 1)", "step flow:second (position 1)", 21),
}  # fmt: skip


@pytest.mark.parametrize("name", list(EDITS))
def test_an_edit_that_breaks_a_run_stops_it_with_both_calls_and_the_old_code_lets_it_go_on(name: str, place: Place):
    old, new, old_too, new_too, recorded, actual, line = EDITS[name]
    place.run(START)
    assert lines(place) == ["first", "second"]
    place.write(FLOW.replace(old, new).replace(old_too or "\0", new_too))
    found = json.loads(place.run(LOOK).stdout)
    assert (found["code"], found["recorded"], found["actual"]) == ("NONDETERMINISM", recorded, actual)
    assert found["where"] == f"{place.folder}/flow.py:{line} in main"
    assert found["message"] == (
        f"run edited replayed differently: event {found['seq']} recorded {recorded}, the body now makes {actual}"
    )
    assert found["raised"] == ["NondeterminismError", found["message"]]
    assert (found["status"], found["events"]) == ("running", 7)
    assert lines(place) == ["first", "second"]
    place.write(FLOW)
    value, attention, events = json.loads(place.run(FINISH).stdout)
    assert (value, attention, events) == ([2, 20, "payload", 21], None, 11)
    assert lines(place) == ["first", "second", "first"]


SAFE = {
    "a comment": ("    a = await first(1)", "    # the first one\n    a = await first(1)"),
    "a log line": ("    a = await first(1)", "    print('hello')\n    a = await first(1)"),
    "another body of a step": ("    return x + 1", "    return x + 100"),
    "a new workflow": ("@wf.workflow\n", "@wf.workflow\nasync def other(): ...\n\n@wf.workflow\n"),
}


@pytest.mark.parametrize("name", list(SAFE))
def test_an_edit_that_breaks_nothing_raises_no_attention(name: str, place: Place):
    place.run(START)
    place.write(FLOW.replace(*SAFE[name]))
    value, attention = json.loads(place.run(NUDGE).stdout.splitlines()[-1])
    assert value == [2, 20, "payload", 120 if "body of a step" in name else 21]
    assert attention is None


def test_a_workflow_that_is_gone_is_not_registered_and_goes_on_when_it_is_back(place: Place):
    place.run(START)
    place.write(FLOW.replace("async def main(", "async def mean("))
    found = json.loads(place.run(LOOK).stdout)
    assert (found["code"], found["recorded"]) == ("NOT_REGISTERED", "flow:main")
    assert found["raised"][0] == "NotRegisteredError"
    assert "flow:main" in found["raised"][1]
    assert "mean" in found["message"], "the close match is named"
    assert (found["status"], found["events"]) == ("running", 7)
    place.write(FLOW)
    value, attention, _ = json.loads(place.run(FINISH).stdout)
    assert (value, attention) == ([2, 20, "payload", 21], None)


GONE = {
    "renamed": (FLOW.replace("second(", "secunda("), "flow:secunda"),
    "undecorated": (FLOW.replace("@wf.step\nasync def second", "async def second"), None),
}


@pytest.mark.parametrize("how", list(GONE))
def test_a_step_that_was_renamed_or_lost_its_decorator_is_not_registered_and_the_close_match_is_named(
    how: str, place: Place
):
    """The code diverges from the log, too; but the log names a step that nobody has, and that is the cause."""
    source, match = GONE[how]
    place.run(START)
    place.write(source)
    found = json.loads(place.run(LOOK).stdout)
    assert (found["code"], found["recorded"]) == ("NOT_REGISTERED", "flow:second")
    assert found["message"].startswith("no step is registered as 'flow:second'")
    assert found["raised"][0] == "NotRegisteredError"
    assert "flow:second" in found["raised"][1]
    assert (found["status"], found["events"]) == ("running", 7)
    if match is not None:
        assert match in found["message"]
        assert found["where"] == f"{place.folder}/flow.py:21 in main"
    # Without its decorator the function is code of the body like any other, and is called by the replay.
    assert lines(place)[2:] == ([] if how == "renamed" else ["second"])
    place.write(FLOW)
    value, attention, _ = json.loads(place.run(FINISH).stdout)
    assert (value, attention) == ([2, 20, "payload", 21], None)


def test_a_wrong_key_is_attention_and_the_right_one_lets_the_run_go_on(place: Place):
    place.run(START)
    look = LOOK.replace('    await wf.resume_hook("go", "payload")\n', "")
    done = place.run(look, WF_KEY="d8" * 32)
    found = json.loads(done.stdout)
    assert found["code"] == "DECRYPTION"
    assert found["raised"][0] == "DecryptionError"
    assert (found["status"], found["events"]) == ("running", 7)
    assert lines(place) == ["first", "second"]
    assert "c7c7" not in done.stdout + done.stderr
    value, attention = json.loads(place.run(NUDGE).stdout)
    assert (value, attention) == ([2, 20, "payload", 21], None)


def test_keys_that_were_rotated_read_what_the_old_one_wrote(place: Place):
    place.run(START)
    value, attention = json.loads(place.run(NUDGE, WF_KEY="d8" * 32 + "," + "c7" * 32).stdout)
    assert (value, attention) == ([2, 20, "payload", 21], None)
