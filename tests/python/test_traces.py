"""Traces, read back: events by what Perfetto needs of them, speedscope by its schema, pprof by the protobuf library.
What is summed up is compared with the report, whose numbers have tests of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from conftest import ROOT, Run
from torch import nn
from trace_formats import CHAKRA, PPROF, SPEEDSCOPE, messages

import fxcost
import fxcost.distributed
from fxcost.binding import Program, Status
from fxcost.fusion import kernels as kernels_of
from fxcost.fusion import peak

DEVICE = "a100-sxm-80gb"


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(16)
        self.up, self.down = nn.Linear(16, 64), nn.Linear(64, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.down(torch.nn.functional.gelu(self.up(self.norm(x))))


class Net(nn.Module):
    """A block that is called twice, and one that is called once."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(100, 16)
        self.shared, self.last = Block(), Block()

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x: torch.Tensor = self.last(self.shared(self.shared(self.embed(ids))))
        return x.softmax(-1)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("traces") / "net.fxir"
    fxcost.capture(Net(), (torch.zeros(4, 8, dtype=torch.int64),)).save(path)
    return path


class Slices:
    """Events as Perfetto takes them: slices nest, time does not run back, a counter has one number."""

    def __init__(self, trace: bytes) -> None:
        document = json.loads(trace)
        self.other = document["otherData"]
        self.length: Counter[str] = Counter()  # of modules, in picoseconds
        self.opened: Counter[str] = Counter()
        self.leaves: list[dict[str, Any]] = []
        self.inside: list[list[str]] = []  # of each leaf, the modules around it
        self.live: list[int] = []
        stack: list[tuple[dict[str, Any], int]] = []
        now = 0
        for event in document["traceEvents"]:
            assert isinstance(event["name"], str) and event["pid"] == event["tid"] == 1
            if event["ph"] == "M":
                continue
            at = self._ticks(event["ts"])
            assert at >= now, "events of a thread are in order"
            now = at
            if event["ph"] == "B":
                stack.append((event, at))
            elif event["ph"] == "E":
                self._close(*stack.pop(), event, at, [opened["name"] for opened, _ in stack])
            else:
                assert event["ph"] == "C" and event["name"] == "live bytes"
                self.live.append(event["args"]["bytes"])
        assert not stack, "every slice is closed"

    def _close(self, opened: dict[str, Any], began: int, closed: dict[str, Any], at: int, around: list[str]) -> None:
        assert opened["name"] == closed["name"], "slices nest"
        if opened["cat"] == "module":
            self.length[opened["name"]] += at - began
            self.opened[opened["name"]] += 1
        else:
            self.leaves.append({**opened, "ticks": at - began})
            self.inside.append(around)

    @staticmethod
    def _ticks(microseconds: float) -> int:
        ticks = round(microseconds * 1e6)
        assert abs(ticks - microseconds * 1e6) < 1e-3
        return ticks

    @property
    def total(self) -> int:
        return sum(leaf["ticks"] for leaf in self.leaves)


def test_chrome_flops_are_those_of_the_report(program: Path) -> None:
    report = fxcost.open(program)
    slices = Slices(report.trace("chrome"))
    assert slices.other["axis"].startswith("FLOPs, not time")
    assert slices.total == 1000 * report.flops  # 1 FLOP is drawn as 1 ns
    assert slices.length["Net (model)"] == slices.total
    for name in ("shared", "last", "shared.norm", "last.up"):
        label = next(label for label in slices.length if label.endswith(f" {name}"))
        assert slices.length[label] == 1000 * report.module(name).flops
        assert slices.opened[label] == report.module(name).calls
    assert max(slices.live) == report.peak_bytes
    assert [leaf["name"] for leaf in slices.leaves] == [row.name for row in report.nodes() if row.kernels]
    linear = next(leaf for leaf in slices.leaves if leaf["name"] == "linear")
    assert linear["args"]["op"] == "aten.linear.default" and "test_traces.py:" in linear["args"]["source"]


def test_chrome_bytes_and_seconds(program: Path) -> None:
    report = fxcost.open(program, device=DEVICE)
    assert Slices(report.trace("chrome", axis="bytes")).total == 1000 * report.bytes
    slices = Slices(report.trace("chrome"))
    assert slices.other["axis"] == f"predicted time on {DEVICE}"
    assert report.seconds is not None
    assert slices.total == pytest.approx(report.seconds * 1e12, abs=len(slices.leaves))
    assert sum(leaf["args"]["seconds"] for leaf in slices.leaves) == pytest.approx(report.seconds)


