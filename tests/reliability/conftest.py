"""What a reliability test is given before it opens a world: for one in Postgres, an empty one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.reliability import stage


@pytest.fixture(autouse=True)
def postgres_world(request: pytest.FixtureRequest) -> Iterator[None]:
    """Have `open_world("postgres", …)` open an empty world in a test whose `kind` that is."""
    callspec = getattr(request.node, "callspec", None)
    if callspec is not None and callspec.params.get("kind") == "postgres":
        stage.postgres_urls.append(request.getfixturevalue("emptied_postgres_url"))
        yield
        stage.postgres_urls.clear()
    else:
        yield
