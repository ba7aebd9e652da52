"""fxcost's kernels as submodules of an fx graph, for compilers that take a graph apart with torch.fx's own tools."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx import Graph, GraphModule, Node
from torch.fx.passes.fake_tensor_prop import FakeTensorProp

from ..binding import Program
from ..compiling import program_of
from ..errors import FxcostError, usage
from ..exporter import ambient
from ..fusion import Kernel, kernels
from ..lowered import copied, unrun
from . import call
from .hooks import seam
from .seconds import PROFILE

_PURPOSE = "fuse_by_partitions()"
_ADVICE = "torch.export.export(model, inputs).run_decompositions({}).module(), or make_fx(model)(*inputs)"
# Key in the ``meta`` of a submodule: the fxcost.fusion.Kernel that it is.
KERNEL = "fxcost_kernel"


def fuse_by_partitions(
    graph_module: GraphModule, inputs: Sequence[Any] | None = None, *, profile: str = PROFILE, prefix: str = "fused_"
) -> GraphModule:
    """A copy of a graph of ATen operators in which every kernel that a fusion profile makes of it is a submodule
    (``fused_0``, ...), in an order in which they run; ``torch.fx.passes.utils.fuser_utils.fuse_by_partitions`` makes
    them. It computes the same, bit for bit.

    ``inputs`` are example inputs, whose numbers are not looked at; a graph with fake values (of torch.export, or of a
    backend of torch.compile) needs none. A node that a profile computes in several kernels is in each of them, and
    views are in the kernels that read them. Operators that draw random numbers, write to an input or hold graphs of
    their own stay outside. Kernels that would have to wait for each other are split. ``meta["fxcost_kernel"]`` of a
    submodule is the :class:`fxcost.fusion.Kernel` that it is, where it is a whole one."""
    fuse: Any = seam("torch.fx.passes.utils.fuser_utils", "fuse_by_partitions", _PURPOSE)
    flat = _flat(graph_module)
    if inputs is not None:
        FakeTensorProp(flat, FakeTensorMode(allow_non_fake_inputs=True)).propagate(*inputs)
    _check(flat.graph)
    found = _kernels(flat, profile)
    named = {node.name: node for node in flat.graph.nodes}
    layout = Layout(flat.graph, [[named[name] for name in kernel.nodes] for kernel in found])
    layout.graph.set_codegen(flat.graph._codegen)
    fused: GraphModule = fuse(GraphModule(flat, layout.graph), [dict.fromkeys(part) for part in layout.parts], prefix)
    fused.recompile()
    for number, group in enumerate(layout.whole):
        if group is not None:
            part: Any = fused.get_submodule(f"{prefix}{number}")
            part.meta[KERNEL] = found[group]
    return fused


def _flat(module: GraphModule) -> GraphModule:
    graph = copied(module.graph)
    graph.set_codegen(module.graph._codegen)
    return GraphModule(module, graph)


def _kernels(module: GraphModule, profile: str) -> list[Kernel]:
    graph = copied(module.graph)
    for node in graph.nodes:
        if _is_guard(node):
            graph.erase_node(node)
    program = program_of(unrun(module, graph), "inference", type(module).__name__, ambient(), "lowered")
    return kernels(Program.from_bytes(program.to_bytes(), _PURPOSE), profile)


# ---- what a graph may hold ------------------------------------------------------------------------------------------


def _check(graph: Graph) -> None:
    position = {node: index for index, node in enumerate(graph.nodes)}
    for node in graph.nodes:
        if _is_guard(node):
            continue
        if node.op in ("call_module", "call_method") or (node.op == "call_function" and not _is_operator(node)):
            raise usage(f"{_PURPOSE} takes a graph of ATen operators\n  found: {node.format_node()}", _ADVICE)
        if node.op == "call_function" and "val" not in node.meta:
            raise usage(f"{_PURPOSE}\n  expected: a graph with fake values\n  found: {node.name} without", "inputs=...")
        if _writes(node) and not _is_write_back(node, position):
            raise usage(
                f"{_PURPOSE} takes a functional graph, which writes its inputs at the end at most\n"
                f"  found: {node.format_node()}",
                _ADVICE,
            )


def _is_operator(node: Node) -> bool:
    target = node.target
    if isinstance(target, (torch._ops.OpOverload, torch._ops.HigherOrderOperator)) or target is operator.getitem:
        return True
    return not isinstance(node.meta.get("val"), torch.Tensor) and "val" in node.meta  # arithmetic on sizes


def _is_guard(node: Node) -> bool:
    """A call of a module that nothing reads: what torch.export checks of the inputs."""
    return node.op == "call_module" and not node.users


def _writes(node: Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return schema is not None and bool(schema.is_mutable)


def _is_write_back(node: Node, position: dict[Node, int]) -> bool:
    """``copy_`` to an input that nobody reads later, through views neither."""
    target = node.args[0] if node.args else None
    if node.target is not torch.ops.aten.copy_.default or not isinstance(target, Node):
        return False
    if target.op not in ("placeholder", "get_attr") or any(user.op != "output" for user in node.users):
        return False
    seen, waiting = set(), [target]
    while waiting:
        for user in waiting.pop().users:
            if user is node or user in seen or user.op == "output":
                continue
            if position[user] > position[node]:
                return False
            seen.add(user)
            if _is_view(user):
                waiting.append(user)
    return True


def _is_view(node: Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return node.target is operator.getitem or (
        schema is not None and any(result.alias_info is not None for result in schema.returns)
    )


def _stays_outside(node: Node) -> bool:
    """What may neither be computed twice nor be put anywhere else."""
    target = node.target
    if node.op != "call_function" or isinstance(target, torch._ops.HigherOrderOperator):
        return True
    return _writes(node) or call.draws(node)


# ---- the order of groups --------------------------------------------------------------------------------------------


class Layout:
    """A graph in which groups of nodes stand one behind the other. ``parts`` are the nodes of each group; ``whole``
    is the number of the group that a part is, None of what had to be split. Groups may share nodes: each has its own
    copy. What is in none stands where it is needed: views and the like with their readers."""

    def __init__(self, source: Graph, groups: Sequence[Sequence[Node]]) -> None:
        self.graph = Graph()
        self.parts: list[list[Node]] = []
        self.whole: list[int | None] = []
        self._order = {node: index for index, node in enumerate(source.nodes)}
        self._home: dict[Node, Node] = {}
        self._in_group: set[Node] = set()
        outside = [node for node in source.nodes if node.op not in ("placeholder", "output") and _stays_outside(node)]
        for node in source.nodes:
            if node.op == "placeholder":
                self._put(node, {})
        self._outside = [node for node in outside if node.op != "get_attr" and (node.users or node.is_impure())]
        for node in outside:
            if node.op == "get_attr" and node.users:
                self._put(node, {})
        self._arrange([self._group(group) for group in groups])
        output = next(iter(reversed(source.nodes)))
        for node in self._outside:
            self._put(node, {})
        self._put(output, {})
        self._drop_unused()

    def _group(self, group: Sequence[Node]) -> list[Node]:
        """In order, with the parts of what returns several tensors."""
        nodes = {node for node in group if not _stays_outside(node)}
        waiting = list(nodes)
        while waiting:
            for user in waiting.pop().users:
                if user.target is operator.getitem and user not in nodes:
                    nodes.add(user)
                    waiting.append(user)
        self._in_group |= nodes
        return sorted(nodes, key=self._order.__getitem__)

    def _arrange(self, groups: list[list[Node]]) -> None:
        """The first group that can run comes next; where none can, as much of the first one as can."""
        waiting = {number: group for number, group in enumerate(groups) if group}
        split: set[int] = set()
        while waiting:
            self._put_outside()
            ready = {number: self._ready(group) for number, group in waiting.items()}
            number = next((n for n in waiting if len(ready[n]) == len(waiting[n])), None)
            if number is not None:
                self._put_part(waiting.pop(number), None if number in split else number)
                continue
            number = next((n for n in waiting if ready[n]), None)
            if number is None:
                names = ", ".join(group[0].name for group in list(waiting.values())[:3])
                raise FxcostError(
                    f"{_PURPOSE}\n  expected: random numbers that can be drawn in the order of the graph\n"
                    f"  found: kernels of {names} between them\n  try: another profile, or the graph of inference",
                    status="PROGRAM",
                )
            split.add(number)
            self._put_part(ready[number], None)
            waiting[number] = [node for node in waiting[number] if node not in self._home]
            if not waiting[number]:
                del waiting[number]

    def _ready(self, group: list[Node]) -> list[Node]:
        nodes: set[Node] = set()
        for node in group:
            if all(need in nodes for need in self._needs(node)):
                nodes.add(node)
        return [node for node in group if node in nodes]

    def _needs(self, node: Node) -> Iterator[Node]:
        """What has to run before, other than what can be copied to where it is read."""
        for read in node.all_input_nodes:
            if read in self._home:
                continue
            if read in self._in_group or _stays_outside(read):
                yield read
            else:
                yield from self._needs(read)

    def _put_outside(self) -> None:
        """Random numbers are drawn in the order of the source; inputs are written behind all else."""
        while self._outside and not _writes(self._outside[0]) and not any(self._needs(self._outside[0])):
            self._put(self._outside.pop(0), {})

    def _put_part(self, nodes: list[Node], whole: int | None) -> None:
        local: dict[Node, Node] = {}
        for node in nodes:
            self._put(node, local, nodes)
        self.parts.append(list(local.values()))
        self.whole.append(whole)
        for node in nodes:
            self._home.setdefault(node, local[node])

    def _put(self, node: Node, local: dict[Node, Node], group: Sequence[Node] = ()) -> Node:
        """A copy of a node behind what is there, with what it reads that is nowhere yet."""
        if node in local:
            return local[node]
        if node in self._home and node not in group:
            return self._home[node]
        for read in node.all_input_nodes:
            self._put(read, local, group)
        twin = self.graph.node_copy(node, lambda read: local[read] if read in local else self._home[read])
        (local if group else self._home)[node] = twin
        return twin

    def _drop_unused(self) -> None:
        for part in reversed(self.parts):
            for node in reversed(part):
                if not node.users:
                    self.graph.erase_node(node)
                    part.remove(node)
        kept = [number for number, part in enumerate(self.parts) if part]
        self.parts, self.whole = [self.parts[n] for n in kept], [self.whole[n] for n in kept]
