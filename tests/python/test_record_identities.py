"""Recording: storages are told apart though their addresses are given away again, and none is held for it."""

from __future__ import annotations

import torch
from fxir_reader import Fxir

import fxcost
from fxcost.recording.identities import Identities

COUNT = 500


def test_what_is_gone_is_let_go_of() -> None:
    identities = Identities()
    kept = []
    for row in range(COUNT):
        storage = torch.empty(3).untyped_storage()
        if row % 10 == 0:
            kept.append(storage)
        identities.add(storage, row)
        del storage
        assert len(identities.known) < COUNT // 2
    assert identities.held() == list(range(0, COUNT, 10))
    assert [identities.known[storage._cdata] for storage in kept] == list(range(0, COUNT, 10))
    identities.free()
    assert not identities.known


def test_an_address_that_is_given_away_again_is_another_storage() -> None:
    """Tensors that code makes outside of dispatch, and results: each has a storage of its own in the program."""
    addresses = set()
    with fxcost.record(fold=False) as recording:
        for number in range(COUNT):
            x = torch.tensor([float(number)])  # which dispatch sees as lift_fresh alone
            y = x.mul(2)
            addresses |= {x.untyped_storage()._cdata, y.untyped_storage()._cdata}
            del x, y
    assert len(addresses) < COUNT  # they do come again
    ir = Fxir(recording.to_bytes())
    products = [node for node in range(len(ir.node_op)) if ir.text("op_name", ir.node_op[node]) == "aten.mul.Tensor"]
    taken = {int(ir.value_storage[ir.arg_payload[ir.node_arg_begin[node]]]) for node in products}
    made = {int(ir.value_storage[ir.node_result[node]]) for node in products}
    assert len(products) == COUNT and len(taken) == COUNT and len(made) == COUNT and not taken & made
