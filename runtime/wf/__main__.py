"""`python -m wf run TARGET:WORKFLOW [ARGS…]`: the smallest way to run something.

Arguments are JSON values in order, or `name=JSON`. The result goes to stdout as JSON, words go to
stderr. Exit code 1: the run failed; 2: the command line is wrong. The full `wf` command is the
studio's.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from typing import Any

from wf.embedding import worker
from wf.errors import WorkflowError, WorkflowRunFailedError
from wf.invocation import Invocation, describe_failure, read_invocation, to_json
from wf.starting import start

FAILED, USAGE, INTERRUPTED = 1, 2, 130


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m wf", description="Run one durable workflow in this process.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run a workflow and print its result as JSON")
    run.add_argument("target", metavar="TARGET:WORKFLOW", help="a file or module, and a workflow in it")
    run.add_argument("arguments", nargs="*", metavar="ARG", help="a JSON value, or name=JSON")
    run.add_argument("--id", help="the run's id: the same id goes on with the same run")
    run.add_argument("--world", help="the world's URL (default: WF_WORLD, [tool.wf] world, .wf/world.db)")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        invocation = read_invocation(options.target, options.arguments, id=options.id, world=options.world)
    except Exception as error:
        return _explain(error, USAGE)
    try:
        result = asyncio.run(_run(invocation))
    except WorkflowRunFailedError as error:
        if error.__cause__ is not None:
            print(describe_failure(error.__cause__), file=sys.stderr)
        return _explain(error, FAILED)
    except KeyboardInterrupt:
        print("interrupted; the run goes on with the next worker of this world", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        return _explain(error, FAILED)
    print(to_json(result))
    return 0


async def _run(invocation: Invocation) -> Any:
    async with worker(modules=invocation.modules, settings=invocation.settings):
        handle = await start(invocation.workflow, *invocation.args, **invocation.kwargs)
        print(f"run {handle.run_id}", file=sys.stderr)
        return await handle.return_value()


def _explain(error: Exception, code: int) -> int:
    text = error.explain() if isinstance(error, WorkflowError) else f"{type(error).__name__}: {error}"
    print(text, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
