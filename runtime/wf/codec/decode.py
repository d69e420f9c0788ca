"""Decoding: tagged JSON becomes the value again.

Nothing is imported, executed, opened or unpickled, whatever the bytes say (see `times` for the one
exception, zones). Classes are looked up among those that are loaded, and must be of the sort that
the tag says; their instances are filled without running their code, except `_workflow_deserialize`
and `__hash__`.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from wf.codec.opaque import tree_depth
from wf.codec.walk import MAX_LIFT_DEPTH, Malformed, lift, load
from wf.errors import SerializationError, WorkflowError

_DOLLAR: Final = ord("$")
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


def decode(data: bytes) -> Any:
    """Read what `encode` wrote. Values of classes that are not loaded become `Opaque`.

    Raises SerializationError for bytes that no encoder wrote.
    """
    try:
        value = load(data)
        # Without a tag in it the JSON is the value. Asked for with bytes, `in` first fails to read them as a number.
        if _DOLLAR in data and data.find(b'"$') >= 0:
            return lift(value)
        if len(data) > 2 * MAX_LIFT_DEPTH and _is_too_deep(data, value):
            raise SerializationError("", f"malformed: it is nested deeper than {MAX_LIFT_DEPTH}")
        return value
    except WorkflowError:
        raise
    except RecursionError:
        raise SerializationError("", "malformed: it is nested too deep") from None
    except (Malformed, msgspec.DecodeError) as error:
        raise SerializationError("", f"malformed: {error}") from None
    except Exception as error:
        raise SerializationError("", f"malformed: {type(error).__name__}: {error}") from error


def decode_arguments(data: bytes) -> dict[str, Any]:
    """Read what `encode_arguments` wrote."""
    value = decode(data)
    # Names that are no texts have a tag.
    if type(value) is not dict or (_DOLLAR in data and not all(type(name) is str for name in value)):
        raise SerializationError("", "malformed: arguments are an object of names")
    return value


def _is_too_deep(data: bytes, value: Any) -> bool:
    """Measure the depth of JSON, a few times faster than a walk over it would be."""
    brackets = data.translate(None, _NOT_BRACKETS)
    for _ in range(MAX_LIFT_DEPTH // 2):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    # It is deep indeed, or there are brackets in its strings.
    return tree_depth(value) > MAX_LIFT_DEPTH
