"""Additions: a new workflow or step looks like its neighbours, brings a test that passes, and takes nothing away."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from wf.errors import WorkflowError
from wfstudio.core.errors import ConflictError, UsageError
from wfstudio.scaffold.additions import Addition, Kind, plan_addition
from wfstudio.scaffold.names import read_project_name
from wfstudio.scaffold.projects import plan_project
from wfstudio.scaffold.templates import find_template
from wfstudio.scaffold.writing import write_plan

Lay = Callable[..., Path]


@pytest.fixture
def lay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lay:
    """Lay a project out, as the working directory."""

    def write(**files: str) -> Path:
        (tmp_path / "pyproject.toml").write_text("[tool.wf]\n")
        for name, text in files.items():
            path = tmp_path / (name.replace("__", "/").replace("PACKAGE", "__init__") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text).lstrip("\n"))
        monkeypatch.chdir(tmp_path)
        return tmp_path

    return write


def add(kind: Kind, name: str, target: str | None = None) -> tuple[Addition, str, str]:
    """Add one; give the module's and the test's text."""
    addition = plan_addition(kind, name, target=target)
    write_plan(addition.plan)
    root = addition.plan.folder
    return addition, (root / addition.file).read_text("utf-8"), (root / addition.test).read_text("utf-8")


def run_tests(root: Path, *, path: str | None = None) -> str:
    """Run a project's tests as a new user does, with the plugin of wf alone."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("WF_", "PYTEST_"))}
    environ |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} | ({"PYTHONPATH": path} if path else {})
    command = [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "wf.pytest_plugin", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=root, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


DECORATED = """
    import asyncio

    import wf


    @wf.step(max_retries=5)
    async def fetch(url: str) -> str:
        return url


    @wf.workflow
    async def crawl(url: str) -> str:
        return await fetch(url)


    # To try it.
    if __name__ == "__main__":
        print(wf.run(crawl, "/"))
"""


def test_a_workflow_goes_before_what_runs_as_a_script_and_the_rest_stays(lay: Lay) -> None:
    root = lay(flow=DECORATED)
    before = (root / "flow.py").read_text()
    addition, text, test = add("workflow", "send_report")
    assert (addition.module, addition.file, addition.test) == ("flow", "flow.py", "tests/test_send_report.py")
    added = (
        "@wf.workflow\n"
        "async def send_report(subject: str) -> str:\n"
        '    """Decide what happens, and in which order. The work itself is done in steps."""\n'
        '    await wf.sleep("1s")  # durable: it survives a restart\n'
        '    return f"send_report of {subject}"\n\n\n'
    )
    head, guard, tail = before.partition("# To try it.")
    assert text == head + added + guard + tail
    assert text.splitlines()[addition.line - 1] == "@wf.workflow"
    assert test == (
        "from wf.testing import WorkflowEnvironment\n\nfrom flow import send_report\n\n\n"
        "async def test_send_report(wf_env: WorkflowEnvironment) -> None:\n"
        '    result = await wf_env.run(send_report, "ada")\n'
        '    assert result == "send_report of ada"\n'
    )
    assert "1 passed" in run_tests(root)


def test_a_step_is_asynchronous_where_the_others_are(lay: Lay) -> None:
    lay(flow=DECORATED)
    _, text, test = add("step", "fetch_page")
    assert "@wf.step\nasync def fetch_page(subject: str) -> str:\n" in text
    assert "async def test_fetch_page() -> None:\n    assert await fetch_page(" in test


PLAIN = """
    from wf import Workflows

    app = Workflows()


    @app.step
    def load(name):
      return name


    @app.step(max_retries=0)
    def store(name):
      return f'stored {name}'


    @app.workflow
    async def move(name):
      return await store(await load(name))
"""


def test_a_projects_own_registry_its_threads_quotes_and_indents_are_followed(lay: Lay) -> None:
    root = lay(flow=PLAIN)
    _, text, test = add("step", "check")
    assert text.endswith(
        "\n\n\n@app.step\ndef check(subject):\n"
        '  """Do one piece of work. What it gives is recorded once; if it raises, it is tried again."""\n'
        "  return f'check of {subject}'\n"
    )
    assert "import wf" not in text
    assert "def test_check():\n  # `.func`" in test
    assert "WorkflowEnvironment" not in test
    _, text, test = add("workflow", "clean")
    assert text.startswith("import wf\nfrom wf import Workflows\n\napp = Workflows()\n")
    assert "@app.workflow\nasync def clean(subject):\n" in text
    assert "  await wf.sleep('1s')  # durable" in text
    assert "async def test_clean(wf_env):\n  result = await wf_env.run(clean, 'ada')\n" in test
    assert "2 passed" in run_tests(root)


DIRECTIVES = '''
    import asyncio


    async def greet(name: str) -> str:
        """use step"""
        return f"hello {name}"


    async def meet(name: str) -> str:
        """use workflow"""
        await asyncio.sleep(1)
        return await greet(name)
'''


def test_directives_are_answered_with_directives(lay: Lay) -> None:
    root = lay(flows__meeting=DIRECTIVES, flows__PACKAGE="")
    addition, text, test = add("workflow", "part")
    assert addition.module == "flows.meeting"
    assert text.startswith("import asyncio\n\nimport wf\n\n\nasync def greet(")
    assert 'async def part(subject: str) -> str:\n    """use workflow"""\n    await wf.sleep("1s")' in text
    assert "@" not in text
    assert "import flows.meeting as flow\n\nwf.register_directives(flow)\n" in test
    _, text, test = add("step", "wave")
    assert text.endswith('async def wave(subject: str) -> str:\n    """use step"""\n    return f"wave of {subject}"\n')
    assert "await wave(" in test
    assert "2 passed" in run_tests(root)


BARE = """
    from wf import step as task
    from wf import workflow


    @task
    def add(a: int, b: int) -> int:
        return a + b


    @workflow
    async def total(a: int) -> int:
        return await add(a, a)
"""


def test_a_bare_decorator_is_used_under_the_name_that_it_has(lay: Lay) -> None:
    root = lay(flow=BARE)
    _, text, test = add("step", "divide")
    assert "\n\n\n@task\ndef divide(subject: str) -> str:\n" in text
    assert "divide.func(" in test
    assert not text.startswith("import wf")
    _, text, _ = add("workflow", "mean")
    assert "\n\n\n@workflow\nasync def mean(" in text
    assert "2 passed" in run_tests(root)


def test_the_module_with_the_most_workflows_is_added_to_unless_another_is_named(lay: Lay) -> None:
    lay(one=BARE, two=DECORATED.replace("fetch", "get") + DECORATED.replace("crawl", "walk"))
    assert plan_addition("step", "added").module == "two"
    assert plan_addition("step", "added", target="one.py").module == "one"
    assert plan_addition("step", "added", target="one").module == "one"


def test_a_module_without_any_follows_the_rest_of_the_project(lay: Lay) -> None:
    lay(flow=BARE, empty="import wf as w\n\nw.configure()\n")
    addition, text, _ = add("step", "added", target="empty.py")
    assert text == (
        "import wf as w\n\nw.configure()\n\n\n@w.step\n"
        "def added(subject: str) -> str:\n"
        '    """Do one piece of work. What it gives is recorded once; if it raises, it is tried again."""\n'
        '    return f"added of {subject}"\n'
    )
    assert addition.line == 6


def test_a_test_goes_where_and_is_called_as_the_projects_tests_are(lay: Lay) -> None:
    root = lay(src__shop__flow=DECORATED, src__shop__PACKAGE="", checks__flow_test="def test_nothing(): pass\n")
    (root / "pyproject.toml").write_text('[tool.pytest.ini_options]\ntestpaths = ["checks"]\n')
    addition, _, test = add("step", "pack")
    assert addition.test == "checks/pack_test.py"
    assert "from shop.flow import pack\n" in test
    assert addition.test_path == "src"
    assert "2 passed" in run_tests(root, path="src")


def test_tests_of_a_project_whose_modules_pytest_finds_need_no_path(lay: Lay) -> None:
    root = lay(src__flow=DECORATED)
    (root / "pyproject.toml").write_text('[tool.pytest.ini_options]\npythonpath = "src"\n')
    assert plan_addition("step", "pack").test_path is None


def test_ends_of_lines_and_a_byte_order_mark_stay_what_they_are(lay: Lay) -> None:
    root = lay(flow=DECORATED)
    path = root / "flow.py"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    before = path.read_bytes()
    add("step", "pack")
    after = path.read_bytes()
    assert after.startswith(before.partition(b"# To try it")[0])
    assert after.count(b"\n") == after.count(b"\r\n")
    ast.parse(after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"""Flows."""\n', '"""Flows."""\n\nimport wf\n'),
        ("X = 1\n", "import wf\n\nX = 1\n"),
        ("import os\n\nX = 1\n", "import os\n\nimport wf\n\nX = 1\n"),
        ("import os\n\nimport attr\n\nX = 1\n", "import os\n\nimport attr\nimport wf\n\nX = 1\n"),
        ("from zope import x\n", "import wf\nfrom zope import x\n"),
        ("from os import (\n    path,\n    sep,\n)\n", "from os import (\n    path,\n    sep,\n)\n\nimport wf\n"),
    ],
)
def test_an_import_goes_where_a_sorted_file_has_it(before: str, after: str, lay: Lay) -> None:
    lay(other=BARE)
    Path("flow.py").write_text(before + "# speaks of @app.step\n\n\n@app.step\ndef x(): ...\n")
    _, text, _ = add("workflow", "added", target="flow.py")
    assert text.startswith(after)
    ast.parse(text)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("crawl", "there is a workflow 'crawl' already, at flow.py:11"),
        ("fetch", "there is a step 'fetch' already, at flow.py:6"),
        ("asyncio", "flow.py has 'asyncio' already"),
    ],
)
def test_a_name_that_is_taken_is_refused(name: str, message: str, lay: Lay) -> None:
    lay(flow=DECORATED)
    with pytest.raises(ConflictError) as refused:
        plan_addition("step", name)
    assert (str(refused.value), refused.value.hint) == (message, "choose another name")


