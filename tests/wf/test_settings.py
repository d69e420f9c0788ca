"""Where a project is, what is in force, and how a wrong setting is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wf.errors import WorldError
from wf.settings import (
    Keep,
    Limits,
    Settings,
    SettingsError,
    WorldAddress,
    configure,
    find_root,
    forget_configuration,
    hide_secret,
    key_path,
    load_settings,
    parse_size,
    parse_world_url,
)

DAY_US = 86_400_000_000


@pytest.fixture(autouse=True)
def unconfigured() -> Iterator[None]:
    yield
    forget_configuration()


@pytest.fixture
def project(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        (tmp_path / "pyproject.toml").write_text(text)
        return tmp_path

    return write


def load(root: Path, **environ: str) -> Settings:
    return load_settings(root, environ)


# -- the root -----------------------------------------------------------------------------------


def test_the_root_is_the_nearest_folder_with_a_pyproject(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b" / "c"
    deep.mkdir(parents=True)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "a" / "b" / ".git").mkdir()
    assert find_root(deep) == tmp_path
    (tmp_path / "a" / "pyproject.toml").touch()
    assert find_root(deep) == tmp_path / "a"


@pytest.mark.parametrize("mark", [".wf", ".git"])
def test_without_a_pyproject_a_world_or_a_repository_marks_the_root(tmp_path: Path, mark: str) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / mark).mkdir()
    assert find_root(deep) == tmp_path


def test_the_root_of_a_file_is_that_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "flow.py").touch()
    assert find_root(tmp_path / "flow.py") == tmp_path


def test_a_folder_without_marks_is_its_own_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_root() == tmp_path


# -- sources ------------------------------------------------------------------------------------


def test_the_defaults(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert settings == Settings(root=tmp_path)
    assert (settings.world, settings.durability, settings.port) == ("sqlite:///.wf/world.db", "power", 4600)
    assert (settings.modules, settings.retention) == ((), None)
    assert settings.limits == Limits(payload=50_000_000, run=2_000_000_000, events=100_000)
    assert settings.address.path == tmp_path / ".wf" / "world.db"
    assert settings.key_path == tmp_path / ".wf" / "key"


def test_every_key_of_pyproject_is_read(project: Callable[[str], Path]) -> None:
    root = project("""
[tool.wf]
modules = ["flows", "billing.jobs"]
world = "sqlite:///data/prod.db"
durability = "process"
concurrency = 8
port = 4700
retention = "30d"

