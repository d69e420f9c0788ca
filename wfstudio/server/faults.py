"""Faults over HTTP. They are injected under `wf dev` only; elsewhere every route here says so."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from wfstudio.core.faults import FaultError, FaultRule
from wfstudio.core.views import WaitView
from wfstudio.server.dev_face import DevFace
from wfstudio.server.questions import EmptyBody
from wfstudio.server.routing import Call, Route


class FaultBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`action` is `fail`, `fail=Type: message`, `delay=2s`, `crash`, or `twice` (a payload is delivered twice).

    Steps are those of `run`, or of all runs of `workflow`; `step`, `attempt` and `hook` narrow it. Of all that
    would be struck `probability` are, which of them is fixed by `seed`.
    """

    action: str
    run: str | None = None
    workflow: str | None = None
    step: str | None = None
    hook: str | None = None
    attempt: Annotated[int, Meta(ge=1, le=2**31)] | None = None
    probability: Annotated[float, Meta(gt=0, le=1)] = 1.0
    seed: Annotated[int, Meta(ge=-(2**53), le=2**53)] = 0


class FaultList(msgspec.Struct, frozen=True):
    items: list[FaultRule]


class Cleared(msgspec.Struct, frozen=True):
    """How many faults were taken back."""

    cleared: int


def _dev(call: Call) -> DevFace:
    dev = call.services.dev
    if dev is None:
        text = "faults are injected under `wf dev` only: this server serves for production"
        raise FaultError(text, "start `wf dev` on a world that is for trying")
    return dev


async def list_faults(call: Call) -> FaultList:
    return FaultList(_dev(call).list_faults())


async def add_fault(call: Call) -> FaultRule:
    body = await call.read_body(FaultBody)
    dev = _dev(call)
    await call.client.check_fault(body.run, body.workflow, body.step)
    fields = {name: getattr(body, name) for name in body.__struct_fields__ if name != "action"}
    return await dev.add_fault(body.action, **fields)


async def clear_faults(call: Call) -> Cleared:
    return Cleared(await _dev(call).clear_faults())


async def clear_fault(call: Call) -> Cleared:
    return Cleared(await _dev(call).clear_faults([call.params["id"]]))


async def jump_run(call: Call) -> WaitView:
    await call.read_body(EmptyBody)
    _dev(call)
    return await call.client.jump(call.params["id"])


ROUTES = [
    Route(method="GET", path="/api/faults", handler=list_faults, summary="List the faults that are injected",
          answer=FaultList, errors=(409,)),
    Route(method="POST", path="/api/faults", handler=add_fault, summary="Inject a fault from now on",
          body=FaultBody, answer=FaultRule, status=201, errors=(404, 409)),
    Route(method="DELETE", path="/api/faults", handler=clear_faults, summary="Take all faults back",
          answer=Cleared, errors=(409,)),
    Route(method="DELETE", path="/api/faults/{id}", handler=clear_fault, summary="Take a fault back",
          answer=Cleared, errors=(409,)),
    Route(method="POST", path="/api/runs/{id}/jump", handler=jump_run,
          summary="Have a run's next due time come now", body=EmptyBody, answer=WaitView, errors=(404, 409)),
]  # fmt: skip
