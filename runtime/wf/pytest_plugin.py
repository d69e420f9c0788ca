"""The pytest plugin: the fixture `wf_env`, and async tests that use it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def wf_env() -> Iterator[Any]:
    """A throw-away world with a worker and a virtual clock (`wf.testing.WorkflowEnvironment`)."""
    from wf.testing import WorkflowEnvironment

    with asyncio.Runner() as runner:
        env = WorkflowEnvironment()
        runner.run(env.__aenter__())
        env.runner = runner  # type: ignore[attr-defined]
        try:
            yield env
        finally:
            runner.run(env.__aexit__(None, None, None))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object | None:
    """Run an `async def` test that uses `wf_env` on the environment's loop."""
    env = pyfuncitem.funcargs.get("wf_env")
    if env is None or not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = pyfuncitem._fixtureinfo.argnames
    env.runner.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in wanted}))
    return True