[tool.wf.limits]
payload = "5MiB"
run = "1.5GB"
events = 2000
""")
    assert load(root) == Settings(
        root=root,
        world="sqlite:///data/prod.db",
        durability="process",
        concurrency=8,
        modules=("flows", "billing.jobs"),
        port=4700,
        retention=Keep(age_us=30 * DAY_US),
        limits=Limits(payload=5 * 2**20, run=1_500_000_000, events=2000),
    )


def test_a_pyproject_of_other_tools_is_as_good_as_none(project: Callable[[str], Path]) -> None:
    root = project("[tool.ruff]\nline-length = 120\n")
    assert load(root) == Settings(root=root)


def test_the_environment_wins_over_the_file(project: Callable[[str], Path]) -> None:
    root = project('[tool.wf]\nworld = "memory://"\nconcurrency = 3\n[tool.wf.limits]\nrun = 7\n')
    settings = load(
        root,
        WF_WORLD="sqlite:///other.db",
        WF_DURABILITY="process",
        WF_CONCURRENCY="12",
        WF_LIMIT_PAYLOAD="1MB",
        WF_LIMIT_EVENTS="50",
    )
    assert (settings.world, settings.durability, settings.concurrency) == ("sqlite:///other.db", "process", 12)
    assert settings.limits == Limits(payload=1_000_000, run=7, events=50)


def test_an_empty_variable_is_unset(project: Callable[[str], Path]) -> None:
    assert load(project("[tool.wf]\nconcurrency = 3\n"), WF_CONCURRENCY="").concurrency == 3


def test_configure_wins_over_the_environment_and_adds_up(tmp_path: Path) -> None:
    configure(world="memory://", limits={"payload": "2kB"})
    configure(concurrency=5, limits={"events": 10})
    settings = load(tmp_path, WF_WORLD="sqlite:///x.db", WF_CONCURRENCY="9", WF_DURABILITY="process")
    assert (settings.world, settings.concurrency, settings.durability) == ("memory://", 5, "process")
    assert settings.limits == Limits(payload=2000, events=10)
    forget_configuration()
    assert load(tmp_path) == Settings(root=tmp_path)


def test_an_edited_file_is_read_again(project: Callable[[str], Path]) -> None:
    assert load(project("[tool.wf]\nport = 1\n")).port == 1
    assert load(project("[tool.wf]\nport = 4711\n")).port == 4711


# -- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ('[tool.wf]\ndurabilty = "power"', "[tool.wf] durabilty is not a setting", "did you mean `durability`?"),
        ('[tool.wf]\ndurability = "proces"', "[tool.wf] durability: 'proces' is neither `process` nor `power`",
         "did you mean `process`?"),
        ("[tool.wf]\ndurability = 3", "[tool.wf] durability: 3 is neither `process` nor `power`", None),
        ('[tool.wf]\nmodules = "flows"', "[tool.wf] modules: 'flows' is not a list of module names",
         'write it as a list: ["flows"]'),
        ("[tool.wf]\nmodules = [1]", "[tool.wf] modules: [1] is not a list of module names", None),
        ("[tool.wf]\nconcurrency = true", "[tool.wf] concurrency: True is not an integer", None),
        ("[tool.wf]\nconcurrency = 0", "[tool.wf] concurrency: 0 is not between 1 and 100000", None),
        ("[tool.wf]\nport = 70000", "[tool.wf] port: 70000 is not between 0 and 65535", None),
        ('[tool.wf]\nretention = "soon"',
         "[tool.wf] retention: 'soon' is neither an age nor a number of runs", "write `30d`, or `1000`"),
        ('[tool.wf]\nretention = 0',
         "[tool.wf] retention: 0 keeps nothing", "`wf gc --keep 0` forgets all there is, once"),
        ('[tool.wf]\nretention = "0s"',
         "[tool.wf] retention: '0s' keeps nothing", "`wf gc --keep 0` forgets all there is, once"),
        ('[tool.wf]\nretention = true',
         "[tool.wf] retention: True is neither an age nor a number of runs", "write `30d`, or `1000`"),
        ("[tool.wf]\nworld = 3", "[tool.wf] world: 3 is not a text", None),
        ('[tool.wf]\nworld = "data/x.db"', "[tool.wf] world: 'data/x.db' is not a world's URL",
         "did you mean `sqlite:///data/x.db`?"),
        ("[tool.wf]\nlimits = 3", "[tool.wf.limits] is not a table", None),
        ("[tool.wf.limits]\npayloads = 3", "[tool.wf.limits] payloads is not a setting", "did you mean `payload`?"),
        ("[tool.wf.limits]\nx = 3", "[tool.wf.limits] x is not a setting", "known are events, payload, run"),
        ('[tool.wf.limits]\nrun = "12 parsecs"', "[tool.wf.limits] run: '12 parsecs' is not a size",
         "write it like `50MB`, `2GiB`, or in bytes"),
        ("[tool.wf.limits]\nrun = 0", "[tool.wf.limits] run: 0 leaves no room at all", None),
        ("[tool]\nwf = 3", "[tool.wf] is not a table", None),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_refused_by_file_and_key(
    project: Callable[[str], Path], text: str, message: str, hint: str | None
) -> None:
    root = project(text)
    with pytest.raises(SettingsError) as error:
        load(root)
    assert (str(error.value), error.value.hint) == (f"{root / 'pyproject.toml'}: {message}", hint)


def test_a_file_that_is_no_toml_is_refused(project: Callable[[str], Path]) -> None:
    root = project("[tool.wf\n")
    with pytest.raises(SettingsError, match=r"pyproject\.toml is not TOML: "):
        load(root)


def test_a_wrong_variable_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as error:
        load(tmp_path, WF_CONCURRENCY="many")
    assert error.value.explain() == "WF_CONCURRENCY: 'many' is not an integer\n  more: docs/errors/settings.md"


def test_a_wrong_configuration_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^configure\(\) durability: 'fast' is neither"):
        configure(world="memory://", durability="fast")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match=r"^configure\(\) limits paylod is not a setting$"):
        configure(world="memory://", limits={"paylod": 3})
    assert load(tmp_path) == Settings(root=tmp_path)


def test_a_settings_error_is_a_world_error_and_a_value_error() -> None:
    assert issubclass(SettingsError, WorldError)
    assert issubclass(SettingsError, ValueError)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("50MB", 50 * 10**6),
        ("50 MiB", 50 * 2**20),
        ("2gb", 2 * 10**9),
        ("1.5kB", 1500),
        ("12", 12),
        (12, 12),
        ("3B", 3),
    ],
)
def test_sizes_are_decimal_unless_they_say_i(text: int | str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-3MB", "1 MBit", "1e3", -1, True, None, 2.5])
def test_what_is_no_size_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


# -- worlds and keys ------------------------------------------------------------------------------


def test_a_relative_path_is_relative_to_the_root(tmp_path: Path) -> None:
    address = parse_world_url("sqlite:///data/../x.db", tmp_path)
    assert address == WorldAddress("sqlite", tmp_path / "x.db", f"sqlite:///{tmp_path}/x.db")


def test_four_slashes_are_an_absolute_path_and_its_url_comes_back_as_it_was(tmp_path: Path) -> None:
    address = parse_world_url(f"sqlite:///{tmp_path}/x.db", Path("elsewhere"))
    assert address.path == tmp_path / "x.db"
    assert parse_world_url(address.url, Path("anywhere")) == address


def test_memory_and_postgresql_are_recognised(tmp_path: Path) -> None:
    assert parse_world_url("memory://", tmp_path) == WorldAddress("memory", None, "memory://")
    address = parse_world_url("postgres://ada:pw@host/db", tmp_path)
    assert address == WorldAddress("postgresql", None, "postgresql://ada:pw@host/db")
    assert address.shown == "postgresql://…@host/db"


@pytest.mark.parametrize(
    ("url", "message", "hint"),
    [
        ("world.db", "'world.db' is not a world's URL", "did you mean `sqlite:///world.db`?"),
        ("", "'' is not a world's URL", "write `sqlite:///path`"),
        ("sqlite://world.db", "'sqlite://world.db' names a host, and a file has none",
         "did you mean `sqlite:///world.db`?"),
        ("sqlite:///", "'sqlite:///' names no file", "write it like `sqlite:///.wf/world.db`"),
        ("sqlite:///data/", "'sqlite:///data/' names no file", "write it like `sqlite:///.wf/world.db`"),
        ("sqlite:///:memory:", "'sqlite:///:memory:' is not a world's URL", "did you mean `memory://`?"),
        ("memory://shared", "'memory://shared' is not a world's URL", "a world in memory has no name: `memory://`"),
        ("sqlit:///x.db", "'sqlit:///x.db': there is no world of the kind 'sqlit'", "did you mean `sqlite`?"),
        ("mysql://ada:s3cret@host/db", "'mysql://…@host/db': there is no world of the kind 'mysql'",
         "use sqlite:///path, memory:// or postgresql://…"),
    ],
)  # fmt: skip
def test_a_wrong_url_is_refused_with_a_cure_and_without_secrets(url: str, message: str, hint: str) -> None:
    with pytest.raises(SettingsError) as error:
        parse_world_url(url, Path("root"))
    assert (str(error.value), error.value.hint) == (message, hint)


def test_a_password_with_an_at_sign_is_hidden_whole() -> None:
    assert hide_secret("postgresql://ada:p@ss@host/db?a=1") == "postgresql://…@host/db?a=1"
    assert hide_secret("postgresql://host/db?password=pw&a=1&sslpassword=x") == (
        "postgresql://host/db?password=…&a=1&sslpassword=…"
    )


def test_keys_lie_beside_their_worlds(tmp_path: Path) -> None:
    def key(url: str) -> Path | None:
        return key_path(parse_world_url(url, tmp_path), tmp_path)

    assert key("sqlite:///.wf/world.db") == tmp_path / ".wf" / "key"
    assert key("sqlite:///data/prod.db") == tmp_path / "data" / "prod.db.key"
    assert key("sqlite:///.wf/other.db") == tmp_path / ".wf" / "other.db.key"
    assert key("memory://") is None
    assert key("postgresql://host/db") == tmp_path / ".wf" / "key"


def test_a_world_has_one_key_from_whatever_project_it_is_opened(tmp_path: Path) -> None:
    address = parse_world_url(f"sqlite:///{tmp_path}/theirs/.wf/world.db", tmp_path / "ours")
    assert key_path(address, tmp_path / "ours") == tmp_path / "theirs" / ".wf" / "key"


def test_what_belongs_to_a_world_on_this_machine_lies_beside_its_file_or_in_the_project(tmp_path: Path) -> None:
    def local(url: str) -> Path | None:
        return Settings(root=tmp_path, world=url).local_path

    assert local("sqlite:///a/x.db") == tmp_path / "a" / "x.db"
    assert local("memory://") is None
    one = local("postgresql://ada:old@host/db?schema=a")
    assert one is not None
    assert one.parent == tmp_path / ".wf"
    assert local("postgresql://ada:new@host/db?schema=a") == one, "a password that is changed makes no other world"
    assert local("postgresql://ada:old@host/db?schema=b") != one
