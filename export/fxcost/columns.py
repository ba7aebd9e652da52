"""The columns of a .fxir file: where rows collect, where equal things are stored once, and where bytes are made.

``ir/fxir.fbs`` says what each column means. Rows are appended to plain lists; each list becomes one FlatBuffer vector
in one call, so nothing here costs per row but the append itself.
"""

from __future__ import annotations

import array
import functools
import itertools
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

NONE = 0xFFFFFFFF
VERSION = (1, 3)

_TYPES = {
    "u1": """
        string_bytes capture_kind op_origin symbol_flags constraint_flags token_op storage_origin meta_dtype
        meta_layout value_kind arg_kind item_kind graph_view input_kind output_role output_kind config_kind
        call_flags param_kind param_flags region_kind measure_what
    """,
    "u2": """
        meta_flags node_flags arg_name
    """,
    "u4": """
        string_begin capture_key op_name op_schema op_tags symbol_name symbol_dim constraint_expr expr_begin
        storage_device meta_dim_begin value_producer value_name value_storage node_op node_arg_begin
        node_result node_call argname_text list_begin graph_name graph_node_begin graph_input_begin
        graph_output_begin input_value input_target output_target module_parent module_name module_class
        config_module config_key call_module call_parent call_number call_inputs call_outputs param_value
        param_module param_name region_parent region_config node_region node_origin node_source source_file
        source_line source_function measure_node
    """,
    "i8": """
        capture_payload symbol_hint symbol_min symbol_max constraint_min constraint_max token_payload
        storage_bytes meta_offset dim_size dim_stride value_payload arg_payload item_payload output_payload
        config_payload measure_value
    """,
}
COLUMNS: dict[str, np.dtype[Any]] = {
    name: np.dtype("<" + code) for code, names in _TYPES.items() for name in names.split()
}
OPTIONAL = frozenset(
    {"node_region", "node_origin", "node_source", "source_file", "source_line", "source_function"}
    | {"measure_node", "measure_what", "measure_value"}
)

_STRINGS = ("string_begin", "string_bytes")  # made of all strings at the end
_CODES = {np.dtype("<" + code): letter for code, letter in {"u1": "B", "u2": "H", "u4": "I", "i8": "q"}.items()}

_ADD = {name: "ProgramAdd" + "".join(map(str.capitalize, name.split("_"))) for name in COLUMNS}  # of the builder


def serialize(columns: Mapping[str, Any], version: tuple[int, int] = VERSION) -> bytes:
    """FlatBuffer bytes of whole columns (lists or arrays); an optional column may be missing."""
    import flatbuffers

    from . import _fxir_generated as fxir  # type: ignore[attr-defined, unused-ignore]

    present = [name for name in COLUMNS if columns.get(name) is not None]
    arrays = {name: _packed(columns[name], COLUMNS[name]) for name in present if len(columns[name])}
    size = sum(array.nbytes + 16 for array in arrays.values()) + 1024
    builder = flatbuffers.Builder(size)
    empty = builder.CreateNumpyVector(np.empty(0, dtype="<i8"))  # one for all that are
    offsets = {name: builder.CreateNumpyVector(array) for name, array in arrays.items()}
    fxir.ProgramStart(builder)
    fxir.ProgramAddVersionMajor(builder, version[0])
    fxir.ProgramAddVersionMinor(builder, version[1])
    for name in present:
        getattr(fxir, _ADD[name])(builder, offsets.get(name, empty))
    builder.Finish(fxir.ProgramEnd(builder), file_identifier=b"FXIR")
    return bytes(builder.Output())


