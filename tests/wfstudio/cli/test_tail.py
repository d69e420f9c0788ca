"""`wf logs` and `wf stream`."""

from __future__ import annotations

from tests.wfstudio.cli.conftest import Serving, Wf, World
from tests.wfstudio.studio import rest


def test_logs_show_what_steps_printed_and_logged(wf_cli: Wf, world: World) -> None:
    shown = wf_cli("logs", world.completed, "--world", world.url)
    lines = [line.partition("Z ")[2] for line in shown.out.splitlines()]
    assert lines == [
        "2:1 greeting ada",
        "2:1 WARNING about ada",
        "3:1 greeting ada",
        "3:1 WARNING about ada",
    ]
    lines = wf_cli("logs", world.completed, "--jsonl", "--world", world.url).jsonl
    assert [(line["attempt"], line["source"], line["text"]) for line in lines[:2]] == [
        (1, "stdout", "greeting ada"),
        (1, "logging:WARNING", "about ada"),
    ]


def test_a_run_that_printed_nothing_says_so(wf_cli: Wf, world: World) -> None:
    assert wf_cli("logs", world.sleeping, "--world", world.url) == (0, "", "the run's steps printed nothing\n")


def test_lines_and_chunks_are_one_value_for_a_program(wf_cli: Wf, world: World) -> None:
    where = ("--world", world.url)
    assert wf_cli("logs", world.completed, "--json", *where).json["items"] == (
        wf_cli("logs", world.completed, "--jsonl", *where).jsonl
    )
    assert wf_cli("logs", world.sleeping, "--json", *where) == (0, '{"items":[]}\n', "")
    assert wf_cli("stream", world.streamed, "--json", *where).json["items"] == (
        wf_cli("stream", world.streamed, "--jsonl", *where).jsonl
    )
    for command in ("logs", "stream"):
        told = wf_cli(command, world.streamed, "-f", "--json", *where)
        assert (told.code, told.err.splitlines()[:2]) == (
            2,
            ["--json is one value, and --follow goes on", "  fix: `--jsonl`: a value a line"],
        )


def test_following_logs_ends_with_the_run(wf_cli: Wf, world: World) -> None:
    followed = wf_cli("logs", world.completed, "-f", "--world", world.url)
    assert followed == wf_cli("logs", world.completed, "--world", world.url)


def test_a_stream_is_shown_chunk_by_chunk(wf_cli: Wf, world: World) -> None:
    shown = wf_cli("stream", world.streamed, "--world", world.url)
    assert shown.out == '{"n":0}\n{"n":1}\n{"n":2}\n'
    assert wf_cli("stream", world.streamed, "default", "--start", "-1", "--world", world.url).out == '{"n":2}\n'
    [chunk] = wf_cli("stream", world.streamed, "--start", "2", "--jsonl", "--world", world.url).jsonl
    assert (chunk["index"], chunk["value"]) == (2, {"n": 2})


def test_a_run_without_a_stream_says_so(wf_cli: Wf, world: World) -> None:
    assert wf_cli("stream", world.completed, "--world", world.url) == (0, "", "the run has written no stream\n")


def test_an_unknown_stream_is_suggested(wf_cli: Wf, world: World) -> None:
    told = wf_cli("stream", world.streamed, "defualt", "--world", world.url)
    assert (told.code, told.err.splitlines()[:2]) == (
        1,
        ["the run has no stream 'defualt'", "  fix: did you mean `default`?"],
    )


def test_following_a_stream_ends_when_it_is_closed(wf_cli: Wf, serving: Serving) -> None:
    async def begin(client):
        run = await client.start("stream", [2], {"is_closing": False, "waits_for": "more"})
        return (await rest(client, run.id, "waiting for hook")).id

    async def go_on(client):
        await client.resume("more", None)

    run_id = serving.do(begin)
    going_on = serving.begin(go_on)
    followed = wf_cli("stream", run_id, "-f", "--world", serving.url)
    going_on.result(10)
    assert followed.out == '{"n":0}\n{"n":1}\n{"n":0}\n{"n":1}\n'
