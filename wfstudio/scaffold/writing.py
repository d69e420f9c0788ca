"""Writing: all files of a plan, or none.

1. A folder that is not there is made beside its place and renamed into it: nobody ever sees half of it.
2. In a folder that is there, all files are written to a stage in it first (a full disk, a missing
   right show there), then each is renamed into its place. If one cannot be, those before it are
   put back.
3. Nothing is overwritten that is not what the plan saw: whoever agreed to it agreed to that.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Final

from wfstudio.core.errors import ConflictError, UsageError
from wfstudio.scaffold.plans import Plan, PlannedFile

STAGE: Final = ".wf-new-"


def write_plan(plan: Plan) -> None:
    """Carry a plan out. Raises `ConflictError` where something has changed since, `UsageError` where it cannot be."""
    try:
        if plan.folder.is_symlink() or plan.folder.exists():
            _write_into(plan)
        else:
            _write_whole(plan)
    except OSError as error:
        told = error.strerror or error
        raise UsageError(
            f"{plan.folder} cannot be written: {told}; it is as it was", "mend that, or choose another place"
        ) from None


def _write_whole(plan: Plan) -> None:
    plan.folder.parent.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(prefix=STAGE, dir=plan.folder.parent))
    try:
        _fill(stage, plan.files)
        stage.chmod(0o777 & ~_umask())  # mkdtemp made it for us alone
        try:
            stage.rename(plan.folder)
        except OSError:
            if plan.folder.exists():
                raise ConflictError(f"{plan.folder} came into being meanwhile", "look what is there") from None
            raise
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _write_into(plan: Plan) -> None:
    if not plan.folder.is_dir():
        raise ConflictError(f"{plan.folder} is a file", "choose another name")
    files = [file for file in plan.files if file.action != "keep"]
    stage = Path(tempfile.mkdtemp(prefix=STAGE, dir=plan.folder))
    moved: list[PlannedFile] = []
    made: list[Path] = []
    try:
        _fill(stage / "new", files)
        for file in files:
            target = plan.folder / file.path
            if target.is_symlink():
                target = target.resolve()  # the file is written, and the link stays one
            _check_unchanged(target, file)
            _make_parents(target.parent, plan.folder, made)
            fresh = stage / "new" / file.path
            if file.before is None:
                _link(fresh, target)
            else:
                shutil.copymode(target, fresh)
                kept = stage / "old" / file.path
                kept.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(target, kept)
                os.replace(fresh, target)
            moved.append(file)
    except BaseException:
        _put_back(plan.folder, stage, moved, made)
        raise
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _fill(folder: Path, files: list[PlannedFile]) -> None:
    for file in files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)


def _check_unchanged(target: Path, file: PlannedFile) -> None:
    try:
        now = target.read_bytes()
    except FileNotFoundError:
        now = None
    if now != file.before:
        raise ConflictError(f"{target} has changed meanwhile; nothing was written", "try again")


def _link(fresh: Path, target: Path) -> None:
    """Put a file where none is. A rename would overwrite one that came this moment."""
    try:
        os.link(fresh, target)
    except FileExistsError:
        raise ConflictError(f"{target} has changed meanwhile; nothing was written", "try again") from None
    except OSError:  # a file system without links
        os.rename(fresh, target)


def _make_parents(folder: Path, top: Path, made: list[Path]) -> None:
    missing = []
    while folder != top and not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        path.mkdir()
        made.append(path)


def _put_back(folder: Path, stage: Path, moved: list[PlannedFile], made: list[Path]) -> None:
    for file in reversed(moved):
        if file.before is None:
            (folder / file.path).unlink(missing_ok=True)
        else:
            os.replace(stage / "old" / file.path, (folder / file.path).resolve())
    for path in reversed(made):
        path.rmdir()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return stat.S_IMODE(mask)