def profiles(trace: bytes) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    document = json.loads(trace)
    jsonschema.validate(document, SPEEDSCOPE)
    return document, {profile["name"].split()[0]: profile for profile in document["profiles"]}


def below(document: dict[str, Any], profile: dict[str, Any], ending: str) -> float:
    """What a profile says of a module: the weights of the stacks that hold it."""
    frames = [frame["name"] for frame in document["shared"]["frames"]]
    pairs = zip(profile["samples"], profile["weights"], strict=True)
    return sum(weight for stack, weight in pairs if any(frames[frame].endswith(f" {ending}") for frame in stack))


def test_speedscope_profiles_are_sums_of_the_report(program: Path) -> None:
    report = fxcost.open(program, device=DEVICE)
    document, found = profiles(report.trace("speedscope"))
    assert list(found) == ["seconds", "FLOPs", "bytes"] and document["activeProfileIndex"] == 0
    assert report.seconds is not None
    for profile, whole in ((found["FLOPs"], report.flops), (found["bytes"], report.bytes)):
        assert sum(profile["weights"]) == profile["endValue"] == whole
    assert found["seconds"]["endValue"] == pytest.approx(report.seconds)
    for name in ("shared", "last", "shared.norm"):
        row = report.module(name)
        assert below(document, found["FLOPs"], name) == row.flops
        assert below(document, found["bytes"], name) == row.bytes
        assert row.seconds is not None
        assert below(document, found["seconds"], name) == pytest.approx(row.seconds)
    assert all(0 <= frame < len(document["shared"]["frames"]) for stack in found["bytes"]["samples"] for frame in stack)


def test_speedscope_without_a_device_has_no_seconds(program: Path) -> None:
    document, found = profiles(fxcost.open(program).trace("speedscope"))
    assert list(found) == ["FLOPs", "bytes"]
    assert document["activeProfileIndex"] == 0
    assert profiles(fxcost.open(program).trace("speedscope", axis="bytes"))[0]["activeProfileIndex"] == 1


def read_pprof(trace: bytes) -> Any:
    """A profile that holds what pprof's own check (Profile.CheckValid) demands."""
    profile = messages("perftools.profiles", PPROF)["Profile"]()
    profile.ParseFromString(trace)
    assert profile.string_table[0] == "" and len(set(profile.string_table)) == len(profile.string_table)
    ids = {kind: [row.id for row in getattr(profile, kind)] for kind in ("mapping", "function", "location")}
    for rows in ids.values():
        assert 0 not in rows and len(set(rows)) == len(rows)
    for sample in profile.sample:
        assert len(sample.value) == len(profile.sample_type) and sample.location_id
        assert set(sample.location_id) <= set(ids["location"])
    for location in profile.location:
        assert location.mapping_id in ids["mapping"]
        assert all(line.function_id in ids["function"] for line in location.line)
    assert not profile.DiscardUnknownFields() and profile.SerializeToString()
    return profile


def pprof_totals(profile: Any) -> dict[str, int]:
    names = [profile.string_table[kind.type] for kind in profile.sample_type]
    return {name: sum(sample.value[i] for sample in profile.sample) for i, name in enumerate(names)}


def test_pprof_samples_are_sums_of_the_report(program: Path) -> None:
    report = fxcost.open(program, device=DEVICE)
    profile = read_pprof(report.trace("pprof"))
    totals = pprof_totals(profile)
    assert totals["flops"] == report.flops and totals["macs"] == report.macs and totals["bytes"] == report.bytes
    assert totals["bytes"] == totals["bytes_read"] + totals["bytes_written"] and totals["unknown"] == 0
    assert report.seconds is not None
    assert totals["time"] == pytest.approx(report.seconds * 1e9, abs=len(profile.sample))
    text = profile.string_table
    units = {text[kind.type]: text[kind.unit] for kind in profile.sample_type}
    assert (units["flops"], units["bytes"], units["time"]) == ("count", "bytes", "nanoseconds")
    assert text[profile.default_sample_type] == "time"
    functions = {row.id: text[row.name] for row in profile.function}
    names = {location.id: functions[location.line[0].function_id] for location in profile.location}
    first = profile.sample[0]  # leaf first, the model last
    assert [names[at] for at in first.location_id] == ["aten.embedding.default", "Embedding embed", "Net (model)"]
    assert text[first.label[0].key] == "node" and text[first.label[0].str] == "embedding"


