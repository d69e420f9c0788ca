"""Every code block of every document is carried out, or held against what reads it. `tests/pages.py` says how.

1. Pages of `RUN` are carried out as they stand, block after block, in a scratch project.
2. On all other pages each block is checked: Python by `test_docs.py` (it compiles, and what only defines things is
   run), command lines are read as the program reads them, JSON, TOML and the rest are parsed. `OWN` names the tests
   that carry the rest of such a page out.
3. There is no third kind of page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.pages import (
    CHECKS,
    ROOT,
    RUN,
    Block,
    Page,
    PageError,
    carry_out,
    check_commands,
    compile_block,
    opened_page,
    read_blocks,
)

AT_ONCE = 2

OWN = {
    "docs/bundle.md": "tests/wfstudio/history/test_bundle_doc.py",
    "docs/changing-code.md": "tests/test_changing_code_doc.py",
    "docs/cli.md": "tests/wfstudio/cli/test_cli_doc.py",
    "docs/event-log.md": "tests/test_event_log_doc.py",
    "docs/http-api.md": "tests/wfstudio/server/test_openapi.py",
    "docs/sql.md": "tests/wfstudio/history/test_schema.py",
    "docs/telemetry.md": "tests/test_pages.py",
    "docs/testing.md": "tests/test_testing_doc.py",
}
"""Pages with a test of their own, which names them."""

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "templates" / "skill").glob("*.md")])
NAMES = [str(path.relative_to(ROOT)) for path in PAGES]
READ = [name for name in NAMES if name not in RUN]


@pytest.fixture(scope="module")
def carried_out(
    request: pytest.FixtureRequest, quick_wf: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[None]]]:
    """Carry out the pages that are asked for, two at a time: they mostly wait for processes of their own."""
    chosen = [item.callspec.params["name"] for item in request.session.items if isinstance(item, pytest.Function)
              and item.originalname == "test_a_page_holds_from_top_to_bottom"]  # fmt: skip
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            name: pool.submit(carry_out, ROOT / name, tmp_path_factory.mktemp(Path(name).stem), quick_wf.parent)
            for name in chosen
        }


@pytest.mark.parametrize("name", RUN)
def test_a_page_holds_from_top_to_bottom(name: str, carried_out: dict[str, Future[None]]) -> None:
    carried_out[name].result()


@pytest.mark.parametrize("name", READ)
def test_every_block_of_a_page_can_be_read(name: str) -> None:
    for block in read_blocks(ROOT / name):
        reader = READERS.get(block.language)
        if reader is not None:
            reader(block)
        elif block.language not in WORDS:
            raise PageError(block, f"nobody knows what ```{' '.join(block.words)} is")


READERS: dict[str, Callable[[Block], None]] = {"python": compile_block, "sh": check_commands, **CHECKS}
WORDS = ("", "text", "diff")


def test_the_program_that_sets_up_spans_runs(page: Page) -> None:
    page.carry_out(block("python", "# flows.py\nimport wf\n\n\n@wf.workflow\nasync def nothing() -> None: ...\n"))
    [program] = [block for block in read_blocks(ROOT / "docs" / "telemetry.md") if block.language == "python"]
    page.carry_out(program)


def test_pages_with_a_test_of_their_own_are_named_by_it() -> None:
    for page, test in OWN.items():
        assert Path(page).name in (ROOT / test).read_text("utf-8"), f"{test} does not speak of {page}"


def test_every_page_that_is_run_is_there() -> None:
    assert [name for name in RUN if name not in NAMES] == []


# -- the harness itself ---------------------------------------------------------------------------


@pytest.fixture
def page(tmp_path: Path, quick_wf: Path) -> Iterator[Page]:
    with opened_page(tmp_path, quick_wf.parent) as found:
        yield found


def block(words: str, text: str) -> Block:
    return Block("page.md", 1, tuple(words.split()), text)


@pytest.mark.parametrize(
    ("words", "text", "why"),
    [
        ("sh", "true\nfalse\ntrue\n", "page.md:1: `false` failed (0)"),
        ("sh fails", "true\n", "page.md:1: did not fail"),
        ("sh", "wf inspekt\n", "page.md:1: there is no command `wf inspekt`"),
        ("sh", "wf inspect --colour | head\n", "page.md:1: `wf inspect --colour` cannot be read: No such option"),
        ("sh", "if true\n", "page.md:1: is no shell script"),
        ("sh elsewhere", "wf gc --keeep 3\n", "cannot be read: No such option"),
        ("python", "1 +\n", None),
        ("python", "raise SystemExit(3)\n", "page.md:1: `PYTHONPATH"),
        ("diff a.txt", "-one\n+two\n", None),
        ("text output", "hello, world\n", "page.md:1: nothing printed the line"),
        ("json", "{...}\n", "page.md:1: is no JSON"),
        ("toml", "a = \n", None),
        ("dockerfile", 'FROM python\nCMD ["wf", "serv"]\n', "page.md:1: there is no command `wf serv`"),
        ("ini", "[Service]\nExecStart=/opt/bin/wf worker --conc 3\n", "cannot be read: No such option"),
        ("brainfuck", "+", "page.md:1: nobody knows what ```brainfuck is"),
    ],
)
def test_a_block_that_does_not_hold_is_found(page: Page, words: str, text: str, why: str | None) -> None:
    with pytest.raises(Exception) as found:
        page.carry_out(block(words, text))
    if why is not None:
        assert isinstance(found.value, PageError)
        assert why in str(found.value)


def test_a_page_has_one_shell_and_one_project(page: Page) -> None:
    page.carry_out(block("sh", "mkdir shop && cd shop\nname=ada\n"))
    page.carry_out(block("python", "# a/b.py\nx = 1\n"))
    page.carry_out(block("diff a/b.py", "-x = 1\n+x = 2\n"))
    page.carry_out(block("sh", "echo hello, $name; cat a/b.py\n"))
    page.carry_out(block("text output", "hello, ada\n…\nx = …\n"))
    page.carry_out(block("python", "from a.b import x\nprint(x)\n"))
    page.carry_out(block("text output", "2\n"))
    page.carry_out(block("sh fails", "wf inspect\n"))
    page.carry_out(block("text output", "there is no world at …\n"))
