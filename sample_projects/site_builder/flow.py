"""Builds a small web site for a user, and publishes it once somebody has approved it.

    build_site   fetch a profile, plan pages, render them side by side, wait up to 7 days for an
                 approval, publish; if anything fails then, what was published before is back
    demo         the same, with a reviewer who says yes: runs unattended to its end

Bodies of workflows only decide. Files are read and written in steps.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import struct
import sys
import zlib
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from string import Template
from typing import Any

import wf

HERE = Path(__file__).resolve().parent
PUBLIC = "public"
REVIEW = timedelta(days=7)
PHOTO_SCALE = 12


# -- what passes between steps: plain dataclasses -------------------------------------------------


@dataclass
class Post:
    title: str
    text: list[str]


@dataclass
class Profile:
    user_id: str
    name: str
    tenant: str
    about: str
    photo: list[str]
    posts: list[Post]


@dataclass
class Page:
    path: str
    title: str
    text: list[str]
    photo: list[str] | None = None


@dataclass
class File:
    path: str
    content: bytes


@dataclass
class Approval(wf.BaseHook):
    approved: bool
    comment: str = ""


class ImageServiceBusy(Exception):
    """What a real image service says now and then."""


# -- the workflows ------------------------------------------------------------------------------


@wf.workflow
async def build_site(user_id: str, directory: str = PUBLIC) -> dict[str, Any]:
    """Build a user's site. `directory` is relative to this file's folder."""
    profile = await fetch_profile(user_id)
    pages = await plan_site(profile)
    await wf.set_attributes(tenant=profile.tenant, pages=str(len(pages)))
    drafts = await asyncio.gather(*(make_page(profile, pages, page) for page in pages))
    files = [file for draft in drafts for file in draft]

    decision = await wait_for_decision(user_id)
    if not decision.approved:
        return {"published": False, "comment": decision.comment}

    async with wf.saga() as saga:
        release = await write_release(directory, files)
        saga.undo(delete_release, directory, release)
        before = await find_release(directory, user_id)
        saga.undo(point_at, directory, user_id, before)
        await point_at(directory, user_id, release)
        links = await check_links(directory, user_id)
    site = HERE / directory / user_id
    return {
        "published": True,
        "comment": decision.comment,
        "site": str(site / "index.html"),
        "files": [str(site / file.path) for file in files],
        "links_checked": links,
    }


async def make_page(profile: Profile, pages: list[Page], page: Page) -> list[File]:
    """Two steps, one after the other; `gather` runs several of these side by side."""
    files = await render_page(profile, pages, page)
    await report(f"rendered {page.path}")
    return files


async def wait_for_decision(user_id: str) -> Approval:
    """Wait for a person. Silence is a no."""
    async with Approval.wait(token=approval_token(user_id), metadata={"user": user_id}) as hook:
        # The hook is in the log before a step that comes after it runs: who reads this may answer.
        await report(f"waiting for approval, up to {REVIEW.days} days")
        await end_report()
        try:
            async with asyncio.timeout(REVIEW.total_seconds()):
                return await hook
        except TimeoutError:
            return Approval(approved=False, comment=f"nobody answered for {REVIEW.days} days")


def approval_token(user_id: str) -> str:
    return f"site:{user_id}"


@wf.workflow
async def demo(user_id: str = "ada", directory: str = PUBLIC) -> dict[str, Any]:
    """Build a site as a child run, and play its reviewer."""
    site = await wf.start(build_site, user_id, directory)
    reviewer = asyncio.create_task(approve(site, user_id))
    try:
        return await site.return_value()
    finally:
        reviewer.cancel()  # a site that failed is never ready for review: stop waiting for that


# -- steps: planning and rendering ----------------------------------------------------------------


@wf.step
async def fetch_profile(user_id: str) -> Profile:
    profiles = json.loads((HERE / "profiles.json").read_text("utf-8"))
    if user_id not in profiles:
        raise wf.FatalError(f"there is no profile {user_id!r}; known are {', '.join(profiles)}")
    entry = profiles[user_id]
    posts = [Post(**post) for post in entry.pop("posts")]
    return Profile(user_id=user_id, posts=posts, **entry)


@wf.step
def plan_site(profile: Profile) -> list[Page]:
    posts = [Page(f"{slug(post.title)}.html", post.title, post.text) for post in profile.posts]
    return [
        Page("index.html", profile.name, [f"{len(posts)} notes by {profile.name}."]),
        Page("about.html", "About", [profile.about], profile.photo),
        *posts,
    ]


def slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


@wf.step(retry_delay="2s")
def render_page(profile: Profile, pages: list[Page], page: Page) -> list[File]:
    """Give a page's files. A plain `def` step: it runs in a thread, beside the others."""
    files = []
    parts = [f"<p>{escape(paragraph)}</p>" for paragraph in page.text]
    if page.photo is not None:
        files.append(File("photo.png", resize_photo(page.photo, PHOTO_SCALE)))
        parts.insert(0, f'<img src="photo.png" alt="{escape(profile.name)}">')
    nav = "\n".join(f'<a href="{escape(other.path)}">{escape(other.title)}</a>' for other in pages)
    template = Template((HERE / "page.html").read_text("utf-8"))
    html = template.substitute(title=escape(page.title), name=escape(profile.name), nav=nav, body="\n".join(parts))
    return [File(page.path, html.encode()), *files]


