"""Answer a site that waits for approval: `python review.py ada` or `python review.py ada --reject`."""

from __future__ import annotations

import argparse
import asyncio
import sys

from flow import Approval, approval_token

import wf


def main() -> int:
    parser = argparse.ArgumentParser(description="Approve or reject a site that waits for it.")
    parser.add_argument("user_id")
    parser.add_argument("comment", nargs="?", default="")
    parser.add_argument("--reject", action="store_true")
    options = parser.parse_args()
    answer = Approval(approved=not options.reject, comment=options.comment)
    try:
        hook = asyncio.run(answer.resume(approval_token(options.user_id)))
    except wf.HookNotFoundError as error:
        print(error.explain(), file=sys.stderr)
        return 1
    print(f"told run {hook.run_id}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
