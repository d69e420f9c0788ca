"""What the acceptance tests share: a worker that leaves and another that comes."""

from __future__ import annotations

import pytest

from wf.embedding import EmbeddedWorker


@pytest.fixture
def restart(wf_env):
    """Put the environment's worker away, and open another on the same world: every run is replayed."""

    async def replace():
        old = wf_env._embedded
        session = old.session
        await old.__aexit__(None, None, None)
        new = EmbeddedWorker(session.world, grace=0, clock=session.clock, keyring=session.keyring, capture_logs=False)
        await new.__aenter__()
        wf_env._embedded = new

    return replace
