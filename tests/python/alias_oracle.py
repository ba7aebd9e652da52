"""What a captured graph does to memory when it really runs, and what fxcost's alias pass says of it."""

from __future__ import annotations

import random
from ctypes import POINTER, byref, c_bool, c_char_p, c_int32, c_size_t, c_uint8, c_uint32, c_void_p
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx

from fxcost import abi, binding
from fxcost.errors import FxcostError
from fxcost.fusion import NodeInfo

NONE = 0xFFFFFFFF
AUTOCAST = torch.ops.higher_order.wrap_with_autocast
SET_GRAD = torch.ops.higher_order.wrap_with_set_grad_enabled
Key = tuple[int, str]  # graph, FX name


# ---- the truth: real tensors ----------------------------------------------------------------------------------------


@dataclass
class Truth:
    """Of every tensor that inputs and nodes give, its storage; of every node, the storages whose bytes changed, and
    those whose version counter moved (a write of what was there changes no bytes)."""

    tensors: dict[Key, list[Tensor]] = field(default_factory=dict)
    writes: list[tuple[Key, frozenset[int], frozenset[int]]] = field(default_factory=list)
    filled: dict[Key, frozenset[int]] = field(default_factory=dict)  # of the changed storages, those without a byte
    # group (of an element's size) that stayed as it was
    reshaped: list[Key] = field(default_factory=list)  # nodes that change an argument's sizes or strides
    changed_inputs: list[str] = field(default_factory=list)
    outputs: Any = None

    def storage_of(self) -> dict[tuple[Key, int], int]:
        return {
            (key, i): tensor.untyped_storage().data_ptr()
            for key, tensors in self.tensors.items()
            for i, tensor in enumerate(tensors)
        }


def tensors_in(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, (list, tuple)):
        return [tensor for item in value for tensor in tensors_in(item)]
    return []


def raw(tensor: Tensor) -> Tensor:
    """The bytes of a tensor's whole storage."""
    return torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage())


class Memory:
    """All storages seen so far (kept alive, so that addresses stay distinct) with last known bytes and version."""

    def __init__(self) -> None:
        self.bytes: dict[int, tuple[Tensor, Tensor]] = {}
        self.item_size: dict[int, int] = {}
        self.filled: frozenset[int] = frozenset()
        self.tensors: list[tuple[int, Tensor, int]] = []

    def add(self, tensor: Tensor) -> None:
        address = tensor.untyped_storage().data_ptr()
        if address not in self.bytes:
            self.bytes[address] = (raw(tensor), raw(tensor).clone())
            self.item_size[address] = tensor.element_size()
        self.tensors.append((address, tensor, tensor._version))

    def bumped(self) -> frozenset[int]:
        """Addresses of storages with a tensor whose version counter moved since the last call."""
        found = frozenset(address for address, tensor, version in self.tensors if tensor._version != version)
        self.tensors = [(address, tensor, tensor._version) for address, tensor, _ in self.tensors]
        return found

    def changed(self) -> frozenset[int]:
        """Addresses of storages with other bytes than at the last call; filled: those with no element as it was."""
        differ = {address: now != before for address, (now, before) in self.bytes.items()}
        found = {address for address, bytes_differ in differ.items() if bytes_differ.any()}
        self.filled = frozenset(
            address for address in found if differ[address].view(-1, self.item_size[address]).any(1).all()
        )
        for address in found:
            self.bytes[address] = (self.bytes[address][0], self.bytes[address][0].clone())
        return frozenset(found)


def body_numbers(program: torch.export.ExportedProgram) -> dict[int, int]:
    """Graphs in the order in which the capture numbers them: breadth first."""
    numbers, queue = {id(program.graph_module): 0}, [program.graph_module]
    while queue:
        module = queue.pop(0)
        for node in module.graph.nodes:
            if node.op == "get_attr":
                found = getattr(module, node.target)
                if isinstance(found, fx.GraphModule) and id(found) not in numbers:
                    numbers[id(found)] = len(numbers)
                    queue.append(found)
    return numbers


