"""From a target to modules: real files in a folder of their own, imported into this process."""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from wf import registry
from wf.errors import NotRegisteredError
from wf.loading import LoadError, find_in, load_target, split_target
from wf.registry import Step, Workflow, find_step, find_workflow

FLOW = """
import wf.registry as wf

@wf.workflow
async def main() -> None: ...
"""

Files = Callable[[dict[str, str]], Path]


@pytest.fixture(autouse=True)
def own_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stand in the folder; forget its modules, paths and registrations at the end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    with registry.isolated():
        yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    def write(sources: dict[str, str]) -> Path:
        for name, source in sources.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(source))
        return tmp_path

    return write


def names(target: str) -> list[str]:
    return [module.__name__ for module in load_target(target)]


# -- files --------------------------------------------------------------------------------------


def test_a_file_is_the_module_of_its_stem(files: Files, tmp_path: Path) -> None:
    files({"flows/order.py": FLOW})
    [module] = load_target("flows/order.py")
    assert (module.__name__, sys.modules["order"]) == ("order", module)
    assert find_workflow("order:main") is module.main
    assert sys.path[0] == str(tmp_path / "flows")


def test_a_file_imports_its_neighbours(files: Files) -> None:
    files({"flows/order.py": "import prices\n" + FLOW, "flows/prices.py": "EUR = 1"})
    load_target("flows/order.py")
    assert sys.modules["prices"].EUR == 1


@pytest.mark.parametrize("name", ["my-flow", "flow.v2", "1st"])
def test_a_stem_need_not_be_an_identifier(files: Files, name: str) -> None:
    files({f"{name}.py": FLOW})
    [module] = load_target(f"{name}.py")
    assert module.main.id == f"{name}:main"


def test_a_file_in_a_package_goes_by_its_dotted_name(files: Files, tmp_path: Path) -> None:
    files({"shop/__init__.py": "", "shop/flows/__init__.py": "", "shop/flows/order.py": FLOW})
    [module] = load_target("shop/flows/order.py")
    assert module.main.id == "shop.flows.order:main"
    assert sys.path[0] == str(tmp_path)


def test_loading_twice_gives_the_same_modules(files: Files) -> None:
    files({"order.py": FLOW})
    assert load_target("order.py") == load_target("order.py")


def test_a_file_that_would_hide_a_loaded_module_is_refused(files: Files, tmp_path: Path) -> None:
    files({"a/order.py": FLOW, "b/order.py": FLOW, "queue.py": FLOW})
    load_target("a/order.py")
    with pytest.raises(LoadError) as error:
        load_target("b/order.py")
    assert str(error.value) == (
        f"{tmp_path}/b/order.py would be the module `order`, which is loaded already from {tmp_path}/a/order.py"
    )
    with pytest.raises(LoadError, match="would be the module `queue`, which is loaded already"):
        load_target("queue.py")


def test_a_file_with_the_name_of_pythons_own_is_refused(files: Files) -> None:
    files({"this.py": FLOW})
    with pytest.raises(LoadError, match=r"^this\.py would hide Python's own module `this`$"):
        load_target("this.py")


# -- modules, packages, directories -----------------------------------------------------------------


def test_a_module_is_found_from_here(files: Files) -> None:
    files({"order.py": FLOW})
    assert names("order") == ["order"]


def test_a_package_brings_its_modules_that_speak_of_wf(files: Files) -> None:
    files(
        {
            "shop/__init__.py": "",
            "shop/order.py": FLOW,
            "shop/refund.py": "from shop.app import app\n@app.workflow\nasync def refund(): ...",
            "shop/app.py": "from wf.registry import Workflows\napp = Workflows()",
            "shop/deep/__init__.py": "",
            "shop/deep/mail.py": "def send():\n    '''use step'''",
            "shop/models.py": "raise RuntimeError('nobody asked for this')",
            "shop/__main__.py": FLOW + "raise RuntimeError('the program ran')",
            "shop/test_order.py": FLOW + "raise RuntimeError('a test ran')",
            "shop/tests/__init__.py": FLOW + "raise RuntimeError('a test ran')",
        }
    )
    loaded = names("shop")
    assert sorted(loaded) == ["shop.app", "shop.deep.mail", "shop.order", "shop.refund"]
    assert find_workflow("shop.refund:refund") is not None
    assert find_step("shop.deep.mail:send") is not None


def test_a_dotted_package_is_itself_and_what_is_in_it(files: Files) -> None:
    files({"shop/__init__.py": "", "shop/flows/__init__.py": FLOW, "shop/flows/order.py": FLOW})
    assert names("shop.flows") == ["shop.flows", "shop.flows.order"]


