"""A step that was tried: what it would have done, in as many lines as say something."""

from __future__ import annotations

from wfstudio.core.bench.views import EffectView, OutcomeView, StepReplayView
from wfstudio.text.pen import Pen
from wfstudio.text.step_trial import draw_step_replay

PEN = Pen(width=200, is_tty=False, has_colour=False)


def effects(*texts: str) -> list[str]:
    view = StepReplayView(
        id="wrun_1:1", run_id="wrun_1", correlation_id=1, name="desk:ask", attempt=1, deployment_id="dep_1",
        outcome="same", is_edited=False, input={}, duration_ms=1, recorded=OutcomeView(kind="returned"),
        actual=OutcomeView(kind="returned"),
        effects=[EffectView(kind="chunk", text=text, data=number) for number, text in enumerate(texts)],
    )  # fmt: skip
    lines = draw_step_replay(PEN, view)
    return lines[lines.index("not done") + 1 :]


def test_of_many_chunks_of_a_stream_the_first_are_shown_and_the_others_counted() -> None:
    write, close = "would have written to the stream words", "would have closed the stream words"
    assert effects(*[write] * 15, close) == [
        f"  {write} 0",
        f"  {write} 1",
        f"  {write} 2",
        "  … and 12 more of these",
        f"  {close} 15",
    ]


def test_what_is_of_several_kinds_is_shown_in_its_order() -> None:
    assert effects("one", "other", "one") == ["  one 0", "  other 1", "  one 2"]
