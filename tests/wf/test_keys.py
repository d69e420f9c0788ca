"""Keys: a payload opens where it was sealed, with the key it was sealed with, and nowhere else."""

from __future__ import annotations

import base64
import hmac
import multiprocessing
import os
import re
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from wf import keys
from wf.errors import DecryptionError, WorldError
from wf.keys import Keyring, RunKey, key_id

RUN = "wrun_01K3ABCDEFGHJKMNPQRSTVWXYZ"
ROOT = bytes(range(32))
OTHER = bytes(range(32, 64))
HEAD = bytes(range(100, 132))
posix = pytest.mark.skipif(os.name != "posix", reason="modes of files are a matter of POSIX")


@pytest.fixture
def key() -> RunKey:
    return Keyring([ROOT]).run(RUN)


def refusal(key: RunKey, place: str | int, field: str, blob: bytes) -> str:
    with pytest.raises(DecryptionError) as caught:
        key.open(place, field, blob)
    error = caught.value
    assert error.run_id == key.run_id
    assert error.seq == (place if isinstance(place, int) else None)
    assert error.field == field
    return error.reason


# -- the format -----------------------------------------------------------------------------------


def test_the_format_is_the_one_that_is_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    # Known answers: every payload ever sealed depends on them.
    assert key_id(ROOT).hex() == "6023feac"
    monkeypatch.setattr("wf.keys.os.urandom", lambda size: bytes(range(size)))
    key = Keyring([ROOT]).run("wrun_1")
    sealed = key.seal(7, "step_completed", b'j{"a":1}')
    assert sealed.hex() == "016023feac000102030405060708090a0b23fe44f3546f2efd6ae98ea29a044fcfadad5955e6ad5db9"
    named = key.seal("log:3:1", "lines", b"")
    assert named.hex() == "016023feac000102030405060708090a0bef8a2dfada0ea25dad38e341405a88d9"
    assert key.open(7, "step_completed", sealed) == b'j{"a":1}'
    assert key.mac(7, HEAD).hex() == "f13b3fca58f254bc37c5b1d0399cfce8e21d76aca8cd76fddd51f23e2c8679c9"
    assert Keyring.off().run("wrun_1").seal(7, "x", b"data") == b"\0data"


def test_a_second_implementation_agrees(key: RunKey) -> None:
    run = RUN.encode()
    kid = key_id(ROOT)

    def derive(purpose: bytes) -> bytes:
        return HKDF(hashes.SHA256(), 32, salt=b"wf/hkdf/1", info=purpose + b"\0" + run).derive(ROOT)

    for place, bound in ((7, b"i7:"), ("a/b", b"s\0\0\0\3a/b"), ("ü", b"s\0\0\0\2\xc3\xbc")):
        blob = key.seal(place, "payload", b"data")
        aad = b"\1" + kid + len(run).to_bytes(4, "big") + run + bound + b"payload"
        assert blob[:5] == b"\1" + kid
        assert AESGCM(derive(b"wf/seal")).decrypt(blob[5:17], blob[17:], aad) == b"data"
    assert key.mac(7, HEAD) == hmac.digest(derive(b"wf/mac"), (7).to_bytes(8, "big") + HEAD, "sha256")


def test_a_blob_is_33_bytes_longer_than_its_data(key: RunKey) -> None:
    assert len(key.seal(1, "f", b"")) == 33
    assert len(key.seal(1, "f", b"x" * 1000)) == 1033


def test_nothing_is_sealed_alike_twice(key: RunKey) -> None:
    assert len({key.seal(1, "f", b"same") for _ in range(1000)}) == 1000


@given(st.binary(max_size=200), st.integers() | st.text(), st.text(max_size=20), st.text(max_size=20))
def test_what_was_sealed_opens(data: bytes, place: str | int, field: str, run_id: str) -> None:
    ring = Keyring([ROOT])
    blob = ring.run(run_id).seal(place, field, data)
    assert ring.run(run_id).open(place, field, blob) == data


places = st.integers(-5, 20) | st.text("i:s0123\0", max_size=4)
fields = st.text("i:s0123\0f", max_size=4)
bindings = st.tuples(st.text("ab\0\1", max_size=3), places, fields)


