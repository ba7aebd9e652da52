"""Stages of a pipeline against brute force: every cut of small random programs is tried, with memory and communication
worked out here from who makes and who uses what. Times of nodes are the library's own, and have tests of their own."""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import dataclass, field
from pathlib import Path

import jsonschema
import pytest
import torch
from conftest import ROOT, Run
from llama_memory import Llama
from torch import nn

import fxcost
from fxcost.binding import Analysis, Program, Status
from fxcost.partitions import Partition

DEVICE = "a100-sxm-80gb"
ROWS = 64


@dataclass
class Graph:
    """A random program of one chain of matrices after another, with residuals, shared weights and several results."""

    widths: dict[str, int] = field(default_factory=dict)  # of tensors [ROWS, width]
    weights: dict[str, int] = field(default_factory=dict)  # elements
    nodes: list[tuple[str, list[str], list[str]]] = field(default_factory=list)  # name, tensors and weights it uses
    text: list[str] = field(default_factory=list)
    returned: list[str] = field(default_factory=list)

    def source(self) -> str:
        lines, storage = ["fxir 1.0", 'graph "main" captured'], itertools.count()
        shapes = {name: f"f32[{name.split('_')[2]}, {name.split('_')[1]}]" for name in self.weights}
        for name, shape in shapes.items():
            lines.append(f'  input %{name}: {shape} @{next(storage)} = parameter "{name}"')
        lines.append(f"  input %x: f32[{ROWS}, {self.widths['x']}] @{next(storage)}")
        lines += [f"  {line} @{next(storage)}" for line in self.text]
        lines += [f"  return %{name}" for name in self.returned]
        lines += [f'param %{name} = parameter "{name}"' for name in self.weights]
        return "\n".join(lines) + "\n"


def random_graph(seed: int) -> Graph:
    pick = random.Random(seed)
    graph = Graph(widths={"x": pick.choice([32, 256, 1024])})
    for i in range(pick.randint(4, 12)):
        name, before = f"n{i}", pick.choice(list(graph.widths)[-3:])
        width = graph.widths[before]
        same = [other for other, size in graph.widths.items() if size == width]
        kind = pick.choice(["linear", "linear", "relu", "add"])
        if kind == "linear":
            width = pick.choice([32, 256, 1024, 2048])
            weight = f"w{pick.randint(0, 3)}_{graph.widths[before]}_{width}"
            graph.weights[weight] = graph.widths[before] * width
            graph.text.append(
                f"%{name} = aten.linear.default(input=%{before}, weight=%{weight}) -> f32[{ROWS}, {width}]"
            )
            graph.nodes.append((name, [before], [weight]))
        elif kind == "relu":
            graph.text.append(f"%{name} = aten.relu.default(self=%{before}) -> f32[{ROWS}, {width}]")
            graph.nodes.append((name, [before], []))
        else:
            other = pick.choice(same)
            line = f"%{name} = aten.add.Tensor(self=%{before}, other=%{other}) -> f32[{ROWS}, {width}]"
            graph.text.append(line)
            graph.nodes.append((name, sorted({before, other}), []))
        graph.widths[name] = width
    used = {tensor for _, tensors, _ in graph.nodes for tensor in tensors}
    graph.returned = [name for name, _, _ in graph.nodes if name not in used or pick.random() < 0.15]
    return graph


class Brute:
    """What any cut of a graph costs, from its definition."""

    def __init__(self, graph: Graph, seconds: list[float]) -> None:
        self.graph, self.seconds = graph, seconds
        self.place = {name: i for i, (name, _, _) in enumerate(graph.nodes)}
        self.last = {
            name: max((i for i, (_, t, _) in enumerate(graph.nodes) if name in t), default=-1) for name in graph.widths
        }

    def size(self, tensor: str) -> int:
        return 4 * ROWS * self.graph.widths[tensor]

    def memory(self, begin: int, end: int) -> int:
        """Weights and input once each; at each node what came before and is still used, or was made here to be
        returned, and the node's own result."""
        nodes = self.graph.nodes[begin:end]
        held = sum(4 * self.graph.weights[w] for w in {w for _, _, weights in nodes for w in weights})
        held += self.size("x") if any("x" in tensors for _, tensors, _ in nodes) else 0
        most = 0
        for at in range(begin, end):
            alive = {self.graph.nodes[at][0]}
            for name, made in self.place.items():
                if made < at and (self.last[name] >= at or (name in self.graph.returned and self.stays(name, begin))):
                    alive.add(name)
            most = max(most, sum(map(self.size, alive)))
        return held + most

    def stays(self, name: str, begin: int) -> bool:
        return max(self.place[name], self.last[name]) >= begin

    def sent(self, cut: int) -> int:
        return sum(self.size(name) for name, made in self.place.items() if made < cut <= self.last[name])

    def cuts(self, stages: int, limit: float) -> list[tuple[float, int, tuple[int, ...]]]:
        """Slowest stage, bytes sent and places of all cuts within the limit."""
        found = []
        for places in itertools.combinations(range(1, len(self.graph.nodes)), stages - 1):
            parts = list(zip((0, *places), (*places, len(self.graph.nodes)), strict=True))
            if all(self.memory(*part) <= limit for part in parts):
                found.append((max(sum(self.seconds[b:e]) for b, e in parts), sum(map(self.sent, places)), places))
        return found