def resize_photo(photo: list[str], scale: int) -> bytes:
    """Make a PNG of a picture in characters, each a square of `scale` pixels."""
    # The service that does this has its bad moments. Here it has one at every first attempt.
    attempt = wf.get_step_metadata().attempt
    if attempt == 1:
        raise ImageServiceBusy("the image service is busy")
    shades = {"#": 40, "+": 140}
    lines = bytearray()
    for row in photo:
        line = b"\0" + b"".join(bytes([shades.get(cell, 245)]) * scale for cell in row)
        lines += line * scale
    header = struct.pack(">IIBBBBB", len(photo[0]) * scale, len(photo) * scale, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(lines))), (b"IEND", b""))
    )


@wf.step
async def report(line: str) -> None:
    """Tell whoever reads the stream `progress`, now or later, and whoever sits at this terminal."""
    print(line, file=sys.stderr)
    await wf.get_writable(str, namespace="progress").write(line)


@wf.step
async def end_report() -> None:
    """Close the stream. A step of its own: an attempt that closed it, and was killed, may close it again."""
    await wf.get_writable(str, namespace="progress").close()


# -- steps: publishing ----------------------------------------------------------------------------
# A site is `public/<user>`, a symbolic link to a folder in `public/.releases`: putting another
# release in its place is one rename, so a reader sees the old site or the new one, never a mixture.


@wf.step
def write_release(directory: str, files: list[File]) -> str:
    """Write all files into a folder that nobody looks at yet, and give its name."""
    # The step's id is the same for every attempt: one that was killed halfway is written over.
    release = sha256(wf.get_step_metadata().step_id.encode()).hexdigest()[:12]
    folder = HERE / directory / ".releases" / release
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        (folder / file.path).write_bytes(file.content)
    return release


@wf.step
def delete_release(directory: str, release: str) -> None:
    shutil.rmtree(HERE / directory / ".releases" / release, ignore_errors=True)


@wf.step
def find_release(directory: str, user_id: str) -> str | None:
    """Name the release that is public now."""
    site = HERE / directory / user_id
    return site.readlink().name if site.is_symlink() else None


@wf.step
def point_at(directory: str, user_id: str, release: str | None) -> None:
    """Make a release the public one, or (None) nothing."""
    site = HERE / directory / user_id
    if release is None:
        site.unlink(missing_ok=True)
        return
    fresh = site.with_name(f".{user_id}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(Path(".releases") / release, target_is_directory=True)
    os.replace(fresh, site)


@wf.step
def check_links(directory: str, user_id: str) -> int:
    """Follow every link and picture of the public site, and count them."""
    site = HERE / directory / user_id
    count = 0
    for page in sorted(site.glob("*.html")):
        links = Links()
        links.feed(page.read_text("utf-8"))
        for target in links.targets:
            if not (site / target).is_file():
                raise wf.FatalError(f"{page.name} links to {target}, which is not there")
            count += 1
    return count


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.targets += [value for name, value in attrs if name in ("href", "src") and value]


# -- the demo's reviewer ----------------------------------------------------------------------------


@wf.step(cancellable=True)
async def approve(site: wf.Run[Any], user_id: str) -> None:
    """Follow a site's progress to its end, then say yes."""
    async for _ in site.readable("progress"):
        pass
    try:
        hook = await wf.get_hook_by_token(approval_token(user_id))
        if hook.run_id == site.run_id:  # not that of another run for the same user
            await Approval(approved=True, comment="looks good").resume(hook)
    except wf.HookNotFoundError:
        return  # an attempt before this one answered, and was killed before it could be recorded
