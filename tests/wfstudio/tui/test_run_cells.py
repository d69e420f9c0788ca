"""How a run is drawn in a list."""

from __future__ import annotations

import msgspec

from wfstudio.tui.listed import Listed
from wfstudio.tui.run_cells import draw_cells, shorten_id

NOW = 1_767_355_200_000_000
RUN = Listed(
    "wrun_01K3ZZZZZZZZZZZZZZZZZZABCD", "shop.flows:fulfil", "running", NOW - 90_000_000, NOW - 80_000_000, None, 4
)


def draw(**fields: object) -> list[str]:
    run = msgspec.structs.replace(
        RUN, **{key: value for key, value in fields.items() if key not in ("reason", "marked")}
    )
    cells = draw_cells(
        run, now_us=NOW, reason=fields.get("reason"), id_width=12, marked=fields.get("marked", ())
    )  # fmt: skip
    return [cell if isinstance(cell, str) else cell[0] for cell in cells]


def test_a_run_at_work_is_as_old_as_it_is() -> None:
    assert draw() == ["● running", "fulfil", "…ZZZZZZZABCD", "1m ago", "1m 20s", ""]


def test_what_is_wrong_comes_before_why_it_rests_and_that_before_its_tags() -> None:
    tags = {"attributes": "tenant=acme\nregion=eu"}
    assert draw(**tags)[-1] == "tenant=acme  region=eu"
    assert draw(reason="sleeping", **tags)[-1] == "sleeping"
    assert draw(reason="sleeping", attention="NONDETERMINISM", **tags)[-1] == "! NONDETERMINISM"
    ended = {"status": "failed", "ended_at": NOW - 79_000_000, "error_code": "USER_ERROR"}
    assert draw(**ended, **tags)[-2:] == ["1 s", "USER_ERROR tenant=acme  region=eu"]
    assert draw(reason="ValueError", **ended, **tags)[-1] == "ValueError tenant=acme  region=eu"
    assert draw(reason="shop.errors.Declined", **ended, **tags)[-1] == "Declined tenant=acme  region=eu"
    assert draw(reason="TimeoutError", **{**ended, "error_code": "TIMEOUT"})[-1] == "TIMEOUT TimeoutError"


def test_a_reason_is_not_shown_of_a_run_that_has_ended() -> None:
    assert draw(status="completed", ended_at=NOW, reason="sleeping")[-1] == ""


def test_a_marked_run_is_marked_by_more_than_colour() -> None:
    assert draw(marked={RUN.run_id})[0] == "▌ running"


def test_a_drawn_id_is_told_by_its_end_and_a_given_one_by_its_beginning() -> None:
    assert shorten_id(RUN.run_id, 8) == "…ZZZABCD"
    assert shorten_id(RUN.run_id, 40) == RUN.run_id
    assert shorten_id("order-of-ada-lovelace", 8) == "order-of-ada-lovelace"
