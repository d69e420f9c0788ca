"""Code diffs: one recorded run against one deployment, or two: which of them makes its calls, and where not.

The codes are named as `replays` does: `today`, `latest`, `own`, or a deployment's id. With one it is compared
with what the run recorded.
"""

from __future__ import annotations

from collections.abc import Sequence

from wf.world import DeploymentRow
from wfstudio.core.bench.views import ReplayView
from wfstudio.core.diff_views import CodeDiffView
from wfstudio.core.errors import UsageError
from wfstudio.core.replays import Replays


async def diff_code(replays: Replays, run_id: str, codes: Sequence[str]) -> CodeDiffView:
    """Replay a run against one code, or two. Raises `UsageError` for more, `NotFoundError` for code that is none."""
    if not 1 <= len(codes) <= 2:
        raise UsageError(f"{len(codes)} codes are named; name one, or two", "a run is replayed against each")
    row = await replays.workbench.read_row(run_id)
    verdicts = [await replays.replay_run(run_id, deployment=code) for code in codes]
    first = row.deployment_id if len(codes) == 1 else verdicts[0].deployment_id
    manifests = [await _read_manifest(replays, name) for name in (first, verdicts[-1].deployment_id)]
    return CodeDiffView(
        run_id=run_id,
        workflow=row.workflow,
        codes=verdicts,
        is_same=all(verdict.outcome == "clean" for verdict in verdicts),
        first=_find_first(verdicts),
        files=_list_changed(*manifests),
    )


def _find_first(verdicts: Sequence[ReplayView]) -> int | None:
    """Give the place, among the codes, of the one that parts from the log first; None: none does."""
    parting = [(verdict.seq, place) for place, verdict in enumerate(verdicts) if verdict.seq is not None]
    return min(parting)[1] if parting else None


async def _read_manifest(replays: Replays, deployment_id: str | None) -> dict[str, str] | None:
    row: DeploymentRow | None = None
    if deployment_id is not None:
        row = await replays.session.world.get_deployment(deployment_id)
    return None if row is None else row.manifest


def _list_changed(a: dict[str, str] | None, b: dict[str, str] | None) -> list[str]:
    """List the files that two codes do not have in common; none where one of them is not kept."""
    if a is None or b is None:
        return []
    return sorted(path for path in {**a, **b} if a.get(path) != b.get(path))
