"""Workflows and steps, as the runtime itself registers them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec

from wfstudio.core.check.checking import check_files
from wfstudio.core.check.inference import Inference
from wfstudio.core.check.modules import Project
from wfstudio.core.check.roles import find_roles

FLOW = '''
import functools
from dataclasses import dataclass
import wf
import wf as w
from wf import workflow as flow, step
from wf.registry import Workflows as Registry
from shop.app import app, spaced

own = Registry()
durable = wf.step(max_retries=5)

@wf.workflow
async def plain(): ...

@w.workflow(name="called.otherwise", timeout="1h")
async def named(): ...

@flow
async def aliased(): ...

@app.workflow
async def of_an_app(): ...

@spaced.workflow(concurrency=2)
async def spaced_one(): ...

@own.step
def own_step(): ...

@step
async def a_step(): ...

@durable
def durable_step(): ...

@wf.step(name="a step")
def named_step(): ...

async def directed():
    """use workflow"""

def directed_step():
    "  use step  "

@dataclass
class Shop:
    @staticmethod
    @wf.workflow
    async def method(): ...

    @wf.step
    def bound(self): ...

    async def directed(self):
        "use workflow"

async def _bare(): ...
bare = wf.workflow(_bare)

def _bare_step(): ...
bare_step = wf.step(name="by hand")(_bare_step)

def make():
    @wf.workflow
    async def inner(): ...

make()

async def helper():
    """Use workflow in the docstring, but not as a directive: use workflow"""

def not_one():
    return wf.workflow

@functools.lru_cache
def cached(): ...
'''
APP = """
import wf

app = wf.Workflows()
spaced = wf.Workflows(namespace="space")
"""
PROGRAM = """
import json, sys
from wf.loading import load_target
from wf.registry import list_steps, list_workflows
load_target("flow.py")
found = [(d.kind, d.id, d.where[1]) for d in [*list_workflows(), *list_steps()] if not d.id.startswith("wf/")]
print(json.dumps(sorted(found)))
"""


def write(folder: Path) -> None:
    (folder / "pyproject.toml").write_text("")
    (folder / "shop").mkdir()
    (folder / "shop" / "__init__.py").write_text("")
    (folder / "shop" / "app.py").write_text(APP)
    (folder / "flow.py").write_text(FLOW)


def test_the_check_finds_what_the_runtime_registers_with_ids_and_lines(tmp_path: Path) -> None:
    write(tmp_path)
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    registered = msgspec.json.decode(done.stdout, type=list[tuple[str, str, int]])
    assert len(registered) == 17

    project = Project(str(tmp_path))
    module = project.open(str(tmp_path / "flow.py"))
    assert module is not None
    roles = find_roles(module, Inference(project))
    assert sorted((role.kind, role.id, role.function.first_line) for role in roles) == registered


def test_a_report_names_them_with_their_places(tmp_path: Path) -> None:
    write(tmp_path)
    report = check_files(str(tmp_path), [str(tmp_path / "flow.py")])
    assert [(w.id, w.file, w.line) for w in report.workflows][:2] == [
        ("flow:plain", "flow.py", 13),
        ("called.otherwise", "flow.py", 16),
    ]
    assert report.findings == []


def test_decorators_of_other_libraries_are_none_of_ours(tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(
        "import dbos, time\nfrom prefect import workflow\n\n@dbos.DBOS.workflow()\nasync def a():\n    time.time()\n\n"
        "@workflow\nasync def b():\n    time.time()\n"
    )
    report = check_files(str(tmp_path), [str(tmp_path / "flow.py")])
    assert (report.workflows, report.findings) == ([], [])


def test_a_registry_that_nothing_is_known_of_counts(tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(
        "import time\n\ndef register(app):\n    @app.workflow\n    async def a():\n        time.time()\n"
    )
    report = check_files(str(tmp_path), [str(tmp_path / "flow.py")])
    assert [finding.code for finding in report.findings] == ["WF101"]
