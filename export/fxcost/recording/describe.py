"""References and arguments as rows: descriptions, storages, values, pairs of kind and payload."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

from ..args import Pair, scalar
from ..columns import NONE, Columns
from ..distributed import group_name
from ..enums import bits, enum
from ..values import Values
from .events import Events, Ref
from .repeats import Fold, Linear, Slopes, Varying

_SHARED = frozenset({int, float, bool, str, type(None), torch.dtype, torch.device, torch.layout, torch.memory_format})
_VARYING = {int: "symint", float: "symfloat", bool: "symbool"}


class Describer:
    """Writes what the tape says of tensors. Inside a fold sizes may be expressions in the trip's number."""

    def __init__(self, tape: Events, values: Values, columns: Columns) -> None:
        self.tape, self.values, self.columns = tape, values, columns
        self.origin = enum("storage_origin")
        self._value, self._tensor = values.kind["value"], values.kind["tensor"]
        self._list, self._dict = values.kind["list"], values.kind["dict"]
        fields = ("kind", "payload", "producer", "name", "storage")
        self._value_rows = [columns.rows[f"value_{field}"] for field in fields]
        self._storage_rows = [columns.rows[f"storage_{field}"] for field in ("bytes", "device", "origin")]
        self._scalars: dict[Any, Pair] = {}
        self._metas: dict[tuple[int, int], int] = {}
        self._storages: dict[int, int] = {}
        self._devices: dict[torch.device, int] = {}
        self._token = enum("token")
        self._symbols: list[int] = []
        self._fold: Fold | None = None
        self._symbol = 0

    # ---- trips ------------------------------------------------------------------------------------------------------

    def add_trip(self, number: int, trips: int) -> int:
        """The symbol of a fold: its trip's number. Returns the expression that is the symbol alone."""
        flag = bits("symbol_flag")
        self._symbols.append(
            self.columns.add(
                "symbol",
                name=self.columns.string(f"trip{number}" if number else "trip"),
                dim=0,
                flags=flag["hint"] | flag["min"] | flag["max"] | flag["trip"],
                hint=0,
                min=0,
                max=trips - 1,
            )
        )
        return self.columns.expr_row([(self._token["symbol"], self._symbols[-1])])

    @contextlib.contextmanager
    def inside(self, fold: Fold, number: int) -> Iterator[None]:
        """What is written meanwhile belongs to the body of a fold: storages of its own, sizes that may grow."""
        outer = self._storages
        self._fold, self._symbol = fold, self._symbols[number]
        shared = {ref.storage for ref in fold.inputs}.difference(fold.storages.values())
        self._storages = {storage: row for storage, row in outer.items() if storage in shared}
        try:
            yield
        finally:
            self._fold, self._storages = None, outer

    def _grown(self, base: int, slope: int) -> int:
        """A size as the format's symint."""
        return base if slope == 0 else -1 - self._linear(base, slope)

    def _linear(self, base: int, slope: int) -> int:
        token = self._token
        tokens = [(token["symbol"], self._symbol)]
        if slope != 1:
            tokens = [(token["const"], slope), *tokens, (token["Mul"], 0)]
        if base != 0:
            tokens = [(token["const"], base), *tokens, (token["Add"], 0)]
        return self.columns.expr_row(tokens)

    # ---- tensors ----------------------------------------------------------------------------------------------------

    def value(self, ref: Ref, name: str, producer: int, origin: int) -> int:
        kinds, payloads, producers, names, storages = self._value_rows
        row = ref.row = len(kinds)
        kinds.append(self._tensor)
        payloads.append(self._meta(ref))
        producers.append(producer)
        names.append(self.columns.string(name) if name else 0)
        storages.append(self._storage(ref, origin))
        return row

    def _meta(self, ref: Ref) -> int:
        slopes = self._fold.slopes.get(id(ref)) if self._fold is not None else None
        if slopes is not None or ref.storage < 0:
            return self._meta_row(ref, slopes)
        key = (id(ref.key), ref.flags)  # equal keys of a tape are one
        row = self._metas.get(key)
        if row is None:
            row = self._metas[key] = self._meta_row(ref, None)
        return row

    def _meta_row(self, ref: Ref, slopes: Slopes | None) -> int:
        values = self.values
        layout, flags = values.layout_strided, 0
        if ref.storage < 0:
            odd = self.tape.odd[-1 - ref.storage]
            layout = values.layout_nested if odd.layout == "nested" else values.layouts.get(odd.layout, layout)
            flags = (values.quantized if odd.quantized else 0) | (values.subclass if odd.subclass else 0)
            if layout == values.layout_strided:
                layout = values.layout_opaque
        flags |= (values.conj if ref.flags & 2 else 0) | (values.neg if ref.flags & 4 else 0)
        dtype, shape, stride, offset = ref.key
        symint = self.values.symbols.symint
        if slopes is None:
            sizes, strides, start = tuple(map(symint, shape)), tuple(map(symint, stride)), symint(offset)
        else:
            sizes = tuple(map(self._grown, shape, slopes.shape))
            strides = tuple(map(self._grown, stride, slopes.stride))
            start = self._grown(offset, slopes.offset)
        return self.columns.meta_row(
            values.dtypes.get(dtype, values.dtype_opaque), layout, flags, sizes, strides, start
        )

    def _storage(self, ref: Ref, origin: int) -> int:
        storage = ref.storage
        if storage < 0:
            return NONE
        slope = 0
        if self._fold is not None:
            storage = self._fold.storages.get(storage, storage)
            slope = self._fold.bytes_slope.get(storage, 0)
        row = self._storages.get(storage)
        if row is None:
            kept = self.tape.storages[storage]
            device = kept.device
            sizes, devices, origins = self._storage_rows
            row = self._storages[storage] = len(sizes)
            sizes.append(self._grown(kept.bytes, slope))
            devices.append(self._devices.get(device) or self._device(device))
            origins.append(origin)
        return row

    def _device(self, device: torch.device) -> int:
        row = self._devices[device] = self.columns.string(str(device))
        return row

    def result(self, result: Any, name: str, index: int) -> int:
        """The value row of what an event gave."""
        origin = self.origin["intermediate"]
        if type(result) is Ref:
            return self.value(result, name, index, origin)
        if type(result) is list:
            items: list[Pair] = []
            for item in result:
                if type(item) is Ref:
                    items.append((self._value, self.value(item, "", index, origin)))
                else:
                    items.append(self.encode(item))
            kind, payload = self._list, self.columns.list_row(items)
        else:
            kind, payload = self.encode(result)
        return self.columns.add(
            "value", kind=kind, payload=payload, producer=index, name=self.columns.string(name), storage=NONE
        )

    # ---- arguments --------------------------------------------------------------------------------------------------

    def encode(self, arg: Any) -> Pair:
        kind = type(arg)
        if kind is Ref:
            return self._value, arg.row
        if kind is list:
            return self._list, self.columns.list_row([self.encode(item) for item in arg])
        if kind in _SHARED:
            key = (kind, arg)
            found = self._scalars.get(key)
            if found is None:
                found = self._scalars[key] = self._scalar(arg)
            return found
        return self._scalar(arg)

    def _scalar(self, arg: Any) -> Pair:
        kind = self.values.kind
        if isinstance(arg, Linear):
            return kind["symint"], self._linear(arg.base, arg.slope)
        if isinstance(arg, Varying):
            return kind[_VARYING[arg.type]], self.columns.expr_row([(self._token["opaque"], 0)])
        if isinstance(arg, dict):
            entries: list[Pair] = []
            for key, item in arg.items():
                entries += [self.encode(key), self.encode(item)]
            return self._dict, self.columns.list_row(entries)
        group = group_name(arg)
        if group is not None:
            return kind["string"], self.columns.string(group)
        return scalar(self.values, arg) or (kind["opaque"], self.columns.string(type(arg).__name__))
