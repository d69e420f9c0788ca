#!/usr/bin/env python3
"""The project's launcher: make what is needed, once, then do what was asked.

    python3 do.py demo      run the sample project's main job
    python3 do.py test      all checks: format, lint, types, import contracts, tests
    python3 do.py setup     only make `.venv`

Standard library only, and Python 3.6 syntax only, so that an old Python can say what is missing.

1. `.venv` is ready when its stamp names this checkout, its Python and today's pyproject.toml;
   then no pip runs.
2. A `.venv` whose making was interrupted is made anew; one that works is only brought up to date.
3. Two launchers at once wait for each other.
4. All tests go in two lanes where there are two processors; tests that are named go one after the other.
"""

import hashlib
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import BinaryIO, List, Optional

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / ".ready"
UNFINISHED = VENV / ".unfinished"
SCRIPTS = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = SCRIPTS / ("python.exe" if os.name == "nt" else "python")

OLDEST = (3, 11)
NAMES = ["python3.14", "python3.13", "python3.12", "python3.11", "python3", "python"]

DEMO = ["-m", "wf", "run", "sample_projects/site_builder/flow.py:demo", '"ada"']
CHECKS = [
    ("format", [str(PYTHON), "-m", "ruff", "format", "--check", "--quiet", "."]),
    ("lint", [str(PYTHON), "-m", "ruff", "check", "--quiet", "."]),
    ("types", [str(PYTHON), "-m", "mypy"]),
    ("imports", [str(SCRIPTS / "lint-imports"), "--no-logo", "--no-cache"]),
]
AHEAD = [str(PYTHON), "-m", "tests.programs"]
# Two files of tests at a time: enough for two processors, and for what waits. `tests/conftest.py` orders them.
LANES = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
CURES = {"format": "`.venv/bin/ruff format .`", "lint": "`.venv/bin/ruff check --fix .` mends most"}


def main(arguments: List[str]) -> int:
    verb, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if verb not in ("demo", "test", "setup") or (rest and verb == "setup"):
        print((__doc__ or "").split("\n\n")[1])
        return 0 if verb in ("-h", "--help", "help") else 2
    if sys.version_info < OLDEST:
        return go_on_with_another_python()
    os.chdir(ROOT)
    if not make_ready():
        return 1
    if verb == "demo":
        return become([str(PYTHON), *DEMO, *rest])
    return check(rest) if verb == "test" else 0


# -- a Python to stand on


def go_on_with_another_python() -> int:
    for path in candidates():
        if version_of(path) is not None:
            return become([path, __file__, *sys.argv[1:]])
    here = "%d.%d" % sys.version_info[:2]
    return complain(
        "this is Python " + here + ", and wf needs 3.11 or newer",
        "none was found on PATH; install one (any of 3.11 to 3.14) and run this again with it",
    )


def candidates() -> List[str]:
    """List Pythons on PATH, newest names first; a listed one need not run."""
    found = []
    for name in NAMES:
        for folder in os.environ.get("PATH", "").split(os.pathsep):
            path = shutil.which(name, path=folder) if folder else None
            if path and path not in found:
                found.append(path)
    return found


