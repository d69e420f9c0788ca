"""What the engines play, in positions where there is no doubt."""

from __future__ import annotations

import chess
import pytest
from engines import PLAYERS, choose

START = chess.STARTING_FEN


@pytest.mark.parametrize("player", PLAYERS)
def test_a_mate_in_one_is_played(player: str) -> None:
    board = chess.Board("6k1/5ppp/8/8/8/8/5PPP/3R2K1 w - - 0 1")
    choice = choose(player, board.fen(), 7)
    board.push_uci(choice.move)
    assert (choice.san, board.is_checkmate()) == ("Rd8#", True)


@pytest.mark.parametrize("player", PLAYERS)
def test_a_queen_that_nobody_guards_is_taken(player: str) -> None:
    assert choose(player, "4k3/8/8/3q4/8/4N3/8/4K3 w - - 0 1", 7).san == "Nxd5"


@pytest.mark.parametrize("player", PLAYERS)
def test_a_pawn_is_not_taken_with_a_queen_that_would_be_lost(player: str) -> None:
    assert choose(player, "4k3/2p5/3p4/8/8/8/3Q4/4K3 w - - 0 1", 7).san != "Qxd6"


def test_the_thinker_sees_a_fork_that_the_grabber_does_not() -> None:
    position = "r3k3/8/8/3N4/8/8/8/4K3 w - - 0 1"  # the knight attacks king and rook from c7
    assert choose("thinker", position, 7).san == "Nc7+"
    assert choose("grabber", position, 7).score < choose("thinker", position, 7).score


@pytest.mark.parametrize("player", PLAYERS)
def test_the_same_position_and_seed_give_the_same_move(player: str) -> None:
    assert choose(player, START, 3) == choose(player, START, 3)


def test_another_seed_gives_another_game() -> None:
    assert len({choose("grabber", START, seed).move for seed in range(20)}) > 1


@pytest.mark.parametrize("player", PLAYERS)
def test_what_is_played_is_legal_whatever_the_position(player: str) -> None:
    board = chess.Board()
    for ply in range(40):
        if board.is_game_over():
            break
        move = chess.Move.from_uci(choose(player if ply % 2 else "grabber", board.fen(), ply).move)
        assert move in board.legal_moves
        board.push(move)


def test_an_unknown_player_is_refused() -> None:
    with pytest.raises(LookupError):
        choose("nobody", START, 1)
