"""Keys: payloads are sealed with AES-256-GCM under a key per run, bound to their place.

    blob   = 01 ‖ key id (4) ‖ nonce (12) ‖ ciphertext ‖ tag (16)      encrypted
           | 00 ‖ data                                                  WF_KEY=off
    key id = first 4 bytes of SHA-256("wf/kid" ‖ root)
    prk    = HMAC-SHA256(key "wf/hkdf/1", root)                         HKDF-Extract, RFC 5869
    key    = HMAC-SHA256(prk, purpose ‖ 00 ‖ run_id ‖ 01)               HKDF-Expand to 32 bytes
    AAD    = 01 ‖ key id ‖ length of run_id (4) ‖ run_id ‖ place ‖ field
    place  = "i" ‖ decimal ‖ ":"  for an int,  "s" ‖ length (4) ‖ text  for a str
    mac    = HMAC-SHA256(key, seq (8) ‖ head)

Purposes are "wf/seal" and "wf/mac". Text is UTF-8, lengths and seq are big-endian, counted in
bytes; `field` is the rest. The nonce is random: a run has far fewer than the 2**32 messages that
one key may carry.

1. A blob opens only in the run, at the place and in the field it was sealed for.
2. The first key seals, all open: rotation puts a new key in front.
3. With keys, a clear blob is refused, else whoever can write the file could plant one.
4. No key, and no part of one, is ever in an error, a repr or a log.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hmac
import os
import re
import stat
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from secrets import token_bytes
from typing import TYPE_CHECKING, Final, TextIO

from wf.errors import DecryptionError, WorldError

if TYPE_CHECKING:  # imported with the first key that is used: who only declares workflows uses none
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.hmac import HMAC

KEY_SIZE: Final = 32
_CLEAR: Final = 0
_SEALED: Final = 1
_HEADER: Final = 5
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_OVERHEAD: Final = _HEADER + 12 + 16
_RECENT: Final = 4096  # runs whose derived keys are kept, at about 1 KB each


class Keyring:
    """The root keys of a world: the first seals, all open."""

    __slots__ = ("_recent", "_roots")

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise ValueError("a keyring needs at least one key; `Keyring.off()` is the one without")
        if any(len(key) != KEY_SIZE for key in keys):
            raise ValueError(f"a key is {KEY_SIZE} bytes")
        # A dict keeps the order, and the first of two equal keys.
        self._roots = {key_id(key): hmac.digest(b"wf/hkdf/1", key, "sha256") for key in keys}
        self._recent: OrderedDict[str, RunKey] = OrderedDict()

    @classmethod
    def off(cls) -> Keyring:
        """Give the keyring that seals nothing, for `WF_KEY=off`."""
        ring = cls.__new__(cls)
        ring._roots = {}
        ring._recent = OrderedDict()
        return ring

    @classmethod
    def parse(cls, text: str) -> Keyring:
        """Read keys in base64 or hex, separated by commas or white space, or the word `off`.

        Raises ValueError saying what is wrong, never showing the text.
        """
        words = text.replace(",", " ").split()
        if [word.lower() for word in words] == ["off"]:
            return cls.off()
        if any(word.lower() == "off" for word in words):
            raise ValueError("`off` stands alone: it cannot be one of several keys")
        if not words:
            raise ValueError("no key is given: it is empty; a key is 32 bytes in base64 or hex, or the word `off`")
        return cls([_parse_key(word, number) for number, word in enumerate(words, 1)])

    @classmethod
    def load(cls, key_path: Path, environ: Mapping[str, str]) -> Keyring:
        """Take the keys of `WF_KEY`, else those of the key file, which is made on first use.

        The file is made whole or not at all, so processes that race for it end with one key.
        Raises WorldError for a malformed key and for a file that others can read.
        """
        text = environ.get("WF_KEY")
        if text is not None:
            return _parse_from("WF_KEY", text)
        try:
            if not key_path.exists():
                _create_key_file(key_path)
            return _parse_from(f"the key file {key_path}", _read_private(key_path))
        except OSError as error:
            raise WorldError(f"the key file {key_path} cannot be used: {error}") from error

    @classmethod
    def rotate_file(cls, key_path: Path) -> Keyring:
        """Put a fresh key in front of those of the key file, and return them all.

        A process keeps the keys it has loaded: it opens what the fresh key seals only after it loads
        again, so all processes of a world are to be restarted together.
        """
        try:
            return _rotate(key_path)
        except OSError as error:
            raise WorldError(f"the key file {key_path} cannot be used: {error}") from error

    @property
    def is_off(self) -> bool:
        return not self._roots

    @property
    def key_ids(self) -> tuple[bytes, ...]:
        """The ids of the keys, the sealing one first; they tell keys apart and give nothing away."""
        return tuple(self._roots)

    def run(self, run_id: str) -> RunKey:
        """Give the keys of one run; those of the last runs are kept, for who starts one often runs it, too."""
        known = self._recent.get(run_id)
        if known is None:
            if len(self._recent) >= _RECENT:
                self._recent.popitem(last=False)  # at once, whichever threads ask
            known = self._recent[run_id] = RunKey(self._roots, run_id)
        return known

    def __repr__(self) -> str:
        return f"<Keyring {', '.join(kid.hex() for kid in self._roots) or 'off'}>"


class RunKey:
    """What seals and opens the payloads of one run. `place` is an event's seq or another name."""

    __slots__ = ("_bound", "_ciphers", "_mac_keys", "_macs", "_roots", "_run", "_sealer", "made", "run_id")

    def __init__(self, roots: Mapping[bytes, bytes], run_id: str) -> None:
        self.run_id = run_id
        self._roots = roots
        self._run = run_id.encode("utf-8", "surrogatepass")
        self._bound = len(self._run).to_bytes(4, "big") + self._run
        # Keys are derived when first needed: a parked run costs none.
        self._ciphers: dict[bytes, tuple[bytes, AESGCM]] = {}
        self._mac_keys: list[bytes] | None = None
        self._macs: HMAC | None = None
        self.made: object = None  # what whoever starts a run keeps for who runs it in the same process (records.py)
        self._sealer: tuple[bytes, bytes, AESGCM] | None = None

    def seal(self, place: str | int, field: str, data: bytes) -> bytes:
        """Encrypt `data` so that it opens only at this place, in this field of this run."""
        sealer = self._sealer
        if sealer is None:
            if not self._roots:
                return b"\0" + data
            kid = next(iter(self._roots))
            bound, cipher = self._derive(kid)
            sealer = self._sealer = (b"\1" + kid, bound, cipher)
        header, bound, cipher = sealer
        nonce = os.urandom(12)
        where = f"i{place}:{field}".encode() if type(place) is int else _place(place, field)
        return header + nonce + cipher.encrypt(nonce, data, bound + where)

    def open(self, place: str | int, field: str, blob: bytes) -> bytes:
        """Decrypt what `seal` made for the same place and field, or raise DecryptionError."""
        kid = blob[1:_HEADER]
        known = self._ciphers.get(kid)
        if known is None or blob[0] != _SEALED:
            if not self._roots and blob[:1] == b"\0":
                return blob[1:]
            known = self._find(place, field, blob)
        bound, cipher = known
        try:
            return cipher.decrypt(blob[_HEADER:17], blob[17:], bound + _place(place, field))
        except Exception as error:
            from cryptography.exceptions import InvalidTag

            if not isinstance(error, (InvalidTag, ValueError)):
                raise
            reason = "truncated" if len(blob) < _OVERHEAD else "changed, or moved here from another place"
            raise self._refusal(place, field, reason) from None

    def mac(self, seq: int, head: bytes) -> bytes:
        """Authenticate the head of the run's log at `seq`; empty where keys are off."""
        macs = self._macs
        if macs is None:
            keys = self._mac_keys or self._derive_mac_keys()
            if not keys:
                return b""
            macs = self._macs = _prime(keys[0])
        mac = macs.copy()  # primed with the key: a third of what making one from the key takes
        mac.update(seq.to_bytes(8, "big") + head)
        return mac.finalize()

    def check_mac(self, seq: int, head: bytes, mac: bytes) -> bool:
        """Say whether `mac` was made by one of the keys; where keys are off, only b"" is right."""
        keys = self._mac_keys or self._derive_mac_keys()
        if not keys:
            return mac == b""
        if hmac.compare_digest(self.mac(seq, head), mac):
            return True
        message = seq.to_bytes(8, "big") + head
        return any(hmac.compare_digest(hmac.digest(key, message, "sha256"), mac) for key in keys[1:])

    def __repr__(self) -> str:
        return f"<RunKey {self.run_id}>"

    def _find(self, place: str | int, field: str, blob: bytes) -> tuple[bytes, AESGCM]:
        if not blob:
            raise self._refusal(place, field, "truncated: it is empty")
        if blob[0] == _CLEAR:
            raise self._refusal(place, field, "stored in clear, although encryption is on")
        if blob[0] != _SEALED:
            raise self._refusal(place, field, f"its format is {blob[0]}, not known here")
        kid = blob[1:_HEADER]
        if len(blob) < _OVERHEAD:
            raise self._refusal(place, field, "truncated")
        if not self._roots:
            raise self._refusal(place, field, f"sealed with the key {kid.hex()}, and WF_KEY is off")
        if kid not in self._roots:
            raise self._refusal(place, field, f"sealed with the key {kid.hex()}, which is not here")
        return self._derive(kid)

    def _derive(self, kid: bytes) -> tuple[bytes, AESGCM]:
        known = self._ciphers.get(kid)
        if known is None:
            cipher = _load_cipher()(_expand(self._roots[kid], b"wf/seal", self._run))
            known = self._ciphers[kid] = (b"\1" + kid + self._bound, cipher)
        return known

    def _derive_mac_keys(self) -> list[bytes]:
        keys = self._mac_keys = [_expand(prk, b"wf/mac", self._run) for prk in self._roots.values()]
        return keys

    def _refusal(self, place: str | int, field: str, reason: str) -> DecryptionError:
        if isinstance(place, int):
            return DecryptionError(self.run_id, place, field, reason)
        return DecryptionError(self.run_id, None, field, f"{place}: {reason}")


