"""Two engines play chess against each other, for ever.

    play    one game, move by move; its last step starts the next one, with colours changed

A game is a run of its own, so it has a log of its own and ends. What goes on for ever is the chain of them: each
game starts the next on the newest code, while games under way stay with the code that they fit.

The body keeps the board and decides. What costs time (choosing a move) or leaves something behind (the file
of a game, the next run) is a step.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

import chess
import chess.pgn
from engines import MATE, Choice, choose

import wf

HERE = Path(__file__).resolve().parent
SCORES = "games"
LONGEST_GAME = 240

OPENINGS = {
    "Italian Game": "e4 e5 Nf3 Nc6 Bc4 Bc5",
    "Ruy Lopez": "e4 e5 Nf3 Nc6 Bb5 a6",
    "Sicilian Defence": "e4 c5 Nf3 d6 d4 cxd4 Nxd4",
    "French Defence": "e4 e6 d4 d5 Nc3 Nf6",
    "Caro-Kann Defence": "e4 c6 d4 d5 Nc3 dxe4 Nxe4",
    "Queen's Gambit": "d4 d5 c4 e6 Nc3 Nf6",
    "King's Indian Defence": "d4 Nf6 c4 g6 Nc3 Bg7",
    "English Opening": "c4 e5 Nc3 Nf6 g3 d5",
}


@dataclass
class Game:
    """How a game ended."""

    result: str
    reason: str
    plies: int
    score: str
    next_game: str | None


@wf.workflow
async def play(
    series: str = "cup", number: int = 1, games: int | None = None, tempo: float = 0.5, directory: str = SCORES
) -> Game:
    """Play game `number` of a series, then start the next one, unless there were `games` of them.

    `tempo` is the pause between two moves, in seconds. `directory` is for the files of the games, relative to
    this file's folder.
    """
    white, black = ("thinker", "grabber") if number % 2 else ("grabber", "thinker")
    dice = wf.random()  # the run's own: the same at every replay, another one for every game
    opening = dice.choice(sorted(OPENINGS))
    await wf.set_attributes(series=series, game=str(number), white=white, black=black, opening=opening)

    board = chess.Board()
    for san in OPENINGS[opening].split():
        board.push_san(san)
    while board.outcome(claim_draw=True) is None and board.ply() < LONGEST_GAME:
        player = white if board.turn == chess.WHITE else black
        choice = await choose_move(player, board.fen(), dice.getrandbits(32))
        board.push_uci(choice.move)  # raises if an engine ever made up a move
        await wf.sleep(tempo)

    outcome = board.outcome(claim_draw=True)
    result = outcome.result() if outcome else "1/2-1/2"
    reason = outcome.termination.name.lower().replace("_", " ") if outcome else f"no end in {LONGEST_GAME} plies"
    await wf.set_attributes(result=result, reason=reason)
    moves = [move.uci() for move in board.move_stack]
    headers = {
        "Event": series,
        "Date": wf.now().strftime("%Y.%m.%d"),
        "Round": str(number),
        "White": white,
        "Black": black,
        "Result": result,
        "Opening": opening,
        "Termination": reason,
    }
    score = await write_score(headers, moves, directory)

    following = None
    if games is None or number < games:
        following = await start_next(series, number + 1, games, tempo, directory)
    return Game(result, reason, board.ply(), score, following)


@wf.step
async def choose_move(player: str, fen: str, seed: int) -> Choice:
    """Have an engine choose, and tell the stream `moves` what it plays."""
    # The engine computes: in a thread, so that other games go on meanwhile.
    choice = await asyncio.to_thread(choose, player, fen, seed)
    board = chess.Board(fen)
    dots = "." if board.turn == chess.WHITE else "..."
    thinks = "mate" if choice.score >= MATE else f"{choice.score / 100:+.2f}"
    line = f"{board.fullmove_number}{dots} {choice.san:<8} {player}, {thinks}\n"
    await wf.get_writable(str, namespace="moves").write(line)
    return choice


@wf.step
async def write_score(headers: dict[str, str], moves: list[str], directory: str) -> str:
    """Keep the game as PGN, which every chess program reads, end its stream, and give the file's name."""
    game = chess.pgn.Game.without_tag_roster()
    game.headers.update(headers)
    game.add_line(chess.Move.from_uci(move) for move in moves)
    # Named by the run, so that a fork of a game has a file of its own; renamed, so that there is never half a file.
    path = HERE / directory / f"{wf.get_workflow_metadata().run_id}.pgn"
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(f"{game}\n", "utf-8")
    os.replace(fresh, path)
    async with wf.get_writable(str, namespace="moves") as stream:
        await stream.write(f"{headers['Result']} {headers['Termination']}\n")
    return str(path)


@wf.step
async def start_next(series: str, number: int, games: int | None, tempo: float, directory: str) -> str:
    """Start the next game, on the newest code, and give its run's id."""
    # The id makes it one game however often this is attempted: killed after the start, the next attempt finds it.
    following = play.with_options(id=f"{series}-{number}", deployment="latest")
    run = await wf.start(following, series, number, games, tempo, directory)
    return run.run_id
