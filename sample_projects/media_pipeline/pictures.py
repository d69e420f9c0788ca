"""Pictures: what is done to one of them, by Pillow. Plain functions on files; nothing here knows of workflows.

Every function that writes gives the same file for the same arguments, and puts it in place by a rename: a process
that is killed halfway leaves no half of a picture under its name.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont, UnidentifiedImageError

ORIGINAL = (1200, 800)
QUALITY = 88
GAP = 12
CAPTION = 18


class Unreadable(Exception):
    """A file is no picture, or half of one."""


def draw_landscape(target: Path, seed: int, size: tuple[int, int] = ORIGINAL) -> None:
    """Draw a landscape that nobody has seen: sky, sun, and hills in the mist."""
    dice = random.Random(seed)
    width, height = size
    dusk = tuple(dice.randint(120, 250) for _ in range(3))
    noon = tuple(dice.randint(20, 160) for _ in range(3))
    mask = Image.linear_gradient("L").resize(size)
    picture = Image.composite(Image.new("RGB", size, dusk), Image.new("RGB", size, noon), mask)
    draw = ImageDraw.Draw(picture)
    x, y, radius = dice.randrange(width), dice.randrange(height // 2), height // dice.randint(8, 16)
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(255, 244, dice.randint(180, 235)))
    for layer in range(4):
        ground = height * (0.45 + 0.14 * layer)
        ridge, level = [], 0.0
        for step in range(49):
            level = 0.8 * level + dice.uniform(-1, 1) * height * 0.05
            ridge.append((step * width / 48, ground + level))
        shade = tuple(int(part * (0.75 - 0.17 * layer)) for part in dusk)
        draw.polygon([*ridge, (width, height), (0, height)], fill=shade)
    grain = Image.frombytes("L", (width // 4, height // 4), dice.randbytes((width // 4) * (height // 4)))
    mist = grain.filter(ImageFilter.GaussianBlur(6)).resize(size).convert("RGB")
    save(ImageChops.overlay(picture, mist), target)


def shorten_file(path: Path, share: float = 0.3) -> None:
    """Leave only the beginning of a file, as a card that was pulled out too early does."""
    content = path.read_bytes()
    if content.endswith(b"\xff\xd9"):  # a whole JPEG ends so; one that was cut already stays as it is
        write(path, content[: int(len(content) * share)])


def read(path: Path) -> Image.Image:
    """Open a picture and read all of it. Raises `Unreadable`."""
    try:
        with Image.open(path) as picture:
            picture.load()
            return picture.convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise Unreadable(f"{path.name}: {error}") from None


def resize(source: Path, target: Path, width: int) -> tuple[int, int]:
    """Scale a picture to a width, and give its size."""
    picture = read(source)
    height = round(picture.height * width / picture.width)
    save(picture.resize((width, height), Image.Resampling.LANCZOS), target)
    return width, height


def glow(source: Path, target: Path, radius: int) -> None:
    """Lay a blurred copy of a picture over it, as a soft lens does."""
    picture = read(source)
    smooth = picture.filter(ImageFilter.MedianFilter(5)).filter(ImageFilter.GaussianBlur(radius))
    save(Image.blend(picture, ImageChops.screen(picture, smooth), 0.35), target)


def watermark(source: Path, target: Path, text: str) -> None:
    """Write a text into the lower right corner, so that it can be read on light and dark."""
    picture = read(source)
    font = ImageFont.load_default(max(12, picture.width // 40))
    layer = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    place = (picture.width - right + left - 2 * GAP, picture.height - bottom + top - 2 * GAP)
    draw.text(place, text, font=font, fill=(255, 255, 255, 170), stroke_width=1, stroke_fill=(0, 0, 0, 120))
    save(Image.alpha_composite(picture.convert("RGBA"), layer).convert("RGB"), target)


def contact_sheet(sources: Sequence[Path], target: Path, columns: int, title: str) -> tuple[int, int]:
    """Put small pictures into a grid with their names below them, and give the sheet's size."""
    small = [(path, read(path)) for path in sources]
    width = max(picture.width for _, picture in small)
    height = max(picture.height for _, picture in small)
    rows = -(-len(small) // columns)
    size = (columns * (width + GAP) + GAP, rows * (height + GAP + CAPTION) + 2 * GAP + CAPTION)
    sheet = Image.new("RGB", size, (250, 249, 246))
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(CAPTION - 5)
    draw.text((GAP, GAP), title, font=font, fill=(30, 30, 30))
    for number, (path, picture) in enumerate(small):
        row, column = divmod(number, columns)
        x, y = GAP + column * (width + GAP), 2 * GAP + CAPTION + row * (height + GAP + CAPTION)
        sheet.paste(picture, (x, y))
        draw.text((x, y + height + 2), path.stem.removeprefix("small-"), font=font, fill=(90, 90, 90))
    save(sheet, target)
    return size


def save(picture: Image.Image, target: Path) -> None:
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY)
    write(target, buffer.getvalue())


def write(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.new")
    fresh.write_bytes(content)
    os.replace(fresh, target)
