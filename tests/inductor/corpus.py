"""Small programs, each about one decision of Inductor's lowering or scheduler: PROGRAMS by name.

A program is a function of tensors; PROGRAMS[name]() gives (module, inputs). Parameters are inputs too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Built = tuple[nn.Module, tuple[Any, ...]]
PROGRAMS: dict[str, Callable[[], Built]] = {}


class Program(nn.Module):
    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Any) -> Any:
        return self.function(*args)


def program(*shapes: tuple[int, ...] | Callable[[], Tensor]) -> Callable[[Any], Any]:
    """A program that takes normal f32 tensors of these sizes, or what functions make."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        _add(function.__name__, lambda: Program(function), shapes)
        return function

    return register


def module(*shapes: tuple[int, ...] | Callable[[], Tensor]) -> Callable[[Any], Any]:
    """The same of a function that makes a module, with parameters of its own."""

    def register(make: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
        _add(make.__name__, make, shapes)
        return make

    return register


def _add(name: str, make: Callable[[], nn.Module], shapes: tuple[tuple[int, ...] | Callable[[], Tensor], ...]) -> None:
    def build() -> Built:
        torch.manual_seed(0)
        inputs = tuple(shape() if callable(shape) else torch.randn(shape) for shape in shapes)
        return make().eval(), inputs

    PROGRAMS[name] = build


def ids(high: int, *size: int) -> Callable[[], Tensor]:
    return lambda: torch.randint(0, high, size)


def of(dtype: torch.dtype, *size: int) -> Callable[[], Tensor]:
    return lambda: torch.randn(size).to(dtype)


S = (16, 32)

# ---- pointwise chains -----------------------------------------------------------------------------------------------


@program(S)
def pointwise_chain(x: Tensor) -> Tensor:
    return ((x * 2 + 1).relu() - 0.5).abs().neg()


@program(S, S)
def pointwise_two_outputs(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    z = x + y
    return z.relu(), z * 2


@program(S, S, S)
def pointwise_horizontal(x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, ...]:
    return x + y, x - z, x * 3


@program(S, S)
def pointwise_unrelated(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    return x.relu(), y.relu()


@program(S)
def chain_of_40_operations(x: Tensor) -> Tensor:
    for i in range(40):
        x = (x * 1.5).relu() if i % 2 else x + 0.25
    return x


@program(S)
def chain_of_120_operations(x: Tensor) -> Tensor:
    for _ in range(40):
        x = (x * 1.5 + 0.25).relu()
    return x


@program(*[S] * 14)
def sum_of_14_inputs(*inputs: Tensor) -> Tensor:
    total = inputs[0]
    for x in inputs[1:]:
        total = total + x
    return total


@program(*[S] * 20)
def sum_of_20_inputs(*inputs: Tensor) -> Tensor:
    total = inputs[0]
    for x in inputs[1:]:
        total = total + x
    return total.relu()


@program(S)
def gelu_and_silu(x: Tensor) -> tuple[Tensor, ...]:
    return F.gelu(x), F.silu(x), F.gelu(x, approximate="tanh")


@program(S)
def activations(x: Tensor) -> Tensor:
    return F.hardswish(F.leaky_relu(F.elu(x))) + F.softplus(x).clamp(0, 6) + F.mish(x)


# ---- reuse: inlined, or a buffer ------------------------------------------------------------------------------------


@program(S, S)
def diamond_1_user(x: Tensor, y: Tensor) -> Tensor:
    z = x + y
    return z * 2


@program(S, S)
def diamond_2_users(x: Tensor, y: Tensor) -> Tensor:
    z = x + y
    return z.sum(-1, keepdim=True) + z.relu().sum(-1, keepdim=True)


@program(S, S)
def diamond_5_users(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    z = x + y
    return z.sum(0), z.sum(1), z.relu(), z @ z.t(), z.t() * 2


@program(*[S] * 5)
def reuse_of_5_reads(*inputs: Tensor) -> tuple[Tensor, ...]:
    a, b, c, d, e = inputs
    z = a + b + c + d + e
    return z.relu(), z.t() + 1


@program(*[S] * 4)
def reuse_of_4_reads(*inputs: Tensor) -> tuple[Tensor, ...]:
    a, b, c, d = inputs
    z = a + b + c + d
    return z.sum(0), z.sum(1)


@program(S)
def heavy_reused(x: Tensor) -> tuple[Tensor, ...]:
    y = x.exp()
    return y.sum(0), y.sum(1)


@program(S)
def tanh_reused(x: Tensor) -> tuple[Tensor, ...]:
    y = x.tanh()
    return y.sum(0), y.sum(1)


@program(S)
def light_reused(x: Tensor) -> tuple[Tensor, ...]:
    y = x.sqrt()
    return y.sum(0), y.sum(1)


@program((8, 1, 32), (8, 16, 32))
def heavy_broadcast(x: Tensor, y: Tensor) -> Tensor:
    return x.sigmoid() * y


@program((8, 1, 32), (8, 16, 32))
def light_broadcast(x: Tensor, y: Tensor) -> Tensor:
    return x.relu() * y


@program((32,), (16, 32))
def broadcast_of_a_vector(x: Tensor, y: Tensor) -> Tensor:
    return (x + 1) * y + x


@module((4, 16, 8, 8))
def squeeze_excite() -> nn.Module:
    class SqueezeExcite(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down, self.up = nn.Conv2d(16, 4, 1), nn.Conv2d(4, 16, 1)

        def forward(self, x: Tensor) -> Tensor:
            return x * self.up(self.down(x.mean((2, 3), keepdim=True)).relu()).sigmoid()

    return SqueezeExcite()


@program(S)
def returned_and_used(x: Tensor) -> tuple[Tensor, ...]:
    y = x * 2
    return y, y.sum(-1)


@program(S)
def same_twice(x: Tensor) -> tuple[Tensor, ...]:
    return (x + 1).relu(), (x + 1).sigmoid()


@program(S, S)
def results_that_nobody_uses(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    values, _ = x.relu().topk(4, -1)
    return values.exp(), torch.var_mean(y + 1, 0)[1]


# ---- reductions -----------------------------------------------------------------------------------------------------


@program(S)
def sum_of_rows(x: Tensor) -> Tensor:
    return (x * 2).sum(-1)


@program(S)
def sum_of_columns(x: Tensor) -> Tensor:
    return x.sum(0).relu()


@program((64, 64))
def sum_of_all(x: Tensor) -> Tensor:
    return (x * x).sum()


@program(S)
def sum_and_max(x: Tensor) -> tuple[Tensor, ...]:
    return x.sum(-1), x.amax(-1), x.amin(-1)


@program(S)
def sum_and_pointwise(x: Tensor) -> tuple[Tensor, ...]:
    return x.sum(-1), x.cos()


@program((16, 7))
def sum_of_7(x: Tensor) -> Tensor:
    return x.sum(-1)


@program((16, 8))
def sum_of_8(x: Tensor) -> Tensor:
    return x.sum(-1)


@program((16, 1))
def sum_of_1(x: Tensor) -> Tensor:
    return x.sum(-1) * 2


@program(S)
def argmax_and_any(x: Tensor) -> tuple[Tensor, ...]:
    return x.argmax(-1), (x > 0).any(-1), (x > 0).all(-1)


@program((4, 8, 16))
def reduction_into_reduction(x: Tensor) -> Tensor:
    return (x.exp().sum(-1) + 1).sum(-1)


@program((4, 8, 16))
def mean_of_two_dimensions(x: Tensor) -> Tensor:
    return x.mean((0, 2)) + 1


@program(S)
def prod_and_norm(x: Tensor) -> tuple[Tensor, ...]:
    return x.prod(-1), torch.linalg.vector_norm(x, dim=-1)


@program((8, 16, 32))
def normalise_by_the_maximum(x: Tensor) -> Tensor:
    return x / x.abs().amax(dim=(1, 2), keepdim=True)


# ---- norms, softmax, variance ---------------------------------------------------------------------------------------


@program((4, 16, 64))
def softmax(x: Tensor) -> Tensor:
    return x.softmax(-1)


@program((4, 16, 64))
def softmax_of_a_middle_dimension(x: Tensor) -> Tensor:
    return x.softmax(1)


@program((4, 16, 64))
def log_softmax(x: Tensor) -> Tensor:
    return (x * 2).log_softmax(-1)


@program((4, 16, 64))
def double_softmax(x: Tensor) -> Tensor:
    return x.softmax(-1).softmax(-1)


@program((4, 16, 64))
def masked_softmax(x: Tensor) -> Tensor:
    mask = torch.ones(16, 64, dtype=torch.bool).tril()
    return x.masked_fill(~mask, float("-inf")).softmax(-1)


@module((4, 16, 64))
def layer_norm() -> nn.Module:
    return nn.LayerNorm(64)


@module((4, 16, 2048))
def layer_norm_of_2048() -> nn.Module:
    return nn.LayerNorm(2048)


@program((4, 16, 64), (4, 16, 64), (64,), (64,))
def residual_and_layer_norm(x: Tensor, y: Tensor, w: Tensor, b: Tensor) -> tuple[Tensor, ...]:
    z = x + y
    return z, F.layer_norm(z, (64,), w, b)


@program((4, 16, 64), (64,))
def rms_norm(x: Tensor, w: Tensor) -> Tensor:
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * w


@module((2, 16, 8, 8))
def group_norm() -> nn.Module:
    return nn.GroupNorm(4, 16)


@module((2, 16, 8, 8))
def batch_norm_eval() -> nn.Module:
    return nn.BatchNorm2d(16)


@module((2, 16, 8, 8))
def instance_norm() -> nn.Module:
    return nn.InstanceNorm2d(16, affine=True)


@program((8, 512))
def variance(x: Tensor) -> tuple[Tensor, ...]:
    return x.var(-1), x.mean(-1)


@program((8, 2048))
def variance_of_2048(x: Tensor) -> Tensor:
    return x.std(-1)


# ---- cat, split, slices, rolls, transposed reads --------------------------------------------------------------------


@program(S, S)
def cat_of_inputs(x: Tensor, y: Tensor) -> Tensor:
    return torch.cat([x, y], 1)


@program(S, S)
def cat_of_computed(x: Tensor, y: Tensor) -> Tensor:
    return torch.cat([x.sin(), y.cos()], 0) + 1


@program(S, S)
def cat_of_a_reused_value(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    z = x.relu()
    return torch.cat([z, y], 1), z * 3


@program(S, (32, 32))
def cat_of_a_matmul(x: Tensor, w: Tensor) -> Tensor:
    return torch.cat([x @ w, x.sin()], 1)


@program(*[S] * 9)
def cat_of_9(*inputs: Tensor) -> Tensor:
    return torch.cat([x.relu() for x in inputs], 1)


@program(S)
def stack_of_two(x: Tensor) -> Tensor:
    return torch.stack([x.sin(), x.cos()], -1).flatten(-2)


@program((16, 96))
def split_and_multiply(x: Tensor) -> Tensor:
    a, b, c = x.split(32, -1)
    return a * b.sigmoid() + c


@program((16, 64))
def glu(x: Tensor) -> Tensor:
    return F.glu(x) + F.silu(x[:, :32]) * x[:, 32:]


@program((16, 64))
def slices(x: Tensor) -> tuple[Tensor, ...]:
    return x[2:10, 4:20] + 1, x[:, ::2] * 2


@program((16, 64))
def slice_of_computed(x: Tensor) -> Tensor:
    y = x.exp()
    return y[:, 1:] - y[:, :-1]


@program((1, 16, 64))
def rotate_half(x: Tensor) -> Tensor:
    half = torch.cat([-x[..., 32:], x[..., :32]], -1)
    return x * 0.5 + half * 0.25


@program((4, 8, 8))
def roll(x: Tensor) -> Tensor:
    return torch.roll(x, (2, 3), (1, 2)) + 1


@program((8, 8))
def flip(x: Tensor) -> Tensor:
    return x.flip(0) + x


@program(S)
def transposed_read(x: Tensor) -> tuple[Tensor, ...]:
    return (x.t() + 1).contiguous(), x * 2


@program((32, 32))
def symmetric(x: Tensor) -> Tensor:
    y = x.relu()
    return y + y.t()


@program((4, 8, 16))
def permuted_and_reshaped(x: Tensor) -> Tensor:
    return (x.permute(1, 0, 2).reshape(8, 64) * 2).sum(-1)


@program((2, 16, 64))
def heads(x: Tensor) -> Tensor:
    return (x * 2).view(2, 16, 4, 16).transpose(1, 2).contiguous() + 1


@program((4, 8, 8))
def padded(x: Tensor) -> Tensor:
    return F.pad(x, (1, 1, 2, 2)).relu()


@program((2, 16, 8, 8))
def pixel_shuffle(x: Tensor) -> Tensor:
    return F.pixel_shuffle(x, 2) + 1


@program((16, 32), (32,))
def expanded_and_repeated(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    return x.repeat(2, 2) + 1, y.expand(16, 32) + x


# ---- writes ---------------------------------------------------------------------------------------------------------


@program(S, S)
def update_in_place(x: Tensor, y: Tensor) -> Tensor:
    x.add_(y)
    return x * 2


@program(S, S)
def copy_into_input(x: Tensor, y: Tensor) -> Tensor:
    x.copy_(y + x)
    return y.relu()


@program((16, 32), (4, 32))
def write_to_a_slice(x: Tensor, y: Tensor) -> Tensor:
    z = x.clone()
    z[4:8] = y * 2
    return z + 1


@program((2, 4, 64, 8), (2, 4, 1, 8))
def write_to_a_cache(cache: Tensor, new: Tensor) -> Tensor:
    cache[:, :, 5:6] = new
    return cache.sum(2)


# ---- gathers and scatters -------------------------------------------------------------------------------------------


@program((100, 32), ids(100, 4, 16))
def embedding(w: Tensor, i: Tensor) -> Tensor:
    return F.embedding(i, w)


@program((100, 32), (16, 32), ids(100, 4, 16), (32,), (32,))
def embedding_and_norm(w: Tensor, p: Tensor, i: Tensor, g: Tensor, b: Tensor) -> Tensor:
    return F.layer_norm(F.embedding(i, w) + p, (32,), g, b)


@program((16, 32), ids(16, 8))
def index_rows(x: Tensor, i: Tensor) -> Tensor:
    return (x + 1)[i] * 2


@program((16, 32), ids(32, 16, 4))
def gather(x: Tensor, i: Tensor) -> Tensor:
    return x.gather(1, i).relu()


@program((16, 32), ids(16, 8), (8, 32))
def index_put(x: Tensor, i: Tensor, v: Tensor) -> Tensor:
    return x.index_put((i,), v) + 1


@program((16, 32), ids(16, 8, 32), (8, 32))
def scatter_add(x: Tensor, i: Tensor, v: Tensor) -> Tensor:
    return x.scatter_add(0, i, v * 2)


@program(ids(10, 16))
def one_hot(i: Tensor) -> Tensor:
    return F.one_hot(i, 10).float() * 0.9


@program((16, 32), ids(32, 16))
def cross_entropy(x: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(x, target)


# ---- convolutions, pooling, upsampling ------------------------------------------------------------------------------


@module((1, 3, 16, 16))
def conv_bn_relu() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())


@module((1, 16, 16, 16))
def two_convs() -> nn.Module:
    return nn.Sequential(nn.Conv2d(16, 16, 3), nn.ReLU(), nn.Conv2d(16, 8, 3))


@module((1, 16, 16, 16))
def residual_block() -> nn.Module:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(16, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)
            self.p, self.q = nn.BatchNorm2d(16), nn.BatchNorm2d(16)

        def forward(self, x: Tensor) -> Tensor:
            return (self.q(self.b(self.p(self.a(x)).relu())) + x).relu()

    return Residual()


@module((1, 16, 16, 16))
def depthwise_separable() -> nn.Module:
    return nn.Sequential(nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.SiLU(), nn.Conv2d(16, 32, 1), nn.Hardtanh())


@module((1, 8, 32))
def conv1d() -> nn.Module:
    return nn.Sequential(nn.Conv1d(8, 16, 3), nn.GELU())


@module((1, 8, 8, 8))
def transposed_conv() -> nn.Module:
    return nn.Sequential(nn.ConvTranspose2d(8, 4, 2, stride=2), nn.ReLU())


@module((1, 16, 16, 16))
def max_pool() -> nn.Module:
    return nn.Sequential(nn.ReLU(), nn.MaxPool2d(3, 2, 1))


@module((1, 16, 16, 16))
def average_pool() -> nn.Module:
    return nn.Sequential(nn.AvgPool2d(2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


@program((1, 4, 14, 14))
def large_average_pool(x: Tensor) -> Tensor:
    return F.avg_pool2d(x.relu(), 7) * 2


@module((1, 3, 16, 16))
def conv_pool_linear() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(392, 10))


@program((1, 8, 8, 8))
def upsample_nearest(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest") + 1


@program((1, 8, 8, 8))
def upsample_bilinear(x: Tensor) -> Tensor:
    return F.interpolate(x.relu(), scale_factor=2, mode="bilinear", align_corners=False)


# ---- matrix products ------------------------------------------------------------------------------------------------


@module((8, 32))
def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 32))


@program((16, 32), (32, 16))
def matmul_with_prologue_and_epilogue(x: Tensor, w: Tensor) -> Tensor:
    return ((x.relu() + 1) @ w).sigmoid()


@program((16, 32), (32, 24), (16, 24))
def addmm_of_a_matrix(x: Tensor, w: Tensor, y: Tensor) -> Tensor:
    return x @ w + y


@program((1, 8), (8, 4), (4,))
def tiny_matmul(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    return torch.addmm(b, x, w).relu()


@program((1, 64), (64, 1))
def dot_product(x: Tensor, y: Tensor) -> Tensor:
    return x @ y


@program((4, 8, 16), (4, 16, 8))
def batched_matmul(x: Tensor, y: Tensor) -> Tensor:
    return (x * 0.5) @ y + 1


@program((8, 32), (32, 16), (32, 16))
def two_matmuls_of_one_input(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return F.silu(x @ a) * (x @ b)


@program((2, 8, 32), (16, 32))
def matmul_of_a_transposed_value(x: Tensor, w: Tensor) -> Tensor:
    return (x.transpose(1, 2) * 2).transpose(1, 2).reshape(16, 32) @ w.t()


# ---- attention ------------------------------------------------------------------------------------------------------


@program((2, 4, 16, 8), (2, 4, 16, 8), (2, 4, 16, 8))
def sdpa(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v)


@program((2, 16, 32), (2, 16, 32), (2, 16, 32))
def sdpa_of_views(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    parts = [x.view(2, 16, 4, 8).transpose(1, 2) for x in (q, k, v)]
    return F.scaled_dot_product_attention(*parts, is_causal=True).transpose(1, 2).reshape(2, 16, 32)


@program((2, 16, 32), (2, 16, 32), (2, 16, 32))
def sdpa_of_computed_views(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    parts = [(x * 2).view(2, 16, 4, 8).transpose(1, 2) for x in (q, k, v)]
    return F.scaled_dot_product_attention(*parts) + 1


@program((2, 4, 16, 8), (2, 4, 16, 8), (2, 4, 16, 8), (1, 1, 16, 16))
def sdpa_with_a_mask(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias * 2)


@program((2, 4, 16, 8), (2, 4, 16, 8), (2, 4, 16, 8))
def attention_by_hand(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.transpose(-2, -1) * 0.35).softmax(-1) @ v


@module((2, 16, 32))
def attention_block() -> nn.Module:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.qkv, self.out = nn.LayerNorm(32), nn.Linear(32, 96), nn.Linear(32, 32)

        def forward(self, x: Tensor) -> Tensor:
            q, k, v = self.qkv(self.norm(x)).view(2, 16, 3, 4, 8).permute(2, 0, 3, 1, 4).unbind(0)
            y = F.scaled_dot_product_attention(q, k, v)
            return x + self.out(y.transpose(1, 2).reshape(2, 16, 32))

    return Attention()


# ---- dtypes ---------------------------------------------------------------------------------------------------------


@program(of(torch.bfloat16, 16, 32))
def casts(x: Tensor) -> Tensor:
    return (x.float() * 2).to(torch.bfloat16).relu()


@program(of(torch.bfloat16, 4, 64), of(torch.bfloat16, 64))
def rms_norm_in_bfloat16(x: Tensor, w: Tensor) -> Tensor:
    y = x.float()
    return w * (y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + 1e-6)).to(torch.bfloat16)


@program(of(torch.float64, 8, 8), ids(5, 8, 8))
def mixed_types(x: Tensor, i: Tensor) -> tuple[Tensor, ...]:
    return x + i, i > 2, (i * 2).to(torch.int32)


# ---- scans, sorts, random numbers, factories ------------------------------------------------------------------------


@program(S)
def cumulative_sum(x: Tensor) -> Tensor:
    return (x * 2).cumsum(-1) + 1


@program(S)
def top_k(x: Tensor) -> tuple[Tensor, ...]:
    values, indices = x.relu().topk(4, -1)
    return values.softmax(-1), indices


@program(S)
def sorted_rows(x: Tensor) -> tuple[Tensor, ...]:
    values, indices = x.sort(-1)
    return values * 2, indices


@program(S)
def dropout(x: Tensor) -> Tensor:
    return F.dropout(x * 2, 0.5, True) + 1


@program(S)
def random_numbers(x: Tensor) -> tuple[Tensor, ...]:
    return x + torch.rand_like(x), torch.randint(0, 10, (16,)) + 1


@program(S)
def factories(x: Tensor) -> Tensor:
    position = torch.arange(32) * 0.1
    return x + torch.ones(16, 32) + position + torch.zeros(32)


@program((16, 16))
def causal_mask(x: Tensor) -> Tensor:
    mask = torch.full((16, 16), float("-inf")).triu(1)
    return (x + mask).softmax(-1)


# ---- parts of models that need several decisions at once ------------------------------------------------------------


@program((1, 8, 16), (24, 8), (8,))
def positions_and_norm_of_permuted(x: Tensor, table: Tensor, weight: Tensor) -> Tensor:
    """Positions are known: the table is read row by row, which decides the order of the loops."""
    x = F.gelu(x).permute(0, 2, 1) + F.embedding(torch.arange(16) + 2, table)
    return F.layer_norm(x, (8,), weight, weight)


@program((50, 32), ids(50, 2, 8), (32,), (32,))
def embedding_and_two_norms(table: Tensor, index: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, ...]:
    x = F.embedding(index, table)
    return x, F.layer_norm(x, (32,), first), F.layer_norm(x, (32,), second)


@program((50, 32), ids(50, 2, 8), (32,), (32,), (32, 32), (32, 32))
def parallel_residual(table: Tensor, index: Tensor, first: Tensor, second: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Reductions of both norms merge, after which others that could have merged would wait for themselves."""
    x = F.embedding(index, table)
    return x + F.layer_norm(x, (32,), first) @ a + F.gelu(F.layer_norm(x, (32,), second) @ b)


@program((2, 16, 3 * 32), (16, 8), (16, 8))
def rotary_embedding_of_a_part(qkv: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, ...]:
    def rotated(x: Tensor) -> Tensor:
        x, rest = x.view(2, 16, 2, 16).transpose(1, 2).split(8, -1)
        return torch.cat([x * cos + torch.cat([-x[..., 4:], x[..., :4]], -1) * sin, rest], -1)

    q, k, v = qkv.relu().chunk(3, -1)
    return rotated(q), rotated(k), v


@program(S, S, S, S)
def adam_in_place(weight: Tensor, gradient: Tensor, moment: Tensor, square: Tensor) -> Tensor:
    moment.lerp_(gradient, 0.1)
    square.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
    weight.mul_(0.99).addcdiv_(moment, square.sqrt() + 1e-8, value=-0.01)
    return weight.sum()


@program((1, 16, 8))
def rotary_embedding(x: Tensor) -> Tensor:
    angles = torch.arange(16)[:, None] * (1.0 / 10000 ** (torch.arange(0, 8, 2) / 8))[None]
    angles = torch.cat([angles, angles], -1)
    half = torch.cat([-x[..., 4:], x[..., :4]], -1)
    return x * angles.cos() + half * angles.sin()


# ---- memory ---------------------------------------------------------------------------------------------------------


@program((64, 32), (32, 256), (256, 32), (32, 384), (384, 32), (32, 256), (256, 32), (32, 512), (512, 32))
def memory_kept_for_later(x: Tensor, *weights: Tensor) -> Tensor:
    """The first wide result is kept for the third, while the second is there."""
    a, b, c, d, e, f, g, h = weights
    x = (x @ a).relu() @ b
    x = x @ c @ d
    x = (x @ e).relu() @ f
    return (x @ g).relu() @ h


@program((1, 16, 16, 16), (32, 16, 3, 3), (32, 32, 3, 3), (32, 16, 1, 1))
def memory_saved_by_order(x: Tensor, first: Tensor, second: Tensor, short: Tensor) -> Tensor:
    """The short way runs before the weights of the long one are laid out."""
    y = F.conv2d(x, first, stride=2, padding=1).relu()
    return (F.conv2d(y, second, padding=1) + F.conv2d(x, short, stride=2)).relu()
