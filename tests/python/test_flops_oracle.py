"""Matrix FLOPs against torch's own FlopCounterMode: whole models from transformers configurations, and every rule of
the matrix family. Where FlopCounterMode is blind (LSTM, GRU, the fast paths of attention, dot, mv, bilinear), the
oracle is FlopCounterMode over the same thing written with plain operators, whose values must agree too."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from costs import Function, torch_matrix_flops, totals_of
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

transformers = pytest.importorskip("transformers", reason="transformers is needed for the models of this test")

torch.set_num_threads(1)
ROWS: list[tuple[str, int, int]] = []


@pytest.fixture(scope="module", autouse=True)
def table(request: pytest.FixtureRequest) -> Iterator[None]:
    """Prints what was compared."""
    yield
    manager = request.config.pluginmanager
    reporter = manager.get_plugin("terminalreporter")
    with manager.get_plugin("capturemanager").global_and_fixture_disabled():
        reporter.write_line(f"\n{'matrix FLOPs of':<42} {'fxcost':>12} {'torch':>12}")
        for name, ours, theirs in ROWS:
            reporter.write_line(f"{name:<42} {ours:>12,} {theirs:>12,}")


# ---- models ---------------------------------------------------------------------------------------------------------

TEXT = {
    "vocab_size": 120,
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
}
IDS = {"input_ids": torch.arange(26).reshape(2, 13) % 100 + 3}
IMAGE = {"pixel_values": torch.linspace(-1, 1, 2 * 3 * 32 * 32).reshape(2, 3, 32, 32)}


def bert() -> tuple[nn.Module, dict[str, Any]]:
    return transformers.BertForSequenceClassification(transformers.BertConfig(**TEXT)), {
        **IDS,
        "attention_mask": torch.ones(2, 13, dtype=torch.long),
    }


def roberta() -> tuple[nn.Module, dict[str, Any]]:
    return transformers.RobertaForMaskedLM(transformers.RobertaConfig(**TEXT)), dict(IDS)


def gpt2() -> tuple[nn.Module, dict[str, Any]]:
    config = transformers.GPT2Config(vocab_size=120, n_embd=48, n_layer=2, n_head=4, n_positions=64)
    return transformers.GPT2LMHeadModel(config), {**IDS, "use_cache": False}


def llama_gqa() -> tuple[nn.Module, dict[str, Any]]:
    config = transformers.LlamaConfig(**TEXT, num_key_value_heads=2)
    return transformers.LlamaForCausalLM(config), {**IDS, "use_cache": False}


def qwen2() -> tuple[nn.Module, dict[str, Any]]:
    config = transformers.Qwen2Config(**TEXT, num_key_value_heads=1)
    return transformers.Qwen2ForCausalLM(config), {**IDS, "use_cache": False}


def t5() -> tuple[nn.Module, dict[str, Any]]:
    config = transformers.T5Config(vocab_size=120, d_model=48, d_kv=12, d_ff=96, num_layers=2, num_heads=4)
    return transformers.T5ForConditionalGeneration(config), {
        **IDS,
        "decoder_input_ids": IDS["input_ids"][:, :7],
        "use_cache": False,
    }


def vit() -> tuple[nn.Module, dict[str, Any]]:
    config = transformers.ViTConfig(
        hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96, image_size=32, patch_size=8
    )
    return transformers.ViTForImageClassification(config), dict(IMAGE)


def resnet() -> tuple[nn.Module, dict[str, Any]]:
    config = transformers.ResNetConfig(embedding_size=16, hidden_sizes=[16, 32, 48], depths=[1, 2, 1])
    return transformers.ResNetForImageClassification(config), dict(IMAGE)


def swin() -> tuple[nn.Module, dict[str, Any]]:
    config = transformers.SwinConfig(
        image_size=32, patch_size=2, embed_dim=16, depths=[2, 2], num_heads=[2, 4], window_size=4
    )
    return transformers.SwinForImageClassification(config), dict(IMAGE)


def convnext() -> tuple[nn.Module, dict[str, Any]]:
    config = transformers.ConvNextConfig(hidden_sizes=[12, 24], depths=[2, 1], num_stages=2, image_size=32)
    return transformers.ConvNextForImageClassification(config), dict(IMAGE)


def whisper() -> tuple[nn.Module, dict[str, Any]]:
    config = transformers.WhisperConfig(
        vocab_size=120,
        d_model=48,
        encoder_layers=2,
        decoder_layers=2,
        encoder_ffn_dim=96,
        decoder_ffn_dim=96,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        num_mel_bins=8,
        max_source_positions=20,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
        max_target_positions=32,
    )
    features = torch.linspace(-1, 1, 2 * 8 * 40).reshape(2, 8, 40)
    return transformers.WhisperForConditionalGeneration(config), {
        "input_features": features,
        "decoder_input_ids": IDS["input_ids"],
        "use_cache": False,
    }


MODELS = [bert, roberta, gpt2, llama_gqa, qwen2, t5, vit, resnet, swin, convnext, whisper]


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("build", MODELS, ids=lambda build: build.__name__)
def test_model_equals_flop_counter(build: Callable[[], tuple[nn.Module, dict[str, Any]]], mode: str) -> None:
    torch.manual_seed(0)
    model, kwargs = build()
    model.train(mode == "train")
    with torch.no_grad():
        totals = totals_of(model, (), kwargs)
        expected = torch_matrix_flops(model, (), kwargs)
    ROWS.append((f"{build.__name__} ({mode})", totals.counts.matrix_flops, expected))
    assert expected > 0
    assert totals.unknown_nodes == 0
    assert totals.counts.matrix_flops == expected
    assert 2 * totals.counts.macs == expected


def mixtral() -> tuple[nn.Module, dict[str, Any]]:
    config = transformers.MixtralConfig(**TEXT, num_key_value_heads=2, num_local_experts=4, num_experts_per_tok=2)
    return transformers.MixtralForCausalLM(config), {**IDS, "use_cache": False}


def qwen2_moe() -> tuple[nn.Module, dict[str, Any]]:
    config = transformers.Qwen2MoeConfig(
        **TEXT, num_key_value_heads=2, num_experts=4, moe_intermediate_size=24, shared_expert_intermediate_size=40
    )
    return transformers.Qwen2MoeForCausalLM(config), {**IDS, "use_cache": False}


@pytest.mark.parametrize("build", [mixtral, qwen2_moe], ids=lambda build: build.__name__)
def test_mixture_of_experts(build: Callable[[], tuple[nn.Module, dict[str, Any]]]) -> None:
    """FlopCounterMode does not see transformers' grouped product, so the oracle is the same model with transformers'
    loop over experts, whose linear layers it sees: every token meets the same number of experts in both."""
    torch.manual_seed(0)
    model, kwargs = build()
    model.eval()
    with torch.no_grad():
        model.set_experts_implementation("grouped_mm")
        totals = totals_of(model, (), kwargs)
        grouped = model(**kwargs).logits
        model.set_experts_implementation("eager")
        expected = torch_matrix_flops(model, (), kwargs)
        torch.testing.assert_close(model(**kwargs).logits, grouped)
    ROWS.append((f"{build.__name__} (oracle: expert loop)", totals.counts.matrix_flops, expected))
    assert totals.unknown_nodes == 0
    assert totals.counts.matrix_flops == expected


# ---- recurrent networks and attention, written out ------------------------------------------------------------------


class Unrolled(nn.Module):
    """LSTM, GRU or RNN with plain operators, over the weights of the module it copies."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = module

    def cell(self, x: Tensor, state: list[Tensor], weights: list[Tensor]) -> list[Tensor]:
        w_ih, w_hh, b_ih, b_hh = weights[:4]
        from_input, from_state = F.linear(x, w_ih, b_ih), F.linear(state[0], w_hh, b_hh)
        if isinstance(self.module, nn.LSTM):
            i, f, g, o = (from_input + from_state).chunk(4, -1)
            c = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            return [F.linear(h, weights[4]) if len(weights) > 4 else h, c]
        if isinstance(self.module, nn.GRU):
            (r, z, n), (hr, hz, hn) = from_input.chunk(3, -1), from_state.chunk(3, -1)
            z = torch.sigmoid(z + hz)
            n = torch.tanh(n + torch.sigmoid(r + hr) * hn)
            return [(1 - z) * n + z * state[0]]
        return [torch.tanh(from_input + from_state)]

    def forward(self, x: Tensor) -> Tensor:
        module = self.module
        steps = list(x.unbind(1 if module.batch_first else 0))
        for layer in range(module.num_layers):
            outputs = []
            for suffix in ("", "_reverse")[: 1 + module.bidirectional]:
                names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"] + ["weight_hr"] * bool(module.proj_size)
                weights = [getattr(module, f"{name}_l{layer}{suffix}") for name in names]
                width = module.proj_size or module.hidden_size
                state = [x.new_zeros(len(steps[0]), width), x.new_zeros(len(steps[0]), module.hidden_size)]
                run = []
                for step in reversed(steps) if suffix else steps:
                    state = self.cell(step, state, weights)
                    run.append(state[0])
                outputs.append(run[::-1] if suffix else run)
            steps = [torch.cat(parts, -1) for parts in zip(*outputs, strict=True)]
        return torch.stack(steps, 1 if module.batch_first else 0)


