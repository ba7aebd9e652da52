"""fuse_by_partitions: kernels as submodules compute what the graph computes, whatever the groups are."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from compiled_models import MODELS
from torch import nn
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as pytree

import fxcost.compiler
from fxcost.compiler.partitions import KERNEL, Layout

PROFILES = ("inductor-cpu", "xla", "spans", "tvm", "ideal")


def exported(module: nn.Module, inputs: tuple[Any, ...], decomposed: bool) -> GraphModule:
    program = torch.export.export(module, inputs)
    return (program.run_decompositions() if decomposed else program.run_decompositions({})).module()


def fused(graph: GraphModule) -> list[GraphModule]:
    return [part for name, part in graph.named_children() if name.startswith("fused_")]


def assert_same(one: GraphModule, other: GraphModule, inputs: tuple[Any, ...]) -> None:
    """Results, what is left in the inputs, and the state, bit for bit; random numbers are drawn alike. A graph has no
    state that it does not touch."""
    found, touched = [], sorted(one.state_dict().keys() & other.state_dict().keys())
    for module in (one, other):
        torch.manual_seed(0)
        given = copy.deepcopy(inputs)
        results = module(*given)
        state = [module.state_dict()[name] for name in touched]
        found.append(pytree.tree_leaves((results, given, state)))
    assert len(found[0]) == len(found[1]) > 0
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("decomposed", [False, True], ids=["whole", "decomposed"])
@pytest.mark.parametrize("train", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("name", [name for name in MODELS if name != "broken"])
def test_it_computes_what_the_graph_computes(name: str, train: bool, decomposed: bool) -> None:
    model, inputs = MODELS[name]()
    model.train(train)
    graph = exported(model, inputs, decomposed)
    before = str(graph.graph)
    for profile in PROFILES:
        parted = fxcost.compiler.fuse_by_partitions(copy.deepcopy(graph), inputs, profile=profile)
        assert_same(copy.deepcopy(graph), parted, inputs)
        assert fused(parted) and all(KERNEL in part.meta for part in fused(parted))
    assert str(graph.graph) == before


def test_submodules_are_the_kernels_in_order_with_their_costs() -> None:
    model, inputs = MODELS["gated"]()
    graph = exported(model.eval(), inputs, True)
    parted = fxcost.compiler.fuse_by_partitions(graph)  # an exported graph has fake values
    kernels = [part.meta[KERNEL] for part in fused(parted)]
    assert [kernel.kind for kernel in kernels] == ["outer_loop", "extern", "extern", "pointwise", "extern", "pointwise"]
    for part, kernel in zip(fused(parted), kernels, strict=True):
        operators = {node.name for node in part.graph.nodes if node.op == "call_function"}
        assert set(kernel.nodes) <= operators
        assert kernel.bytes_written > 0
    outside = [str(node.target) for node in parted.graph.nodes if node.op.startswith("call")]
    assert outside == ["_guards_fn", *(f"fused_{number}" for number in range(6))]


class Diamond(nn.Module):
    """What goes around a product may not be one kernel with what is behind it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(x)
        return y @ y + y.tanh()


@pytest.mark.parametrize("profile", PROFILES[:-1])
def test_no_profile_makes_a_cycle(profile: str) -> None:
    inputs = (torch.randn(8, 8),)
    graph = exported(Diamond(), inputs, True)
    parted = fxcost.compiler.fuse_by_partitions(graph, inputs, profile=profile)
    assert_same(graph, parted, inputs)
    assert len(fused(parted)) >= 2


def layout(graph: GraphModule, groups: list[str]) -> Layout:
    named = {node.name: node for node in graph.graph.nodes}
    return Layout(graph.graph, [[named[name] for name in group.split()] for group in groups])


def parts(found: Layout) -> list[str]:
    return [" ".join(node.name for node in part) for part in found.parts]


def test_a_group_around_a_product_is_split() -> None:
    inputs = (torch.randn(8, 8),)
    graph = make_fx(Diamond())(*inputs)
    found = layout(graph, ["relu tanh add", "mm"])
    assert parts(found) == ["relu tanh", "mm", "add"] and found.whole == [None, 1, None]
    assert_same(graph, GraphModule(graph, found.graph), inputs)


