"""Roles: which functions of a module are workflows and steps, and the ids under which the runtime has them."""

from __future__ import annotations

import ast
from typing import Any, NamedTuple

from wfstudio.core.check.inference import Inference, Place
from wfstudio.core.check.kinds import Func, Outside
from wfstudio.core.check.modules import Module
from wfstudio.core.check.scopes import Assigned, Function, Scope


class Role(NamedTuple):
    """`id` is the runtime's, as far as it is written down: names that are computed are not known."""

    function: Function
    kind: str
    id: str


def find_roles(module: Module, inference: Inference) -> list[Role]:
    """Find a module's workflows and steps, in the order in which they are written."""
    applied = _find_applied(module, inference)
    for function, (kind, _) in applied.items():
        inference.applied.setdefault(function, kind)
    found = []
    for function in module.functions.values():
        kind = inference.role_of(function)
        if kind:
            call = applied[function][1] if function in applied else None
            found.append(Role(function, kind, _name(function, kind, call, inference)))
    return sorted(found, key=lambda role: role.function.first_line)


def _find_applied(module: Module, inference: Inference) -> dict[Function, tuple[str, ast.Call]]:
    """Find functions that are decorated by hand: `charge = wf.step(_charge)`."""
    found: dict[Function, tuple[str, ast.Call]] = {}
    if "step" not in module.text and "workflow" not in module.text:
        return found
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and node.value.args:
            call = node.value
            place = Place(_scope_of(node, module))
            maker = inference.infer(call.func, place)
            thing = inference.infer(call.args[0], place)
            if isinstance(maker, Outside) and maker.name in ("wf.step", "wf.workflow") and isinstance(thing, Func):
                inner = call.func if isinstance(call.func, ast.Call) else call
                found[thing.function] = (maker.last, inner)
    return found


def _scope_of(node: ast.Assign, module: Module) -> Scope:
    """Give the scope that binds what is assigned here."""
    for scope in module.scopes.values():
        for target in node.targets:
            if isinstance(target, ast.Name):
                for binding in scope.bindings.get(target.id, ()):
                    if isinstance(binding, Assigned) and binding.value is node.value:
                        return scope
    return module.scope


def _name(function: Function, kind: str, applied: ast.Call | None, inference: Inference) -> str:
    call: ast.expr | None = applied
    for decorator in function.decorators:
        if inference.read_decorator(decorator, function) == kind:
            call = decorator
    own = _constant(call, "name") or f"{function.module.name}:{function.qualname}"
    space = _find_namespace(call, function, inference)
    return f"{space}/{own}" if space else own


def _find_namespace(decorator: ast.expr | None, function: Function, inference: Inference) -> str | None:
    node = decorator.func if isinstance(decorator, ast.Call) else decorator
    if not isinstance(node, ast.Attribute):
        return None
    made = _find_value(node.value, function.outer, inference)
    return _constant(made, "namespace")


def _find_value(node: ast.expr, scope: Scope, inference: Inference) -> ast.expr | None:
    """Find the expression that a name was assigned, also where it was imported from another module."""
    if isinstance(node, ast.Call):
        return node
    bindings: Any = ()
    if isinstance(node, ast.Name):
        home = scope.find_home(node.id)
        bindings = home.bindings.get(node.id, ()) if home is not None else ()
    elif isinstance(node, ast.Attribute):
        owner = inference.infer(node.value, Place(scope))
        module = getattr(owner, "module", None)
        bindings = module.scope.bindings.get(node.attr, ()) if isinstance(module, Module) else ()
    for binding in bindings:
        if isinstance(binding, Assigned) and binding.value is not None and not binding.path:
            return binding.value
        source, name = getattr(binding, "source", None), getattr(binding, "name", None)
        if source is not None and name is not None:
            module = inference.project.find(source, scope.module)
            if isinstance(module, Module):
                return _find_value(ast.Name(name), module.scope, inference)
    return None


def _constant(call: ast.expr | None, keyword_name: str) -> str | None:
    if isinstance(call, ast.Call):
        for keyword in call.keywords:
            if keyword.arg == keyword_name and isinstance(keyword.value, ast.Constant):
                value = keyword.value.value
                return value if isinstance(value, str) else None
    return None
