"""Code whose step forks a process of its own and ends it, for the tests of all that carry steps out."""

from __future__ import annotations

from typing import Final

FORKER: Final = """
import multiprocessing, time
import wf

@wf.step
def fork() -> int | None:
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    child.start()
    child.terminate()
    child.join()
    return child.exitcode

@wf.workflow
async def forker() -> int | None:
    return await fork()
"""
