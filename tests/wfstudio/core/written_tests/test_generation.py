"""Tests that are made of runs: they pass at once, fail when the workflow's calls change, and read well."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.wfstudio.core.written_tests.stage import SHOP, buy, check_format, make, run_pytest, write
from tests.wfstudio.recorded import recording
from wf.histories import open_history
from wfstudio.core.errors import ConflictError, NotFoundError, UsageError
from wfstudio.core.written_tests.generation import write_files

EXPECTED = '''"""What run {run_id} of flow:buy did, held against today's code.

Written by `wf test gen {run_id}`; it is yours to change.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import flow  # noqa: E402, F401  the code that is replayed

HISTORY = Path(__file__).parent / "histories" / "{run_id}.json"


def test_buy_replays(wf_env):
    replayed = wf_env.replay(HISTORY)
    assert replayed.calls == [
        "step flow:price",
        "step flow:charge",
        "sleep 3d",
        "step flow:stamp",
        "step flow:greet",
        "lock customer:ada lovelace",
        "hook flow:Approval",
    ]
'''


async def test_a_test_is_what_a_person_would_have_written_and_passes_at_once(tmp_path: Path) -> None:
    async with recording(tmp_path, SHOP) as found:
        run_id = await buy(found)
        view = await write(found, run_id)
        assert view.test.path == f"tests/test_buy_{run_id[-6:].lower()}.py"
        assert view.history.path == f"tests/histories/{run_id}.json"
        assert (tmp_path / view.test.path).read_text() == EXPECTED.format(run_id=run_id)
        assert open_history(tmp_path / view.history.path).calls == view.calls
    assert check_format(tmp_path) == ""
    done = run_pytest(tmp_path)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "await stamp(receipt.number)",
            "await stamp('x')",
            "the body now makes step flow:stamp (position 4) with another",
        ),
        ('await wf.sleep("3d")', "pass", "event 7 recorded a sleep (position 3), the body now makes"),
        ('await wf.sleep("3d")', 'await wf.sleep("4d")', "the body now makes a sleep (position 3) with another time"),
        ("return decision.comment", "return 'no'", "the body now makes the run's completion with another value"),
        ("async def buy(", "async def sell(", "no workflow is registered as 'flow:buy'"),
    ],
)
async def test_it_fails_when_the_workflows_calls_change(tmp_path: Path, old: str, new: str, message: str) -> None:
    async with recording(tmp_path, SHOP) as found:
        await write(found, await buy(found))
        found.edit(old, new)
    done = run_pytest(tmp_path)
    assert done.returncode == 1
    assert message in done.stdout


async def test_it_still_passes_when_only_a_step_changes(tmp_path: Path) -> None:
    async with recording(tmp_path, SHOP) as found:
        await write(found, await buy(found))
        found.edit("100 * len(sku)", "200 * len(sku)")
    assert run_pytest(tmp_path).returncode == 0


async def test_a_run_in_flight_may_be_kept_too(tmp_path: Path) -> None:
    async with recording(tmp_path, SHOP) as found:
        run_id = await found.rest("buy", "ada", ["pen"])
        view = await write(found, run_id)
        assert view.calls == ["step flow:price", "step flow:charge", "sleep 3d"]
    assert run_pytest(tmp_path).returncode == 0


# -- steps ----------------------------------------------------------------------------------------


async def test_a_chosen_step_is_called_with_what_it_was_called_with(tmp_path: Path) -> None:
    async with recording(tmp_path, SHOP) as found:
        view = await write(found, await buy(found), steps=["price", "charge", "stamp", "flow:greet"])
        assert view.steps == [1, 2, 4, 5]
        text = view.test.text
    assert '''
async def test_price_gives_what_it_gave():
    result = await flow.price.func(skus=["blue-pen", "ink"])
    assert result == [
        flow.Item(sku="blue-pen", cents=800),
        flow.Item(sku="ink", cents=300),
    ]


def test_charge_gives_what_it_gave():
    result = flow.charge.func(customer="ada lovelace", total=1100)
    assert result == flow.Receipt(
        number="r-ada lovelace",
        total=1100,
        items=[flow.Item(sku="x", cents=1100)],
    )


async def test_stamp_gives_what_it_gave(wf_env):
    @wf.workflow
    async def only():
        return await flow.stamp(text="r-ada lovelace")

    result = await wf_env.run(only)
    assert result == "r-ada lovelace in attempt 1"


