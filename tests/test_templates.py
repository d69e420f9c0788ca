"""Every template, as who chose it meets it: a project of its own, with nothing but an installed `wf`."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pages import save
from tests.programs import PYTEST, find_port
from tests.test_hygiene import imports_of
from wfstudio.core.check.checking import check_files
from wfstudio.core.check.targets import find_scopes
from wfstudio.scaffold.names import read_project_name
from wfstudio.scaffold.projects import plan_project
from wfstudio.scaffold.templates import Template, find_template, list_templates
from wfstudio.scaffold.writing import write_plan

TEMPLATES = [template.name for template in list_templates()]
SECONDS = 60.0
"""What has not ended by then counts as hung, and is killed."""


def make(template: Template, folder: Path, **answers: int) -> Path:
    name = read_project_name(folder.name)
    write_plan(plan_project(template, folder, name, {**template.answer({}), **answers}))
    return folder


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A project of each template. Tests that change one make their own."""
    top = tmp_path_factory.mktemp("projects")
    return {name: make(find_template(name), top / f"my-{name}") for name in TEMPLATES}


@pytest.fixture
def copy(projects: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    return lambda name: Path(shutil.copytree(projects[name], tmp_path / f"my-{name}"))


def environ(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WF_", "PYTEST_"))}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1", **more}


def run(folder: Path, *arguments: str, given: str = "", **more: str) -> str:
    """Run a Python of the project's, and give its result; what it says must be no warning."""
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=folder, env=environ(**more), input=given, capture_output=True, text=True, timeout=SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_there_are_the_templates_that_are_promised_and_one_is_the_default() -> None:
    assert TEMPLATES == ["hello", "approval", "pipeline", "drip", "saga", "webhook", "agent"]
    assert [template.name for template in list_templates() if template.is_default] == ["approval"]


# -- what holds for each ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", TEMPLATES)
def test_its_own_tests_pass(name: str, projects: dict[str, Path]) -> None:
    assert re.search(r"^\d+ passed in ", run(projects[name], *PYTEST, "-x"), re.M)


def test_all_are_typed_strictly(projects: dict[str, Path], type_cache: Path) -> None:
    folder = next(iter(projects.values())).parent
    files = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*.py"))]
    options = ("--strict", f"--cache-dir={type_cache}", "--config-file=")
    assert run(folder, "-m", "mypy", *options, *files).startswith(f"Success: no issues found in {len(files)} ")


def test_all_are_formatted_and_clean_by_their_own_settings(projects: dict[str, Path]) -> None:
    check_style(next(iter(projects.values())).parent)


def check_style(folder: Path) -> None:
    """Let ruff look at all projects in a folder, each by its own pyproject.toml."""
    run(folder, "-m", "ruff", "format", "--no-cache", "--check", ".")
    run(folder, "-m", "ruff", "check", "--no-cache", ".")


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_check_finds_nothing_in_it(name: str, projects: dict[str, Path]) -> None:
    [scope] = find_scopes([str(projects[name])])
    report = check_files(scope.root, sorted(str(path) for path in projects[name].rglob("*.py")))
    assert [f"{finding.place} {finding.message}" for finding in report.findings] == []
    assert report.workflows


@pytest.mark.parametrize("name", TEMPLATES)
def test_it_imports_what_it_declares(name: str, projects: dict[str, Path]) -> None:
    settings = (projects[name] / "pyproject.toml").read_text("utf-8")
    declared = set(re.findall(r'"([\w-]+)"', re.search(r"^dependencies = (\[.*\])$", settings, re.M)[1]))  # type: ignore[index]
    own = {path.stem for path in projects[name].rglob("*.py")}
    used = set(imports_of(projects[name])) - own - set(sys.stdlib_module_names)
    called = set(re.findall(r"python -m (\w+)", (projects[name] / "README.md").read_text("utf-8")))
    assert used - {"pytest"} == {"wf"} | (declared - {"wfstudio"} - called)
    assert not used & {"pydantic_ai", "httpx", "requests"}


def test_a_long_name_and_long_answers_make_no_line_that_a_formatter_would_break(tmp_path: Path) -> None:
    for name in TEMPLATES:
        template = find_template(name)
        answers = {question.name: question.at_most for question in template.questions}
        make(template, tmp_path / f"a-rather-long-name-of-some-project.{name}", **answers)
    check_style(tmp_path)


@pytest.mark.parametrize("template", [t for t in list_templates() if t.questions], ids=lambda template: template.name)
def test_its_tests_pass_with_other_answers_too(template: Template, tmp_path: Path) -> None:
    answers = {question.name: question.at_least for question in template.questions}
    folder = make(template, tmp_path / "mine", **answers)
    text = "".join(path.read_text("utf-8") for path in folder.glob("*.py"))
    assert all(re.search(rf"\b{answer}\b", text) for answer in answers.values())
    run(folder, *PYTEST, "-x")


@pytest.mark.parametrize("name", TEMPLATES)
def test_its_readme_names_files_and_commands_that_there_are(name: str, projects: dict[str, Path]) -> None:
    text = (projects[name] / "README.md").read_text("utf-8")
    assert "{{" not in text
    for file in re.findall(r"`([\w/-]+\.(?:py|txt))`", text):
        assert (projects[name] / file).exists() or file == "unsubscribed.txt", file
    workflows = set(re.findall(r"async def (\w+)", (projects[name] / f"my_{name}.py").read_text("utf-8")))
    started = re.findall(r"\bwf (?:start|run \S+:)\s*(\w+)", text)
    assert set(started) <= workflows


@pytest.mark.parametrize("name", TEMPLATES)
def test_git_keeps_its_runs_and_their_key_out(name: str, projects: dict[str, Path]) -> None:
    lines = (projects[name] / ".gitignore").read_text("utf-8").splitlines()
    assert {".wf/", "__pycache__/", *find_template(name).ignored} <= set(lines)


# -- what each is there for: its main job, offline --------------------------------------------------


def test_hello_greets(copy: Callable[[str], Path]) -> None:
    folder = copy("hello")
    assert run(folder, "-m", "wfstudio", "run", "my_hello.py:greet", '"Bob"') == '"Hello, Bob!"\n'
    assert run(folder, "my_hello.py") == "Hello, Ada!\nGoodbye, Ada.\nHello, Ada!\n"


def test_pipeline_counts_the_words_of_its_inbox(copy: Callable[[str], Path]) -> None:
    folder = copy("pipeline")
    told = json.loads(run(folder, "-m", "wfstudio", "run", "my_pipeline.py:digest"))
    assert told == {"clouds.txt": 35, "looms.txt": 43, "tides.txt": 28, "windmills.txt": 39}
    assert list(json.loads((folder / "report.json").read_text("utf-8"))) == list(told)


def test_drip_sends_its_letters_when_days_are_short(copy: Callable[[str], Path]) -> None:
    folder = copy("drip")
    flow = "my_drip.py:campaign"
    assert run(folder, "-m", "wfstudio", "run", flow, '"bob@example.com"', "days=0.000001") == "3\n"
    assert len(list((folder / "outbox" / "bob@example.com").iterdir())) == 3


def test_saga_books_all_or_nothing(copy: Callable[[str], Path]) -> None:
    folder = copy("saga")
    assert run(folder, "my_saga.py", "Atlantis").endswith("no trip: there are no roads in Atlantis\n")
    assert list((folder / "bookings").iterdir()) == []
    run(folder, "my_saga.py", "Lisbon")
    assert len(list((folder / "bookings").iterdir())) == 3


@pytest.mark.parametrize(("answer", "left"), [("y", 2), ("no", 3)])
def test_agent_asks_in_the_terminal_before_it_deletes(copy: Callable[[str], Path], answer: str, left: int) -> None:
    folder = copy("agent")
    said = run(folder, "my_agent_chat.py", "Tidy", "up", given=f"{answer}\n")
    assert "todo-2019.txt is old. I would like to delete it.\nallow delete_note {'name': 'todo-2019.txt'}?" in said
    assert len(list((folder / "notes").iterdir())) == left


class Started:
    """A process of a project, with what it has said so far."""

    def __init__(self, folder: Path, *arguments: str, **more: str) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-W", "error", *arguments],
            cwd=folder, env=environ(PYTHONUNBUFFERED="1", **more), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.said = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            self.said += line

    def wait_for(self, pattern: str) -> str:
        deadline = time.monotonic() + SECONDS
        while (found := re.search(pattern, self.said)) is None:
            assert time.monotonic() < deadline and self.popen.poll() is None, self.said
            time.sleep(0.01)
        return found[1]

    def close(self) -> None:
        self.popen.terminate()
        try:
            self.popen.wait(10)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        self._reader.join(10)
        assert self.popen.stdout is not None
        self.popen.stdout.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Started]]:
    found: list[Started] = []

    def begin(*arguments: Any, **more: str) -> Started:
        found.append(Started(*arguments, **more))
        return found[-1]

    yield begin
    for process in found:
        process.close()


