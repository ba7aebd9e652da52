"""Small programs that share and write memory in every way that captured models do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

CASES: list[Case] = []


@dataclass
class Case:
    name: str
    make: Callable[[], tuple[nn.Module, tuple[Any, ...]]]
    dynamic: Any = None
    random: bool = False  # draws random numbers, so that its nodes cannot be reordered
    no_grad: bool = False
    functional: bool = True  # run_decompositions({}) accepts it
    why_not: str = field(default="", repr=False)


class Function(nn.Module):
    """A module around a function of (module, inputs), with the given buffers."""

    def __init__(self, function: Callable[..., Any], **buffers: Tensor) -> None:
        super().__init__()
        self.function = function
        for name, tensor in buffers.items():
            self.register_buffer(name, tensor)

    def forward(self, *args: Any) -> Any:
        return self.function(self, *args)


_GENERATOR = torch.Generator().manual_seed(0)


def rand(*shape: int) -> Tensor:
    """Both signs, never twice the same: a write that stores what was there would not be seen."""
    return torch.randn(*shape, generator=_GENERATOR)


def case(*shapes: tuple[int, ...], buffers: dict[str, tuple[int, ...]] | None = None, **options: Any) -> Any:
    """Registers a function of (module, *inputs) as a case on random inputs of these shapes."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        def make() -> tuple[nn.Module, tuple[Any, ...]]:
            made = {name: rand(*shape) for name, shape in (buffers or {}).items()}
            return Function(function, **made), tuple(rand(*shape) for shape in shapes)

        CASES.append(Case(function.__name__, make, **options))
        return function

    return register


def module_case(**options: Any) -> Any:
    """Registers a function that returns module and inputs."""

    def register(function: Callable[[], tuple[nn.Module, tuple[Any, ...]]]) -> Any:
        CASES.append(Case(function.__name__, function, **options))
        return function

    return register


# ---- views and in-place operators -----------------------------------------------------------------------------------


@case((4, 3))
def view_then_add_then_read_base(m: nn.Module, x: Tensor) -> Tensor:
    y = x * 2
    v = y[0]
    v.add_(1)
    return y.sum() + y[1].sum()


@case((4, 3))
def base_write_seen_through_view(m: nn.Module, x: Tensor) -> Tensor:
    y = x * 2
    v = y[0]
    w = y.view(-1)
    y.mul_(3)
    return v + w[:3]


@case((4, 6))
def view_of_view_of_view(m: nn.Module, x: Tensor) -> Tensor:
    y = x + 1
    v = y.view(2, 2, 6).transpose(0, 1)[1].narrow(1, 2, 3)
    v.sigmoid_().add_(5)
    return y * 2


@case((8, 4))
def slices_of_slices(m: nn.Module, x: Tensor) -> Tensor:
    y = x.clone()
    y[2:6][1:3].mul_(10)
    y[2:6][:1].add_(x[0:1])
    return y.sum(0)


@case((3, 4))
def transposed_in_place(m: nn.Module, x: Tensor) -> Tensor:
    y = x * 1.5
    y.t().add_(torch.arange(1, 4, dtype=torch.float32))
    return y.exp()


@case((2, 3))
def in_place_chain(m: nn.Module, x: Tensor) -> Tensor:
    y = x + 0.5
    y.add_(1).mul_(2).sub_(3).sigmoid_()
    return y


@case((4, 3))
def masked_fill_on_view(m: nn.Module, x: Tensor) -> Tensor:
    y = x + 1
    y[1:].masked_fill_(x[1:] > 0.9, 0.0)
    return y


@case((4, 3))
def index_put_on_intermediate(m: nn.Module, x: Tensor) -> Tensor:
    y = x.clone()
    y[torch.tensor([0, 2])] = x[:2] * 7
    return y + x


@case((4, 3), (4, 3))
def scatter_and_index_add(m: nn.Module, x: Tensor, s: Tensor) -> Tensor:
    y = x * 2
    y.scatter_(0, torch.zeros(1, 3, dtype=torch.int64), s)
    y.index_add_(0, torch.tensor([1, 3]), s[:2])
    return y


