"""From a workflow's body into what it calls: functions, methods and classes of the project, in any module."""

from __future__ import annotations

import pytest

from tests.wfstudio.core.check.stage import check, check_body, codes_of


def test_a_helper_is_part_of_the_body_and_the_finding_names_the_way() -> None:
    before = """
        import time

        def now():
            return time.time()

        def price(order):
            return now() * 2
    """
    [finding] = check_body("return price(order)", before)
    assert finding.where == "in now, called by price, called by flow:flow"
    assert finding.workflows == ["flow:flow"]
    assert (finding.file, finding.column, finding.code) == ("flow.py", 12, "WF101")


@pytest.mark.parametrize(
    ("body", "before"),
    [
        ("async def inner():\n    return time.time()\nreturn await inner()", ""),
        ("return Cart().total()", "class Cart:\n    def total(self):\n        return time.time()"),
        ("Cart()", "class Cart:\n    def __init__(self):\n        self.at = time.time()"),
        ("Cart.of(1)", "class Cart:\n    @classmethod\n    def of(cls, x):\n        return time.time()"),
        ("Cart.of(1)", "class Cart:\n    @staticmethod\n    def of(x):\n        return time.time()"),
        ("return Cart().at", "class Cart:\n    @property\n    def at(self):\n        return time.time()"),
        (
            "return Cart().total()",
            "class Base:\n    def total(self):\n        return time.time()\nclass Cart(Base):\n    pass",
        ),
        (
            "return Cart().total()",
            "class Base:\n    def total(self):\n        return time.time()\n"
            "class Cart(Base):\n    def total(self):\n        return super().total()",
        ),
        (
            "return Cart().total()",
            "class Cart:\n    def total(self):\n        return self.at()\n"
            "    def at(self):\n        return time.time()",
        ),
        ("with timed(): pass", "class timed:\n    def __enter__(self):\n        self.at = time.time()"),
        (
            "with timed(): pass",
            "import contextlib\n@contextlib.contextmanager\ndef timed():\n    yield time.time()",
        ),
        ("for at in ticks(): pass", "def ticks():\n    yield time.time()"),
        ("return sorted(given, key=late)", "def late(x):\n    return time.time()"),
        ("return sorted(given, key=lambda x: time.time())", ""),
        ("f = late\nreturn f()", "def late():\n    return time.time()"),
        ("return TABLE[order]()", "def late():\n    return time.time()\nTABLE = {'a': late}"),
        ("return (late if order else int)()", "def late():\n    return time.time()"),
        ("import functools\nreturn functools.partial(late, 1)()", "def late(x):\n    return time.time()"),
        ("return timed_one()", (
            "import functools\ndef timed(f):\n    @functools.wraps(f)\n    def inner(*args):\n"
            "        at = time.time()\n        return f(*args), at\n    return inner\n"
            "@timed\ndef timed_one():\n    return 1"
        )),
        ("await charge.func(order)\nreturn late.func()", "@wf.step\ndef late():\n    return time.time()"),
        (
            "return Order(order)",
            "from dataclasses import field\nfrom datetime import datetime\n"
            "@dataclass\nclass Order:\n    name: str\n    at: datetime = field(default_factory=datetime.now)",
        ),
        (
            "return Order(order)",
            "from dataclasses import field\n@dataclass\nclass Order:\n    name: str\n"
            "    at: float = field(default_factory=lambda: time.time())",
        ),
        ("return late()", "clock = time.time\ndef late():\n    return clock()"),
        ("return await later()", "async def later():\n    await asyncio.sleep(1)\n    return time.time()"),
        ("t = asyncio.create_task(later())\nawait t", "async def later():\n    return time.time()"),
    ],
)  # fmt: skip
def test_it_is_followed(body: str, before: str) -> None:
    assert codes_of(body, before) == ["WF101"]


@pytest.mark.parametrize(
    ("body", "before"),
    [
        ("await late()", "@wf.step\nasync def late():\n    return time.time()"),
        ("await late()", "@wf.step(max_retries=1)\ndef late():\n    return time.time()"),
        ("await late()", "async def _late():\n    return time.time()\nlate = wf.step(_late)"),
        ("await late()", "async def _late():\n    return time.time()\nlate = wf.step(max_retries=2)(_late)"),
        ("await late()", "app = wf.Workflows()\n@app.step\ndef late():\n    return time.time()"),
        ("await late()", "durable = wf.step(max_retries=2)\n@durable\ndef late():\n    return time.time()"),
        ("await late()", "def late():\n    'use step'\n    return time.time()"),
        ("await Shop.late()", "class Shop:\n    @staticmethod\n    @wf.step\n    def late():\n        time.time()"),
        ("late", "def late():\n    return time.time()"),
        ("x = lambda: 1", "def late():\n    return time.time()"),
        ("Order(order, at=1.0)", "from dataclasses import field\n@dataclass\nclass Order:\n    name: str\n"
         "    at: float = field(default_factory=time.time)"),
        ("given['cart'].total()", "class Cart:\n    def total(self):\n        return time.time()"),
        ("int(order)", "AT = time.time()"),
        ("pass", "class Cart:\n    at = time.time()\n    def total(self, at=time.time()):\n        return at"),
    ],
)  # fmt: skip
def test_it_is_not_followed(body: str, before: str) -> None:
    assert codes_of(body, before) == []