def key_id(root: bytes) -> bytes:
    """Give the four bytes that name a root key in blobs."""
    return sha256(b"wf/kid" + root).digest()[:4]


def _place(place: str | int, field: str) -> bytes:
    if isinstance(place, int):
        return f"i{place}:{field}".encode()
    text = place.encode("utf-8", "surrogatepass")
    return b"s" + len(text).to_bytes(4, "big") + text + field.encode()


def _expand(prk: bytes, purpose: bytes, run: bytes) -> bytes:
    return hmac.digest(prk, purpose + b"\0" + run + b"\1", "sha256")


@functools.cache
def _load_cipher() -> type[AESGCM]:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM


@functools.cache
def _load_hmac() -> tuple[type[HMAC], SHA256]:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.hmac import HMAC

    return HMAC, SHA256()


def _prime(key: bytes) -> HMAC:
    make, algorithm = _load_hmac()
    return make(key, algorithm)


def _parse_key(word: str, number: int) -> bytes:
    if re.fullmatch(r"[0-9a-fA-F]{64}", word):
        return bytes.fromhex(word)
    standard = word.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        key = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except ValueError:
        raise ValueError(f"key {number} is neither base64 nor hex; a key is {KEY_SIZE} bytes in one of them") from None
    if len(key) != KEY_SIZE:
        raise ValueError(f"key {number} has another length; a key is {KEY_SIZE} bytes in base64 or hex")
    return key


