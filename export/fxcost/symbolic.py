"""A symbolically traced GraphModule opened up to the functions that ATen knows, without running it, and its columns.

torch.fx stops at modules of torch.nn and at the Python functions of torch.nn.functional. Both are only thin wrappers,
so they are traced on into: what remains are calls of torch's built-in functions, methods and Python's operators. Each
node keeps the name of the fx node it was made for, and its place in the module tree. What cannot be traced on into (it
asks for a size, or runs code that no proxy follows) stays a call of that module or function by name.
"""

from __future__ import annotations

import contextlib
import inspect
import operator
import types
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch
from torch.fx import GraphModule, Node, Proxy

from .convert import Converter, Input
from .errors import FxcostError, first_line
from .leaves import FUNCTIONS, module_rule
from .modules import class_name
from .ops import Operator
from .proxies import Known, Value, transparent

# Key of the name that a node is to have, in its meta.
_NAME = "fxcost_name"

_FUNCTION_HOMES = frozenset({"torch.nn.functional", "torch.functional", "torch._tensor"})


def open_up(module: GraphModule) -> torch.fx.Graph:
    """The graph of what a GraphModule calls; get_attr nodes refer to the module's own tensors."""
    graph = _Opener(module).run()
    graph.eliminate_dead_code(is_impure_node=lambda node: node.op != "get_attr")
    for node in graph.nodes:
        node.name = node.meta.pop(_NAME, node.name)
    return graph


def traced(module: torch.nn.Module, label: str) -> GraphModule:
    """What torch.fx.symbolic_trace makes of a module. Raises FxcostError where it follows no proxy."""
    if isinstance(module, GraphModule):
        return module
    try:
        return torch.fx.symbolic_trace(module)
    except Exception as error:  # noqa: BLE001  the module's own code runs
        raise FxcostError(
            f"{label} cannot be traced by torch.fx\n  reason: {first_line(error)}\n"
            "  try:    capture it by torch.export, with example inputs and without --fx",
            status="CAPTURE",
        ) from None


def keep_names(graph: torch.fx.Graph) -> None:
    """Gives the nodes that torch.export made of a GraphModule the names of the nodes they were made from."""
    made = [node for node in graph.nodes if node.op == "call_function" and node.meta.get("from_node")]
    last = {node.meta["from_node"][0].name: node for node in made}  # of several, the one that has the value
    taken = {node.name for node in graph.nodes} - {node.name for node in made}
    for node in made:
        source = node.meta["from_node"][0].name
        name = source if last[source] is node else f"{source}_{node.name}"
        while name in taken:
            name += "_"
        taken.add(name)
        node.name = name


class SymbolicConverter(Converter):
    """Columns of a graph without shapes: values are not resolved yet, operators are packets without an overload."""

    def add(self, module: GraphModule) -> GraphModule:
        """All of a GraphModule; what was written, opened up."""
        label = type(module).__name__
        self.modules.add("", class_name(GraphModule) if label == "GraphModule" else label)
        for node in module.graph.nodes:  # a GraphModule keeps no classes of modules that are no leaves
            for path, cls in (node.meta.get("nn_module_stack") or {}).values():
                self.modules.add(path, cls if isinstance(cls, str) else class_name(cls))
        self.modules.add_model(module)
        opened = GraphModule(module, open_up(module), type(module).__name__)
        self.add_graphs(opened, {}, [])
        return opened

    def _operator(self, node: Node) -> Operator:
        return self.operators.unresolved(node.target)

    def _method(self, node: Node) -> Operator:
        return self.operators.unresolved_method(str(node.target))

    def _add_input(self, node: Node, spec: Input | None) -> None:
        if node.args and not node.meta.keys() & {"val", "example_value"}:  # the default of an argument of forward()
            node.meta["val"] = node.args[0]
        super()._add_input(node, spec)


