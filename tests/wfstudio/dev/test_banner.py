"""What `wf dev` says when it begins: where the world is, and what whoever opens it to others should know."""

from __future__ import annotations

from pathlib import Path

import pytest

from wf.settings import Settings
from wfstudio.core.options import DevOptions
from wfstudio.dev.main import _DevServer, _show_world
from wfstudio.server.access import Access
from wfstudio.server.serving import Server

OPEN = "other machines can reach this, in clear; whoever has the token can run code here"
NAMELESS = "it answers to none of its names there yet: name one, `--allow-host NAME`"


@pytest.mark.parametrize(
    ("host", "names", "wanted", "port", "warnings"),
    [
        ("127.0.0.1", [], 4600, 4600, []),
        ("127.0.0.1", [], 4600, 4601, ["port 4600 is taken"]),
        ("127.0.0.1", [], 0, 41234, []),  # any port was asked for
        ("0.0.0.0", [], 4600, 4600, [OPEN, NAMELESS]),
        ("0.0.0.0", ["flows.test"], 4600, 4600, [OPEN]),
        ("192.168.1.5", [], 4600, 4600, [OPEN]),  # it may be asked for by that address
    ],
)
def test_it_warns_of_what_was_not_meant(
    host: str, names: list[str], wanted: int, port: int, warnings: list[str]
) -> None:
    dev = _DevServer(DevOptions(host=host, allowed_hosts=names))
    assert list(dev._warn(Server(Access(), host, port), wanted)) == warnings


def test_the_world_is_named_as_the_project_names_it(tmp_path: Path) -> None:
    assert _show_world(Settings(root=tmp_path)) == "sqlite:///.wf/world.db"
    assert _show_world(Settings(root=tmp_path, world="sqlite:////srv/world.db")) == "sqlite:////srv/world.db"
