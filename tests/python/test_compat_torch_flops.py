"""torch_flops' class with one import changed. Counts follow from the sizes of the models by its documented formulas (a
dot product of k terms is 2 k - 1, a norm 4 per element); where torch_flops is installed, it is asked too, node by
node."""

from __future__ import annotations

import csv
import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "peers"))

from programs import OPERATORS, Block, Toy  # noqa: E402

from fxcost.compat.torch_flops import TorchFLOPsByFX  # noqa: E402
from fxcost.errors import FxcostError  # noqa: E402
from fxcost.measured import LiveTensors, MeasuredInterpreter  # noqa: E402


class Residual(nn.Module):
    """A stem, a block with a shortcut, a head: the parts of a ResNet."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1, self.relu = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()
        self.maxpool = nn.MaxPool2d(2)
        self.conv2, self.bn2 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        y = self.bn2(self.conv2(x))
        y += x
        x = self.avgpool(self.relu(y))
        return self.fc(torch.flatten(x, 1))


class Sizes(nn.Module):
    """Arithmetic on sizes, a function that torch_flops does not know, methods, results that nothing has computed."""

    def forward(self, x: Tensor) -> Tensor:
        rows = x.shape[0] * 2
        y = F.silu(x).reshape(rows, -1)
        y = (2 - y).softmax(-1).exp() - (y @ y.transpose(0, 1)).sum()
        return torch.cat([y.unsqueeze(0), y.unsqueeze(0)]).sqrt()


def flops(counter: TorchFLOPsByFX) -> dict[str, Any]:
    return {row[0]: row[4] for row in counter.print_result_table(show=False)}


def counted(model: nn.Module, *args: Any, **options: Any) -> TorchFLOPsByFX:
    counter = TorchFLOPsByFX(model, **options)
    with torch.no_grad():
        counter.propagate(*args)
    return counter


def test_toy(capsys: pytest.CaptureFixture[str]) -> None:
    """The example of the README: 40 of the layer, 4 of `x += 1.`; its report, its numbers read back."""
    counter = counted(Toy(), torch.randn(1, 5))
    assert flops(counter) == {"x": 0, "linear": 40, "add": 4, "output": 0}
    counter.print_result_table()
    assert counter.print_total_flops() == 44
    milliseconds, most = counter.print_total_time(), counter.print_max_memory()
    printed = capsys.readouterr().out
    assert printed.splitlines()[1].split() == counter.result_header
    assert ["linear", "call_module", "linear", "Linear", "40"] in [line.split()[:5] for line in printed.splitlines()]
    assert printed.splitlines()[-3:] == [
        "total_flops =  44 ",
        f"total_time = {milliseconds:.3f} ms",
        f"max_memory = {most:3,} Bytes",
    ]
    assert flops(counted(Toy(bias=False), torch.randn(1, 5)))["linear"] == 36


def test_convolutions() -> None:
    """torch_flops takes a kernel that is given as one number for that many places: 2 of MaxPool2d(2), less one."""
    counter = counted(Residual(), torch.randn(2, 3, 16, 16))
    stem, half, heads = 2 * 8 * 16 * 16, 2 * 8 * 8 * 8, 2 * 8
    expected = {"x": 0, "conv1": stem * (2 * 27 - 1), "bn1": 4 * stem, "relu": stem, "maxpool": (2 - 1) * half}
    expected |= {"conv2": half * (2 * 72 - 1), "bn2": 4 * half, "add": half, "relu_1": half, "avgpool": 64 * heads}
    expected |= {"fc": 2 * 8 * 2 * 10, "output": 0}
    assert flops(counter) == {**expected, "flatten": "not_recognized"}
    assert counter.print_total_flops(show=False) == sum(expected.values())
    assert counter.left_out() == []


def test_attention() -> None:
    """A block of ViT, unfused, two heads: torch_flops' second example."""
    counter = counted(Block(768, 2), torch.randn(1, 197, 768))
    width, tokens, heads, depth = 768, 197, 2, 384
    n, scores = tokens * width, heads * tokens * tokens
    expected = {"norm1": 4 * n, "qkv": 2 * width * 3 * n, "mul": n, "matmul": (2 * depth - 1) * scores}
    expected |= {"softmax": 3 * scores - heads * tokens, "matmul_1": (2 * tokens - 1) * n, "proj": 2 * width * n}
    expected |= {"add": n, "norm2": 4 * n, "fc1": 2 * width * 4 * n, "act": 4 * n, "fc2": 2 * 4 * width * n, "add_1": n}
    assert {name: count for name, count in flops(counter).items() if count} == expected
    assert counter.print_total_flops(show=False) == sum(expected.values())