def call(url: str, body: bytes | None = None) -> str:
    with urllib.request.urlopen(url, body, timeout=SECONDS) as answer:
        return str(answer.read().decode())


def wait_until_answers(url: str, process: Started) -> str:
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return call(url)
        except OSError as error:
            assert time.monotonic() < deadline and process.popen.poll() is None, f"{error}\n{process.said}"
            time.sleep(0.02)


@pytest.mark.acceptance
def test_approval_is_given_in_its_web_form(copy: Callable[[str], Path], start: Callable[..., Started]) -> None:
    folder, port = copy("approval"), str(find_port())
    flow = start(folder, "-m", "wfstudio", "run", "my_approval.py:publish", '"On looms"')
    token = flow.wait_for(r"/review/(\S+)")
    form = start(folder, "-m", "uvicorn", "my_approval_form:app", "--port", port)
    page = wait_until_answers(f"http://127.0.0.1:{port}/review/{token}", form)
    assert "<h1>On looms</h1>" in page
    assert "The post goes online." in call(f"http://127.0.0.1:{port}/review/{token}", b"answer=approve&comment=")
    flow.popen.wait(SECONDS)
    assert (folder / "published" / "on-looms.md").is_file()


@pytest.mark.acceptance
def test_an_order_of_the_webhook_app_waits_over_a_restart_and_is_paid(
    copy: Callable[[str], Path], start: Callable[..., Started]
) -> None:
    folder, port = copy("webhook"), str(find_port())
    app = start(folder, "my_webhook_app.py", PORT=port)
    app.wait_for(r"(Uvicorn running on)")
    orders = f"http://127.0.0.1:{port}/orders"
    assert json.loads(call(orders, b'{"order": "o1", "cents": 500}')) == {"order": "o1", "run": "order-o1"}
    url = app.wait_for(r"call back at (\S+)")
    assert url.startswith(f"http://127.0.0.1:{port}/hooks/")
    app.close()

    again = start(folder, "my_webhook_app.py", PORT=port)
    again.wait_for(r"(Uvicorn running on)")
    assert json.loads(call(f"{orders}/o1")) == {"status": "running", "result": None}
    assert run(folder, "my_webhook_provider.py", url, "400") == "422: 500 cents are to be paid\n"
    assert run(folder, "my_webhook_provider.py", url, "500") == "thank you\n"
    deadline = time.monotonic() + SECONDS
    while (told := json.loads(call(f"{orders}/o1")))["status"] == "running":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert told == {"status": "completed", "result": "shipped, paid by pay-1"}
    assert [path.read_text("utf-8") for path in (folder / "shipped").iterdir()] == ["o1\n"]