@given(bindings, bindings)
def test_what_was_sealed_opens_nowhere_else(one: Any, other: Any) -> None:
    ring = Keyring([ROOT])
    blob = ring.run(one[0]).seal(one[1], one[2], b"data")
    if one == other:
        assert ring.run(other[0]).open(other[1], other[2], blob) == b"data"
    else:
        refusal(ring.run(other[0]), other[1], other[2], blob)


# -- damage ---------------------------------------------------------------------------------------


def test_every_changed_byte_is_noticed(key: RunKey) -> None:
    blob = key.seal(3, "payload", b"some data")
    for position in range(len(blob)):
        for flip in (1, 0x80, 0xFF):
            damaged = bytearray(blob)
            damaged[position] ^= flip
            refusal(key, 3, "payload", bytes(damaged))


def test_every_cut_is_noticed(key: RunKey) -> None:
    blob = key.seal(3, "payload", b"some data")
    for size in range(len(blob)):
        assert refusal(key, 3, "payload", blob[:size])
        refusal(key, 3, "payload", blob[size + 1 :])
    refusal(key, 3, "payload", blob + b"\0")


@pytest.mark.parametrize("is_warm", [False, True])
def test_a_refusal_says_why(is_warm: bool) -> None:
    key = Keyring([ROOT]).run(RUN)
    blob = Keyring([ROOT]).run(RUN).seal(3, "payload", b"data")
    if is_warm:
        key.open(3, "payload", blob)
    assert refusal(key, 3, "payload", b"") == "truncated: it is empty"
    assert refusal(key, 3, "payload", b"\1") == "truncated"
    assert refusal(key, 3, "payload", blob[:32]) == "truncated"
    assert refusal(key, 3, "payload", b"\0data") == "stored in clear, although encryption is on"
    assert refusal(key, 3, "payload", b"\0" + blob[1:]) == "stored in clear, although encryption is on"
    assert refusal(key, 3, "payload", b"\7" + blob[1:]) == "its format is 7, not known here"
    assert refusal(key, 4, "payload", blob) == "changed, or moved here from another place"
    assert refusal(key, "3", "payload", blob) == "3: changed, or moved here from another place"
    sealed = f"sealed with the key {key_id(ROOT).hex()}"
    assert refusal(Keyring([OTHER]).run(RUN), 3, "payload", blob) == f"{sealed}, which is not here"
    assert refusal(Keyring.off().run(RUN), 3, "payload", blob) == f"{sealed}, and WF_KEY is off"
    assert str(DecryptionError(RUN, 3, "payload", "truncated")) == f"run {RUN} event 3: cannot open payload (truncated)"


def test_a_blob_that_moved_is_refused(key: RunKey) -> None:
    ring = Keyring([ROOT])
    blob = key.seal(3, "payload", b"data")
    refusal(key, 4, "payload", blob)
    refusal(key, 3, "result", blob)
    refusal(key, "3", "payload", blob)
    refusal(ring.run("wrun_other"), 3, "payload", blob)
    assert key.open(3, "payload", blob) == b"data"


def test_a_key_with_the_same_id_does_not_open(key: RunKey, monkeypatch: pytest.MonkeyPatch) -> None:
    blob = key.seal(3, "payload", b"data")
    monkeypatch.setattr(keys, "key_id", lambda root: key_id(ROOT))
    assert refusal(Keyring([OTHER]).run(RUN), 3, "payload", blob) == "changed, or moved here from another place"


# -- several keys, none ---------------------------------------------------------------------------


def test_the_first_key_seals_and_all_open() -> None:
    old, both = Keyring([ROOT]), Keyring([OTHER, ROOT])
    before = old.run(RUN).seal(1, "f", b"old")
    run = both.run(RUN)
    assert run.open(1, "f", before) == b"old"
    after = run.seal(1, "f", b"new")
    assert after[1:5] == key_id(OTHER)
    assert run.open(1, "f", after) == b"new"
    assert run.open(1, "f", before) == b"old"
    refusal(old.run(RUN), 1, "f", after)
    assert both.key_ids == (key_id(OTHER), key_id(ROOT))


