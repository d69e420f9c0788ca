"""Replays: verdicts on recorded runs by the code of today and of any deployment, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.wfstudio.recorded import Recording, own_modules, recording, serving
from wf.errors import DecryptionError, RunNotFoundError
from wf.keys import Keyring
from wfstudio.core.bench.views import ReplayView
from wfstudio.core.errors import NotFoundError, UsageError


async def judged(found: Recording, run_id: str, **options: str) -> ReplayView:
    """Replay a run; nothing that the world holds of it may change by that."""
    before = await found.read_everything(run_id)
    view = await found.replays.replay_run(run_id, **options)
    assert await found.read_everything(run_id) == before
    return view


async def test_a_run_that_fits_todays_code_is_clean(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        for run_id in (await found.run("pay", "ada"), await found.rest("order", "ada"), await found.run("pay", "bad")):
            view = await judged(found, run_id)
            assert (view.outcome, view.deployment_id) == ("clean", found.session.deployment_id)
            assert (view.seq, view.recorded, view.actual, view.where, view.code, view.message) == (None,) * 6


async def test_code_that_makes_another_call_diverges_there(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        run_id = await found.rest("order", "ada")
        found.edit("charge(card, number)", "charge(card, number + 1)")
        view = await judged(found, run_id)
        assert (view.outcome, view.seq, view.code) == ("diverges", 3, "NONDETERMINISM")
        assert view.recorded == "step flow:charge (position 1)"
        assert view.actual == "step flow:charge (position 1) with another `amount`"
        assert view.where == "flow.py:26 in order"
        assert view.deployment_id not in (None, found.session.deployment_id)


async def test_code_that_makes_fewer_calls_diverges(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        run_id = await found.rest("order", "ada")
        found.edit("range(2)", "range(1)")
        view = await judged(found, run_id)
        assert (view.outcome, view.seq) == ("diverges", 5)
        assert (view.recorded, view.actual) == ("step flow:charge (position 2)", "hook hook (position 2)")


async def test_code_that_does_more_after_a_runs_end_extends_it(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        run_id = await found.run("pay", "ada")
        found.edit("    return receipt\n", "    await charge('again')\n    return receipt\n")
        view = await judged(found, run_id)
        assert (view.outcome, view.seq) == ("extends", 5)
        assert (view.recorded, view.actual) == ("the run's completion", "step flow:charge (position 2)")
        assert view.where == "flow.py:19 in pay"


async def test_code_that_ends_otherwise_diverges_and_does_not_extend(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        run_id = await found.run("pay", "ada")
        found.edit("    return receipt\n", "    raise ValueError('no')\n")
        view = await judged(found, run_id)
        assert (view.outcome, view.actual) == ("diverges", "the run's failure")


async def test_a_run_in_flight_is_extended_by_a_call_that_it_would_have_made_by_now(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        run_id = await found.rest("order", "ada")
        found.edit(
            'word = await wf.hook(token=f"order:{card}")',
            'hook = wf.hook(token=f"order:{card}")\n    word = (await asyncio.gather(hook, charge("more")))[0]',
        )
        view = await judged(found, run_id)
        assert (view.outcome, view.seq, view.recorded) == ("extends", 8, "nothing more")
        assert view.actual == "step flow:charge (position 4)"


async def test_a_run_in_flight_is_extended_by_an_end(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        run_id = await found.rest("order", "ada")
        found.edit("word = await wf", "word = wf")
        view = await judged(found, run_id)
        assert (view.outcome, view.actual) == ("extends", "the run's completion")


async def test_a_step_that_is_gone_diverges_with_the_names_that_are_close(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        run_id = await found.run("pay", "ada")
        found.edit("charge(", "charged(")
        view = await judged(found, run_id)
        assert (view.outcome, view.code, view.recorded) == ("diverges", "NOT_REGISTERED", "flow:charge")
        assert view.actual == "flow:charged"


async def test_code_without_the_workflow_gives_no_verdict(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        run_id = await found.run("pay", "ada")
        found.edit("def pay", "def paid")
        view = await judged(found, run_id)
        assert (view.outcome, view.code, view.actual) == ("cannot_load", "NOT_REGISTERED", "flow:paid, flow:order")


async def test_code_that_does_not_import_gives_no_verdict(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        run_ids = [await found.run("pay", "ada"), await found.run("pay", "bob")]
        found.edit("import asyncio", "import asyncioo")
        views = [view async for view in found.replays.replay_runs(run_ids)]
        for view in views:
            assert (view.outcome, view.code, view.deployment_id) == ("cannot_load", "LOAD", None)
            assert view.message == "flow.py cannot be imported: ModuleNotFoundError: No module named 'asyncioo'"
            assert view.where == "flow.py:1 in <module>"


async def test_an_older_deployment_is_replayed_from_its_kept_files(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        old = found.session.deployment_id
        run_id = await found.rest("order", "ada")
        found.edit("charge(card, number)", "charge(card, number + 1)")
    with own_modules(tmp_path):
        async with serving(tmp_path) as found:
            new = found.session.deployment_id
            assert old != new
            assert (await judged(found, run_id)).outcome == "diverges"
            for deployment in ("own", old):
                view = await judged(found, run_id, deployment=deployment)
                assert (view.outcome, view.deployment_id) == ("clean", old)
            assert (await judged(found, run_id, deployment="latest")).outcome == "diverges"
            assert (await judged(found, run_id, deployment=new)).outcome == "diverges"
            (tmp_path / "flow.py").unlink()
            assert (await judged(found, run_id)).outcome == "cannot_load"
            assert (await judged(found, run_id, deployment="own")).outcome == "clean"


async def test_a_deployment_is_loaded_as_it_was_whatever_todays_targets_are(tmp_path: Path) -> None:
    """It lay in a package and in a folder that is on no path, and what is there today does not load."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    async with recording(tmp_path, target="shop/flow.py", name="shop/flow.py") as found:
        run_id = await found.run("pay", "ada")
        found.write("1 +", "broken.py")
        (tmp_path / "shop" / "flow.py").unlink()
        (tmp_path / "shop" / "__init__.py").unlink()
        (tmp_path / "shop").rmdir()
        found.replays.workbench.targets[:] = ["broken.py"]
        view = await judged(found, run_id, deployment="own")
        assert (view.outcome, view.workflow) == ("clean", "shop.flow:pay")


