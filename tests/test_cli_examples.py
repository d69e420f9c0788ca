"""The command lines in the pages of reference: carried out one after the other, in a project that has what they name.

A page of reference shows commands one by one, not as a story. So the project that they are tried in has a run
`wrun_01K3` with all that is looked for in it, another one, files to read from, and a `wf dev` that serves it. The test
says what stands for names that are drawn or far away, `READ` which commands are only read (they stay, or ask somebody),
and `CODES` which end otherwise than with 0, since that is what they say of this project.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.pages import ROOT, Block, Page, check_commands, opened_page, read_blocks
from tests.wfstudio.history.vercel_writer import RunWriter, Writer

PAGES = ["docs/cli.md", "docs/sql.md", "docs/vercel.md", "docs/changing-code.md", "docs/agents.md"]

SHOP = """
from dataclasses import dataclass

import wf
from wf.streams import Writable


class Declined(ValueError): ...


@dataclass
class Approval(wf.BaseHook):
    approved: bool


@wf.step
async def charge(customer: str, amount: int) -> dict:
    print("charging", customer)
    return {"paid": True, "amount": amount}


@wf.step
async def decide(customer: str) -> dict:
    return {"status": "good", "customer": customer}


@wf.step
async def report(out: Writable, text: str) -> None:
    await out.write(text)


@wf.workflow
async def order(customer: str = "ada", amount: int = 1, order: int = 0) -> dict:
    await wf.set_attributes(tenant="acme")
    receipt = await charge(customer, amount)
    if amount > 3:
        receipt = await charge(customer, amount + 1)
    state = await decide(customer)
    await report(wf.get_writable(), "charged\\\\n")
    await report(wf.get_writable(namespace="progress"), "half")
    if order == 17 and state["status"] == "good":
        hook = Approval.wait(token=f"site:{customer}")
        if not (await hook).approved:
            return {"total": 0, "approved": False}
        await hook
    await wf.sleep("1ms")
    return {"total": amount, "paid": receipt["paid"]}


@wf.workflow
async def approve(site: str) -> bool:
    return (await Approval.wait(token=f"approve:{site}")).approved


@wf.workflow
async def fulfil(order: int) -> bool:
    return (await Approval.wait(token="site:42")).approved


@wf.workflow
async def call_back() -> str:
    return (await wf.webhook("3q2-7wEBAgME")).text()


@wf.step(max_retries=0)
async def refuse(why: str) -> None:
    raise Declined(why)


@wf.workflow
async def reject(why: str) -> None:
    await refuse(why)
"""

FILES = {
    "pyproject.toml": '[tool.wf]\nmodules = ["shop"]\n',
    "shop.py": SHOP.replace("\\\\n", "\\n"),
    "flow.py": "from shop import approve, order\n",
    "flows/order.py": "import wf\n\n\n@wf.workflow\nasync def other() -> int:\n    return 1\n",
    "order.json": '{"customer": "bob", "amount": 2}\n',
    "decision.json": '{"approved": true}\n',
    "slow.sql": "SELECT name, duration_ms FROM steps WHERE started_at > since($ago) ORDER BY 2 DESC\n",
}

SETUP = """
wf start order '"ada"' order=17 --id wrun_01K3
until wf hooks wrun_01K3 | grep site:ada; do sleep 0.1; done
wf resume site:ada '{"approved": true}'
wf resume site:ada '{"approved": true}'
until wf inspect --status completed | grep wrun_01K3; do sleep 0.1; done
wf start order '"bob"' amount=4 --id wrun_01K4
wf start reject '"no money"' --id wrun_01K5
wf start order '"ada"' order=17 --id order-live
until wf hooks order-live | grep site:ada; do sleep 0.1; done
until wf inspect --status completed | grep wrun_01K4; do sleep 0.1; done
until wf inspect --status failed | grep wrun_01K5; do sleep 0.1; done
"""

READ = re.compile(
    r"wf (dev|worker|serve|mcp|tui)\b|--watch|--debug|\bssh\b|^wf (new|query)$"  # stays, asks, or is elsewhere
)

CODES = {
    "wf fault add 'fail=Declined: no money' --run order-17": 1,  # it has ended
    "wf fault jump order-17": 1,
    "wf cancel --workflow shop:order --since 1h": 2,  # nobody can be asked
    "wf gc --imported": 2,
    "wf stream wrun_01K3 -f": 1,  # it has two
    "wf replay --runs last:50": 1,  # one of them was imported from another runtime
    "wf diff wrun_01K3 wrun_01K4": 1,  # they differ
    "wf diff wrun_01K3 wrun_01K4 --all": 1,
}


STATUSES = {
    "/api/query/q17/cancel": 404,  # no query of that id is being answered
    "/assets/studio.js": 404,  # its name has a hash
}


@pytest.fixture(scope="module")
def page(quick_wf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with opened_page(tmp_path_factory.mktemp("examples"), quick_wf.parent) as found:
        for name, text in FILES.items():
            path = found.folder / "shop" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        found.carry_out(Block("setup", 1, ("sh",), "cd shop\n"))
        found.carry_out(Block("setup", 2, ("sh", "terminal"), "wf dev --no-open\n"))
        found.carry_out(Block("setup", 3, ("sh",), SETUP))
        elsewhere = RunWriter(Writer(found.folder / "shop" / ".workflow-data"))
        elsewhere.create([1])
        elsewhere.start()
        elsewhere.step("step//shop.flows//charge", [1], "paid")
        elsewhere.complete("done")
        yield found


def list_lines(name: str) -> list[Block]:
    """Give each command line of a page as a block of its own."""
    found = []
    for block in read_blocks(ROOT / name):
        if block.language == "sh":
            lines = re.sub(r"\\\n\s*", " ", block.text).splitlines()
            found += [block._replace(line=block.line + at, text=line) for at, line in enumerate(lines)]
    return found


@pytest.mark.parametrize("name", PAGES)
def test_the_examples_of_a_page_do_what_they_say(name: str, page: Page) -> None:
    deployments = json.loads(page.shell.run(Block("setup", 4, ("sh",), "wf inspect deployments --json\n")))["items"]
    stand_ins = {
        "dep_5f2b": deployments[0]["id"],
        "dep_77aa": deployments[-1]["id"],
        "../shop/.workflow-data": ".workflow-data",
        " | jq": " | cat #",
        "'charge={\"paid\": true}' --wait": "'charge={\"paid\": true}'",  # its hook has nobody who answers
        # Whoever has the old key would have to be started again.
        "wf keys rotate": "cp .wf/key kept && wf keys rotate && cp kept .wf/key",
        "--redact --keep": "--force --redact --keep",  # the command before it wrote the file
        "wrun_01K3 --step charge#2": "wrun_01K4 --step charge#2",  # the one that charges twice
    }
    found = list[str]()
    for block in list_lines(name):
        check_commands(block)
        command = re.sub(r"\s+#.*", "", block.text).strip()
        if READ.search(command):
            continue
        for shown, real in stand_ins.items():
            command = command.replace(shown, real)
        if command.startswith(("wf new workflow", "wf new step")):
            command = f"(cd my-flows && {command})"
        wanted = CODES.get(command, 0)
        printed = page.shell.run(block._replace(text=f"set +e; trap - ERR; {command}\necho code $?\n"))
        code = int(printed.strip().rpartition("code ")[2])
        if code != wanted:
            found.append(f"{block.place}: `{command}` ended with {code}; it printed\n{printed}")
    assert not found, "\n".join(found)


class Called(NamedTuple):
    """A request, as a line of curl says it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes | None