def test_a_name_that_another_module_has_is_taken_too(lay: Lay) -> None:
    lay(flow=DECORATED, other=BARE)
    with pytest.raises(ConflictError, match=r"there is a step 'add' already, at other\.py:5"):
        plan_addition("workflow", "add", target="flow.py")


def test_a_test_that_is_there_is_told_as_one_that_would_be_overwritten(lay: Lay) -> None:
    lay(flow=DECORATED, tests__test_pack="def test_pack(): pass\n")
    assert plan_addition("step", "pack").plan.replaced == ["tests/test_pack.py"]


def test_a_project_in_a_folder_below_is_not_chosen_unnamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "pyproject.toml").write_text("")
    (tmp_path / "shop" / "shop.py").write_text("import wf\n\n\n@wf.step\nasync def charge() -> None: ...\n")
    with pytest.raises(UsageError) as refused:
        plan_addition("step", "pack")
    assert (str(refused.value), refused.value.hint) == (
        "shop/shop.py is of the project in shop",
        "go there, `cd shop`, or name it: `--in shop/shop.py`",
    )
    assert plan_addition("step", "pack", target="shop/shop.py").plan.folder == tmp_path / "shop"


def test_outside_of_a_project_it_says_how_to_make_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("")
    with pytest.raises(UsageError) as refused:
        plan_addition("step", "pack")
    assert (str(refused.value), refused.value.hint) == (
        f"no Python file in {tmp_path} speaks of wf: this is no project of workflows",
        "`wf new NAME` makes one",
    )


def test_a_target_that_is_not_there_is_told_what_was_meant(lay: Lay) -> None:
    lay(flow=DECORATED)
    with pytest.raises(WorkflowError) as refused:
        plan_addition("step", "pack", target="flwo.py")
    assert refused.value.hint == "did you mean `flow.py`?"


def test_code_that_is_no_python_is_not_touched(lay: Lay) -> None:
    lay(flow="import wf\n\n@wf.step\ndef broken(:\n")
    with pytest.raises(UsageError, match=r"flow\.py cannot be read: ") as refused:
        plan_addition("step", "pack")
    assert refused.value.hint == "mend it first"


def test_what_is_added_to_a_project_of_ours_passes_all_that_the_project_asks_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "my-flows"
    write_plan(plan_project(find_template("hello"), folder, read_project_name("my-flows"), {}))
    monkeypatch.chdir(folder)
    for kind, name in (("workflow", "send_report"), ("step", "fetch_page")):
        write_plan(plan_addition(kind, name).plan)
    assert "4 passed" in run_tests(folder)
    for command in (["ruff", "format", "--check", "."], ["ruff", "check", "."], ["mypy", f"--cache-dir={os.devnull}"]):
        done = subprocess.run([sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