def test_a_keyring_that_is_off_keeps_data_in_clear() -> None:
    ring = Keyring.off()
    key = ring.run(RUN)
    assert ring.is_off
    assert ring.key_ids == ()
    assert key.seal(1, "f", b"data") == b"\0data"
    assert key.open(1, "f", b"\0data") == b"data"
    assert key.open(2, "g", b"\0") == b""
    assert refusal(key, 1, "f", b"") == "truncated: it is empty"
    assert refusal(key, 1, "f", b"\2x") == "its format is 2, not known here"
    assert key.mac(1, HEAD) == b""
    assert key.check_mac(1, HEAD, b"")
    assert not key.check_mac(1, HEAD, b"x")
    assert not Keyring([ROOT]).is_off


def test_a_mac_fits_its_seq_its_head_its_run_and_its_key() -> None:
    key = Keyring([ROOT]).run(RUN)
    mac = key.mac(5, HEAD)
    assert len(mac) == 32
    assert key.check_mac(5, HEAD, mac)
    assert not key.check_mac(6, HEAD, mac)
    assert not key.check_mac(5, HEAD[::-1], mac)
    assert not key.check_mac(5, HEAD, b"")
    assert not key.check_mac(5, HEAD, mac[:-1])
    assert not key.check_mac(5, HEAD, bytes(32))
    assert not Keyring([ROOT]).run("wrun_other").check_mac(5, HEAD, mac)
    assert not Keyring([OTHER]).run(RUN).check_mac(5, HEAD, mac)
    assert Keyring([OTHER, ROOT]).run(RUN).check_mac(5, HEAD, mac)
    assert Keyring([OTHER, ROOT]).run(RUN).mac(5, HEAD) != mac


@pytest.mark.parametrize("bad", [[], [b""], [b"x" * 31], [ROOT, b"x" * 33]])
def test_keys_are_32_bytes(bad: list[bytes]) -> None:
    with pytest.raises(ValueError):
        Keyring(bad)


def test_no_key_shows() -> None:
    ring = Keyring([ROOT, OTHER])
    shown = f"{ring!r} {ring} {ring.run(RUN)!r} {ring.key_ids}"
    assert repr(ring) == f"<Keyring {key_id(ROOT).hex()}, {key_id(OTHER).hex()}>"
    assert repr(Keyring.off()) == "<Keyring off>"
    assert ROOT.hex() not in shown
    assert repr(ROOT)[2:20] not in shown


# -- texts ----------------------------------------------------------------------------------------

B64 = base64.b64encode(ROOT).decode()
URL = base64.urlsafe_b64encode(bytes([0xFB, 0xFF] * 16)).decode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (B64, [ROOT]),
        (B64.rstrip("="), [ROOT]),
        (f"  {B64}\n", [ROOT]),
        (ROOT.hex(), [ROOT]),
        (ROOT.hex().upper(), [ROOT]),
        (URL, [bytes([0xFB, 0xFF] * 16)]),
        (f"{B64},{OTHER.hex()}", [ROOT, OTHER]),
        (f"{B64} ,\n {OTHER.hex()},", [ROOT, OTHER]),
        (f"{B64}\r\n{OTHER.hex()}\r\n", [ROOT, OTHER]),
        (f"{B64},{ROOT.hex()}", [ROOT]),
    ],
)
def test_keys_are_read_from_text(text: str, expected: list[bytes]) -> None:
    assert Keyring.parse(text).key_ids == tuple(key_id(key) for key in expected)


@pytest.mark.parametrize("text", ["off", " OFF\n", "Off"])
def test_off_is_read_from_text(text: str) -> None:
    assert Keyring.parse(text).is_off


