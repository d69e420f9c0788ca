"""Redaction: what a run was given is gone from its history, and the history is still one that the code can have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wfstudio.core.written_tests.stage import SHOP, buy, make, run_pytest, write
from tests.wfstudio.recorded import recording
from wf import codec, events
from wf.events import Event
from wfstudio.core.bench.wire import Log
from wfstudio.core.errors import ConflictError, UsageError
from wfstudio.core.written_tests.redaction import (
    Redaction,
    Redactor,
    list_inputs,
    list_paths,
    read_places,
)

SECRET = b"\0" * 32


def swap(text: str) -> str:
    return Redactor(Redaction(is_all=True), SECRET).swap(text)


# -- texts ----------------------------------------------------------------------------------------


@given(st.text())
def test_a_text_becomes_one_of_its_length_and_shape(text: str) -> None:
    other = swap(text)
    assert len(other) == len(text)
    for before, now in zip(text, other, strict=True):
        assert before.isdigit() == now.isdigit() or before.isalnum() == now.isalnum()
        if not before.isalnum():
            assert before == now


def test_equal_texts_become_equal_ones_and_others_others() -> None:
    names = [f"name-{number}" for number in range(200)]
    assert [swap(name) for name in names] == [swap(name) for name in names]
    assert len({swap(name) for name in names}) > 190


def test_nobody_can_tell_the_old_text_without_the_secret() -> None:
    assert swap("ada lovelace") != Redactor(Redaction(is_all=True), b"\1" * 32).swap("ada lovelace")


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("ada@example.com", r"[a-z]{3}@[a-z]{7}\.[a-z]{3}"),
        ("https://example.com/a?b=1", r"https://[a-z]{7}\.[a-z]{3}/[a-z]\?[a-z]=[1-9]"),
        ("+49 170 12345", r"\+[1-9]\d [1-9]\d\d [1-9]\d{4}"),
        ("DE12-AB", r"[A-Z]{2}\d\d-[A-Z]{2}"),
        ("12.50", r"[1-9]\d\.[1-9]\d"),
        ("007", r"0\d\d"),
        ("2026-01-02", r"20[012]\d-(0\d|1[012])-[012]\d"),
        ("2026-01-02T23:59:58+00:00", r"20[012]\d-(0\d|1[012])-[012]\dT00:00:00\+00:00"),
        ("0b9f2c1e-7f4e-4c57-9f6e-2f3a4b5c6d7e", r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-9[0-9a-f]{3}-[0-9a-f]{12}"),
        ("deadbeef00", r"[0-9a-f]{10}"),
        ("", ""),
        ("-- !", "-- !"),
    ],
)
def test_what_a_body_may_read_out_of_a_text_can_still_be_read(text: str, pattern: str) -> None:
    assert re.fullmatch(pattern, swap(text)), swap(text)


# -- values ---------------------------------------------------------------------------------------


def make_log(value: Any, name: str = "flow:fetch") -> Log:
    created = Event("r", 1, events.RUN_CREATED, None, "flow:flow", None, 0, '{"deployment_id":""}', None, b"")
    done = Event("r", 2, events.STEP_COMPLETED, 1, name, 1, 0, None, None, b"")
    return [(created, codec.encode_arguments({"user": "ada", "n": 3})), (done, codec.encode(value))]


def redact(value: Any, **wish: Any) -> Any:
    log = make_log(value)
    places = {name: read_places(texts, log, f"--{name}") for name, texts in wish.items() if name != "is_all"}
    redaction = Redaction(is_all=wish.get("is_all", True), **places)
    return codec.decode(Redactor(redaction, SECRET).redact(log)[1][1] or b"")


def test_types_numbers_and_keys_stay() -> None:
    value = {
        "name": "ada",
        "age": 36,
        "rate": 0.5,
        "ok": True,
        "none": None,
        "list": ["ada", 1],
        "bytes": b"ada",
        "t": ("x",),
    }
    other = redact(value)
    assert {key: type(item) for key, item in other.items()} == {key: type(item) for key, item in value.items()}
    assert [other[key] for key in ("age", "rate", "ok", "none")] == [36, 0.5, True, None]
    assert other["name"] == other["list"][0] != "ada"
    assert other["bytes"] != b"ada"


def test_kept_places_stay_and_hidden_ones_go_whatever_their_type() -> None:
    value = {"a": {"b": "x", "c": "y"}, "n": 5, "many": [{"b": "z", "n": 1}]}
    kept = redact(value, keep=["fetch.a.b", "fetch.many.b"])
    assert (kept["a"]["b"], kept["many"][0]["b"]) == ("x", "z")
    assert kept["a"]["c"] != "y"
    hidden = redact(value, is_all=False, hide=["fetch.n", "fetch.many.n"])
    assert (hidden["n"], hidden["many"][0]["n"], hidden["a"]["b"]) == (0, 0, "x")
    assert redact(value, keep=["fetch"]) == value
    assert redact(value, keep=["flow:fetch"]) == redact(value, keep=["1"]) == value


def test_places_are_read_as_a_command_line_names_them() -> None:
    log = make_log({}, "shop.orders:Desk.fetch")
    read = read_places(["input.user", "fetch.a[0].b", "Desk.fetch.x", "shop.orders:Desk.fetch", "1.c"], log, "--keep")
    assert [str(place) for place in read] == [
        "input.user",
        "fetch.a.b",
        "Desk.fetch.x",
        "shop.orders:Desk.fetch",
        "1.c",
    ]
    with pytest.raises(UsageError) as refused:
        read_places(["fetsh.a"], log, "--keep")
    assert (str(refused.value), refused.value.hint) == (
        "--keep: 'fetsh.a' is nothing that this run was given",
        "did you mean `fetch`?",
    )


def test_the_texts_of_a_value_are_listed_by_their_paths() -> None:
    data = codec.encode({"a": ["x", {"b": "y"}], "n": 1, "t": ("z",)})
    assert list(list_paths(data)) == [("a",), ("a", "b"), ("t",)]


def test_what_a_run_was_given_has_names() -> None:
    assert [(item.seq, item.names) for item in list_inputs(make_log(1))] == [
        (1, ("input",)),
        (2, ("fetch", "flow:fetch", "1")),
    ]


def test_an_exceptions_words_go_and_its_class_stays() -> None:
    error = ValueError("no money, ada", 7)
    error.customer = "ada"  # type: ignore[attr-defined]
    error.__cause__ = KeyError("ada")
    other = redact(error)
    assert type(other) is ValueError
    assert other.args[1] == 7
    assert "ada" not in repr((other.args, other.customer, other.__cause__.args))
    assert not hasattr(other, "__wf_traceback__")


# -- whole runs -----------------------------------------------------------------------------------


def texts_of(view: Any) -> str:
    return view.history.text + view.test.text


async def test_a_redacted_run_replays_and_what_it_was_given_is_gone(tmp_path: Path) -> None:
    async with recording(tmp_path, SHOP) as found:
        run_id = await buy(found)
        view = await write(found, run_id, is_redacting=True)
        assert view.is_redacted
        for secret in ("ada ", "lovelace", "blue", "ink", "fine, thanks", str(tmp_path)):
            assert secret not in texts_of(view), secret
        assert [call for call in view.calls if not call.startswith("lock ")] == [
            "step flow:price",
            "step flow:charge",
            "sleep 3d",
            "step flow:stamp",
            "step flow:greet",
            "hook flow:Approval",
        ]
        assert view.notes == []
    done = run_pytest(tmp_path)
    assert done.returncode == 0, done.stdout


async def test_failures_children_tokens_and_cancels_are_redacted_too(tmp_path: Path) -> None:
    text = SHOP + '''
    @wf.workflow
    async def parent(customer: str) -> str:
        child = await wf.start(refuse.with_options(id=f"of-{customer}-{wf.random().random()}"), customer)
        answer = await child.return_value()
        wf.hook()
        try:
            return await wf.hook()
        except asyncio.CancelledError:
            await greet(answer)
            raise
    '''  # fmt: skip
    async with recording(tmp_path, text) as found:
        failed = await make(found, await found.run("refuse", "bad"), is_redacting=True)
        assert "no money" not in texts_of(failed)
        assert "Traceback" not in failed.history.text
        run_id = await found.rest("parent", "lovelace")
        tokens = [hook.token for hook in await found.client.list_hooks(run_id)]
        await found.client.cancel(run_id, "because of lovelace")
        await found.client.wait_for_end(run_id, 20)
        view = await write(found, run_id, is_redacting=True)
        for secret in ("lovelace", "because", *tokens):
            assert str(secret) not in texts_of(view), secret
    assert run_pytest(tmp_path).returncode == 0


async def test_a_run_that_decides_by_a_text_names_what_must_be_kept(tmp_path: Path) -> None:
    async with recording(tmp_path, SHOP) as found:
        run_id = await found.run("decide", "yes")
        with pytest.raises(ConflictError) as refused:
            await make(found, run_id, is_redacting=True)
        assert str(refused.value) == (
            "redacted, the run does not replay: event 5 recorded step flow:stamp (position 2), "
            "the body now makes the run's completion"
        )
        assert refused.value.hint == "it decides by what is redacted: `--keep greet`"
        view = await write(found, run_id, is_redacting=True, keep=["greet"])
        assert "yes" in view.history.text
    assert run_pytest(tmp_path).returncode == 0


FIELDS = """
    import wf


    @wf.step
    async def look(order: str) -> dict:
        return {"state": "open", "owner": {"name": "byron", "rank": 7}, "lines": [{"sku": "violin", "kind": "gift"}]}


    @wf.step
    async def ship(what: str) -> None: ...


    @wf.workflow
    async def flow(order: str) -> None:
        found = await look(order)
        if found["state"] == "open":
            for line in found["lines"]:
                if line["kind"] == "gift":
                    await ship(line["sku"])
        if found["owner"]["rank"] > 5:
            await ship(found["owner"]["name"])