@case((4, 3))
def assignment_through_diagonal(m: nn.Module, x: Tensor) -> Tensor:
    y = x + 2
    y.diagonal().fill_(9)
    return y


@case((2, 3))
def unsqueeze_in_place(m: nn.Module, x: Tensor) -> Tensor:
    y = x + 1
    v = y[0]
    y.unsqueeze_(0)
    y.add_(1)
    return v + y.sum()


@case((2, 3))
def transpose_in_place(m: nn.Module, x: Tensor) -> Tensor:
    y = x + 1
    y.t_()
    y.mul_(2)
    return y.squeeze_()


@case((4, 3))
def as_strided_in_place(m: nn.Module, x: Tensor) -> Tensor:
    y = x + 1
    v = y[1]
    y.as_strided_((3, 4), (1, 3))
    y.mul_(2)
    return y[0].sum() + v


@case((4, 3))
def resize_in_place(m: nn.Module, x: Tensor) -> Tensor:
    y = x + 1
    v = y[0]
    y.resize_(2, 3)
    y.add_(1)
    return v + y[0]


@case((4, 3))
def set_to_other_storage(m: nn.Module, x: Tensor) -> Tensor:
    y = x + 1
    z = x * 2
    y.set_(z)
    y.add_(1)
    return z


@case((4, 3))
def empty_filled_in_parts(m: nn.Module, x: Tensor) -> Tensor:
    y = torch.empty_like(x)
    y[:2] = x[2:]
    y[2:] = x[:2] * 2
    y.fill_diagonal_(3.0)
    return y


@case((4, 3))
def augmented_assignments(m: nn.Module, x: Tensor) -> Tensor:
    rows = [x * 2, x * 3]
    rows[0] += 1
    rows[1][0] -= x[0]
    rows[0][1:, 1] *= rows[1][1:, 2]
    return rows[0] + rows[1]


# ---- views that may copy --------------------------------------------------------------------------------------------


@case((4, 6))
def reshape_that_views(m: nn.Module, x: Tensor) -> Tensor:
    y = x + 1
    y.reshape(-1).add_(1)
    return y


@case((4, 6))
def reshape_that_copies(m: nn.Module, x: Tensor) -> Tensor:
    y = x + 1
    r = y.t().reshape(-1)
    r.add_(1)
    return y + r.view(4, 6)


@case((4, 6))
def contiguous_both_ways(m: nn.Module, x: Tensor) -> Tensor:
    y = x + 1
    y.contiguous().add_(1)
    y.t().contiguous().mul_(100)
    return y


@case((4, 6))
def to_both_ways(m: nn.Module, x: Tensor) -> Tensor:
    y = x + 1
    y.to(torch.float32).add_(1)
    z = y.to(torch.float64).mul_(3)
    return y + z.float()


@case((2, 3, 4))
def flatten_and_unflatten(m: nn.Module, x: Tensor) -> Tensor:
    y = x * 2
    y.flatten(1).add_(1)
    y.transpose(1, 2).flatten(1).add_(50)
    return y.unflatten(2, (2, 2))


@case((1, 3))
def expand_then_clone(m: nn.Module, x: Tensor) -> Tensor:
    y = x * 2
    e = y.expand(4, 3)
    c = e.clone()
    c.add_(1)
    y.mul_(5)
    return e + c


@case((3, 3))
def detach_and_alias(m: nn.Module, x: Tensor) -> Tensor:
    y = x * 2
    y.detach().add_(1)
    return y


@case((3, 4))
def einsum_and_atleast(m: nn.Module, x: Tensor) -> Tensor:
    y = x + 1
    t = torch.einsum("ij->ji", y)
    a = torch.atleast_3d(y)
    y.add_(1)
    return t.sum() + a.sum()


@case((3, 4))
def as_strided_window(m: nn.Module, x: Tensor) -> Tensor:
    y = x + 1
    w = y.as_strided((2, 4), (4, 1), 2)
    w.add_(10)
    return y


