"""Whatever is in a file, a check ends with findings and never with an exception; and it never runs any of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wf
from tests.wfstudio.core.check.stage import HEAD, ROOT, check, codes_of
from wfstudio.core.check.checking import check_files, check_sources

ODD = {
    "empty": "",
    "a NUL": "import wf\0",
    "no text": b"# coding: utf-8\nx = '\xff'",
    "no such encoding": b"# coding: klingon\nx = 1",
    "another encoding": "# coding: latin-1\nimport time, wf\n@wf.workflow\nasync def é():\n    time.time()".encode(
        "latin-1"
    ),
    "a mark": b"\xef\xbb\xbfimport time, wf\n@wf.workflow\nasync def f():\n    time.time()",
    "tabs and returns": "import time, wf\r\n@wf.workflow\r\nasync def f():\r\n\ttime.time()\r\n",
    "a form feed": "import time, wf\n\f\n@wf.workflow\nasync def f():\n    time.time()\n",
    "indentation": "def f():\n  x\n    y",
    "Python 2": "print 'a'",
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_what_is_no_python_is_a_finding(text: str | bytes) -> None:
    content = text if isinstance(text, bytes) else text.encode()
    codes = [finding.code for finding in check_sources(ROOT, {"flow.py": content}).findings]
    try:
        compile(content, "flow.py", "exec")
    except (SyntaxError, ValueError):
        assert codes == ["WF001"]
    else:
        assert codes == (["WF101"] if content else [])


def test_a_broken_module_is_a_finding_only_where_it_is_reached() -> None:
    code = "import wf\nimport broken\n\n@wf.workflow\nasync def flow():\n    return broken.f()\n"
    report = check_sources(ROOT, {"flow.py": code.encode(), "broken.py": b"def f(:\n"})
    [finding] = report.findings
    assert (finding.file, finding.line, finding.column, finding.code) == ("broken.py", 1, 7, "WF001")


@pytest.mark.parametrize(
    "body",
    [
        "x = x\nx.y.z()",
        "x = [x for x in x]",
        "def f(): return f()\nf()()",
        "class A(A): pass\nA().x",
        "lambda: (yield)",
        "x: x = x",
        "x, *y, (z, [w]) = given\n*a, = b",
        "with a as (b, c), d as e.f: pass",
        "async with a: pass\nasync for x in a: pass",
        "match given:\n    case {'a': b, **rest}: rest\n    case [1, *c]: c\n    case wf.X(y=1) | None: pass\n"
        "    case str() as d: d",
        "try:\n    pass\nexcept* ValueError as e: pass",
        "global zzz\ndel zzz",
        "del x, y[0], z.w",
        "return (a := b) if (c := d) else [e for e in f if (g := e)]",
        "f'{x!r:>{y}} {f\"{z}\"}'",
        "print(*a, **b, c=1)",
        "x = await (await (await y))",
        "class X:\n    y = 1\n    def z(self): return super().z()\nX().z()",
        "import a.b.c as d, e.f\nfrom . import g\nfrom .... import h\nfrom ..i import *\nd.e.f.g()",
        "x[1:2, ..., None]()()[0]",
        "assert x, y\nraise a from b",
        "nonlocal_ = 1\nwhile True:\n    break\nelse:\n    pass",
        "x = " + " + ".join(["'a'"] * 3000),
        "x = " + "(" * 80 + "1" + ")" * 80,
        "x = given" + ".a" * 900,
        "x = given" + ".a()" * 300,
        "x = " + "f(" * 80 + ")" * 80,
        "x = " + "[" * 80 + "]" * 80,
        "\n".join("    " * n + f"for x{n} in given:" for n in range(18)) + "\n" + "    " * 18 + "time.time()",
        "\n".join("    " * n + f"if x{n}:" for n in range(60)) + "\n" + "    " * 60 + "pass",
    ],
    ids=range(30),
)
def test_odd_code_is_walked_to_its_end(body: str) -> None:
    codes_of(body)


def test_a_deep_tree_is_no_reason_to_overlook_what_comes_behind_it() -> None:
    assert codes_of("x = " + " + ".join(["'a'"] * 3000) + "\ntime.time()") == ["WF101"]


def test_modules_that_import_each_other_come_to_an_end() -> None:
    report = check(
        "import wf\nfrom b import *\nfrom b import x\n\n@wf.workflow\nasync def flow():\n    return x(y, z)\n",
        {"b.py": "from c import *\nfrom c import x, y\n", "c.py": "from b import *\nfrom b import x, y\nz = z\n"},
    )
    assert report.findings == []


@given(
    st.lists(st.sampled_from(HEAD.split() + list("()[]{}:,.=@\n #'\"*") + ["    ", "wf", "async", "def"]), max_size=60)
)
def test_any_text_comes_to_a_report(words: list[str]) -> None:
    check_sources(ROOT, {"flow.py": " ".join(words).encode()})


@given(st.binary(max_size=200))
def test_any_bytes_come_to_a_report(content: bytes) -> None:
    check_sources(ROOT, {"flow.py": content})


def test_the_runtimes_own_code_is_walked_as_if_it_were_bodies() -> None:
    """Some thousand functions of all sorts, each decorated as a workflow."""
    package = Path(wf.__file__).parent
    contents = {}
    for path in sorted(package.rglob("*.py")):
        text = path.read_text("utf-8")
        lines = []
        for line in text.splitlines():
            bare = line.lstrip()
            if bare.startswith(("def ", "async def ")):
                lines.append(line[: len(line) - len(bare)] + "@wf_.workflow")
            lines.append(line)
        contents[f"own/{path.relative_to(package).as_posix()}"] = "\n".join([*lines, "import wf as wf_"]).encode()
    report = check_sources(ROOT, contents)
    assert len(report.workflows) > 800
    assert {finding.code for finding in report.findings} >= {"WF101", "WF201", "WF301"}


def test_nothing_is_imported_or_run(tmp_path: Path) -> None:
    flag = tmp_path / "ran"
    (tmp_path / "flow.py").write_text(
        f"import wf\nopen({str(flag)!r}, 'w')\nimport other\n@wf.workflow\nasync def f(): other.x()\n"
    )
    (tmp_path / "other.py").write_text(f"open({str(flag)!r}, 'w')\nx = 1\n")
    program = (
        "import sys\n"
        "from wfstudio.core.check.checking import check_files\n"
        f"check_files({str(tmp_path)!r}, [{str(tmp_path / 'flow.py')!r}])\n"
        "print('flow' in sys.modules, 'other' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "False False\n", "")
    assert not flag.exists()


def test_files_that_cannot_be_had_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "big.py").write_text("#" * 1_000_001)
    os.symlink(tmp_path / "nowhere", tmp_path / "link.py")
    names = ["folder.py", "big.py", "link.py", "missing.py"]
    report = check_files(str(tmp_path), [str(tmp_path / name) for name in names])
    assert (report.findings, report.files) == ([], 0)