class _Opener(torch.fx.Tracer):
    """Walks the nodes of a GraphModule with proxies for values, and records what they call in a graph of its own."""

    def __init__(self, module: GraphModule) -> None:
        super().__init__()
        self.root, self.graph = module, torch.fx.Graph()
        self.source = module
        self._names: set[str] = set()
        self._reserved = {node.name for node in module.graph.nodes}
        self._tensors = dict(_tensors(module))
        self._homes = {id(tensor): name for name, tensor in reversed(self._tensors.items())}
        self._stack: dict[str, tuple[str, Any]] = {}
        self._calls: dict[str, int] = {}
        self._now: Node | None = None

    def run(self) -> torch.fx.Graph:
        values: dict[Node, Any] = {}
        with (
            mock.patch.object(torch.nn.Module, "__call__", self._module_call()),
            mock.patch.object(torch.nn.Module, "__getattr__", self._module_getattr()),
        ):
            for node in self.source.graph.nodes:
                self._now = node
                args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), values.__getitem__)
                self._stack = dict(node.meta.get("nn_module_stack") or {"": ("", type(self.source))})
                values[node] = self._name_result(self._step(node, args, kwargs))
        return self.graph

    def _step(self, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if node.op == "call_module":
            self._stack.pop(str(node.target), None)
            return self._call_module(self.source.get_submodule(str(node.target)), str(node.target), args, kwargs)
        if node.op == "call_function":
            return self.call_function(node.target, args, kwargs)
        if node.op == "call_method" and not isinstance(args[0], Proxy):
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        return self.create_proxy(node.op, node.target, args, kwargs, name=node.name, type_expr=node.type)

    # ---- what nodes become ------------------------------------------------------------------------------------------

    def proxy(self, node: Node) -> Proxy:
        if node.op == "get_attr":
            tensor = self._tensors.get(str(node.target))
            if tensor is not None:
                return Known(node, self, tuple(tensor.shape), tensor)
        return Value(node, self)

    def create_proxy(self, kind: str, target: Any, args: Any, kwargs: Any, *others: Any, **named: Any) -> Any:
        function = getattr(torch.Tensor, target, None) if kind == "call_method" else None
        if inspect.isfunction(function):  # a method that torch writes in Python
            with self._attempt() as done:
                done.append((FUNCTIONS.get(function) or transparent(function))(*args, **kwargs))
            if done:
                return done[0]
        return super().create_proxy(kind, target, args, kwargs, *others, **named)

    def create_node(
        self, kind: str, target: Any, args: Any, kwargs: Any, name: Any = None, type_expr: Any = None
    ) -> Node:
        node = self.graph.create_node(kind, target, args, kwargs, name, type_expr)
        now = self._now
        if now is not None:
            node.meta["nn_module_stack"] = dict(self._stack)
            node.meta["stack_trace"] = now.meta.get("stack_trace")
            if kind == "placeholder":
                node.meta |= _recorded(now)
            node.meta[_NAME] = (
                str(target).lstrip("*") if kind == "placeholder" else self._fresh(f"{now.name}_{node.name}")
            )
        return node

    def create_arg(self, a: Any) -> Any:
        if isinstance(a, torch.Tensor) and id(a) in self._homes:
            return self.create_node("get_attr", self._homes[id(a)], (), {})
        if isinstance(a, torch.nn.Module):
            raise NotImplementedError("a module as an argument")
        return super().create_arg(a)

    def _fresh(self, name: str) -> str:
        count, unique = 0, name
        while unique in self._names or unique in self._reserved:
            count += 1
            unique = f"{name}_{count}"
        self._names.add(unique)
        return unique

    def _name_result(self, result: Any) -> Any:
        """The node whose value the fx node has gets its name, if it was made for it."""
        if isinstance(result, Proxy) and self._now is not None and result.node.op not in ("placeholder", "get_attr"):
            meta = result.node.meta
            if str(meta[_NAME]).startswith(self._now.name + "_"):
                meta[_NAME] = self._now.name
        return result

    # ---- functions --------------------------------------------------------------------------------------------------

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not _any_proxy((args, kwargs)):
            if target is operator.getitem:  # of a tuple that a module returned
                return target(*args, **kwargs)
        elif target is operator.getitem and not isinstance(args[0], Proxy) and not _any_proxy(args[1]):
            return target(*args, **kwargs)
        if target in FUNCTIONS:
            with self._attempt() as done:
                done.append(FUNCTIONS[target](*args, **kwargs))
            if done:
                return done[0]
        if isinstance(target, types.FunctionType) and target.__module__ in _FUNCTION_HOMES:
            with self._attempt() as done:
                done.append(transparent(target)(*args, **kwargs))
            if done:
                return done[0]
            args, kwargs = _bound(target, args, kwargs)
        return self.create_proxy("call_function", target, args, kwargs)

    # ---- modules ----------------------------------------------------------------------------------------------------

    def _module_call(self) -> Callable[..., Any]:
        paths = {id(module): path for path, module in reversed(list(self.source.named_modules()))}

        def call(module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
            return self._call_module(module, paths.get(id(module), ""), args, kwargs)

        return call

    def _module_getattr(self) -> Callable[..., Any]:
        original: Any = torch.nn.Module.__getattr__

        def get(module: torch.nn.Module, name: str) -> Any:
            """Parameters and buffers as proxies, so that what a module does with them is recorded."""
            value = original(module, name)
            if isinstance(value, torch.Tensor) and id(value) in self._homes:
                return self.create_proxy("get_attr", self._homes[id(value)], (), {})
            return value

        return get

    def _call_module(self, module: torch.nn.Module, path: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        outer = self._stack
        number = self._calls.get(path, 0)
        self._calls[path] = number + 1
        self._stack = {**outer, f"{path}@{number}" if number else path: (path, type(module))}
        try:
            with self._attempt() as done:
                done.append((module_rule(module) or module.forward)(*args, **kwargs))
            if done:
                return done[0]
            with self._attempt() as done:
                done.append(self.create_proxy("call_module", path, args, kwargs))
            return done[0] if done else None
        finally:
            self._stack = outer

    @contextlib.contextmanager
    def _attempt(self) -> Iterator[list[Any]]:
        """Code that may not be traceable: nodes that it made before it failed are taken back."""
        last = next(iter(reversed(self.graph.nodes)), None)
        stack = self._stack
        try:
            yield []
        except Exception:  # noqa: BLE001  traced code raises what it likes when it meets a proxy
            self._stack = stack
            for node in reversed(self.graph.nodes):
                if node is last:
                    break
                self.graph.erase_node(node)


def _tensors(module: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    for path, part in module.named_modules():
        prefix = path + "." if path else ""
        plain = {name: value for name, value in vars(part).items() if isinstance(value, torch.Tensor)}
        for name, value in {**plain, **part._buffers, **part._parameters}.items():
            if value is not None:
                yield prefix + name, value


def _recorded(node: Node) -> dict[str, Any]:
    """The value of an input that an earlier pass over the graph recorded: of fake tensors, or ShapeProp's."""
    for key in ("val", "example_value"):
        if key in node.meta:
            return {key: node.meta[key]}
    found: Any = node.meta.get("tensor_meta")
    if not hasattr(found, "shape"):
        return {}
    with torch._subclasses.FakeTensorMode():
        return {"val": torch.empty_strided(found.shape, found.stride, dtype=found.dtype)}


def _any_proxy(value: Any) -> bool:
    return any(isinstance(leaf, Proxy) for leaf in torch.utils._pytree.tree_leaves(value))


def _bound(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """All arguments by the names of the function's parameters, where it has names."""
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return args, kwargs
    if any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in inspect.signature(function).parameters.values()):
        return args, kwargs
    return (), {name: value for name, value in bound.arguments.items() if not name.startswith("_")}
