"""Imports: what `import wf` adds to the start of an interpreter."""

from __future__ import annotations

import subprocess
import sys
from statistics import median
from time import perf_counter

from tests.bench.reading import Reading


async def measure_import(is_quick: bool) -> list[Reading]:
    """Fresh interpreters with and without the import by turns; one of each before that is not counted."""
    n = 5 if is_quick else 15
    bare, full = [], []
    for _ in range(n + 1):
        bare.append(time_interpreter("pass"))
        full.append(time_interpreter("import wf"))
    bare_ms, full_ms = median(bare[1:]), median(full[1:])
    note = f"{full_ms:.0f} ms against {bare_ms:.0f} ms of a bare interpreter"
    return [Reading("import-wf", full_ms - bare_ms, n, note)]


def time_interpreter(code: str) -> float:
    began = perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return (perf_counter() - began) * 1000
