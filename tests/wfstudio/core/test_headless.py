"""What the core and the server load, and what they must not: proved in a process of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest

FACES = {"typer", "click", "rich", "textual", "starlette", "uvicorn", "watchfiles", "duckdb", "jinja2", "pydantic"}


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("wfstudio.core.client", FACES | {"jsonschema", "wfstudio.server", "wfstudio.cli", "wfstudio.dev"}),
        ("wfstudio.core.replays", FACES | {"wfstudio.server", "wfstudio.cli", "wfstudio.dev", "pdb"}),
        ("wfstudio.core.bench.child", FACES | {"wfstudio.core.client", "wfstudio.server", "wfstudio.cli", "pdb"}),
        ("wfstudio.text.details", FACES | {"wfstudio.server", "wfstudio.cli", "wfstudio.dev", "wfstudio.tui"}),
        ("wfstudio.core.live", FACES | {"wfstudio.server", "wf.worlds.sqlite"}),
        ("wfstudio.scaffold.additions", FACES - {"jinja2"} | {"prompt_toolkit", "wfstudio.server", "wfstudio.cli"}),
        ("wfstudio.server.app", FACES - {"starlette"} | {"wfstudio.cli", "wfstudio.dev", "wfstudio.tui"}),
        (
            "wfstudio.server.serving",
            FACES - {"starlette", "uvicorn", "click", "watchfiles"} | {"wfstudio.cli", "wfstudio.dev"},
        ),
    ],
)
def test_a_layer_loads_nothing_of_the_faces_above_it(module: str, forbidden: set[str]) -> None:
    program = f"import sys, {module}; print(*sorted(set(sys.modules) & {forbidden!r}))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")
