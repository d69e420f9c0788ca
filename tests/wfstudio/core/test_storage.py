"""What a world's files take: by what they are, largest first; of a world that is no file, nothing."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.wfstudio.site import open_site
from wf.settings import load_settings
from wfstudio.core.storage import WorldFileView, measure_storage
from wfstudio.history.mirror import mirror_path


def test_each_file_of_a_world_is_told_from_the_others_and_from_its_neighbours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WF_WORLD", f"sqlite:///{tmp_path}/world.db")
    settings = load_settings(tmp_path)
    assert measure_storage(settings).files == [], "before its first run"
    for name, size in (
        ("world.db", 30),
        ("world.db-wal", 40),
        ("world.db-shm", 20),
        ("world.db.lock", 0),
        ("other", 9),
    ):
        (tmp_path / name).write_bytes(b"x" * size)
    mirror_path(tmp_path / "world.db").write_bytes(b"x" * 50)
    found = measure_storage(settings)
    assert found.files == [
        WorldFileView("world.db.history", "mirror", 50),
        WorldFileView("world.db-wal", "log", 40),
        WorldFileView("world.db", "world", 30),
        WorldFileView("world.db-shm", "log", 20),
        WorldFileView("world.db.lock", "other", 0),
    ]
    assert found.world == f"sqlite:///{tmp_path}/world.db"
    assert found.free_bytes is not None and found.free_bytes > 0


async def test_a_world_in_memory_takes_nothing_of_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WF_WORLD", "memory://")
    found = measure_storage(load_settings(tmp_path))
    assert msgspec.to_builtins(found) == {"world": "memory://", "files": [], "free_bytes": None}
    async with open_site() as site:
        assert "files" in (await site.ask("GET", "/api/storage")).json
