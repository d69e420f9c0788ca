"""`wf skill install`: teach coding agents this project's workflows, with a skill and a stanza in AGENTS.md.

1. What somebody has edited is not written over without being asked: each text carries the hash of how it was
   written, so an older version of ours is told from somebody's own.
2. Of AGENTS.md only what stands between the markers is ours.
3. All files are written, or none.
"""

from __future__ import annotations

import sys
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
import typer

import wfstudio
from wfstudio.cli import parameters
from wfstudio.cli.connection import settle
from wfstudio.cli.exits import FAILED
from wfstudio.cli.misuse import Misuse, suggest
from wfstudio.cli.terminal import results, words
from wfstudio.core.errors import ConflictError
from wfstudio.scaffold.plans import Action, Plan, PlannedFile
from wfstudio.scaffold.templates import find_folder
from wfstudio.scaffold.writing import write_plan
from wfstudio.text.printable import printable

ACTIONS: Final = ("install",)
NAME: Final = "wf"
"""Of the skill, and so of its folder: they must be the same."""

SHARED: Final = ".agents/skills"
"""Where agents that follow the open format look."""

CLAUDE: Final = ".claude/skills"
STANZAS: Final = "AGENTS.md"
_BEGIN: Final = "<!-- wf skill: begin "
_END: Final = "<!-- wf skill: end -->"
_STAMP: Final = "<!-- written by `wf skill install` "

State = Literal["ours", "edited", "absent"]


class SkillFile(msgspec.Struct, frozen=True):
    """A file, and what becomes of it: `create`, `replace` (an older one of ours), `edit` (a stanza), `keep`.

    `is_edited`: somebody changed what is there, and it is written over only when asked for.
    """

    path: str
    action: Action
    is_edited: bool = False


class SkillView(msgspec.Struct, frozen=True):
    """What `--json` prints. `is_written` is false where it was a dry run, or nobody agreed."""

    folder: str
    files: list[SkillFile]
    is_written: bool


def skill(
    action: Annotated[
        str, typer.Argument(metavar="install", help="install: write it.", autocompletion=lambda: list(ACTIONS))
    ] = "install",
    folders: Annotated[
        list[str] | None,
        typer.Option(
            "--dir",
            metavar="DIR",
            help=f"The folder of skills; may be repeated (default: {SHARED}, and {CLAUDE} where Claude is used).",
        ),
    ] = None,
    has_stanza: Annotated[
        bool, typer.Option("--agents-md/--no-agents-md", help="Also tell of it in AGENTS.md.")
    ] = True,
    is_forced: Annotated[bool, typer.Option("--force", help="Write over what somebody has edited.")] = False,
    is_dry: Annotated[bool, typer.Option("--dry-run", help="Only say what would be written.")] = False,
    is_json: parameters.Json = False,
) -> int:
    """Write a skill for coding agents into this project: the API, the rules for bodies, how to debug a run.

    Run it again after an upgrade of wf.

    Examples:

        wf skill install

        wf skill install --dir .github/skills --no-agents-md
    """
    if action not in ACTIONS:
        raise Misuse(f"skill cannot {action!r:.80}", hint=suggest(action, ACTIONS) or "`wf skill install`")
    root = settle(None).root
    plan, edited = plan_skill(root, folders or choose_folders(root), has_stanza=has_stanza)
    is_agreed = is_forced or not edited or (not is_dry and _ask(edited))
    files = [SkillFile(file.path, file.action, file.path in edited) for file in plan.files]
    view = SkillView(str(root), files, is_written=is_agreed and not is_dry)
    if view.is_written:
        write_plan(Plan(root, [file for file in plan.files if file.action != "keep"]))
    if is_json:
        results().print_json(view)
    else:
        results().print(*(f"{file.action:8}{printable(file.path)}" for file in files))
    if edited and not is_agreed and not is_dry:
        words().print(
            "nothing was written: somebody has edited " + ", ".join(edited), "  fix: `--force` writes over it"
        )
        return FAILED
    return 0


