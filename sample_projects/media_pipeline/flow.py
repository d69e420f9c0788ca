"""Makes a gallery of an album: every picture is scaled, softened and marked, all of them side by side.

    publish_album   one album: fan out over its pictures, make a contact sheet, publish, or take everything back
    publish_all     several albums as child runs, which share the darkroom

What passes between steps are names of files, never pictures: a log is no place for megabytes.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pictures

import wf

HERE = Path(__file__).resolve().parent
MEDIA = "media"
WIDTH = 900
THUMBNAIL = 180
DARKROOM = 2
"""Pictures that may be in the darkroom at once, of all albums together: softening one takes much memory."""


@dataclass
class Album:
    """What came of an album."""

    name: str
    release: str
    pictures: list[str]
    rejected: dict[str, str] = field(default_factory=dict)
    contact_sheet: str = ""
    bytes: int = 0


class UnreadablePicture(wf.FatalError):
    """A file is no picture. Another attempt would find the same, so it is fatal to its step, not to its album."""


class NothingToShow(wf.FatalError):
    """An album without a single picture is not published."""


# -- the workflows ------------------------------------------------------------------------------


@wf.workflow
async def publish_album(name: str, count: int = 24, quota_kb: int = 3000, media: str = MEDIA) -> Album:
    """Publish an album of `count` pictures, unless its gallery would take more than the quota.

    `media` is the folder for all files, relative to this file's.
    """
    await wf.set_attributes(album=name, stage="shooting")
    originals = await shoot(media, name, count)

    await wf.set_attributes(stage="developing")
    done, rejected = 0, dict[str, str]()

    async def develop_one(original: str) -> str | None:
        nonlocal done
        try:
            finished: str | None = await develop(media, name, original)
        except Exception as error:  # one bad picture is no reason to lose the others
            finished, rejected[original] = None, str(error)
        done += 1
        await tell({"done": done, "of": len(originals), "picture": original, "ok": finished is not None})
        return finished

    found = await asyncio.gather(*(develop_one(original) for original in originals))
    await end_telling()
    finished = [picture for picture in found if picture is not None]
    if not finished:
        raise NothingToShow(f"none of the {len(originals)} pictures of {name} could be developed")

    await wf.set_attributes(stage="publishing", pictures=str(len(finished)), rejected=str(len(rejected)))
    release = await name_release(name)
    async with wf.saga() as saga:
        saga.undo(delete_release, media, release)  # also what a `hang` that failed halfway has left
        await hang(media, name, release, finished)
        sheet = await make_contact_sheet(media, release, name)
        before = await find_release(media, name)
        saga.undo(set_release, media, name, before)
        await set_release(media, name, release)
        size = await inspect_release(media, release, quota_kb)
    await wf.set_attributes(stage="published")
    return Album(name, release, finished, rejected, sheet, size)


async def develop(media: str, album: str, original: str) -> str:
    """Scale a picture, soften it, mark it. `gather` runs many of these side by side."""
    await scale(media, album, original)
    async with wf.lock("darkroom", limit=DARKROOM):  # held over a step, by runs in any process, and across restarts
        await soften(media, album, original)
    return await mark(media, album, original)


@wf.workflow
async def publish_all(albums: list[str], count: int = 12, media: str = MEDIA) -> dict[str, str]:
    """Publish albums side by side, each as a run of its own; one that fails does not stop the others."""
    found = await asyncio.gather(
        *(publish_album(album, count=count, media=media) for album in albums), return_exceptions=True
    )
    return {
        album: one.release if isinstance(one, Album) else str(one) for album, one in zip(albums, found, strict=True)
    }


# -- steps: pictures ----------------------------------------------------------------------------
# Plain `def` steps run in threads, and Pillow lets other threads compute meanwhile.


@wf.step
def shoot(media: str, album: str, count: int) -> list[str]:
    """Take the pictures of an album (they are drawn); the last one's file is cut short by a faulty card."""
    folder = HERE / media / "originals" / album
    names = [f"{album}-{number:03}.jpg" for number in range(1, count + 1)]
    for number, name in enumerate(names):
        if not (folder / name).exists():
            pictures.draw_landscape(folder / name, int(sha256(f"{album} {number}".encode()).hexdigest()[:8], 16))
    if count > 1:
        pictures.shorten_file(folder / names[-1])
    return names


