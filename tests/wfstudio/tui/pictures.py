"""Pictures: what a screen looks like, as SVG, held against the one that is kept in `pictures/`.

`UPDATE_PICTURES=1 python -m pytest tests/wfstudio/tui` draws them anew; look at them before they are committed.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from textual.app import App
from textual.widgets import Input, TextArea

FOLDER = Path(__file__).with_name("pictures")
_DEPLOYMENT = re.compile(r"dep_[0-9a-f]{24}")  # it follows every edit of the tests' workflows
_LINE = re.compile(r"(\w\.py):\d+")


def draw(app: App[None]) -> str:
    """Give the screen as SVG, without what is another one in every run: a cursor that blinks, for instance."""
    for widget in app.screen.query("Input, TextArea").results(Input | TextArea):
        widget.cursor_blink = False
    svg = app.export_screenshot(title="wf tui")
    svg = re.sub(r"terminal-\d+", "terminal", svg)
    return _DEPLOYMENT.sub("dep_" + 24 * "0", _LINE.sub(r"\1:7", svg)) + "\n"


def check_picture(app: App[None], name: str) -> None:
    """Fail where the screen does not look as it did."""
    path = FOLDER / f"{name}.svg"
    drawn = draw(app)
    if os.environ.get("UPDATE_PICTURES"):
        FOLDER.mkdir(exist_ok=True)
        path.write_text(drawn)
    now = path.with_suffix(".now.svg")
    if not path.exists() or path.read_text() != drawn:
        now.write_text(drawn)
        raise AssertionError(f"{name} looks different: compare {path.name} and {now.name} in {FOLDER}")
    now.unlink(missing_ok=True)