def test_what_is_not_known() -> None:
    counter = counted(Sizes(), torch.randn(3, 8))
    found = flops(counter)
    assert {name for name, count in found.items() if count == "not_recognized"} == {"silu", "sqrt"}
    assert (found["mul"], found["sub"], found["matmul"], found["sum_1"]) == (0, 24, 36 * (2 * 4 - 1), 35)
    assert [(gap.op, gap.flops > 0) for gap in counter.left_out()] == [("aten.silu.default", True)]


def test_ignored() -> None:
    counter = counted(Residual(), torch.randn(2, 3, 16, 16), ignore_ops=["Conv2d", "add"])
    found = flops(counter)
    assert (found["conv1"], found["conv2"], found["add"]) == ("ignored", "ignored", 0)
    assert flops(counted(Toy(), torch.randn(1, 5), ignore_ops="Linear"))["linear"] == "ignored"
    assert counter.print_total_time(show=False) > 0


def test_time_and_memory() -> None:
    """Bytes by hand: of parameters (24 elements), of the input (5), of the results (4 and 4)."""
    counter = counted(Toy(), torch.randn(1, 5))
    before, after, delta = ([row[column] for row in counter.result_table] for column in (6, 7, 8))
    assert before == [116, 116, 132, 132] and after == [116, 132, 148, 132] and delta == [0, 16, 16, 0]
    assert counter.print_max_memory(show=False) == 148
    times = [row[5] for row in counter.result_table]
    assert min(times) > 0 and counter.print_total_time(show=False) == pytest.approx(sum(times))
    node = next(node for node in counter.graph_model.graph.nodes if node.name == "linear")
    assert (node.meta["flops"], node.meta["mem_after"], node.meta["time"]) == (40, 132, times[1])


def test_storages_count_once_and_while_they_live() -> None:
    live = LiveTensors()
    first = torch.zeros(10)
    view, second = first[2:], torch.zeros(5)
    live.hold([first, {"view": view}, second])
    assert live.bytes == 60
    del first
    assert live.bytes == 60
    del view
    assert live.bytes == 20


