"""What the server asks of the dev server, where there is one."""

from __future__ import annotations

from typing import Any, Protocol

from wfstudio.core.faults import FaultRule
from wfstudio.core.views import FindingView


class DevFace(Protocol):
    """`wf dev`, as HTTP shows it. What it gives is JSON."""

    def status(self) -> dict[str, Any]:
        """Say what is loaded, how the last reload went, and which runs diverge."""

    def find_nondeterministic(self) -> dict[str, list[FindingView]]:
        """Give what was found wrong with workflows, by their ids."""

    async def remedy(self, run_id: str, action: str) -> dict[str, Any]:
        """Carry out one of the remedies for a run that diverges, and say what was done."""

    async def reload(self) -> dict[str, Any]:
        """Load the code anew now, and say how it went."""

    async def open_file(self, file: str, line: int, column: int) -> str:
        """Open a file of the project in an editor, at a place, and give the editor's name."""

    def list_faults(self) -> list[FaultRule]:
        """Give the faults that are injected, in the order of their addition."""

    async def add_fault(self, action: str, **fields: Any) -> FaultRule:
        """Inject a fault from now on: see `core.faults.make_rule`. It is in force when this returns."""

    async def clear_faults(self, ids: list[str] | None = None) -> int:
        """Take faults back, all or some, and say how many."""