RECURRENT = {
    "LSTM 3 layers": lambda: nn.LSTM(10, 12, 3),
    "LSTM 2 layers, both ways": lambda: nn.LSTM(10, 12, 2, bidirectional=True, batch_first=True),
    "LSTM with projection, both ways": lambda: nn.LSTM(10, 12, 2, bidirectional=True, proj_size=5),
    "GRU 2 layers, both ways": lambda: nn.GRU(10, 12, 2, bidirectional=True),
    "GRU batch first": lambda: nn.GRU(10, 12, batch_first=True),
    "RNN tanh 2 layers": lambda: nn.RNN(10, 12, 2),
}


@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_equals_unrolled(name: str) -> None:
    torch.manual_seed(0)
    module, x = RECURRENT[name]().eval(), torch.randn(7, 3, 10)
    plain = Unrolled(module)
    with torch.no_grad():
        torch.testing.assert_close(plain(x), module(x)[0])
        totals, expected = totals_of(module, (x,)), torch_matrix_flops(plain, (x,))
    ROWS.append((name, totals.counts.matrix_flops, expected))
    assert totals.unknown_nodes == 0
    assert totals.counts.matrix_flops == expected


CELLS = {"LSTMCell": nn.LSTMCell, "GRUCell": nn.GRUCell, "RNNCell": nn.RNNCell}


