"""The parameters, buffers and constants of a program, used or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import torch

from .columns import NONE, Columns
from .distributed import shard
from .enums import bits, enum
from .modules import Modules, named_modules
from .values import Values


class Params:
    """Rows of the ``param`` columns. Tied tensors have a row per name over one storage."""

    def __init__(self, columns: Columns, modules: Modules, values: Values) -> None:
        self.columns, self.modules, self.values = columns, modules, values
        self.input_kind, self.storage_origin = enum("input_kind"), enum("storage_origin")
        self.used_storages: set[int] = set()
        self._flag = bits("param_flag")
        self.named: dict[str, None] = {}  # in the order of the rows

    def row(self, value: int, target: str, role: str, requires_grad: bool, persistent: bool) -> None:
        flags = (self._flag["requires_grad"] if requires_grad else 0) | (self._flag["persistent"] if persistent else 0)
        owner = target.rpartition(".")[0]
        while owner not in self.modules.rows:  # a constant's invented name belongs to the nearest module that exists
            owner = owner.rpartition(".")[0]
        rows = self.columns.rows
        rows["param_value"].append(value)
        rows["param_module"].append(self.modules.rows[owner])
        rows["param_name"].append(self.columns.string(target))
        rows["param_kind"].append(self.input_kind[role])
        rows["param_flags"].append(flags)
        self.named[target] = None

    def add_unused(self, tensors: dict[str, tuple[str, torch.Tensor, bool]]) -> None:
        """Parameters and buffers that no graph takes: a value of their own, which no graph reads. A parameter is
        unused when nothing reads its storage: of tied ones, torch reads only one."""
        rows = self.columns.rows
        for target, (role, tensor, persistent) in tensors.items():
            if target not in self.named:
                known = self.values.known_storage(tensor)
                value = self.values.add(tensor, "", NONE, self.storage_origin[role])
                if known is not None:
                    rows["value_storage"][value] = known
                self.row(value, target, role, tensor.requires_grad, persistent)
        self.finish(tensors)

    def finish(self, names: Iterable[str]) -> None:
        """Marks those that are unused, and brings the rows into the model's order, in which optimisers step."""
        rows, unused = self.columns.rows, self._flag["unused"]
        for row, value in enumerate(rows["param_value"]):
            if rows["value_storage"][value] not in self.used_storages:
                rows["param_flags"][row] |= unused
        place = {target: index for index, target in enumerate(names)}
        places = [place.get(target, len(place)) for target in self.named]
        order = sorted(range(len(places)), key=places.__getitem__)
        for column in ("param_value", "param_module", "param_name", "param_kind", "param_flags"):
            rows[column][:] = [rows[column][row] for row in order]

    def main_dtype(self) -> torch.dtype | None:
        """The dtype of most parameters, by number of tensors."""
        rows = self.columns.rows
        by_number = {number: dtype for dtype, number in self.values.dtypes.items()}
        counts: Counter[int] = Counter()
        for value, role in zip(rows["param_value"], rows["param_kind"], strict=True):
            if role == self.input_kind["parameter"] and rows["value_kind"][value] == self.values.kind["tensor"]:
                counts[rows["meta_dtype"][rows["value_payload"][value]]] += 1
        return by_number.get(counts.most_common(1)[0][0]) if counts else None


def tensors_of(model: torch.nn.Module) -> dict[str, tuple[str, torch.Tensor, bool]]:
    """Role, tensor and persistence of the parameters and buffers of a model, by qualified name; of what
    is spread over devices this device's part."""
    return named_tensors(named_modules(model))


def named_tensors(named: Iterable[tuple[str, torch.nn.Module]]) -> dict[str, tuple[str, torch.Tensor, bool]]:
    """The same of modules whose names are known."""
    parameters: dict[str, tuple[str, torch.Tensor, bool]] = {}
    buffers: dict[str, tuple[str, torch.Tensor, bool]] = {}
    for path, module in named:
        prefix = f"{path}." if path else ""
        for key, parameter in module._parameters.items():
            if parameter is not None:
                parameters[prefix + key] = ("parameter", shard(parameter), True)
        for key, tensor in module._buffers.items():
            if tensor is not None:
                buffers[prefix + key] = ("buffer", shard(tensor), key not in module._non_persistent_buffers_set)
    return parameters | buffers
