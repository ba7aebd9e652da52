"""An fx program as columns: graphs, nodes, signature, parameters."""

from __future__ import annotations

import functools
import operator
import os
import sysconfig
from typing import Any

import torch

from .args import Arguments, Pair
from .columns import NONE, Columns
from .enums import enum
from .kernels import is_launch, launch, schema
from .modules import MARK, OWNER, Call, Calls, Modules
from .ops import Operator, Operators
from .params import Params
from .regions import REGION, Regions
from .symbols import Symbols
from .values import Values

# What torch.export writes as the module of a node that it made itself (assertions on sizes).
_NO_MODULE = "_empty_nn_module_stack_from_metadata_hook"


class Converter:
    """Builds the columns of one captured program. Use: model or modules, then main graph, then finish."""

    def __init__(self, training: bool) -> None:
        self.columns = Columns()
        self.symbols = Symbols(self.columns)
        self.values = Values(self.columns, self.symbols)
        self.operators = Operators(self.columns)
        self.modules = Modules(self.values)
        self.calls = Calls(self.values, self.modules, training)
        self.arguments = Arguments(self.values, self._node_argument, lambda op: self.operators.get(op).row)
        self.sources = Sources(self.columns)
        self.regions = Regions(self.columns, self.arguments)
        self.params = Params(self.columns, self.modules, self.values)
        self.kind = self.values.kind
        self.view, self.input_kind, self.output_kind = enum("view"), enum("input_kind"), enum("output_kind")
        self.storage_origin = enum("storage_origin")
        self.intermediate = self.storage_origin["intermediate"]
        self.value_of: dict[torch.fx.Node, int] = {}
        self._graph_rows: dict[int, int] = {}
        self._graph_queue: list[tuple[torch.fx.GraphModule, str, int]] = []
        self._owner: torch.fx.GraphModule
        self._lifted: dict[str, int] = {}
        self._default_call = self._node_call = NONE
        self._lists_params = True

    # ---- graphs -----------------------------------------------------------------------------------------------------

    def add_graphs(self, main: torch.fx.GraphModule, inputs: dict[str, Input], outputs: list[Output]) -> None:
        """The main graph with its signature, then every graph that it reaches."""
        self.add_main(main, "captured", inputs, outputs)

    def add_main(self, main: torch.fx.GraphModule, view: str, inputs: dict[str, Input], outputs: list[Output]) -> None:
        self._graph_rows[id(main)] = 0
        self._add_graph(main, "main", view, NONE, inputs, outputs)
        self._add_bodies()

    def add_view(self, module: torch.fx.GraphModule, view: str, inputs: dict[str, Input]) -> None:
        """The captured graph in another view, behind the others: no node calls it, and what it reads is listed."""
        self._graph_rows[id(module)] = len(self._graph_rows)
        self._lists_params = False
        self._add_graph(module, view, view, NONE, inputs, [])
        self._add_bodies()

    def _add_bodies(self) -> None:
        while self._graph_queue:
            module, name, call = self._graph_queue.pop(0)
            self._add_graph(module, name, "body", call, {}, [])

    def _add_graph(
        self,
        module: torch.fx.GraphModule,
        name: str,
        view: str,
        call: int,
        inputs: dict[str, Input],
        outputs: list[Output],
    ) -> None:
        rows = self.columns.rows
        self._owner, self._lifted = module, {}
        self._default_call = self._node_call = call
        self.columns.add("graph", name=self.columns.string(name), view=self.view[view])
        for node in module.graph.nodes:
            if node.op == "call_function":
                self._add_node(node, self._operator(node))
            elif node.op == "placeholder":
                self._add_input(node, inputs.get(node.name))
            elif node.op == "output":
                self._add_outputs(node, outputs)
            elif node.op == "call_method":
                self._add_node(node, self._method(node))
            elif node.op == "call_module":
                cls = type(module.get_submodule(str(node.target)))
                self._add_node(node, self.operators.module(f"{cls.__module__}.{cls.__qualname__}"))
        rows["graph_node_begin"].append(len(rows["node_op"]))
        rows["graph_input_begin"].append(len(rows["input_value"]))
        rows["graph_output_begin"].append(len(rows["output_role"]))

    def _operator(self, node: torch.fx.Node) -> Operator:
        target: Any = node.target
        if is_launch(node):
            name, arguments = launch(node)
            return self.operators.kernel(name, schema(arguments))
        python = getattr(target, "__module__", None) == "_operator" and target is not operator.getitem
        if python and isinstance(node.meta.get("val", node.meta.get("example_value")), torch.Tensor):
            return self.operators.on_tensors(target)
        return self.operators.get(target)

    def _method(self, node: torch.fx.Node) -> Operator:
        return self.operators.method(str(node.target))

    def _add_node(self, node: torch.fx.Node, op: Operator) -> None:
        rows, meta = self.columns.rows, node.meta
        index = len(rows["node_op"])
        stack = meta.get("nn_module_stack")
        if stack is not None and _NO_MODULE in stack:
            stack = None
        self._node_call = call = self.calls.innermost(stack) if stack else self._default_call
        if OWNER in meta and call != NONE:
            self._node_call = call = self.calls.without_hooks(call, meta[OWNER])
        argname, encode = self.columns.argname, self.arguments.encode
        names, kinds, payloads = rows["arg_name"], rows["arg_kind"], rows["arg_payload"]
        for position, arg in enumerate(node.args):
            kind, payload = encode(arg)
            names.append(argname(op.name(position)))
            kinds.append(kind)
            payloads.append(payload)
        for key, arg in (launch(node)[1] if is_launch(node) else node.kwargs).items():
            kind, payload = encode(arg)
            names.append(argname(key))
            kinds.append(kind)
            payloads.append(payload)
        if node.target is torch.ops.higher_order.while_loop:
            names.append(argname("trips"))
            kinds.append(self.kind["symint"])
            payloads.append(self.symbols.trips(node.name))
        rows["node_arg_begin"].append(len(names))
        rows["node_op"].append(op.row)
        rows["node_result"].append(self._result(node, op, index))
        rows["node_call"].append(call)
        rows["node_flags"].append(0)
        rows["node_source"].append(self.sources.of(meta.get("stack_trace")))
        self.regions.place(meta.get(REGION))

    def _result(self, node: torch.fx.Node, op: Operator, index: int) -> int:
        meta = node.meta
        if "val" in meta and not op.records_float_for_quantized:
            value = self.values.add(meta["val"], node.name, index, self.intermediate)
        elif "example_value" in meta:
            value = self.values.add(meta["example_value"], node.name, index, self.intermediate)
        elif op.returns_nothing:
            value = self.values.add(None, node.name, index, self.intermediate)
        else:
            value = self._opaque_value("quantized tensor" if "val" in meta else "not recorded", node.name, index)
        if node.target is torch.ops.aten.copy_.default:
            # Where export writes a buffer back it gives the copy the metadata of its source; the result is its target.
            target = self.value_of.get(node.args[0]) if node.args else None  # type: ignore[arg-type]
            if target is not None:
                self.columns.rows["value_storage"][value] = self.columns.rows["value_storage"][target]
        self.value_of[node] = value
        return value

    def _opaque_value(self, what: str, name: str, producer: int) -> int:
        string = self.columns.string
        return self.columns.add(
            "value",
            kind=self.kind["opaque"],
            payload=string(what),
            producer=producer,
            name=string(name),
            storage=NONE,
        )

    def _node_argument(self, node: torch.fx.Node) -> Pair:
        value = self.value_of.get(node)
        if value is not None:
            return self.kind["value"], value
        return self._attribute(node)

    def _attribute(self, node: torch.fx.Node) -> Pair:
        """A get_attr node: a nested graph becomes one more graph, a tensor one more input of this graph."""
        target = str(node.target)
        found: Any = self._owner
        for part in target.split("."):
            found = getattr(found, part, None)
        if isinstance(found, torch.fx.GraphModule):
            row = self._graph_rows.get(id(found))
            if row is None:
                row = self._graph_rows[id(found)] = len(self._graph_rows)
                self._graph_queue.append((found, target, self._node_call))
            return self.kind["graph"], row
        if isinstance(found, torch.nn.Module):
            return self.kind["opaque"], self.columns.string(type(found).__name__)
        value = self._lifted.get(target)
        if value is None:
            value = self._lifted[target] = self._lift(node, found, target)
        self.value_of[node] = value
        return self.kind["value"], value

    def _lift(self, node: torch.fx.Node, found: Any, target: str) -> int:
        role = "parameter" if isinstance(found, torch.nn.Parameter) else "constant"
        if role == "constant" and target in dict(self._owner.named_buffers()):
            role = "buffer"
        if not isinstance(found, torch.Tensor):
            role = "script_object"
        val = node.meta.get("val", found)
        value = self.values.add(val, node.name, NONE, self.storage_origin.get(role, self.intermediate))
        self._input_row(value, role, target)
        if isinstance(found, torch.Tensor) and self._lists_params:
            self.params.row(value, target, role, found.requires_grad, True)
            self.params.used_storages.add(self.columns.rows["value_storage"][value])
        return value

    # ---- signature --------------------------------------------------------------------------------------------------

    def _add_input(self, node: torch.fx.Node, spec: Input | None) -> None:
        role, target = (spec.role, spec.target) if spec else ("user_input", "")
        origin = self.storage_origin.get(role, self.storage_origin["opaque"])
        val = node.meta.get("val", node.meta.get("example_value"))
        row = None
        if spec and spec.shares and isinstance(spec.tensor, torch.Tensor) and isinstance(val, torch.Tensor):
            row = self.values.known_storage(spec.tensor)
            if row is not None:  # tied to a tensor seen before
                self.values.alias_storage(val, row)
        if spec is None and not node.meta.keys() & {"val", "example_value"}:
            value = self._opaque_value("not recorded", node.name, NONE)
        else:
            value = self.values.add(val, node.name, NONE, origin)
        self.value_of[node] = value
        self._input_row(value, role, target)
        if spec and isinstance(spec.tensor, torch.Tensor):
            storage = self.columns.rows["value_storage"][value]
            if row is None and storage != NONE and spec.shares:
                self.values.alias_storage(spec.tensor, storage)
            if node.users:
                self.params.used_storages.add(storage)
            if role in ("parameter", "buffer", "constant"):
                self.params.row(value, target, role, spec.tensor.requires_grad, spec.persistent)

    def _input_row(self, value: int, role: str, target: str) -> None:
        self.columns.add("input", value=value, kind=self.input_kind[role], target=self.columns.string(target))

    def _add_outputs(self, node: torch.fx.Node, specs: list[Output]) -> None:
        returned = node.args[0] if node.args else ()
        items = returned if isinstance(returned, (list, tuple)) else (returned,)
        for position, item in enumerate(items):
            spec = specs[position] if position < len(specs) else Output("user_output", "")
            kind, payload = self.arguments.encode(item)
            self.columns.add(
                "output",
                role=self.output_kind[spec.role],
                kind=kind,
                payload=payload,
                target=self.columns.string(spec.target),
            )

    # ---- the rest ---------------------------------------------------------------------------------------------------

    def link_calls(self, calls: list[Call]) -> None:
        """Gives calls their values, by the marks that the watch put on nodes: passes of export copy nodes with them."""
        value_kind, is_tensor = self.columns.rows["value_kind"], self.kind["tensor"]
        by_mark: dict[int, int] = {}
        for node, value in self.value_of.items():  # the main graph's nodes come first
            mark = node.meta.get(MARK)
            if mark is not None and value_kind[value] == is_tensor:
                by_mark.setdefault(mark, value)
        self.calls.link(calls, by_mark)

    def capture_entry(self, key: str, value: Any) -> None:
        kind, payload = self.arguments.encode(value)
        self.columns.add("capture", key=self.columns.string(key), kind=kind, payload=payload)


