"""Every error's text, cure and place in the tree, word for word."""

from __future__ import annotations

import copy
import inspect
import re

import pytest

from wf import errors
from wf.errors import (
    DecryptionError,
    FatalError,
    HookConflictError,
    HookDisposedError,
    HookNotFoundError,
    ImportedRunError,
    LockTimeoutError,
    NondeterminismError,
    NotInRunError,
    NotRegisteredError,
    PayloadTooLargeError,
    RetryableError,
    RunNotFoundError,
    SerializationError,
    StepError,
    StepTimeoutError,
    StorageFull,
    ValidationError,
    WorkflowError,
    WorkflowIOError,
    WorkflowRunCancelledError,
    WorkflowRunFailedError,
    WorldBusy,
    WorldError,
    shorten,
)

CLASSES: list[type[WorkflowError]] = [getattr(errors, name) for name in errors.__all__]

EXAMPLES: list[tuple[WorkflowError, str]] = [
    (FatalError("card was stolen"), "card was stolen"),
    (RetryableError("busy", "10s"), "busy"),
    (StepError("shop.CardError", "declined"), "shop.CardError: declined"),
    (StepError("shop.CardError"), "shop.CardError"),
    (StepTimeoutError("attempt 1 of pay took longer than 5 s"), "attempt 1 of pay took longer than 5 s"),
    (SerializationError("order.lines[3]", "function cannot be carried"), "order.lines[3]: function cannot be carried"),
    (SerializationError("", "too deep"), "too deep"),
    (PayloadTooLargeError("the result of pay", 60, 50), "the result of pay is 60 bytes, over the limit of 50"),
    (HookNotFoundError("site:42"), "no live hook has the token 'site:42'"),
    (HookDisposedError("site:42"), "the hook 'site:42' was disposed of"),
    (HookConflictError("site:42", "wrun_1"), "the token 'site:42' belongs to a hook of run wrun_1"),
    (
        WorkflowRunFailedError("wrun_1", "USER_ERROR", "ValueError: no"),
        "run wrun_1 failed (USER_ERROR): ValueError: no",
    ),
    (WorkflowRunFailedError("wrun_1", "TIMEOUT"), "run wrun_1 failed (TIMEOUT)"),
    (WorkflowRunCancelledError("wrun_1", "no longer needed"), "run wrun_1 was cancelled: no longer needed"),
    (WorkflowRunCancelledError("wrun_1"), "run wrun_1 was cancelled"),
    (RunNotFoundError("wrun_1"), "no run has the id 'wrun_1'"),
    (
        ImportedRunError("wrun_1", "bundle:order.wf.zip"),
        "run wrun_1 was imported from 'order.wf.zip' and can only be read",
    ),
    (NotInRunError("`wf.now` was called outside a run"), "`wf.now` was called outside a run"),
    (LockTimeoutError("stock"), "the lock 'stock' was not granted in time"),
    (NondeterminismError("run wrun_1 replayed differently"), "run wrun_1 replayed differently"),
    (NotRegisteredError("step", "shop:pay"), "no step is registered as 'shop:pay'"),
    (WorkflowIOError("a workflow body opened a socket"), "a workflow body opened a socket"),
    (DecryptionError("wrun_1", 3, "result"), "run wrun_1 event 3: cannot open result"),
    (DecryptionError("wrun_1", None, "chunk", "no key"), "run wrun_1: cannot open chunk (no key)"),
    (WorldError("the disk failed"), "the disk failed"),
    (StorageFull("the disk is full"), "the disk is full"),
    (WorldBusy("process 4 holds the world"), "process 4 holds the world"),
]


@pytest.mark.parametrize(("error", "text"), EXAMPLES, ids=lambda value: value if isinstance(value, str) else "")
def test_an_error_says_what_happened(error: WorkflowError, text: str) -> None:
    assert str(error) == text
    assert error.message == text or type(error) is StepError