def version_of(python: str, needs: str = "venv, ensurepip") -> Optional[str]:
    """Give the version of a Python that runs, is new enough and has what is needed, else None."""
    program = "import sys, {}; print('%d.%d.%d' % sys.version_info[:3]) if sys.version_info >= {} else sys.exit(1)"
    try:
        done = subprocess.run(
            [python, "-I", "-c", program.format(needs, OLDEST)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode().strip() if done.returncode == 0 else None


# -- .venv


def make_ready() -> bool:
    with open(__file__, "rb") as own_file:
        lock(own_file)  # guards .venv against a second launcher; the lock ends with the block
        if is_ready():
            return True
        began = time.monotonic()
        if not (make_venv() and install()):
            return False
        say(f".venv is ready after {time.monotonic() - began:.0f} s")
        return True


def lock(file: BinaryIO) -> None:
    try:
        import fcntl
    except ImportError:  # Windows: nobody waits there; the worst is a second install
        return
    fcntl.flock(file, fcntl.LOCK_EX)


def is_ready() -> bool:
    try:
        stamp = STAMP.read_text()
    except OSError:
        return False
    return not UNFINISHED.exists() and stamp == wanted_stamp()


def wanted_stamp() -> str:
    """Say what an install depends on: the place, the Python, the declared needs, the version and the browser
    studio's sources, which an install builds."""
    digest = hashlib.sha256()
    for name in ("pyproject.toml", "wfstudio/__init__.py"):
        digest.update((ROOT / name).read_bytes() + b"\0")
    for path in studio_sources():
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return f"{ROOT}\n{version_of(str(PYTHON), needs='site')}\n{digest.hexdigest()}\n"


def studio_sources() -> List[Path]:
    """List what the browser studio is built from: hatch_build.py and web_ui, without what npm puts there."""
    found = [ROOT / "hatch_build.py"]
    for folder, folders, names in os.walk(str(ROOT / "web_ui")):
        folders[:] = sorted(name for name in folders if name not in ("node_modules", "e2e", "fixtures"))
        found += [Path(folder) / name for name in sorted(names) if ".test." not in name]
    return [path for path in found if path.is_file()]


def make_venv() -> bool:
    if not UNFINISHED.exists() and version_of(str(PYTHON), needs="pip") is not None:
        say("bringing .venv up to date with pyproject.toml")
        return True
    if VENV.is_symlink() or VENV.is_file():
        VENV.unlink()
    elif VENV.exists():
        say("the .venv that is here does not work")
        shutil.rmtree(VENV)
    say("making .venv, once; this takes a minute or two")
    VENV.mkdir()
    UNFINISHED.touch()
    here = [sys.executable] if version_of(sys.executable) else []
    for python in here or [path for path in candidates() if version_of(path)][:1]:
        done = subprocess.run([python, "-m", "venv", str(VENV)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        if done.returncode == 0:
            return True
        print(done.stdout.decode(errors="replace"))
    complain(
        f"{sys.executable} cannot make a virtual environment",
        "install its `venv` and `ensurepip` modules (Debian and Ubuntu: the package python3-venv)",
    )
    return False


def install() -> bool:
    command = [str(PYTHON), "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-input"]
    UNFINISHED.touch()
    for attempt in (1, 2):
        if subprocess.run([*command, "--editable", ".[dev]"], stdin=subprocess.DEVNULL).returncode == 0:
            STAMP.write_text(wanted_stamp())
            UNFINISHED.unlink()
            return True
        if attempt == 1:
            say("pip failed; trying once more in 3 s")
            time.sleep(3)
    UNFINISHED.unlink()  # pip ended in order: what was there is whole, and the next launch tries again
    complain("pip could not install what pyproject.toml names", "see its words above; is the network there?")
    return False


# -- the checks


def check(pytest_arguments: List[str]) -> int:
    """Check everything, or of the tests what pytest is told; what all tests need beside Python is fetched meanwhile."""
    ahead = None if pytest_arguments else subprocess.Popen(AHEAD, stdin=subprocess.DEVNULL)
    try:
        if not passes_checks():
            return 1
    finally:
        if ahead is not None:
            ahead.wait()  # where it failed, the tests that need it say so
    options = pytest_arguments or lanes()
    if options is LANES:  # both must order sets alike while they name the tests; `tests/conftest.py` takes it back then
        os.environ.setdefault("PYTHONHASHSEED", str(random.randrange(2**32)))
        say("tests, in two lanes with PYTHONHASHSEED=" + os.environ["PYTHONHASHSEED"])
    else:
        say("tests")
    return become([str(PYTHON), "-m", "pytest", *options])


def passes_checks() -> bool:
    for position, (name, command) in enumerate(CHECKS):
        began = time.monotonic()
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        seconds = time.monotonic() - began
        if done.returncode != 0:
            print(done.stdout.decode(errors="replace").rstrip())
            say(f"{name:<8} failed after {seconds:.1f} s" + (f"; {CURES[name]}" if name in CURES else ""))
            print(f"{position} passed, 1 failed; the tests did not run", flush=True)
            return False
        say(f"{name:<8} ok in {seconds:.1f} s")
    return True


def lanes() -> List[str]:
    """Say how pytest runs all tests. Who names some gets them one after the other, as pytest does it."""
    return LANES if count_processors() > 1 else []


def count_processors() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1


# -- words and processes


def say(line: str) -> None:
    print("do: " + line, flush=True)


def complain(problem: str, cure: str) -> int:
    print("do: " + problem + "\n  fix: " + cure, file=sys.stderr, flush=True)
    return 1


def become(command: List[str]) -> int:
    """Turn into another program, so that its signals and its exit code are ours."""
    sys.stdout.flush()
    if os.name == "nt":
        return subprocess.run(command).returncode
    os.execv(command[0], command)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
