"""The runs that a list holds, against the plain way to do the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wf.world import Attention, RunRow
from wfstudio.tui import listed
from wfstudio.tui.listed import ListedRuns, list_row


def row(name: str, at: int, status: str = "completed", **fields: object) -> RunRow:
    given = {
        "run_id": name,
        "workflow": "w",
        "status": status,
        "deployment_id": "",
        "created_at": at,
        "started_at": None,
        "ended_at": None,
        "seq": 1,
        "head": b"",
        "mac": b"",
        "epoch": 0,
        "owner": None,
        "wake_at": None,
        "attributes": {},
        "parent_run_id": None,
        "parent_correlation_id": None,
        "continued_from": None,
        "continued_as": None,
        "forked_from": None,
        "error_code": None,
        "result_seq": None,
        "payload_bytes": 0,
        "attention": None,
        **fields,
    }
    return RunRow(**given)


def ids(runs: ListedRuns) -> list[str]:
    return [run.run_id for run in runs]


def test_pages_go_behind_and_new_runs_in_front() -> None:
    runs = ListedRuns()
    assert runs.load([row("c", 3), row("b", 2)]) == 2
    runs.put(row("d", 4))
    assert runs.load([row("b", 2), row("a", 1)]) == 1
    assert ids(runs) == ["d", "c", "b", "a"]
    assert (runs.find("b"), runs.find("x"), runs.loaded) == (2, None, 4)


def test_a_row_that_was_read_before_another_is_not_put_behind_it() -> None:
    runs = ListedRuns()
    runs.load([row("a", 1, "running", seq=3)])
    runs.put(row("a", 1, "completed", seq=9))
    runs.put(row("a", 1, "running", seq=3))
    assert [run.status for run in runs] == ["completed"]
    assert runs.live == set()


def test_a_run_that_has_the_id_of_a_forgotten_one_takes_its_place() -> None:
    runs = ListedRuns()
    runs.load([row("b", 2), row("a", 1, "completed", seq=9)])
    runs.put(row("a", 3, "running", seq=2))
    runs.put(row("a", 1, "completed", seq=9))
    assert [(run.run_id, run.status) for run in runs] == [("a", "running"), ("b", "completed")]
    assert runs.live == {"a"}


def test_of_one_instant_the_last_created_is_first() -> None:
    runs = ListedRuns()
    runs.load([row("a", 1)])
    runs.put(row("b", 1))
    assert ids(runs) == ["b", "a"]
    assert (runs.find("a"), runs.find("b")) == (1, 0)


def test_a_change_stays_in_its_place_and_enters_and_leaves_what_is_chosen() -> None:
    runs = ListedRuns()
    runs.load([row("c", 3), row("b", 2, "running"), row("a", 1)])
    runs.choose(lambda run: run.status == "running")
    assert ids(runs) == ["b"]
    runs.put(row("c", 3, "running"))
    runs.put(row("b", 2))
    assert ids(runs) == ["c"]
    runs.choose(None)
    assert [(run.run_id, run.status) for run in runs] == [("c", "running"), ("b", "completed"), ("a", "completed")]


def test_where_a_run_would_be_is_told_when_it_is_not_shown() -> None:
    runs = ListedRuns()
    runs.load([row("d", 4), row("c", 3), row("b", 2), row("a", 1)])
    runs.choose(lambda run: run.run_id in "da")
    assert (runs.place("c", 3), runs.place("a", 1), runs.place("z", 0)) == (1, 1, 2)


def test_runs_in_flight_are_known() -> None:
    runs = ListedRuns()
    runs.load([row("b", 2, "running"), row("a", 1, "pending")])
    runs.put(row("b", 2))
    assert runs.live == {"a"}
    runs.drop("a")
    assert runs.live == set()


def test_no_more_are_kept_than_can_be_shown(monkeypatch) -> None:
    monkeypatch.setattr(listed, "MOST", 3)
    runs = ListedRuns()
    assert runs.load([row("d", 4), row("c", 3), row("b", 2), row("a", 1)]) == 3
    runs.put(row("e", 5, "running"))
    assert ids(runs) == ["e", "d", "c"]
    runs.put(row("a", 1, "running"))  # older than all: it waits for its page, which never comes
    assert ids(runs) == ["e", "d", "c"]
    assert runs.live == {"e"}


def test_a_row_is_kept_as_far_as_a_list_shows_it() -> None:
    attention = Attention("NONDETERMINISM", "it differs")
    run = list_row(row("a", 1, "running", attributes={"k": "v w", "l": "m"}, attention=attention))
    assert (run.attributes, run.attention, run.is_error) == ("k=v w\nl=m", "NONDETERMINISM", True)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["put", "drop", "choose"]), st.integers(0, 9), st.sampled_from(["running", "failed"])
        ),
        max_size=40,
    )
)
def test_whatever_happens_the_list_is_what_the_plain_way_gives(steps: list[tuple[str, int, str]]) -> None:
    runs, plain = ListedRuns(), {}
    wanted = None
    runs.load([])
    for what, number, status in steps:
        name, at = f"r{number}", number  # instants of their own: ties have the order of their coming
        if what == "put":
            runs.put(row(name, at, status))
            plain[name] = (at, status)
        elif what == "drop":
            runs.drop(name)
            plain.pop(name, None)
        else:
            wanted = status if number % 2 else None
            runs.choose(None if wanted is None else lambda run, wanted=wanted: run.status == wanted)
        expected = sorted((-at, name) for name, (at, found) in plain.items() if wanted in (None, found))
        assert ids(runs) == [name for _, name in expected]
        assert all(runs.find(name) == index for index, (_, name) in enumerate(expected))
        assert runs.live == {name for name, (_, found) in plain.items() if found == "running"}
