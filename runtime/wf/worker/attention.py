"""Attention: how an error that stops a run, but does not fail it, is kept with the run and told."""

from __future__ import annotations

from collections.abc import Sequence

from wf import events, registry
from wf.errors import BlockedError, DeadLetterError, DecryptionError, NondeterminismError, NotRegisteredError
from wf.world import Attention


def describe_trouble(error: Exception) -> Attention:
    """Turn an error that stops a run, but does not fail it, into its attention."""
    if isinstance(error, NondeterminismError):
        return Attention("NONDETERMINISM", str(error), error.seq, error.recorded, error.actual, error.where)
    if isinstance(error, DecryptionError):
        return Attention("DECRYPTION", str(error), error.seq, error.field, error.reason or None, None)
    if isinstance(error, DeadLetterError):
        return Attention("DEAD_LETTER", str(error), None, error.workflow, str(error.deaths), None)
    if isinstance(error, BlockedError):
        return Attention("BLOCKED", str(error), None, None, "\n".join(error.stack) or None, error.where)
    if isinstance(error, NotRegisteredError):
        return Attention("NOT_REGISTERED", str(error), None, error.name, ", ".join(error.matches) or None, error.where)
    return Attention("NOT_REGISTERED", str(error))


def find_missing_step(error: NondeterminismError, log: Sequence[events.Event]) -> NotRegisteredError | None:
    """Say so when code and log disagree because the recorded step is registered nowhere any more."""
    recorded = next((event for event in log if event.seq == error.seq), None)
    if recorded is None or recorded.type != events.STEP_CREATED or recorded.name is None:
        return None
    if registry.find_step(recorded.name) is not None:
        return None
    missing = NotRegisteredError("step", recorded.name, [step.id for step in registry.list_steps()])
    missing.where = error.where
    return missing


def explain(error: Exception) -> str:
    render = getattr(error, "explain", None)
    return render() if render else str(error)
