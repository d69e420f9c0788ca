"""Carrying: whether the codec can write what an annotation describes, judged from the annotation alone.

The codec judges by the value's class (`wf.codec`). Here only what is sure is told: a class of the project that
is none of the carried kinds, and classes of libraries that are known not to be.
"""

from __future__ import annotations

import ast
from typing import Final

import msgspec

from wfstudio.core.check import libraries
from wfstudio.core.check.annotations import parse_annotation
from wfstudio.core.check.inference import Inference, Place
from wfstudio.core.check.kinds import Kind, Outside, Type
from wfstudio.core.check.modules import Module
from wfstudio.core.check.scopes import Assigned, Class, Scope
from wfstudio.core.check.tables import Table

_DATACLASSES: Final = frozenset({"dataclasses.dataclass", "pydantic.dataclasses.dataclass", "wf.serializable"})
_ATTRS: Final = frozenset(
    {"attr.s", "attr.attrs", "attr.dataclass", "attr.define", "attr.frozen", "attr.mutable", "attrs.define",
     "attrs.frozen", "attrs.mutable"}
)  # fmt: skip
_CARRIED_BASES: Final = frozenset(
    {
        "enum.Enum", "enum.IntEnum", "enum.StrEnum", "enum.Flag", "enum.IntFlag", "enum.ReprEnum", "typing.NamedTuple",
        "typing.TypedDict", "typing_extensions.TypedDict", "typing_extensions.NamedTuple", "pydantic.BaseModel",
        "pydantic.RootModel", "pydantic_settings.BaseSettings", "msgspec.Struct", "sqlmodel.SQLModel",
    }
)  # fmt: skip
_NEUTRAL_BASES: Final = frozenset({"builtins.object", "typing.Generic", "wf.BaseHook"})
_VALUES: Final = frozenset(
    f"builtins.{name}"
    for name in ("str", "bytes", "bytearray", "int", "float", "complex", "list", "dict", "tuple", "set", "frozenset")
)

_WRAPPERS: Final = frozenset(
    {"typing.Annotated", "typing.Final", "typing.Required", "typing.NotRequired", "typing.ReadOnly"}
)
_HOLDERS: Final = (
    libraries.SET_CLASSES | libraries.LIST_CLASSES | libraries.DICT_CLASSES | {"builtins.tuple", "typing.Tuple"}
)

