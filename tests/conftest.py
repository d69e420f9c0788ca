"""What holds for every test: no setting of the developer's own, no deadline in a property test; an order for lanes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings

from tests.postgres import _reused_url, emptied_postgres_url, postgres, postgres_url
from tests.quick import serving

__all__ = ["_reused_url", "emptied_postgres_url", "postgres", "postgres_url"]

LONG: Final = [
    "tests/browser/test_studio.py",
    "tests/crash/test_crash.py",
]
"""The files that take longest, the longest first."""

for _name in [name for name in os.environ if name.startswith(("WF_", "OTEL_"))]:
    del os.environ[_name]

# A shell that puts us into the background has us ignore Ctrl-C, and so would the programs that tests send it to.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Examples may be slow on a shared machine; a timing is never asserted. In CI the examples are the
# same every time, and a failure prints what reproduces it.
settings.register_profile("wf", deadline=None, print_blob=True, derandomize=bool(os.environ.get("CI")))
settings.load_profile("wf")


def pytest_collection_finish() -> None:
    """Keep no bytecode of what tests write: of two versions of a file from one second, of one length, the second would
    never be seen. That of the tests themselves is kept: they are collected. Other processes order their sets anyhow."""
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    os.environ.pop("PYTHONHASHSEED", None)


@pytest.fixture(scope="session")
def quick_wf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A `wf` that is quick to call, in a folder of its own for PATH."""
    with serving(tmp_path_factory.mktemp("quick")) as program:
        yield program


@pytest.fixture(scope="session")
def type_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a strict mypy knows of `wf` after one project, it need not find out for the next."""
    return tmp_path_factory.mktemp("types")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In lanes (`python3 do.py test`) begin with what takes long: no lane shall work on while the other has nothing."""
    unstable = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if unstable:
        raise pytest.UsageError(f"a test needs one name in every process, and no address in it: {unstable[0]}")
    if hasattr(config, "workerinput"):
        places = {name: place for place, name in enumerate(LONG)}
        items.sort(key=lambda item: places.get(item.location[0], len(LONG)))
