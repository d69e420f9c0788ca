"""The recordings that the browser's fold is held against are what the server gives today."""

from __future__ import annotations

from tests.wfstudio.core.trace_recordings import PATH, write_all


def test_the_recorded_traces_are_those_that_the_server_gives() -> None:
    again = "written anew by `python -m tests.wfstudio.core.trace_recordings`, then the browser's fold is tried on them"
    assert PATH.read_text("utf-8") == write_all(), again