_FUNCTIONS: Final = "a function"
_CLASSES: Final = "a class"
_SOONER: Final = "what is produced bit by bit"
_NAMED: Final = {
    "typing.Callable": _FUNCTIONS,
    "collections.abc.Callable": _FUNCTIONS,
    "types.FunctionType": _FUNCTIONS,
    "types.LambdaType": _FUNCTIONS,
    "types.MethodType": _FUNCTIONS,
    "types.BuiltinFunctionType": _FUNCTIONS,
    "functools.partial": _FUNCTIONS,
    "builtins.type": _CLASSES,
    "typing.Type": _CLASSES,
    "typing.Iterator": _SOONER,
    "typing.Generator": _SOONER,
    "typing.AsyncIterator": _SOONER,
    "typing.AsyncIterable": _SOONER,
    "typing.AsyncGenerator": _SOONER,
    "typing.Awaitable": "a coroutine",
    "typing.Coroutine": "a coroutine",
    "collections.abc.Iterator": _SOONER,
    "collections.abc.Generator": _SOONER,
    "collections.abc.AsyncIterator": _SOONER,
    "collections.abc.AsyncIterable": _SOONER,
    "collections.abc.AsyncGenerator": _SOONER,
    "collections.abc.Awaitable": "a coroutine",
    "collections.abc.Coroutine": "a coroutine",
    "types.GeneratorType": _SOONER,
    "types.CoroutineType": "a coroutine",
    "types.ModuleType": "a module",
    "wf.HookEvent": "a hook that waits",
}
_NEVER: Final = Table(
    {
        "builtins": r"memoryview|slice|map|filter|zip|enumerate|reversed|range_iterator",
        "io": r"[A-Z]\w*",
        "typing": r"IO|TextIO|BinaryIO|Pattern|Match",
        "re": r"Pattern|Match",
        "types": r"SimpleNamespace|MappingProxyType|TracebackType|FrameType|CodeType",
        "threading": r"[A-Z]\w*",
        "asyncio": r"(?!CancelledError)[A-Z]\w*",
        "concurrent.futures": r"[A-Z]\w*",
        "queue": r"(?!Empty|Full)[A-Z]\w*",
        "socket": r"socket",
        "ssl": r"SSL\w+",
        "subprocess": r"Popen|CompletedProcess",
        "logging": r"Logger|LoggerAdapter|Handler|LogRecord",
        "sqlite3": r"Connection|Cursor|Row",
        "contextvars": r"Context|ContextVar|Token",
        "weakref": r"\w+",
        "random": r"Random|SystemRandom",
        "argparse": r"Namespace|ArgumentParser",
        "string": r"Template",
        "array": r"array",
        "collections": r"ChainMap|UserDict|UserList|UserString",
        "tempfile": r"\w+",
        "zipfile": r"ZipFile|ZipInfo",
        "hashlib": r"\w+",
        "email.message": r"\w+",
        "xml.etree.ElementTree": r"[A-Z]\w*",
        "http.client": r"[A-Z]\w*",
        "httpx": r"Client|AsyncClient|Response|Request",
        "requests": r"Session|Response|Request|PreparedRequest",
        "aiohttp": r"ClientSession|ClientResponse",
        "numpy": r"ndarray",
        "numpy.typing": r"NDArray|ArrayLike",
        "pandas": r"DataFrame|Series|Index",
        "polars": r"DataFrame|LazyFrame|Series",
        "torch": r"Tensor|nn\.Module",
        "PIL.Image": r"Image",
        "bs4": r"BeautifulSoup|Tag",
        "sqlalchemy": r"(\w+\.)*(Engine|Connection|Session|AsyncSession|AsyncEngine)",
        "starlette.requests": r"Request",
        "fastapi": r"Request|UploadFile|BackgroundTasks",
        "flask": r"Request",
        "openai": r"(Async)?OpenAI",
        "anthropic": r"(Async)?Anthropic",
    }
)


class Refusal(msgspec.Struct, frozen=True):
    """Why something cannot be carried. `is_partly`: other members of a union can."""

    what: str
    is_partly: bool = False


