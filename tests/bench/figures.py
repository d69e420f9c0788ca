"""The figures: what is measured, in which unit, against which budget of DESIGN.md §8."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Durability = Literal["process", "power"]
BOTH: Final[tuple[Durability, ...]] = ("process", "power")


@dataclass(frozen=True)
class Figure:
    """One line of the benchmark. A budget is an upper bound, or a lower one with `is_floor`."""

    name: str
    unit: str
    budgets: dict[Durability, float]
    is_floor: bool = False

    def is_met(self, durability: Durability, value: float) -> bool:
        budget = self.budgets[durability]
        return value >= budget if self.is_floor else value <= budget


@dataclass(frozen=True)
class Measurement:
    """A function that gives the readings of some figures, done in `processes` fresh processes.

    `source` is `module:function` in this package, found by the fresh process only: the one that
    prints needs nothing of the runtime. With several processes a figure is the median of theirs.
    """

    source: str
    figures: tuple[Figure, ...]
    durabilities: tuple[Durability, ...]
    processes: int = 1


def _any(budget: float) -> dict[Durability, float]:
    return {"process": budget, "power": budget}


# Where the mode of durability makes no difference to what is asked, the one is taken that hides less:
# `process`, where a slow disk would drown a change in the runtime's own cost, else the default, `power`.
MEASUREMENTS: Final = (
    Measurement("steps:measure_ten", (Figure("ten-steps", "ms", {"process": 2, "power": 8}),), BOTH),
    Measurement("steps:measure_cost", (Figure("step-cost", "ms", {"process": 0.18, "power": 0.6}),), BOTH),
    Measurement("steps:measure_depth", (Figure("step-at-depth", "×", _any(1.2)),), ("process",)),
    Measurement(
        "crowds:measure_throughput",
        (
            Figure("throughput", "steps/s", _any(15_000), is_floor=True),
            Figure("throughput-memory", "MB", _any(400)),
            Figure("first-result", "%", _any(5)),
            Figure("median-completion", "%", _any(60)),
        ),
        BOTH,
        processes=3,
    ),
    Measurement("crowds:measure_growth", (Figure("after-10000-runs", "×", _any(1.1)),), ("process",)),
    Measurement("crowds:measure_idle", (Figure("idle-cpu", "%", _any(0.5)),), ("power",)),
    Measurement("steps:measure_fan_out", (Figure("fan-out", "ms", _any(100)),), ("power",)),
    Measurement("recovery:measure_replay", (Figure("replay", "s", _any(0.5)),), ("process",), processes=3),
    Measurement("recovery:measure_recovery", (Figure("recovery", "s", _any(1)),), ("power",), processes=3),
    Measurement("crowds:measure_disk", (Figure("disk", "KB", _any(4)),), ("power",)),
    Measurement("imports:measure_import", (Figure("import-wf", "ms", _any(120)),), ("power",)),
    Measurement(
        "reloads:measure_reload",
        (Figure("save-to-serving", "ms", _any(300)), Figure("save-to-verdict", "s", _any(1))),
        ("process",),
    ),
    Measurement(
        "histories:measure_history",
        (
            Figure("history-ingest", "events/s", _any(100_000), is_floor=True),
            Figure("history-tail", "ms", _any(30)),
            Figure("history-p95", "ms", _any(100)),
        ),
        ("process",),
    ),
    Measurement(
        "looking:measure_moments", (Figure("moment", "s", _any(1)), Figure("moment-next", "ms", _any(50))), ("process",)
    ),
    Measurement("looking:measure_verdicts", (Figure("verdicts", "s", _any(1)),), ("process",)),
    Measurement(
        "terminal:measure_terminal",
        (
            Figure("tui-first-paint", "ms", _any(1_000)),
            Figure("tui-scroll-p95", "ms", _any(50)),
            Figure("tui-input-under-updates", "ms", _any(100)),
        ),
        ("process",),
    ),
    Measurement(
        "databases:measure_postgres",
        (
            Figure("postgres", "ms", {"process": 3, "power": 6}),
            Figure("postgres-throughput", "steps/s", _any(1_500), is_floor=True),
        ),
        BOTH,
    ),
    Measurement("reloads:measure_help", (Figure("wf-help", "ms", _any(150)),), ("process",)),
)

NAMES: Final = tuple(figure.name for measurement in MEASUREMENTS for figure in measurement.figures)
