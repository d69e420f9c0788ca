"""Settings: where a project is, which world it uses, and within what limits it runs.

Four sources, the later wins: the defaults, `[tool.wf]` in the project's pyproject.toml, the
environment (`WF_WORLD`, `WF_DURABILITY`, `WF_CONCURRENCY`, `WF_LIMIT_PAYLOAD`, `WF_LIMIT_RUN`,
`WF_LIMIT_EVENTS`; empty means unset), and `configure()` in this process.

    [tool.wf]
    modules = ["flows", "billing.jobs"]
    world = "sqlite:///.wf/world.db"     # sqlite:///relative-to-the-root, sqlite:////absolute, memory://,
                                         # postgresql://user:password@host/database?schema=wf
    durability = "power"                 # or "process"
    concurrency = 100                    # attempts at once in one worker
    port = 4600
    retention = "30d"                    # keep ended runs for so long, or 1000 of them; left out: for ever

    [tool.wf.limits]
    payload = "50MB"                     # MB is 10**6 bytes, MiB is 2**20; a bare integer is bytes
    run = "2GB"
    events = 100000

A key that is unknown and a value that does not fit are errors, never ignored: a mistyped
`durabilty` that silently means `power` would be found by a power cut. Only `[tool.wf.tui]` is
somebody else's.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, cast

import msgspec

from wf.durations import parse_duration
from wf.errors import WorldError, shorten

Durability = Literal["process", "power"]

DEFAULT_WORLD: Final = "sqlite:///.wf/world.db"
DEFAULT_PORT: Final = 4600
DEFAULT_CONCURRENCY: Final = 100
DEFAULT_LIVE_RUNS: Final = 2_000
_DURABILITIES: Final = ("process", "power")
_SCHEMES: Final = ("sqlite", "memory", "postgresql")
_UNITS: Final = {
    "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40,
}  # fmt: skip
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*\Z")
_USERINFO = re.compile(r"(?<=//)[^/\s]*@")
_PASSWORD = re.compile(r"(?<=[?&])((?:ssl)?password)=[^&\s]*", re.IGNORECASE)


class SettingsError(WorldError, ValueError):
    """A setting is unknown or has a value that does not fit; the message names file and key."""

    slug = "settings"

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class Limits(msgspec.Struct, frozen=True):
    """`payload` and `run` are bytes, of one payload and of all payloads of a run together."""

    payload: int = 50 * 10**6
    run: int = 2 * 10**9
    events: int = 100_000


class Keep(msgspec.Struct, frozen=True):
    """Which ended runs stay: those that ended less than `age_us` ago, or the `count` newest of them."""

    age_us: int | None = None
    count: int | None = None


class WorldAddress(msgspec.Struct, frozen=True):
    """Where a world is. `path` is absolute and only a file's; `url` names the same place from anywhere."""

    kind: Literal["sqlite", "memory", "postgresql"]
    path: Path | None
    url: str

    @property
    def shown(self) -> str:
        """The URL for a message, without user name and password."""
        return hide_secret(self.url)


class Settings(msgspec.Struct, frozen=True):
    """What is in force. `root` is the project's directory; `retention` None keeps runs for ever."""

    root: Path
    world: str = DEFAULT_WORLD
    durability: Durability = "power"
    concurrency: int = DEFAULT_CONCURRENCY
    modules: tuple[str, ...] = ()
    port: int = DEFAULT_PORT
    retention: Keep | None = None
    limits: Limits = Limits()

    @property
    def address(self) -> WorldAddress:
        return parse_world_url(self.world, self.root)

    @property
    def key_path(self) -> Path | None:
        return key_path(self.address, self.root)

    @property
    def local_path(self) -> Path | None:
        """What files that belong to the world, and stay on this machine, begin with: the world's own path, where it is
        a file; for a database a name in the project's `.wf`. None for a world in memory."""
        address = self.address
        if address.path is not None or address.kind == "memory":
            return address.path
        digest = hashlib.sha256(address.shown.encode()).hexdigest()
        return self.root / ".wf" / f"postgres-{digest[:8]}"


# -- reading ------------------------------------------------------------------------------------