async def test_greet_gives_what_it_gave():
    result = await flow.greet.func("ada lovelace", "Dr", "h.c.", loud=True)
    assert result == "Dr h.c. ada lovelace!"
''' in text  # fmt: skip
    assert "import flow  # noqa: E402\n" in text
    assert check_format(tmp_path) == ""
    done = run_pytest(tmp_path)
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout
    flow = tmp_path / "flow.py"
    flow.write_text(flow.read_text().replace("100 * len(sku)", "200 * len(sku)"))
    changed = run_pytest(tmp_path)
    assert "1 failed, 4 passed" in changed.stdout


async def test_a_step_that_failed_is_expected_to_fail(tmp_path: Path) -> None:
    async with recording(tmp_path, SHOP) as found:
        view = await write(found, await found.run("refuse", "bad"), steps=["1"])
        assert '''
def test_charge_fails_as_it_failed():
    with pytest.raises(flow.Declined, match=re.escape("no money (of bad)")):
        flow.charge.func(customer="bad", total=1)
''' in view.test.text  # fmt: skip
    assert check_format(tmp_path) == ""
    assert "2 passed" in run_pytest(tmp_path).stdout


async def test_calls_of_one_step_are_numbered(tmp_path: Path) -> None:
    text = SHOP.replace("said = await greet(answer)", "await greet('a'); said = await greet(answer)")
    async with recording(tmp_path, text) as found:
        view = await write(found, await found.run("decide", "no"), steps=["greet"])
        assert "test_greet_gives_what_it_gave_1()" in view.test.text
        assert "test_greet_gives_what_it_gave_2()" in view.test.text
        assert view.notes == [
            "tests of steps carry out the step for real, with what it was called with; they were not tried"
        ]
    assert "3 passed" in run_pytest(tmp_path).stdout


BIG = """
    import asyncio
    from dataclasses import dataclass, field
    import wf


    @dataclass
    class Odd:
        n: int
        twice: int = field(init=False, default=0)

        def __post_init__(self) -> None:
            self.twice = 2 * self.n


    @wf.step
    async def grow(numbers: list[int]) -> list[int]:
        return [number + 1 for number in numbers]


    @wf.step
    def odd(value: Odd) -> Odd:
        return Odd(value.n + 1)


    @wf.step
    async def write(out: object) -> None: ...


    @wf.workflow
    async def flow() -> int:
        many = await grow(list(range(500)))
        await odd(Odd(1))
        await write(wf.get_writable())
        for _ in range(300):
            await grow([1])
        return len(many)
"""


async def test_what_is_too_large_or_has_no_readable_form_is_taken_from_the_history(tmp_path: Path) -> None:
    async with recording(tmp_path, BIG) as found:
        view = await write(found, await found.run("flow"), steps=["1", "odd"])
        assert '''
async def test_grow_gives_what_it_gave():
    recorded = wf.testing.open_history(HISTORY).step(1)
    result = await flow.grow.func(*recorded.args, **recorded.kwargs)
    assert result == recorded.result


def test_odd_gives_what_it_gave():
    recorded = wf.testing.open_history(HISTORY).step(2)
    result = flow.odd.func(*recorded.args, **recorded.kwargs)
    assert result == recorded.result
