"""The timeline in a real Chromium: pointer, wheel, keys, table and axe, on a page of its own under the studio's CSP."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import Final

import pytest

from tests.browser.stage import SCRIPT_SECONDS
from tests.programs import ROOT, find_chromium, make_ready

pytestmark = pytest.mark.acceptance

CLAIMS: Final = [
    "a click selects the call under it, and says so",
    "the tip names what the pointer is on",
    "the wheel with Ctrl zooms at the pointer",
    "two fingers zoom where they are, and what lies between them stays; one finger pans",
    "a drag pans, and what was grabbed stays under the pointer",
    "keys go from call to call, zoom, pan and fit",
    "search counts, goes from match to match, and Esc leaves it",
    "Shift and drag measure, exactly where bars begin and end",
    "the minimap brushes, and a double click shows everything",
    "the table says what the chart shows, and has the keys for it",
    "calls of one name share lanes when asked to",
    "nothing broke the Content-Security-Policy, or was logged",
    "a child run opens below its call, by keys alone",
    "who prefers less motion gets none",
    "what grew is painted as the whole would be, at 1 pixels a pixel",
    "what grew is painted as the whole would be, at 1.5 pixels a pixel",
    "what grew is painted as the whole would be, at 2 pixels a pixel",
    "news that come late, and a clock that is put back, leave nothing of an old picture",
    "thousands of gaps and of lines cost what there is room for",
    "a chart keeps up with its frame, its screen and a pointer that rests",
    "colours have the contrast of WCAG AA, light",
    "axe finds nothing, light",
    "colours have the contrast of WCAG AA, dark",
    "axe finds nothing, dark",
]


@pytest.fixture(scope="module")
def said() -> dict[str, tuple[bool, str]]:
    """Use the timeline once; each test looks at one claim."""
    missing = make_ready() or (None if (chromium := find_chromium()) else "there is no Chromium")
    if missing is not None:
        pytest.skip(f"the timeline was not tried in a browser: {missing}")
    node = shutil.which("node")
    assert node is not None and chromium is not None
    done = subprocess.run(
        [node, str(ROOT / "tests" / "browser" / "check_timeline.mjs")],
        env={**os.environ, "CHROMIUM": chromium},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SCRIPT_SECONDS,
    )  # fmt: skip
    lines = re.findall(r"^(ok   |FAIL ) (.*)\n((?:      .*\n)*)", done.stdout, re.MULTILINE)
    assert lines, done.stdout + done.stderr
    return {claim: (word == "ok   ", detail) for word, claim, detail in lines}


@pytest.mark.parametrize("claim", CLAIMS)
def test_in_a_browser(said: dict[str, tuple[bool, str]], claim: str) -> None:
    is_true, detail = said[claim]
    assert is_true, detail


def test_no_claim_is_left_out(said: dict[str, tuple[bool, str]]) -> None:
    assert list(said) == CLAIMS


def test_every_claim_that_was_tried_is_listed(said: dict[str, tuple[bool, str]]) -> None:
    assert set(said) == set(CLAIMS)
