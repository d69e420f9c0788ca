"""The stage: a measurement gets a fresh process, an empty world and nobody's settings.

`perform` is called by the benchmark. The process that it starts runs this module, calls the
measurement's function and prints its readings on the last line of its standard output.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.bench.figures import Durability, Measurement
from tests.bench.reading import Reading

ROOT = Path(__file__).resolve().parents[2]
TIME_LIMIT_SECONDS = 120


class StageError(Exception):
    """A measurement did not run to its end."""


def perform(measurement: Measurement, durability: Durability, *, is_quick: bool) -> list[Reading]:
    """Do a measurement once, in a fresh process with a world of its own."""
    with tempfile.TemporaryDirectory(prefix="wf-bench-") as folder:
        command = [sys.executable, "-m", "tests.bench.stage", measurement.source, "quick" if is_quick else "full"]
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=make_environment(folder, durability),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # so that a measurement that hangs goes with all that it started
        )
        try:
            output, errors = process.communicate(timeout=TIME_LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, errors = process.communicate()
            raise StageError(f"not done after {TIME_LIMIT_SECONDS} s{shorten(errors)}") from None
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
    if process.returncode != 0:
        raise StageError(f"its process ended with {process.returncode}{shorten(errors)}")
    return [Reading(**reading) for reading in json.loads(output.splitlines()[-1])]


def shorten(errors: str, lines: int = 12) -> str:
    """Keep the end of what a process said: the cause is there."""
    return "".join(f"\n  {line}" for line in errors.splitlines()[-lines:])


def make_environment(folder: str, durability: Durability) -> dict[str, str]:
    """Give an environment with a world in `folder`, and no setting of whoever runs the benchmark."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("WF_", "PYTHON"))}
    return environment | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "runtime")]),
        "WF_WORLD": f"sqlite:///{folder}/world.db",
        "WF_DURABILITY": durability,
    }


def main(source: str, pace: str) -> None:
    module, _, function = source.partition(":")
    measure = getattr(importlib.import_module(f"tests.bench.{module}"), function)
    readings = asyncio.run(measure(pace == "quick"))
    print(json.dumps([asdict(reading) for reading in readings]), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
