"""Pages: the documents as programs. Their blocks are read here, and carried out as a reader would.

What a fence's first line says is what is done with its block (docs/README.md tells readers the same):

    ```sh              lines for one shell, in the page's scratch project; each must succeed
    ```sh fails        the same, but the last command must fail
    ```sh again        commands that only look: they are repeated until they print what the block of output behind says
    ```sh terminal     a command for a terminal of its own, where it goes on; what it prints counts as output, too
    ```sh elsewhere    lines for another machine (ssh, systemctl, docker): read, not run
    ```python          a file where its first line is `# NAME.py`, else a script; run in the scratch project
    ```python fragment a part of something: compiled, and its names of `wf` looked up
    ```diff NAME       an edit of a file that is there
    ```text output     lines that the commands before it have printed; `…` stands for anything
    ```json ```toml ```ini ```dockerfile    see `CHECKS`
    ```text or none    words

One shell has the whole page, so `wf dev &`, `cd` and variables do what they do for a reader.
"""

from __future__ import annotations

import ast
import configparser
import contextlib
import json
import os
import queue
import re
import shlex
import signal
import subprocess
import sys
import sysconfig
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from tests.programs import ROOT, WITHOUT_PLUGINS
from wfstudio.cli.app import load_command

RUN: Final = [
    "README.md",
    "docs/coming-from/celery.md",
    "docs/coming-from/dbos.md",
    "docs/coming-from/temporal.md",
    "docs/coming-from/vercel-workflow.md",
    "docs/concepts.md",
    "docs/deploying.md",
    "docs/tutorial.md",
    "templates/skill/SKILL.md",
]
"""Pages that are carried out from top to bottom; of all others each block is checked by itself."""

BLOCK_SECONDS: Final = 120.0
END_SECONDS: Final = 15.0
OUTPUT_SECONDS: Final = 30.0
"""How long a terminal may take to print what its page says."""

PAUSE_SECONDS: Final = 0.05
_READY = re.compile(r"\bloaded in\b|\bready: |\"event\":\"ready\"")

_FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"# ([\w./-]+\.\w+)\n")


class Block(NamedTuple):
    """A code block. `words` is what its fence says, `line` where its text begins."""

    page: str
    line: int
    words: tuple[str, ...]
    text: str

    @property
    def language(self) -> str:
        return self.words[0] if self.words else ""

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def read_blocks(path: Path) -> list[Block]:
    """List a page's blocks, in order."""
    text = path.read_text("utf-8")
    page = str(path.relative_to(ROOT))
    return [Block(page, text.count("\n", 0, m.start(2)) + 1, tuple(m[1].split()), m[2]) for m in _FENCE.finditer(text)]


class PageError(AssertionError):
    """A page does not say what is so."""

    def __init__(self, block: Block, text: str) -> None:
        super().__init__(f"{block.place}: {text}")


def save(path: Path, text: str) -> None:
    """Save a file whole: where a `wf dev` watches, a file that is written in two goes is loaded empty first."""
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(text, "utf-8")
    os.replace(draft, path)


# -- a shell --------------------------------------------------------------------------------------


