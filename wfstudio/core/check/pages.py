"""Pages: what docs/rules says of each rule, made of the rules themselves.

`python -m wfstudio.core.check.pages FOLDER` writes them; a test compares.
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import Final

from wfstudio.core.check.checking import check_sources
from wfstudio.core.check.rules import RULES, Rule
from wfstudio.core.check.texts import describe_finding

INDEX: Final = "README.md"
_FILE: Final = "flow.py"
_BLOCK: Final = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_GROUPS: Final = {
    "WF0": "Files",
    "WF1": "Answers that change",
    "WF2": "What reaches out of the body",
    "WF3": "State that outlives a run",
    "WF4": "Awaiting",
    "WF5": "Signatures",
}


def render_page(rule: type[Rule]) -> str:
    """Give a rule's page: its docstring, and what is found in its own example."""
    title, _, body = inspect.cleandoc(rule.__doc__ or "").partition("\n")
    seen = show_example(rule)
    parts = [f"# `{rule.code}` {title}", body.strip()]
    if seen:
        parts.append(f"```text\n{seen}\n```")
    return "\n\n".join(parts) + "\n"


def show_example(rule: type[Rule]) -> str:
    """Give what the check finds in the example of a rule's page."""
    report = check_sources("/project", {_FILE: read_example(rule).encode()})
    return "\n".join(line for finding in report.findings for line in describe_finding(finding))


def read_example(rule: type[Rule]) -> str:
    """Give the code of a rule's example."""
    found = _BLOCK.search(inspect.cleandoc(rule.__doc__ or ""))
    return found[1] if found is not None else ""


def render_index() -> str:
    """Give the page that lists all rules."""
    lines = [
        "# The rules of `wf check`",
        "",
        "What a workflow's body must not do, since a replay would come to something else. Each page is its rule's own",
        "docstring. [cli.md](../cli.md) has the command, [concepts.md](../concepts.md) the words.",
        "",
        "A finding is hidden by `# wf: ignore[WF101]` behind its line, or above its statement.",
    ]
    for prefix, title in _GROUPS.items():
        lines += ["", f"## {title}", "", "| code | finds that | severity |", "| --- | --- | --- |"]
        for rule in RULES:
            if rule.code.startswith(prefix):
                found = inspect.cleandoc(rule.__doc__ or "").partition("\n")[0]
                lines.append(f"| [`{rule.code}`]({rule.code}.md) | {found[0].lower()}{found[1:]} | {rule.severity} |")
    return "\n".join(lines) + "\n"


def write_pages(folder: Path) -> None:
    """Write all pages into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / INDEX).write_text(render_index(), "utf-8")
    for rule in RULES:
        (folder / f"{rule.code}.md").write_text(render_page(rule), "utf-8")


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]))
