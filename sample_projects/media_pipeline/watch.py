"""Follow an album's progress from anywhere: `python watch.py RUN`. Come late, leave, come back: nothing is missed."""

from __future__ import annotations

import asyncio
import sys

import wf

WIDTH = 30


async def follow(run_id: str) -> None:
    async for told in wf.get_run(run_id).readable("progress"):
        filled = WIDTH * told["done"] // told["of"]
        bar = "█" * filled + "░" * (WIDTH - filled)
        print(
            f"{bar} {told['done']:>3}/{told['of']} {told['picture']}{'' if told['ok'] else ': unreadable'}", flush=True
        )


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: python watch.py RUN", file=sys.stderr)
        return 2
    try:
        asyncio.run(follow(sys.argv[1]))
    except wf.RunNotFoundError as error:
        print(error.explain(), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
