"""register_flop_formulas(): torch's FlopCounterMode counts what it leaves out, as it counts the same work unfused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers as hf
from real_products import products_run
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils import flop_counter
from torch.utils.flop_counter import FlopCounterMode

import fxcost.compiler


def counted(run: Callable[[], Any]) -> int:
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def test_bert_with_fused_attention_of_the_cpu() -> None:
    torch.manual_seed(0)
    settings = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    model = hf.BertModel(hf.BertConfig(vocab_size=99, **settings)).eval()
    ids = torch.randint(0, 99, (2, 12))

    def step() -> None:
        model(ids).pooler_output.sum().backward()

    with sdpa_kernel(SDPBackend.MATH):
        complete = counted(step)
    without = counted(step)
    with fxcost.compiler.register_flop_formulas():
        ours = counted(step)
    assert without < complete == ours


def test_bert_without_gradients_equals_the_unfused_count() -> None:
    settings = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    model = hf.BertModel(hf.BertConfig(vocab_size=99, **settings)).eval()
    ids = torch.randint(0, 99, (2, 12))
    with torch.no_grad():
        with sdpa_kernel(SDPBackend.MATH):
            complete = counted(lambda: model(ids))
        left_out = complete - counted(lambda: model(ids))
        with fxcost.compiler.register_flop_formulas():
            assert counted(lambda: model(ids)) == complete
    assert left_out == 2 * (2 * 2 * 2 * 4 * 12 * 12 * 8)  # two products in each of two layers


@pytest.mark.parametrize("layers", [1, 2])
def test_lstm(layers: int) -> None:
    model, x = torch.nn.LSTM(5, 7, layers, batch_first=True), torch.randn(3, 4, 5)
    with torch.no_grad():
        with torch.backends.mkldnn.flags(enabled=False):  # cell by cell, of mm and addmm
            complete = counted(lambda: model(x))
        assert counted(lambda: model(x)) == 0
        with fxcost.compiler.register_flop_formulas():
            assert counted(lambda: model(x)) == complete == 2 * 3 * 4 * 4 * 7 * (5 + 7 + (layers - 1) * 14)


def test_mixtral_block() -> None:
    torch.manual_seed(0)
    settings = {"num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 48}
    config = hf.MixtralConfig(vocab_size=64, hidden_size=32, num_local_experts=4, num_experts_per_tok=2, **settings)
    model, ids = hf.MixtralModel(config).eval(), torch.randint(0, 64, (2, 8))
    with torch.no_grad():
        model.set_experts_implementation("eager")  # a loop over experts: products of tokens that picked them
        with sdpa_kernel(SDPBackend.MATH):
            complete = counted(lambda: model(ids))
        model.set_experts_implementation("grouped_mm")
        left_out = counted(lambda: model(ids))
        with fxcost.compiler.register_flop_formulas():
            assert counted(lambda: model(ids)) == complete
    assert 0 < left_out < complete


def test_small_products_and_convolutions() -> None:
    a, b = torch.randn(5, 4), torch.randn(4)
    with fxcost.compiler.register_flop_formulas():
        assert counted(lambda: a @ b) == 2 * 5 * 4
        assert counted(lambda: torch.dot(b, b)) == 2 * 4
        assert counted(lambda: torch.addmv(torch.zeros(5), a, b)) == 2 * 5 * 4
        assert counted(lambda: torch.addbmm(torch.zeros(5, 3), a[None], torch.randn(1, 4, 3))) == 2 * 5 * 4 * 3
        assert counted(lambda: a.t().clone().addmm_(torch.randn(4, 3), torch.randn(3, 5))) == 2 * 4 * 3 * 5
        assert counted(lambda: a @ a.t()) == 2 * 5 * 4 * 5  # torch's own formula, as before


def test_bilinear() -> None:
    """As einsum's two products, which torch counts, and as the products that ATen really runs, in the profiler."""
    layer = torch.nn.Bilinear(5, 6, 7)
    x, y = torch.randn(3, 4, 5, requires_grad=True), torch.randn(3, 4, 6, requires_grad=True)

    def products() -> None:
        rows = torch.einsum("bi,oij->boj", x.flatten(0, 1), layer.weight)
        torch.einsum("boj,bj->bo", rows, y.flatten(0, 1))

    def step() -> None:
        layer(x, y).sum().backward()

    with torch.no_grad():
        complete = counted(products)
        assert counted(lambda: layer(x, y)) == 0
        with fxcost.compiler.register_flop_formulas():
            assert counted(lambda: layer(x, y)) == complete == 2 * 12 * 7 * (5 * 6 + 6)
        assert products_run(lambda: layer(x, y)) == complete
    with fxcost.compiler.register_flop_formulas():
        assert counted(step) == products_run(step) > 3 * complete


def test_on_fake_tensors_and_at_other_sizes() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode(), fxcost.compiler.register_flop_formulas():
        for rows in (3, 6):
            a, b = torch.randn(rows, 4), torch.randn(4)
            assert counted(lambda a=a, b=b: a @ b) == 2 * rows * 4


def test_taken_back() -> None:
    before = dict(flop_counter.flop_registry)
    given = fxcost.compiler.register_flop_formulas()
    assert torch.ops.aten.mv in flop_counter.flop_registry
    assert fxcost.compiler.register_flop_formulas().packets == []  # nothing is registered twice
    assert all(flop_counter.flop_registry[packet] is formula for packet, formula in before.items())
    given.remove()
    assert flop_counter.flop_registry == before


def test_arguments_that_no_formula_knows_are_no_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    from fxcost.compiler import flops

    monkeypatch.setattr(flops, "matrix_flops", lambda program: None)
    with fxcost.compiler.register_flop_formulas(), pytest.raises(fxcost.FxcostError, match=r"FLOPs of aten\.mv"):
        counted(lambda: torch.randn(3, 3) @ torch.randn(3))


def test_the_partitioner_counts_them_too() -> None:
    from torch._functorch import config, partitioners

    graph = torch.fx.experimental.proxy_tensor.make_fx(lambda a, b: a @ b, tracing_mode="fake")(
        torch.randn(5, 4), torch.randn(4)
    )
    (node,) = (node for node in graph.graph.nodes if node.target is torch.ops.aten.mv.default)
    assert config.activation_memory_budget_runtime_estimator == "flops"
    with torch._guards.detect_fake_mode([node.meta["val"]]):
        assert partitioners.estimate_runtime(node) == 1
        with fxcost.compiler.register_flop_formulas():
            assert partitioners.estimate_runtime(node) == 2 * 5 * 4
