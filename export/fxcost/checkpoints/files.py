"""What a checkpoint file is, told by its content, and what is in it. Nothing in a file is ever run."""

from __future__ import annotations

import json
import math
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import FxcostError
from .inert import Described, Inert, load

SUFFIXES = (".pth", ".pt", ".bin", ".ckpt", ".safetensors")
_LARGEST_PICKLE = 1 << 30  # bytes of structure, without the numbers
_LARGEST_HEADER = 100_000_000  # the limit of the safetensors format
_MAGIC = 0x1950A86A20F9469CFC6C
_DEEPEST = 100
_MOST = 1_000_000  # containers: a few bytes of pickle can say the same one over and over

_SAFETENSORS = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
    "C64": "complex64",
}


@dataclass
class Checkpoint:
    """What a file holds. ``kind``: "state dict", "module", "TorchScript", "pt2" or "other"."""

    path: Path
    kind: str
    format: str
    sections: dict[str, dict[str, Described]] = field(default_factory=dict)  # "": the whole file is one
    cls: str = ""  # of a module, or what a file is that holds no tensors
    classes: dict[str, str] = field(default_factory=dict)  # of the modules of a module, by path
    names: list[str] = field(default_factory=list)  # what loading would import and might run

    @property
    def tensors(self) -> dict[str, Described]:
        """Of the section with the most elements, which is the model's."""
        return max(self.sections.values(), key=elements, default={})


def elements(tensors: dict[str, Described]) -> int:
    return sum(math.prod(tensor.shape) for tensor in tensors.values())


def is_checkpoint(spec: str) -> bool:
    return spec.endswith(SUFFIXES) and not spec.startswith(("hf:", "timm:", "torchvision:"))


def read(path: Path) -> Checkpoint:
    """What is in a file. Raises FxcostError."""
    try:
        with path.open("rb") as file:
            return _read(path, file)
    except OSError as error:
        raise FxcostError(f"{path}: {error.strerror or error}", status="IO") from None
    except FxcostError:
        raise
    except Exception as error:  # noqa: BLE001  what is damaged fails in any way
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise FxcostError(
            f"{path}\n  expected: a checkpoint that torch or safetensors wrote\n  found: a damaged one: {reason}",
            status="IO",
        ) from None


def _read(path: Path, file: BinaryIO) -> Checkpoint:
    start = file.read(512)
    file.seek(0)
    if start[:4] == b"PK\x03\x04":
        return _zip(path, file)
    if path.suffix == ".safetensors" or start[8:9] == b"{":
        return _safetensors(path, file)
    if start[:1] == b"\x80":
        return _pickles(path, file)
    if start[257:262] == b"ustar":
        raise FxcostError(
            f"{path}: a tar archive of torch before 0.1.10\n  try: save it again with a newer torch", status="IO"
        )
    known = {b"GGUF": "a GGUF file", b"\x89HDF": "an HDF5 file", b"\x93NUM": "a NumPy file"}
    found = known.get(start[:4], "neither a zip archive, a pickle nor a safetensors header" if start else "nothing")
    raise FxcostError(
        f"{path}\n  expected: a checkpoint that torch or safetensors wrote\n  found: {found}", status="IO"
    )


# ---- torch's formats -------------------------------------------------------------------------------------------------


def _zip(path: Path, file: BinaryIO) -> Checkpoint:
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        inner = {name.partition("/")[2] for name in names}
        if "archive_format" in inner or "serialized_exported_program.json" in names:
            return Checkpoint(path, "pt2", "exported program")
        pickles = [name for name in names if name.rpartition("/")[2] == "data.pkl" and name.count("/") <= 1]
        if not pickles:
            return Checkpoint(path, "other", "zip archive", cls="a zip archive without torch's data.pkl")
        info = archive.getinfo(pickles[0])
        if info.file_size > _LARGEST_PICKLE:
            raise ValueError(f"data.pkl of {info.file_size} bytes")
        with archive.open(info) as stream:
            value, used = load(stream)  # type: ignore[arg-type]
        script = any(name.startswith("code/") or name == "constants.pkl" for name in inner)
    found = _understood(path, "torch zip archive", value, used)
    if script:
        found.kind, found.format = "TorchScript", "TorchScript archive"
        found.cls = found.cls.removeprefix("__torch__.")
    return found


