"""Inference: from an expression to what is known of its value.

1. It never guesses: what is not seen to be something is `UNKNOWN`.
2. Names that are assigned in a function are given by whoever walks it, statement by statement
   (`Place.holds`); names of other scopes are what all of their bindings together say.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Mapping, Sequence
from typing import Final

from wfstudio.core.check import libraries
from wfstudio.core.check.annotations import Annotations
from wfstudio.core.check.kinds import (
    BOOL,
    BYTES,
    DICT,
    FLOAT,
    INT,
    LIST,
    NONE,
    STR,
    UNKNOWN,
    AnyOf,
    Awaitable,
    Func,
    Inside,
    Kind,
    Method,
    Object,
    Outside,
    SetOf,
    TupleOf,
    Type,
    Unknown,
    each,
    is_object,
    merge,
    outside,
)
from wfstudio.core.check.modules import Module, Project
from wfstudio.core.check.scopes import (
    Assigned,
    Binding,
    Class,
    Defined,
    Function,
    Imported,
    Parameter,
    Part,
    Scope,
)

_BUILTINS: Final = frozenset(vars(builtins))
_CONSTANTS: Final[Mapping[type, Kind]] = {
    str: STR, bytes: BYTES, bool: BOOL, int: INT, float: FLOAT, type(None): NONE, complex: outside("builtins.complex"),
}  # fmt: skip
_SET_METHODS: Final = frozenset({"union", "intersection", "difference", "symmetric_difference", "copy"})
_VIEWS: Final = ("builtins.dict_keys", "builtins.dict_items")
_SET_OPERATORS: Final = (ast.BitOr, ast.BitAnd, ast.Sub, ast.BitXor)
_NO_WRAPPERS: Final = frozenset(
    {
        "builtins.staticmethod", "builtins.classmethod", "typing.final", "typing.override", "typing.overload",
        "typing.no_type_check", "abc.abstractmethod",
    }
)  # fmt: skip
_PROPERTIES: Final = frozenset({"builtins.property", "functools.cached_property"})
_ENUMS: Final = frozenset({"enum.Enum", "enum.IntEnum", "enum.StrEnum", "enum.Flag", "enum.IntFlag"})
_DIRECTIVES: Final[Mapping[str, str]] = {"use workflow": "workflow", "use step": "step"}
_DEEPEST: Final = 60


class Place:
    """Where an expression stands: its scope, and what variables hold there right now."""

    __slots__ = ("holds", "home", "scope")

    def __init__(self, scope: Scope, home: Scope | None = None, holds: Mapping[str, Kind] | None = None) -> None:
        self.scope = scope
        self.home = home  # the scope whose names `holds` has
        self.holds = holds if holds is not None else {}

    def inner(self, scope: Scope) -> Place:
        return Place(scope, self.home, self.holds)


class Inference:
    """See the laws at the top of this module. One for a whole check."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.annotations = Annotations(self)
        self.applied: dict[Function, str] = {}
        """Functions that are made steps or workflows by a plain call, `charge = wf.step(_charge)`."""
        self._active: set[object] = set()
        self._bound: dict[Binding, Kind] = {}
        self._returned: dict[Function, Kind] = {}
        self._roles: dict[Function, str] = {}
        self._depth = 0

    # -- names --------------------------------------------------------------------------------------

    def look_up(self, name: str, place: Place) -> Kind:
        home = place.scope.find_home(name)
        if home is None:
            return self._look_beyond(name, place.scope.module)
        if home is place.home and name in place.holds:
            return place.holds[name]
        return self.read_bindings(home.bindings.get(name, ()))

    def _look_beyond(self, name: str, module: Module) -> Kind:
        for source in module.scope.stars:
            found = self.read_member(self._open(source, module), name)
            if isinstance(found, Outside) or found == UNKNOWN:
                continue  # which names a library's star brings is not known
            return found
        return Outside(f"builtins.{name}") if name in _BUILTINS else UNKNOWN

    def read_bindings(self, bindings: Sequence[Binding]) -> Kind:
        """Give what all bindings of a name say together; imports and definitions outweigh other values."""
        firm = [binding for binding in bindings if isinstance(binding, (Imported, Defined))]
        return merge([self._read(binding) for binding in firm or bindings])

    def _read(self, binding: Binding) -> Kind:
        if binding in self._bound:
            return self._bound[binding]
        if binding in self._active:
            return UNKNOWN
        self._active.add(binding)
        try:
            found = self._bound[binding] = self._read_fresh(binding)
        finally:
            self._active.discard(binding)
        return found

    def _read_fresh(self, binding: Binding) -> Kind:
        match binding:
            case Imported():
                found = self._open(binding.source, binding.asking)
                if binding.name is None:
                    return found
                if isinstance(found, Inside) and found.module is binding.asking:  # `from . import deep`
                    return self._read_submodule(found, binding.name)
                return self.read_member(found, binding.name)
            case Defined():
                return Func(binding.thing) if isinstance(binding.thing, Function) else Type(binding.thing)
            case Parameter():
                return self._read_parameter(binding)
            case Assigned():
                if binding.annotation is not None and not binding.path:
                    found = self.annotate(binding.annotation, binding.scope)
                    if found != UNKNOWN or binding.value is None:
                        return found
                if binding.value is None:
                    return UNKNOWN
                return self.follow_path(self.infer(binding.value, Place(binding.scope)), binding.path)
            case _:
                return UNKNOWN

    def _open(self, name: str, asking: Module) -> Kind:
        found = self.project.find(name, asking)
        if found is None:
            return Outside(libraries.canonical(name))
        return Inside(name, found) if isinstance(found, Module) else Inside(name)

    def _read_parameter(self, binding: Parameter) -> Kind:
        function = binding.function
        if function is None:
            return UNKNOWN
        if binding.kind == "first" and function.cls is not None and binding.annotation is None:
            is_of_class = "builtins.classmethod" in self.name_decorators(function)
            return Type(function.cls) if is_of_class else Object(Type(function.cls))
        found = UNKNOWN if binding.annotation is None else self.annotate(binding.annotation, function.outer)
        if binding.kind == "args":
            return Object(Outside("builtins.tuple"), found)
        if binding.kind == "kwargs":
            return Object(Outside("builtins.dict"), found)
        return found

    # -- functions ----------------------------------------------------------------------------------

    def role_of(self, function: Function) -> str:
        """Say what a function is registered as: `workflow`, `step`, or nothing."""
        if function in self._roles:
            return self._roles[function]
        self._roles[function] = ""  # while its decorators are looked at
        role = self._find_role(function)
        self._roles[function] = role
        return role

    def _find_role(self, function: Function) -> str:
        for decorator in function.decorators:
            if is_step_or_workflow := self.read_decorator(decorator, function):
                return is_step_or_workflow
        if function in self.applied:
            return self.applied[function]
        node = function.node
        if isinstance(node, ast.Lambda) or function.outer_function is not None:
            return ""
        return _DIRECTIVES.get((ast.get_docstring(node, clean=False) or "").strip(), "")

    def read_decorator(self, decorator: ast.expr, function: Function) -> str:
        """Say which role a decorator gives, or nothing.

        `@app.step` counts where nothing is known of `app`: the runtime's loader takes such files for its
        own, too.
        """
        node = decorator.func if isinstance(decorator, ast.Call) else decorator
        kind = self.infer(decorator, Place(function.outer))
        for one in (kind, self.infer(node, Place(function.outer))):
            if isinstance(one, Outside) and one.name in ("wf.workflow", "wf.step"):
                return one.last
        if not isinstance(node, ast.Attribute) or node.attr not in ("workflow", "step"):
            return ""
        return node.attr if self.infer(node.value, Place(function.outer)) == UNKNOWN else ""

    def name_decorators(self, function: Function) -> set[str]:
        """Give the dotted names of a function's decorators; one that is the project's or unknown is `""`."""
        found = set()
        for decorator in function.decorators:
            node = decorator.func if isinstance(decorator, ast.Call) else decorator
            kind = self.infer(node, Place(function.outer))
            found.add(kind.name if isinstance(kind, Outside) else "")
        return found

    def result_of(self, function: Function, *, is_bare: bool = False) -> Kind:
        """Give what a call of a project's function gives, in a body."""
        role = "" if is_bare else self.role_of(function)
        if role:
            return Awaitable(self.returned_by(function), f"{role} {function.name}")
        if function.is_generator:
            return Object(Outside("types.GeneratorType"))
        wrappers = self.name_decorators(function) - _NO_WRAPPERS
        if is_bare:
            wrappers -= {"wf.step", "wf.workflow"}
        if function.is_async:
            return UNKNOWN if wrappers else Awaitable(self.returned_by(function), f"{function.name}()")
        return self.returned_by(function)

    def returned_by(self, function: Function) -> Kind:
        """Give the kind of what a function returns, from its annotation or else its `return` statements."""
        if function in self._returned:
            return self._returned[function]
        if function in self._active:
            return UNKNOWN
        self._active.add(function)
        try:
            node = function.node
            if not isinstance(node, ast.Lambda) and node.returns is not None:
                found = self.annotate(node.returns, function.outer)
            else:
                found = merge([self.infer(value, Place(function.scope)) for value in function.returns])
        finally:
            self._active.discard(function)
        self._returned[function] = found
        return found

    # -- classes ------------------------------------------------------------------------------------

    def bases_of(self, cls: Class) -> list[Kind]:
        """Give the bases of a class as kinds, generic ones without their parameters."""
        found = []
        for base in cls.node.bases:
            node = base.value if isinstance(base, ast.Subscript) else base
            found.append(self.infer(node, Place(cls.outer)))
        return found

    def ancestors(self, cls: Class) -> list[Kind]:
        """Give a class and all that it inherits from, nearest first; each once."""
        found: dict[Kind, None] = {}
        queue: list[Kind] = [Type(cls)]
        while queue:
            kind = queue.pop(0)
            if kind in found:
                continue
            found[kind] = None
            if isinstance(kind, Type):
                queue += self.bases_of(kind.cls)
        return list(found)

    def is_a(self, cls: Class, *names: str) -> bool:
        """Tell whether a class surely inherits from one of these, which are outside the project."""
        return any(isinstance(base, Outside) and base.name in names for base in self.ancestors(cls))

    def find_member(self, cls: Class, name: str, *, of_instance: bool) -> Sequence[Binding]:
        for kind in self.ancestors(cls):
            if isinstance(kind, Type):
                found = kind.cls.scope.bindings.get(name)
                if found is None and of_instance:
                    found = kind.cls.attributes.get(name)
                if found is not None:
                    return found
        return ()

    def find_method(self, cls: Class, name: str) -> Function | None:
        """Find the project's function that a class has under a name."""
        for binding in self.find_member(cls, name, of_instance=False):
            if isinstance(binding, Defined) and isinstance(binding.thing, Function):
                return binding.thing
        return None

    def find_property(self, kind: Kind, name: str) -> Function | None:
        """Find the function that runs when an attribute of an instance is read."""
        if isinstance(kind, Object) and isinstance(kind.of, Type):
            method = self.find_method(kind.of.cls, name)
            if method is not None and self.name_decorators(method) & _PROPERTIES:
                return method
        return None

    # -- members ------------------------------------------------------------------------------------

    def read_member(self, kind: Kind, name: str) -> Kind:
        """Give what is known of `value.name`."""
        match kind:
            case AnyOf():
                return merge([self.read_member(one, name) for one in kind.kinds])
            case Outside():
                return Outside(libraries.canonical(f"{kind.name}.{name}"))
            case Inside():
                return self._read_module(kind, name)
            case Type():
                return self._read_class(kind.cls, name)
            case Object(of=Type() as of):
                return self._read_instance(of.cls, name)
            case Object(of=Outside() as of):
                dotted = libraries.canonical(f"{of.name}.{name}")
                if dotted in libraries.MEMBERS:
                    return libraries.MEMBERS[dotted]
                if of.name in libraries.CONTAINERS or of.name in ("builtins.tuple", *_VIEWS):
                    return Method(kind, name)
                return Outside(dotted)
            case SetOf():
                return Method(kind, name)
            case Func():
                if self.role_of(kind.function) and not kind.is_bare:
                    return Func(kind.function, is_bare=True) if name == "func" else Method(kind, name)
                return UNKNOWN
            case _:
                return UNKNOWN

    def _read_module(self, kind: Inside, name: str) -> Kind:
        module = kind.module
        if isinstance(module, Module):
            if name in module.scope.bindings:
                return self.read_bindings(module.scope.bindings[name])
            for source in module.scope.stars:
                found = self.read_member(self._open(source, module), name)
                if found != UNKNOWN and not isinstance(found, Outside):
                    return found
        return self._read_submodule(kind, name)

    def _read_submodule(self, kind: Inside, name: str) -> Kind:
        module = kind.module
        if isinstance(module, Module):
            inner = self.project.find(f"{module.name}.{name}", module)
        else:
            inner = self.project.find_under(f"{kind.name}.{name}")
        if inner is None:
            return UNKNOWN
        return Inside(f"{kind.name}.{name}", inner) if isinstance(inner, Module) else Inside(f"{kind.name}.{name}")

    def _read_class(self, cls: Class, name: str) -> Kind:
        found = self.find_member(cls, name, of_instance=False)
        if found:
            if self.is_a(cls, *_ENUMS) and all(isinstance(binding, Assigned) for binding in found):
                return Object(Type(cls))
            return self.read_bindings(found)
        return self._read_base(cls, name, Type(cls))

    def _read_instance(self, cls: Class, name: str) -> Kind:
        method = self.find_property(Object(Type(cls)), name)
        if method is not None:
            return self.returned_by(method)
        found = self.find_member(cls, name, of_instance=True)
        return self.read_bindings(found) if found else self._read_base(cls, name, Object(Type(cls)))

    def _read_base(self, cls: Class, name: str, owner: Kind) -> Kind:
        """Give a member that a class has from a library's class, if there is just one that it can have it from."""
        bases = [kind for kind in self.ancestors(cls) if isinstance(kind, (Outside, Unknown))]
        if len(bases) != 1 or not isinstance(bases[0], Outside):
            return UNKNOWN
        if bases[0].name == "wf.BaseHook":
            return Method(owner, name)
        return Outside(libraries.canonical(f"{bases[0].name}.{name}"))

    # -- expressions --------------------------------------------------------------------------------

    def infer_in(self, node: ast.expr, scope: Scope) -> Kind:
        """Give what is known of an expression in a scope, whatever its variables hold at the moment."""
        return self.infer(node, Place(scope))

    def infer(self, node: ast.expr, place: Place) -> Kind:
        """Give what is known of an expression's value."""
        if self._depth > _DEEPEST:
            return UNKNOWN
        self._depth += 1
        try:
            return self._infer(node, place)
        finally:
            self._depth -= 1

    def _infer(self, node: ast.expr, place: Place) -> Kind:
        match node:
            case ast.Name():
                return self.look_up(node.id, place)
            case ast.Attribute():
                return self.read_member(self.infer(node.value, place), node.attr)
            case ast.Call():
                callee = self.infer(node.func, place)
                return merge([self.call(one, node, place) for one in each(callee)])
            case ast.Await():
                return self.await_(self.infer(node.value, place))
            case ast.Constant():
                return _CONSTANTS.get(type(node.value), UNKNOWN)
            case ast.JoinedStr():
                return STR
            case ast.Set():
                return SetOf(merge([self.infer(part, place) for part in node.elts]))
            case ast.SetComp():
                return SetOf(self.infer(node.elt, self._inside(node, place)))
            case ast.List():
                return Object(Outside("builtins.list"), merge([self.infer(part, place) for part in node.elts]))
            case ast.ListComp() | ast.GeneratorExp():
                return Object(Outside("builtins.list"), self.infer(node.elt, self._inside(node, place)))
            case ast.Dict():
                return Object(Outside("builtins.dict"), merge([self.infer(part, place) for part in node.values]))
            case ast.DictComp():
                return Object(Outside("builtins.dict"), self.infer(node.value, self._inside(node, place)))
            case ast.Tuple():
                if any(isinstance(part, ast.Starred) for part in node.elts):
                    return Object(Outside("builtins.tuple"))
                return TupleOf(tuple(self.infer(part, place) for part in node.elts))
            case ast.IfExp():
                return merge([self.infer(node.body, place), self.infer(node.orelse, place)])
            case ast.BoolOp():
                return merge([self.infer(value, place) for value in node.values])
            case ast.NamedExpr():
                return self.infer(node.value, place)
            case ast.BinOp():
                return self._operate(node, place)
            case ast.Subscript():
                return self._pick(self.infer(node.value, place), node.slice)
            case ast.Compare():
                return BOOL
            case ast.UnaryOp():
                return BOOL if isinstance(node.op, ast.Not) else self.infer(node.operand, place)
            case ast.Lambda():
                return Func(place.scope.module.functions[node])
            case _:
                return UNKNOWN

    def _inside(self, node: ast.expr, place: Place) -> Place:
        return place.inner(place.scope.module.scopes[node])

    def _operate(self, node: ast.BinOp, place: Place) -> Kind:
        left, right = self.infer(node.left, place), self.infer(node.right, place)
        if isinstance(node.op, _SET_OPERATORS):
            sets = [one for side in (left, right) for one in each(side) if isinstance(one, SetOf)]
            if sets and not (isinstance(node.op, ast.Sub) and not any(isinstance(one, SetOf) for one in each(left))):
                return SetOf(merge([one.part for one in sets]))
            if is_object(left, *_VIEWS) or is_object(right, *_VIEWS):
                return SetOf()
        if isinstance(node.op, ast.Div) and (is_object(left, "pathlib.Path") or is_object(right, "pathlib.Path")):
            return libraries.PATH
        if isinstance(node.op, ast.Add) and is_object(left, "builtins.list"):
            return left
        return left if left == right and left in (INT, FLOAT, STR, BYTES) else UNKNOWN

    def _pick(self, kind: Kind, index: ast.expr) -> Kind:
        match kind:
            case AnyOf():
                return merge([self._pick(one, index) for one in kind.kinds])
            case TupleOf():
                if isinstance(index, ast.Constant) and isinstance(index.value, int):
                    if -len(kind.parts) <= index.value < len(kind.parts):
                        return kind.parts[index.value]
                    return UNKNOWN
                return merge(kind.parts)
            case Object(of=Outside(name=name)) if name in libraries.CONTAINERS or name == "builtins.tuple":
                return kind if isinstance(index, ast.Slice) else kind.part
            case Object(of=Outside(name="builtins.str")):
                return STR
            case Type() | Outside():  # a generic class: `Page[int]`
                return kind
            case _:
                return UNKNOWN

    def await_(self, kind: Kind) -> Kind:
        """Give what awaiting a value gives."""
        match kind:
            case AnyOf():
                return merge([self.await_(one) for one in kind.kinds])
            case Awaitable():
                return kind.of
            case Object(of=Outside(name=name)) if name in libraries.FUTURES or name == "wf.HookEvent":
                return kind.part
            case _:
                return UNKNOWN

    # -- calls --------------------------------------------------------------------------------------

    def call(self, callee: Kind, node: ast.Call, place: Place) -> Kind:
        """Give what a call of something gives."""
        match callee:
            case Outside():
                return self._call_outside(callee.name, node, place)
            case Func():
                return self.result_of(callee.function, is_bare=callee.is_bare)
            case Type():
                return Object(callee)
            case Method():
                return self._call_method(callee, node, place)
            case _:
                return UNKNOWN

    def _call_outside(self, name: str, node: ast.Call, place: Place) -> Kind:
        given = [self.infer(arg, place) for arg in node.args]
        first = given[0] if given else UNKNOWN
        match name:
            case "wf.workflow" | "wf.step":
                return first if given else Outside(name)
            case "builtins.set" | "builtins.frozenset":
                return SetOf(self.iterate(first)) if given else SetOf(is_new=name == "builtins.set")
            case "builtins.list" | "builtins.sorted" | "builtins.reversed" | "builtins.iter" | "collections.deque":
                return Object(Outside("builtins.list"), self.iterate(first))
            case "builtins.tuple":
                return Object(Outside("builtins.tuple"), self.iterate(first))
            case "builtins.enumerate":
                return Object(Outside("builtins.list"), TupleOf((INT, self.iterate(first))))
            case "builtins.zip":
                return Object(Outside("builtins.list"), TupleOf(tuple(self.iterate(kind) for kind in given)))
            case "builtins.range":
                return Object(Outside("builtins.list"), INT)
            case "builtins.map":
                called = self.call(first, node, place) if isinstance(first, (Func, Type)) else UNKNOWN
                return Object(Outside("builtins.list"), called)
            case "builtins.filter":
                return Object(Outside("builtins.list"), self.iterate(given[1]) if len(given) > 1 else UNKNOWN)
            case "builtins.next" | "builtins.min" | "builtins.max":
                return self.iterate(first) if len(given) == 1 else merge(given)
            case "builtins.dict" | "collections.OrderedDict" | "collections.defaultdict" | "collections.Counter":
                return first if is_object(first, "builtins.dict") else DICT
            case "builtins.super":
                return self._super(place)
            case "functools.partial" | "copy.copy" | "copy.deepcopy":
                return first
            case "functools.wraps":
                return UNKNOWN
            case "typing.cast":
                return self.annotate(node.args[0], place.scope) if node.args else UNKNOWN
            case "asyncio.create_task" | "asyncio.ensure_future" | "asyncio.TaskGroup.create_task" | "asyncio.shield":
                return Object(Outside("asyncio.Task"), self.await_(first))
            case "asyncio.wait_for":
                return Awaitable(self.await_(first), "asyncio.wait_for")
            case "asyncio.gather":
                return Object(Outside("asyncio.Future"), self._gather(node, given))
        if name in libraries.RETURNS:
            return libraries.RETURNS[name]
        last = name.rpartition(".")[2]
        return Object(Outside(name)) if last[:1].isupper() else UNKNOWN

    def _gather(self, node: ast.Call, given: list[Kind]) -> Kind:
        if any(isinstance(arg, ast.Starred) for arg in node.args):
            return LIST
        return TupleOf(tuple(self.await_(kind) for kind in given))

    def _super(self, place: Place) -> Kind:
        scope: Scope | None = place.scope
        while scope is not None and not isinstance(scope.owner, Function):
            scope = scope.parent
        cls = scope.owner.cls if scope is not None and isinstance(scope.owner, Function) else None
        bases = self.bases_of(cls) if cls is not None else []
        return Object(bases[0]) if len(bases) == 1 and isinstance(bases[0], (Type, Outside)) else UNKNOWN

    def _call_method(self, method: Method, node: ast.Call, place: Place) -> Kind:
        match method.owner:
            case SetOf() as owner:
                if method.name in _SET_METHODS:
                    return SetOf(owner.part)
                return owner.part if method.name == "pop" else UNKNOWN
            case Func() as owner:
                return owner if method.name == "with_options" else UNKNOWN
            case Type() as owner if method.name == "wait":
                return Object(Outside("wf.HookEvent"), Object(owner))
            case Object(of=Type()) if method.name == "resume":
                return Awaitable(outside("wf.Hook"), "resume")
            case Object(of=Outside(name=name)) as owner if name in libraries.CONTAINERS:
                return self._call_container(owner, method.name)
            case _:
                return UNKNOWN

    def _call_container(self, owner: Object, name: str) -> Kind:
        match name:
            case "keys":
                return outside("builtins.dict_keys")
            case "items":
                return Object(Outside("builtins.dict_items"), TupleOf((UNKNOWN, owner.part)))
            case "values":
                return Object(Outside("builtins.list"), owner.part)
            case "get" | "pop" | "popleft" | "setdefault":
                return owner.part
            case "copy":
                return owner
            case _:
                return UNKNOWN

    # -- parts --------------------------------------------------------------------------------------

    def iterate(self, kind: Kind) -> Kind:
        """Give what is known of the members of a value."""
        match kind:
            case AnyOf():
                return merge([self.iterate(one) for one in kind.kinds])
            case SetOf():
                return kind.part
            case TupleOf():
                return merge(kind.parts)
            case Object(of=Outside(name=name)):
                if name in libraries.DICT_CLASSES:
                    return UNKNOWN
                if name in libraries.CONTAINERS or name in ("builtins.tuple", "builtins.dict_items", "wf.HookEvent"):
                    return kind.part
                return STR if name == "builtins.str" else UNKNOWN
            case Type() if self.is_a(kind.cls, *_ENUMS):
                return Object(kind)
            case _:
                return UNKNOWN

    def follow_path(self, kind: Kind, path: Sequence[Part]) -> Kind:
        """Give a part of a value."""
        for part in path:
            match part:
                case "each":
                    kind = self.iterate(kind)
                case "entered" | "entered_async":
                    kind = self._enter(kind, "__enter__" if part == "entered" else "__aenter__")
                case "rest":
                    kind = UNKNOWN
                case int():
                    kind = self._nth(kind, part)
        return kind

    def _nth(self, kind: Kind, place: int) -> Kind:
        if isinstance(kind, TupleOf):
            return kind.parts[place] if place < len(kind.parts) else UNKNOWN
        return self.iterate(kind)

    def _enter(self, kind: Kind, method_name: str) -> Kind:
        if isinstance(kind, Object) and isinstance(kind.of, Type):
            method = self.find_method(kind.of.cls, method_name)
            if method is None:
                return UNKNOWN
            found = self.returned_by(method)
            return found if found != UNKNOWN else kind
        return kind if isinstance(kind, Object) else UNKNOWN  # a library's object, as a rule, enters as itself

    # -- annotations --------------------------------------------------------------------------------

    def annotate(self, node: ast.expr, scope: Scope) -> Kind:
        """Give the kind of a value that an annotation describes."""
        return self.annotations.read(node, scope)
