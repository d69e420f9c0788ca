"""State that outlives a run: variables of modules, classes and outer functions, shared defaults."""

from __future__ import annotations

import pytest

from tests.wfstudio.core.check.stage import check, check_body, codes_of

BEFORE = """
    from collections import defaultdict, deque
    import settings

    SEEN = []
    CACHE: dict[str, int] = {}
    TAGS = set()
    COUNTS = defaultdict(int)
    QUEUE = deque()
    total = 0
    LIMIT = 3

    class State:
        count = 0

        def __init__(self):
            self.items = []

        def grow(self):
            self.items.append(1)

    STATE = State()
"""


@pytest.mark.parametrize(
    "body",
    [
        "global total\ntotal = 1",
        "global total\ntotal += 1",
        "global total\nfor total in given: pass",
        "SEEN.append(order)",
        "SEEN[0] = order",
        "SEEN.sort()",
        "del SEEN[0]",
        "CACHE[order] = 1",
        "CACHE.setdefault(order, 1)",
        "CACHE.update(given)",
        "CACHE[order] += 1",
        "TAGS.add(order)",
        "COUNTS[order] += 1",
        "QUEUE.popleft()",
        "State.count += 1",
        "STATE.count = 1",
        "STATE.items.append(1)",
        "STATE.items[0] = 1",
        "def inner():\n    SEEN.append(1)\ninner()",
        "(lambda: SEEN.append(order))()",
        "[SEEN.append(x) for x in given]",
        "if order not in CACHE:\n    CACHE[order] = len(order)\nreturn CACHE[order]",
    ],
)
def test_what_outlives_the_run_is_not_changed_in_a_body(body: str) -> None:
    assert codes_of(body, BEFORE) == ["WF301"]


@pytest.mark.parametrize(
    "body",
    [
        "SEEN = []\nSEEN.append(order)",
        "seen = list(SEEN)\nseen.append(1)",
        "return [*SEEN, CACHE.get(order), order in TAGS, LIMIT, len(QUEUE)]",
        "total = 1\ntotal += 1",
        "state = State()\nstate.count = 1\nstate.items.append(1)\nstate.grow()",
        "items = given['items']\nitems.append(1)\nitems[0] = 2",
        "def count():\n    nonlocal n\n    n += 1\nn = 0\ncount()",
        "def add(x):\n    found.append(x)\nfound = []\nadd(order)",
        "class Local:\n    count = 0\nx = Local()",
        "result = {}\nresult['a'] = {}\nresult['a']['b'] = 1",
        "for SEEN in given:\n    SEEN.append(1)",
    ],
)
def test_what_belongs_to_the_run_is(body: str) -> None:
    assert [finding.message for finding in check_body(body, BEFORE)] == []


def test_a_module_of_the_project_is_not_changed() -> None:
    report = check(
        "import settings\nimport wf\n\n@wf.workflow\nasync def flow():\n    settings.DEBUG = True\n",
        {"settings.py": "DEBUG = False\n"},
    )
    [finding] = report.findings
    assert (finding.code, finding.message) == ("WF301", "`settings.DEBUG`, a module, is changed")


def test_a_variable_around_a_workflow_outlives_its_runs() -> None:
    report = check(
        """
        import wf

        def make():
            seen = []
            count = 0

            @wf.workflow
            async def flow(order: str):
                nonlocal count
                count += 1
                seen.append(order)
                def inner():
                    seen.append(order)
                inner()
            return flow
        """
    )
    assert [(f.code, f.line) for f in report.findings] == [("WF301", 11), ("WF301", 12), ("WF301", 14)]
    assert report.findings[0].message == "`count`, a variable of `make`, around the workflow, is assigned"


STEP = """
    @wf.step
    def keep(order):
        global total
        total += 1
        SEEN.append(order)
"""


def test_steps_may_change_what_they_like() -> None:
    assert codes_of("await keep(order)", BEFORE + STEP) == []


def test_a_variable_that_something_changes_is_not_read() -> None:
    before = """
        mode = "fast"
        LIMIT = 3

        @wf.step
        def set_mode(value: str) -> None:
            global mode
            mode = value

        def helper():
            return mode
    """
    [finding] = check_body("await set_mode(order)\nif mode == 'fast': return LIMIT", before)
    assert (finding.code, finding.message) == ("WF302", "`mode` is read, which `set_mode` changes by `global`")
    assert codes_of("return helper()", before) == ["WF302"]
    assert codes_of("mode = order\nreturn mode", before) == []


@pytest.mark.parametrize(
    ("signature", "body", "severity"),
    [
        ("order: str, found: list = []", "found.append(order)", "error"),
        ("order: str, found: dict = {}", "found[order] = 1", "error"),
        ("order: str, found=set()", "found.add(order)", "error"),
        ("order: str, *, found=dict()", "del found[order]", "error"),
        ("order: str, found: list[str] = []", "return len(found)", "warning"),
        ("order: str, found: list[str] = []", "found = [*found, order]\nfound.append(1)", "warning"),
    ],
)
def test_a_default_that_all_runs_share_is_found(signature: str, body: str, severity: str) -> None:
    [finding] = check_body(body, signature=signature)
    assert (finding.code, finding.severity) == ("WF303", severity)


@pytest.mark.parametrize("signature", ["order: str, found=()", "order: str, found=None", "order: str, n=3, *, x='a'"])
def test_a_default_that_cannot_change_is_fine(signature: str) -> None:
    assert codes_of("return order", signature=signature) == []


def test_defaults_of_steps_are_made_in_their_own_process() -> None:
    assert codes_of("await f(order)", "@wf.step\ndef f(order: str, found: list[str] = []) -> None: ...") == []
