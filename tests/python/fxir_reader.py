"""Reads a .fxir back into Python for the capture tests, with flatc's generated code and without libfxcost's reader."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from fxcost import _fxir_generated as generated
from fxcost.columns import COLUMNS, NONE
from fxcost.enums import bits, enum


def camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


class Fxir:
    """Columns as numpy arrays by name, and lookups that resolve ids."""

    def __init__(self, data: bytes) -> None:
        assert generated.Program.ProgramBufferHasIdentifier(data, 0)
        root = generated.Program.GetRootAs(data, 0)
        self.version = root.VersionMajor(), root.VersionMinor()
        self.column: dict[str, np.ndarray] = {}
        for name, dtype in COLUMNS.items():
            if not getattr(root, camel(name) + "IsNone")():
                array = getattr(root, camel(name) + "AsNumpy")()
                length = getattr(root, camel(name) + "Length")()
                self.column[name] = np.asarray(array, dtype=dtype) if length else np.zeros(0, dtype)
        blob = self.column["string_bytes"].tobytes()
        begin = self.column["string_begin"]
        self.strings = [blob[begin[i] : begin[i + 1] - 1].decode() for i in range(len(begin) - 1)]
        self.kind_text = {number: text for text, number in enum("kind").items()}

    def __getattr__(self, name: str) -> np.ndarray:
        try:
            return self.column[name]
        except KeyError:
            raise AttributeError(name) from None

    def text(self, name: str, row: int) -> str:
        return self.strings[self.column[name][row]]

    def enum_text(self, enumeration: str, number: int) -> str:
        return {value: text for text, value in enum(enumeration).items()}[int(number)]

    def flag(self, enumeration: str, text: str) -> int:
        return bits(enumeration)[text]

    # ---- resolved rows ----------------------------------------------------------------------------------------------

    def decode(self, kind: int, payload: int) -> Any:
        """A (kind, payload) pair as Python: values as ("value", id), lists as lists."""
        text, payload = self.kind_text[int(kind)], int(payload)
        if text == "none":
            return None
        if text == "bool":
            return bool(payload)
        if text == "int":
            return payload
        if text == "float":
            return struct.unpack("<d", struct.pack("<q", payload))[0]
        if text == "string":
            return self.strings[payload]
        if text in ("list", "complex"):
            return self.items(payload)
        if text == "dict":
            items = self.items(payload)
            return dict(zip(items[::2], items[1::2], strict=True))
        if text == "slice":
            return slice(*self.items(payload))
        if text in ("symint", "symfloat", "symbool"):
            return (text, self.expression(payload))
        if text in ("device", "opaque", "script_object"):
            return (text, self.strings[payload])
        if text in ("dtype", "layout", "memory_format"):
            return (text, self.enum_text(text, payload))
        return (text, payload)

    def items(self, row: int) -> list[Any]:
        begin, end = self.list_begin[row], self.list_begin[row + 1]
        return [self.decode(self.item_kind[i], self.item_payload[i]) for i in range(begin, end)]

    def expression(self, row: int) -> str:
        """Postfix tokens as text."""
        words = []
        for i in range(self.expr_begin[row], self.expr_begin[row + 1]):
            op, payload = self.enum_text("token", self.token_op[i]), int(self.token_payload[i])
            if op == "symbol":
                words.append(self.text("symbol_dim", payload) or self.text("symbol_name", payload))
            elif op == "const":
                words.append(str(payload))
            elif op == "float" and i:
                words.append(str(struct.unpack("<d", struct.pack("<q", payload))[0]))
            else:
                words.append(op)
        return " ".join(words)

    def symint(self, code: int) -> int | str:
        return int(code) if code >= 0 else self.expression(-1 - int(code))

    def op(self, node: int) -> str:
        return self.text("op_name", self.node_op[node])

    def ops(self, graph: int = 0) -> list[str]:
        return [self.op(node) for node in range(self.graph_node_begin[graph], self.graph_node_begin[graph + 1])]

    def node(self, name: str) -> int:
        rows = [n for n in range(len(self.node_op)) if self.text("value_name", self.node_result[n]) == name]
        assert len(rows) == 1, (name, rows)
        return rows[0]

    def args(self, node: int) -> dict[str, Any]:
        rows = range(self.node_arg_begin[node], self.node_arg_begin[node + 1])
        return {
            self.strings[self.argname_text[self.arg_name[i]]]: self.decode(self.arg_kind[i], self.arg_payload[i])
            for i in rows
        }

    def value(self, value: int) -> Any:
        return self.decode(self.value_kind[value], self.value_payload[value])

    def meta(self, value: int) -> dict[str, Any]:
        kind, row = self.value(value)
        assert kind == "tensor", kind
        dims = slice(self.meta_dim_begin[row], self.meta_dim_begin[row + 1])
        return {
            "dtype": self.enum_text("dtype", self.meta_dtype[row]),
            "layout": self.enum_text("layout", self.meta_layout[row]),
            "flags": int(self.meta_flags[row]),
            "size": [self.symint(code) for code in self.dim_size[dims]],
            "stride": [self.symint(code) for code in self.dim_stride[dims]],
            "offset": self.symint(self.meta_offset[row]),
            "storage": int(self.value_storage[value]),
        }

    def result(self, node: int) -> int:
        return int(self.node_result[node])

    def module_path(self, row: int) -> str:
        parts: list[str] = []
        while row != NONE:
            parts.append(self.text("module_name", row))
            row = int(self.module_parent[row])
        return ".".join(reversed([part for part in parts if part]))

    def call(self, row: int) -> tuple[str, int]:
        return self.module_path(int(self.call_module[row])), int(self.call_number[row])

    def calls(self) -> list[tuple[str, int]]:
        return [self.call(row) for row in range(len(self.call_module))]

    def params(self) -> dict[str, int]:
        return {self.text("param_name", row): row for row in range(len(self.param_name))}

    @property
    def capture(self) -> dict[str, Any]:
        return {
            self.text("capture_key", i): self.decode(self.capture_kind[i], self.capture_payload[i])
            for i in range(len(self.capture_key))
        }

    def config(self, path: str) -> dict[str, Any]:
        return {
            self.text("config_key", i): self.decode(self.config_kind[i], self.config_payload[i])
            for i in range(len(self.config_key))
            if self.module_path(int(self.config_module[i])) == path
        }
