"""Two small chess engines of different style. Pure functions: a position and a seed in, a move out.

    grabber   takes the most that it can take, and lets nothing be taken; it has no plan
    thinker   looks two half-moves ahead by alpha-beta, and plays captures out before it judges

The same position and seed always give the same move, however fast or slow the machine is: an engine
counts moves, never seconds. So a step that is carried out again comes to what it came to before.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import chess

VALUES = {chess.PAWN: 100, chess.KNIGHT: 320, chess.BISHOP: 330, chess.ROOK: 500, chess.QUEEN: 900, chess.KING: 0}
MATE = 100_000
DEPTH = 1
"""Half-moves that the thinker looks ahead of its own move."""
LONGEST_EXCHANGE = 4
"""Captures in a row that it plays out behind them."""


@dataclass
class Choice:
    """What an engine plays, what it thinks of it (in hundredths of a pawn, for itself), and how much it looked at."""

    move: str
    san: str
    score: int
    positions: int


def choose(player: str, fen: str, seed: int) -> Choice:
    """Have a player choose a legal move. Raises `LookupError` for an unknown player."""
    board = chess.Board(fen)
    moves = sorted(board.legal_moves, key=chess.Move.uci)
    random.Random(seed).shuffle(moves)  # of moves that are equally good, another one each time
    move, score, positions = PLAYERS[player](board, moves)
    return Choice(move.uci(), board.san(move), score, positions)


# -- the grabber ----------------------------------------------------------------------------------


def grab(board: chess.Board, moves: list[chess.Move]) -> tuple[chess.Move, int, int]:
    """Take what this move brings, less what the next one can cost. Plans it has none."""
    positions = 0
    best, best_score = moves[0], -2 * MATE
    for move in moves:
        score = loot(board, move) + placement(board, move)
        board.push(move)
        if board.is_checkmate():
            score = MATE
        else:
            replies = [loot(board, reply) for reply in board.generate_legal_captures()]
            positions += len(replies)
            score -= max(replies, default=0)
        board.pop()
        if score > best_score:
            best, best_score = move, score
    return best, best_score, positions + len(moves)


def loot(board: chess.Board, move: chess.Move) -> int:
    """Weigh a move by what it takes, and by what it puts where it can be taken."""
    taken = VALUES[chess.PAWN] if board.is_en_passant(move) else value_at(board, move.to_square)
    if move.promotion:
        taken += VALUES[move.promotion] - VALUES[chess.PAWN]
    is_guarded = board.is_attacked_by(not board.turn, move.to_square)
    return taken - (value_at(board, move.from_square) if is_guarded else 0) if taken else 0


def placement(board: chess.Board, move: chess.Move) -> int:
    """Prefer castling and the middle of the board a little, so that it does not shuffle about."""
    if board.is_castling(move):
        return 40
    return middle(move.to_square) - middle(move.from_square)


# -- the thinker ----------------------------------------------------------------------------------


def think(board: chess.Board, moves: list[chess.Move]) -> tuple[chess.Move, int, int]:
    """Look ahead by alpha-beta: neither side is believed to overlook anything within `DEPTH`."""
    search = Search(board)
    best, best_score = moves[0], -2 * MATE
    for move in search.most_forcing_first(moves):
        board.push(move)
        score = -search.look(DEPTH, -2 * MATE, -best_score)
        board.pop()
        if score > best_score:
            best, best_score = move, score
    return best, best_score, search.positions


class Search:
    """One search, with the number of positions that it looked at."""

    def __init__(self, board: chess.Board) -> None:
        self.board = board
        self.positions = 0

    def look(self, depth: int, low: int, high: int) -> int:
        """Judge the position for whoever moves, as far as it lies between `low` and `high`."""
        board = self.board
        self.positions += 1
        if board.is_insufficient_material() or board.halfmove_clock >= 100 or board.is_repetition(2):
            return 0
        if depth == 0:
            return self.settle(LONGEST_EXCHANGE, low, high)
        moves = self.most_forcing_first(board.legal_moves)
        if not moves:
            return -(MATE + depth) if board.is_check() else 0  # an earlier mate is the better one
        for move in moves:
            board.push(move)
            low = max(low, -self.look(depth - 1, -high, -low))
            board.pop()
            if low >= high:
                break
        return low

    def settle(self, left: int, low: int, high: int) -> int:
        """Play captures out, or stand still: a queen that can be taken back is not won."""
        self.positions += 1
        low = max(low, balance(self.board))
        if left == 0 or low >= high:
            return low
        for move in self.most_forcing_first(self.board.generate_legal_captures()):
            self.board.push(move)
            low = max(low, -self.settle(left - 1, -high, -low))
            self.board.pop()
            if low >= high:
                break
        return low

    def most_forcing_first(self, moves: Iterable[chess.Move]) -> list[chess.Move]:
        """Sort by what is taken, by how little: what decides early cuts off the rest."""
        board = self.board

        def force(move: chess.Move) -> int:
            taken = value_at(board, move.to_square)
            return -(10 * taken - (value_at(board, move.from_square) if taken else 0)) - 5000 * bool(move.promotion)

        return sorted(moves, key=force)


def balance(board: chess.Board) -> int:
    """Judge a quiet position for whoever moves: material, and where the pieces stand."""
    score = 0
    for square, piece in board.piece_map().items():
        worth = VALUES[piece.piece_type] + standing(piece, square)
        score += worth if piece.color == board.turn else -worth
    return score


def standing(piece: chess.Piece, square: chess.Square) -> int:
    if piece.piece_type == chess.PAWN:
        rank = chess.square_rank(square)
        advance = rank - 1 if piece.color else 6 - rank
        return advance * advance * 2 + middle(square)
    if piece.piece_type == chess.KING:
        return -2 * middle(square)
    return 3 * middle(square)


def middle(square: chess.Square) -> int:
    """Give 0 in a corner, and 6 on the four squares in the middle."""
    file, rank = chess.square_file(square), chess.square_rank(square)
    return min(file, 7 - file) + min(rank, 7 - rank)


def value_at(board: chess.Board, square: chess.Square) -> int:
    kind = board.piece_type_at(square)
    return VALUES[kind] if kind else 0


PLAYERS: dict[str, Callable[[chess.Board, list[chess.Move]], tuple[chess.Move, int, int]]] = {
    "grabber": grab,
    "thinker": think,
}