def stage_ends(partition: Partition) -> tuple[int, ...]:
    return tuple(itertools.accumulate(stage.nodes for stage in partition.stages))[:-1]


def test_a_hundred_random_graphs_against_brute_force() -> None:
    checked = refused = saved = 0
    for seed in itertools.count():
        if checked == 100:
            break
        graph, pick = random_graph(seed), random.Random(-seed)
        program = Program.from_bytes(graph.source().encode())
        analysis = Analysis(program, device=DEVICE)
        brute = Brute(graph, [cost.seconds for cost in analysis.nodes()])
        stages = pick.randint(1, min(5, len(graph.nodes)))
        whole = brute.memory(0, len(graph.nodes))
        limit = whole if pick.random() < 0.4 else int(whole * pick.uniform(0.3, 1.0))
        slack = pick.choice([0.0, 0.01, 0.5])
        cuts = brute.cuts(stages, limit)
        if not cuts:
            with pytest.raises(fxcost.FxcostError, match=f"{stages} stages of at most {limit} bytes"):
                Partition(analysis, stages, limit, slack)
            refused += 1
            continue
        found = Partition(analysis, stages, limit, slack)
        best = min(slowest for slowest, _, _ in cuts)
        ends = stage_ends(found)
        slowest, sent, _ = next(cut for cut in cuts if cut[2] == ends)  # it is one of the cuts that fit
        assert found.best_seconds == pytest.approx(best, rel=1e-9), seed
        assert found.bottleneck_seconds == pytest.approx(slowest, rel=1e-9)
        assert slowest <= best * (1 + slack) * (1 + 1e-9) and found.sent_bytes == sent
        near = [cut for cut in cuts if cut[0] <= best * (1 + slack) * (1 + 1e-9)]
        assert sent == min(bytes_ for _, bytes_, _ in near), seed
        assert slowest <= min(time for time, bytes_, _ in near if bytes_ == sent) * (1 + max(slack, 1e-9) / 2**10)
        for begin, stage in zip((0, *ends), found.stages, strict=True):
            assert stage.memory_bytes == brute.memory(begin, begin + stage.nodes), seed
            assert stage.first_node == graph.nodes[begin][0]
        saved += sent < min(bytes_ for time, bytes_, _ in cuts if time <= best * (1 + 1e-9))
        checked += 1
    assert refused >= 5 and saved >= 3, (refused, saved)


LLAMA = Llama(hidden=512, layers=4, heads=8, inner=1536, vocabulary=1024)


@pytest.fixture(scope="module")
def small_llama() -> fxcost.Report:
    return fxcost.Report(LLAMA.program(), device=DEVICE)


def test_stages_add_up_to_the_report(small_llama: fxcost.Report) -> None:
    found = small_llama.partition(4)
    assert small_llama.seconds is not None
    assert sum(stage.seconds for stage in found.stages) == pytest.approx(small_llama.seconds)
    assert sum(stage.flops for stage in found.stages) == small_llama.flops
    assert sum(stage.nodes for stage in found.stages) == len(small_llama.nodes())
    assert max(stage.alive_bytes for stage in found.stages) <= small_llama.peak_bytes
    assert [stage.sent_bytes for stage in found.stages[:-1]] == [stage.received_bytes for stage in found.stages[1:]]
    assert found.stages[0].received_bytes == found.stages[-1].sent_bytes == 0
    assert found.imbalance == pytest.approx(found.bottleneck_seconds * 4 / found.seconds - 1)
    one = small_llama.partition(1).stages[0]
    unused = LLAMA.buffers // 2  # a copy that transformers keeps, and no stage uses
    assert one.memory_bytes == small_llama.peak_bytes - unused


def test_what_crosses_a_cut_between_layers(small_llama: fxcost.Report) -> None:
    """The hidden state and, made once before the first layer, cosines, sines and the mask."""
    found = small_llama.partition(2, slack=0.05)
    made = {row.name: row for row in small_llama.nodes()}
    assert found.stages[1].module.startswith("model.layers.")
    assert found.sent_bytes < 8 * min(row.bytes_written for row in made.values() if row.op == "aten.linear.default")


