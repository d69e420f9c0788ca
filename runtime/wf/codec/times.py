"""Dates and times, with their zones.

A zone is null, an offset like "+01:00", an offset with a name like ["+01:00", "CET"], or the key of
a zone like "Europe/Berlin". ISO text carries the first two; the others, and a fold, need the long
form [ISO text without zone, zone, fold].

Reading a zone by its key is the one thing for which decoding opens a file: the system's time zone
database or, where that lacks the zone, the package `tzdata` if it is installed, which `zoneinfo`
imports for it. There is no other way to get that zone. The key is checked first, each zone is read
once, and one that is not there leaves the value opaque.
"""

from __future__ import annotations

import os
import re
import zoneinfo
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, Final
from zoneinfo import ZoneInfo

from wf.codec.opaque import make_opaque
from wf.codec.walk import LIFT, LOWER, Lowering, Malformed, Refusal, lift, lower_str

_ZONE_KEY: Final = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")
_OFFSET: Final = re.compile(r"([+-])(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{6}))?)?", re.ASCII)
_HAS_TZDATA: Final = find_spec("tzdata") is not None
_EPOCH: Final = datetime(2000, 1, 1)  # noqa: DTZ001


def _lower_datetime(walk: Lowering, value: datetime, depth: int) -> Any:
    zone = value.tzinfo
    if not value.fold and (zone is None or _is_plain(zone)):
        return {"$datetime": value.isoformat()}
    return {"$datetime": [value.replace(tzinfo=None, fold=0).isoformat(), _lower_zone(zone), value.fold]}


def _lower_time(walk: Lowering, value: time, depth: int) -> Any:
    zone = value.tzinfo
    if not value.fold and (zone is None or _is_plain(zone)):
        return {"$time": value.isoformat()}
    return {"$time": [value.replace(tzinfo=None, fold=0).isoformat(), _lower_zone(zone), value.fold]}


def _lower_date(walk: Lowering, value: date, depth: int) -> Any:
    return {"$date": value.isoformat()}


def _lower_timedelta(walk: Lowering, value: timedelta, depth: int) -> Any:
    return {"$timedelta": [value.days, value.seconds, value.microseconds]}


def _lower_timezone(walk: Lowering, value: tzinfo, depth: int) -> Any:
    return {"$timezone": _lower_zone(value)}


def _is_plain(zone: tzinfo) -> bool:
    if zone is UTC:
        return True
    if type(zone) is not timezone:
        return False
    # Python reads an offset of less than a second as UTC, so those need the long form.
    offset = zone.utcoffset(None)
    return not offset.microseconds and zone.tzname(None) == timezone(offset).tzname(None)


def _lower_zone(zone: tzinfo | None) -> Any:
    if zone is None:
        return None
    if type(zone) is ZoneInfo:
        if not zone.key or not _ZONE_KEY.fullmatch(zone.key):
            raise Refusal("ZoneInfo without a key cannot be carried")
        return zone.key
    if type(zone) is timezone:
        offset = _EPOCH.replace(tzinfo=timezone(zone.utcoffset(None))).isoformat()[19:]
        is_named = zone.tzname(None) != timezone(zone.utcoffset(None)).tzname(None)
        return [offset, lower_str(zone.tzname(None))] if is_named else offset
    raise Refusal(f"{type(zone).__name__} cannot be carried as a zone")


def _lift_zone(zone: Any) -> tzinfo | None:
    """Give the zone. Raises LookupError where this machine does not know it."""
    if zone is None:
        return None
    if type(zone) is list:
        offset, name = zone
        return timezone(_offset(offset), lift(name))
    if zone[:1] in "+-":
        return timezone(_offset(zone))
    if not _ZONE_KEY.fullmatch(zone):
        raise Malformed("its zone is not one")
    return _zone(zone)


@lru_cache(maxsize=64)
def _zone(key: str) -> ZoneInfo:
    # For a zone that is nowhere zoneinfo would import much of importlib, in vain.
    if not _HAS_TZDATA and not any(os.path.isfile(os.path.join(place, key)) for place in zoneinfo.TZPATH):
        raise LookupError(key)
    return ZoneInfo(key)


def _offset(text: str) -> timedelta:
    match = _OFFSET.fullmatch(text)
    if match is None:
        raise Malformed("its zone is not an offset")
    sign, hours, minutes, seconds, microseconds = match.groups(default="0")
    offset = timedelta(hours=int(hours), minutes=int(minutes), seconds=int(seconds), microseconds=int(microseconds))
    return -offset if sign == "-" else offset


def _lift_datetime(tree: dict[str, Any], depth: int) -> Any:
    data = tree["$datetime"]
    if type(data) is str:
        return datetime.fromisoformat(data)
    text, key, fold = data
    try:
        zone = _lift_zone(key)
    except LookupError:
        return make_opaque(tree)
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold)


def _lift_time(tree: dict[str, Any], depth: int) -> Any:
    data = tree["$time"]
    if type(data) is str:
        return time.fromisoformat(data)
    text, key, fold = data
    try:
        zone = _lift_zone(key)
    except LookupError:
        return make_opaque(tree)
    return time.fromisoformat(text).replace(tzinfo=zone, fold=fold)


def _lift_date(tree: dict[str, Any], depth: int) -> Any:
    return date.fromisoformat(tree["$date"])


def _lift_timedelta(tree: dict[str, Any], depth: int) -> Any:
    days, seconds, microseconds = tree["$timedelta"]
    return timedelta(days, seconds, microseconds)


def _lift_timezone(tree: dict[str, Any], depth: int) -> Any:
    try:
        return _lift_zone(tree["$timezone"])
    except LookupError:
        return make_opaque(tree)


LOWER.update(
    {
        datetime: _lower_datetime,
        time: _lower_time,
        date: _lower_date,
        timedelta: _lower_timedelta,
        timezone: _lower_timezone,
        ZoneInfo: _lower_timezone,
    }
)
LIFT.update(
    {
        "$datetime": _lift_datetime,
        "$time": _lift_time,
        "$date": _lift_date,
        "$timedelta": _lift_timedelta,
        "$timezone": _lift_timezone,
    }
)