@case((2, 2, 4))
def complex_views(m: nn.Module, x: Tensor) -> Tensor:
    y = x + 1
    c = torch.view_as_complex(y.view(2, 2, 2, 2))
    c.mul_(2)
    return y + torch.view_as_real(c).view(2, 2, 4)


# ---- lists ----------------------------------------------------------------------------------------------------------


@case((4, 6), no_grad=True)
def chunk_then_write(m: nn.Module, x: Tensor) -> Tensor:
    y = x * 2
    a, b = y.chunk(2, dim=1)
    a.add_(b)
    return y


@case((4, 6), no_grad=True)
def split_write_through_base(m: nn.Module, x: Tensor) -> Tensor:
    y = x * 2
    a, b, c = y.split([1, 2, 3], dim=1)
    y.add_(1)
    return a.sum() + b.sum() + c.sum()


@case((3, 4), no_grad=True)
def unbind_then_write(m: nn.Module, x: Tensor) -> Tensor:
    y = x + 1
    rows = y.unbind(0)
    rows[1].mul_(rows[0])
    return torch.stack(rows) + y


@case((3, 4), (3, 4), (2, 2))
def foreach_in_place(m: nn.Module, x: Tensor, z: Tensor, w: Tensor) -> Tensor:
    y = x + 1
    torch._foreach_add_([y, z, w], 2.0)
    torch._foreach_mul_([y, z], [z, x])
    return y.sum() + w.sum()


@case((3, 4))
def several_results(m: nn.Module, x: Tensor) -> Tensor:
    y = x + 1
    values, indices = y.max(dim=1)
    values.add_(1)
    a, b = torch.aminmax(y)
    return values.sum() + y.sum() + a + b + indices.sum()


# ---- inputs, buffers, parameters ------------------------------------------------------------------------------------


@case((5, 4))
def write_to_user_input(m: nn.Module, x: Tensor) -> Tensor:
    y = x * 2
    x.add_(1)
    return y + x


@case((5, 4))
def write_to_view_of_user_input(m: nn.Module, x: Tensor) -> Tensor:
    v = x[1:3]
    before = x.sum()
    v.mul_(v)
    return x + before


