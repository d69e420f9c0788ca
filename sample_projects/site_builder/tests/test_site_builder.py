"""The site builder, in no time: the clock jumps over retries, and over the seven days of silence."""

from __future__ import annotations

import zlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import flow
import pytest
from flow import Approval

import wf

PAGES = ["about.html", "index.html", "note-g.html", "on-looms.html", "photo.png"]


async def build(wf_env: Any, public: Path, answer: Approval, user_id: str = "ada") -> dict[str, Any]:
    """Run `build_site` to its end, with this answer from the reviewer."""
    run = await wf_env.start(flow.build_site, user_id, str(public))
    hook = await wf_env.wait_for_hook(run)
    await answer.resume(hook)
    result: dict[str, Any] = await run.return_value()
    return result


def published(public: Path, user_id: str = "ada") -> list[str]:
    return sorted(path.name for path in (public / user_id).glob("*"))


def releases(public: Path) -> int:
    return len(list((public / ".releases").iterdir()))


async def test_an_approved_site_is_published(wf_env: Any, tmp_path: Path) -> None:
    result = await build(wf_env, tmp_path, Approval(approved=True, comment="fine"))
    assert (result["published"], result["comment"]) == (True, "fine")
    assert result["site"] == str(tmp_path / "ada" / "index.html")
    assert sorted(Path(path).name for path in result["files"]) == PAGES == published(tmp_path)
    assert result["links_checked"] == 17  # 4 links on each of 4 pages, and the photo
    assert "what it used &amp; what it gave" in (tmp_path / "ada" / "note-g.html").read_text("utf-8")


async def test_the_photo_is_a_png_of_the_right_size(wf_env: Any, tmp_path: Path) -> None:
    await build(wf_env, tmp_path, Approval(approved=True))
    png = (tmp_path / "ada" / "photo.png").read_bytes()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")) == (192, 192)
    data = png.index(b"IDAT") + 4
    assert len(zlib.decompress(png[data:-16])) == 192 * 193


async def test_a_rejected_site_is_not_published(wf_env: Any, tmp_path: Path) -> None:
    result = await build(wf_env, tmp_path, Approval(approved=False, comment="too pale"))
    assert result == {"published": False, "comment": "too pale"}
    assert list(tmp_path.iterdir()) == []


async def test_seven_days_of_silence_are_a_rejection(wf_env: Any, tmp_path: Path) -> None:
    run = await wf_env.start(flow.build_site, "ada", str(tmp_path))
    await wf_env.wait_for_hook(run)
    await wf_env.skip("6d 23h")
    assert await run.status() == "running"
    await wf_env.skip("1h")
    assert await run.return_value() == {"published": False, "comment": "nobody answered for 7 days"}
    with pytest.raises(wf.HookNotFoundError):
        await Approval(approved=True).resume("site:ada")


async def test_a_check_that_fails_brings_back_the_release_that_was_there(wf_env: Any, tmp_path: Path) -> None:
    await build(wf_env, tmp_path, Approval(approved=True))
    before = (tmp_path / "ada").readlink()
    wf_env.mock(flow.check_links, wf.FatalError("about.html links to nowhere"))
    with pytest.raises(wf.WorkflowRunFailedError) as failed:
        await build(wf_env, tmp_path, Approval(approved=True))
    assert isinstance(failed.value.__cause__, wf.FatalError)
    assert (tmp_path / "ada").readlink() == before
    assert published(tmp_path) == PAGES
    assert releases(tmp_path) == 1


async def test_a_first_site_that_fails_leaves_nothing(wf_env: Any, tmp_path: Path) -> None:
    wf_env.mock(flow.check_links, wf.FatalError("about.html links to nowhere"))
    with pytest.raises(wf.WorkflowRunFailedError):
        await build(wf_env, tmp_path, Approval(approved=True))
    assert not (tmp_path / "ada").is_symlink()
    assert releases(tmp_path) == 0


