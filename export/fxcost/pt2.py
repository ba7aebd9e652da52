"""Programs saved by torch.export, read from the archive's JSON: no weights, no pickles.

The JSON holds graph, shapes and signature. Parameters become meta tensors; which of them are tied is told by the names
of their records. Archives of three layouts exist: with the root files of torch up to 2.6, with weights in one pickle,
and with a record for each storage.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from .checkpoints.inert import Described
from .checkpoints.inert import load as load_inert

_LARGEST_JSON = 1 << 30


class Unreadable(Exception):
    """The archive has no JSON that this reader understands."""


def read(path: Path) -> tuple[Any, bool]:
    """The ExportedProgram in an archive, and whether it was made from fake tensors, whose storages mean nothing."""
    from torch._export.serde import schema
    from torch._export.serde.serialize import ExportedProgramDeserializer, _bytes_to_dataclass

    with zipfile.ZipFile(path) as archive:
        records = {info.filename: info for info in archive.infolist()}
        found = _Archive(archive, records)
        text = found.json_bytes()
        serialized = _bytes_to_dataclass(schema.ExportedProgram, text)
        weights, fake = found.tensors("weights")
        constants, _ = found.tensors("constants")
    _complete(serialized, weights, constants)
    program = ExportedProgramDeserializer().deserialize(
        serialized, weights, constants, None, _unsafe_skip_version_check=True
    )
    return program, fake


def version(path: Path) -> str:
    """The schema version that a file states, for messages."""
    with contextlib.suppress(Exception), zipfile.ZipFile(path) as archive:
        stated = json.loads(_Archive(archive, {i.filename: i for i in archive.infolist()}).json_bytes())
        number = stated["schema_version"]
        return f"{number['major']}.{number['minor']}, torch {stated.get('torch_version', 'unknown')}"
    return "unknown"


class _Archive:
    def __init__(self, archive: zipfile.ZipFile, records: dict[str, zipfile.ZipInfo]) -> None:
        self.archive, self.records = archive, records
        self.old = "serialized_exported_program.json" in records
        models = sorted(name for name in records if name.partition("/")[2].startswith("models/"))
        models = [name for name in models if name.endswith(".json")]
        if not self.old and not models:
            raise Unreadable("no serialized program")
        self.json = "serialized_exported_program.json" if self.old else models[0]
        self.root = "" if self.old else self.json.partition("/")[0] + "/"
        self.model = Path(self.json).stem

    def _read(self, name: str) -> bytes:
        if self.records[name].file_size > _LARGEST_JSON:
            raise Unreadable(f"{name} has {self.records[name].file_size} bytes")
        return self.archive.read(name)

    def json_bytes(self) -> bytes:
        return self._read(self.json)

    def tensors(self, kind: str) -> tuple[dict[str, Any], bool]:
        """Meta tensors by name, and whether their records are empty, as fake tensors leave them."""
        folder = f"{self.root}data/{kind}/"
        config = f"{folder}{self.model}_{kind}_config.json"
        if not self.old and config in self.records:
            return self._from_config(json.loads(self._read(config))["config"], folder)
        old = {"weights": "serialized_state_dict.pt", "constants": "serialized_constants.pt"}[kind]
        name = old if self.old else f"{folder}{self.model}.pt"
        return (self._from_pickle(name) if name in self.records else {}), False

    def _from_config(self, config: dict[str, Any], folder: str) -> tuple[dict[str, Any], bool]:
        from torch._export.serde.serialize import _SERIALIZE_TO_TORCH_DTYPE

        tensors: dict[str, Any] = {}
        views: dict[str, tuple[str, torch.dtype, list[int], list[int], int]] = {}
        lengths: dict[str, int] = {}
        fake = False
        for name, entry in config.items():
            meta = entry.get("tensor_meta")
            if meta is None:
                tensors[name] = None  # a script object
                continue
            sizes, strides = ([_int(size) for size in meta[key]] for key in ("sizes", "strides"))
            offset, dtype = _int(meta["storage_offset"]), _SERIALIZE_TO_TORCH_DTYPE[meta["dtype"]]
            record = self.records.get(folder + entry["path_name"])
            empty = math.prod(sizes) > 0 and (record is None or record.file_size == 0)
            fake |= empty
            key = f"{entry['path_name']} {dtype}" if not empty else name
            length = 1 + offset + sum((n - 1) * step for n, step in zip(sizes, strides, strict=True) if n)
            lengths[key] = max(lengths.get(key, 0), length)
            views[name] = key, dtype, sizes, strides, offset
        storages = {key: torch.empty(lengths[key], dtype=dtype, device="meta") for key, dtype, *_ in views.values()}
        for name, (key, _, sizes, strides, offset) in views.items():
            tensor = torch.as_strided(storages[key], sizes, strides, offset)
            meta = config[name]["tensor_meta"]
            tensors[name] = _finished(tensor, bool(config[name]["is_param"]), bool(meta["requires_grad"]))
        return tensors, fake

    def _from_pickle(self, name: str) -> dict[str, Any]:
        """A state dict in an archive of torch.save, of which only the structure is read."""
        tensors: dict[str, Any] = {}
        with contextlib.suppress(pickle.UnpicklingError, zipfile.BadZipFile):
            with zipfile.ZipFile(io.BytesIO(self._read(name))) as inner:
                data = next((entry for entry in inner.namelist() if entry.endswith("/data.pkl")), None)
                if data is None:
                    return {}
                value, _ = load_inert(io.BytesIO(inner.read(data)))
            storages: dict[Any, torch.Tensor] = {}
            for key, item in dict.items(value) if isinstance(value, dict) else ():
                if isinstance(item, Described):
                    tensors[str(key)] = _described(item, storages)
        return tensors


def _int(size: dict[str, Any]) -> int:
    if not isinstance(size.get("as_int"), int):
        raise Unreadable("a weight of symbolic size")
    return int(size["as_int"])


def _described(item: Described, storages: dict[Any, torch.Tensor]) -> torch.Tensor:
    dtype = getattr(torch, item.dtype, None)
    if not isinstance(dtype, torch.dtype):
        raise Unreadable(f"a tensor of dtype {item.dtype}")
    key = (item.storage, item.shape, dtype)
    if key not in storages:
        storages[key] = torch.empty(item.shape, dtype=dtype, device="meta")
    return _finished(storages[key].view(item.shape), item.parameter, item.parameter and dtype.is_floating_point)


def _finished(tensor: torch.Tensor, parameter: bool, requires_grad: bool) -> torch.Tensor:
    return torch.nn.Parameter(tensor, requires_grad=requires_grad) if parameter else tensor


def _complete(serialized: Any, weights: dict[str, Any], constants: dict[str, Any]) -> None:
    """Tensors that the signature names and no record describes, by what the graph says of them."""
    from torch._export.serde.serialize import _SERIALIZE_TO_TORCH_DTYPE

    values = serialized.graph_module.graph.tensor_values

    def made(name: str, parameter: bool) -> torch.Tensor:
        meta = values[name]
        sizes = [_int({"as_int": size.as_int}) for size in meta.sizes]
        dtype = _SERIALIZE_TO_TORCH_DTYPE[meta.dtype]
        return _finished(torch.empty(sizes, dtype=dtype, device="meta"), parameter, meta.requires_grad)

    for kind, spec in _specs(serialized.graph_module.signature):
        if kind == "parameter" and not isinstance(weights.get(spec.parameter_name), torch.nn.Parameter):
            weights[spec.parameter_name] = made(spec.arg.name, True)
        elif kind == "buffer" and spec.buffer_name not in weights and spec.buffer_name not in constants:
            (weights if spec.persistent else constants)[spec.buffer_name] = made(spec.arg.name, False)
        elif kind == "tensor_constant" and not isinstance(constants.get(spec.tensor_constant_name), torch.Tensor):
            constants[spec.tensor_constant_name] = made(spec.arg.name, False)
        elif kind == "custom_obj":
            constants.setdefault(spec.custom_obj_name, None)


def _specs(signature: Any) -> Iterator[tuple[str, Any]]:
    for spec in signature.input_specs:
        yield spec.type, spec.value