def _pickles(path: Path, file: BinaryIO) -> Checkpoint:
    """One pickle, or the older format of torch: a magic number, a version, the system, then the object."""
    value, used = load(file)
    if value != _MAGIC:
        return _understood(path, "pickle", value, used)
    load(file)
    load(file)
    value, used = load(file)
    return _understood(path, "torch legacy archive", value, used)


def _understood(path: Path, form: str, value: Any, names: list[str]) -> Checkpoint:
    if isinstance(value, Described):
        return Checkpoint(path, "other", form, {"": {"(tensor)": value}}, "a single tensor", names=names)
    if isinstance(value, Inert):
        tensors: dict[str, Described] = {}
        classes: dict[str, str] = {}
        _module("", value, tensors, classes)
        kind = "module" if tensors or "_modules" in value.state else "other"
        return Checkpoint(path, kind, form, {"": tensors} if tensors else {}, value.name, classes, names)
    if not isinstance(value, dict):
        return Checkpoint(path, "other", form, cls=f"a {type(value).__name__}", names=names)
    sections: dict[str, dict[str, Described]] = {}
    own = {str(key): item for key, item in dict.items(value) if isinstance(item, Described)}
    if own:
        sections[""] = own
    kind, cls, classes = "state dict" if own else "other", "", {}
    for key, item in dict.items(value):
        inside: dict[str, Described] = {}
        if isinstance(item, Inert):
            found: dict[str, str] = {}
            _module("", item, inside, found)
            if inside and "_modules" in item.state and kind != "state dict":
                kind, cls, classes = "module", item.name, found
        elif isinstance(item, dict):
            _flat("", item, inside, [_MOST], 0)
        if inside:
            sections[str(key)] = inside
            kind = "state dict" if kind == "other" else kind
    return Checkpoint(path, kind, form, sections, cls or f"a dict of {len(value)}", classes, names)


def _flat(prefix: str, value: dict[Any, Any], out: dict[str, Described], budget: list[int], depth: int) -> None:
    _spend(budget, depth)
    for key, item in dict.items(value):
        if isinstance(item, Described):
            out[f"{prefix}{key}"] = item
        elif isinstance(item, dict):
            _flat(f"{prefix}{key}.", item, out, budget, depth + 1)


def _module(path: str, module: Inert, tensors: dict[str, Described], classes: dict[str, str]) -> None:
    """The tensors of a pickled module, or of a TorchScript object, whose attributes are its state itself."""
    budget, waiting = [_MOST], [(path, module, 0)]
    while waiting:
        path, module, depth = waiting.pop()
        _spend(budget, depth)
        classes[path] = str(module.name).removeprefix("__torch__.")
        prefix = f"{path}." if path else ""
        state, inner = module.state, []
        parts = [state[key] for key in ("_parameters", "_buffers", "_modules") if isinstance(state.get(key), dict)]
        for part in parts or [state]:
            for key, item in dict.items(part):
                if isinstance(item, Described):
                    tensors[f"{prefix}{key}"] = item
                elif isinstance(item, Inert):
                    inner.append((f"{prefix}{key}", item, depth + 1))
        waiting += reversed(inner)


def _spend(budget: list[int], depth: int) -> None:
    budget[0] -= 1
    if budget[0] < 0 or depth > _DEEPEST:
        raise ValueError("its structure is too deep or too large")


# ---- safetensors -----------------------------------------------------------------------------------------------------


def _safetensors(path: Path, file: BinaryIO) -> Checkpoint:
    size = path.stat().st_size
    length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= min(_LARGEST_HEADER, size - 8):
        raise ValueError(f"a safetensors header of {length} bytes in a file of {size}")
    header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise ValueError("the safetensors header is no JSON object")
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        try:
            dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        except (TypeError, KeyError, ValueError):
            raise ValueError(f"the safetensors entry {name!r} has no dtype, shape and data_offsets") from None
        fits = all(isinstance(number, int) and number >= 0 for number in (*shape, begin, end))
        if not fits or not begin <= end <= size - 8 - length:
            raise ValueError(f"the safetensors entry {name!r} reaches out of the file")
        tensors[name] = Described(_SAFETENSORS.get(dtype, str(dtype).lower()), tuple(shape))
    return Checkpoint(path, "state dict", "safetensors", {"": tensors})
