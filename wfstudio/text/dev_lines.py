"""The lines of the dev server: what happened, in one line each, for its terminal and for the terminal studio.

Pure text: who prints it knows about terminals. Whatever comes from user code is made harmless
first, so that no message can move the cursor or set a title.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from wfstudio.text.printable import printable_lines

KEYS: Final = (
    ("r", "reload"),
    ("o", "open the studio in a browser"),
    ("u", "show the URLs, and a link that opens a browser"),
    ("t", "open the terminal studio beside this, in tmux"),
    ("d", "show divergences"),
    ("p", "pause and resume reloading"),
    ("c", "clear the screen"),
    ("h", "this help"),
    ("q", "quit: attempts in flight may finish; again, or Ctrl-C again, to force"),
)

_BOLD, _DIM, _RED, _GREEN, _YELLOW, _CYAN, _PLAIN = (
    "\x1b[1m",
    "\x1b[2m",
    "\x1b[31m",
    "\x1b[32m",
    "\x1b[33m",
    "\x1b[36m",
    "\x1b[0m",
)


class Painter:
    """Colours, or none. Files in `folder`, where there is one, are named as seen from there."""

    def __init__(self, *, is_coloured: bool, folder: str | None = None) -> None:
        self._is_coloured = is_coloured
        self._folder = folder

    def _paint(self, code: str, text: str) -> str:
        return f"{code}{text}{_PLAIN}" if self._is_coloured else text

    def bold(self, text: str) -> str:
        return self._paint(_BOLD, text)

    def dim(self, text: str) -> str:
        return self._paint(_DIM, text)

    def bad(self, text: str) -> str:
        return self._paint(_RED, text)

    def good(self, text: str) -> str:
        return self._paint(_GREEN, text)

    def warn(self, text: str) -> str:
        return self._paint(_YELLOW, text)

    def link(self, text: str) -> str:
        return self._paint(_CYAN, text)

    def place(self, where: str) -> str:
        """Write a `file:line` as somebody would type it who is there."""
        return printable_lines(where if self._folder is None else where.removeprefix(f"{self._folder}/"))


def show_banner(
    painter: Painter,
    *,
    version: str,
    url: str,
    world: str,
    durability: str,
    target: str,
    warnings: Sequence[str] = (),
) -> str:
    """Give the first lines: where everything is. `warnings` are a line each."""
    mode = "fsync before every answer" if durability == "power" else "survives a kill, not a power cut"
    lines = [
        "",
        f"  {painter.bold('wf dev')} {painter.dim(version)}",
        "",
        f"  {painter.dim('studio')}    {painter.link(url)}",
        f"  {painter.dim('world')}     {world} {painter.dim(f'({durability}: {mode})')}",
        f"  {painter.dim('code')}      {target}",
        *(f"  {painter.warn(warning)}" for warning in warnings),
    ]
    lines += ["", painter.dim("  h help · q quit"), ""]
    return "\n".join(lines)


def show_urls(painter: Painter, *, url: str, link: str) -> str:
    """Give where the studio, the API and webhooks are, and the link that lets a browser in."""
    places = (("studio", url), ("API", f"{url}/api"), ("webhooks", f"{url}/hooks/TOKEN"))
    lines = [f"  {painter.dim(f'{what:<9}')} {painter.link(address)}" for what, address in places]
    return "\n".join([*lines, show_link(painter, link)])


def show_link(painter: Painter, link: str) -> str:
    """Give the link that lets a browser in, on a line of its own: with anything beside it 80 columns would break it."""
    return f"  {painter.dim('open this in a browser, once, within a minute:')}\n  {painter.link(link)}"


def show_reload(painter: Painter, reload: Mapping[str, Any]) -> str:
    """Give the line of one reload, and the error or the first divergence below it."""
    files: Sequence[str] = reload["files"]
    what = f"{painter.bold(_name_files(files))} › " if files else ""
    took = f"{reload['load_ms']:.0f} ms"
    if reload["outcome"] == "unchanged" and reload.get("is_mended"):
        return f"{what}{painter.good('loads again')}{painter.dim(f', and is what serves ({took})')}"
    if reload["outcome"] == "unchanged":
        return f"{what}{painter.dim(f'nothing that is loaded changed ({took})')}"
    if reload["outcome"] == "not_loaded":
        line = f"{what}{painter.bad('not loaded')}"
        line += ", the code before goes on serving" if files else ""
        return f"{line}\n{show_error(painter, reload['error'])}"
    line = f"{what}{_count(reload['workflows'], 'workflow')} {'reloaded' if files else 'loaded'} in {took}"
    clean, diverging = reload["clean"], reload["diverging"]
    if clean or diverging:
        verdicts = []
        if clean:
            verdicts.append(painter.good(f"{_count(clean, 'run')} {'replays' if clean == 1 else 'replay'} clean"))
        if diverging:
            place = _place(diverging[0]["trouble"])
            verb = "diverges" if len(diverging) == 1 else "diverge"
            verdicts.append(painter.warn(f"{len(diverging)} {verb} ({place})") + painter.dim(" [d]"))
        line += " › " + ", ".join(verdicts)
    return line


def show_loading(painter: Painter, facts: Mapping[str, Any]) -> str:
    """Give the line that says that code takes long to load."""
    what = f"{painter.bold(_name_files(facts['files']))} › " if facts["files"] else ""
    still = painter.warn(f"still loading after {facts['seconds']:g} s")
    line = f"{what}{still}: look at what runs when the modules are imported"
    return f"{line}; the code before goes on serving" if facts["files"] else line


def show_error(painter: Painter, error: Mapping[str, Any]) -> str:
    """Give an error in the shape that all faces use, with the lines of code it points to."""
    lines = [painter.bad(printable_lines(error["message"]))]
    if error.get("where"):
        lines.append(f"  at {painter.place(error['where'])}")
    if error.get("frame"):
        lines += [f"  {painter.dim(printable_lines(line))}" for line in error["frame"].splitlines()]
    if error.get("hint"):
        lines.append(f"  fix: {printable_lines(error['hint'])}")
    return "\n".join(lines)


def show_fault(painter: Painter, facts: Mapping[str, Any]) -> str:
    """Give the line of a fault that is injected from now on, or not any more."""
    if facts["change"] == "cleared":
        return painter.dim(f"faults taken back: {', '.join(facts['ids'])}")
    where = f"run {facts['run']}" if facts.get("run") else f"workflow {facts['workflow']}"
    narrowed = next((f", {kind} {facts[kind]}" for kind in ("step", "hook") if facts.get(kind)), "")
    return painter.warn(f"injecting {printable_lines(facts['text'])}") + printable_lines(
        f" into {where}{narrowed} ({facts['id']})"
    )


def show_divergences(painter: Painter, diverging: Sequence[Mapping[str, Any]]) -> str:
    """Give every run that does not fit today's code, with what differs and what can be done."""
    if not diverging:
        return painter.good("no run in flight diverges")
    lines = []
    for verdict in diverging:
        trouble = verdict["trouble"]
        lines.append(f"{painter.warn(verdict['run_id'])} {verdict['workflow']}")
        lines.append(f"  {printable_lines(trouble['message'])}")
        if trouble.get("where"):
            lines.append(f"  at {painter.place(trouble['where'])}")
        run, last_fit = verdict["run_id"], max(1, (trouble.get("seq") or 2) - 1)
        lines.append(f"  with today's code: `wf fork {run} --from {last_fit}`, or from the beginning, `--from 1`")
    lines.append(painter.dim("  they go on with the code that started them; `wf cancel RUN` ends one"))
    return "\n".join(lines)


