"""Checkpoint files: what they hold is told without running anything in them. Expected numbers are torch's own."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from fxir_reader import Fxir
from torch import nn

import fxcost
from fxcost.binding import Analysis, Program, Status
from fxcost.checkpoints import as_json, as_text, next_step, read
from fxcost.checkpoints.fit import fit
from fxcost.models import load
from fxcost.options import Options

SOURCE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, width), nn.BatchNorm1d(width))
        self.head = nn.Linear(width, 2, dtype=torch.float64)
        self.tied = nn.Linear(4, width)
        self.tied.weight = self.body[0].weight
    def forward(self, x):
        return self.head(self.body(x).double()) + self.tied(x)[:, :2]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoints")
    (path / "pickled_net.py").write_text(SOURCE)
    return path


@pytest.fixture(scope="module")
def net(folder: Path) -> nn.Module:
    sys.path.insert(0, str(folder))
    try:
        from pickled_net import Net  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(folder))
    return Net().eval()


def saved(folder: Path, name: str, value: Any, **how: Any) -> Path:
    torch.save(value, folder / name, **how)
    return folder / name


FORMATS: dict[str, dict[str, Any]] = {"zip": {}, "legacy": {"_use_new_zipfile_serialization": False}}


@pytest.mark.parametrize("form", FORMATS)
def test_a_state_dict(folder: Path, net: nn.Module, form: str) -> None:
    state = net.state_dict()
    found = read(saved(folder, f"state-{form}.pth", state, **FORMATS[form]))
    assert found.kind == "state dict" and form in found.format
    assert {name: (f"torch.{t.dtype}", t.shape) for name, t in found.tensors.items()} == {
        name: (f"torch.{tensor.dtype}".replace("torch.torch.", "torch."), tuple(tensor.shape))
        for name, tensor in state.items()
    }
    report = as_json(found, None)
    assert report["elements"] == sum(tensor.numel() for tensor in state.values())
    tied = state["tied.weight"]
    assert report["bytes"] == sum(t.numel() * t.element_size() for t in state.values()) - tied.numel() * 4
    assert report["dtypes"] == {"float32": 56, "float64": 10, "int64": 1}
    rows = {row["name"]: row for row in report["modules"]}
    assert list(rows) == ["", "body", "body.0", "body.1", "head", "tied"]
    assert rows["body"]["elements"] == 20 + 17 and rows["head"]["dtypes"] == {"float64": 10}
    text = as_text(found, 1, raw=True)
    assert "body" in text and "\n    0" not in text and "float64" in text
    assert "--model" in next_step(found)


def test_a_state_dict_among_other_things(folder: Path, net: nn.Module) -> None:
    optimizer = torch.optim.AdamW(net.parameters())
    net(torch.ones(3, 4)).sum().backward()
    optimizer.step()
    whole = {"epoch": 3, "state_dict": net.state_dict(), "optimizer": optimizer.state_dict(), "args": Options()}
    found = read(saved(folder, "whole.ckpt", whole))
    assert set(found.sections) == {"state_dict", "optimizer"}
    assert "fxcost.options.Options" in found.names and "fxcost.options.Options, which loading would" in as_text(
        found, 1, False
    )
    assert fit(found.sections["state_dict"], net)
    net.zero_grad(set_to_none=True)


@pytest.mark.parametrize("form", FORMATS)
def test_a_whole_module(folder: Path, net: nn.Module, form: str) -> None:
    path = saved(folder, f"module-{form}.pt", net, **FORMATS[form])
    found = read(path)
    assert (found.kind, found.cls) == ("module", "pickled_net.Net")
    assert found.classes["body.1"] == "torch.nn.modules.batchnorm.BatchNorm1d"
    assert {name for name, tensor in found.tensors.items() if tensor.parameter} == {
        name for name, _ in net.named_parameters(remove_duplicate=False)
    }
    assert "pickled_net.Net" in next_step(found) and "--trust-pickle --input" in next_step(found)
    with pytest.raises(fxcost.FxcostError, match="trust-pickle"):
        load(str(path), Options(inputs=["x=f32[3,4]"]))


def test_a_module_that_is_trusted(folder: Path, net: nn.Module) -> None:
    expected = Fxir(fxcost.capture(net, torch.ones(3, 4)).to_bytes()).ops()
    for name, value in (("trusted.pt", net), ("in-a-dict.pt", {"model": net, "epoch": 1})):
        path = saved(folder, name, value)
        file = Fxir(load(str(path), Options(trust_pickle=True, inputs=["x=f32[3,4]"])).capture().to_bytes())
        assert file.ops() == expected
        assert file.capture["model"] == f"Net ({name})"


def test_the_architecture_of_a_state_dict(folder: Path, net: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    wrapped = OrderedDict((f"module.{name}", tensor) for name, tensor in net.state_dict().items())
    path = str(saved(folder, "wrapped.pth", wrapped))
    inputs = ["x=f32[3,4]"]
    for spec in ("pickled_net:Net", "pickled_net.py:Net"):
        data = load(path, Options(architecture=spec, inputs=inputs)).capture().to_bytes()
        assert Analysis(Program.from_bytes(data, "net")).totals().params == 16 + 4 + 8 + 10 + 4
    with pytest.raises(fxcost.FxcostError) as caught:
        load(path, Options(architecture="pickled_net:Net", settings={"width": 6}, inputs=inputs))
    assert caught.value.status == "USAGE" and len(str(caught.value).splitlines()) <= 5
    assert "shape       head.weight is [2, 4] in the file and [2, 6] in the model" in caught.value.details
    state = {name: tensor for name, tensor in net.state_dict().items() if not name.startswith("tied")}
    path = str(saved(folder, "less.pth", {**state, "more.weight": torch.ones(1)}))
    with pytest.raises(fxcost.FxcostError) as caught:
        load(path, Options(architecture="pickled_net:Net", inputs=inputs))
    assert set(caught.value.details.splitlines()) == {
        "missing     tied.weight",
        "missing     tied.bias",
        "unexpected  more.weight",
    }


def test_torchscript(folder: Path, net: nn.Module) -> None:
    torch.jit.save(torch.jit.script(net), folder / "script.pt")
    found = read(folder / "script.pt")
    assert (found.kind, found.cls) == ("TorchScript", "pickled_net.Net")
    state = net.state_dict()
    assert {name: tensor.shape for name, tensor in found.tensors.items()} == {
        name: tuple(tensor.shape) for name, tensor in state.items()
    }
    assert "record" in next_step(found)


def test_safetensors(folder: Path, net: nn.Module) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    state = {name: tensor for name, tensor in net.state_dict().items() if not name.startswith("tied")}
    safetensors.save_file(state, folder / "net.safetensors", {"format": "pt"})
    found = read(folder / "net.safetensors")
    assert {name: (f"torch.{t.dtype}", t.shape) for name, t in found.tensors.items()} == {
        name: (str(tensor.dtype), tuple(tensor.shape)) for name, tensor in state.items()
    }


@pytest.mark.parametrize(
    "header",
    [
        b"{",
        b"[]",
        b'{"w": 3}',
        b'{"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 800]}}',
        b'{"w": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}}',
        b'{"w": {"dtype": "F32", "shape": "x", "data_offsets": [0, 8]}}',
    ],
)
def test_damaged_safetensors(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    with pytest.raises(fxcost.FxcostError, match="damaged"):
        read(path)
    path.write_bytes(struct.pack("<Q", 2**62) + header)
    with pytest.raises(fxcost.FxcostError, match="damaged"):
        read(path)


def test_files_of_other_kinds(tmp_path: Path) -> None:
    cases = {
        "empty.bin": (b"", "nothing"),
        "text.pt": (b"hello", "neither"),
        "model.bin": (b"GGUF" + bytes(20), "GGUF"),
        "cut.pth": (b"PK\x03\x04" + bytes(40), "damaged"),
        "cut.pt": (b"\x80\x02}q\x00", "damaged"),
    }
    for name, (content, words) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(fxcost.FxcostError, match=words) as caught:
            read(tmp_path / name)
        assert caught.value.status == "IO" and len(str(caught.value).splitlines()) <= 5
    assert read(saved(tmp_path, "list.bin", [1, 2])).cls == "a list"
    assert read(saved(tmp_path, "one.pt", torch.ones(3))).cls == "a single tensor"


# ---- hostile pickles -------------------------------------------------------------------------------------------------


def hostile(mark: Path) -> dict[str, bytes]:
    """Pickles that would make a file, by every way there is to call something."""

    class Reduce:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, (f"touch {mark}",)

    class Built:
        def __reduce__(self) -> tuple[Any, ...]:
            return exec, ("pass",), {"x": Reduce()}

    command = f"touch {mark}".encode()
    short = len(command).to_bytes(1, "little")
    text = b"X" + struct.pack("<I", len(command)) + command
    tensor = io.BytesIO()
    torch.save(OrderedDict(w=torch.ones(2), e=Reduce()), tensor)
    with zipfile.ZipFile(tensor) as archive:
        inside = archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))
    return {
        **{f"reduce {protocol}": pickle.dumps(Reduce(), protocol) for protocol in range(2, 6)},
        "beside a tensor": inside,
        "in a list": pickle.dumps([{"w": Reduce()}], 2),
        "build": pickle.dumps(Built(), 2),
        "inst": b"\x80\x02(" + b"S'" + command + b"'\nios\nsystem\n.",
        "obj": b"\x80\x02(cos\nsystem\n" + text + b"o.",
        "stack global": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c" + short + command + b"\x85R.",
        "newobj": b"\x80\x02csubprocess\nPopen\n](X\x05\x00\x00\x00touch" + text + b"e\x85\x81.",
        "getattr": b"\x80\x02c__builtin__\neval\nX\x20\x00\x00\x00__import__('os').system('touch x')\x85R.",
        "setstate of a function": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x01\x00\x00\x00aK\x01sb.",
    }


@pytest.mark.parametrize("suffix", [".pth", ".bin"])
def test_a_hostile_pickle_is_never_run(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = tmp_path / "made"
    monkeypatch.chdir(tmp_path)
    for name, content in hostile(mark).items():
        path = tmp_path / f"hostile{suffix}"
        if suffix == ".bin":
            path.write_bytes(content)
        else:
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("archive/data.pkl", content)
                archive.writestr("archive/version", "3\n")
        before = set(sys.modules)
        for options in (None, Options(inputs=["x=f32[1]"]), Options(architecture="torch.nn:Identity")):
            with pytest.raises(fxcost.FxcostError) as caught:
                load(str(path), options)
            assert len(str(caught.value).splitlines()) <= 5, name
        assert not mark.exists() and not (tmp_path / "x").exists(), name
        assert not {"subprocess"} & (set(sys.modules) - before)
        answer = subprocess.run(
            [sys.executable, "-m", "fxcost", str(path), "-o", str(tmp_path / "out")], capture_output=True, text=True
        )
        assert answer.returncode in (Status.CAPTURE, Status.IO), (name, answer.stderr)
        assert 1 <= len(answer.stderr.splitlines()) <= 5 and "Traceback" not in answer.stderr
        assert not mark.exists() and not (tmp_path / "x").exists() and not (tmp_path / "out").exists(), name


def test_a_pickle_that_says_the_same_over_and_over_ends(tmp_path: Path) -> None:
    value: dict[str, Any] = {"w": 1}
    for _ in range(60):
        value = {"a": value, "b": value}
    (tmp_path / "bomb.bin").write_bytes(pickle.dumps({"s": value}, 2))
    with pytest.raises(fxcost.FxcostError, match="damaged"):
        read(tmp_path / "bomb.bin")


# ---- exported programs -----------------------------------------------------------------------------------------------


class Exported(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.register_buffer("scale", torch.ones(4))
        self.register_buffer("hidden", torch.ones(4), persistent=False)
        self.constant = torch.ones(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x)) * self.scale + self.constant + self.hidden


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One program in the three layouts that torch has written."""
    from torch._export.serde.serialize import serialize

    folder = tmp_path_factory.mktemp("archives")
    batch = torch.export.Dim("batch", min=2, max=64)
    with torch.no_grad():
        program = torch.export.export(Exported().eval(), (torch.ones(2, 4),), dynamic_shapes={"x": {0: batch}})
    torch.export.save(program, folder / "records.pt2")
    parts = serialize(program)
    with zipfile.ZipFile(folder / "root.pt2", "w") as archive:
        stated = json.loads(parts.exported_program)
        stated["schema_version"] = {"major": 8, "minor": 2}
        for key in ("torch_version", "guards_code"):
            stated.pop(key, None)
        archive.writestr("version", "8.2")
        archive.writestr("serialized_exported_program.json", json.dumps(stated))
        archive.writestr("serialized_state_dict.pt", parts.state_dict)
        archive.writestr("serialized_constants.pt", parts.constants)
        archive.writestr("serialized_example_inputs.pt", parts.example_inputs)
    with zipfile.ZipFile(folder / "records.pt2") as source, zipfile.ZipFile(folder / "pickled.pt2", "w") as archive:
        for name in source.namelist():
            if "/data/weights/" not in name and "/data/constants/" not in name:
                archive.writestr(name, source.read(name))
        archive.writestr("records/data/weights/model.pt", parts.state_dict)
        archive.writestr("records/data/constants/model.pt", parts.constants)
    return {name: folder / f"{name}.pt2" for name in ("records", "root", "pickled")}