SHORT = "c2hvcnQgYnV0IHNlY3JldA=="


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no key is given: it is empty; a key is 32 bytes in base64 or hex, or the word `off`"),
        (" , ", "no key is given: it is empty; a key is 32 bytes in base64 or hex, or the word `off`"),
        (SHORT, "key 1 has another length; a key is 32 bytes in base64 or hex"),
        (f"{B64},{SHORT}", "key 2 has another length; a key is 32 bytes in base64 or hex"),
        (ROOT.hex()[:-2], "key 1 has another length; a key is 32 bytes in base64 or hex"),
        ("not&a&key", "key 1 is neither base64 nor hex; a key is 32 bytes in one of them"),
        (f"{B64},off", "`off` stands alone: it cannot be one of several keys"),
        ("pässwörd", "key 1 is neither base64 nor hex; a key is 32 bytes in one of them"),
        ("a", "key 1 is neither base64 nor hex; a key is 32 bytes in one of them"),
    ],
)
def test_a_text_that_is_no_key_is_refused_without_showing_it(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        Keyring.parse(text)
    assert str(caught.value) == message
    with pytest.raises(WorldError) as seen:
        Keyring.load(Path("/nowhere/key"), {"WF_KEY": text})
    assert str(seen.value) == f"WF_KEY: {message}"
    for error in (caught.value, seen.value):
        assert error.__cause__ is None
        assert error.__suppress_context__ or error.__context__ is None


# -- the key file ---------------------------------------------------------------------------------


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_key_file_is_made_on_first_use(tmp_path: Path) -> None:
    path = tmp_path / "project" / ".wf" / "key"
    ring = Keyring.load(path, {})
    assert not ring.is_off
    assert Keyring.load(path, {}).key_ids == ring.key_ids
    assert re.fullmatch(r"[A-Za-z0-9+/]{43}=\n", path.read_text())
    assert [child.name for child in path.parent.iterdir()] == ["key"]
    assert Keyring.load(tmp_path / "other", {}).key_ids != ring.key_ids


@posix
@pytest.mark.parametrize("mask", [0, 0o022, 0o077])
def test_the_key_file_is_private_from_the_start(tmp_path: Path, mask: int, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []
    original = os.open

    def watched(path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
        descriptor = original(path, flags, mode, **more)
        if flags & os.O_CREAT:
            opened.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return descriptor

    monkeypatch.setattr(os, "open", watched)
    before = os.umask(mask)
    try:
        path = tmp_path / ".wf" / "key"
        Keyring.load(path, {})
        Keyring.rotate_file(path)
    finally:
        os.umask(before)
    assert mode(path) == 0o600
    assert mode(path.parent) == 0o700
    assert opened == [0o600, 0o600]


@posix
@pytest.mark.parametrize("open_mode", [0o640, 0o604, 0o620, 0o602, 0o601, 0o666])
def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path, open_mode: int) -> None:
    path = tmp_path / "key"
    Keyring.load(path, {})
    path.chmod(open_mode)
    for use in (lambda: Keyring.load(path, {}), lambda: Keyring.rotate_file(path)):
        with pytest.raises(WorldError) as caught:
            use()
        assert str(caught.value) == f"the key file {path} is open to other users (mode 0{open_mode:o})"
        assert caught.value.hint == f"chmod 600 {path}"
    path.chmod(0o400)
    Keyring.load(path, {})


def test_the_environment_comes_first(tmp_path: Path) -> None:
    path = tmp_path / "key"
    assert Keyring.load(path, {"WF_KEY": B64}).key_ids == (key_id(ROOT),)
    assert Keyring.load(path, {"WF_KEY": "off"}).is_off
    assert not path.exists()


def test_a_file_may_hold_several_keys(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.touch(0o600)
    path.write_text(f"{B64}\n{OTHER.hex()},\n")
    assert Keyring.load(path, {}).key_ids == (key_id(ROOT), key_id(OTHER))


@pytest.mark.parametrize("content", [b"", b"\n", b"garbage!", b"\xff\xfe\0", b"AAAA"])
def test_a_damaged_key_file_is_never_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.touch(0o600)
    path.write_bytes(content)
    with pytest.raises(WorldError) as caught:
        Keyring.load(path, {})
    assert str(caught.value).startswith(f"the key file {path}: ")
    assert caught.value.hint == "put the right key back; what was sealed with a lost key cannot be read again"
    with pytest.raises(WorldError):
        Keyring.rotate_file(path)
    assert path.read_bytes() == content


def test_a_key_file_that_cannot_be_read_or_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "key"):
        with pytest.raises(WorldError, match="cannot be used"):
            Keyring.load(path, {})


def test_a_file_system_without_links_keeps_keys_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> None:
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "key"
    ring = Keyring.load(path, {})
    assert Keyring.load(path, {}).key_ids == ring.key_ids
    assert [child.name for child in tmp_path.iterdir()] == ["key"]


def load_in_child(path: Path, barrier: Any, results: Any) -> None:
    barrier.wait()
    results.put(Keyring.load(path, {}).key_ids)


def test_processes_that_race_end_with_one_key(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    barrier, results = spawn.Barrier(6), spawn.Queue()
    racers = [spawn.Process(target=load_in_child, args=(tmp_path / "key", barrier, results)) for _ in range(6)]
    for racer in racers:
        racer.start()
    found = {results.get(timeout=60) for _ in racers}
    for racer in racers:
        racer.join()
    assert found == {Keyring.load(tmp_path / "key", {}).key_ids}
    assert [child.name for child in tmp_path.iterdir()] == ["key"]


def test_whoever_comes_second_takes_the_first_ones_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"
    link = os.link

    def late(source: Any, target: Any) -> None:
        if not path.exists():
            path.touch(0o600)
            path.write_text(B64)  # another process was faster
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    assert Keyring.load(path, {}).key_ids == (key_id(ROOT),)


# -- rotation -------------------------------------------------------------------------------------


def test_rotation_puts_a_fresh_key_in_front(tmp_path: Path) -> None:
    path = tmp_path / "key"
    first = Keyring.load(path, {})
    blob = first.run(RUN).seal(1, "f", b"data")
    second = Keyring.rotate_file(path)
    assert second.key_ids[1:] == first.key_ids
    assert len(second.key_ids) == 2
    assert Keyring.load(path, {}).key_ids == second.key_ids
    assert second.run(RUN).open(1, "f", blob) == b"data"
    third = Keyring.rotate_file(path)
    assert third.key_ids[1:] == second.key_ids
    assert third.run(RUN).open(1, "f", blob) == b"data"
    assert [child.name for child in tmp_path.iterdir()] == ["key"]


def test_two_rotations_at_once_lose_no_key(tmp_path: Path) -> None:
    path = tmp_path / "key"
    before = Keyring.load(path, {}).key_ids
    (tmp_path / "key.new").touch()  # another process is at it
    with pytest.raises(WorldError) as caught:
        Keyring.rotate_file(path)
    assert str(caught.value) == f"the key file {path} is being rotated by another process"
    assert caught.value.hint == f"if none is, one died while it did: remove {path}.new"
    assert Keyring.load(path, {}).key_ids == before


def test_a_rotation_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"
    before = Keyring.load(path, {}).key_ids

    def fail(descriptor: int) -> None:
        raise OSError(28, "no space")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(WorldError, match="no space"):
            Keyring.rotate_file(path)
    assert Keyring.load(path, {}).key_ids == before
    Keyring.rotate_file(path)


def test_a_file_that_says_off_is_not_rotated(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.touch(0o600)
    path.write_text("off\n")
    assert Keyring.load(path, {}).is_off
    with pytest.raises(WorldError, match="says `off`: there is no key to rotate"):
        Keyring.rotate_file(path)
    assert [child.name for child in tmp_path.iterdir()] == ["key"]


def test_without_a_file_there_is_nothing_to_rotate(tmp_path: Path) -> None:
    with pytest.raises(WorldError, match="cannot be used"):
        Keyring.rotate_file(tmp_path / "key")
    assert list(tmp_path.iterdir()) == []


def test_of_many_runs_the_keys_of_the_last_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_RECENT", 3)
    ring = Keyring([ROOT])
    first, second, third = [ring.run(run_id) for run_id in ("r1", "r2", "r3")]
    ring.run("r4")
    assert (ring.run("r2"), ring.run("r3")) == (second, third)
    assert ring.run("r1") is not first