@wf.step
def scale(media: str, album: str, original: str) -> tuple[int, int]:
    """Scale a picture for the gallery, and give its size. Raises `UnreadablePicture`."""
    source, target = HERE / media / "originals" / album / original, HERE / media / "work" / album
    try:
        return pictures.resize(source, target / f"scaled-{original}", WIDTH)
    except pictures.Unreadable as error:
        raise UnreadablePicture(str(error)) from error


@wf.step(retry_delay="500ms")
def soften(media: str, album: str, original: str) -> None:
    folder = HERE / media / "work" / album
    pictures.glow(folder / f"scaled-{original}", folder / f"soft-{original}", radius=8)


@wf.step
def mark(media: str, album: str, original: str) -> str:
    """Write the album's name into a picture, make the small one for the contact sheet, and give the file's name."""
    folder = HERE / media / "work" / album
    pictures.watermark(folder / f"soft-{original}", folder / original, f"© {album}")
    pictures.resize(folder / original, folder / f"small-{original}", THUMBNAIL)
    return original


@wf.step
async def tell(progress: dict[str, object]) -> None:
    """Tell whoever reads the stream `progress`, now or later."""
    await wf.get_writable(dict, namespace="progress").write(progress)


@wf.step
async def end_telling() -> None:
    await wf.get_writable(dict, namespace="progress").close()


# -- steps: publishing ----------------------------------------------------------------------------
# A gallery is a folder `gallery/<release>`; `gallery/catalog.json` says which release an album shows. A release that
# is not in the catalog is seen by nobody, so publishing is one change of one file.


@wf.step
def name_release(album: str) -> str:
    """Name the release after the step, whose id is the same for every attempt and another in every run."""
    return f"{album}-{sha256(wf.get_step_metadata().step_id.encode()).hexdigest()[:8]}"


@wf.step
def hang(media: str, album: str, release: str, finished: list[str]) -> None:
    """Copy finished pictures into the release's folder."""
    work, target = HERE / media / "work" / album, HERE / media / "gallery" / release
    for picture in finished:
        for name in (picture, f"small-{picture}"):
            pictures.write(target / name, (work / name).read_bytes())


@wf.step
def make_contact_sheet(media: str, release: str, title: str) -> str:
    folder = HERE / media / "gallery" / release
    small = sorted(folder.glob("small-*.jpg"))
    pictures.contact_sheet(small, folder / "contact-sheet.jpg", columns=6, title=f"{title}, {len(small)} pictures")
    return str(folder / "contact-sheet.jpg")


@wf.step
def find_release(media: str, album: str) -> str | None:
    """Name the release that an album shows now."""
    found: str | None = read_catalog(media).get(album)
    return found


@wf.step(concurrency=1)  # it reads and writes one file that all albums share: one attempt at a time, in the whole world
def set_release(media: str, album: str, release: str | None) -> None:
    """Have an album show a release, or (None) nothing."""
    catalog = read_catalog(media)
    catalog.pop(album, None)
    if release is not None:
        catalog[album] = release
    pictures.write(HERE / media / "gallery" / "catalog.json", json.dumps(catalog, indent=2, sort_keys=True).encode())


def read_catalog(media: str) -> dict[str, str]:
    path = HERE / media / "gallery" / "catalog.json"
    catalog: dict[str, str] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return catalog


@wf.step
def inspect_release(media: str, release: str, quota_kb: int) -> int:
    """Open everything that was published, and give its size. Raises `FatalError` where that is over the quota."""
    folder = HERE / media / "gallery" / release
    files = [Path(entry.path) for entry in os.scandir(folder)]
    for file in files:
        pictures.read(file)
    size = sum(file.stat().st_size for file in files)
    if size > quota_kb * 1000:
        raise wf.FatalError(f"{release} takes {size / 1000:.0f} kB, and the quota is {quota_kb} kB")
    return size


@wf.step
def delete_release(media: str, release: str) -> None:
    shutil.rmtree(HERE / media / "gallery" / release, ignore_errors=True)