@case((5, 4), (5, 4))
def copy_between_inputs(m: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    x.copy_(y)
    y.neg_()
    return x + y


@module_case(functional=False, why_not="torch's functionalisation fails on inputs that share a storage")
def inputs_that_share_a_storage() -> tuple[nn.Module, tuple[Any, ...]]:
    def function(m: nn.Module, x: Tensor, part: Tensor) -> Tensor:
        before = part.sum()
        x.add_(1)
        return part + before

    x = rand(4, 3)
    return Function(function), (x, x[1:])


@case((2, 3), buffers={"count": (1,), "state": (2, 3)})
def write_to_buffers(m: Any, x: Tensor) -> Tensor:
    m.count += 1
    m.state[0].copy_(x[0])
    return m.state * m.count


@case((2, 3), buffers={"state": (2, 3)})
def buffer_returned_as_view(m: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    m.state.add_(x)
    return m.state[0], m.state.t()


@case((4, 3))
def views_as_outputs(m: nn.Module, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    y = x + 1
    return y[0], y.t(), x[1:]


@module_case(no_grad=True)
def write_to_parameter() -> tuple[nn.Module, tuple[Any, ...]]:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            y = self.fc(x)
            self.fc.weight.mul_(0.5)
            return y + self.fc(x)

    return Model(), (rand(2, 3),)


@module_case(no_grad=True, functional=False, why_not="torch copies tied parameters back under one of their names only")
def write_to_tied_parameters() -> tuple[nn.Module, tuple[Any, ...]]:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)
            self.b.weight = self.a.weight

        def forward(self, x: Tensor) -> Tensor:
            y = self.a(x)
            self.a.weight.add_(1)
            return y + self.b(x)

    return Model(), (rand(2, 3),)


@module_case(no_grad=True)
def optimizer_step_written_out() -> tuple[nn.Module, tuple[Any, ...]]:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(rand(4))
            self.register_buffer("moment", torch.zeros(4))

        def forward(self, g: Tensor) -> Tensor:
            self.moment.lerp_(g, 0.1)
            self.w.addcdiv_(self.moment, g.abs() + 1, value=-0.01)
            return self.w.sum()

    return Model(), (rand(4),)


# ---- caches ---------------------------------------------------------------------------------------------------------


@case((2, 1, 4), buffers={"cache": (2, 8, 4)})
def cache_by_slice(m: Any, k: Tensor) -> Tensor:
    m.cache[:, 3:4] = k
    return (m.cache[:, :4] * k).sum(-1)


@case((2, 1, 4), buffers={"cache": (2, 8, 4)})
def cache_by_index_copy(m: Any, k: Tensor) -> Tensor:
    m.cache.index_copy_(1, torch.tensor([3]), k)
    return m.cache.sum(1)


@module_case()
def cache_by_index_put() -> tuple[nn.Module, tuple[Any, ...]]:
    def function(m: Any, k: Tensor, position: Tensor) -> Tensor:
        m.cache[:, position] = k
        return m.cache.sum(1)

    return Function(function, cache=rand(2, 8, 4)), (rand(2, 1, 4), torch.tensor([5]))


@case((2, 1, 4), (2, 8, 4))
def cache_as_input(m: nn.Module, k: Tensor, cache: Tensor) -> Tensor:
    cache.narrow(1, 2, 1).copy_(k)
    return torch.matmul(k, cache.transpose(1, 2))


@case((2, 1, 4), buffers={"cache": (2, 4, 4)})
def cache_rolls(m: Any, k: Tensor) -> Tensor:
    rolled = m.cache.roll(-1, 1)
    rolled[:, -1:] = k
    m.cache.copy_(rolled)
    return rolled * 2


# ---- hidden writes --------------------------------------------------------------------------------------------------


@module_case()
def batch_norm_training() -> tuple[nn.Module, tuple[Any, ...]]:
    return nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.SiLU(inplace=True)).train(), (rand(2, 2, 4, 4),)


@module_case()
def batch_norm_eval() -> tuple[nn.Module, tuple[Any, ...]]:
    return nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 3)).eval(), (rand(4, 3),)


@module_case()
def batch_norm_called_twice() -> tuple[nn.Module, tuple[Any, ...]]:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(3, momentum=0.5)

        def forward(self, x: Tensor) -> Tensor:
            return self.norm(self.norm(x) + 1)

    return Model().train(), (rand(4, 3),)


@module_case(functional=False, why_not="torch's functionalisation loses what instance_norm writes")
def instance_norm_training() -> tuple[nn.Module, tuple[Any, ...]]:
    return nn.InstanceNorm1d(3, track_running_stats=True).train(), (rand(2, 3, 5),)


@module_case()
def dropout_eval_is_identity() -> tuple[nn.Module, tuple[Any, ...]]:
    def function(m: Any, x: Tensor) -> Tensor:
        y = x + 1
        d = torch.nn.functional.dropout(y, 0.5, training=False)
        e = torch.nn.functional.alpha_dropout(d, 0.5, training=False)
        y.add_(10)
        return d * 2 + e

    return Function(function), (rand(3, 4),)


@case((3, 4))
def dropout_eval_then_view_then_write(m: nn.Module, x: Tensor) -> Tensor:
    y = x + 1
    d = torch.nn.functional.dropout(y, 0.1, training=False)
    d.view(-1)[0:4].add_(3)
    return y


@case((3, 4), random=True)
def dropout_training_is_fresh(m: nn.Module, x: Tensor) -> Tensor:
    y = x + 1
    d = torch.nn.functional.dropout(y, 0.5, training=True)
    y.add_(1)
    d.add_(2)
    return y + d


@case((3, 4))
def dropout_of_nothing(m: nn.Module, x: Tensor) -> Tensor:
    y = x + 1
    d = torch.nn.functional.dropout(y, 0.0, training=True)
    y.add_(1)
    return d


# ---- custom operators -----------------------------------------------------------------------------------------------


