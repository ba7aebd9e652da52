"""Training steps captured on fake tensors: matrix FLOPs equal torch's FlopCounterMode around the real step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop
from torch.utils.flop_counter import FlopCounterMode
from training_models import MODELS, llama

import fxcost
from fxcost.binding import Program
from fxcost.models import load
from fxcost.options import Options


def eager(step: Callable[[], torch.Tensor]) -> int:
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        step().backward()
    return int(counter.get_total_flops())


def step_of(model: nn.Module, inputs: dict[str, Any]) -> tuple[int, fxcost.Report]:
    report = fxcost.analyze(model, (), inputs, mode="train")
    return eager(lambda: model(**inputs).loss), report


def matrix_by_phase(report: fxcost.Report) -> dict[str, int]:
    sums = {"forward": 0, "backward": 0, "recompute": 0}
    for row in report.to_dict("node")["rows"]:
        sums[next((phase for phase in sums if row[f"{phase}_flops"]), "forward")] += row["matrix_flops"]
    return sums


def with_input_gradients(model: nn.Module, inputs: dict[str, Any]) -> dict[str, Any]:
    """Images that require a gradient, or embedded tokens in place of their numbers."""
    changed = {}
    for name, value in inputs.items():
        if name == "input_ids":
            name, value = "inputs_embeds", model.get_input_embeddings()(value).detach()
        changed[name] = value.requires_grad_() if value.is_floating_point() else value
    return changed


def freeze_half(model: nn.Module) -> None:
    parameters = list(model.parameters())
    for parameter in parameters[: len(parameters) // 2]:
        parameter.requires_grad_(False)


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("variant", ["plain", "input_grad", "frozen"])
@pytest.mark.parametrize("name", MODELS)
def test_step_equals_flop_counter(name: str, variant: str, training: bool) -> None:
    torch.manual_seed(0)
    model, inputs = MODELS[name]()
    model.train(training)
    if variant == "input_grad":
        inputs = with_input_gradients(model, inputs)
    if variant == "frozen":
        freeze_half(model)
    expected, report = step_of(model, inputs)
    assert report.matrix_flops == expected > 0
    assert report.unknown == {}
    totals = report.to_dict()["totals"]
    assert totals["backward_flops"] > 0
    assert totals["recompute_flops"] == totals["optimizer_flops"] == 0


@pytest.mark.parametrize("early_stop", [True, False])
def test_checkpoints_of_a_transformer(early_stop: bool) -> None:
    model, inputs = llama()
    model.train()
    plain = matrix_by_phase(fxcost.analyze(model, (), inputs, mode="train"))
    model.gradient_checkpointing_enable({"use_reentrant": False})
    with set_checkpoint_early_stop(early_stop):
        expected, report = step_of(model, inputs)
    assert report.matrix_flops == expected
    again = matrix_by_phase(report)
    assert {**again, "recompute": 0} == plain
    assert 0 < again["recompute"] <= plain["forward"]


class Checkpointed(nn.Module):
    """Two linear layers with an activation between, in a checkpoint."""

    def __init__(self, reentrant: bool) -> None:
        super().__init__()
        self.a, self.b, self.reentrant = nn.Linear(8, 8), nn.Linear(8, 8), reentrant

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return checkpoint(lambda x: self.b(torch.relu(self.a(x))), x, use_reentrant=self.reentrant)


@pytest.mark.parametrize(("reentrant", "early_stop", "again"), [(False, True, 1), (False, False, 2), (True, True, 2)])
def test_what_a_checkpoint_computes_again(reentrant: bool, early_stop: bool, again: int) -> None:
    """Early stop leaves the last product out: nothing after it is needed."""
    model, x = Checkpointed(reentrant).train(), torch.randn(4, 8, requires_grad=True)
    product = 2 * 4 * 8 * 8
    with set_checkpoint_early_stop(early_stop):
        report = fxcost.analyze(model, (x,), mode="train")
        assert report.matrix_flops == eager(lambda: model(x).sum()) == (6 + again) * product
    assert matrix_by_phase(report)["recompute"] == again * product
    nodes = [row for row in report.to_dict("node")["rows"] if row["recompute_flops"]]
    assert {row["module"] for row in nodes} >= {"a", "b"} if again == 2 else {"a"}


class Block(nn.Module):
    """torchvision's BasicBlock."""

    def __init__(self, wide_in: int, wide: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(wide_in, wide, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(wide)
        self.conv2 = nn.Conv2d(wide, wide, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or wide_in != wide:
            self.downsample = nn.Sequential(nn.Conv2d(wide_in, wide, 1, stride, bias=False), nn.BatchNorm2d(wide))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.downsample(x))


def resnet18() -> nn.Module:
    """torchvision's ResNet-18, written out."""
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    layers.append(nn.MaxPool2d(3, 2, 1))
    wide_in = 64
    for wide, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        layers += [Block(wide_in, wide, stride), Block(wide, wide, 1)]
        wide_in = wide
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))