def read_curl(line: str, folder: Path) -> Called:
    words = iter(shlex.split(line)[1:])
    method, url, body, headers = None, "", None, dict[str, str]()
    for word in words:
        match word:
            case "-X":
                method = next(words)
            case "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            case "--json":
                body = next(words).encode()
                headers["Content-Type"] = "application/json"
            case "-d":
                body = next(words).encode()
            case "--data-binary":
                body = (folder / next(words).removeprefix("@")).read_bytes()
            case "-N" | "-OJ":
                pass
            case _:
                url = word
    path = url.removeprefix("...").removeprefix("http://127.0.0.1:4600")
    assert path.startswith("/"), line
    return Called(method or ("GET" if body is None else "POST"), path, headers, body)


def test_the_requests_of_the_page_on_http_are_answered(page: Page) -> None:
    folder = page.folder / "shop"
    ready = """[ -e order.wf.zip ] || wf export wrun_01K3 -o order.wf.zip
wf start call_back --id call-back
until wf hooks call-back | grep webhook; do sleep 0.1; done
"""
    page.shell.run(Block("setup", 5, ("sh",), ready))
    deployments = json.loads(page.shell.run(Block("setup", 6, ("sh",), "wf inspect deployments --json\n")))["items"]
    stand_ins = {
        "dep_5f2b": deployments[0]["id"],
        "dep_77aa": deployments[-1]["id"],
        "9f86d081884c7d65...": next(iter(deployments[0]["files"].values())),
    }
    server = json.loads((folder / ".wf" / "studio.json").read_text("utf-8"))
    lines = [block for block in list_lines("docs/http-api.md") if block.text.startswith("curl ")]
    assert len(lines) > 20
    found = list[str]()
    for block in lines:
        line = re.sub(r"\s+> \S+$", "", block.text)
        for shown, real in stand_ins.items():
            line = line.replace(shown, real)
        called = read_curl(line, folder)
        if "/api/hooks/site" in called.path:  # the run was started a moment ago
            page.shell.run(Block("setup", 7, ("sh",), "until wf hooks | grep site:42; do sleep 0.1; done\n"))
        headers = {**called.headers, "Authorization": f"Bearer {server['token']}"}
        request = Request(server["url"] + called.path, called.body, headers, method=called.method)
        try:
            with urlopen(request, timeout=30) as response:
                status, text = response.status, response.read(1000)
        except HTTPError as error:
            with error:
                status, text = error.code, error.read(1000)
        wanted = STATUSES.get(called.path, 200)
        if not (status == wanted or (wanted == 200 and 200 <= status < 300)):
            found.append(f"{block.place}: `{block.text}` was answered with {status}: {text!r}")
    assert not found, "\n".join(found)