@pytest.mark.parametrize("name", CELLS)
def test_cells(name: str) -> None:
    torch.manual_seed(0)
    cell, x = CELLS[name](10, 12).eval(), torch.randn(3, 10)
    module = {"LSTMCell": nn.LSTM, "GRUCell": nn.GRU, "RNNCell": nn.RNN}[name](10, 12)
    with torch.no_grad():
        for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            getattr(module, part + "_l0").copy_(getattr(cell, part))
        plain, out = Unrolled(module), cell(x)
        torch.testing.assert_close(plain(x[None])[0], out[0] if isinstance(out, tuple) else out)
        totals, expected = totals_of(cell, (x,)), torch_matrix_flops(plain, (x[None],))
    assert totals.unknown_nodes == 0
    assert totals.counts.matrix_flops == expected


def attention_written_out(module: nn.MultiheadAttention, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """nn.MultiheadAttention (batch first, one embedding size) with plain operators."""
    heads, width = module.num_heads, module.embed_dim
    weights, biases = module.in_proj_weight.chunk(3), module.in_proj_bias.chunk(3)
    q, k, v = (
        F.linear(x, w, b).unflatten(-1, (heads, -1)).transpose(1, 2)
        for x, w, b in zip((query, key, value), weights, biases, strict=True)
    )
    scores = torch.softmax(q @ k.transpose(-2, -1) / math.sqrt(width // heads), -1)
    return module.out_proj((scores @ v).transpose(1, 2).flatten(2))


class Attend(nn.Module):
    def __init__(self, need_weights: bool) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(24, 4, batch_first=True)
        self.need_weights = need_weights

    def forward(self, query: Tensor, memory: Tensor) -> Tensor:
        return self.attention(query, memory, memory, need_weights=self.need_weights)[0]


@pytest.mark.parametrize("need_weights", [True, False], ids=["weights", "no weights"])
@pytest.mark.parametrize("same", [True, False], ids=["self", "cross"])
def test_multi_head_attention(same: bool, need_weights: bool) -> None:
    torch.manual_seed(0)
    module, query = Attend(need_weights).eval(), torch.randn(2, 6, 24)
    memory = query if same else torch.randn(2, 9, 24)
    written = Function(lambda q, m: attention_written_out(module.attention, q, m, m))
    with torch.no_grad():
        torch.testing.assert_close(written(query, memory), module(query, memory))
        totals, expected = totals_of(module, (query, memory)), torch_matrix_flops(written, (query, memory))
    ROWS.append((f"MultiheadAttention {same=!s} {need_weights=!s}", totals.counts.matrix_flops, expected))
    assert totals.unknown_nodes == 0
    assert totals.counts.matrix_flops == expected


def test_native_multi_head_attention() -> None:
    torch.manual_seed(0)
    module, x = nn.MultiheadAttention(24, 4, batch_first=True).eval(), torch.randn(2, 6, 24)
    parts = (module.in_proj_weight, module.in_proj_bias, module.out_proj.weight, module.out_proj.bias)
    native = Function(lambda q: torch._native_multi_head_attention(q, q, q, 24, 4, *parts)[0])
    written = Function(lambda q: attention_written_out(module, q, q, q))
    with torch.no_grad():
        torch.testing.assert_close(native(x), written(x))
        totals, expected = totals_of(native, (x,)), torch_matrix_flops(written, (x,))
    ROWS.append(("_native_multi_head_attention", totals.counts.matrix_flops, expected))
    assert totals.unknown_nodes == 0
    assert totals.counts.matrix_flops == expected


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_transformer_encoder_layer_forward(activation: str) -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(24, 4, 40, activation=activation, batch_first=True).eval()
    attention, x = layer.self_attn, torch.randn(2, 6, 24)
    parts = (attention.in_proj_weight, attention.in_proj_bias, attention.out_proj.weight, attention.out_proj.bias)
    norms = (layer.norm1.weight, layer.norm1.bias, layer.norm2.weight, layer.norm2.bias)
    linears = (layer.linear1.weight, layer.linear1.bias, layer.linear2.weight, layer.linear2.bias)
    fused = Function(
        lambda y: torch._transformer_encoder_layer_fwd(
            y, 24, 4, *parts, activation == "gelu", False, 1e-5, *norms, *linears
        )
    )

    def written(y: Tensor) -> Tensor:
        y = layer.norm1(y + attention_written_out(attention, y, y, y))
        return layer.norm2(y + layer.linear2(getattr(F, activation)(layer.linear1(y))))

    with torch.no_grad():
        torch.testing.assert_close(fused(x), written(x))
        totals, plain = totals_of(fused, (x,)), totals_of(Function(written), (x,))
        expected = torch_matrix_flops(Function(written), (x,))
    ROWS.append((f"_transformer_encoder_layer_fwd {activation}", totals.counts.matrix_flops, expected))
    assert totals.unknown_nodes == 0
    assert totals.counts.matrix_flops == expected
    # The element work of the same layer as separate operators.
    assert totals.counts.vector_flops == plain.counts.vector_flops
    assert totals.counts.transcendentals == plain.counts.transcendentals


# ---- one operator at a time -----------------------------------------------------------------------------------------


def r(*shape: int) -> Tensor:
    return torch.linspace(-1, 1, math.prod(shape)).reshape(shape)


CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "mm": (torch.mm, (r(3, 5), r(5, 7))),
    "addmm": (torch.addmm, (r(7), r(3, 5), r(5, 7))),
    "bmm": (torch.bmm, (r(2, 3, 5), r(2, 5, 7))),
    "baddbmm": (torch.baddbmm, (r(2, 3, 7), r(2, 3, 5), r(2, 5, 7))),
    "matmul 2x2": (torch.matmul, (r(3, 5), r(5, 7))),
    "matmul 3x2": (torch.matmul, (r(4, 3, 5), r(5, 7))),
    "matmul 2x3": (torch.matmul, (r(3, 5), r(4, 5, 7))),
    "matmul 3x3": (torch.matmul, (r(4, 3, 5), r(4, 5, 7))),
    "matmul 4x3": (torch.matmul, (r(2, 4, 3, 5), r(4, 5, 7))),
    "matmul batches broadcast": (torch.matmul, (r(2, 1, 3, 5), r(1, 6, 5, 7))),
    "matmul 5x2": (torch.matmul, (r(2, 2, 2, 3, 5), r(5, 7))),
    "matmul 1x3": (torch.matmul, (r(5), r(4, 5, 7))),
    "inner": (torch.inner, (r(3, 5), r(7, 5))),
    "linear 1-D": (F.linear, (r(5), r(7, 5), r(7))),
    "linear 2-D": (F.linear, (r(3, 5), r(7, 5), r(7))),
    "linear 4-D": (F.linear, (r(2, 2, 3, 5), r(7, 5))),
    "tensordot": (lambda x, y: torch.tensordot(x, y, dims=([2, 0], [1, 0])), (r(2, 3, 5), r(2, 5, 7))),
    "conv1d": (F.conv1d, (r(2, 4, 9), r(6, 4, 3))),
    "conv1d same": (lambda x, w: F.conv1d(x, w, padding="same"), (r(2, 4, 9), r(6, 4, 3))),
    "conv2d stride pad dilation": (
        lambda x, w, b: F.conv2d(x, w, b, stride=(2, 1), padding=(1, 2), dilation=2),
        (r(2, 4, 9, 8), r(6, 4, 3, 3), r(6)),
    ),
    "conv2d groups": (lambda x, w: F.conv2d(x, w, groups=2), (r(2, 4, 9, 8), r(6, 2, 3, 3))),
    "conv2d depthwise valid": (lambda x, w: F.conv2d(x, w, padding="valid", groups=4), (r(2, 4, 9, 8), r(4, 1, 3, 3))),
    "conv2d same, even kernel": (lambda x, w: F.conv2d(x, w, padding="same"), (r(2, 4, 9, 8), r(6, 4, 2, 4))),
    "conv2d without batch": (F.conv2d, (r(4, 9, 8), r(6, 4, 3, 3))),
    "conv3d": (lambda x, w: F.conv3d(x, w, padding=1), (r(2, 3, 5, 6, 7), r(4, 3, 3, 3, 3))),
    "conv_transpose1d": (lambda x, w: F.conv_transpose1d(x, w, stride=2), (r(2, 4, 9), r(4, 6, 3))),
    "conv_transpose2d groups": (
        lambda x, w: F.conv_transpose2d(x, w, stride=2, padding=1, output_padding=1, groups=2),
        (r(2, 4, 5, 6), r(4, 3, 3, 3)),
    ),
    "conv_transpose3d": (F.conv_transpose3d, (r(2, 3, 4, 4, 4), r(3, 2, 3, 3, 3))),
    "convolution": (
        lambda x, w: torch.convolution(x, w, None, [2, 2], [1, 1], [1, 1], True, [0, 0], 1),
        (r(2, 4, 5, 6), r(4, 3, 3, 3)),
    ),
    "attention": (F.scaled_dot_product_attention, (r(2, 3, 5, 8), r(2, 3, 7, 8), r(2, 3, 7, 6))),
    "attention causal": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        (r(2, 3, 5, 8), r(2, 3, 5, 8), r(2, 3, 5, 8)),
    ),
    "attention grouped": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True),
        (r(2, 6, 5, 8), r(2, 2, 7, 8), r(2, 2, 7, 8)),
    ),
    "attention masked, 3-D": (
        lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, attn_mask=m),
        (r(2, 5, 8), r(2, 7, 8), r(2, 7, 8), r(5, 7)),
    ),
}
for mask in ([True, True, True], [False, True, False]):
    CASES[f"convolution_backward {mask}"] = (
        lambda g, x, w, m=mask: torch.ops.aten.convolution_backward(
            g, x, w, [6], [2, 1], [1, 0], [1, 1], False, [0, 0], 1, m
        ),
        (r(2, 6, 5, 6), r(2, 4, 9, 8), r(6, 4, 3, 3)),
    )