def test_groups_that_wait_for_each_other_are_split() -> None:
    def crossed(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return a.sin().cos(), b.sin().cos()

    def woven(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        p, q = a.sin(), b.tan()
        return q.exp() + p.neg()

    inputs = torch.randn(4), torch.randn(4)
    graph = make_fx(crossed)(*inputs)
    assert parts(layout(graph, ["sin cos_1", "sin_1 cos"])) == ["sin", "cos sin_1", "cos_1"]
    graph = make_fx(woven)(*inputs)
    found = layout(graph, ["sin exp", "tan neg", "add"])
    assert parts(found) == ["sin", "tan neg", "exp", "add"] and found.whole == [None, 1, None, 2]
    assert_same(graph, GraphModule(graph, found.graph), inputs)


def test_a_node_of_two_groups_is_in_both() -> None:
    def shared(a: torch.Tensor) -> tuple[torch.Tensor, ...]:
        b = a.sin()
        return b.cos(), b.t().tan()

    inputs = (torch.randn(3, 4),)
    graph = make_fx(shared)(*inputs)
    found = layout(graph, ["sin cos", "sin tan"])
    assert parts(found) == ["sin cos", "sin_1 t tan"]
    assert_same(graph, GraphModule(graph, found.graph), inputs)


def test_random_numbers_are_drawn_in_order() -> None:
    def noisy(a: torch.Tensor) -> torch.Tensor:
        first = torch.rand_like(a)
        second = torch.rand_like(a)
        return second.sin() + (a @ first.cos())

    inputs = (torch.randn(4, 4),)
    graph = make_fx(noisy)(*inputs)
    parted = fxcost.compiler.fuse_by_partitions(graph, inputs)
    assert_same(graph, parted, inputs)
    found = layout(graph, ["sin", "cos", "rand_like_1 mm", "add"])  # no group may hold or move them
    assert parts(found) == ["sin", "cos", "mm", "add"]
    assert_same(graph, GraphModule(graph, found.graph), inputs)


def test_inputs_are_written_behind_everything() -> None:
    def written(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        c = a.sin() * b
        b.copy_(c)
        return c.sum()

    inputs = torch.randn(4, 4), torch.randn(4, 4)
    graph = make_fx(written)(*inputs)
    parted = fxcost.compiler.fuse_by_partitions(graph, inputs)
    assert_same(graph, parted, inputs)
    last = list(parted.graph.nodes)[-2]
    assert last.target is torch.ops.aten.copy_.default and len(fused(parted)) > 0


def test_dynamic_sizes() -> None:
    model, inputs = MODELS["gated"]()
    size = torch.export.Dim("batch", min=2, max=64)
    program = torch.export.export(model.eval(), inputs, dynamic_shapes=({0: size},)).run_decompositions()
    parted = fxcost.compiler.fuse_by_partitions(program.module())
    assert len(fused(parted)) == 6
    assert_same(program.module(), parted, (torch.randn(5, 6, 16),))


def test_as_a_backend_of_torch_compile() -> None:
    from torch._dynamo.backends.common import aot_autograd
    from torch._functorch.aot_autograd import make_boxed_func

    made: list[GraphModule] = []

    def compiler(graph: GraphModule, _: Any) -> Any:
        made.append(fxcost.compiler.fuse_by_partitions(graph))
        return make_boxed_func(made[-1].forward)

    model, inputs = MODELS["convolutions"]()
    torch.compiler.reset()
    with torch.no_grad():
        expected = model.eval()(*inputs)
        assert torch.allclose(torch.compile(model, backend=aot_autograd(fw_compiler=compiler))(*inputs), expected)
    torch.compiler.reset()
    assert len(made) == 1 and len(fused(made[0])) > 1


def test_what_it_does_not_take_is_said() -> None:
    inputs = (torch.randn(4, 16),)
    traced = torch.fx.symbolic_trace(MODELS["residual"]()[0])
    with pytest.raises(fxcost.FxcostError, match=r"takes a graph of ATen operators\n  found: %one .*call_module"):
        fxcost.compiler.fuse_by_partitions(traced, inputs)
    graph = make_fx(lambda a: a.sin().add_(1.0))(*inputs)
    with pytest.raises(fxcost.FxcostError, match=r"takes a functional graph.*\n  found: %add_"):
        fxcost.compiler.fuse_by_partitions(graph, inputs)

    def read_later(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        view = a.t()
        a.copy_(b)
        return view.sin()

    for function in (read_later, lambda a, b: a.copy_(b).sin()):
        pair = torch.randn(4, 4), torch.randn(4, 4)
        with pytest.raises(fxcost.FxcostError, match=r"takes a functional graph.*\n  found: %copy_"):
            fxcost.compiler.fuse_by_partitions(make_fx(function)(*pair), pair)
    bare = make_fx(torch.sin)(*inputs)
    for node in bare.graph.nodes:
        node.meta.clear()
    with pytest.raises(fxcost.FxcostError, match=r"expected: a graph with fake values\n  found: sin without"):
        fxcost.compiler.fuse_by_partitions(bare)
    with pytest.raises(fxcost.FxcostError, match=r"fastest"):
        fxcost.compiler.fuse_by_partitions(make_fx(torch.sin)(*inputs), inputs, profile="fastest")