@torch.library.custom_op("fxcost_alias::accumulate", mutates_args={"total"})
def accumulate(total: Tensor, term: Tensor) -> None:
    total.add_(term.sum())


@torch.library.custom_op("fxcost_alias::step", mutates_args={"state"})
def step(state: Tensor, x: Tensor) -> Tensor:
    state.mul_(2).add_(x)
    return state * 3


@step.register_fake
def _(state: Tensor, x: Tensor) -> Tensor:
    return torch.empty_like(state)


@torch.library.custom_op("fxcost_alias::bump_all", mutates_args={"tensors"})
def bump_all(tensors: list[Tensor], by: float) -> None:
    for tensor in tensors:
        tensor.add_(by)


@torch.library.custom_op("fxcost_alias::pure", mutates_args=())
def pure(x: Tensor) -> Tensor:
    return x * 2 + 1


@pure.register_fake
def _(x: Tensor) -> Tensor:
    return torch.empty_like(x)


@case((3, 4), buffers={"total": (1,)})
def custom_returns_nothing(m: Any, x: Tensor) -> Tensor:
    accumulate(m.total, x)
    y = x * m.total
    accumulate(y[0], x)
    return y + pure(y)


@case((3, 4), (3, 4))
def custom_writes_and_returns(m: nn.Module, state: Tensor, x: Tensor) -> Tensor:
    r = step(state, x)
    r.add_(1)
    return r + state


@case((3, 4), (3, 4), no_grad=True)
def custom_writes_a_list(m: nn.Module, x: Tensor, z: Tensor) -> Tensor:
    y = x + 1
    bump_all([y[0], z], 2.5)
    return y + z


# ---- regions --------------------------------------------------------------------------------------------------------


@case((4, 4), buffers={"w": (4, 4)})
def autocast_inside(m: Any, x: Tensor) -> Tensor:
    y = x + 1
    with torch.autocast("cpu", dtype=torch.bfloat16):
        z = torch.mm(y, m.w)
        y.add_(1)
        v = y[0]
    v.mul_(2)
    return z.float() + y


@case((4, 4), buffers={"w": (4, 4)})
def autocast_writes_to_inputs(m: Any, x: Tensor) -> Tensor:
    before = x.sum()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        x[0].add_(1)
        m.w.copy_(torch.mm(x, m.w))
        inner = x.sum()
    return before + inner + m.w.sum()


@case((4, 4))
def no_grad_inside(m: nn.Module, x: Tensor) -> Tensor:
    y = x * 2
    with torch.no_grad():
        y.view(-1)[3:7].zero_()
        z = y.t()
    z.add_(1)
    return y


@case((4, 4))
def nested_regions(m: nn.Module, x: Tensor) -> Tensor:
    y = x * 2
    with torch.no_grad():
        y.add_(1)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            w = y[1:]
            w.mul_(3)
            q = torch.mm(y, y)
        q.add_(1)
    return y + q.float()


# ---- out= and dynamic sizes -----------------------------------------------------------------------------------------


@case((3, 4), buffers={"room": (3, 4)}, no_grad=True)
def out_argument(m: Any, x: Tensor) -> Tensor:
    y = torch.empty(3, 4)
    torch.add(x, 1, out=y)
    torch.mul(y, 2, out=m.room)
    return y + m.room


@case((4, 6), dynamic=({0: torch.export.Dim("batch", min=2, max=64)},))
def dynamic_views(m: nn.Module, x: Tensor) -> Tensor:
    y = x * 2
    y.view(-1, 3).add_(1)
    y[:, 0].zero_()
    r = y.t().reshape(-1)
    r.add_(2)
    x.sub_(1)
    return y.sum(1) + r.sum()


@case((4, 2, 4), buffers={"cache": (16, 8, 4)}, dynamic=({0: torch.export.Dim("batch", min=2, max=16)},))
def dynamic_cache(m: Any, k: Tensor) -> Tensor:
    m.cache[: k.shape[0], 2:4] = k
    return m.cache[: k.shape[0]].sum(1)