CASES["convolution_backward transposed"] = (
    lambda g, x, w: torch.ops.aten.convolution_backward(
        g, x, w, None, [2, 2], [0, 0], [1, 1], True, [0, 0], 1, [True, True, False]
    ),
    (r(2, 6, 11, 13), r(2, 4, 5, 6), r(4, 6, 3, 3)),
)
for equation, *shapes in [
    ("bij,bjk->bik", (2, 3, 5), (2, 5, 7)),
    ("ij,kj", (3, 5), (7, 5)),
    ("bhqd,bhkd->bhqk", (2, 3, 4, 5), (2, 3, 6, 5)),
    ("...ij,...jk", (2, 4, 3, 5), (4, 5, 7)),
    ("bij,bj->bi", (2, 3, 5), (2, 5)),
    ("ij,ij->", (3, 5), (3, 5)),
    ("ij,jk,kl->il", (3, 5), (5, 7), (7, 2)),
    ("bi,oij,bj->bo", (2, 3), (4, 3, 5), (2, 5)),
    ("i,j->ij", (3,), (5,)),
    ("ijk,j->i", (3, 5, 7), (5,)),
    ("ij,jk->", (3, 5), (5, 7)),
    ("iij,jk->ik", (3, 3, 5), (5, 7)),
    ("b...d,hd->b...h", (2, 4, 3, 5), (7, 5)),
    ("bij,bjk->ik", (2, 3, 5), (2, 5, 7)),
    ("ij->ji", (3, 5)),
    ("ij->i", (3, 5)),
    ("ij,j->ij", (3, 5), (5,)),
    ("a b, b c -> a c", (3, 5), (5, 7)),
    ("bij,bij->bij", (2, 3, 5), (2, 3, 5)),
    ("ij,jk->ik", (3, 1), (5, 7)),
]:
    CASES[f"einsum {equation}"] = (
        lambda *operands, e=equation: torch.einsum(e, *operands),
        tuple(r(*shape) for shape in shapes),
    )