def test_a_step_error_keeps_apart_the_class_and_what_it_said() -> None:
    error = StepError("shop.errors.Refused", "no stock")
    assert (error.type_name, error.message, str(error)) == (
        "shop.errors.Refused",
        "no stock",
        "shop.errors.Refused: no stock",
    )
    assert error.explain().splitlines()[0] == str(error)
    assert StepError("worker lost").message == "worker lost"


@pytest.mark.parametrize("error", [example for example, _ in EXAMPLES], ids=lambda error: type(error).__name__)
def test_an_error_is_rebuilt_from_its_arguments(error: WorkflowError) -> None:
    again = copy.copy(error)
    assert type(again) is type(error)
    assert (str(again), again.args, vars(again)) == (str(error), error.args, vars(error))


def test_an_explanation_says_what_where_cure_and_page() -> None:
    error = NondeterminismError("run wrun_1 replayed differently", where="order.py:41 in fulfil")
    assert error.explain() == (
        "run wrun_1 replayed differently\n"
        "  at order.py:41 in fulfil\n"
        "  fix: put the code back, or fork the run from before that event\n"
        "  more: docs/errors/nondeterminism.md"
    )


def test_an_explanation_leaves_out_what_is_not_known() -> None:
    assert FatalError("no").explain() == "no\n  more: docs/errors/fatal.md"


def test_an_unknown_id_comes_with_the_close_ones() -> None:
    error = NotRegisteredError("step", "shop:pya", ["shop:pay", "shop:pack", "mail:send"])
    assert str(error) == "no step is registered as 'shop:pya'; close: shop:pay, shop:pack"
    assert error.hint == "did you mean `shop:pay` or `shop:pack`?"
    assert NotRegisteredError("step", "x", []).hint == "import the module that defines it, or name it in `modules`"


def test_every_class_has_a_slug_of_its_own() -> None:
    slugs = [cls.slug for cls in CLASSES]
    assert [cls.__name__ for cls in CLASSES if "slug" not in vars(cls)] == []
    assert len(set(slugs)) == len(slugs)
    assert [slug for slug in slugs if not re.fullmatch(r"[a-z]+(-[a-z]+)*", slug)] == []


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = re.findall(r"^([│├└─ ]*)([A-Z]\w+)", (errors.__doc__ or "").split("\n\n")[1], re.MULTILINE)
    parents: list[str] = []
    edges = []
    for indent, name in drawn:
        depth = len(indent) // 4
        parents[depth:] = [name]
        edges.append((name, parents[depth - 1] if depth else "Exception"))
    assert sorted(edges) == sorted((cls.__name__, cls.__bases__[0].__name__) for cls in CLASSES)


@pytest.mark.parametrize(
    ("cls", "builtin"),
    [
        (StepTimeoutError, TimeoutError),
        (SerializationError, TypeError),
        (ValidationError, ValueError),
        (NotInRunError, RuntimeError),
        (LockTimeoutError, TimeoutError),
        (WorkflowIOError, RuntimeError),
    ],
)
def test_pythons_own_class_catches_it_too(cls: type[Exception], builtin: type[Exception]) -> None:
    assert issubclass(cls, builtin)


def test_every_public_class_says_what_it_means() -> None:
    assert [cls.__name__ for cls in CLASSES if not inspect.getdoc(cls)] == []


def test_all_names_every_error_and_nothing_else() -> None:
    defined = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, BaseException)]
    assert [getattr(errors, name) for name in errors.__all__] == defined


# -- shorten --------------------------------------------------------------------------------------


def test_user_data_is_shown_as_its_repr_cut_at_eighty() -> None:
    assert shorten("a\n\x1b[31m") == r"'a\n\x1b[31m'"
    assert shorten("x" * 78) == repr("x" * 78)
    assert shorten("x" * 79) == "'" + "x" * 78 + "…"
    assert len(shorten("x" * 10_000)) == 80


def test_a_repr_that_raises_does_not_hide_the_error() -> None:
    class Odd:
        def __repr__(self) -> str:
            raise ZeroDivisionError

    assert shorten(Odd()) == "<Odd: repr raised ZeroDivisionError>"
