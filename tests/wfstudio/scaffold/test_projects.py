"""Projects: templates, answers and places become plans."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from wf.settings import load_settings
from wfstudio.core.errors import ConflictError, UsageError
from wfstudio.scaffold.names import read_project_name
from wfstudio.scaffold.plans import plan_file
from wfstudio.scaffold.projects import list_content, plan_project, read_place
from wfstudio.scaffold.templates import find_template, list_files, list_templates
from wfstudio.scaffold.writing import write_plan


def test_a_template_that_is_not_there_is_told_what_was_meant() -> None:
    with pytest.raises(UsageError) as refused:
        find_template("aproval")
    assert (str(refused.value), refused.value.hint) == (
        "there is no template 'aproval'",
        "did you mean `approval`?",
    )
    with pytest.raises(UsageError) as refused:
        find_template("xyzzy")
    assert refused.value.hint == f"there are {', '.join(template.name for template in list_templates())}"


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ({"dasy": "3"}, "the template approval does not ask for 'dasy'", "did you mean `days`?"),
        ({"x": "3"}, "the template approval does not ask for 'x'", "known are days"),
        ({"days": "soon"}, "days: 'soon' is not a whole number", "`7`, for example"),
        ({"days": "-1"}, "days: '-1' is not a whole number", "`7`, for example"),
        ({"days": "0"}, "days: 0 is not between 1 and 365", None),
        ({"days": "366"}, "days: 366 is not between 1 and 365", None),
    ],
)
def test_an_answer_that_will_not_do_says_why(given: dict[str, str], message: str, hint: str | None) -> None:
    with pytest.raises(UsageError) as refused:
        find_template("approval").answer(given)
    assert (str(refused.value), refused.value.hint) == (message, hint)


def test_what_is_not_answered_has_its_default() -> None:
    assert find_template("approval").answer({}) == {"days": 7}
    assert find_template("approval").answer({"days": " 3 "}) == {"days": 3}
    with pytest.raises(UsageError) as refused:
        find_template("hello").answer({"days": "3"})
    assert refused.value.hint == "it asks nothing"


def test_a_default_is_an_answer() -> None:
    for template in list_templates():
        for question in template.questions:
            assert question.read(str(question.default)) == question.default


def test_a_place_is_a_path_that_ends_in_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-place").mkdir()
    assert read_place("flows/my-flows") == (tmp_path / "flows" / "my-flows", read_project_name("my-flows"))
    monkeypatch.chdir(tmp_path / "my-place")
    assert read_place(".") == (tmp_path / "my-place", read_project_name("my-place"))
    assert read_place("../other") == (tmp_path / "other", read_project_name("other"))


def test_a_place_behind_a_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    for place in (tmp_path / "taken", tmp_path / "taken" / "my-flows"):
        with pytest.raises(ConflictError) as refused:
            read_place(str(place))
        assert str(refused.value) == f"{tmp_path}/taken is a file"


def test_hidden_files_do_not_fill_a_folder(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    assert list_content(tmp_path) == []
    (tmp_path / "notes.txt").write_text("")
    assert list_content(tmp_path) == ["notes.txt"]
    assert list_content(tmp_path / "nowhere") == []


def test_a_plan_names_the_module_everywhere_and_leaves_no_sign_of_the_template() -> None:
    for template in list_templates():
        name = read_project_name("my-flows")
        plan = plan_project(template, Path("/nowhere/my-flows"), name, template.answer({}))
        paths = [file.path for file in plan.files]
        assert {".gitignore", "README.md", "pyproject.toml", "my_flows.py", "tests/test_my_flows.py"} <= set(paths)
        assert len(paths) == len(set(paths))
        text = "".join(f"{file.path}\n{file.content.decode()}" for file in plan.files)
        assert not [word for word in ("MODULE", ".jinja", "{{", "{%", "template.toml") if word in text]
        assert all(file.content.endswith(b"\n") and not file.content.endswith(b"\n\n") for file in plan.files)


def test_settings_of_a_project_are_read_by_those_they_are_for(tmp_path: Path) -> None:
    for template in list_templates():
        folder = tmp_path / template.name / "my-flows"
        write_plan(plan_project(template, folder, read_project_name("my-flows"), template.answer({})))
        settings = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))
        assert settings["project"]["name"] == "my-flows"
        assert "license" not in settings["project"]
        assert not list(folder.rglob("LICENSE*"))
        assert load_settings(folder).modules == ("my_flows",)


def test_every_template_has_a_line_that_fits_where_it_is_chosen() -> None:
    """80 columns, less the cursor, the longest name and the gaps."""
    for template in list_templates():
        assert len(template.summary) + len("❯ approval  ") <= 80
        assert template.next


def test_every_file_of_a_template_is_listed(tmp_path: Path) -> None:
    files = {file.path: file for file in list_files(find_template("pipeline"))}
    assert files["inbox/tides.txt"].is_rendered is False
    assert files[".gitignore"].is_rendered is True
    assert "template.toml" not in files


def test_a_file_that_is_there_is_kept_if_it_is_the_same_and_else_named(tmp_path: Path) -> None:
    assert plan_file(tmp_path, "a.txt", b"1").action == "create"
    (tmp_path / "a.txt").write_bytes(b"1")
    assert plan_file(tmp_path, "a.txt", b"1").action == "keep"
    assert plan_file(tmp_path, "a.txt", b"2").action == "replace"
