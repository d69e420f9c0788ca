"""The pytest plugin: the fixture `wf_env`, and async tests.

An async test that uses `wf_env` runs on the environment's loop, whatever other plugins are there.
One that does not runs under `asyncio.run`, if no other plugin takes it.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Generator, Iterator
from typing import Any

import pytest


@pytest.fixture
def wf_env() -> Iterator[Any]:
    """A throw-away world with a worker and a virtual clock (`wf.testing.WorkflowEnvironment`)."""
    from wf.testing import WorkflowEnvironment

    with asyncio.Runner() as runner:
        env = WorkflowEnvironment()
        runner.run(env.__aenter__())
        env.runner = runner
        try:
            yield env
        finally:
            runner.run(env.__aexit__(None, None, None))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Run an `async def` test that uses `wf_env` on the environment's loop.

    What the item does when it is run is put aside: pytest-asyncio's items would run it on another loop, and so
    would anyio, which asks to be the first to call a function, as we would have to.
    """
    env: Any = getattr(item, "funcargs", {}).get("wf_env")
    if env is None or not isinstance(item, pytest.Function) or not inspect.iscoroutinefunction(item.obj):
        return (yield)
    item.runtest = lambda: env.runner.run(_call(item))  # type: ignore[method-assign]
    try:
        return (yield)
    finally:
        del item.runtest


class _Otherwise:
    """Takes the async tests that no plugin asked before it has taken."""

    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> object | None:
        if not inspect.iscoroutinefunction(pyfuncitem.obj):
            return None
        asyncio.run(_call(pyfuncitem))
        return True


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_Otherwise(), "wf-otherwise")


def _call(item: pytest.Function) -> Any:
    return item.obj(**{name: item.funcargs[name] for name in item._fixtureinfo.argnames})
