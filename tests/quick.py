"""A quick `wf` for pages that call it often: each call is a fork of a process that has imported the command line.

    with serving(folder) as program:      # a file that can be put on PATH as `wf`
        ...

1. A call gets the arguments, folder, environment and the three standard streams of who called it, and ends with its
   exit code. What it imports and changes dies with it.
2. Commands that stay (`wf dev` …) are the real program: who called them may kill them.
"""

from __future__ import annotations

import gc
import io
import json
import os
import signal
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any, Final

STAYING: Final = ("dev", "worker", "serve", "mcp", "tui")
LONGEST_CALL: Final = 60.0
"""Seconds after which a call counts as hung."""

_LONGEST: Final = 1 << 20

CLIENT: Final = """#!{python} -IS
import json, os, socket, sys
if sys.argv[1:2] and sys.argv[1] in {staying}:
    os.execv({real!r}, [{real!r}, *sys.argv[1:]])
link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
link.connect({address!r})
call = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(link, [call], [0, 1, 2])
told = link.recv(16)
sys.exit(int(told or 1))
"""


@contextmanager
def serving(folder: Path) -> Iterator[Path]:
    """Give the path of the quick program; it works for the time of the block."""
    address = folder / "quick.sock"
    real = Path(sysconfig.get_path("scripts")) / "wf"
    ready, told = os.pipe()
    server = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "tests.quick", str(address), str(told)],
        pass_fds=[told], cwd=Path(__file__).resolve().parents[1], stdin=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(told)
    try:
        assert os.read(ready, 1) == b"!", "the quick wf did not start"
        program = folder / "wf"
        text = CLIENT.format(python=sys.executable, staying=STAYING, real=str(real), address=str(address))
        program.write_text(text, "utf-8")
        program.chmod(0o755)
        yield program
    finally:
        os.close(ready)
        server.terminate()
        server.wait()


def ask(program: Path, folder: Path, *words: str) -> tuple[int, Any]:
    """Call a command for its JSON; give its exit code, too."""
    done = subprocess.run([program, *words, "--json"], cwd=folder, capture_output=True, text=True, timeout=LONGEST_CALL)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def serve(address: str, told: int) -> None:
    """Fork for every call, until terminated."""
    _warm()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(address)
    listener.listen()
    os.write(told, b"!")
    while True:
        link, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            os.close(told)
            _answer(link)
        link.close()


def _warm() -> None:
    """Import what commands load when they are called, and what typer and workers load later still."""
    import cryptography.hazmat.primitives.ciphers.aead  # noqa: F401
    import jsonschema  # noqa: F401

    import wf.deployment
    import wf.worker.worker
    import wf.worlds.shared  # noqa: F401
    from wfstudio.cli.app import COMMANDS, load_command, main

    for entries in COMMANDS.values():
        for name in entries:
            if name not in STAYING:
                load_command(name)
    with redirect_stdout(io.StringIO()), suppress(SystemExit):
        main(["--version"])
    gc.freeze()  # or a collection in a child would copy all of it


def _answer(link: socket.socket) -> None:
    """Carry out one call in a process of its own, so that its end can be told whatever it was."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    data, streams, _, _ = socket.recv_fds(link, _LONGEST, 3)
    child = os.fork()
    if child == 0:
        link.close()
        _call(json.loads(data), streams)
    _, status = os.waitpid(child, 0)
    link.send(str(os.waitstatus_to_exitcode(status) & 255).encode())
    os._exit(0)


def _call(call: tuple[list[str], str, dict[str, str]], streams: list[int]) -> None:
    words, folder, environ = call
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        if stream > 2:
            os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = ["wf", *words]
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
    from wfstudio.cli.app import main

    code = 1
    try:
        code = main()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
