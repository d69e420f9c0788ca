"""The code that a process has loaded, named by its content."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from types import ModuleType

import pytest

from wf import deployment, registry
from wf.deployment import deployment_id, snapshot
from wf.loading import load_target


@pytest.fixture(autouse=True)
def own_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    with registry.isolated():
        yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(folder: Path, **sources: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in sources.items():
        (folder / f"{name}.py").write_text(source)


def digest(source: str) -> str:
    return sha256(source.encode()).hexdigest()


def test_a_snapshot_holds_the_loaded_files_of_the_project(tmp_path: Path) -> None:
    write(tmp_path, order="import prices\nimport shop.mail", prices="EUR = 1", unused="x = 1")
    write(tmp_path / "shop", __init__="", mail="y = 2")
    taken = snapshot(tmp_path, load_target("order.py"))
    assert taken.manifest == {
        "order.py": digest("import prices\nimport shop.mail"),
        "prices.py": digest("EUR = 1"),
        "shop/__init__.py": digest(""),
        "shop/mail.py": digest("y = 2"),
    }
    assert taken.sources == {hash: (tmp_path / path).read_bytes() for path, hash in taken.manifest.items()}


def test_an_id_follows_from_the_content_alone(tmp_path: Path) -> None:
    manifest = {"b.py": digest("2"), "a.py": digest("1")}
    lines = f"a.py\0{digest('1')}\nb.py\0{digest('2')}\n"
    assert deployment_id(manifest) == "dep_" + sha256(lines.encode()).hexdigest()[:24]
    assert deployment_id(dict(reversed(manifest.items()))) == deployment_id(manifest)


def test_an_edit_is_another_deployment_and_its_undoing_the_first_again(tmp_path: Path) -> None:
    write(tmp_path, order="x = 1")
    modules = load_target("order.py")
    first = snapshot(tmp_path, modules)
    write(tmp_path, order="x = 22")
    second = snapshot(tmp_path, modules)
    write(tmp_path, order="x = 1")
    assert first.deployment_id != second.deployment_id
    assert snapshot(tmp_path, modules) == first


def test_a_file_that_has_not_changed_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, order="x = 1")
    modules = load_target("order.py")
    first = snapshot(tmp_path, modules)
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail("read again"))
    assert snapshot(tmp_path, modules) == first


def test_what_is_installed_in_the_project_is_not_part_of_it(tmp_path: Path) -> None:
    write(tmp_path / ".venv" / "lib" / "site-packages", library="z = 3")
    write(tmp_path, order="import sys\nsys.path.append('.venv/lib/site-packages')\nimport library")
    assert list(snapshot(tmp_path, load_target("order.py")).manifest) == ["order.py"]


def test_a_folder_of_another_sort_above_the_project_does_not_matter(tmp_path: Path) -> None:
    root = tmp_path / "node_modules" / "project"
    write(root, order="x = 1")
    (root / "pyproject.toml").touch()
    assert list(snapshot(root, load_target(f"{root}/order.py")).manifest) == ["order.py"]


def test_a_file_beside_a_target_outside_the_root_goes_by_its_module(tmp_path: Path) -> None:
    write(tmp_path / "scratch", order="import prices", prices="EUR = 1")
    (tmp_path / "project").mkdir()
    taken = snapshot(tmp_path / "project", load_target("scratch/order.py"))
    assert list(taken.manifest) == ["order.py", "prices.py"]


def test_files_that_are_too_large_gone_or_no_python_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, order="x = 1", large="#" * 1_000_001, gone="y = 2")
    modules = [module for name in ("order", "large", "gone") for module in load_target(f"{name}.py")]
    (tmp_path / "gone.py").unlink()
    native = ModuleType("native")
    native.__file__ = str(tmp_path / "native.so")
    sys.modules["native"] = native
    assert list(snapshot(tmp_path, [*modules, native]).manifest) == ["order.py"]


def test_wf_itself_is_never_part_of_a_project() -> None:
    root = Path(deployment.__file__).parents[2]
    assert [path for path in snapshot(root, []).manifest if path.startswith(("runtime/wf/", "wfstudio/"))] == []


def test_paths_are_written_with_slashes_and_in_order(tmp_path: Path) -> None:
    write(tmp_path / "b", __init__="", two="")
    write(tmp_path, a="import b.two", c="")
    manifest = snapshot(tmp_path, [*load_target("c.py"), *load_target("a.py")]).manifest
    assert list(manifest) == ["a.py", "b/__init__.py", "b/two.py", "c.py"]
    assert os.sep == "/" or not any(os.sep in path for path in manifest)