CASES["einsum along a path"] = (
    lambda x, y, z: torch.ops.aten.einsum("ij,jk,kl->il", [x, y, z], path=[1, 2, 0, 1]),
    (r(3, 5), r(5, 7), r(7, 2)),
)


@pytest.mark.parametrize("name", CASES)
def test_operator_equals_flop_counter(name: str) -> None:
    function, args = CASES[name]
    with torch.no_grad():
        totals = totals_of(Function(function), args)
        expected = torch_matrix_flops(Function(function), args)
    assert totals.unknown_nodes == 0
    assert totals.counts.matrix_flops == expected


# FlopCounterMode does not see the first; it sees the second, which computes the same.
BLIND: dict[str, tuple[Callable[..., Any], Callable[..., Any], tuple[Any, ...]]] = {
    "dot": (torch.dot, lambda x, y: (x[None] @ y[:, None])[0, 0], (r(5), r(5))),
    "vdot": (torch.vdot, lambda x, y: (x[None] @ y[:, None])[0, 0], (r(5), r(5))),
    "vecdot": (torch.linalg.vecdot, lambda x, y: (x[:, None] @ y[:, :, None]).flatten(), (r(3, 5), r(3, 5))),
    "baddbmm in place": (
        lambda a, x, y: (a + 1).baddbmm_(x, y),
        lambda a, x, y: a + 1 + x @ y,
        (r(2, 3, 7), r(2, 3, 5), r(2, 5, 7)),
    ),
    "addbmm": (torch.addbmm, lambda a, x, y: a + (x @ y).sum(0), (r(3, 7), r(2, 3, 5), r(2, 5, 7))),
    "tensordot to a scalar": (
        lambda x, y: torch.tensordot(x, y, dims=2),
        lambda x, y: (x.reshape(1, -1) @ y.reshape(-1, 1))[0, 0],
        (r(3, 5), r(3, 5)),
    ),
    "mv": (torch.mv, lambda m, v: (m @ v[:, None])[:, 0], (r(3, 5), r(5))),
    "addmv": (torch.addmv, lambda a, m, v: a + (m @ v[:, None])[:, 0], (r(3), r(3, 5), r(5))),
    "matmul 1x1": (torch.matmul, lambda x, y: (x[None] @ y[:, None])[0, 0], (r(5), r(5))),
    "matmul 2x1": (torch.matmul, lambda m, v: (m @ v[:, None])[:, 0], (r(3, 5), r(5))),
    "matmul 3x1": (torch.matmul, lambda m, v: (m @ v[:, None])[..., 0], (r(2, 3, 5), r(5))),
    "bilinear": (
        F.bilinear,
        lambda x, y, w: ((x @ w.permute(1, 0, 2).flatten(1)).view(3, 4, 6) @ y[:, :, None])[..., 0],
        (r(3, 5), r(3, 6), r(4, 5, 6)),
    ),
    "conv_tbc": (
        lambda x, w, b: torch.conv_tbc(x, w, b, 1),
        lambda x, w, b: F.conv1d(x.permute(1, 2, 0), w.permute(2, 1, 0), b, padding=1).permute(2, 0, 1),
        (r(9, 2, 4), r(3, 4, 6), r(6)),
    ),
    "grouped_mm": (
        lambda x, w, offs: torch._grouped_mm(x, w, offs=offs),
        lambda x, w, offs: torch.cat([x[:16] @ w[0], x[16:] @ w[1]]),
        (r(32, 16).bfloat16(), r(2, 16, 24).bfloat16(), torch.tensor([16, 32], dtype=torch.int32)),
    ),
}


