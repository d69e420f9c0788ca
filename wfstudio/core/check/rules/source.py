"""Rules on the files themselves. The checker finds these: there is no event for them."""

from __future__ import annotations

from typing import Final

from wfstudio.core.check.rules.rule import Rule


class Unreadable(Rule):
    """A file cannot be read

    Found is a file that is no Python: a syntax error, bytes that are no text in the encoding that it says,
    nesting beyond what the parser takes. Nothing else is found in such a file, nor behind calls that lead
    into it.

    ## Why

    The check reads files as syntax trees. What is not one cannot be checked, and cannot be imported either.

    ## Fix

    Mend the line. If the file is for a newer Python, run the check with that one.

    ## Example

    ```python
    import wf


    @wf.workflow
    async def right(order: str) -> str:
        return order
    ```

    and without the colon behind the first line of the function:

    ```text
    flow.py:5:35 WF001 error: expected ':'
    ```
    """

    code = "WF001"
    why = "what is no Python can neither be checked nor imported"
    fix = "mend the line, or leave the file out"


class UnusedSuppression(Rule):
    """A suppression suppresses nothing

    Found is a `# wf: ignore[...]` in a body, or in a helper that a body calls, which no finding is left for;
    one in a step, which may do anything; and one that cannot be read.

    ## Why

    It was needed once, or was never. Left behind, it hides what is written into its line later.

    ## Fix

    Delete it. Its form is `# wf: ignore[WF101]` or `# wf: ignore[WF101, WF203]`, behind the line or above the
    statement; without codes it hides everything.

    ## Example

    ```python
    import time

    import wf


    @wf.workflow
    async def wrong() -> float:
        return wf.now().timestamp()  # wf: ignore[WF101]


    @wf.workflow
    async def right() -> float:
        return time.time()  # wf: ignore[WF101]
    ```
    """

    code = "WF002"
    severity = "warning"
    why = "it hides nothing now, and would hide what is written into its line later"
    fix = "delete it"


RULES: Final = (Unreadable, UnusedSuppression)