# -- the first five minutes -------------------------------------------------------------------------


@pytest.mark.acceptance
def test_a_newcomers_first_project_is_made_served_approved_edited_and_judged(
    tmp_path: Path, start: Callable[..., Started]
) -> None:
    """What `wf new` proposes, by what it prints; the browser's part by the API that the browser asks."""
    made = json.loads(run(tmp_path, "-m", "wfstudio", "new", "--json"))
    folder = Path(made["folder"])
    dev = start(folder, "-m", "wfstudio", "dev", "--json", "--no-open", "--port", "0")
    dev.wait_for(r'"kind": "(reload)", "outcome": "loaded"')
    served = json.loads((folder / ".wf" / "studio.json").read_text("utf-8"))

    def ask(path: str, body: object = None) -> Any:
        headers = {"Authorization": f"Bearer {served['token']}", "Content-Type": "application/json", "X-WF": "1"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(served["url"] + path, data, headers)
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return json.loads(answer.read())

    def wait(path: str, fits: Callable[[Any], bool]) -> Any:
        deadline = time.monotonic() + SECONDS
        while not fits(told := ask(path)):
            assert time.monotonic() < deadline, told
            time.sleep(0.02)
        return told

    start_command = next(one["command"] for one in made["next"] if " start " in one["command"])
    arguments = shlex.split(start_command.partition(" start ")[2])
    first = run(folder, "-m", "wfstudio", "start", *arguments).strip()
    [hook] = wait("/api/hooks", lambda told: told["items"])["items"]
    assert hook["run_id"] == first
    ask(f"/api/hooks/{hook['token']}/resume", {"payload": {"approved": True}})
    wait(f"/api/runs/{first}", lambda told: told["status"] == "completed")
    assert (folder / "published" / "my-first-post.md").is_file()

    run(folder, "-m", "wfstudio", "start", *arguments)
    wait("/api/hooks", lambda told: told["items"])
    code = folder / "my_approval.py"
    text = code.read_text("utf-8")
    save(code, text.replace("everything that", "all that"))
    dev.wait_for(r'"outcome": "loaded", "files": \["my_approval.py"\].*"(clean": 1, "diverging": \[\])')
    save(code, text.replace("    post = await", "    await wf.sleep(1)\n    post = await"))
    dev.wait_for(r'"outcome": "loaded", "files": \["my_approval.py"\].*"(clean": 0, "diverging": \[\{)')