@pytest.mark.parametrize("name", BLIND)
def test_operator_that_flop_counter_misses(name: str) -> None:
    function, seen, args = BLIND[name]
    with torch.no_grad():
        torch.testing.assert_close(function(*args), seen(*args), rtol=2e-2, atol=1e-2)
        totals = totals_of(Function(function), args)
        expected = torch_matrix_flops(Function(seen), args)
    assert expected > 0
    assert totals.unknown_nodes == 0
    assert totals.counts.matrix_flops == expected


def test_attention_backward() -> None:
    """The CPU kernel counts as autograd through unfused attention does, in FlopCounterMode."""
    q, k, v = r(2, 3, 5, 8), r(2, 3, 7, 8), r(2, 3, 7, 8)

    def backward(gradient: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Any:
        out, logsumexp = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q, k, v)
        return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
            gradient, q, k, v, out, logsumexp, 0.0, False
        )

    with torch.no_grad():
        totals = totals_of(Function(backward), (r(2, 3, 5, 8), q, k, v))
    assert totals.unknown_nodes == 0
    q, k, v = (tensor.requires_grad_() for tensor in (q, k, v))
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        torch.nn.functional.scaled_dot_product_attention(q, k, v).sum().backward()
    assert totals.counts.matrix_flops == counter.get_total_flops()


def test_complex_product_is_four_real_ones() -> None:
    x, y = torch.complex(r(3, 5), r(3, 5)), torch.complex(r(5, 7), r(5, 7))
    totals = totals_of(Function(torch.mm), (x, y))
    assert totals.counts.matrix_flops == 4 * 2 * 3 * 5 * 7


def test_integer_product_is_no_flop() -> None:
    x, y = torch.ones(3, 5, dtype=torch.long), torch.ones(5, 7, dtype=torch.long)
    counts = totals_of(Function(torch.mm), (x, y)).counts
    assert (counts.matrix_flops, counts.macs, counts.int_ops) == (0, 0, 2 * 3 * 5 * 7)
