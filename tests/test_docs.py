"""The documents: complete, in step with the code, and in the project's own words."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import wf
import wfstudio
from tests.pages import RUN
from wf import errors, events

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs" / "errors").glob("*.md"))
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def find_errors() -> list[type[errors.WorkflowError]]:
    """Give every class of the error tree, wherever it is defined."""
    for package in (wf, wfstudio):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    found, left = list[type[errors.WorkflowError]](), [errors.WorkflowError]
    while left:
        cls = left.pop()
        if "slug" in vars(cls) and cls.__module__.partition(".")[0] in ("wf", "wfstudio"):
            found.append(cls)
        left += cls.__subclasses__()
    return sorted(dict.fromkeys(found), key=lambda cls: cls.slug)


ERRORS = find_errors()

FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")

# Other products' words for what has a word here.
FOREIGN = re.compile(
    r"\b(activity|activities|workflow (instance|execution)s?|(child |sub-?)workflows?|task queues?)\b",
    re.IGNORECASE,
)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(path: Path, language: str) -> list[tuple[int, str]]:
    """Give a document's code blocks of a language, each with the line that it begins on."""
    text = path.read_text("utf-8")
    return [(text.count("\n", 0, m.start(2)) + 1, m[2]) for m in FENCE.finditer(text) if m[1] == language]


def sections(path: Path) -> dict[str, str]:
    head, *rest = re.split(r"^## (.+)\n", path.read_text("utf-8"), flags=re.MULTILINE)
    return {"": head.strip(), **{title: body.strip() for title, body in zip(rest[::2], rest[1::2], strict=True)}}


def test_every_error_has_a_page_and_every_page_an_error() -> None:
    assert {page.stem for page in PAGES} == {error.slug for error in ERRORS}


def test_no_two_errors_share_a_slug() -> None:
    slugs = [error.slug for error in ERRORS]
    assert sorted(slugs) == sorted(set(slugs))


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.slug)
def test_an_errors_page_says_what_why_how_and_shows_it(error: type[errors.WorkflowError]) -> None:
    page = ROOT / "docs" / "errors" / f"{error.slug}.md"
    parts = sections(page)
    assert parts[""] == f"# `{error.__name__}`"
    assert list(parts) == ["", "What you see", "Why", "Fix", "Example"]
    assert all(parts.values())
    assert blocks(page, "python"), "an example is code"
    if error is not errors.WorkflowError:
        assert f"more: docs/errors/{error.slug}.md" in parts["What you see"]
    if error.hint:
        assert f"fix: {error.hint}" in parts["What you see"]


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_python_in_a_document_compiles(path: Path) -> None:
    for line, code in blocks(path, "python"):
        compile("\n" * (line - 1) + code, name_of(path), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_python_in_the_documents_uses_names_that_exist() -> None:
    """Run every block that only defines things, in one process, under a module name of its own."""
    program = "\n".join(
        [
            "import sys, types",
            "flows = types.ModuleType('flows')",
            "flows.__getattr__ = lambda name: flows",
            "sys.modules['flows'] = flows",
            "def block(name, code):",
            "    module = types.ModuleType(name)",
            "    sys.modules[name] = module",
            "    exec(compile(code, name, 'exec'), module.__dict__)",
        ]
    )
    for path in DOCUMENTS:
        for line, code in blocks(path, "python"):
            if defines_only(code) and name_of(path) not in RUN:
                program += f"\nblock({f'{name_of(path)}:{line}'!r}, {code!r})"
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def defines_only(code: str) -> bool:
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.If)
    return all(isinstance(statement, kinds) for statement in ast.parse(code).body)


def test_names_of_wf_in_the_documents_exist() -> None:
    import wf

    missing = [
        f"{name_of(path)}: wf.{'.'.join(chain)}"
        for path in DOCUMENTS
        for _, code in blocks(path, "python")
        for chain in wf_names(code)
        if not has(wf, chain)
    ]
    assert missing == []


def wf_names(code: str) -> list[list[str]]:
    """List `wf.a` as [a] and `wf.errors.B` as [errors, B]."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Attribute):
            chain = [node.attr]
            while isinstance(node.value, ast.Attribute):
                node = node.value
                chain.insert(0, node.attr)
            if isinstance(node.value, ast.Name) and node.value.id == "wf":
                found.append(chain[:2] if chain[0] == "errors" else chain[:1])
    return found


def has(thing: object, chain: list[str]) -> bool:
    for name in chain:
        if not hasattr(thing, name):
            return False
        thing = getattr(thing, name)
    return True


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_links_to_files_lead_somewhere(path: Path) -> None:
    targets = [target.split("#")[0] for target in LINK.findall(FENCE.sub("", path.read_text("utf-8")))]
    local = [target for target in targets if target and "://" not in target]
    assert [target for target in local if not (path.parent / target).exists()] == []


OURS = [path for path in DOCUMENTS if path.parent.name != "coming-from"]  # whose tables are about others' words


@pytest.mark.parametrize("path", OURS, ids=name_of)
def test_a_document_uses_the_projects_words(path: Path) -> None:
    assert [match[0] for match in FOREIGN.finditer(path.read_text("utf-8"))] == []


def test_the_logs_format_names_every_type_of_event() -> None:
    types = [
        value for name, value in vars(events).items() if name.isupper() and isinstance(value, str) and "_" in value
    ]
    text = (ROOT / "docs" / "event-log.md").read_text("utf-8")
    assert len(types) > 20
    assert [type_ for type_ in types if f"`{type_}`" not in text] == []


def test_ci_runs_the_readmes_test_command_and_nothing_else() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    commands = re.search(r"## Two commands\n.*?```sh elsewhere\n(.*?)\n```", readme, re.DOTALL)
    assert commands is not None
    demo, test = commands[1].splitlines()
    assert demo == "python3 do.py demo"
    script = [
        line for line in (ROOT / ".ci" / "run").read_text("utf-8").splitlines() if line and not line.startswith("#")
    ]
    assert script == ["set -eu", 'cd "$(dirname "$0")/.."', f"exec {test}"]


def test_the_changelog_tells_what_is_not_released_yet() -> None:
    assert "\n## [Unreleased]\n" in (ROOT / "CHANGELOG.md").read_text("utf-8")