def _parse_from(source: str, text: str) -> Keyring:
    try:
        return Keyring.parse(text)
    except ValueError as refused:
        error = WorldError(f"{source}: {refused}")
        error.hint = "put the right key back; what was sealed with a lost key cannot be read again"
        raise error from None


def _fresh_key() -> str:
    return base64.b64encode(token_bytes(KEY_SIZE)).decode()


def _read_private(path: Path) -> str:
    with open(path, encoding="ascii", errors="replace") as file:
        mode = os.fstat(file.fileno()).st_mode
        if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
            error = WorldError(f"the key file {path} is open to other users (mode {stat.S_IMODE(mode):04o})")
            error.hint = f"chmod 600 {path}"
            raise error
        return file.read()


def _create_key_file(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{token_bytes(4).hex()}")
    try:
        with os.fdopen(os.open(draft, _CREATE, 0o600), "w", encoding="ascii") as file:
            _write(file, _fresh_key() + "\n")
        # A link, unlike a rename, fails when another process was first: its key counts then.
        with contextlib.suppress(FileExistsError):
            _link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    _sync_directory(path.parent)


def _rotate(path: Path) -> Keyring:
    new = path.with_name(path.name + ".new")
    # This file is also the lock: of two that rotate at once, one would lose the other's key.
    try:
        descriptor = os.open(new, _CREATE, 0o600)
    except FileExistsError:
        error = WorldError(f"the key file {path} is being rotated by another process")
        error.hint = f"if none is, one died while it did: remove {new}"
        raise error from None
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            old = _read_private(path)
            if _parse_from(f"the key file {path}", old).is_off:
                raise WorldError(f"the key file {path} says `off`: there is no key to rotate")
            _write(file, f"{_fresh_key()}\n{old}")
        os.replace(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)
    return _parse_from(f"the key file {path}", _read_private(path))


def _link(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links, where a copy must do: it is shorter than a block
        with os.fdopen(os.open(path, _CREATE, 0o600), "w", encoding="ascii") as file:
            _write(file, draft.read_text("ascii"))


def _write(file: TextIO, text: str) -> None:
    file.write(text)
    file.flush()
    # What the key seals may be on the disk before the key is, unless it is synced first.
    os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