async def test_publishing_again_replaces_the_site_whole(wf_env: Any, tmp_path: Path) -> None:
    await build(wf_env, tmp_path, Approval(approved=True))
    first = (tmp_path / "ada").readlink()
    await build(wf_env, tmp_path, Approval(approved=True))
    assert (tmp_path / "ada").readlink() != first
    assert published(tmp_path) == PAGES


async def test_a_broken_link_is_found(wf_env: Any, tmp_path: Path) -> None:
    page = flow.File("index.html", b'<a href="gone.html">gone</a>')
    wf_env.mock(flow.render_page, [page])
    with pytest.raises(wf.WorkflowRunFailedError) as failed:
        await build(wf_env, tmp_path, Approval(approved=True))
    assert str(failed.value.__cause__) == "index.html links to gone.html, which is not there"


async def test_a_busy_image_service_costs_one_retry_and_no_page(wf_env: Any, tmp_path: Path) -> None:
    began = wf_env.time
    run = await wf_env.start(flow.build_site, "ada", str(tmp_path))
    await wf_env.wait_for_hook(run)
    assert wf_env.time - began == timedelta(seconds=2)


async def test_an_image_service_that_stays_busy_fails_the_run_with_its_own_error(wf_env: Any, tmp_path: Path) -> None:
    attempts = []

    def always_busy(profile: Any, pages: Any, page: flow.Page) -> Any:
        attempts.append(page.path)
        raise flow.ImageServiceBusy("still busy")

    wf_env.mock(flow.render_page, always_busy)
    with pytest.raises(wf.WorkflowRunFailedError) as failed:
        await wf_env.run(flow.build_site, "ada", str(tmp_path))
    assert isinstance(failed.value.__cause__, flow.ImageServiceBusy)
    assert attempts.count("index.html") == 4


async def test_progress_and_attributes_tell_how_far_it_is(wf_env: Any, tmp_path: Path) -> None:
    run = await wf_env.start(flow.build_site, "ada", str(tmp_path))
    lines = [line async for line in run.readable("progress")]
    assert sorted(lines[:-1]) == [f"rendered {page}" for page in PAGES if page.endswith(".html")]
    assert lines[-2:] == ["rendered about.html", "waiting for approval, up to 7 days"]
    assert await run.attributes() == {"tenant": "analytical-engines", "pages": "4"}


async def test_the_demo_needs_nobody(wf_env: Any, tmp_path: Path) -> None:
    result = await wf_env.run(flow.demo, "grace", str(tmp_path))
    assert (result["published"], result["comment"]) == (True, "looks good")
    assert "index.html" in published(tmp_path, "grace")


async def test_the_demos_reviewer_does_not_outlive_a_site_that_failed(wf_env: Any, tmp_path: Path) -> None:
    wf_env.mock(flow.render_page, wf.FatalError("no ink"))
    with pytest.raises(wf.WorkflowRunFailedError) as failed:
        await wf_env.run(flow.demo, "grace", str(tmp_path))
    assert isinstance(failed.value.__cause__, wf.WorkflowRunFailedError)
    assert str(failed.value.__cause__.__cause__) == "no ink"


async def test_an_unknown_user_fails_at_once_and_says_who_is_known(wf_env: Any, tmp_path: Path) -> None:
    with pytest.raises(wf.WorkflowRunFailedError) as failed:
        await wf_env.run(flow.build_site, "nobody", str(tmp_path))
    assert str(failed.value.__cause__) == "there is no profile 'nobody'; known are ada, grace"


async def test_a_recorded_run_still_fits_todays_code(wf_env: Any, tmp_path: Path) -> None:
    run = await wf_env.start(flow.build_site, "ada", str(tmp_path / "public"))
    await Approval(approved=True).resume(await wf_env.wait_for_hook(run))
    await run.return_value()
    history = wf.testing.record(run, tmp_path / "build_site.history.json")
    wf_env.replay(history)