def test_a_directory_brings_files_and_packages_that_speak_of_wf(files: Files) -> None:
    files(
        {
            "one.py": FLOW,
            "two.py": "def step(): ...",
            "pack/__init__.py": "",
            "pack/three.py": FLOW,
            ".hidden/four.py": "import wf\nraise RuntimeError",
            "ours/pyvenv.cfg": "",
            "ours/five.py": "import wf\nraise RuntimeError",
            "node_modules/six.py": "import wf\nraise RuntimeError",
            "setup.py": "import wf\nraise RuntimeError",
            "notes.txt": "import wf",
        }
    )
    assert names(".") == ["one", "pack.three"]


def test_the_modules_of_pyproject_come_before_discovery(files: Files) -> None:
    files(
        {
            "pyproject.toml": "[tool.wf]\nmodules = ['flows.order', 'src_flows', 'jobs/late.py']",
            "flows/__init__.py": "",
            "flows/order.py": FLOW,
            "src/src_flows.py": FLOW,
            "jobs/late.py": FLOW,
            "other.py": "import wf\nraise RuntimeError",
        }
    )
    assert names(".") == ["flows.order", "src_flows", "late"]


def test_a_directory_without_flows_says_so(files: Files, tmp_path: Path) -> None:
    files({"one.py": "x = 1"})
    with pytest.raises(LoadError) as error:
        load_target(".")
    assert error.value.explain() == (
        f"no Python file in {tmp_path} speaks of wf\n"
        "  fix: name a file, or `modules` in [tool.wf]\n"
        "  more: docs/errors/load.md"
    )


# -- directives -----------------------------------------------------------------------------------


def test_directives_are_registered_before_others_import_them(files: Files) -> None:
    files(
        {
            "order.py": """
                from steps import pay

                async def main():
                    '''use workflow'''
                    return await pay(1)
                """,
            "steps.py": """
                def pay(amount):
                    '''use step'''
                """,
        }
    )
    [module] = load_target("order.py")
    assert isinstance(module.pay, Step)
    assert isinstance(module.main, Workflow)
    assert module.pay is sys.modules["steps"].pay is find_step("steps:pay")


def test_after_loading_imports_are_pythons_own_again(files: Files) -> None:
    files({"order.py": FLOW, "later.py": "def pay():\n    '''use step'''"})
    finders = list(sys.meta_path)
    load_target("order.py")
    assert sys.meta_path == finders
    import later  # type: ignore[import-not-found]

    assert inspect.isfunction(later.pay)


# -- errors ---------------------------------------------------------------------------------------


def test_a_missing_file_is_refused_with_the_nearest(files: Files) -> None:
    files({"flows/order.py": FLOW})
    with pytest.raises(LoadError) as error:
        load_target("flows/oder.py")
    assert (str(error.value), error.value.hint) == ("there is no file flows/oder.py", "did you mean `flows/order.py`?")


def test_a_missing_module_is_refused_with_the_nearest(files: Files) -> None:
    files({"order.py": FLOW, "shop/__init__.py": ""})
    for target, hint in (("oder", "did you mean `order`?"), ("shopp", "did you mean `shop`?")):
        with pytest.raises(LoadError) as error:
            load_target(target)
        assert (str(error.value), error.value.hint) == (f"there is no module {target}", hint)
    with pytest.raises(LoadError, match=r"^there is no module shop\.order$"):
        load_target("shop.order")


def test_what_is_no_python_file_is_refused(files: Files) -> None:
    files({"flow.txt": ""})
    with pytest.raises(LoadError, match=r"^flow\.txt is not a Python file$"):
        load_target("flow.txt")
    with pytest.raises(LoadError, match=r"^'a b' is neither a file nor a module's name$"):
        load_target("a b")


def test_an_error_of_the_users_shows_the_users_frames_only(files: Files, tmp_path: Path) -> None:
    files({"order.py": "import prices\n", "prices.py": "def read():\n    return 1 / 0\n\nread()\n"})
    with pytest.raises(LoadError) as error:
        load_target("order.py")
    assert error.value.explain() == (
        "order.py cannot be imported: ZeroDivisionError: division by zero\n"
        f"  at {tmp_path}/prices.py:2 in read\n"
        "  more: docs/errors/load.md"
    )
    cause = error.value.__cause__
    assert isinstance(cause, ZeroDivisionError)
    frames = [frame.filename for frame in traceback.extract_tb(cause.__traceback__)]
    assert frames[0] == str(tmp_path / "order.py")
    assert frames[-1] == str(tmp_path / "prices.py")