class Loop(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.Linear(64, 64), nn.Linear(64, 64)

    def forward(self, xs: torch.Tensor) -> torch.Tensor:
        from torch._higher_order_ops import scan

        def combine(carry: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            carry = torch.tanh(carry @ self.cell.weight + x)
            return carry, carry * 1

        ys: torch.Tensor = self.head(scan(combine, torch.zeros(64), xs)[1])
        return ys


def test_a_body_counts_for_the_node_that_calls_it() -> None:
    report = fxcost.analyze(Loop(), (torch.zeros(50, 64),), device=DEVICE)
    found = report.partition(2)
    assert report.seconds is not None
    assert found.seconds == pytest.approx(report.seconds)
    assert sum(stage.flops for stage in found.stages) == report.flops
    assert found.to_dict()["largest_node"].startswith("scan")


WRITTEN = """fxir 1.0
graph "main" captured
  input %w: f32[512, 512] @0 = parameter "w"
  input %x: f32[64, 512] @1
  %a = aten.linear.default(input=%x, weight=%w) -> f32[64, 512] @2
  %b = aten.mul_.Tensor(self=%x, other=%a) -> f32[64, 512] @1
  %c = aten.linear.default(input=%a, weight=%w) -> f32[64, 512] @3
  %d = aten.linear.default(input=%READ, weight=%w) -> f32[64, 512] @4
  %e = aten.add.Tensor(self=%c, other=%d) -> f32[64, 512] @5
  return %e
param %w = parameter "w"
"""


@pytest.mark.parametrize("read", ["x", "b"])
def test_an_input_that_is_written_to_is_sent_on(read: str) -> None:
    """By its own name or by what the writing node returned: what the later stage reads is what the earlier wrote."""
    size = 4 * 64 * 512
    analysis = Analysis(Program.from_bytes(WRITTEN.replace("READ", read).encode()), device=DEVICE)
    cuts = [found.sent_bytes for found in (Partition(analysis, 5, -1).stages)]
    assert cuts == [size, 2 * size, 2 * size, 2 * size, 0]  # a; a and x; c and x; c and d


def test_json_follows_its_schema(small_llama: fxcost.Report) -> None:
    schema = json.loads((ROOT / "docs" / "partition.schema.json").read_text())
    for memory in (None, -1, 2**40):
        data = small_llama.partition(3, memory_bytes=memory).to_dict()
        jsonschema.validate(data, schema)
        assert data["memory_limit"] == {None: 80 * 10**9, -1: None}.get(memory, memory)
        assert set(data) == set(schema["properties"])


def test_unknown_times_are_told() -> None:
    path = ROOT / "tests" / "golden" / "tree.txt"
    device = fxcost.open(path, device=DEVICE)
    found = device.partition(2)
    untimed = [row for row in device.nodes() if row.seconds is None]
    assert found.untimed_nodes == len(untimed)


def test_the_command(run: Run, tmp_path: Path) -> None:
    program = tmp_path / "graph.fxir"
    program.write_text(random_graph(3).source())
    done = run("partition", str(program), "--stages", "3", "--device", DEVICE)
    assert done.returncode == 0 and "3 stages on a100-sxm-80gb" in done.stdout
    expected = fxcost.open(program, device=DEVICE).partition(3)
    rows = run("partition", str(program), "--stages", "3", "--device", DEVICE, "--format", "csv").stdout.splitlines()
    assert len(rows) == 4
    assert [float(row.split(",")[5]) for row in rows[1:]] == [stage.seconds for stage in expected.stages]
    bad = run("partition", str(program), "--stages", "3", "--device", DEVICE, "-o", str(tmp_path / "no" / "where"))
    assert bad.returncode == Status.IO


@pytest.mark.parametrize(
    ("options", "status", "expected"),
    [
        (["--stages", "2"], Status.DEVICE, "a device, whose predicted times are balanced"),
        (["--stages", "0", "--device", DEVICE], Status.USAGE, "from 1 to 2 stages"),
        (["--stages", "3", "--device", DEVICE], Status.USAGE, "from 1 to 2 stages"),
        (["--device", DEVICE], Status.USAGE, "how many stages"),
        (["--stages", "-1", "--device", DEVICE], Status.USAGE, "how many stages"),
        (["--stages", "many", "--device", DEVICE], Status.USAGE, "how many stages"),
        (["--stages", "2", "--device", DEVICE, "--stage-memory", "1"], Status.USAGE, "which alone holds"),
        (["--stages", "2", "--device", DEVICE, "--stage-memory", "-5"], Status.USAGE, "such as 24e9"),
        (["--stages", "2", "--device", DEVICE, "--slack", "2"], Status.USAGE, "from 0 to 1"),
        (["--stages", "2", "--device", DEVICE, "--format", "chrome"], Status.USAGE, "table, csv or json"),
        (["--stages", "2", "--device", "abacus"], Status.DEVICE, "abacus"),
    ],
)
def test_bad_input(run: Run, options: list[str], status: Status, expected: str) -> None:
    done = run("partition", str(ROOT / "tests" / "golden" / "toy.txt"), *options)
    assert done.returncode == status and expected in done.stderr and done.stdout == ""


def test_too_few_stages_for_the_memory(small_llama: fxcost.Report) -> None:
    most = max(stage.memory_bytes for stage in small_llama.partition(4).stages)
    with pytest.raises(
        fxcost.FxcostError, match=f"1 stages of at most {most} bytes each\n  found: at least [234] stages"
    ):
        small_llama.partition(1, memory_bytes=most)


def test_a_training_step_is_refused() -> None:
    captured = fxcost.capture(nn.Linear(4, 4), (torch.zeros(2, 4),), mode="train")
    report = fxcost.Report(Program.from_bytes(captured.to_bytes()), device=DEVICE)
    with pytest.raises(fxcost.FxcostError, match="expected: a forward pass"):
        report.partition(2)