class Carrier:
    """Judges annotations. `modules` are all that have been read: subclasses and registrations are looked for there."""

    def __init__(self, inference: Inference, modules: list[Module]) -> None:
        self._inference = inference
        self._modules = modules
        self._registered: set[Kind] | None = None
        self._judged: dict[Class, Refusal | None] = {}

    def judge(self, node: ast.expr, scope: Scope) -> Refusal | None:
        """Say why a value of this annotation cannot be carried; None if it can, or if that is not known."""
        match node:
            case ast.Constant(value=str() as text):
                parsed = parse_annotation(text)
                return None if parsed is None else self.judge(parsed, scope)
            case ast.BinOp(op=ast.BitOr()):
                return self._judge_union([node.left, node.right], scope)
            case ast.Subscript():
                return self._judge_generic(node, scope)
            case ast.Name() | ast.Attribute():
                return self._judge_name(node, scope)
            case _:
                return None

    def _judge_union(self, parts: list[ast.expr], scope: Scope) -> Refusal | None:
        real = [part for part in parts if not (isinstance(part, ast.Constant) and part.value is None)]
        judged = [self.judge(part, scope) for part in real]
        refusal = next((one for one in judged if one is not None), None)
        if refusal is None:
            return None
        return Refusal(refusal.what, refusal.is_partly or None in judged)

    def _judge_generic(self, node: ast.Subscript, scope: Scope) -> Refusal | None:
        base = self._inference.infer(node.value, Place(scope))
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if isinstance(base, Type):
            return self._judge_class(base.cls)
        if not isinstance(base, Outside):
            return None
        if base.name in _WRAPPERS:
            return self.judge(parts[0], scope)
        if base.name in ("typing.Optional", "typing.Union"):
            return self._judge_union(list(parts), scope)
        refusal = self._judge_outside(base)
        if refusal is None and base.name in _HOLDERS:
            return next((found for part in parts if (found := self.judge(part, scope)) is not None), None)
        return refusal

    def _judge_name(self, node: ast.Name | ast.Attribute, scope: Scope) -> Refusal | None:
        new_type = self._find_new_type(node, scope)
        if new_type is not None:
            return self.judge(*new_type)
        alias = self._inference.annotations.find_alias(node, scope)
        if alias is not None and alias[0] is not node:
            return self.judge(*alias)
        match self._inference.infer(node, Place(scope)):
            case Type(cls=cls):
                return self._judge_class(cls)
            case Outside() as kind:
                return self._judge_outside(kind)
            case _:
                return None

    def _find_new_type(self, node: ast.expr, scope: Scope) -> tuple[ast.expr, Scope] | None:
        """Give what `UserId = NewType("UserId", str)` is made of."""
        if not isinstance(node, ast.Name):
            return None
        home = scope.find_home(node.id)
        for binding in home.bindings.get(node.id, ()) if home is not None else ():
            if isinstance(binding, Assigned) and isinstance(binding.value, ast.Call) and len(binding.value.args) == 2:
                maker = self._inference.infer(binding.value.func, Place(binding.scope))
                if isinstance(maker, Outside) and maker.name == "typing.NewType":
                    return binding.value.args[1], binding.scope
        return None

    def _judge_outside(self, kind: Outside) -> Refusal | None:
        if kind in self._list_registered():
            return None
        if kind.name in _NAMED:
            return Refusal(_NAMED[kind.name])
        return Refusal(f"`{kind.name.removeprefix('builtins.')}`") if _NEVER.has(kind.name) else None

    # -- classes of the project

    def _judge_class(self, cls: Class) -> Refusal | None:
        if cls not in self._judged:
            self._judged[cls] = None
            refusal = self._judge_class_alone(cls)
            if refusal is not None and any(self._judge_class(other) is None for other in self._list_subclasses(cls)):
                refusal = None  # what is passed may be one of those
            self._judged[cls] = refusal
        return self._judged[cls]

    def _judge_class_alone(self, cls: Class) -> Refusal | None:
        refusal = Refusal(f"`{cls.name}`, which is no dataclass,")
        for kind in self._inference.ancestors(cls):
            if kind in self._list_registered():
                return None
            if isinstance(kind, Type):
                decorators = self._name_decorators(kind.cls)
                if decorators & _ATTRS:
                    refusal = Refusal(f"`{cls.name}`, a class of attrs,")
                elif decorators:  # a dataclass, or something that is not known
                    return None
                if kind.cls.node.keywords:  # a metaclass: an abstract class, or one of its own sort
                    return None
            elif isinstance(kind, Outside) and kind.name in _VALUES:
                refusal = Refusal(f"`{cls.name}`, a kind of `{kind.last}`,")
            elif not (isinstance(kind, Outside) and kind.name in _NEUTRAL_BASES):
                return None  # carried, an exception, or a library's class that nothing is known of
        return refusal

    def _name_decorators(self, cls: Class) -> set[str]:
        found = set()
        for decorator in cls.node.decorator_list:
            node = decorator.func if isinstance(decorator, ast.Call) else decorator
            kind = self._inference.infer(node, Place(cls.outer))
            found.add(kind.name if isinstance(kind, Outside) else "")
        return found - {"typing.final"}

    def _list_subclasses(self, cls: Class) -> list[Class]:
        return [
            other
            for module in self._modules
            for other in module.classes.values()
            if other is not cls and Type(cls) in self._inference.ancestors(other)
        ]

    def _list_registered(self) -> set[Kind]:
        """List the classes that `wf.register_serializable` was called with."""
        if self._registered is None:
            self._registered = set()
            for module in self._modules:
                if "register_serializable" in module.text:
                    self._registered.update(self._find_registrations(module))
        return self._registered

    def _find_registrations(self, module: Module) -> list[Kind]:
        found = []
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and node.args:
                callee = self._inference.infer(node.func, Place(module.scope))
                if isinstance(callee, Outside) and callee.name == "wf.register_serializable":
                    found.append(self._inference.infer(node.args[0], Place(module.scope)))
        return found

    def judge_owner(self, cls: Class) -> Refusal | None:
        """Say why an instance of a class cannot be carried, as the first argument of its own step."""
        return self._judge_class(cls)


__all__ = ["Carrier", "Refusal"]
