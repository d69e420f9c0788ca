"""Scalars that JSON has no form for: bytes, large and odd numbers, odd strings, ids, paths."""

from __future__ import annotations

import ipaddress
from binascii import a2b_base64
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Final
from uuid import UUID

import msgspec

from wf.codec.walk import LIFT, LOWER, Lowering, Malformed, lift, lower_str

_ADDRESSES: Final = {
    cls.__name__: cls
    for cls in (
        ipaddress.IPv4Address,
        ipaddress.IPv6Address,
        ipaddress.IPv4Network,
        ipaddress.IPv6Network,
        ipaddress.IPv4Interface,
        ipaddress.IPv6Interface,
    )
}


def _lower_bytes(walk: Lowering, value: bytes, depth: int) -> Any:
    return {"$bytes": value}


def _lower_bytearray(walk: Lowering, value: bytearray, depth: int) -> Any:
    return {"$bytearray": bytes(value)}


def _lower_decimal(walk: Lowering, value: Decimal, depth: int) -> Any:
    # The exponent's letter follows the thread's decimal context, which must not show.
    return {"$decimal": str(value).replace("e", "E")}


def _lower_uuid(walk: Lowering, value: UUID, depth: int) -> Any:
    return {"$uuid": str(value)}


def _lower_complex(walk: Lowering, value: complex, depth: int) -> Any:
    return {"$complex": [walk.lower(value.real, depth), walk.lower(value.imag, depth)]}


def _lower_fraction(walk: Lowering, value: Fraction, depth: int) -> Any:
    return {"$fraction": [walk.lower(value.numerator, depth), walk.lower(value.denominator, depth)]}


def _lower_range(walk: Lowering, value: range, depth: int) -> Any:
    return {"$range": [walk.lower(number, depth) for number in (value.start, value.stop, value.step)]}


# File names that are not valid UTF-8 reach Python as strings with lone surrogates.
def _lower_path(walk: Lowering, value: Path, depth: int) -> Any:
    return {"$path": lower_str(str(value))}


def _lower_pure_posix_path(walk: Lowering, value: PurePosixPath, depth: int) -> Any:
    return {"$pureposixpath": lower_str(str(value))}


def _lower_pure_windows_path(walk: Lowering, value: PureWindowsPath, depth: int) -> Any:
    return {"$purewindowspath": lower_str(str(value))}


def _lower_address(walk: Lowering, value: Any, depth: int) -> Any:
    return {"$ip": [type(value).__name__, str(value)]}


def _lower_unset(walk: Lowering, value: Any, depth: int) -> Any:
    return {"$unset": True}


def _lift_bytes(tree: dict[str, Any], depth: int) -> Any:
    return a2b_base64(tree["$bytes"], strict_mode=True)


def _lift_bytearray(tree: dict[str, Any], depth: int) -> Any:
    return bytearray(a2b_base64(tree["$bytearray"], strict_mode=True))


def _lift_int(tree: dict[str, Any], depth: int) -> Any:
    return int(tree["$int"], 16)


def _lift_float(tree: dict[str, Any], depth: int) -> Any:
    return {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}[tree["$float"]]


def _lift_str(tree: dict[str, Any], depth: int) -> Any:
    return a2b_base64(tree["$str"], strict_mode=True).decode("utf-8", "surrogatepass")


def _lift_decimal(tree: dict[str, Any], depth: int) -> Any:
    text = tree["$decimal"]
    if type(text) is not str:
        raise Malformed("its text is not a string")
    return Decimal(text)


def _lift_uuid(tree: dict[str, Any], depth: int) -> Any:
    return UUID(tree["$uuid"])


def _lift_complex(tree: dict[str, Any], depth: int) -> Any:
    real, imaginary = tree["$complex"]
    return complex(lift(real, depth), lift(imaginary, depth))


def _lift_fraction(tree: dict[str, Any], depth: int) -> Any:
    numerator, denominator = tree["$fraction"]
    return Fraction(lift(numerator, depth), lift(denominator, depth))


def _lift_range(tree: dict[str, Any], depth: int) -> Any:
    start, stop, step = tree["$range"]
    return range(lift(start, depth), lift(stop, depth), lift(step, depth))


def _lift_path(tree: dict[str, Any], depth: int) -> Any:
    return Path(lift(tree["$path"], depth))


def _lift_pure_posix_path(tree: dict[str, Any], depth: int) -> Any:
    return PurePosixPath(lift(tree["$pureposixpath"], depth))


def _lift_pure_windows_path(tree: dict[str, Any], depth: int) -> Any:
    return PureWindowsPath(lift(tree["$purewindowspath"], depth))


def _lift_address(tree: dict[str, Any], depth: int) -> Any:
    name, text = tree["$ip"]
    return _ADDRESSES[name](text)


def _lift_unset(tree: dict[str, Any], depth: int) -> Any:
    return msgspec.UNSET


LOWER.update(
    {
        bytes: _lower_bytes,
        bytearray: _lower_bytearray,
        Decimal: _lower_decimal,
        UUID: _lower_uuid,
        complex: _lower_complex,
        Fraction: _lower_fraction,
        range: _lower_range,
        type(Path()): _lower_path,
        PurePosixPath: _lower_pure_posix_path,
        PureWindowsPath: _lower_pure_windows_path,
        msgspec.UnsetType: _lower_unset,
    }
)
LOWER.update((cls, _lower_address) for cls in _ADDRESSES.values())
LIFT.update(
    {
        "$int": _lift_int,
        "$float": _lift_float,
        "$str": _lift_str,
        "$bytes": _lift_bytes,
        "$bytearray": _lift_bytearray,
        "$decimal": _lift_decimal,
        "$uuid": _lift_uuid,
        "$complex": _lift_complex,
        "$fraction": _lift_fraction,
        "$range": _lift_range,
        "$path": _lift_path,
        "$pureposixpath": _lift_pure_posix_path,
        "$purewindowspath": _lift_pure_windows_path,
        "$ip": _lift_address,
        "$unset": _lift_unset,
    }
)
