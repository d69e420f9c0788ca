"""Names: what a project, a workflow and a step may be called, and what is said of the others."""

from __future__ import annotations

import pytest

from wfstudio.core.errors import UsageError
from wfstudio.scaffold.names import ProjectName, check_definition_name, read_project_name


@pytest.mark.parametrize(
    ("text", "module"),
    [("my-flows", "my_flows"), ("Billing", "billing"), ("a", "a"), ("acme.mail-2", "acme_mail_2"), ("x__y", "x_y")],
)
def test_a_projects_module_is_its_name_as_python_can_import_it(text: str, module: str) -> None:
    assert read_project_name(text) == ProjectName(text, module)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "a project needs a name", "`my-flows`, for example"),
        ("my flows!", "'my flows!' is no name for a project", "use letters, digits, `-`, `_` and `.`: `my-flows`"),
        ("-", "'-' is no name for a project", "use letters, digits, `-`, `_` and `.`"),
        ("flöte", "'flöte' is no name for a project", "use letters, digits, `-`, `_` and `.`: `flote`"),
        (
            "3d-flows",
            "`3d-flows` is the module `3d_flows`, which begins with a digit, which no Python module can",
            "name it otherwise: `my-3d-flows`",
        ),
        ("class", "`class` is a word of Python's", "name it otherwise: `my-class`"),
        ("Lambda", "`Lambda` is the module `lambda`, which is a word of Python's", "name it otherwise: `my-Lambda`"),
        ("random", "`random` would hide Python's own module of that name", "name it otherwise: `my-random`"),
        ("tests", "`tests` is taken for tests or for packaging", "name it otherwise: `my-tests`"),
        (
            "test-flows",
            "`test-flows` is the module `test_flows`, which is taken for tests or for packaging",
            "name it otherwise: `my-test-flows`",
        ),
        ("wf", "`wf` would hide the installed package wf", "name it otherwise: `my-wf`"),
        ("starlette", "`starlette` would hide the installed package starlette", "name it otherwise: `my-starlette`"),
    ],
)
def test_a_name_that_cannot_be_says_why_and_what_could(text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_project_name(text)
    assert (str(refused.value), refused.value.hint) == (message, hint)


def test_a_name_has_an_end() -> None:
    assert read_project_name("a" * 60).module == "a" * 60
    with pytest.raises(UsageError, match="too long"):
        read_project_name("a" * 61)


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("send-letter", "'send-letter' is no name for a step: it becomes a function", "did you mean `send_letter`?"),
        ("2nd", "'2nd' is no name for a step: it becomes a function", "did you mean `nd`?"),
        ("!", "'!' is no name for a step: it becomes a function", "use letters, digits and `_`, as in `send_letter`"),
        ("import", "`import` is a word of Python's", "name it otherwise: `import_it`"),
        ("print", "`print` would hide Python's own", "name it otherwise: `print_it`"),
    ],
)
def test_a_function_that_cannot_be_says_why_and_what_could(name: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        check_definition_name(name, "step")
    assert (str(refused.value), refused.value.hint) == (message, hint)


def test_an_ordinary_function_is_fine() -> None:
    check_definition_name("send_letter_2", "workflow")
