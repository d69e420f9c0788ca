"""Files that answers go into: whole or not at all, and nobody else's to read. `wf query -o` is tried there."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.wfstudio.studio import open_studio, run
from wf.settings import Settings
from wfstudio.core.errors import UsageError
from wfstudio.history.asking import Asker
from wfstudio.history.errors import QueryError
from wfstudio.history.exports import export, open_output


async def test_an_answer_is_written_in_the_format_that_is_asked_for(tmp_path: Path) -> None:
    async with open_studio("sqlite", tmp_path) as client:
        await run(client, "studio.greet", "ada")
        asker = Asker(Settings(root=tmp_path, world=f"sqlite:///{tmp_path}/world.db"))
        try:
            done = await export(asker, "SELECT workflow, status FROM runs", tmp_path / "runs.json", "json")
            assert (done.rows, done.is_capped) == (1, False)
            assert json.loads((tmp_path / "runs.json").read_text()) == [
                {"workflow": "studio.greet", "status": "completed"}
            ]
            assert os.stat(tmp_path / "runs.json").st_mode & 0o777 == 0o600
            with pytest.raises(QueryError):
                await export(asker, "SELECT nothing", tmp_path / "runs.json", "csv")
            assert json.loads((tmp_path / "runs.json").read_text())
            with pytest.raises(UsageError, match="cannot be written: No such file or directory") as refused:
                await export(asker, "SELECT 1", tmp_path / "no" / "runs.csv", "csv")
            assert refused.value.hint == "name another file"
        finally:
            await asker.close()


def test_what_fails_under_way_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"before")

    def write() -> None:
        with open_output(path) as stream:
            stream.write(b"half")
            raise ValueError

    with pytest.raises(ValueError):
        write()
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