class Runner:
    """Runs a graph node by node on real tensors, in a given order, and watches memory when asked to."""

    def __init__(self, program: torch.export.ExportedProgram, truth: Truth | None) -> None:
        self.numbers = body_numbers(program)
        self.truth = truth
        self.memory = Memory()

    def run(self, module: fx.GraphModule, inputs: list[Any], order: list[fx.Node] | None = None) -> Any:
        graph = self.numbers[id(module)]
        values: dict[fx.Node, Any] = {}
        placeholders = [node for node in module.graph.nodes if node.op == "placeholder"]
        for node, value in zip(placeholders, inputs, strict=True):
            values[node] = value
            self._made((graph, node.name) if graph == 0 else None, value)
        for node in module.graph.nodes:
            if node.op == "get_attr":
                values[node] = getattr(module, node.target)
        for node in order or [node for node in module.graph.nodes if node.op == "call_function"]:
            values[node] = self._call((graph, node.name), node, values)
        output = next(node for node in module.graph.nodes if node.op == "output")
        return fx.map_arg(output.args[0], lambda node: values[node])

    def _call(self, key: Key, node: fx.Node, values: dict[fx.Node, Any]) -> Any:
        args: Any
        kwargs: Any
        args, kwargs = fx.map_arg((node.args, dict(node.kwargs)), lambda used: values[used])
        if node.target is AUTOCAST:
            device, dtype, enabled, cache, body, *operands = args
            with torch.autocast(device, dtype=dtype, enabled=enabled, cache_enabled=cache):
                result = self.run(body, operands)
        elif node.target is SET_GRAD:
            enabled, body, *operands = args
            with torch.set_grad_enabled(enabled):
                result = self.run(body, operands)
        else:
            shapes = [(tensor, tensor.shape, tensor.stride()) for tensor in tensors_in([args, kwargs])]
            assert callable(node.target)
            result = node.target(*args, **kwargs)
            if self.truth is not None:
                self._watch(key, shapes)
        self._made(key, result)
        return result

    def _watch(self, key: Key, shapes: list[tuple[Tensor, Any, Any]]) -> None:
        assert self.truth is not None
        changed, bumped = self.memory.changed(), self.memory.bumped()
        if changed or bumped:
            self.truth.writes.append((key, changed, bumped))
            self.truth.filled[key] = self.memory.filled
        if any((tensor.shape, tensor.stride()) != (shape, stride) for tensor, shape, stride in shapes):
            self.truth.reshaped.append(key)

    def _made(self, key: Key | None, value: Any) -> None:
        """Inputs of bodies have no key: see Said._name_values."""
        if self.truth is None:
            return
        for tensor in tensors_in(value):
            self.memory.add(tensor)
        if key is not None:
            self.truth.tensors[key] = tensors_in(value)


def clone_sharing(value: Any, copies: dict[int, Tensor]) -> Any:
    """Copies of tensors that share storages where the originals do."""
    if isinstance(value, Tensor):
        address = value.untyped_storage().data_ptr()
        if address not in copies:
            copies[address] = raw(value).clone()
        made = torch.empty(0, dtype=value.dtype)
        return made.set_(copies[address].untyped_storage(), value.storage_offset(), value.shape, value.stride())
    if isinstance(value, (list, tuple)):
        return type(value)(clone_sharing(item, copies) for item in value)
    return value


def flat_inputs(program: torch.export.ExportedProgram, args: tuple[Any, ...]) -> list[Any]:
    """Inputs of the graph, in its order: parameters, buffers, constants, then the user's."""
    user, inputs = list(args), []
    copies: dict[int, Tensor] = {}
    for spec in program.graph_signature.input_specs:
        if spec.kind.name == "USER_INPUT":
            inputs.append(user.pop(0))
        else:
            inputs.append(program.state_dict.get(spec.target, program.constants.get(spec.target)))
    return clone_sharing(inputs, copies)


def run_truth(program: torch.export.ExportedProgram, args: tuple[Any, ...]) -> Truth:
    truth = Truth()
    inputs = flat_inputs(program, args)
    before = [raw(value).clone() if isinstance(value, Tensor) else None for value in inputs]
    torch.manual_seed(0)
    with torch.no_grad():
        truth.outputs = Runner(program, truth).run(program.graph_module, inputs)
    names = [node.name for node in program.graph.nodes if node.op == "placeholder"]
    truth.changed_inputs = [
        name
        for name, value, old in zip(names, inputs, before, strict=True)
        if old is not None and not torch.equal(raw(value), old)
    ]
    return truth


def input_names(program: torch.export.ExportedProgram) -> set[str]:
    return {node.name for node in program.graph.nodes if node.op == "placeholder"}


# ---- what fxcost says -----------------------------------------------------------------------------------------------


class MemoryInfo(abi.Sized):
    _fields_ = [("struct_size", c_size_t), ("name", c_char_p), ("producer", c_uint32), ("memory", c_uint32)]
    _fields_ += [("origin", c_uint32), ("relation", c_uint8)]


class WriteInfo(abi.Sized):
    _fields_ = [("struct_size", c_size_t), ("node", c_uint32), ("value", c_uint32), ("memory", c_uint32)]
    _fields_ += [("version", c_uint32), ("whole", c_bool), ("metadata", c_bool)]


class WritebackInfo(abi.Sized):
    _fields_ = [("struct_size", c_size_t), ("input", c_uint32), ("value", c_uint32), ("node", c_uint32)]
    _fields_ += [("kind", c_uint8), ("name", c_char_p), ("target", c_char_p)]


class DependencyInfo(abi.Sized):
    _fields_ = [("struct_size", c_size_t), ("node", c_uint32), ("kind", c_uint8)]


