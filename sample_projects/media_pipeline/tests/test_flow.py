"""Albums of small pictures, published and taken back."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import flow
import pictures
import pytest
from PIL import Image

import wf


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures.draw_landscape, "__defaults__", ((120, 80),))
    monkeypatch.setattr(flow, "WIDTH", 60)
    monkeypatch.setattr(flow, "THUMBNAIL", 30)


def catalog(media: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((media / "gallery" / "catalog.json").read_text("utf-8"))
    return found


def releases(media: Path) -> list[str]:
    return sorted(path.name for path in (media / "gallery").iterdir() if path.is_dir())


async def test_an_album_is_published_without_the_picture_that_cannot_be_read(wf_env: Any, tmp_path: Path) -> None:
    album = await wf_env.run(flow.publish_album, "alps", 5, media=str(tmp_path))
    assert album.pictures == [f"alps-{number:03}.jpg" for number in (1, 2, 3, 4)]
    assert album.rejected == {"alps-005.jpg": album.rejected["alps-005.jpg"]}
    assert "truncated" in album.rejected["alps-005.jpg"]
    assert catalog(tmp_path) == {"alps": album.release}
    folder = tmp_path / "gallery" / album.release
    assert sorted(path.name for path in folder.glob("alps-*")) == album.pictures
    assert album.bytes == sum(path.stat().st_size for path in folder.iterdir())
    with Image.open(album.contact_sheet) as sheet:
        assert sheet.width > 4 * 30
    with Image.open(folder / "alps-001.jpg") as picture:
        assert picture.size == (60, 40)


async def test_a_picture_that_cannot_be_read_is_tried_once_and_another_error_again(wf_env: Any, tmp_path: Path) -> None:
    attempts = []

    def soften(media: str, album: str, original: str) -> None:
        attempts.append(original)
        if attempts.count(original) == 1:
            raise OSError("no room")
        flow.soften.func(media, album, original)

    wf_env.mock(flow.soften, soften)
    album = await wf_env.run(flow.publish_album, "alps", 3, media=str(tmp_path))
    assert len(album.pictures) == 2
    assert sorted(attempts) == ["alps-001.jpg"] * 2 + ["alps-002.jpg"] * 2


async def test_progress_counts_every_picture_once_and_ends(wf_env: Any, tmp_path: Path) -> None:
    run = await wf_env.start(flow.publish_album, "alps", 4, media=str(tmp_path))
    told = [progress async for progress in run.readable("progress")]
    assert [(progress["done"], progress["of"]) for progress in told] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert sorted(progress["picture"] for progress in told if progress["ok"]) == [f"alps-00{n}.jpg" for n in (1, 2, 3)]
    await run.return_value()
    assert await run.attributes() == {"album": "alps", "stage": "published", "pictures": "3", "rejected": "1"}


async def test_an_album_over_its_quota_leaves_nothing(wf_env: Any, tmp_path: Path) -> None:
    with pytest.raises(wf.WorkflowRunFailedError, match="the quota is 1 kB"):
        await wf_env.run(flow.publish_album, "alps", 4, 1, str(tmp_path))
    assert catalog(tmp_path) == {}
    assert releases(tmp_path) == []


async def test_an_album_that_was_published_before_is_shown_again_when_the_new_one_fails(
    wf_env: Any, tmp_path: Path
) -> None:
    first = await wf_env.run(flow.publish_album, "alps", 3, media=str(tmp_path))
    wf_env.mock(flow.inspect_release, wf.FatalError("too dark"))
    with pytest.raises(wf.WorkflowRunFailedError, match="too dark"):
        await wf_env.run(flow.publish_album, "alps", 4, media=str(tmp_path))
    assert catalog(tmp_path) == {"alps": first.release}
    assert releases(tmp_path) == [first.release]


async def test_a_cancelled_album_is_taken_back(wf_env: Any, tmp_path: Path) -> None:
    is_public = asyncio.Event()

    async def inspect(media: str, release: str, quota_kb: int) -> int:
        is_public.set()
        raise wf.RetryableError("the inspector is out", retry_after="1d")

    wf_env.mock(flow.inspect_release, inspect)
    run = await wf_env.start(flow.publish_album, "alps", 3, media=str(tmp_path))
    await is_public.wait()
    assert list(catalog(tmp_path)) == ["alps"]
    await run.cancel("another album comes first")
    with pytest.raises(wf.WorkflowRunCancelledError):
        await run.return_value()
    assert (catalog(tmp_path), releases(tmp_path)) == ({}, [])


async def test_nothing_to_show_is_not_published(wf_env: Any, tmp_path: Path) -> None:
    wf_env.mock(flow.scale, flow.UnreadablePicture("blank"))
    with pytest.raises(wf.WorkflowRunFailedError, match="none of the 3 pictures of alps could be developed"):
        await wf_env.run(flow.publish_album, "alps", 3, media=str(tmp_path))
    assert not (tmp_path / "gallery").exists()


async def test_albums_share_the_darkroom_and_all_get_into_the_catalog(wf_env: Any, tmp_path: Path) -> None:
    inside, most, guard, is_full = 0, 0, threading.Lock(), threading.Event()

    def soften(media: str, album: str, original: str) -> None:
        nonlocal inside, most
        with guard:
            inside += 1
            most = max(most, inside)
            if inside == flow.DARKROOM:
                is_full.set()
        assert is_full.wait(20)
        flow.soften.func(media, album, original)
        with guard:
            inside -= 1

    wf_env.mock(flow.soften, soften)
    found = await wf_env.run(flow.publish_all, ["alps", "coast", "dunes"], 4, str(tmp_path))
    assert catalog(tmp_path) == found
    assert list(found) == ["alps", "coast", "dunes"]
    assert most == flow.DARKROOM


async def test_one_album_that_fails_does_not_stop_the_others(wf_env: Any, tmp_path: Path) -> None:
    def hang(media: str, album: str, release: str, finished: list[str]) -> None:
        if album == "coast":
            raise wf.FatalError("no nail")
        flow.hang.func(media, album, release, finished)

    wf_env.mock(flow.hang, hang)
    found = await wf_env.run(flow.publish_all, ["alps", "coast"], 3, str(tmp_path))
    assert found["coast"] == "no nail"
    assert catalog(tmp_path) == {"alps": found["alps"]}


async def test_a_recorded_album_still_fits_todays_code(wf_env: Any, tmp_path: Path) -> None:
    run = await wf_env.start(flow.publish_album, "alps", 3, media=str(tmp_path))
    await run.return_value()
    wf_env.replay(wf.testing.record(run, tmp_path / "publish_album.history.json"))
