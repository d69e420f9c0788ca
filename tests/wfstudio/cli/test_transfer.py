"""`wf export` and `wf import`: what they write, what they print, and what they refuse."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.wfstudio.cli.conftest import Serving, Wf, World
from tests.wfstudio.history.vercel_writer import RunWriter, Writer
from tests.wfstudio.studio import run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project as the working directory: what is exported is written there."""
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "pyproject.toml").write_text("[tool.wf]\n")
    monkeypatch.chdir(folder)
    return folder


def names_in(data: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    found: list[str] = manifest["runs"]
    return found


# -- export -------------------------------------------------------------------------------------


def test_a_run_is_written_to_a_file_of_its_name_that_is_its_owners_alone(here: Path, world: World, wf_cli: Wf) -> None:
    told = wf_cli("export", world.completed, "--world", world.url)
    file = here / f"{world.completed}.wf.zip"
    assert (told.code, told.out) == (0, "")
    assert told.err.startswith(f"{file.name}  1 run with 8 events, ")
    assert told.err.endswith("; payloads are in it in clear\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert names_in(file.read_bytes()) == [world.completed]
    assert sorted(path.name for path in here.iterdir()) == ["pyproject.toml", file.name]


def test_several_runs_are_chosen_by_filters(here: Path, world: World, wf_cli: Wf) -> None:
    told = wf_cli("export", "--workflow", "studio.greet", "--world", world.url, "--json", "-o", "greets.wf.zip")
    assert told.code == 0
    assert told.json["file"] == "greets.wf.zip"
    assert len(told.json["runs"]) == 2
    assert told.json["runs"][0] == world.completed
    assert (told.json["is_redacted"], told.json["size"]) == (False, (here / "greets.wf.zip").stat().st_size)
    none = wf_cli("export", "--workflow", "nobody", "--world", world.url)
    assert (none.code, none.err) == (0, "no run is like that; nothing was written\n")
    named = wf_cli("export", "--status", "failed", "--status", "completed", "--world", world.url)
    assert named.code == 0
    assert named.err.startswith("runs-20")


def test_children_come_along_when_asked(here: Path, world: World, wf_cli: Wf) -> None:
    alone = wf_cli("export", world.parent, "--world", world.url, "-o", "alone.zip", "--json")
    family = wf_cli("export", world.parent, "--world", world.url, "-o", "family.zip", "--json", "--with-children")
    assert alone.json["runs"] == [world.parent]
    assert family.json["runs"][0] == world.parent
    assert len(family.json["runs"]) == 2


def test_no_file_is_written_over_unless_it_is_said(here: Path, world: World, wf_cli: Wf) -> None:
    (here / "out.zip").write_text("mine")
    told = wf_cli("export", world.completed, "--world", world.url, "-o", "out.zip")
    assert told.code == 1
    assert told.err.startswith("there is a file out.zip already\n  fix: name another one with `-o`, or say `--force`")
    assert (here / "out.zip").read_text() == "mine"
    assert wf_cli("export", world.completed, "--world", world.url, "-o", "out.zip", "--force").code == 0
    assert names_in((here / "out.zip").read_bytes()) == [world.completed]
    os.symlink("nowhere", here / "link.zip")
    assert wf_cli("export", world.completed, "--world", world.url, "-o", "link.zip").code == 1


def test_what_cannot_be_written_leaves_nothing_behind(here: Path, world: World, wf_cli: Wf) -> None:
    told = wf_cli("export", world.completed, "--world", world.url, "-o", "no/such/folder.zip")
    assert (told.code, told.err.splitlines()[0]) == (
        1,
        "no/such/folder.zip cannot be written: No such file or directory",
    )
    assert wf_cli("export", "wrun_nobody", "--world", world.url).code == 1
    assert [path.name for path in here.iterdir()] == ["pyproject.toml"]


def test_a_redacted_export_says_so(here: Path, world: World, wf_cli: Wf) -> None:
    told = wf_cli("export", world.completed, "--world", world.url, "--redact")
    assert told.err.endswith(", without payloads\n")


def test_a_bundle_goes_through_a_pipe(here: Path, world: World) -> None:
    written = subprocess.run(
        [sys.executable, "-m", "wfstudio", "export", world.completed, "--world", world.url, "-o", "-"],
        capture_output=True,
        check=True,
    )
    assert names_in(written.stdout) == [world.completed]
    read = subprocess.run(
        [sys.executable, "-m", "wfstudio", "import", "-", "--json"],
        input=written.stdout,
        capture_output=True,
        check=True,
    )
    done = json.loads(read.stdout)
    assert (done["source"], [item["outcome"] for item in done["items"]]) == ("stdin", ["imported"])


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "name the runs to export, or choose them"),
        (["wrun_1", "--since", "1h"], "name the runs or choose them with filters, not both"),
        (["wrun_1", "-o", "-", "--json"], "a bundle on stdout goes into a pipe or a file"),
    ],
)
def test_what_is_meant_must_be_clear(here: Path, wf_cli: Wf, words: list[str], text: str) -> None:
    told = wf_cli("export", *words)
    assert (told.code, told.err.splitlines()[0]) == (2, text)


