"""A large program made of a small one: the nodes of graph 0 over and over, each time with values of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxcost.columns import COLUMNS, NONE

Array = np.ndarray[Any, Any]


def read_columns(data: bytes) -> dict[str, Array]:
    """All columns of a .fxir file as arrays (for making test files; the product reads files in C)."""
    from fxcost import _fxir_generated as fxir

    program = fxir.Program.GetRootAs(data, 0)
    columns = {}
    for name in COLUMNS:
        array = getattr(program, "".join(part.capitalize() for part in name.split("_")) + "AsNumpy")()
        if not isinstance(array, int):  # 0 stands for an absent column
            columns[name] = array
    return columns


def _tile_begin(begin: Array, copies: int) -> Array:
    """Offsets of `copies` repetitions of the group."""
    size = begin[-1]
    tiled = begin[:-1][None, :] + (np.arange(copies, dtype=np.int64) * int(size))[:, None]
    return np.append(tiled.ravel(), int(size) * copies).astype(np.uint32)


def _strings(columns: dict[str, Array], copies: int) -> int:
    """Appends the names of copies 1 and up, "linear_3.7"; the first new string's index."""
    begin, data = columns["string_begin"], columns["string_bytes"].tobytes()
    names = [data[begin[i] : begin[i + 1] - 1].decode() for i in columns["value_name"]]
    first = len(begin) - 1
    texts = [f"{name}.{copy}" if name else "" for copy in range(1, copies) for name in names]
    lengths = np.fromiter((len(text) + 1 for text in texts), dtype=np.int64, count=len(texts))
    columns["string_begin"] = np.concatenate([begin, begin[-1] + np.cumsum(lengths)]).astype(np.uint32)
    columns["string_bytes"] = np.frombuffer(data + ("\0".join(texts) + "\0").encode(), dtype=np.uint8)
    return first


def replicate(data: bytes, nodes: int, returned: bool = False) -> dict[str, Array]:
    """Columns of a program with at least `nodes` nodes in one graph. Its outputs are those of the first copy, or with
    `returned` of all, so that a compiler leaves none out."""
    from fxcost.binding import enumeration

    kind = enumeration("kind")
    holds_list = [kind[name] for name in ("list", "dict", "slice", "complex")]
    columns = read_columns(data)
    assert len(columns["graph_name"]) == 1, "a program of one graph is needed"
    copies = -(-nodes // len(columns["node_op"]))
    count = len(columns["value_kind"])
    step = np.arange(copies, dtype=np.int64)[:, None]
    made = columns["value_producer"] != NONE  # values of nodes get copies; inputs are shared by all

    def move(values: Array) -> Array:
        """[copies, n] of value ids: copy k of a node's value is k * count further on."""
        return np.where(made[values], values + step * count, values)

    def tile(name: str) -> None:
        columns[name] = np.tile(columns[name], copies)

    first_name = _strings(columns, copies)
    lists, node_count, storages = len(columns["list_begin"]) - 1, len(columns["node_op"]), len(columns["storage_bytes"])
    columns["value_payload"] = np.where(
        columns["value_kind"] == kind["list"], columns["value_payload"] + step * lists, columns["value_payload"]
    ).ravel()
    producer, storage = columns["value_producer"], columns["value_storage"]
    columns["value_producer"] = np.where(producer != NONE, producer + step * node_count, NONE).ravel()
    columns["value_storage"] = np.where(
        made & (storage != NONE), storage + step * storages, np.where(storage != NONE, storage, NONE)
    ).ravel()
    new_names = first_name + np.arange((copies - 1) * count, dtype=np.int64)
    columns["value_name"] = np.concatenate([columns["value_name"], new_names])
    tile("value_kind")
    for group in ("arg", "item"):
        values, kinds = columns[f"{group}_payload"], columns[f"{group}_kind"]
        moved = np.broadcast_to(values, (copies, len(values))).copy()
        is_value = kinds == kind["value"]
        moved[:, is_value] = move(values[is_value])
        moved[:, np.isin(kinds, holds_list)] += step * lists
        columns[f"{group}_payload"] = moved.ravel()
        tile(f"{group}_kind")
    tile("arg_name")
    columns.pop("node_origin", None)  # nodes of one graph come from no other
    if returned:
        values, kinds = columns["output_payload"], columns["output_kind"]
        columns["output_payload"] = np.where(
            kinds == kind["value"], move(np.where(kinds == kind["value"], values, 0)), values
        ).ravel()
        for name in ("output_kind", "output_role", "output_target"):
            tile(name)
        columns["graph_output_begin"] = np.array([0, len(columns["output_kind"])])
    for name in ("storage_bytes", "storage_device", "storage_origin", "node_op", "node_call", "node_flags"):
        tile(name)
    for name in ("node_source", "node_region"):
        if name in columns:
            tile(name)
    columns["node_result"] = (columns["node_result"] + step * count).ravel()
    columns["node_arg_begin"] = _tile_begin(columns["node_arg_begin"], copies)
    columns["list_begin"] = _tile_begin(columns["list_begin"], copies)
    columns["graph_node_begin"] = np.array([0, node_count * copies])
    return columns
