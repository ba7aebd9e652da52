"""The profile inductor-cpu against the kernels that the installed Inductor schedules: counts, members, bytes.

A part of the corpus; ``python bench/check_all.py --only fusion_micro`` runs all of it, ``fusion_models`` whole models.
A new torch that schedules otherwise shows here, kernel by kernel."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).resolve().parents[1] / "inductor"))
from corpus import PROGRAMS  # noqa: E402
from corpus_training import STEPS  # noqa: E402
from fxir_reader import Fxir  # noqa: E402
from graph_match import matched  # noqa: E402
from kernel_compare import compare, lowered_graph, operators  # noqa: E402
from truth import truth  # noqa: E402

import fxcost  # noqa: E402
from fxcost.binding import Program  # noqa: E402
from fxcost.fusion import explain, kernels  # noqa: E402

CHOSEN = [
    *("pointwise_chain", "pointwise_horizontal", "sum_of_14_inputs", "reuse_of_5_reads", "heavy_reused"),
    *("heavy_broadcast", "squeeze_excite", "sum_of_7", "sum_of_8", "reduction_into_reduction", "softmax"),
    *("residual_and_layer_norm", "group_norm", "variance", "cat_of_9", "slice_of_computed", "rotate_half"),
    *("transposed_read", "copy_into_input", "embedding_and_norm", "residual_block", "conv1d", "tiny_matmul"),
    *("two_matmuls_of_one_input", "sdpa_of_computed_views", "attention_block", "rms_norm_in_bfloat16", "top_k"),
    *("one_hot", "write_to_a_cache", "positions_and_norm_of_permuted", "large_average_pool"),
]
TRAINED = [
    *("layer_norm_step", "batch_norm_step", "cross_entropy_step", "embeddings_with_positions_step", "index_step"),
    *("attention_block_step", "two_convolutions_step", "max_pool_step", "average_pool_step", "bilinear_step"),
]


@pytest.mark.parametrize("name", CHOSEN)
def test_kernels_are_inductors(name: str) -> None:
    module, inputs = PROGRAMS[name]()
    (graph,) = truth(module, inputs).graphs
    assert graph.program is not None
    found = compare(name, graph, graph.program.to_bytes(), "inductor-cpu")
    assert list(found.misses()) == []
    assert found.our_bytes == found.bytes > 0


@pytest.mark.parametrize("name", TRAINED)
def test_kernels_of_training_are_inductors(name: str) -> None:
    module, inputs = STEPS[name]()
    forward, backward = truth(module.train(), inputs, train=True).graphs
    for graph in (forward, backward):
        assert graph.program is not None
        found = compare(name, graph, graph.program.to_bytes(), "inductor-cpu")
        assert list(found.misses()) == []
        assert found.our_bytes == found.bytes > 0


@pytest.mark.parametrize("name", ["residual_and_layer_norm", "attention_block", "residual_block"])
def test_a_capture_has_them_too(name: str) -> None:
    module, inputs = PROGRAMS[name]()
    (graph,) = truth(module, inputs).graphs
    with torch.no_grad():
        program = fxcost.capture(module, inputs, lowered=True).to_bytes()
    assert operators(program) == operators(graph)
    assert list(compare(name, graph, program, "inductor-cpu").misses()) == []


class Sides(torch.nn.Module):
    """Two like branches, which differ in what comes of them; ``between`` is put into the first."""

    def __init__(self, between: bool, other_order: bool) -> None:
        super().__init__()
        self.between, self.other_order = between, other_order

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.other_order:
            right, left = x.relu() @ x, x.abs() @ x
        else:
            left, right = x.abs() @ x, x.relu() @ x
        left = left.sin() if self.between else left
        return (left.cos() @ x).exp() - right.cos() @ x


def test_nodes_are_matched_by_what_they_compute() -> None:
    def lowered(*how: bool) -> Fxir:
        with torch.no_grad():
            return Fxir(fxcost.capture(Sides(*how), (torch.randn(16, 16),), lowered=True).to_bytes())

    def pairs(a: Fxir, b: Fxir) -> dict[str, str]:
        found = matched(a, lowered_graph(a), b, lowered_graph(b))
        return {a.text("value_name", a.result(x)): b.text("value_name", b.result(y)) for x, y in found.items()}

    plain, turned, longer = lowered(False, False), lowered(False, True), lowered(True, True)
    names = {plain.text("value_name", plain.result(n)) for n in range(*plain.graph_node_begin[1:3])}
    assert names == {"abs_1", "mm", "relu", "mm_1", "cos", "mm_2", "exp", "cos_1", "mm_3", "sub"}
    assert pairs(plain, plain) == {name: name for name in names}
    assert pairs(plain, turned) == {name: name for name in names} | {"mm": "mm_1", "mm_1": "mm"}
    assert pairs(plain, longer) == pairs(plain, turned)
    assert {b: a for a, b in pairs(longer, plain).items()} == pairs(plain, longer)


@pytest.mark.parametrize("name", ["mlp", "attention_block", "residual_block", "depthwise_separable"])
def test_frozen_kernels_are_inductors(name: str) -> None:
    """With torch._inductor.config.freezing the graph itself is another: weights are packed, activations fused."""
    module, inputs = PROGRAMS[name]()
    (graph,) = truth(module, inputs, options={"freezing": True}).graphs
    assert graph.program is not None
    found = compare(name, graph, graph.program.to_bytes(), "inductor-cpu-freezing")
    print("\n".join(found.misses()))  # names of copies that are made for a call
    assert found.same_bytes == found.kernels == found.our_kernels
    assert found.our_bytes == found.bytes > 0


def test_a_miss_is_told() -> None:
    """What the comparison says where the kernels are not Inductor's: the unfused profile gives a kernel per node."""
    module, inputs = PROGRAMS["softmax"]()
    (graph,) = truth(module, inputs).graphs
    assert graph.program is not None
    found = compare("softmax", graph, graph.program.to_bytes(), "none")
    assert (found.kernels, found.our_kernels) == (1, 5)
    misses = list(found.misses())
    assert len(misses) == 5 and sum("only ours" in miss for miss in misses) == 4


def test_explanations_of_captured_nodes() -> None:
    """A name of the model's own graph stands for what was lowered from it; kernels are the ones that are listed."""
    module, inputs = PROGRAMS["residual_and_layer_norm"]()
    with torch.no_grad():
        program = Program.from_bytes(fxcost.capture(module, inputs, lowered=True).to_bytes(), "norm")
    assert [kernel.nodes[-1] for kernel in kernels(program, "inductor-cpu")] == ["add", "add_2"]
    found = explain(program, "inductor-cpu", "layer_norm", "add")
    assert not found.together and found.kernels == (1, 0)
    assert "var_mean" in found.text
    with pytest.raises(fxcost.FxcostError, match="near names: layer_norm"):
        explain(program, "inductor-cpu", "layer_nrm", "add")