@pytest.mark.parametrize("layout", ["records", "root", "pickled"])
def test_a_pt2_is_read_from_its_json(archives: dict[str, Path], layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the same program in memory; nothing calls torch.load or any unpickler of torch."""
    direct = fxcost.capture(torch.export.load(archives["records"]))

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("unpickled")

    for module, name in ((torch, "load"), (pickle, "load"), (pickle, "loads")):
        monkeypatch.setattr(module, name, refuse)
    read_back = fxcost.capture(archives[layout])
    one, two = Fxir(direct.to_bytes()), Fxir(read_back.to_bytes())
    assert (
        two.ops() == one.ops()
        and set(two.params()) == set(one.params())
        and two.capture["inputs"] == one.capture["inputs"]
    )
    totals = [Analysis(Program.from_bytes(data.to_bytes(), "pt2")).totals() for data in (direct, read_back)]
    assert totals[0].params == totals[1].params == 16 + 4 + 4, "tied weights count once"
    assert totals[0].flops == totals[1].flops > 0
    assert totals[0].buffers == totals[1].buffers


def test_a_hostile_pickle_in_a_pt2_is_never_run(archives: dict[str, Path], tmp_path: Path) -> None:
    mark = tmp_path / "made"
    for name, content in hostile(mark).items():
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, "w") as archive:
            archive.writestr("archive/data.pkl", content)
            archive.writestr("archive/version", "3\n")
        for layout, source in archives.items():
            target = tmp_path / f"{layout}.pt2"
            with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
                for entry in old.namelist():
                    bad = entry.endswith(".pt") or "/data/constants/tensor" in entry
                    new.writestr(entry, inner.getvalue() if bad else old.read(entry))
            fxcost.capture(target)
            assert not mark.exists(), (name, layout)


def test_a_pt2_that_is_none(tmp_path: Path, archives: dict[str, Path]) -> None:
    (tmp_path / "text.pt2").write_text("hello")
    with zipfile.ZipFile(archives["records"]) as old, zipfile.ZipFile(tmp_path / "major.pt2", "w") as new:
        for entry in old.namelist():
            data = old.read(entry)
            if entry.endswith("model.json"):
                stated = json.loads(data)
                stated["schema_version"] = {"major": 99, "minor": 1}
                stated["graph_module"] = {"new": "layout"}
                data = json.dumps(stated).encode()
            new.writestr(entry, data)
    for name, words in (("text.pt2", "zip"), ("major.pt2", "schema 99.1")):
        with pytest.raises(fxcost.FxcostError, match=words) as caught:
            fxcost.capture(tmp_path / name)
        assert caught.value.status == "CAPTURE" and len(str(caught.value).splitlines()) <= 5


def test_the_command(folder: Path, net: nn.Module, native: str) -> None:
    """The native command hands checkpoint files to Python, and its own options for the listing too."""
    path = saved(folder, "command.pth", net.state_dict())

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "FXCOST_PYTHON": sys.executable}
        return subprocess.run(
            [native, *arguments], capture_output=True, text=True, env=environment, cwd=folder, timeout=300
        )

    listing = command(str(path), "--depth", "1", "--raw")
    assert (
        listing.returncode == Status.CAPTURE and "--model" in listing.stderr and len(listing.stderr.splitlines()) <= 5
    )
    assert "body" in listing.stdout and "67 in 11 tensors" in listing.stdout
    assert json.loads(command(str(path), "--format", "json").stdout)["elements"] == 67
    counted = command(str(path), "--model", "pickled_net:Net", "--input", "x=f32[3,4]", "--format", "json")
    assert counted.returncode == 0, counted.stderr
    assert json.loads(counted.stdout)["totals"]["macs"] == 3 * (16 + 8 + 16)
    wrong = command(str(path), "--model", "pickled_net:Net", "--set", "width=5", "--input", "x=f32[3,4]")
    assert wrong.returncode == Status.USAGE and "shape       head.weight" in wrong.stdout
    assert len(wrong.stderr.splitlines()) <= 5
    assert command("missing.safetensors").returncode == Status.IO
