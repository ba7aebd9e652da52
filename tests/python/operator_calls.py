"""ATen calls recorded under fake tensors, many of them as the nodes of one program.

Two recorders see the same run: ``Recorder(calls, pre_dispatch=True)`` what torch.export's training dialect keeps
(composite operators whole), ``Recorder(calls)`` what is left below autograd, backward operators included. A call's
arguments are inputs of the program, one for each tensor description; equal calls are one node.
"""

from __future__ import annotations

import collections
from typing import Any

import torch
from torch._subclasses.schema_check_mode import SchemaCheckMode
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from fxcost.args import Arguments, Pair
from fxcost.columns import NONE
from fxcost.convert import Converter


class _Encoder(Arguments):
    """Arguments of a call: a tensor is the input of that description."""

    def __init__(self, converter: Converter) -> None:
        super().__init__(converter.values, self._no_node, lambda op: converter.operators.get(op).row)
        self.converter = converter
        self.inputs: dict[int, int] = {}

    @staticmethod
    def _no_node(node: Any) -> Pair:
        raise TypeError(node)

    def encode(self, arg: Any) -> Pair:
        if isinstance(arg, torch.Tensor):
            return self.values.kind["value"], self.input(arg)
        return super().encode(arg)

    def input(self, tensor: torch.Tensor) -> int:
        layout = self.values.layout(tensor)
        meta = self.values.meta(tensor, layout)
        value = self.inputs.get(meta)
        if value is None:
            name = f"input{len(self.inputs)}"
            origin = self.converter.storage_origin["user_input"]
            value = self.inputs[meta] = self.values.add(tensor, name, NONE, origin)
        return value


def is_sized(leaf: Any) -> bool:
    """Whether all that is recorded of a leaf are numbers; sizes that depend on data are symbols."""
    if isinstance(leaf, torch.Tensor):
        sizes = (*leaf.shape, *leaf.stride()) if leaf.layout == torch.strided else tuple(leaf.shape)
        return not any(isinstance(size, torch.SymInt) for size in sizes)
    return not isinstance(leaf, (torch.SymInt, torch.SymFloat, torch.SymBool))


class Calls:
    """The program under construction, and which nodes the current sample has called."""

    def __init__(self) -> None:
        self.converter = Converter(False)
        self.encoder = _Encoder(self.converter)
        columns = self.converter.columns
        root = {"parent": NONE, "name": columns.string(""), "class": columns.string("Calls")}
        columns.add("module", **root)
        columns.add("graph", name=columns.string("main"), view=self.converter.view["captured"])
        self.node_of: dict[tuple[Any, ...], int] = {}
        self.ops: list[str] = []  # per node
        self.current: list[int] = []  # nodes of the running sample
        self.trace: list[
            tuple[str, list[Any]]
        ] = []  # of the running sample, before composite operators are taken apart
        self.busy = False
        self.unsized: collections.Counter[str] = collections.Counter()  # calls with sizes that depend on data

    def start(self, op: Any, args: Any, kwargs: Any) -> tuple[Any, ...] | None:
        """The call before it runs, since it may change its arguments; None when it cannot be a node."""
        if not all(map(is_sized, pytree.tree_leaves((args, kwargs)))):
            self.unsized[str(op)] += 1
            return None
        operator = self.converter.operators.get(op)
        encoded = [(operator.name(position), *self.encoder.encode(arg)) for position, arg in enumerate(args)]
        encoded += [(name, *self.encoder.encode(arg)) for name, arg in (kwargs or {}).items()]
        return (operator.row, *encoded)

    def finish(self, op: Any, call: tuple[Any, ...] | None, result: Any) -> None:
        if call is None:
            return
        leaves = pytree.tree_leaves(result)
        if not all(map(is_sized, leaves)):
            self.unsized[str(op)] += 1
            return
        if not any(isinstance(leaf, torch.Tensor) for leaf in leaves):
            return
        node = self.node_of.get(call)
        if node is None:
            node = self.node_of[call] = self._add(call, result)
            self.ops.append(str(op))
        self.current.append(node)

    def _add(self, call: tuple[Any, ...], result: Any) -> int:
        converter, rows = self.converter, self.converter.columns.rows
        node = len(rows["node_op"])
        for name, kind, payload in call[1:]:
            rows["arg_name"].append(converter.columns.argname(name))
            rows["arg_kind"].append(kind)
            rows["arg_payload"].append(payload)
        rows["node_arg_begin"].append(len(rows["arg_name"]))
        rows["node_op"].append(call[0])
        rows["node_result"].append(converter.values.add(result, f"call{node}", node, converter.intermediate))
        rows["node_call"].append(NONE)
        rows["node_flags"].append(0)
        return node

    def to_bytes(self) -> bytes:
        converter, rows = self.converter, self.converter.columns.rows
        for value in self.encoder.inputs.values():
            converter._input_row(value, "user_input", "")
        rows["graph_node_begin"].append(len(rows["node_op"]))
        rows["graph_input_begin"].append(len(rows["input_value"]))
        rows["graph_output_begin"].append(0)
        converter.capture_entry("producer", "operator calls")
        return converter.columns.to_bytes()


def described(result: Any) -> list[Any]:
    """Of each tensor of a result its type, sizes and strides, to compare a fake run with a real one. Strides of
    dimensions that hold one element or none say nothing."""
    found = []
    for leaf in pytree.tree_leaves(result):
        if isinstance(leaf, torch.Tensor) and leaf.layout == torch.strided and is_sized(leaf):
            size, stride = tuple(leaf.shape), leaf.stride()
            kept = tuple(s if n > 1 else 0 for n, s in zip(size, stride, strict=True)) if 0 not in size else ()
            found.append((leaf.dtype, size, kept))
        else:
            found.append(None)
    return found


def _record(recorder: Any, op: Any, args: Any, kwargs: Any) -> Any:
    calls = recorder.calls
    if calls is None or calls.busy or op.namespace != "aten" or torch.Tag.inplace_view in op.tags:
        return op(*args, **(kwargs or {}))
    calls.busy = True  # to describe a tensor calls operators too
    call = calls.start(op, args, kwargs)
    calls.busy = False
    result = op(*args, **(kwargs or {}))
    calls.busy = True
    calls.finish(op, call, result)
    if recorder.traces:
        calls.trace.append((str(op), described(result)))
    calls.busy = False
    return result


class Recorder(TorchDispatchMode):
    """Records below autograd. ``calls`` may be changed while it is active; None records nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.traces = False
        self.calls: Calls | Trace | None = None

    def __torch_dispatch__(self, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _record(self, op, args, kwargs)


class PreDispatchRecorder(SchemaCheckMode):
    """Records before composite operators are taken apart; needs enable_python_dispatcher(). torch admits three classes
    there, and asks no more of this one than of any mode."""

    def __init__(self) -> None:
        TorchDispatchMode.__init__(self)
        self._dispatch_key = torch._C.DispatchKey.PreDispatch
        self.traces = True
        self.calls: Calls | Trace | None = None

    def __torch_dispatch__(self, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _record(self, op, args, kwargs)


class Trace:
    """Operators and results in order, nothing else."""

    def __init__(self) -> None:
        self.busy = False
        self.trace: list[tuple[str, list[Any]]] = []

    def start(self, op: Any, args: Any, kwargs: Any) -> None:
        return None

    def finish(self, op: Any, call: None, result: Any) -> None:
        pass