class Shell:
    """A bash that has one page: it is given block after block, and what it printed is kept."""

    def __init__(self, folder: Path, home: Path, *programs: Path) -> None:
        # The scripts of this interpreter come first: `wf`, `python`, `pytest` are those of the tests.
        scripts = os.pathsep.join([*map(str, programs), sysconfig.get_path("scripts")])
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("WF_", "PYTEST_", "COV_"))}
        environ |= {
            "PATH": os.pathsep.join([scripts, os.environ["PATH"]]),
            "HOME": str(home),
            "NO_COLOR": "1",
            "PYTEST_ADDOPTS": " ".join(WITHOUT_PLUGINS),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LC_ALL": "C.UTF-8",
        }
        self.folder = folder
        self.home = home
        self._shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile"], cwd=folder, env=environ, start_new_session=True, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=1,
        )  # fmt: skip
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._tell("set -m")  # jobs have groups of their own, and `%1` names one
        self._count = 0

    def _tell(self, line: str) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.write(line + "\n")
        self._shell.stdin.flush()

    def _read(self) -> None:
        assert self._shell.stdout is not None
        for line in self._shell.stdout:
            self._lines.put(line)
        self._lines.put("")

    def run(self, block: Block, *, seconds: float = BLOCK_SECONDS) -> str:
        """Carry out a block's lines, and give what they printed. Raises `PageError` where one failed."""
        self._count += 1
        script = self.home / f"block-{self._count}.sh"
        script.write_text(block.text, "utf-8")
        end = f"--end of block {self._count}--"
        # A command that fails says so, and the block goes on: what comes after it tells more.
        self._tell("failed=; set -E; trap 'failed=${failed:-$BASH_COMMAND}' ERR")
        self._tell(f". {shlex.quote(str(script))} </dev/null; code=$?; trap - ERR")
        self._tell(f'printf "\\n%s %s %s\\n" "{end}" "$code" "$failed"')
        printed = ""
        while True:
            try:
                line = self._lines.get(timeout=seconds)
            except queue.Empty:
                raise PageError(block, f"took more than {seconds:g} s; it printed\n{printed}") from None
            if line == "":
                raise PageError(block, f"ended its shell; it printed\n{printed}")
            if line.startswith(end):
                _, _, told = line.partition(end + " ")
                code, _, failed = told.strip().partition(" ")
                break
            printed += line
        wants_failure = "fails" in block.words
        if wants_failure and code == "0":
            raise PageError(block, f"did not fail; it printed\n{printed}")
        if not wants_failure and (failed or code != "0"):
            raise PageError(block, f"`{failed}` failed ({code}); it printed\n{printed}")
        return printed

    def close(self) -> None:
        """End the shell, and what it left running: kindly first."""
        with contextlib.suppress(BrokenPipeError):  # a block may have ended it
            self._tell("kill $(jobs -p) 2>/dev/null; wait; exit")
        try:
            self._shell.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._shell.pid, signal.SIGKILL)
            self._shell.wait()
        self._reader.join(END_SECONDS)
        for stream in (self._shell.stdin, self._shell.stdout):
            if stream is not None:
                stream.close()


# -- a page ---------------------------------------------------------------------------------------


