"""Tensors and other recorded values as rows: descriptions, storages, values."""

from __future__ import annotations

from typing import Any

import torch

from .columns import NONE, Columns
from .enums import bits, enum
from .symbols import Symbols

_PLAIN = (torch.Tensor, torch.nn.Parameter, torch.nn.Buffer)


def named_constants(texts: dict[str, int]) -> dict[Any, int]:
    """The torch constants (dtypes, layouts, memory formats) with these names."""
    return {getattr(torch, text): number for text, number in texts.items() if hasattr(torch, text)}


def is_batched(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and torch._C._functorch.is_functorch_wrapped_tensor(value)


class Values:
    """Interns tensor descriptions and storages; storages are told apart by identity, so they are kept alive."""

    def __init__(self, columns: Columns, symbols: Symbols) -> None:
        self.columns, self.symbols = columns, symbols
        self.kind = enum("kind")
        self.dtypes = named_constants(enum("dtype"))
        self.layouts = named_constants(enum("layout"))
        self.layout_strided = self.layouts[torch.strided]
        self.layout_nested = enum("layout")["nested"]
        self.layout_opaque = enum("layout")["opaque"]
        self.dtype_opaque = enum("dtype")["opaque"]
        flags = bits("tensor_flag")
        self.requires_grad, self.conj, self.neg = flags["requires_grad"], flags["conj"], flags["neg"]
        self.quantized, self.subclass = flags["quantized"], flags["subclass"]
        self._storage_rows: dict[int, int] = {}
        self._alive: list[Any] = []
        self._fake = torch._subclasses.FakeTensor

    def layout(self, tensor: torch.Tensor) -> int:
        if type(tensor) not in _PLAIN and not isinstance(tensor, self._fake) or is_batched(tensor):
            return self.layout_nested if tensor.is_nested else self.layout_opaque
        if tensor.is_nested:
            return self.layout_nested
        return self.layouts.get(tensor.layout, self.layout_opaque)

    def meta(self, tensor: torch.Tensor, layout: int) -> int:
        symint = self.symbols.symint
        flags = self.requires_grad if tensor.requires_grad else 0
        strided = layout == self.layout_strided
        if layout in (self.layout_opaque, self.layout_nested):
            flags |= self.subclass if type(tensor) not in _PLAIN else 0
        if strided:
            flags |= (self.conj if tensor.is_conj() else 0) | (self.neg if tensor.is_neg() else 0)
        if tensor.is_quantized:
            flags |= self.quantized
        try:
            sizes = tuple(map(symint, tensor.shape))
        except RuntimeError:  # a C++ nested tensor has no regular sizes
            sizes, strided = (), False
        strides = tuple(map(symint, tensor.stride())) if strided else (0,) * len(sizes)
        offset = symint(tensor.storage_offset()) if strided else 0
        dtype = self.dtypes.get(tensor.dtype, self.dtype_opaque)
        return self.columns.meta_row(dtype, layout, flags, sizes, strides, offset)

    def storage(self, tensor: torch.Tensor, layout: int, origin: int) -> int:
        """The storage row of a strided tensor; other layouts have no one storage to speak of."""
        if layout != self.layout_strided:
            return NONE
        try:
            storage = tensor.untyped_storage()
        except (RuntimeError, NotImplementedError):
            return NONE
        row = self._storage_rows.get(storage._cdata)
        if row is None:
            row = self._storage_rows[storage._cdata] = self.columns.add(
                "storage",
                bytes=self.symbols.symint(storage.nbytes()),
                device=self.columns.string(str(tensor.device)),
                origin=origin,
            )
            self._alive.append(storage)
        return row

    def alias_storage(self, tensor: torch.Tensor, row: int) -> None:
        """Makes another tensor's storage (a parameter's real one) stand for a row that exists."""
        try:
            storage = tensor.untyped_storage()
        except (RuntimeError, NotImplementedError):
            return
        self._storage_rows.setdefault(storage._cdata, row)
        self._alive.append(storage)

    def known_storage(self, tensor: torch.Tensor) -> int | None:
        try:
            return self._storage_rows.get(tensor.untyped_storage()._cdata)
        except (RuntimeError, NotImplementedError):
            return None

    def add(self, val: Any, name: str, producer: int, origin: int) -> int:
        """The value row of what a node or an input produces."""
        kind, payload, storage = self.describe(val, producer, origin)
        rows = self.columns.rows
        rows["value_kind"].append(kind)
        rows["value_payload"].append(payload)
        rows["value_producer"].append(producer)
        rows["value_name"].append(self.columns.string(name))
        rows["value_storage"].append(storage)
        return len(rows["value_kind"]) - 1

    def describe(self, val: Any, producer: int, origin: int) -> tuple[int, int, int]:
        kind = self.kind
        if isinstance(val, torch.Tensor):
            layout = self.layout(val)
            return kind["tensor"], self.meta(val, layout), self.storage(val, layout, origin)
        if val is None:
            return kind["none"], 0, NONE
        if isinstance(val, (list, tuple)):
            items = [self._element(item, producer, origin) for item in val]
            return kind["list"], self.columns.list_row(items), NONE
        if isinstance(val, dict):
            entries = []
            for key, item in val.items():
                entries += [(kind["string"], self.columns.string(str(key))), self._element(item, producer, origin)]
            return kind["dict"], self.columns.list_row(entries), NONE
        found = self.scalar(val)
        return (*(found or (kind["opaque"], self.columns.string(type(val).__name__))), NONE)

    def _element(self, item: Any, producer: int, origin: int) -> tuple[int, int]:
        if item is None:
            return self.kind["none"], 0
        return self.kind["value"], self.add(item, "", producer, origin)

    def scalar(self, val: Any) -> tuple[int, int] | None:
        """Kind and payload of a Python or symbolic scalar, of a torch constant or of a script object."""
        from .args import scalar

        return scalar(self, val)
