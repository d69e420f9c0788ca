"""What is done to single pictures, looked at pixel by pixel where that says it."""

from __future__ import annotations

from pathlib import Path

import pictures
import pytest
from PIL import Image, ImageChops, ImageStat

SIZE = (240, 160)


@pytest.fixture
def original(tmp_path: Path) -> Path:
    path = tmp_path / "one.jpg"
    pictures.draw_landscape(path, 7, SIZE)
    return path


def difference(one: Path, other: Path) -> float:
    with Image.open(one) as a, Image.open(other) as b:
        return sum(ImageStat.Stat(ImageChops.difference(a.convert("RGB"), b.convert("RGB"))).mean)


def test_a_seed_gives_the_same_landscape_each_time_and_another_seed_another(tmp_path: Path, original: Path) -> None:
    pictures.draw_landscape(tmp_path / "again.jpg", 7, SIZE)
    pictures.draw_landscape(tmp_path / "other.jpg", 8, SIZE)
    assert (tmp_path / "again.jpg").read_bytes() == original.read_bytes()
    assert difference(tmp_path / "other.jpg", original) > 30


def test_scaling_keeps_the_proportions(tmp_path: Path, original: Path) -> None:
    assert pictures.resize(original, tmp_path / "small.jpg", 60) == (60, 40)
    with Image.open(tmp_path / "small.jpg") as small:
        assert (small.size, small.format) == ((60, 40), "JPEG")


def test_a_glow_makes_a_picture_lighter_and_softer(tmp_path: Path, original: Path) -> None:
    pictures.glow(original, tmp_path / "soft.jpg", 4)
    with Image.open(original) as before, Image.open(tmp_path / "soft.jpg") as after:
        assert ImageStat.Stat(after.convert("L")).mean > ImageStat.Stat(before.convert("L")).mean


def test_a_watermark_is_in_the_corner_and_nowhere_else(tmp_path: Path, original: Path) -> None:
    pictures.watermark(original, tmp_path / "marked.jpg", "© ada")
    with Image.open(original) as before, Image.open(tmp_path / "marked.jpg") as after:
        changed = ImageChops.difference(before.convert("L"), after.convert("L")).point(lambda level: 255 * (level > 40))
    box = changed.getbbox()
    assert box is not None
    left, top, right, bottom = box
    assert left > SIZE[0] // 2
    assert top > SIZE[1] // 2
    assert (right, bottom) < SIZE


def test_a_contact_sheet_has_a_place_for_each_picture(tmp_path: Path, original: Path) -> None:
    names = [tmp_path / f"small-{number}.jpg" for number in range(7)]
    for name in names:
        pictures.resize(original, name, 60)
    size = pictures.contact_sheet(names, tmp_path / "sheet.jpg", 3, "seven")
    with Image.open(tmp_path / "sheet.jpg") as sheet:
        assert sheet.size == size == (3 * 72 + 12, 3 * (40 + 12 + 18) + 42)


def test_half_a_file_is_unreadable_and_is_not_cut_again(original: Path) -> None:
    pictures.shorten_file(original)
    size = original.stat().st_size
    pictures.shorten_file(original)
    assert original.stat().st_size == size
    with pytest.raises(pictures.Unreadable, match=r"one\.jpg: image file is truncated"):
        pictures.read(original)


def test_no_picture_at_all_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "note.jpg").write_text("buy milk")
    with pytest.raises(pictures.Unreadable, match=r"note\.jpg: cannot identify"):
        pictures.read(tmp_path / "note.jpg")


def test_a_write_that_fails_leaves_the_file_that_was_there(tmp_path: Path, original: Path) -> None:
    before = original.read_bytes()
    with pytest.raises(FileNotFoundError):
        pictures.resize(tmp_path / "gone.jpg", original, 10)
    assert original.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["one.jpg"]