@pytest.mark.parametrize(("input_grad", "known"), [(False, 10_648_412_160), (True, 10_884_440_064)])
def test_known_figures_of_resnet18(input_grad: bool, known: int) -> None:
    """FlopCounterMode's published figures for ResNet-18 at 1x3x224x224, which its formulas also give live."""
    model, x = resnet18().train(), torch.randn(1, 3, 224, 224, requires_grad=input_grad)
    report = fxcost.analyze(model, (x,), mode="train")
    assert matrix_by_phase(report)["forward"] == 3_628_146_688
    assert report.matrix_flops == known
    assert eager(lambda: model(x).sum()) == known


def test_backward_belongs_to_the_module_of_its_forward() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
    report = fxcost.analyze(model, (torch.randn(3, 4),), mode="train")
    rows = {row["name"]: row for row in report.to_dict()["rows"]}
    matrix = {name: row["matrix_flops"] for name, row in rows.items()}
    # the first layer has no gradient of its input: one product back; the last has two
    assert matrix == {"": 2 * 3 * (2 * 4 * 8 + 3 * 8 * 2), "0": 2 * 2 * 3 * 4 * 8, "1": 0, "2": 3 * 2 * 3 * 8 * 2}
    assert rows["1"]["backward_flops"] > 0


def test_activations_are_those_of_the_forward_pass() -> None:
    model, x = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)), torch.randn(3, 4)
    step = fxcost.analyze(model, (x,), mode="train").to_dict()["totals"]
    assert step["activations"] == fxcost.analyze(model, (x,)).to_dict()["totals"]["activations"] == 3 * (8 + 2)


def test_the_loss_that_is_differentiated() -> None:
    model = nn.Linear(3, 2)
    x = torch.randn(4, 3)
    heads = {
        "sum of the output": {},
        "given": {"loss": lambda y: y.square().mean()},
    }
    for text, options in heads.items():
        shown = str(fxcost.analyze(model, (x,), mode="train", **options))
        assert f"loss        {text}" in shown and "backward" in shown


def test_the_model_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    model(torch.randn(2, 3, 8, 8)).sum().backward()
    before = {name: (id(tensor), id(tensor.grad)) for name, tensor in model.named_parameters()}
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    report = fxcost.analyze(model, (torch.randn(2, 3, 8, 8),), mode="train")
    assert {name: (id(tensor), id(tensor.grad)) for name, tensor in model.named_parameters()} == before
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert report.to_dict()["totals"]["accumulation_flops"] == 0  # gradients of an earlier step are put aside


@pytest.mark.parametrize("name", MODELS)
def test_columns_add_up(name: str) -> None:
    """Nodes, operators, classes and modules each add up to the totals, column by column."""
    model, inputs = MODELS[name]()
    report = fxcost.analyze(model.train(), (), inputs, mode="train")
    totals = report.to_dict()["totals"]
    phases = [f"{phase}_flops" for phase in ("forward", "backward", "accumulation", "recompute", "optimizer")]
    columns = ["macs", "flops", "matrix_flops", "vector_flops", "transcendentals", "int_ops", "bytes_read"]
    columns += ["bytes_written", "kernels", *phases]
    for column in columns:
        for by in ("node", "op", "class"):
            assert sum(row[column] for row in report.to_dict(by)["rows"]) == totals[column], (by, column)
        assert report.to_dict()["rows"][0][column] == totals[column]
    assert sum(totals[phase] for phase in phases) == totals["flops"]


def test_models_with_a_head_have_their_own_loss() -> None:
    for spec, settings in (("hf:gpt2", {"n_layer": 1}), ("hf:vit", {"num_hidden_layers": 1})):
        model = load(spec, Options(batch=2, seq=8, settings=settings))
        report = fxcost.Report(Program.from_bytes(model.capture(train=True, mode="train").to_bytes()))
        assert "loss        the model's own" in str(report)
        assert report.unknown == {} and report.phases["backward"] > report.phases["forward"]


def test_errors_say_what_to_do() -> None:
    frozen = nn.Linear(3, 2).requires_grad_(False)
    with pytest.raises(fxcost.FxcostError, match="requires a gradient"):
        fxcost.analyze(frozen, (torch.randn(4, 3),), mode="train")
    with pytest.raises(fxcost.FxcostError, match="'forward' or 'train'"):
        fxcost.analyze(frozen, (torch.randn(4, 3),), mode="backwards")
    with pytest.raises(fxcost.FxcostError, match="a model that autograd can run"):
        fxcost.capture(torch.export.export(frozen, (torch.randn(4, 3),)), mode="train")