"""


async def test_it_is_named_as_small_as_can_be(tmp_path: Path) -> None:
    async with recording(tmp_path, FIELDS) as found:
        run_id = await found.run("flow", "o1")
        with pytest.raises(ConflictError) as refused:
            await make(found, run_id, is_redacting=True)
        assert refused.value.hint == "it decides by what is redacted: `--keep look`"
        with pytest.raises(ConflictError) as refused:
            await make(found, run_id, is_redacting=True, keep=["look.state"])
        assert refused.value.hint == "it decides by what is redacted: `--keep look.lines.kind`"
        view = await write(found, run_id, is_redacting=True, keep=["look.state", "look.lines.kind"])
        assert "violin" not in view.history.text
        assert "byron" not in view.history.text
    assert run_pytest(tmp_path).returncode == 0


async def test_numbers_are_hidden_where_that_is_asked_for(tmp_path: Path) -> None:
    async with recording(tmp_path, FIELDS) as found:
        run_id = await found.run("flow", "o1")
        with pytest.raises(ConflictError, match="the body now makes the run's completion"):
            await make(found, run_id, hide=["look.owner"])
        view = await make(found, run_id, hide=["look.owner.name"])
        assert "byron" not in view.history.text
        assert "violin" in view.history.text


async def test_a_step_whose_values_are_redacted_has_no_test_of_its_own(tmp_path: Path) -> None:
    async with recording(tmp_path, FIELDS) as found:
        run_id = await found.run("flow", "o1")
        keep = ["look.state", "look.lines"]
        with pytest.raises(
            ConflictError, match="step 1 has a test of its own only with what it was really called with"
        ):
            await make(found, run_id, is_redacting=True, keep=keep, steps=["look"])
        view = await make(found, run_id, is_redacting=True, keep=keep, steps=["2"])
        assert 'flow.ship.func(what="violin")' in view.test.text


async def test_ids_and_keys_stay_and_are_told(tmp_path: Path) -> None:
    async with recording(tmp_path, FIELDS) as found:
        run = await found.start("flow", "lovelace-1", id="order-of-lovelace-1")
        await found.client.wait_for_end(run.run_id, 20)
        view = await make(found, run.run_id, is_redacting=True, keep=["look"])
        assert view.notes == ["still there, as an id, a name, a key, or a text of the code's own: 'lovelace-1'"]


async def test_keeping_without_redacting_is_a_misuse(tmp_path: Path) -> None:
    async with recording(tmp_path, FIELDS) as found:
        with pytest.raises(UsageError, match="keep goes with redact or hide"):
            await make(found, await found.run("flow", "o1"), keep=["look"])


async def test_a_body_that_fails_on_redacted_values_is_refused(tmp_path: Path) -> None:
    text = """
        import json
        import wf

        @wf.step
        async def look() -> str:
            return '{"a": true}'

        @wf.workflow
        async def flow() -> bool:
            return json.loads(await look())["a"]
    """
    async with recording(tmp_path, text) as found:
        with pytest.raises(ConflictError, match="recorded the run's completion, the body now makes the run's failure"):
            await make(found, await found.run("flow"), is_redacting=True)