''' in view.test.text  # fmt: skip
        assert '        *["step flow:grow"] * 300,\n' in view.test.text
    assert check_format(tmp_path) == ""
    assert "3 passed" in run_pytest(tmp_path).stdout


async def test_a_step_that_gets_a_handle_of_its_run_has_no_test_of_its_own(tmp_path: Path) -> None:
    async with recording(tmp_path, BIG) as found:
        run_id = await found.run("flow")
        with pytest.raises(ConflictError, match="step flow:write cannot be called by a test"):
            await make(found, run_id, steps=["write"])


async def test_steps_that_the_run_has_not_called_are_refused_with_those_that_it_has(tmp_path: Path) -> None:
    async with recording(tmp_path, SHOP) as found:
        run_id = await found.rest("buy", "ada", ["pen"])
        with pytest.raises(UsageError) as refused:
            await make(found, run_id, steps=["chrge"])
        assert str(refused.value) == "the run called no step 'chrge'"
        assert refused.value.hint == "it called price, charge"


# -- what is refused ------------------------------------------------------------------------------


async def test_a_run_that_todays_code_does_not_replay_is_refused(tmp_path: Path) -> None:
    async with recording(tmp_path, SHOP) as found:
        run_id = await buy(found)
        found.edit('wf.sleep("3d")', 'wf.sleep("4d")')
        with pytest.raises(
            ConflictError, match=r"a test of this run would fail today: run wrun_\w+ replayed differently"
        ):
            await make(found, run_id)


async def test_nothing_is_written_over_what_is_there(tmp_path: Path) -> None:
    async with recording(tmp_path, SHOP) as found:
        view = await write(found, await found.run("refuse", "bad"))
        path = tmp_path / view.test.path
        path.write_text("mine")
        with pytest.raises(ConflictError, match="is there already"):
            write_files(view, str(tmp_path), is_forced=False)
        assert path.read_text() == "mine"
        write_files(view, str(tmp_path), is_forced=True)
        assert path.read_text() == view.test.text


async def test_a_workflow_that_no_import_gets_hold_of_is_refused(tmp_path: Path) -> None:
    text = """
        import wf

        def make():
            @wf.workflow(name="inner")
            async def inner() -> None: ...

        make()
    """
    async with recording(tmp_path, text) as found:
        with pytest.raises(
            ConflictError, match=r"workflow inner cannot be imported by a test: it is not at flow.py:\d+"
        ):
            await make(found, await found.run("inner"))


async def test_a_run_that_is_none_is_not_found(tmp_path: Path) -> None:
    async with recording(tmp_path, SHOP) as found:
        with pytest.raises(Exception, match="no run has the id 'wrun_1'") as refused:
            await make(found, "wrun_1")
        assert not isinstance(refused.value, NotFoundError)


# -- how the code is found ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "line"),
    [
        ({"pyproject.toml": "[tool.wf]\n[tool.pytest.ini_options]\npythonpath = ['.']\n"}, "import flow  # noqa: F401"),
        ({"pyproject.toml": "[tool.wf]\n[tool.pytest]\npythonpath = ['.']\n"}, "import flow  # noqa: F401"),
        ({"pytest.ini": "[pytest]\npythonpath = .\n"}, "import flow  # noqa: F401"),
        ({"conftest.py": ""}, "import flow  # noqa: F401"),
        ({"tests/__init__.py": ""}, "import flow  # noqa: F401"),
        ({"pytest.ini": "[pytest]\n"}, "sys.path.insert(0, str(Path(__file__).resolve().parents[1]))"),
    ],
)
async def test_the_code_is_found_however_pytest_is_set(tmp_path: Path, files: dict[str, str], line: str) -> None:
    async with recording(tmp_path, SHOP) as found:
        run_id = await found.run("refuse", "bad")
        for name, content in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(content)
        view = await write(found, run_id)
        assert line in view.test.text
    done = run_pytest(tmp_path, "tests")
    assert done.returncode == 0, done.stdout


async def test_a_module_of_a_package_and_names_of_ones_own_are_found(tmp_path: Path) -> None:
    text = """
        import wf

        app = wf.Workflows(namespace="shop")

        async def _charge(order: str) -> str:
            return order

        charge = wf.step(name="charge it")(_charge)

        class Desk:
            @staticmethod
            @app.workflow(name="order.one")
            async def order(order: str) -> str:
                return await charge(order)
    """
    (tmp_path / "src" / "shop").mkdir(parents=True)
    (tmp_path / "src" / "shop" / "__init__.py").write_text("")
    name = "src/shop/orders.py"
    async with recording(tmp_path, text, target=name, name=name) as found:
        view = await write(found, await found.run("shop/order.one", "o1"), steps=["charge it"])
        assert "from shop import orders  # noqa: E402\n" in view.test.text
        assert 'parents[1] / "src"' not in view.test.text
        assert 'result = await orders.charge.func(order="o1")' in view.test.text
        assert view.test.path.startswith("tests/test_one_")
    assert check_format(tmp_path) == ""
    done = run_pytest(tmp_path, "tests")
    assert "2 passed" in done.stdout, done.stdout


async def test_lines_are_as_long_as_the_project_has_them(tmp_path: Path) -> None:
    async with recording(tmp_path, SHOP) as found:
        run_id = await buy(found)
        for config in ("line-length = 60", 'line-length = 120\n[format]\nquote-style = "single"'):
            (tmp_path / "ruff.toml").write_text(config)
            view = await make(found, run_id, steps=["price", "charge", "greet"])
            write_files(view, str(tmp_path), is_forced=True)
            assert check_format(tmp_path) == "", config
