"""`# wf: ignore[...]`: what it hides, and when it is in the way itself."""

from __future__ import annotations

import pytest

from tests.wfstudio.core.check.stage import check, check_body, codes_of


@pytest.mark.parametrize(
    "body",
    [
        "time.time()  # wf: ignore[WF101]",
        "time.time()  # wf: ignore",
        "time.time()  #wf:ignore [ WF203 , wf101 ]",
        "time.time()  # noqa: X100  # wf: ignore[WF101] the clock of the wall",
        "# wf: ignore[WF101]\ntime.time()",
        "# wf: ignore[WF101]\n# and why\n\nprint(\n    1,\n    time.time(),\n)",
        "print(  # wf: ignore[WF101]\n    time.time(),\n)",
        "print(\n    time.time(),\n)  # wf: ignore[WF101]",
        "print(\n    time.time(),  # wf: ignore[WF101]\n)",
        "# wf: ignore[WF101]\nif time.time() > 3:\n    pass",
        "if time.time() > 3:  # wf: ignore[WF101]\n    pass",
        "# wf: ignore[WF106]\nfor x in {'a', 'b'}:\n    pass",
        "x = '''\n# not a comment\n'''; time.time()  # wf: ignore[WF101]",
    ],
)
def test_it_hides_the_finding_of_its_statement(body: str) -> None:
    assert [code for code in codes_of(body) if code != "WF002"] == []


@pytest.mark.parametrize(
    "body",
    [
        "time.time()  # wf: ignore[WF102]",
        "time.time()\n# wf: ignore[WF101]",
        "# wf: ignore[WF101]\npass\ntime.time()",
        "# wf: ignore[WF101]\nif order:\n    time.time()",
        "x = '# wf: ignore[WF101]'; time.time()",
        "time.time()  # wf: ignored[WF101]",
        "time.time()  # wf: ignore[WF101",
        "print(\n    1,  # wf: ignore[WF101]\n    time.time(),\n)",
    ],
)
def test_it_hides_no_other(body: str) -> None:
    assert "WF101" in codes_of(body)


def test_each_finding_of_a_line_needs_its_code() -> None:
    body = "open(str(time.time()))  # wf: ignore[WF101]"
    assert codes_of(body) == ["WF201"]
    assert codes_of(body.replace("WF101", "WF101, WF201")) == []


def test_one_that_hides_nothing_is_a_warning() -> None:
    [finding] = check_body("wf.now()  # wf: ignore[WF101]")
    assert (finding.code, finding.severity) == ("WF002", "warning")
    assert finding.message == "the suppression of WF101 hides nothing"
    assert (finding.column, finding.where, finding.workflows) == (15, "in flow:flow", ["flow:flow"])
    [finding] = check_body("wf.now()  # wf: ignore")
    assert finding.message == "the suppression hides nothing"


def test_of_several_codes_those_are_named_that_hide_nothing() -> None:
    [finding] = check_body("time.time()  # wf: ignore[WF101, WF203, WF999]")
    assert finding.message == "the suppression of WF203, WF999 hides nothing"


def test_one_that_cannot_be_read_says_how_to_write_it() -> None:
    findings = check_body("time.time()  # wf: ignore[clock]")
    assert [f.code for f in findings] == ["WF101", "WF002"]
    assert findings[1].message == "the suppression cannot be read"
    assert findings[1].fix == "write `# wf: ignore[WF101]`, several codes with commas between them"


def test_in_a_step_it_hides_nothing() -> None:
    code = "import time\nimport wf\n\n@wf.step\ndef f():\n    time.time()  # wf: ignore[WF101]\n"
    assert [finding.code for finding in check(code).findings] == ["WF002"]


def test_outside_of_what_was_looked_at_nothing_is_said() -> None:
    code = "import time\nimport wf\n\ndef unused():\n    time.time()  # wf: ignore[WF101]\n\nAT = 3  # wf: ignore\n"
    assert check(code).findings == []


def test_a_helper_in_another_module_hides_its_own() -> None:
    report = check(
        "import wf\nfrom helper import now\n\n@wf.workflow\nasync def flow():\n    return now()\n",
        {"helper.py": "import time\n\ndef now():\n    return time.time()  # wf: ignore[WF101]\n"},
    )
    assert report.findings == []


def test_a_rule_that_is_not_asked_leaves_its_suppressions_alone() -> None:
    from wfstudio.core.check.checking import check_sources
    from wfstudio.core.check.rules import RULES

    code = b"import time\nimport wf\n\n@wf.workflow\nasync def flow():\n    time.time()  # wf: ignore[WF101]\n"
    rules = [rule for rule in RULES if rule.code != "WF101"]
    assert check_sources("/project", {"flow.py": code}, rules=rules).findings == []