@pytest.mark.skipif(shutil.which("go") is None, reason="go tool pprof is not installed")
def test_pprof_itself_reads_the_profile(program: Path, tmp_path: Path) -> None:
    report = fxcost.open(program)
    (tmp_path / "net.pb").write_bytes(report.trace("pprof"))
    command = ["go", "tool", "pprof", "-traces", "-sample_index=flops", str(tmp_path / "net.pb")]
    environment = os.environ | {"HOME": str(tmp_path)}  # where it keeps files of its own
    text = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    samples = [line.split()[0] for line in text.splitlines() if line[:1] == " " and line.split()]
    assert sum(int(sample) for sample in samples if sample.isdigit()) == report.flops
    assert "Type: flops" in text and "Net (model)" in text


def test_pprof_without_a_device_has_no_time(program: Path) -> None:
    profile = read_pprof(fxcost.open(program).trace("pprof"))
    assert "time" not in pprof_totals(profile)
    assert profile.string_table[profile.default_sample_type] == "flops"


@pytest.mark.parametrize("fusion", ["inductor-cpu", "none", "ideal"])
def test_kernels_are_steps_under_a_profile(program: Path, fusion: str) -> None:
    report = fxcost.open(program)
    kernels = kernels_of(report.program, fusion)
    slices = Slices(report.trace("chrome", fusion=fusion))
    assert [tuple(leaf["args"]["nodes"]) for leaf in slices.leaves] == [kernel.nodes for kernel in kernels]
    assert slices.total == 1000 * sum(kernel.executed_flops for kernel in kernels)
    assert max(slices.live) == peak(report.program, fusion)[0]
    totals = pprof_totals(read_pprof(report.trace("pprof", fusion=fusion)))
    assert totals["bytes"] == sum(kernel.bytes_read + kernel.bytes_written for kernel in kernels)
    assert totals["kernels"] == len(kernels)
    assert str(report) == str(fxcost.open(program)), "the report itself stays eager"


def test_kernels_have_times_on_a_device(program: Path) -> None:
    report = fxcost.open(program, device=DEVICE)
    slices = Slices(report.trace("chrome", fusion="inductor-cpu"))
    assert slices.other["axis"] == f"predicted time on {DEVICE}"
    report._analysis.set("profile", "inductor-cpu")
    kernels = json.loads(report.render(format="json", by="kernel"))["kernels"]
    seconds = [kernel["seconds"] for kernel in kernels]
    assert [leaf["args"]["seconds"] for leaf in slices.leaves] == seconds
    assert slices.total == pytest.approx(sum(seconds) * 1e12, abs=len(seconds))


def read_chakra(trace: bytes) -> tuple[Any, list[Any]]:
    """A file of messages that each stand behind their length, as Chakra's ProtoInputStream reads it."""
    kinds, at, found = messages("ChakraProtoMsg", CHAKRA), 0, []
    while at < len(trace):
        size, shift = 0, 0
        while True:
            byte = trace[at]
            size, shift, at = size | (byte & 0x7F) << shift, shift + 7, at + 1
            if byte < 0x80:
                break
        message = kinds["Node" if found else "GlobalMetadata"]()
        message.ParseFromString(trace[at : at + size])
        found.append(message)
        at += size
    assert at == len(trace)
    return found[0], found[1:]


def attributes(node: Any) -> dict[str, Any]:
    """Values by name, each read from the one field that is set."""
    found = {}
    for attribute in node.attr:
        (field, value), *more = [(f.name, v) for f, v in attribute.ListFields() if f.name.endswith("_val")]
        assert not more
        found[attribute.name] = (field, value)
    return found