class Page:
    """A page that is being carried out, in a scratch project."""

    def __init__(self, folder: Path, shell: Shell) -> None:
        self.folder = folder
        self.shell = shell
        self.printed = ""
        """What was printed since the last block of output."""
        self._asked: tuple[Block, str] | None = None  # what may be asked again, and what was printed before it
        self._terminals: list[tuple[Path, int]] = []  # what terminals print, and how much of it was read

    def carry_out(self, block: Block) -> None:
        """Do what a block says, or hold it against what was done before."""
        match block.words:
            case ("sh", "elsewhere", *_):
                check_commands(block)
            case ("sh", "terminal", *_):
                check_commands(block)
                self._leave_running(block)
            case ("sh", *_):
                check_commands(block)
                self._asked = (block, self.printed) if "again" in block.words else None
                self.printed += self.shell.run(block)
            case ("python", "fragment", *_):
                compile_block(block)
            case ("python", *_):
                compile_block(block)
                self._run_python(block)
            case ("diff", name):
                self._edit(block, name)
            case ("text", "output", *_):
                self._compare(block)
            case (language, *_) if language in CHECKS:
                CHECKS[language](block)
            case () | ("text", *_):
                pass
            case _:
                raise PageError(block, f"nobody knows what ```{' '.join(block.words)} is")

    def _here(self) -> Path:
        """Give the folder that the page is in now."""
        return Path(self.shell.run(Block("pwd", 0, ("sh",), "pwd\n")).strip().splitlines()[-1])

    def _leave_running(self, block: Block) -> None:
        """Start a command in the background, and wait until it is ready for others."""
        log = self.shell.home / f"terminal-{block.line}.log"
        self.shell.run(block._replace(words=("sh",), text=f"{block.text.strip()} > {shlex.quote(str(log))} 2>&1 &\n"))
        self._terminals.append((log, 0))
        deadline = time.monotonic() + BLOCK_SECONDS
        while _READY.search(log.read_text("utf-8") if log.exists() else "") is None:
            if time.monotonic() > deadline:
                raise PageError(block, f"was not ready in {BLOCK_SECONDS:g} s; it printed\n{log.read_text('utf-8')}")
            time.sleep(PAUSE_SECONDS)

    def _hear_terminals(self) -> str:
        """Give what terminals have printed since; it counts as printed."""
        news = ""
        for place, (log, heard) in enumerate(self._terminals):
            text = log.read_text("utf-8", "replace")
            news += text[heard:]
            self._terminals[place] = (log, len(text))
        self.printed += news
        return news

    def _run_python(self, block: Block) -> None:
        named = _NAMED.match(block.text)
        if named is not None:
            path = self._here() / named[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            save(path, block.text)
            return
        script = self._here() / f"script_{block.line}.py"
        script.write_text(block.text, "utf-8")
        self.printed += self.shell.run(block._replace(text=f"PYTHONPATH=.:$PYTHONPATH python {script.name}\n"))
        script.unlink()

    def _edit(self, block: Block, name: str) -> None:
        """Apply a diff without line numbers: what is there is found by its lines, which must be there once."""
        path = self._here() / name
        text = path.read_text("utf-8")
        for hunk in re.split(r"^@@.*\n", block.text, flags=re.MULTILINE):
            lines = hunk.splitlines(keepends=True)
            before = "".join(line[1:] if line[:1] in "- " else line for line in lines if line[:1] != "+")
            after = "".join(line[1:] if line[:1] in "+ " else line for line in lines if line[:1] != "-")
            if text.count(before) != 1:
                raise PageError(block, f"{name} has these lines {text.count(before)} times:\n{before}\nIt is\n{text}")
            text = text.replace(before, after)
        save(path, text)

    def _compare(self, block: Block) -> None:
        """Look for lines of output, in any order; where one holds `…`, for its parts."""
        wanted = [line for line in block.text.splitlines() if line.strip() not in ("", "…")]
        (asked, before), self._asked = self._asked or (None, ""), None
        deadline = time.monotonic() + (OUTPUT_SECONDS if self._terminals or asked else 0)
        while True:
            before += self._hear_terminals()
            missing = [line for line in wanted if not _is_printed(line, self.printed)]
            if not missing:
                self.printed = ""
                return
            if time.monotonic() > deadline:
                raise PageError(block, f"nothing printed the line\n  {missing[0]}\nIt was\n{self.printed}")
            time.sleep(PAUSE_SECONDS)
            if asked is not None:
                self.printed = before + self.shell.run(asked)


def _is_printed(wanted: str, printed: str) -> bool:
    pattern = r"\s*" + ".*".join(_loosely(part) for part in re.split(r"\s*…\s*", wanted.strip())) + r"\s*"
    return any(re.fullmatch(pattern, line) for line in printed.splitlines())


def _loosely(text: str) -> str:
    """Match a text, whatever the width of its columns is."""
    return r"\s+".join(re.escape(word) for word in re.split(r"\s+", text))


@contextmanager
def opened_page(folder: Path, *programs: Path) -> Iterator[Page]:
    """Give a page in an empty folder of its own. `programs` are folders that come first on its PATH."""
    scratch, home = folder / "scratch", folder / "home"
    scratch.mkdir(parents=True)
    home.mkdir()
    shell = Shell(scratch, home, *programs)
    try:
        yield Page(scratch, shell)
    finally:
        shell.close()


def carry_out(path: Path, folder: Path, *programs: Path) -> None:
    """Carry out a whole page. Raises `PageError`."""
    with opened_page(folder, *programs) as page:
        for block in read_blocks(path):
            page.carry_out(block)


# -- blocks that are not run ----------------------------------------------------------------------


def list_commands(block: Block) -> list[str]:
    """List the command lines of a shell block that call `wf`, without comments and what is around them."""
    joined = re.sub(r"\\\n\s*", " ", block.text)
    joined = re.sub(r"<<'?(\w+)'?\n.*?^\1$", "", joined, flags=re.MULTILINE | re.DOTALL)
    found = []
    for line in joined.splitlines():
        for match in re.finditer(r"(?:^|(?<=[|(;&!] )|(?<=\$\()|(?<=&& ))wf (?=\S)", line):
            found.append(line[match.start() :])
    return found


def check_commands(block: Block) -> None:
    """Read the command lines of a shell block as the program would, without doing anything."""
    done = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True)
    if done.returncode != 0:
        raise PageError(block, f"is no shell script: {done.stderr}")
    for line in list_commands(block):
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|;&<>()")
        lexer.whitespace_split = True
        lexer.commenters = ""
        words: list[str] = []
        try:
            for word in lexer:
                if word in ("|", "||", "&&", "&", ";", ">", ">>", "<", "2>&1", "&>", ")") or word == "#":
                    break
                words.append(word)
        except ValueError:  # a quote that ends behind the command's own end
            continue
        if words and words[-1] == "2":  # of `2>file`
            words.pop()
        read_command(block, words[1:])