# -- import -------------------------------------------------------------------------------------


@pytest.fixture
def bundle(here: Path, world: World, wf_cli: Wf) -> Path:
    chosen = [world.completed, world.failed, world.waiting]
    assert wf_cli("export", *chosen, "--world", world.url, "-o", "three.wf.zip").code == 0
    return here / "three.wf.zip"


def test_a_bundle_is_taken_into_a_world_that_is_made_for_it(bundle: Path, world: World, wf_cli: Wf, here: Path) -> None:
    told = wf_cli("import", bundle.name)
    assert (told.code, told.err) == (0, "3 runs imported\n")
    assert [line.split()[:2] for line in told.out.splitlines()[1:]] == [
        [world.completed, "imported"], [world.failed, "imported"], [world.waiting, "imported"],
    ]  # fmt: skip
    assert (here / ".wf" / "world.db").exists()
    shown = wf_cli("inspect", world.waiting)
    assert "imported    from three.wf.zip, read-only" in shown.out
    assert "ada" in wf_cli("inspect", world.completed).out
    again = wf_cli("import", bundle.name, "--json")
    assert [item["outcome"] for item in again.json["items"]] == ["present"] * 3
    assert wf_cli("import", bundle.name).err == "0 runs imported, 3 are here already\n"


def test_nothing_can_be_done_to_it(bundle: Path, world: World, wf_cli: Wf) -> None:
    wf_cli("import", bundle.name)
    for words in (["cancel", world.waiting], ["wake", world.waiting], ["cancel", world.completed, "--force"]):
        told = wf_cli(*words)
        assert told.code == 1
        assert told.err.splitlines() == [
            f"run {words[1]} was imported from 'three.wf.zip' and can only be read",
            "  fix: `wf retry` or `wf fork` makes a run of your own from it, where its code is here",
            "  more: docs/errors/imported.md",
        ]
    assert wf_cli("hooks", "--json").json["items"] == []
    resumed = wf_cli("resume", "site:docs", "{}")
    assert (resumed.code, resumed.err.splitlines()[0]) == (1, "no live hook has the token 'site:docs'")


def test_a_dry_run_makes_nothing(bundle: Path, wf_cli: Wf, here: Path) -> None:
    told = wf_cli("import", bundle.name, "--dry-run")
    assert (told.code, told.err) == (0, "3 runs would be imported\n")
    assert not (here / ".wf").exists()


def test_a_world_that_is_served_takes_it_in(bundle: Path, world: World, wf_cli: Wf, serving: Serving) -> None:
    told = wf_cli("import", bundle.name, "--world", serving.url)
    assert told.err == "3 runs imported\n"
    assert serving.do(lambda client: run(client, "greet", "eve")).status == "completed"
    assert serving.do(lambda client: client.get_run(world.waiting)).status == "running"


def test_what_is_no_bundle_is_refused(here: Path, wf_cli: Wf) -> None:
    (here / "x.zip").write_bytes(b"no zip")
    told = wf_cli("import", "x.zip")
    assert told.code == 1
    assert told.err.startswith(
        "the file is no bundle: file is not a zip file\n  fix: give a file that `wf export` wrote"
    )
    missing = wf_cli("import", "y.zip")
    assert (missing.code, missing.err.splitlines()[0]) == (1, "there is no file y.zip")
    folder = wf_cli("import", ".")
    assert folder.code == 1
    assert "is no data directory of a workflow: it has no runs" in folder.err


def test_vercels_folder_is_taken_in_and_its_bad_files_are_told(here: Path, wf_cli: Wf) -> None:
    writer = Writer(here / ".workflow-data")
    made = RunWriter(writer)
    made.create([{"n": 1}])
    made.start()
    made.complete("done")
    (here / ".workflow-data" / "runs" / "bad.json").write_text("{")
    told = wf_cli("import", ".workflow-data")
    assert told.code == 0
    assert told.out.splitlines()[1].split() == [made.run_id, "imported", "completed", "shop.flows:order"]
    problem, summary = told.err.splitlines()
    assert problem.startswith("runs/bad.json: it is no JSON: ")
    assert summary == "1 run imported, 1 problem"
    assert wf_cli("inspect", made.run_id, "--json").json["output"] == "done"