class Said:
    """The alias fact of a captured program, by FX names."""

    def __init__(self, data: bytes, inputs: set[str]) -> None:
        """``inputs``: FX names of the main graph's placeholders."""
        self.inputs = inputs
        self.program = binding.Program.from_bytes(data)
        self.analysis = binding.Analysis(self.program)
        self.analysis.require("alias")
        handle = self.analysis._handle
        info = self.program.info()
        self.nodes = [self._node(index) for index in range(info.nodes)]
        self.memory: dict[tuple[Key, int], int] = {}
        self.values: list[MemoryInfo] = [_get("fxc_analysis_memory", MemoryInfo, handle, i) for i in range(info.values)]
        self._name_values()
        self.writes = list(_each("fxc_analysis_write", WriteInfo, handle))
        self.writebacks = list(_each("fxc_analysis_writeback", WritebackInfo, handle))
        self.dependencies = [
            list(_each("fxc_analysis_dependency", DependencyInfo, handle, n)) for n in range(info.nodes)
        ]

    def _node(self, index: int) -> Key:
        info = _get("fxc_program_get_node", NodeInfo, self.program._handle, index)
        return info.graph, info.name.decode()

    def _name_values(self) -> None:
        """Inputs of bodies have no producer to tell their graph by; they are left out."""
        elements: dict[Key, int] = {}
        for value in self.values:
            if value.memory == NONE:
                continue
            name = value.name.decode()
            if value.producer == NONE:
                if name in self.inputs:
                    self.memory.setdefault(((0, name), 0), value.memory)  # the main graph comes first
                continue
            key = self.nodes[value.producer]
            position = elements.get(key, 0)
            elements[key] = position + 1
            self.memory[key, position] = value.memory


def _get(function: str, kind: Any, handle: c_void_p, *index: int) -> Any:
    info = kind()
    call = getattr(binding.library(), function)
    call.restype = c_int32
    call.argtypes = [c_void_p, *[c_uint32] * len(index), POINTER(kind), POINTER(abi.Error)]
    error = abi.Error()
    status = call(handle, *index, byref(info), byref(error))
    if status != 0:
        raise FxcostError(error.message.decode() or function, binding.Status(status).name)
    return info


def _each(function: str, kind: Any, handle: c_void_p, *first: int) -> Any:
    index = 0
    while True:
        try:
            yield _get(function, kind, handle, *first, index)
        except FxcostError as error:
            assert error.status == "USAGE", error
            return
        index += 1


# ---- one against the other ------------------------------------------------------------------------------------------


def partition(places: dict[Any, int]) -> list[list[Any]]:
    """Which places go together, whatever their numbers are."""
    groups: dict[int, list[Any]] = {}
    for place, group in places.items():
        groups.setdefault(group, []).append(place)
    return sorted(sorted(members) for members in groups.values())


def check_writes(said: Said, truth: Truth, whole: bool = False) -> None:
    """The writes, node by node in execution order, go to the storages whose bytes change. A write that stores what is
    there already shows in the version counter alone; operators that change metadata move that counter too. With
    ``whole``, whole writes must change every element: true of programs that add no zeros and scale none."""
    real = truth.storage_of()
    storage = {memory: real[place] for place, memory in said.memory.items()}
    changes = {key: changed for key, changed, _ in truth.writes}
    written: dict[Key, set[int]] = {}
    for write in said.writes:
        if write.metadata:
            continue
        key, address = said.nodes[write.node], storage[write.memory]
        written.setdefault(key, set()).add(address)
        if whole and write.whole and address in changes.get(key, ()):
            assert address in truth.filled[key], f"{key} changes every element"
    assert list(written) == [key for key, _, _ in truth.writes if key in written]
    for key, changed, bumped in truth.writes:
        assert changed <= written.get(key, set()) <= changed | bumped, key
    metadata = {said.nodes[write.node] for write in said.writes if write.metadata}
    assert set(truth.reshaped) <= metadata, "nodes that change their argument's sizes or strides"


# ---- orders ---------------------------------------------------------------------------------------------------------


def random_order(program: torch.export.ExportedProgram, extra: dict[str, set[str]], seed: int) -> list[fx.Node]:
    """A random order of the main graph's calls that respects arguments and the extra edges (node -> earlier nodes)."""
    chooser = random.Random(seed)
    calls = [node for node in program.graph.nodes if node.op == "call_function"]
    waits = {
        node: {used for used in node.all_input_nodes if used.op == "call_function"}
        | {other for other in calls if other.name in extra.get(node.name, ())}
        for node in calls
    }
    order: list[fx.Node] = []
    done: set[fx.Node] = set()
    while len(order) < len(calls):
        # Prefer late nodes, which tempts the order to differ from the captured one.
        ready = [node for node in calls if node not in done and waits[node] <= done]
        picked = ready[-1] if chooser.random() < 0.5 else chooser.choice(ready)
        order.append(picked)
        done.add(picked)
    return order


def results_in_order(
    program: torch.export.ExportedProgram, args: tuple[Any, ...], order: list[fx.Node]
) -> list[Tensor]:
    """Outputs and inputs after a run in this order."""
    inputs = flat_inputs(program, args)
    torch.manual_seed(0)
    with torch.no_grad():
        outputs = Runner(program, None).run(program.graph_module, inputs, order)
    return [tensor.clone() for tensor in tensors_in([outputs, inputs])]


def equal_results(a: list[Tensor], b: list[Tensor]) -> bool:
    return len(a) == len(b) and all(
        torch.equal(torch.nan_to_num(x), torch.nan_to_num(y)) for x, y in zip(a, b, strict=True)
    )