@pytest.mark.parametrize("fusion", [None, "inductor-cpu"])
def test_chakra_nodes_are_the_kernels(program: Path, fusion: str | None) -> None:
    report = fxcost.open(program, device=DEVICE)
    kernels = kernels_of(report.program, fusion or "eager")
    head, nodes = read_chakra(report.trace("chakra", fusion=fusion))
    assert head.version and attributes(head)["device"] == ("string_val", DEVICE)
    assert [node.id for node in nodes] == list(range(len(kernels)))
    written: dict[int, int] = {}
    for node, kernel in zip(nodes, kernels, strict=True):
        found = attributes(node)
        assert node.type == 4 and found["is_cpu_op"] == ("bool_val", False)  # COMP_NODE; types as et_feeder_node.cpp
        assert found["num_ops"] == ("int64_val", max(kernel.executed_flops, 1))
        assert found["tensor_size"] == ("uint64_val", kernel.bytes_read + kernel.bytes_written)
        assert set(node.data_deps) == {written[b.number] for b in kernel.buffers if b.number in written}
        written |= {buffer.number: node.id for buffer in kernel.buffers if buffer.written}
    assert any(node.data_deps for node in nodes) and nodes[-1].duration_micros > 0
    assert sum(node.duration_micros for node in nodes) == pytest.approx(
        nodes[-1].start_time_micros + nodes[-1].duration_micros, abs=len(nodes)
    )


def test_a_part_depends_on_itself_alone(program: Path) -> None:
    whole = read_chakra(fxcost.open(program).trace("chakra"))[1]
    nodes = read_chakra(fxcost.open(program).trace("chakra", root="last"))[1]
    names = {node.id: node.name for node in nodes}
    assert 0 < len(nodes) < len(whole) and names.items() <= {node.id: node.name for node in whole}.items()
    assert all(set(node.data_deps) <= set(names) for node in nodes)


