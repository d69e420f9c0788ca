"""Names of classes, in this process and in others, and of the main file."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from wf.codec import find_class, module_name, public_type_name, type_name

FLOW = """
import dataclasses, sys
from wf.codec import decode, encode, module_name, type_name, public_type_name
@dataclasses.dataclass
class Order:
    total: int
class Oops(Exception):
    pass
if __name__ == "__main__":
    print(module_name("__main__"), type_name(Order), public_type_name(Order))
    if len(sys.argv) > 1:
        value = decode(bytes.fromhex(sys.argv[1]))
        print(type(value).__module__, value)
    else:
        print(encode(Order(5)).hex())
"""


def run(*arguments: str, at: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=at,
        env={"PYTHONPATH": os.pathsep.join([*sys.path, str(at)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    (tmp_path / "shop" / "orders.py").write_text(FLOW)
    (tmp_path / "flow.py").write_text(FLOW)
    return tmp_path


def test_the_main_file_counts_as_its_module(flow: Path) -> None:
    name, data = run("flow.py", at=flow)
    assert name == "flow flow:Order flow.Order"
    assert bytes.fromhex(data) == b'{"$dataclass":["flow:Order",{"total":5}]}'
    # What the script wrote is read by the script, by an import of it, and by one run with -m.
    assert run("flow.py", data, at=flow)[1] == "__main__ Order(total=5)"
    assert run("-m", "flow", data, at=flow)[1] == "__main__ Order(total=5)"
    code = f"import flow; print(flow.decode(bytes.fromhex('{data}')))"
    assert run("-c", code, at=flow) == ["Order(total=5)"]


def test_a_module_run_with_m_keeps_its_name(flow: Path) -> None:
    name, data = run("-m", "shop.orders", at=flow)
    assert name == "shop.orders shop.orders:Order shop.orders.Order"
    assert run("-m", "shop.orders", data, at=flow)[1] == "__main__ Order(total=5)"
    code = f"import shop.orders; print(shop.orders.decode(bytes.fromhex('{data}')))"
    assert run("-c", code, at=flow) == ["Order(total=5)"]


def test_what_is_not_the_main_file_keeps_its_name(flow: Path) -> None:
    code = "from wf.codec import module_name; print(module_name('__main__'), module_name('shop.orders'))"
    assert run("-c", code, at=flow) == ["__main__ shop.orders"]


def test_a_main_file_named_like_a_package_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "wf.py").write_text(
        "import sys; del sys.path[0]\n"
        "from wf.codec import decode, find_class\n"
        "class Own: pass\n"
        "print(find_class('wf.errors:FatalError', lambda c: True))\n"
        "print(find_class('wf:Own', lambda c: True))\n"
    )
    assert run("bin/wf.py", at=tmp_path) == ["<class 'wf.errors.FatalError'>", "<class '__main__.Own'>"]


def test_a_child_that_was_spawned_names_the_main_file_alike(flow: Path) -> None:
    (flow / "parent.py").write_text(
        "import multiprocessing, dataclasses\n"
        "from wf.codec import decode, encode\n"
        "@dataclasses.dataclass\n"
        "class Order:\n    total: int\n"
        "def child(data):\n    return encode(decode(data)), type(decode(data)).__name__, encode(Order(6))\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        print(pool.apply(child, (encode(Order(5)),)))\n"
    )
    five = '{"$dataclass":["parent:Order",{"total":5}]}'
    assert run("parent.py", at=flow) == [f"(b'{five}', 'Order', b'{five.replace('5', '6')}')"]


def test_names_are_module_and_qualified_name() -> None:
    class Local:
        pass

    assert type_name(ValueError) == "builtins:ValueError"
    assert public_type_name(ValueError) == "builtins.ValueError"
    assert type_name(Path) == "pathlib:Path"
    assert type_name(Local) == f"{__name__}:test_names_are_module_and_qualified_name.<locals>.Local"
    assert module_name("a.b") == "a.b"


@pytest.mark.parametrize(
    "name",
    [
        "",
        ":",
        "x",
        "os:",
        "os:path",
        "os:nothing",
        "no.such:X",
        "builtins:ValueError.x",
        "a:b:c",
        "sys:modules.os",
        "os:system",
    ],
)
def test_what_is_not_there_is_not_found(name: str) -> None:
    assert find_class(name, lambda cls: True) is None


def test_only_the_expected_sort_is_found() -> None:
    assert find_class("builtins:ValueError", lambda cls: issubclass(cls, Exception)) is ValueError
    assert find_class("builtins:ValueError", lambda cls: issubclass(cls, dict)) is None


@pytest.mark.parametrize(("cls", "name"), [(Path, "pathlib:Path"), (re.error, "re:error")])
def test_a_class_of_the_library_has_the_same_name_on_every_python(cls: type, name: str) -> None:
    assert (type_name(cls), public_type_name(cls)) == (name, name.replace(":", "."))
    assert find_class(name, lambda found: True) is cls
