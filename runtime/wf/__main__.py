"""`python -m wf run TARGET:WORKFLOW [ARGS…]`: the smallest way to run something.

Arguments are JSON values in order, or `name=JSON`. The result goes to stdout as JSON, words go to
stderr. Exit code 1: the run failed; 2: the command line is wrong. The full `wf` command is the
studio's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import re
import sys
from typing import Any

from wf import codec
from wf.embedding import worker
from wf.errors import WorkflowError, WorkflowRunFailedError
from wf.loading import find_in, load_target, split_target
from wf.starting import start

FAILED, USAGE = 1, 2
_NAMED = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)


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
        target, name = split_target(options.target)
        workflow = find_in(load_target(target), name)
        args, kwargs = read_arguments(options.arguments)
        if options.id is not None:
            workflow = workflow.with_options(id=options.id)
        workflow.signature.bind(args, kwargs)
    except Exception as error:
        return _explain(error, USAGE)
    try:
        result = asyncio.run(_run(workflow, args, kwargs, options.world))
    except WorkflowRunFailedError as error:
        if error.__cause__ is not None:
            _show_cause(error.__cause__)
        return _explain(error, FAILED)
    except KeyboardInterrupt:
        print("interrupted; the run goes on with the next worker of this world", file=sys.stderr)
        return 130
    except Exception as error:
        return _explain(error, FAILED)
    print(to_json(result))
    return 0


async def _run(workflow: Any, args: list[Any], kwargs: dict[str, Any], world: str | None) -> Any:
    async with worker(world):
        handle = await start(workflow, *args, **kwargs)
        print(f"run {handle.run_id}", file=sys.stderr)
        return await handle.return_value()


def read_arguments(words: list[str]) -> tuple[list[Any], dict[str, Any]]:
    """Read arguments from a command line. A word that is no JSON is a `ValueError` with the cure."""
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for word in words:
        named = _NAMED.fullmatch(word)
        if named is not None:
            kwargs[named[1]] = _read_json(named[2], word)
        elif kwargs:
            raise ValueError(f"the argument {word!r:.80} stands after a named one")
        else:
            args.append(_read_json(word, word))
    return args, kwargs


def _read_json(text: str, word: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        quoted = word.replace(text, json.dumps(text)) if text else word
        raise ValueError(f"the argument {word!r:.80} is not JSON\n  fix: for a text write '{quoted:.80}'") from None


def to_json(value: Any) -> str:
    """Write a result as JSON; what JSON has no word for is written as the codec does."""
    text = codec.encode(value, "result").decode()
    return json.dumps(json.loads(text), ensure_ascii=False)


def _explain(error: Exception, code: int) -> int:
    text = error.explain() if isinstance(error, WorkflowError) else f"{type(error).__name__}: {error}"
    print(text, file=sys.stderr)
    return code


def _show_cause(cause: BaseException) -> None:
    trace = getattr(cause, "__wf_traceback__", None)
    if trace:
        print(trace.rstrip(), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