def choose_folders(root: Path) -> list[str]:
    """Choose where skills go: where the open format has them, and where Claude Code looks if it is used here."""
    uses_claude = (root / ".claude").is_dir() or (root / "CLAUDE.md").exists()
    return [SHARED, CLAUDE] if uses_claude else [SHARED]


def plan_skill(root: Path, folders: list[str], *, has_stanza: bool) -> tuple[Plan, list[str]]:
    """Plan the files; also list those that somebody has edited since we wrote them. Raises `ConflictError`."""
    files: list[PlannedFile] = []
    edited: list[str] = []
    for folder in folders:
        path = f"{folder.rstrip('/')}/{NAME}/SKILL.md"
        _check_place(root, path)
        before = _read(root / path)
        content = _stamp(read_text("SKILL.md"))
        action: Action = "create" if before is None else "keep" if before == content else "replace"
        if action == "replace" and before is not None and _unstamp(before) is None:
            edited.append(path)
        files.append(PlannedFile(path, content.encode(), action, None if before is None else before.encode()))
    if has_stanza:
        stanza = read_text("AGENTS.md").replace("{skill}", f"`{folders[0].rstrip('/')}/{NAME}/SKILL.md`")
        found, is_edited = _plan_stanza(root, stanza)
        files.append(found)
        edited += [found.path] if is_edited else []
    return Plan(root, files), edited


def read_text(name: str) -> str:
    """Read one of the texts that ship."""
    return (find_folder() / "skill" / name).read_text("utf-8")


def _check_place(root: Path, path: str) -> None:
    if Path(path).is_absolute() or not (root / path).resolve().is_relative_to(root.resolve()):
        raise ConflictError(f"{path} is not in this project", "name a folder in it, `--dir .agents/skills`")


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode() if path.exists() else None
    except (OSError, UnicodeDecodeError) as error:
        raise ConflictError(f"{path} cannot be read: {error}", "look what is there") from None


# -- whose text it is -----------------------------------------------------------------------------


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]


def _stamp(text: str) -> str:
    """Give a text with a last line that says how it was written."""
    return f"{text}\n{_STAMP}({wfstudio.__version__}, {_hash(text)}); run it again to bring this up to date -->\n"


def _unstamp(content: str) -> str | None:
    """Give the text before its stamp; None where it is not as we wrote it."""
    text, found, stamp = content.rpartition(f"\n{_STAMP}")
    return text if found and f", {_hash(text)});" in stamp else None


def _plan_stanza(root: Path, stanza: str) -> tuple[PlannedFile, bool]:
    """Plan AGENTS.md: the stanza behind what is there, or in the place of the one between the markers."""
    content = _read(root / STANZAS)
    ours = f"{_BEGIN}{_hash(stanza)} -->\n{stanza}{_END}\n"
    if content is None:
        return PlannedFile(STANZAS, ours.encode()), False
    before = content.encode()
    head, begun, rest = content.partition(_BEGIN)
    old, ended, tail = rest.partition(_END)
    if not begun or not ended:
        gap = "" if not content else "\n" if content.endswith("\n") else "\n\n"
        return PlannedFile(STANZAS, f"{content}{gap}{ours}".encode(), "edit", before), False
    told, _, text = old.partition(" -->\n")
    after = f"{head}{ours.removesuffix(chr(10))}{tail}"
    if after == content:
        return PlannedFile(STANZAS, before, "keep", before), False
    return PlannedFile(STANZAS, after.encode(), "edit", before), told != _hash(text)


def _ask(edited: list[str]) -> bool:
    """Ask whether edited texts may be written over; where nobody can answer, they may not."""
    if sys.stdin is None or not sys.stdin.isatty():
        return False
    words().write(f"{', '.join(edited)} was edited; write over it? [y/N] ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")
