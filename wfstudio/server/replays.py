"""Replays over HTTP: verdicts, single steps, and moments of a run. They change nothing; what may take long, or
carries out a step, is a POST all the same, so that no link can set it off."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from wfstudio.core.bench.views import MomentView, ReplayList, ReplayView, StepReplayView
from wfstudio.core.step_replays import LONGEST_SECONDS, TIMEOUT_SECONDS
from wfstudio.server.routing import Call, Route

Deployment = Annotated[
    str, Meta(min_length=1, description="`today` (the files on the disk), `latest`, `own`, or a deployment's id.")
]


class ReplayBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    deployment: Deployment = "today"


class ReplaysBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    runs: Annotated[str, Meta(description="`open`, `failed`, `all`, or `last:50`.")] = "open"
    deployment: Deployment = "today"


class StepReplayBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`input` replaces arguments by name; those that it leaves out keep their recorded value."""

    input: dict[str, Any] = {}
    attempt: Annotated[int, Meta(ge=1, le=2**31)] | None = None
    deployment: Deployment = "today"
    timeout: Annotated[float, Meta(gt=0, le=LONGEST_SECONDS, description="Seconds.")] = TIMEOUT_SECONDS


class MomentQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    deployment: Deployment = "own"


async def replay_run(call: Call) -> ReplayView:
    body = await call.read_body(ReplayBody)
    return await call.services.replays.replay_run(call.params["id"], deployment=body.deployment)


async def replay_runs(call: Call) -> ReplayList:
    body = await call.read_body(ReplaysBody)
    return await call.services.replays.replay_all(body.runs, deployment=body.deployment)


async def replay_step(call: Call) -> StepReplayView:
    body = await call.read_body(StepReplayBody)
    return await call.services.replays.replay_step(
        call.params["id"],
        call.params["step"],
        attempt=body.attempt,
        edited=body.input,
        deployment=body.deployment,
        timeout_seconds=body.timeout,
    )


async def show_moment(call: Call) -> MomentView:
    query = call.read_query(MomentQuery)
    return await call.services.replays.look(call.params["id"], call.params["seq"], deployment=query.deployment)


RUN: Final = "/api/runs/{id}"
REFUSALS: Final = (404, 409, 422, 423)

ROUTES = [
    Route(method="POST", path=f"{RUN}/replay", handler=replay_run, summary="Replay a run against some code",
          body=ReplayBody, answer=ReplayView, errors=REFUSALS),
    Route(method="POST", path="/api/replay", handler=replay_runs, summary="Replay several runs against some code",
          body=ReplaysBody, answer=ReplayList, errors=REFUSALS),
    Route(method="POST", path=f"{RUN}/steps/{{step}}/replay", handler=replay_step,
          summary="Carry out a step once more, beside its run", body=StepReplayBody, answer=StepReplayView,
          errors=REFUSALS),
    Route(method="GET", path=f"{RUN}/at/{{seq}}", handler=show_moment, summary="Show a run right after an event",
          query=MomentQuery, answer=MomentView, errors=REFUSALS),
]  # fmt: skip
