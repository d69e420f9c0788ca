from __future__ import annotations

from pathlib import Path

import pytest
import store


@pytest.fixture(autouse=True)
def own_shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "DATABASE", tmp_path / "shop.db")
