"""The documents' pictures: there in both themes, small, and what the README shows."""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from tests.browser.pictures import FOLDER, PICTURES, THEMES, read_png, shrink, write_png
from tests.pages import ROOT

FILES = [FOLDER / f"{name}-{theme}.png" for name in PICTURES for theme in THEMES]
LARGEST = 200_000


def test_there_are_these_pictures_and_no_others() -> None:
    assert sorted(FOLDER.iterdir()) == sorted(FILES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_picture_is_small_and_wide_enough_to_be_read(path: Path) -> None:
    data = path.read_bytes()
    assert len(data) < LARGEST
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", data[16:24])
    assert (width, height) == (1360, 860)


def test_the_readme_shows_one_in_the_readers_theme_and_says_what_is_on_it() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    picture = re.search(r"<picture>(.*?)</picture>", readme, re.DOTALL)
    assert picture is not None
    shown = re.findall(r'(?:srcset|src)="([^"]+)"', picture[1])
    assert shown == ["docs/pictures/timeline-dark.png", "docs/pictures/timeline-light.png"]
    assert all((ROOT / path).is_file() for path in shown)
    assert '(prefers-color-scheme: dark)" srcset="docs/pictures/timeline-dark.png"' in picture[1]
    alt = re.search(r'alt="([^"]{40,})"', picture[1])
    assert alt is not None


def test_every_picture_is_shown_somewhere() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    shown = set(
        re.findall(r'(?:srcset|src)="(?:docs/)?pictures/([^"]+)"', "".join(p.read_text("utf-8") for p in pages))
    )
    assert shown == {path.name for path in FILES}


def make_png(pixels: np.ndarray, kind: int) -> bytes:
    """Write RGB with one filter in all rows, as browsers may."""
    height, width, _ = pixels.shape
    rows = b""
    before = bytes(width * 3)
    for row in pixels:
        now = row.tobytes()
        left = bytes(3) + now[:-3]
        corner = bytes(3) + before[:-3]
        guesses = {
            0: bytes(len(now)),
            1: left,
            2: before,
            3: bytes((a + b) // 2 for a, b in zip(left, before, strict=True)),
            4: bytes(
                min((a, b, c), key=lambda v, s=a + b - c: abs(s - v))
                for a, b, c in zip(left, before, corner, strict=True)
            ),
        }
        rows += bytes([kind]) + bytes((x - y) % 256 for x, y in zip(now, guesses[kind], strict=True))
        before = now
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in parts
    )


@pytest.mark.parametrize("kind", range(5))
def test_a_screenshot_is_read_whatever_its_filters(kind: int) -> None:
    pixels = np.random.default_rng(kind).integers(0, 256, (7, 9, 3), np.uint8)
    assert (read_png(make_png(pixels, kind)) == pixels).all()


def test_a_picture_of_few_colours_stays_as_it_is_and_one_of_many_gets_the_nearest() -> None:
    few = np.random.default_rng(1).integers(0, 4, (20, 20, 3), np.uint8) * 60
    assert (read_palette(shrink(make_png(few, 0))) == few).all()
    many = np.random.default_rng(2).integers(0, 256, (40, 40, 3), np.uint8)
    shown = read_palette(shrink(make_png(many, 0)))
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) <= 256
    assert np.abs(shown.astype(int) - many.astype(int)).mean() < 45


def read_palette(data: bytes) -> np.ndarray:
    chunks, at = {}, 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        chunks[data[at + 4 : at + 8]] = data[at + 8 : at + 8 + length]
        at += length + 12
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    return np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3)[rows[:, 1:]]


def test_what_is_written_can_be_read() -> None:
    indices = np.array([[0, 1], [1, 0]], np.uint8)
    palette = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
    assert (read_palette(write_png(indices, palette)) == palette[indices]).all()
