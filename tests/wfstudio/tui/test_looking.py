from __future__ import annotations

import pytest

from wfstudio.tui.looking import is_wanted


@pytest.mark.parametrize(
    ("asked", "is_listed"),
    [
        ("", True),
        ("  ", True),
        ("!", True),
        ("ADA", True),
        ("site ada", True),
        ("site grace", False),
        ("!ada", False),
        ("!site grace", True),
        ("!grace", True),
    ],
)
def test_all_words_are_looked_for_and_a_mark_turns_it_over(asked, is_listed):
    assert is_wanted("site:ada flow:Approval", asked) is is_listed
