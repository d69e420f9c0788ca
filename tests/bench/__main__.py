"""Run the benchmark: `python -m tests.bench [--json] [--quick] [--only NAME ...]`.

Prints the machine, then a line per figure as soon as it is known. Exits with 0 whatever the figures
are, with 1 if a measurement could not be done, with 2 for a wrong argument.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from tests.bench.figures import MEASUREMENTS, NAMES, Durability, Figure, Measurement
from tests.bench.machine import Neighbours, describe_machine
from tests.bench.reading import Reading, show_number, take_median
from tests.bench.stage import StageError, perform

NOISE_CORES = 0.15
"""What others may use of the machine before a figure says so."""


def main(arguments: Sequence[str] | None = None) -> int:
    asked = parse(arguments)
    show_machine(as_json=asked.json)
    exit_code = 0
    for measurement in MEASUREMENTS:
        wanted = [figure for figure in measurement.figures if not asked.only or figure.name in asked.only]
        for durability in measurement.durabilities if wanted else ():
            try:
                readings, remark = measure(measurement, durability, is_quick=asked.quick)
            except StageError as error:
                print(
                    f"{measurement.source} ({durability}) could not be measured: {error}", file=sys.stderr, flush=True
                )
                exit_code = 1
                continue
            for figure in wanted:
                show(figure, durability, readings[figure.name], remark, as_json=asked.json)
    return exit_code


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure the budgets of the runtime.")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller: shows that it runs, not how fast")
    parser.add_argument(
        "--only", nargs="+", choices=NAMES, metavar="NAME", help=f"measure only these: {', '.join(NAMES)}"
    )
    return parser.parse_args(arguments)


def measure(measurement: Measurement, durability: Durability, *, is_quick: bool) -> tuple[dict[str, Reading], str]:
    """Do a measurement in as many processes as it asks for; say what may have blurred it."""
    neighbours = Neighbours()
    found: dict[str, list[Reading]] = {figure.name: [] for figure in measurement.figures}
    for _ in range(1 if is_quick else measurement.processes):
        for reading in perform(measurement, durability, is_quick=is_quick):
            found[reading.name].append(reading)
    remarks = ["quick"] if is_quick else []
    cores = neighbours.count_cores()
    if cores is not None and cores > NOISE_CORES:
        remarks.append(f"other programs used {cores:.1f} cores meanwhile")
    return {name: take_median(readings) for name, readings in found.items()}, "; ".join(remarks)


# -- printing


def show_machine(*, as_json: bool) -> None:
    machine = describe_machine()
    if as_json:
        print(json.dumps({"name": "machine", **machine, "world": "sqlite"}), flush=True)
        return
    print(
        "{cpu}, {cores} cores, {memory_gb} GB · {system} · Python {python} · SQLite {sqlite} on {filesystem} ({folder})"
        " · load {load} · world sqlite, durability as each line says".format(**machine),
        flush=True,
    )


def show(figure: Figure, durability: Durability, reading: Reading, remark: str, *, as_json: bool) -> None:
    budget, is_met = figure.budgets[durability], figure.is_met(durability, reading.value)
    note = "; ".join(text for text in (reading.note, remark) if text)
    if as_json:
        line = {
            "name": figure.name,
            "value": float(f"{reading.value:.4g}"),
            "unit": figure.unit,
            "budget": budget,
            "ok": is_met,
            "durability": durability,
            "n": reading.n,
            "note": note,
        }
        print(json.dumps(line, ensure_ascii=False), flush=True)
        return
    bound = f"{'≥' if figure.is_floor else '≤'} {show_number(budget)}"
    width = max(map(len, NAMES))
    print(
        f"{figure.name:<{width}}  {durability:<7}  {show_number(reading.value):>7} {figure.unit:<7}"
        f"  {bound:>8}  {'met' if is_met else 'MISSED':<6}  n={reading.n:<6}  {note}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