def test_a_helper_is_followed_into_other_modules_of_the_project() -> None:
    report = check(
        """
        import wf
        from prices import price
        import tools.dates as dates

        @wf.workflow
        async def flow(order: str):
            return price(order), dates.tomorrow()
        """,
        {
            "prices.py": "from rates import rate\n\ndef price(order):\n    return rate(order)\n",
            "rates.py": "import random\n\ndef rate(order):\n    return random.random()\n",
            "tools/dates.py": "from .clock import now\n\ndef tomorrow():\n    return now() + 1\n",
            "tools/clock.py": "from time import time\n\ndef now():\n    return time()\n",
        },
    )
    assert [(f.code, f.file, f.where) for f in report.findings] == [
        ("WF102", "rates.py", "in rate, called by price, called by flow:flow"),
        ("WF101", "tools/clock.py", "in now, called by tomorrow, called by flow:flow"),
    ]


def test_packages_reexports_stars_and_src_are_followed() -> None:
    report = check(
        """
        import wf
        from shop import price
        from shop import *
        import lib

        @wf.workflow
        async def flow(order: str):
            return price(), tax(), lib.deep.age()
        """,
        {
            "shop/__init__.py": "from .prices import price, tax\n",
            "shop/prices.py": "from time import time as t\n\ndef price(): return t()\n\ndef tax(): return t()\n",
            "src/lib/__init__.py": "from . import deep\n",
            "src/lib/deep.py": "import time\n\ndef age():\n    return time.time_ns()\n",
        },
    )
    assert [(f.file, f.line) for f in report.findings] == [
        ("shop/prices.py", 3),
        ("shop/prices.py", 5),
        ("src/lib/deep.py", 4),
    ]


def test_a_step_of_another_module_is_a_step() -> None:
    report = check(
        """
        import wf
        from app import registry
        from steps import fetch

        @registry.workflow
        async def flow(order: str):
            await fetch(order)
            fetch(order)
        """,
        {
            "app.py": "import wf\n\nregistry = wf.Workflows(namespace='shop')\n",
            "steps.py": "from app import registry\n\n@registry.step\ndef fetch(order: str):\n    open(order)\n",
        },
    )
    [finding] = report.findings
    assert (finding.code, finding.message) == ("WF401", "step fetch is called, and never awaited")
    assert finding.workflows == ["shop/flow:flow"]


def test_what_is_installed_is_not_followed() -> None:
    report = check(
        "import wf\nimport lib\n\n@wf.workflow\nasync def flow():\n    return lib.now()\n",
        {"site-packages/lib.py": "import time\n\ndef now():\n    return time.time()\n"},
    )
    assert report.findings == []


def test_a_helper_of_several_workflows_is_one_finding_that_names_them_all() -> None:
    report = check(
        """
        import time
        import wf

        def now():
            return time.time()

        @wf.workflow
        async def b():
            return now()

        @wf.workflow
        async def a():
            return now()
        """
    )
    [finding] = report.findings
    assert finding.workflows == ["flow:a", "flow:b"]
    assert finding.where == "in now, called by flow:b"


def test_helpers_that_call_each_other_come_to_an_end() -> None:
    before = """
        import time

        def even(n):
            return odd(n - 1)

        def odd(n):
            return even(n - 1) or time.time()
    """
    assert codes_of("return even(3)", before) == ["WF101"]


def test_a_child_is_a_body_of_its_own() -> None:
    report = check(
        """
        import time
        import wf

        @wf.workflow
        async def child():
            return time.time()

        @wf.workflow
        async def parent():
            return await child()
        """
    )
    [finding] = report.findings
    assert finding.workflows == ["flow:child"]


def test_what_is_given_to_a_thread_is_not_looked_at_beside_the_thread() -> None:
    assert codes_of("await asyncio.to_thread(late)", "import time\ndef late():\n    return time.time()") == ["WF204"]
