"""What ships and what does not: imports, exports, the wheel, and traces of somebody's machine."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import requires, version
from pathlib import Path
from zipfile import ZipFile

import pytest

import wf
import wfstudio

ROOT = Path(__file__).resolve().parents[1]

HEAVY = ["duckdb", "jinja2", "pydantic", "rich", "starlette", "textual", "typer", "uvicorn", "watchfiles", "wfstudio"]

# What the documents promise under `wf.`. Errors for a world's keeper only are found in wf.errors.
PUBLIC = """
    workflow step Workflows SandboxPolicy register_directives
    sleep now time_ns random uuid4 lock saga continue_as_new
    set_attributes remove_attributes get_workflow_metadata get_step_metadata WorkflowInfo StepInfo
    BaseHook hook HookEvent Hook webhook Request Response resume_hook resume_webhook get_hook_by_token
    start run get_run list_runs Run RunPage Attention worker lifespan configure
    get_writable read_stream StreamInfo serializable register_serializable
    WorkflowWritable WorkflowStreamWriter WorkflowStreamHandle WorkflowRunStatus
    errors testing
    WorkflowError FatalError RetryableError StepError StepTimeoutError SerializationError PayloadTooLargeError
    HookNotFoundError HookDisposedError HookConflictError ValidationError
    WorkflowRunFailedError WorkflowRunCancelledError RunNotFoundError NotInRunError LockTimeoutError
    NondeterminismError NotRegisteredError WorkflowIOError DecryptionError WorldError
""".split()


def test_import_wf_loads_nothing_heavy() -> None:
    program = f"import sys, wf; print(*sorted(set(sys.modules) & set({HEAVY})))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


def test_import_wf_loads_no_worker_world_or_cipher_and_a_warm_parent_all_of_them() -> None:
    """Who only declares workflows needs none of them; what is forked to be a worker should find them loaded."""
    wanted = {"wf.worker.worker", "wf.engine.replay", "wf.worlds.shared", "cryptography.hazmat.primitives.ciphers.aead"}
    for module, found in (("wf", set[str]()), ("wfstudio.dev.zygote", wanted)):
        program = f"import sys, {module}; print(*set(sys.modules) & {wanted})"
        done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True)
        assert (done.returncode, set(done.stdout.split()), done.stderr) == (0, found, "")


def test_the_function_keeps_its_name_when_the_package_of_that_name_is_loaded() -> None:
    program = "import wf; import importlib; importlib.import_module('wf.worker.worker'); print(wf.worker.__name__)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "worker", "")


def test_wf_exports_what_is_documented_and_nothing_else() -> None:
    assert sorted(wf.__all__) == sorted(PUBLIC)
    assert [name for name in wf.__all__ if not hasattr(wf, name)] == []


def test_what_ships_imports_what_is_declared_and_declares_what_it_imports() -> None:
    needs = [need for need in requires("wfstudio") or [] if "extra ==" not in need]
    declared = {re.split(r"[^\w-]", need)[0].replace("-", "_") for need in needs}
    imported = {name for package in ("runtime/wf", "wfstudio") for name in imports_of(ROOT / package)}
    foreign = imported - set(sys.stdlib_module_names) - {"wf", "wfstudio", "annotationlib"}  # in 3.14's library
    # The pytest plugin is loaded by pytest only, the SDK (an extra) by `wf mcp`. numpy is what duckdb's functions in
    # Python ask for.
    assert foreign - {"pytest", "mcp", "mcp_types", "psycopg"} == declared - {"numpy"}


def test_the_extra_of_the_agents_protocol_is_needed_by_its_server_alone() -> None:
    users = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "wfstudio").rglob("*.py")
        if re.search(r"^\s*(from|import) mcp", path.read_text("utf-8"), re.MULTILINE)
    }
    assert users == {"wfstudio/mcp/server.py"}


def imports_of(folder: Path) -> Iterator[str]:
    """Give the top-level packages that a package's modules import at run time."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            yield from (name.split(".")[0] for name in names)


def test_the_version_is_written_once() -> None:
    assert version("wfstudio") == wfstudio.__version__


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Build the wheel as an installer would, and list its files."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    [path] = folder.glob("*.whl")
    with ZipFile(path) as archive:
        return archive.namelist()


def test_the_wheel_holds_two_packages_and_nothing_else(wheel: list[str]) -> None:
    tops = {name.split("/")[0] for name in wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"wf", "wfstudio"}
    ours = [name for name in wheel if not name.startswith("wfstudio/_templates/")]  # those bring tests of their own
    assert [name for name in ours if "/test_" in name or "/tests/" in name] == []


def test_the_wheel_holds_every_file_of_the_templates(wheel: list[str]) -> None:
    """Packagers leave out what .gitignore names, and a template has files like that."""
    folder = ROOT / "templates"
    expected = {f"wfstudio/_templates/{path.relative_to(folder).as_posix()}" for path in shipped(folder)}
    assert expected == {name for name in wheel if name.startswith("wfstudio/_templates/")}
    assert {f"wfstudio/_templates/{name}" for name in ("shared/gitignore.jinja", "approval/template.toml")} <= expected


def test_the_wheel_holds_every_file_of_the_packages(wheel: list[str]) -> None:
    expected = {
        *(str(path.relative_to(ROOT / "runtime")) for path in shipped(ROOT / "runtime" / "wf")),
        *(str(path.relative_to(ROOT)) for path in shipped(ROOT / "wfstudio")),
    }
    assert expected <= set(wheel)
    assert {"wf/py.typed", "wf/worlds/sqlite/schema.sql", "wfstudio/py.typed"} <= set(wheel)


def shipped(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


# The home of a person, of root, or a build machine's own folders.
MACHINE = re.compile(rb"(?<![\w.~}])(?:/(?:home|Users|root|work|farm)/\w|[A-Z]:\\+Users\\)")
NOT_OURS = {".git", ".venv", ".wf", "node_modules", "build", "dist", "_web_ui", "__pycache__"}


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in NOT_OURS and not name.endswith(("_cache", ".egg-info"))]
        folders[:] = [name for name in folders if name != ".hypothesis"]
        for path in (Path(folder) / name for name in names):
            match = MACHINE.search(path.read_bytes())
            if match is not None:
                found.append(f"{path.relative_to(ROOT)}: {match[0].decode()}")
    assert found == []