class InPlace(nn.Module):
    """`y` is read before it is written over, and only then read again."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x + 1
        before = y.exp()
        y.mul_(2)
        return before + y


def test_chakra_keeps_the_order_of_writes() -> None:
    report = fxcost.analyze(InPlace(), (torch.zeros(4),))
    add, exp, mul, last = read_chakra(report.trace("chakra"))[1]
    assert (list(exp.data_deps), list(mul.data_deps), list(mul.ctrl_deps)) == ([add.id], [add.id], [exp.id])
    assert set(last.data_deps) == {exp.id, mul.id} and not last.ctrl_deps


def test_chakra_has_collectives() -> None:
    from torch.distributed._functional_collectives import all_gather_tensor, all_reduce

    class Sums(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            whole: torch.Tensor = all_gather_tensor(all_reduce(x * 2, "sum", "0"), 0, "0")
            return whole

    with fxcost.distributed.fake_group(4):
        report = fxcost.analyze(Sums(), (torch.zeros(8, 16),))
    nodes = read_chakra(report.trace("chakra"))[1]
    found = {node.name: attributes(node) for node in nodes if node.type == 7}  # COMM_COLL_NODE
    sizes = {name: (a["comm_type"], a["comm_size"]) for name, a in found.items()}
    assert list(sizes.values()) == [
        (("int64_val", 0), ("int64_val", 8 * 16 * 4)),  # ALL_REDUCE
        (("int64_val", 2), ("int64_val", 4 * 8 * 16 * 4)),  # ALL_GATHER, the larger side
    ]
    product, reduced, gathered = nodes  # and no node for the waits between them
    assert (list(reduced.data_deps), list(gathered.data_deps)) == ([product.id], [reduced.id])


def test_tvm_attributes(program: Path) -> None:
    report = fxcost.open(program)
    kernels = kernels_of(report.program, "none")
    functions = json.loads(report.trace("tvm", fusion="none"))["functions"]
    assert [tuple(function["nodes"]) for function in functions] == [kernel.nodes for kernel in kernels]
    names = [function["name"] for function in functions]
    assert len(set(names)) == len(names) and all(name.isidentifier() for name in names)
    assert sum(function["attrs"]["estimated_flops"] for function in functions) == report.flops
    assert {function["attrs"]["op_pattern"] for function in functions} <= {0, 1, 2, 3, 4, 8}  # OpPatternKind
    by_node = {function["nodes"][0]: function["attrs"]["op_pattern"] for function in functions}
    assert (by_node["linear"], by_node["gelu"], by_node["softmax"], by_node["embedding"]) == (4, 0, 4, 8)
    unknown = json.loads(fxcost.open(ROOT / "tests" / "golden" / "tree.txt").trace("tvm"))["functions"][-1]
    assert unknown["attrs"] == {"op_pattern": 8}


def test_tvm_itself_agrees() -> None:
    """Patterns that TVM derives from loops, and what it fuses by the attributes: tvm_patterns.py, where TVM is."""
    python = os.environ.get("FXC_TVM_PYTHON")
    if python is None:
        pytest.skip("FXC_TVM_PYTHON names no Python with apache-tvm and pytest")
    script = str(Path(__file__).with_name("tvm_patterns.py"))
    command = [python, "-m", "pytest", "-q", "--noconftest", "-p", "no:cacheprovider", script]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and "skipped" not in done.stdout, done.stdout


def test_part_of_a_model(program: Path) -> None:
    report = fxcost.open(program)
    slices = Slices(report.trace("chrome", root="last"))
    assert slices.total == 1000 * report.module("last").flops
    assert all("Block last" in modules for modules in slices.inside)


class Loop(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.Linear(8, 8)

    def forward(self, xs: torch.Tensor) -> torch.Tensor:
        from torch._higher_order_ops import scan

        def combine(carry: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            carry = torch.tanh(carry @ self.cell.weight + x)
            return carry, carry * 1

        return scan(combine, torch.zeros(8), xs)[1]


def test_bodies_stand_where_they_are_called() -> None:
    report = fxcost.analyze(Loop(), (torch.zeros(5, 8),))
    slices = Slices(report.trace("chrome"))
    assert report.flops > 0 and slices.total == 1000 * report.flops
    assert any(leaf["args"].get("executions") == 5 for leaf in slices.leaves)


def test_a_training_step_with_its_optimizer() -> None:
    model, args = nn.Sequential(nn.Linear(8, 8), nn.ReLU()), (torch.zeros(4, 8),)
    captured = fxcost.capture(model, args, mode="train")
    program = Program.from_bytes(captured.to_bytes())
    report = fxcost.Report(program, optimizer="adamw")
    slices = Slices(report.trace("chrome"))
    assert slices.total == 1000 * report.flops
    assert sum(leaf["name"].startswith("optimizer step of ") for leaf in slices.leaves) == 2


def test_unknown_is_never_zero_in_silence() -> None:
    path = ROOT / "tests" / "golden" / "tree.txt"
    report = fxcost.open(path)
    slices = Slices(report.trace("chrome"))
    mystery = slices.leaves[-1]
    assert mystery["cat"] == "unknown" and mystery["ticks"] == 0 and "flops" not in mystery["args"]
    assert slices.other["steps_of_unknown_length"] == "1"
    _, found = profiles(report.trace("speedscope"))
    assert found["FLOPs;"]["name"].endswith("1 of 3 steps, whose FLOPs are not known, left out")
    assert pprof_totals(read_pprof(report.trace("pprof")))["unknown"] == 1


def test_the_command_writes_files(program: Path, run: Run, tmp_path: Path) -> None:
    for name in ("chrome", "speedscope", "pprof", "chakra", "tvm"):
        out = tmp_path / name
        assert run(str(program), "--format", name, "-o", str(out)).returncode == 0
        expected = fxcost.open(program).trace(name)
        assert out.read_bytes() == expected
    missing = run(str(program), "--format", "pprof", "-o", str(tmp_path / "no" / "where"))
    assert missing.returncode == Status.IO and "expected: a file that can be written" in missing.stderr
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("options", "status", "expected"),
    [
        (["--axis", "seconds"], Status.DEVICE, "--device NAME"),
        (["--axis", "joules"], Status.USAGE, "seconds, flops or bytes"),
        (["--by", "op"], Status.USAGE, "node or kernel"),
        (["--format", "chakra", "--by", "node"], Status.USAGE, "kernel, in this format"),
        (["--root", "nowhere"], Status.USAGE, "qualified name of a module"),
        (["--fusion", "nvfuser"], Status.USAGE, "nvfuser"),
    ],
)
def test_bad_options(program: Path, run: Run, options: list[str], status: Status, expected: str) -> None:
    done = run(str(program), "--format", "chrome", *options)
    assert done.returncode == status and expected in done.stderr and done.stdout == ""