def load_settings(start: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Give the settings in force for the project that `start` (a file or directory) belongs to."""
    root = find_root(start)
    found = _read_file(root / "pyproject.toml")
    for variable, key in _VARIABLES.items():
        text = environ.get(variable)
        if text:
            found[key] = _READERS[key](_number_or_text(text), variable)
    found.update(_configured)
    limits = {key.removeprefix("limits."): found.pop(key) for key in list(found) if key.startswith("limits.")}
    return Settings(root=root, limits=Limits(**limits), **found)


def find_root(start: Path | None = None) -> Path:
    """Give the nearest directory upwards with a pyproject.toml, else with `.wf` or `.git`, else itself."""
    here = Path(os.path.abspath(start or Path.cwd()))
    if here.is_file():
        here = here.parent
    folders = (here, *here.parents)
    for marks in (("pyproject.toml",), (".wf", ".git")):
        for folder in folders:
            if any((folder / mark).exists() for mark in marks):
                return folder
    return here


def configure(
    *,
    world: str | None = None,
    durability: Durability | None = None,
    concurrency: int | None = None,
    limits: Mapping[str, int | str] | None = None,
) -> None:
    """Override settings for this process; what is not named stays as it was.

    It wins over the environment and pyproject.toml, and holds for what is opened afterwards.
    """
    given = {"world": world, "durability": durability, "concurrency": concurrency, "limits": limits}
    named = {key: value for key, value in given.items() if value is not None}
    _configured.update(_read_entries(named, "", "configure()", "configure() limits"))


def forget_configuration() -> None:
    """Undo every `configure()` of this process."""
    _configured.clear()


_configured: dict[str, Any] = {}


def _read_file(path: Path) -> dict[str, Any]:
    """Read [tool.wf]; a file that has not changed is not read again, since every client call asks."""
    try:
        status = os.stat(path)
        stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
        known = _files.get(path)
        if known is None or known[0] != stamp:
            known = _files[path] = (stamp, _parse_file(path, path.read_bytes()))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return {}
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from error
    return dict(known[1])


_files: dict[Path, tuple[tuple[int, int, int], dict[str, Any]]] = {}


def _parse_file(path: Path, data: bytes) -> dict[str, Any]:
    if b"wf" not in data:
        return {}
    import tomllib  # 8 ms that a process without a project need not pay

    try:
        table = tomllib.loads(data.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}") from error
    tool = table.get("tool", {})
    entries = tool.get("wf", {}) if isinstance(tool, dict) else {}
    return _read_entries(entries, "", f"{path}: [tool.wf]", f"{path}: [tool.wf.limits]")


def _read_entries(entries: Any, prefix: str, place: str, limits_place: str = "") -> dict[str, Any]:
    if not isinstance(entries, Mapping):
        raise SettingsError(f"{place} is not a table")
    found: dict[str, Any] = {}
    for key, value in entries.items():
        if not prefix and key == "tui":
            continue  # how a terminal looks is nothing to a runtime: `wf tui` reads it
        if not prefix and key == "limits":
            found.update(_read_entries(value, "limits.", limits_place))
            continue
        reader = _READERS.get(f"{prefix}{key}")
        if reader is None:
            known = {name.removeprefix(prefix).split(".")[0] for name in _READERS if name.startswith(prefix)}
            hint = _suggest(str(key), known) or f"known are {', '.join(sorted(known))}"
            raise SettingsError(f"{place} {key} is not a setting", hint)
        found[f"{prefix}{key}"] = reader(value, f"{place} {key}")
    return found


def _suggest(word: str, known: Iterable[str]) -> str | None:
    from difflib import get_close_matches  # only a mistake pays for it

    close = get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`?" if close else None


# -- values: each reader takes what was written and where, and gives what is kept ------------------


def _read_world(value: Any, place: str) -> str:
    if not isinstance(value, str):
        raise SettingsError(f"{place}: {shorten(value)} is not a text")
    try:
        parse_world_url(value, Path.cwd())
    except SettingsError as error:
        raise SettingsError(f"{place}: {error}", error.hint) from None
    return value


def _read_durability(value: Any, place: str) -> Durability:
    if value not in _DURABILITIES:
        hint = _suggest(value, _DURABILITIES) if isinstance(value, str) else None
        raise SettingsError(f"{place}: {shorten(value)} is neither `process` nor `power`", hint)
    return cast(Durability, value)


def _read_modules(value: Any, place: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) and name.strip() for name in value):
        hint = f"write it as a list: [{value!r}]".replace("'", '"') if isinstance(value, str) else None
        raise SettingsError(f"{place}: {shorten(value)} is not a list of module names", hint)
    return tuple(value)


def _read_integer(at_least: int, at_most: int) -> Callable[[Any, str], int]:
    def read(value: Any, place: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise SettingsError(f"{place}: {shorten(value)} is not an integer")
        if not at_least <= value <= at_most:
            raise SettingsError(f"{place}: {value} is not between {at_least} and {at_most}")
        return value

    return read


def _read_retention(value: Any, place: str) -> Keep:
    try:
        keep = parse_keep(value)
    except ValueError as error:
        raise SettingsError(f"{place}: {error}", "write `30d`, or `1000`") from None
    if not (keep.age_us or keep.count):
        # Forgetting each run as it ends would take results from under who waits for them.
        raise SettingsError(f"{place}: {shorten(value)} keeps nothing", "`wf gc --keep 0` forgets all there is, once")
    return keep


def parse_keep(value: object) -> Keep:
    """Read what stays: an age like `"30d"`, or a number of runs, as a text or an integer. Raises `ValueError`."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return Keep(count=value)
    if isinstance(value, str):
        text = value.strip()
        if text.isascii() and text.isdigit() and len(text) < 16:
            return Keep(count=int(text))
        try:
            return Keep(age_us=parse_duration(text))
        except ValueError:
            pass
    raise ValueError(f"{shorten(value)} is neither an age nor a number of runs")


def _read_size(value: Any, place: str) -> int:
    try:
        size = parse_size(value)
    except ValueError as error:
        raise SettingsError(f"{place}: {error}", "write it like `50MB`, `2GiB`, or in bytes") from None
    if size < 1:
        raise SettingsError(f"{place}: {shorten(value)} leaves no room at all")
    return size


def parse_size(value: int | str) -> int:
    """Give a size in bytes. `MB` is 10**6 bytes (kB, GB, TB alike) and `MiB` 2**20; an integer is bytes."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = _SIZE.match(value) if isinstance(value, str) else None
    unit = _UNITS.get((match[2] or "B").upper()) if match else None
    if match is None or unit is None:
        raise ValueError(f"{shorten(value)} is not a size")
    return round(float(match[1]) * unit)


def _number_or_text(text: str) -> int | str:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else text


_READERS: Final[dict[str, Callable[[Any, str], Any]]] = {
    "world": _read_world,
    "durability": _read_durability,
    "concurrency": _read_integer(1, 100_000),
    "modules": _read_modules,
    "port": _read_integer(0, 65_535),
    "retention": _read_retention,
    "limits.payload": _read_size,
    "limits.run": _read_size,
    "limits.events": _read_integer(10, 10**9),
}
_VARIABLES: Final = {
    "WF_WORLD": "world",
    "WF_DURABILITY": "durability",
    "WF_CONCURRENCY": "concurrency",
    "WF_LIMIT_PAYLOAD": "limits.payload",
    "WF_LIMIT_RUN": "limits.run",
    "WF_LIMIT_EVENTS": "limits.events",
}


# -- addresses ----------------------------------------------------------------------------------


def parse_world_url(url: str, root: Path) -> WorldAddress:
    """Read a world's URL; a relative path is relative to the project's root."""
    scheme, separator, rest = url.partition("://")
    shown = shorten(hide_secret(url))
    if not separator:
        hint = f"did you mean `sqlite:///{url}`?" if re.fullmatch(r"[\w./~ -]+", url) else "write `sqlite:///path`"
        raise SettingsError(f"{shown} is not a world's URL", hint)
    if scheme == "memory":
        if rest:
            raise SettingsError(f"{shown} is not a world's URL", "a world in memory has no name: `memory://`")
        return WorldAddress("memory", None, "memory://")
    if scheme in ("postgresql", "postgres"):
        return WorldAddress("postgresql", None, f"postgresql://{rest}")
    if scheme != "sqlite":
        hint = _suggest(scheme, _SCHEMES) or "use sqlite:///path, memory:// or postgresql://…"
        raise SettingsError(f"{shown}: there is no world of the kind {scheme!r}", hint)
    if not rest.startswith("/"):
        raise SettingsError(f"{shown} names a host, and a file has none", f"did you mean `sqlite:///{rest}`?")
    name = rest[1:]
    if name == ":memory:":
        raise SettingsError(f"{shown} is not a world's URL", "did you mean `memory://`?")
    if not name or name.endswith("/") or "\0" in name:
        raise SettingsError(f"{shown} names no file", f"write it like `{DEFAULT_WORLD}`")
    path = Path(os.path.abspath(root / name))
    return WorldAddress("sqlite", path, f"sqlite:///{path.as_posix()}")


def hide_secret(url: str) -> str:
    """Take user name and password out of a URL, so that it may be shown."""
    return _PASSWORD.sub(r"\1=…", _USERINFO.sub("…@", url))


def key_path(address: WorldAddress, root: Path) -> Path | None:
    """Give the file that holds a world's key; a world in memory has none.

    `.wf/world.db`, in whatever project, has `.wf/key`; another file `x.db` has `x.db.key` beside it.
    """
    if address.kind == "memory":
        return None
    if address.path is None:
        return root / ".wf" / "key"
    if address.path.parts[-2:] == (".wf", "world.db"):
        return address.path.with_name("key")
    return address.path.with_name(address.path.name + ".key")