def test_a_syntax_error_names_its_line(files: Files, tmp_path: Path) -> None:
    files({"order.py": "x = 1\ndef main(:\n"})
    with pytest.raises(LoadError) as error:
        load_target("order.py")
    assert str(error.value).startswith("order.py cannot be imported: SyntaxError: ")
    assert error.value.where == f"{tmp_path}/order.py:2"
    assert isinstance(error.value.__cause__, SyntaxError)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import wf\nx = 1 / 0\n", "ZeroDivisionError: division by zero"),
        ("import wf\nimport nothing_of_this_name\n", "ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("import wf\ndef main(:\n", "SyntaxError: "),
    ],
)
def test_of_a_directory_the_file_that_failed_is_named(files: Files, text: str, message: str) -> None:
    files({"pyproject.toml": "[tool.wf]\n", "fine.py": "import wf\n", "sub/order.py": text})
    with pytest.raises(LoadError) as error:
        load_target(".")
    assert str(error.value).startswith(f"sub/order.py cannot be imported: {message}")


def test_a_missing_dependency_is_not_a_missing_target(files: Files, tmp_path: Path) -> None:
    files({"order.py": "import no_such_library\n"})
    for target in ("order.py", "order"):
        with pytest.raises(LoadError) as error:
            load_target(target)
        assert error.value.where == f"{tmp_path}/order.py:1 in <module>"
        assert isinstance(error.value.__cause__, ModuleNotFoundError)


def test_a_program_that_exits_when_imported_does_not_end_ours(files: Files) -> None:
    files({"order.py": "import sys\nsys.exit(3)\n"})
    with pytest.raises(LoadError, match=r"^order\.py cannot be imported: SystemExit: 3$") as error:
        load_target("order.py")
    assert error.value.hint == 'put what runs the program under `if __name__ == "__main__":`'


def test_what_fails_to_load_leaves_nothing_behind(files: Files) -> None:
    files({"order.py": "import steps\n1 / 0", "steps.py": "import wf.registry as wf\n@wf.step\ndef pay(): ..."})
    paths = list(sys.path)
    with pytest.raises(LoadError):
        load_target("order.py")
    assert ("order" in sys.modules, "steps" in sys.modules, find_step("steps:pay")) == (False, False, None)
    assert sys.path == paths
    files({"order.py": "import steps"})
    load_target("order.py")
    assert find_step("steps:pay") is not None


# -- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("flow.py:main", ("flow.py", "main")),
        ("flow.py", ("flow.py", None)),
        ("flow.py:", ("flow.py", None)),
        ("flows.order:Shop.close", ("flows.order", "Shop.close")),
        ("C:\\flows\\order.py", ("C:\\flows\\order.py", None)),
        ("C:\\flows\\order.py:main", ("C:\\flows\\order.py", "main")),
        (":main", (":main", None)),
        ("", ("", None)),
    ],
)
def test_a_target_may_name_a_workflow_after_a_colon(text: str, split: tuple[str, str | None]) -> None:
    assert split_target(text) == split


TWO = """
import wf.registry as wf

@wf.workflow
async def build(): ...

@wf.workflow(name="nightly")
async def close(): ...

@wf.step
def pay(): ...

def helper(): ...
"""


def test_a_workflow_is_found_by_its_name_here_or_its_registered_one(files: Files) -> None:
    files({"order.py": TWO})
    modules = load_target("order.py")
    [module] = modules
    assert find_in(modules, "build") is module.build
    assert find_in(modules, "order:build") is module.build
    assert find_in(modules, "close") is find_in(modules, "nightly") is module.close


def test_the_only_workflow_needs_no_name(files: Files) -> None:
    files({"order.py": FLOW})
    modules = load_target("order.py")
    assert find_in(modules, None) is modules[0].main


def test_several_workflows_or_none_need_one(files: Files) -> None:
    files({"order.py": TWO, "empty.py": "import wf"})
    with pytest.raises(LoadError) as error:
        find_in(load_target("order.py"), None)
    assert str(error.value) == "there are 2 workflows in order"
    assert error.value.hint == "name one of them after a colon: build, nightly"
    with pytest.raises(LoadError, match=r"^there is no workflow in empty$"):
        find_in(load_target("empty.py"), None)


def test_what_is_no_workflow_is_refused_for_what_it_is(files: Files) -> None:
    files({"order.py": TWO})
    modules = load_target("order.py")
    with pytest.raises(LoadError, match=r"^order:pay is a step$"):
        find_in(modules, "pay")
    with pytest.raises(LoadError, match=r"^order:helper is not a workflow$"):
        find_in(modules, "helper")
    with pytest.raises(NotRegisteredError) as error:
        find_in(modules, "biuld")
    assert error.value.explain() == (
        "no workflow is registered as 'biuld'; close: build\n"
        "  fix: did you mean `build`?\n"
        "  more: docs/errors/not-registered.md"
    )