def _packed(column: Any, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    if type(column) is list:  # two to three times as fast as numpy's own way
        column = array.array(_CODES[dtype], column)
    return np.asarray(column, dtype=dtype, order="C")


def _encoded(texts: list[str]) -> tuple[bytes, list[int]]:
    """Strings one after the other, each ended by NUL, and their lengths with it."""
    joined = "\0".join([*texts, ""])
    if joined.isascii() and joined.count("\0") == len(texts):  # a byte a character, as nearly always
        return joined.encode("ascii"), [len(text) + 1 for text in texts]
    # NUL ends a string and lone surrogates are no UTF-8: neither may reach the file.
    data = [text.replace("\0", "�").encode("utf-8", "replace") + b"\0" for text in texts]
    return b"".join(data), [len(text) for text in data]


def float_bits(value: float) -> int:
    """A double as the int64 that stands for it in a payload."""
    return int(struct.unpack("<q", struct.pack("<d", value))[0])


@functools.cache
def _fields(group: str) -> list[tuple[str, str]]:
    """The columns of a group by the last part of their names."""
    prefix = group + "_"
    return [(name.removeprefix(prefix), name) for name in COLUMNS if name.startswith(prefix) and name not in _STRINGS]


class Columns:
    """A program under construction: one list per column, which stays the same list, and dictionaries that store equal
    rows once."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Any]] = {name: [] for name in COLUMNS if name not in _STRINGS}
        for begin in ("expr", "meta_dim", "node_arg", "list", "graph_node", "graph_input", "graph_output"):
            self.rows[begin + "_begin"].append(0)
        self._groups: dict[str, dict[str, list[Any]]] = {}  # what add() fills, by the last part of the names
        self._strings: dict[str, int] = {}
        self._texts: list[str] = []
        self._lists: dict[tuple[tuple[int, int], ...], int] = {}
        self._exprs: dict[tuple[tuple[int, int], ...], int] = {}
        self._metas: dict[tuple[Any, ...], int] = {}
        self._argnames: dict[str, int] = {}
        self._sources: dict[tuple[str, int, str], int] = {}
        self.string("")

    def add(self, group: str, **fields: Any) -> int:
        """Appends one row to the columns ``group_field``; its index."""
        columns = self._groups.get(group)
        if columns is None:
            columns = self._groups[group] = {field: self.rows[name] for field, name in _fields(group)}
        for field, value in fields.items():
            columns[field].append(value)
        return len(columns[field]) - 1

    def string(self, text: str) -> int:
        index = self._strings.get(text)
        if index is None:
            index = self._strings[text] = len(self._texts)
            self._texts.append(text)
        return index

    def text(self, index: int) -> str:
        """The string of an index."""
        return self._texts[index]

    def argname(self, text: str) -> int:
        index = self._argnames.get(text)
        if index is None:
            index = self._argnames[text] = self.add("argname", text=self.string(text))
        return index

    def list_row(self, items: Sequence[tuple[int, int]]) -> int:
        """The list of these (kind, payload) items. Nested lists exist before the list that holds them."""
        key = tuple(items)
        index = self._lists.get(key)
        if index is None:
            index = self._lists[key] = len(self._lists)
            rows = self.rows
            rows["item_kind"].extend([kind for kind, _ in key])
            rows["item_payload"].extend([payload for _, payload in key])
            rows["list_begin"].append(len(rows["item_kind"]))
        return index

    def expr_row(self, tokens: Sequence[tuple[int, int]]) -> int:
        key = tuple(tokens)
        index = self._exprs.get(key)
        if index is None:
            index = self._exprs[key] = len(self._exprs)
            rows = self.rows
            rows["token_op"].extend([op for op, _ in key])
            rows["token_payload"].extend([payload for _, payload in key])
            rows["expr_begin"].append(len(rows["token_op"]))
        return index

    def meta_row(
        self, dtype: int, layout: int, flags: int, sizes: tuple[int, ...], strides: tuple[int, ...], offset: int
    ) -> int:
        key = (dtype, layout, flags, sizes, strides, offset)
        index = self._metas.get(key)
        if index is None:
            index = self._metas[key] = self.add("meta", dtype=dtype, layout=layout, flags=flags, offset=offset)
            rows = self.rows
            rows["dim_size"].extend(sizes)
            rows["dim_stride"].extend(strides)
            rows["meta_dim_begin"].append(len(rows["dim_size"]))
        return index

    def source_row(self, file: str, line: int, function: str) -> int:
        key = (file, line, function)
        index = self._sources.get(key)
        if index is None:
            index = self._sources[key] = self.add(
                "source", file=self.string(file), line=line, function=self.string(function)
            )
        return index

    def to_bytes(self) -> bytes:
        rows: dict[str, Any] = dict(self.rows)
        data, lengths = _encoded(self._texts)
        rows["string_bytes"] = np.frombuffer(data, dtype=np.uint8)
        rows["string_begin"] = [*itertools.accumulate(lengths, initial=0)]
        nodes = len(rows["node_op"])
        for name in ("node_region", "node_origin", "node_source"):
            if not rows[name] and nodes:
                del rows[name]
        return serialize(rows)