@pytest.mark.parametrize(("name", "reset"), [("max_memory_allocated", True), ("memory_allocated", False)])
def test_counters_of_cuda(name: str, reset: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """On CUDA torch's counters are asked, and the device is waited for; in their place here, functions that note it."""
    calls: list[str] = []
    counter = TorchFLOPsByFX(Toy())
    for function in ("synchronize", "reset_peak_memory_stats", name):
        note = lambda device, function=function: calls.append(function) or 100 * len(calls)  # noqa: E731
        monkeypatch.setattr(torch.cuda, function, note)
    interpreter = MeasuredInterpreter(counter.graph_model, name)
    interpreter._device = torch.device("cuda")
    torch.fx.Interpreter.run(interpreter, torch.randn(1, 5))
    once = [*(["reset_peak_memory_stats"] if reset else []), name, "synchronize", "synchronize", name]
    assert calls == once * 4
    first = next(iter(interpreter.found.values()))
    assert (first.before, first.delta) == ((200, 300) if reset else (100, 300))


def test_file(tmp_path: Path) -> None:
    counter, path = counted(Toy(), torch.randn(1, 5)), tmp_path / "result.csv"
    counter.save_result_to_csv(str(path))
    counter.save_result_to_csv(path, mode="a")
    with path.open() as file:
        lines = [row for row in csv.reader(file) if row]
    assert lines[0] == lines[5] == counter.result_header
    assert [row[:5] for row in lines[1:3]] == [["x", "placeholder", "x", "", "0"]] + [
        ["linear", "call_module", "linear", "Linear", "40"]
    ]
    assert len(lines) == 10


def test_what_it_does_not_take() -> None:
    class Branch(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(FxcostError, match=r"cannot be traced by torch\.fx"):
        TorchFLOPsByFX(Branch())
    with pytest.raises(FxcostError, match="mem_func_name"):
        TorchFLOPsByFX(Toy(), mem_func_name="memory_reserved")  # type: ignore[arg-type]
    with pytest.raises(FxcostError, match="propagate"):
        TorchFLOPsByFX(Toy()).print_total_flops()


# ---- live -----------------------------------------------------------------------------------------------------------

MODELS: dict[str, Any] = {
    "toy": lambda: (Toy(), (torch.randn(1, 5),)),
    "residual": lambda: (Residual(), (torch.randn(2, 3, 16, 16),)),
    "block": lambda: (Block(768, 2), (torch.randn(1, 197, 768),)),
}
# torch_flops raises an AttributeError at norms without weights.
RAISES = {"nn.BatchNorm2d, plain", "nn.InstanceNorm2d"}


def own(monkeypatch: pytest.MonkeyPatch, model: nn.Module, args: Any, **options: Any) -> Any:
    """torch_flops itself. It asks for memory of a GPU on a CPU too, and the traced model for a parameter."""
    for name in ("max_memory_allocated", "memory_allocated", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.cuda, name, lambda *_args, **_kwargs: 0)
    import torch_flops

    counter = torch_flops.TorchFLOPsByFX(model, **options)
    counter.graph_model.register_parameter("for_its_device", nn.Parameter(torch.zeros(1)))
    with torch.no_grad():
        counter.propagate(*args)
    return counter


live = pytest.mark.skipif(
    importlib.util.find_spec("torch_flops") is None, reason="torch_flops is not installed here (tests/peers/setup.sh)"
)


@live
@pytest.mark.parametrize("name", [name for name in (*MODELS, *OPERATORS) if name not in RAISES])
def test_the_same_rows_as_torch_flops(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model, args = (MODELS | OPERATORS)[name]()
    theirs, ours = own(monkeypatch, model, args), counted(model, *args)
    assert ours.result_header == theirs.result_header
    assert [row[:5] for row in ours.result_table] == [row[:5] for row in theirs.result_table]
    assert ours.print_total_flops(show=False) == theirs.print_total_flops(show=False)


@live
def test_prints_as_torch_flops_does(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    args = (torch.randn(2, 3, 16, 16),)
    ours, theirs = counted(Residual(), *args), own(monkeypatch, Residual(), args)
    texts = []
    for counter in (ours, theirs):
        for row in counter.result_table:
            row[5:] = [1.5, 1000, 2000, 1000]
        counter.print_result_table(), counter.print_total_flops(), counter.print_total_time()
        counter.print_max_memory()
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]


@live
def test_ignores_what_torch_flops_ignores(monkeypatch: pytest.MonkeyPatch) -> None:
    args, ignored = (torch.randn(2, 3, 16, 16),), ["Conv2d", "add", "ReLU"]
    ours = counted(Residual(), *args, ignore_ops=ignored)
    theirs = own(monkeypatch, Residual(), args, ignore_ops=ignored)
    assert flops(ours) == flops(theirs)
    assert ours.print_total_flops(show=False) == theirs.print_total_flops(show=False)


@live
def test_arithmetic_on_sizes_is_no_work_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch_flops counts 1 for a product of two numbers; the rest is the same."""
    args = (torch.randn(3, 8),)
    assert {**flops(counted(Sizes(), *args)), "mul": 1} == flops(own(monkeypatch, Sizes(), args))
