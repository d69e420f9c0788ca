"""The documents' pictures of the studio: screenshots that the browser's tests take, made small.

    python -m tests.browser.pictures

goes through the studio once, as `test_studio.py` does, and writes `docs/pictures/NAME-{light,dark}.png` for each of
`PICTURES`. A screenshot has some thousand colours, most of them in the edges of letters; with the 256 most frequent
ones, and the nearest of these for all others, nobody sees a difference and the file is a third.
"""

from __future__ import annotations

import struct
import sys
import tempfile
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np

from tests.browser.stage import developing, drive
from tests.programs import ROOT, find_chromium, make_ready

FOLDER: Final = ROOT / "docs" / "pictures"
PICTURES: Final = {"timeline": "run-timeline", "time-travel": "run-code", "graph": "run-graph"}
"""Name in the documents: name among the screenshots."""

THEMES: Final = ("light", "dark")
COLOURS: Final = 256
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


def main() -> int:
    chromium = find_chromium()
    missing = make_ready() or ("there is no Chromium" if chromium is None else None)
    if missing is not None or chromium is None:
        print(f"no pictures: {missing}", file=sys.stderr)
        return 1
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        shots = Path(name) / "shots"
        shots.mkdir()
        with developing(Path(name)) as dev:
            drive(dev, chromium, shots)
        for picture, shot in PICTURES.items():
            for theme in THEMES:
                path = FOLDER / f"{picture}-{theme}.png"
                path.write_bytes(shrink((shots / f"{shot}-{theme}.png").read_bytes()))
                print(f"{path.relative_to(ROOT)}  {path.stat().st_size / 1000:.0f} KB")
    return 0


def shrink(png: bytes) -> bytes:
    """Give a picture as one with a palette."""
    pixels = read_png(png)
    height, width, _ = pixels.shape
    packed = pixels.reshape(-1, 3).astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
    colours, place, count = np.unique(packed, return_inverse=True, return_counts=True)
    kept = np.argsort(-count.astype(np.int64), kind="stable")[:COLOURS]
    palette = np.stack([colours[kept] >> 16, colours[kept] >> 8 & 255, colours[kept] & 255], 1).astype(np.int32)
    of_colour = np.empty(len(colours), np.uint8)
    for number, colour in enumerate(colours):
        distance = palette - np.array([colour >> 16, colour >> 8 & 255, colour & 255], np.int32)
        of_colour[number] = int(np.argmin((distance * distance).sum(1)))
    indices = of_colour[place].reshape(height, width)
    return write_png(indices, palette.astype(np.uint8))


def read_png(data: bytes) -> Pixels:
    """Read a PNG as browsers write it: 8 bits a channel, RGB or RGBA, not interlaced; any alpha is left out."""
    assert data[:8] == _SIGNATURE
    chunks: list[tuple[bytes, bytes]] = []
    at = 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += length + 12
    width, height, depth, kind, _, _, interlace = struct.unpack(">IIBBBBB", chunks[0][1])
    assert (depth, interlace) == (8, 0)
    size = {2: 3, 6: 4}[kind]
    packed = zlib.decompress(b"".join(body for name, body in chunks if name == b"IDAT"))
    stride = width * size
    rows = bytearray()
    before = bytearray(stride)
    for number in range(height):
        start = number * (stride + 1)
        before = _undo_filter(packed[start], bytearray(packed[start + 1 : start + 1 + stride]), before, size)
        rows += before
    return np.frombuffer(bytes(rows), np.uint8).reshape(height, width, size)[:, :, :3]


def _undo_filter(kind: int, row: bytearray, before: bytearray, size: int) -> bytearray:
    """Undo what PNG did to a row: the filters of its specification, section 9."""
    for at in range(len(row) if kind else 0):
        left = row[at - size] if at >= size else 0
        up = before[at]
        match kind:
            case 1:
                guess = left
            case 2:
                guess = up
            case 3:
                guess = (left + up) // 2
            case _:
                corner = before[at - size] if at >= size else 0
                sum_ = left + up - corner
                guess = min((left, up, corner), key=lambda value: abs(sum_ - value))
        row[at] = (row[at] + guess) & 255
    return row


def write_png(indices: Pixels, palette: Pixels) -> bytes:
    """Write a picture with a palette."""
    height, width = indices.shape
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    rows = np.zeros((height, width + 1), np.uint8)  # each row begins with its filter: none
    rows[:, 1:] = indices
    parts = [(b"IHDR", head), (b"PLTE", palette.tobytes()), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b"")]
    return _SIGNATURE + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in parts
    )


if __name__ == "__main__":
    sys.exit(main())