def read_command(block: Block, words: list[str]) -> None:
    if words and words[0].startswith("-"):
        return
    try:
        load_command(words[0]).make_context(words[0], words[1:], resilient_parsing=False)
    except SystemExit as error:  # `--help`
        if error.code:
            raise PageError(block, f"`wf {shlex.join(words)}` cannot be read") from None
    except StopIteration:
        raise PageError(block, f"there is no command `wf {words[0]}`") from None
    except Exception as error:
        raise PageError(block, f"`wf {shlex.join(words)}` cannot be read: {error}") from error


def compile_block(block: Block) -> None:
    """Compile Python. Names of `wf` are looked up by `test_docs.py`."""
    text = "\n" * (block.line - 1) + block.text
    compile(text, block.page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def _check_ini(block: Block) -> None:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = lambda optionstr: optionstr  # type: ignore[method-assign]
    parser.read_string(block.text)
    for section in parser.sections():
        for key, value in parser.items(section):
            if key in ("ExecStart", "ExecStop"):
                _check_program(block, shlex.split(value))


def _check_dockerfile(block: Block) -> None:
    joined = re.sub(r"\\\n\s*", " ", block.text)
    for line in joined.splitlines():
        name, _, rest = line.partition(" ")
        if name in ("CMD", "ENTRYPOINT", "HEALTHCHECK"):
            _check_program(block, json.loads(rest[rest.index("[") :]))
        elif name and name not in ("FROM", "WORKDIR", "COPY", "RUN", "USER", "ENV", "VOLUME", "EXPOSE", "#"):
            raise PageError(block, f"{name} is no instruction that is known here")


def _check_program(block: Block, words: list[str]) -> None:
    """Read a command line that another program starts; `wf` may have a path."""
    if Path(words[0]).name == "wf":
        read_command(block, words[1:])


def _check_json(block: Block) -> None:
    try:
        json.loads(block.text)
    except ValueError as error:
        raise PageError(block, f"is no JSON: {error}") from None


def _check_toml(block: Block) -> None:
    tomllib.loads(block.text)


CHECKS: Final[dict[str, Callable[[Block], None]]] = {
    "json": _check_json,
    "toml": _check_toml,
    "ini": _check_ini,
    "dockerfile": _check_dockerfile,
}

if __name__ == "__main__":  # for who writes a page: python -m tests.pages docs/tutorial.md
    import tempfile

    from tests.quick import serving

    for name in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as bin, serving(Path(bin)) as wf:
            carry_out(Path(name).resolve(), Path(folder), wf.parent)
        print(f"{name}: every block holds")
