"""The browser studio as a person meets it: a real `wf dev`, a real Chromium, one way through all of its screens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.browser.stage import developing, drive
from tests.programs import find_chromium, make_ready

pytestmark = pytest.mark.acceptance

CLAIMS = [
    "without a session the studio says how to get one",
    "the launch link opens the studio and leaves no code in the URL",
    "a run is started from a form, whose problems are shown at their fields",
    "the run is seen live, up to what it waits for",
    "every tab of the run shows what it did",
    "a step is replayed beside its run, with its own input and with another",
    "a run is forked with an edited output, and compared with where it comes from",
    "time travel shows where the body stands, and what its variables are",
    "the hook is approved from a form, and the run completes while it is looked at",
    "a failed run shows its error, the user's frame first",
    "from the browser alone it is found out why a run failed, the code is mended, and the run goes on",
    "a child is shown within its parent's timeline, and its calls are inspected there",
    "a run is followed live: its stream, its lines and its timeline grow while it goes on",
    "more child runs are followed at once than a browser has connections",
    "what means harm is text everywhere, and freezes nothing",
    "the list of runs is filtered, moved through and opened by keyboard alone",
    "selected runs are acted on at once, after it was said to how many",
    "runs are marked and compared",
    "a query is answered as a grid and as a chart",
    "the overview counts what ran",
    "the palette finds a workflow, a run and a screen",
    "an address that is none is answered by the studio, and leads back to the runs",
    "on a phone and on a small laptop nothing is cut off",
    "code that does not load is shown until it does, and a divergence gets its remedies",
    "a run is replayed by the code that recorded it and by today's, and they are told apart",
    "a second tab follows the first, and a copied link shows the same",
    "a fork that is made while a run's family is read is shown in it",
    "a server that hangs is told from one that is there, and is live again when it goes on",
    "a server that is killed and started again is found by itself, and nothing is missed",
    "when the server is gone the studio says so on every screen, and keeps what it showed",
    "nothing was refused by the page's policy",
    "axe finds no barrier on any screen, light or dark",
    "nothing threw, and nothing was asked of other places",
]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Go through the studio once; each test looks at one claim."""
    missing = make_ready() or (None if (chromium := find_chromium()) else "there is no Chromium")
    if missing is not None:
        pytest.skip(f"the browser studio was not tried in a browser: {missing}")
    assert chromium is not None
    folder: Path = tmp_path_factory.mktemp("browser")
    shots = folder / "shots"
    shots.mkdir()
    with developing(folder) as dev:
        return {one["claim"]: one for one in drive(dev, chromium, shots)}


@pytest.mark.parametrize("claim", CLAIMS)
def test_in_a_browser(said: dict[str, dict[str, Any]], claim: str) -> None:
    assert said[claim]["ok"], said[claim]["detail"]


def test_no_claim_is_left_out(said: dict[str, dict[str, Any]]) -> None:
    assert list(said) == CLAIMS
