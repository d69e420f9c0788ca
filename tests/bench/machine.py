"""The machine: what figures depend on besides the code, and who else used it meanwhile."""

from __future__ import annotations

import os
import platform
import resource
import sqlite3
import tempfile
from pathlib import Path
from time import perf_counter

TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")


def describe_machine() -> dict[str, str | int | float]:
    folder = tempfile.gettempdir()
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "filesystem": _filesystem(folder),
        "folder": folder,
        "load": round(os.getloadavg()[0], 2),
    }


def _cpu_model() -> str:
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _filesystem(folder: str) -> str:
    """Name the type of the filesystem that a folder is on: of its mount points the longest."""
    here = os.path.realpath(folder)
    best, kind = "", "unknown"
    for line in _lines("/proc/mounts"):
        _, place, type_, *_ = line.split()
        if len(place) >= len(best) and os.path.commonpath([here, place]) == place:
            best, kind = place, type_
    return kind


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


class Neighbours:
    """Measures how many cores other programs used while ours ran: a shared machine blurs figures."""

    def __init__(self) -> None:
        self._began = perf_counter()
        self._busy = _busy_seconds()
        self._ours = _our_seconds()

    def count_cores(self) -> float | None:
        """Give the cores that others used since; None where the system does not say.

        Only those of our processes count as ours that were waited for.
        """
        busy = _busy_seconds()
        if busy is None or self._busy is None:
            return None
        others = (busy - self._busy) - (_our_seconds() - self._ours)
        return max(0.0, others / (perf_counter() - self._began))


def _busy_seconds() -> float | None:
    for line in _lines("/proc/stat")[:1]:
        user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, line.split()[1:9])
        return (user + nice + system + irq + softirq + steal) * TICK_SECONDS
    return None


def _our_seconds() -> float:
    spent = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        spent += usage.ru_utime + usage.ru_stime
    return spent


def read_peak_memory() -> int:
    """Give this process's largest resident set so far, in bytes."""
    for line in _lines("/proc/self/status"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024