class Input:
    """What the signature says of a placeholder; ``tensor`` is the real parameter, buffer or constant, and ``shares``
    whether its storage tells what it is tied to."""

    __slots__ = ("persistent", "role", "shares", "target", "tensor")

    def __init__(
        self, role: str, target: str = "", tensor: Any = None, persistent: bool = True, shares: bool = True
    ) -> None:
        self.role, self.target, self.tensor = role, target, tensor
        self.persistent, self.shares = persistent, shares


class Output:
    __slots__ = ("role", "target")

    def __init__(self, role: str, target: str = "") -> None:
        self.role, self.target = role, target


@functools.cache
def _packages() -> tuple[str, str]:
    """Where packages are installed."""
    paths = sysconfig.get_paths()
    return paths["purelib"], paths["platlib"]


class Sources:
    """Source positions from torch's stack traces: the innermost frame outside torch and fxcost."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self._rows: dict[str, int] = {}
        self._files: dict[str, str | None] = {}
        self._torch = os.path.dirname(torch.__file__) + os.sep
        roots = {*_packages(), os.getcwd()}
        self._roots = sorted((root + os.sep for root in roots if root), key=len, reverse=True)

    def of(self, trace: str | None) -> int:
        if not trace:
            return NONE
        row = self._rows.get(trace)
        if row is None:
            row = self._rows[trace] = self._parse(trace)
        return row

    def row(self, file: str, line: int, function: str) -> int:
        return self.columns.source_row(self._shorten(file), line, function)

    def _parse(self, trace: str) -> int:
        last = None
        for text in reversed(trace.split("\n")):
            text = text.strip()
            if not text.startswith('File "'):
                continue
            file, _, rest = text[6:].partition('", line ')
            line, _, function = rest.partition(", in ")
            if not line.isdigit():
                continue
            last = last or (file, int(line), function)
            if not file.startswith(self._torch) and not file.startswith("<"):
                last = (file, int(line), function)
                break
        if last is None:
            return NONE
        return self.row(*last)

    def _shorten(self, file: str) -> str:
        """Relative to the packages or to the current directory, so that files do not tell whose machine it was."""
        for root in self._roots:
            if file.startswith(root):
                return file[len(root) :]
        return file
