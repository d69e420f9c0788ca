from __future__ import annotations

from pathlib import Path

import model
import pytest
import shop


@pytest.fixture(autouse=True)
def own_shop_and_a_quick_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shop, "DATABASE", tmp_path / "shop.db")
    monkeypatch.setattr(model, "SECONDS_A_PIECE", 0)
