"""Offspring: processes that a step forks, in a process that has its own ideas about signals."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import asyncio, multiprocessing, signal, time
from wfstudio.core.offspring import leave_signals_behind

async def main():
    told = []
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: told.append("the parent"))
    leave_signals_behind()
    leave_signals_behind()
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(30,))
    child.start()
    child.terminate()
    await asyncio.to_thread(child.join)
    await asyncio.sleep(0)
    print(child.exitcode, told)

asyncio.run(main())
"""


def test_a_forked_process_is_ended_by_the_signal_and_its_parent_does_not_hear_of_it() -> None:
    told = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True, timeout=30)
    assert told.stdout == "-15 []\n"