def show_finding(painter: Painter, verdict: Mapping[str, Any]) -> str:
    """Give what a run that has ended tells about its workflow: it cannot be replayed by its own code."""
    trouble = verdict["trouble"]
    lines = [
        painter.warn(f"{verdict['workflow']} is not deterministic") + f": {printable_lines(trouble['message'])}",
        "  fix: ask `wf.now`, `wf.random` or a step instead of the clock, the dice or the order of a set",
    ]
    if trouble.get("where"):
        lines.insert(1, f"  at {painter.place(trouble['where'])}")
    return "\n".join(lines)


def show_check(painter: Painter, facts: Mapping[str, Any]) -> str:
    """Give the line that says what `wf check` would find in what was just loaded: how much, and the first of it."""
    findings = facts["findings"]
    if not findings:
        return painter.good("no findings any more")
    paint = painter.bad if facts["errors"] else painter.warn
    codes = ", ".join(code if number == 1 else f"{code} ×{number}" for code, number in facts["codes"].items())
    first = next((f for f in findings if f["severity"] == "error"), findings[0])
    place = f"{printable_lines(first['file'])}:{first['line']}"
    line = f"{paint(_count(len(findings), 'finding'))} ({codes}) › {place} {printable_lines(first['message'])}"
    return line + painter.dim(" › wf check")


def show_worker(painter: Painter, facts: Mapping[str, Any]) -> str:
    line = painter.bad(f"worker {facts['pid']}: {printable_lines(facts['cause'])}")
    if "restart_ms" in facts:
        line += painter.dim(f", a new one starts in {facts['restart_ms'] / 1000:g} s")
    return line


def show_retention(painter: Painter, facts: Mapping[str, Any]) -> str:
    line = printable_lines(facts["message"])
    return painter.dim(line) if facts["runs"] else painter.warn(line)


def show_help(painter: Painter) -> str:
    return "\n".join(f"  {painter.bold(key)}  {what}" for key, what in KEYS)


def _name_files(files: Sequence[str]) -> str:
    if len(files) == 1:
        return printable_lines(files[0])
    if len(files) <= 3:
        return printable_lines(", ".join(os.path.basename(file) for file in files))
    return f"{len(files)} files"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _place(trouble: Mapping[str, Any]) -> str:
    """Name where a run diverges: what was recorded there, and which event it is."""
    recorded = printable_lines(trouble.get("recorded") or trouble["code"].lower().replace("_", " "))
    recorded = re.sub(r" \(position \d+\)", "", recorded)
    return f"{recorded}, event {trouble['seq']}" if trouble.get("seq") else recorded