async def test_what_names_no_run_or_deployment_is_refused(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        with pytest.raises(RunNotFoundError):
            await found.replays.replay_run("wrun_none")
        run_id = await found.run("pay", "ada")
        with pytest.raises(NotFoundError, match="the code of the deployment 'dep_none' is not kept"):
            await found.replays.replay_run(run_id, deployment="dep_none")


async def test_a_log_that_cannot_be_opened_gives_no_verdict(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        run_id = await found.run("pay", "ada")
        found.session.keyring, own = Keyring([b"x" * 32]), found.session.keyring
        try:
            view = await judged(found, run_id)
            with pytest.raises(DecryptionError):
                await found.replays.look(run_id, 1, deployment="today")
        finally:
            found.session.keyring = own
        assert (view.outcome, view.code) == ("cannot_load", "DECRYPTION")


# -- many runs ----------------------------------------------------------------------------------


async def test_runs_are_chosen_by_a_word(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        done, waiting, failed = (
            await found.run("pay", "a"),
            await found.rest("order", "b"),
            await found.run("pay", "bad"),
        )
        assert await found.replays.choose_runs("open") == [waiting]
        assert await found.replays.choose_runs("failed") == [failed]
        assert await found.replays.choose_runs("last:2") == [failed, waiting]
        assert await found.replays.choose_runs("all") == [failed, waiting, done]
        for word in ("", "last", "last:", "last:0", "last:x", "last:10001", "opened"):
            with pytest.raises(UsageError, match="names no runs"):
                await found.replays.choose_runs(word)


async def test_verdicts_on_many_runs_are_counted(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        for card in ("a", "b"):
            await found.run("pay", card)
        await found.rest("order", "c")
        found.edit("charge(card, number)", "charge(card, number + 1)")
        verdicts = await found.replays.replay_all("all")
        assert [view.outcome for view in verdicts.items] == ["diverges", "clean", "clean"]
        assert (verdicts.clean, verdicts.extends, verdicts.diverges, verdicts.cannot_load) == (2, 0, 1, 0)


async def test_a_run_that_kills_its_bench_costs_the_others_nothing(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        run_ids = [await found.run("pay", card) for card in ("a", "b", "c")]
        found.edit(
            "    receipt = await charge(card)\n",
            "    if card == 'b':\n        import os; os._exit(3)\n    receipt = await charge(card)\n",
        )
        views = [view async for view in found.replays.replay_runs(run_ids)]
        assert [view.outcome for view in views] == ["clean", "cannot_load", "clean"]
        assert (views[1].code, views[1].message) == ("BENCH", "the process with the code exited with code 3")


async def test_a_run_that_hangs_is_given_up_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wfstudio.core.replays.JUDGE_SECONDS", 0.3)
    async with recording(tmp_path) as found:
        run_id = await found.run("pay", "a")
        found.edit("    receipt = await charge(card)\n", "    while True: pass\n")
        view = await judged(found, run_id)
        assert (view.outcome, view.code) == ("cannot_load", "BENCH")
        assert view.message == "the process with the code gave no answer for 0.3 s, and was killed"


async def test_a_run_that_has_not_begun_is_judged_by_its_arguments(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        run_id = (await found.start("pay", "a", delay="1h")).run_id
        assert (await judged(found, run_id)).outcome == "clean"
        found.edit("def pay(card: str)", "def pay(card: str, more: int)")
        view = await judged(found, run_id)
        assert (view.outcome, view.seq, view.recorded) == ("diverges", 1, "the arguments of the start")


# -- what a replay must not do ------------------------------------------------------------------


async def test_a_body_that_does_io_is_refused_it_as_it_was_when_it_ran(tmp_path: Path) -> None:
    code = """
        import socket
        import wf

        @wf.step
        async def tell(text: str) -> None: ...

        @wf.workflow
        async def reach() -> None:
            try:
                with socket.socket() as line:
                    line.connect(("127.0.0.1", 9))
            except Exception as error:
                await tell(type(error).__name__)
    """
    async with recording(tmp_path, code) as found:
        assert (await judged(found, await found.run("reach"))).outcome == "clean"


async def test_code_that_starts_a_run_when_it_is_imported_starts_none_here(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        run_id = await found.run("pay", "ada")
        sneaky = "\nasync def main():\n    await wf.start(pay, 'sneaked')\n\nasyncio.run(main())\n"
        found.write((tmp_path / "flow.py").read_text() + sneaky)
        assert (await judged(found, run_id)).outcome == "clean"
        assert await found.replays.choose_runs("all") == [run_id]
