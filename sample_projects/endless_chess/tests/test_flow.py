"""Games in no time: the clock jumps over the pauses, and some games are scripted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import chess
import chess.pgn
import flow
import pytest
from engines import Choice

import wf


@pytest.fixture
def scholars_mate(wf_env: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have White mate on the fourth move."""
    monkeypatch.setattr(flow, "OPENINGS", {"Scripted": "e4 e5"})
    script = iter("Qh5 Nc6 Bc4 Nf6 Qxf7".split() * 5)

    def play(player: str, fen: str, seed: int) -> Choice:
        board = chess.Board(fen)
        san = next(script)
        return Choice(board.parse_san(san).uci(), san, 0, 1)

    wf_env.mock(flow.choose_move, play)


def read_score(path: str) -> chess.pgn.Game:
    with open(path, encoding="utf-8") as file:
        game = chess.pgn.read_game(file)
    assert game is not None
    assert game.errors == []
    return game


async def test_two_real_games_follow_each_other_with_colours_changed(
    wf_env: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "LONGEST_GAME", 14)
    run = await wf_env.start(flow.play.with_options(id="cup-1"), "cup", 1, 2, 0.5, str(tmp_path))
    first = await run.return_value()
    assert first.next_game == "cup-2"
    second = await wf.get_run("cup-2").return_value()
    assert second.next_game is None
    for name, white in (("cup-1", "thinker"), ("cup-2", "grabber")):
        game = read_score(str(tmp_path / f"{name}.pgn"))
        assert game.headers["White"] == white
        assert game.end().board().ply() == len(list(game.mainline_moves())) == 14
        attributes = await wf.get_run(name).attributes()
        assert (attributes["result"], attributes["reason"]) == ("1/2-1/2", "no end in 14 plies")


@pytest.mark.usefixtures("scholars_mate")
async def test_a_mate_ends_a_game_and_is_kept(wf_env: Any, tmp_path: Path) -> None:
    game = await wf_env.run(flow.play, "cup", 1, 1, 0.5, str(tmp_path))
    assert (game.result, game.reason, game.plies) == ("1-0", "checkmate", 7)
    headers = read_score(game.score).headers
    assert (headers["Result"], headers["Event"], headers["Round"]) == ("1-0", "cup", "1")


@pytest.mark.usefixtures("scholars_mate")
async def test_a_series_without_an_end_goes_on_until_it_is_cancelled(wf_env: Any, tmp_path: Path) -> None:
    run = await wf_env.start(flow.play.with_options(id="cup-1"), directory=str(tmp_path))
    assert (await run.return_value()).next_game == "cup-2"
    assert (await wf.get_run("cup-2").return_value()).next_game == "cup-3"
    third = wf.get_run("cup-3")
    await wf_env.wait_for_sleep(third)
    await third.cancel("enough")
    with pytest.raises(wf.WorkflowRunCancelledError):
        await third.return_value()
    assert [found.run_id async for found in wf.list_runs(attributes={"series": "cup"})] == ["cup-3", "cup-2", "cup-1"]


@pytest.mark.usefixtures("scholars_mate")
async def test_the_start_of_the_next_game_may_be_attempted_twice(wf_env: Any, tmp_path: Path) -> None:
    async def start_and_lose_the_answer(*args: Any) -> str:
        found: str = await flow.start_next.func(*args)
        if wf.get_step_metadata().attempt == 1:
            raise ConnectionError("lost")
        return found

    wf_env.mock(flow.start_next, start_and_lose_the_answer)
    await wf_env.run(flow.play.with_options(id="cup-1"), "cup", 1, 2, 1.0, str(tmp_path))
    await wf.get_run("cup-2").return_value()
    assert len((await wf.list_runs()).items) == 2


async def test_an_illegal_move_fails_the_game(wf_env: Any, tmp_path: Path) -> None:
    wf_env.mock(flow.choose_move, Choice("e2e5", "e5", 0, 1))
    with pytest.raises(wf.WorkflowRunFailedError, match="illegal uci"):
        await wf_env.run(flow.play, directory=str(tmp_path))


async def test_moves_are_streamed_as_they_are_played(
    wf_env: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "OPENINGS", {"Scripted": "e4 e5"})
    monkeypatch.setattr(flow, "LONGEST_GAME", 5)
    run = await wf_env.start(flow.play, "cup", 1, 1, 1.0, str(tmp_path))
    lines = [line async for line in run.readable("moves")]
    assert [line.split()[0] for line in lines] == ["2.", "2...", "3.", "1/2-1/2"]
    assert "thinker" in lines[0]
    assert "grabber" in lines[1]


async def test_a_recorded_game_still_fits_todays_code(
    wf_env: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "LONGEST_GAME", 12)
    run = await wf_env.start(flow.play, "cup", 1, 1, 1.0, str(tmp_path))
    await run.return_value()
    wf_env.replay(wf.testing.record(run, tmp_path / "play.history.json"))
