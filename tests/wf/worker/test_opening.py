"""Opening a run's log: what this process has just sealed itself is taken as it is, and nothing else."""

from __future__ import annotations

import os

import msgspec
import pytest

from wf.errors import DecryptionError
from wf.events import Event
from wf.keys import Keyring, RunKey
from wf.records import MOST_KEPT, seal_new_run
from wf.worker.opening import open_log
from wf.world import RunRow
from wf.worlds.memory import MemoryWorld

ROOT = os.urandom(32)


class CountingKey(RunKey):
    """A run's keys that count what they open."""

    __slots__ = ("opened",)

    def __init__(self, ring: Keyring, run_id: str) -> None:
        super().__init__(ring._roots, run_id)
        self.opened = 0

    def open(self, place: str | int, field: str, blob: bytes) -> bytes:
        self.opened += 1
        return super().open(place, field, blob)


async def make(arguments: bytes = b'{"n":1}') -> tuple[CountingKey, RunRow, list[Event]]:
    ring, world = Keyring([ROOT]), MemoryWorld()
    key = CountingKey(ring, "r1")
    ring._recent["r1"] = key
    new = seal_new_run(ring, run_id="r1", workflow="w", arguments=arguments, at=1, deployment_id="", attributes={})
    created = await world.create_run(new)
    return key, created.run, await world.read_events("r1")


async def test_a_run_that_was_just_made_here_is_opened_without_its_keys_once() -> None:
    key, row, log = await make()
    assert open_log(row, key, log) == [(log[0], b'{"n":1}')]
    assert key.opened == 0
    assert open_log(row, key, log) == [(log[0], b'{"n":1}')]
    assert key.opened == 1


async def test_another_process_opens_it_with_the_keys() -> None:
    _, row, log = await make()
    assert open_log(row, Keyring([ROOT]).run("r1"), log) == [(log[0], b'{"n":1}')]


async def test_long_arguments_are_not_kept_in_clear() -> None:
    key, row, log = await make(b'"' + b"x" * MOST_KEPT + b'"')
    assert key.made is None
    open_log(row, key, log)
    assert key.opened == 1


@pytest.mark.parametrize(
    "change",
    [{"name": "other"}, {"at": 2}, {"meta": "{}"}, {"payload": b"\1" + bytes(60)}, {"link": bytes(32)}],
    ids=lambda change: next(iter(change)),
)
async def test_an_event_that_was_changed_meanwhile_is_refused(change: dict[str, object]) -> None:
    key, row, log = await make()
    with pytest.raises(DecryptionError):
        open_log(row, key, [msgspec.structs.replace(log[0], **change)])


@pytest.mark.parametrize("change", [{"seq": 2}, {"head": bytes(32)}, {"mac": bytes(32)}], ids=lambda c: next(iter(c)))
async def test_a_row_that_was_changed_meanwhile_is_refused(change: dict[str, object]) -> None:
    key, row, log = await make()
    with pytest.raises(DecryptionError):
        open_log(msgspec.structs.replace(row, **change), key, log)
