"""Shape, type and stride rules on sample inputs of some of torch's operators; bench/shape_sweep.py runs all of them."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from rule_results import Results

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))
pytest.importorskip("expecttest", reason="torch's operator database imports expecttest")
from shape_sweep import Sweep

CHOSEN = frozenset(
    """
    add sub where clamp sum mean var prod amax argmax any logsumexp cat stack index_select gather scatter
    split chunk topk sort cumsum permute transpose reshape view expand squeeze unsqueeze select narrow flatten roll flip
    tril triu matmul mm bmm addmm mv nn.functional.linear nn.functional.conv2d nn.functional.conv_transpose2d
    nn.functional.max_pool2d nn.functional.avg_pool2d nn.functional.adaptive_avg_pool2d nn.functional.layer_norm
    softmax nn.functional.cross_entropy nn.functional.pad nn.functional.embedding nn.functional.gelu zeros
    full_like new_empty
    """.split()  # noqa: SIM905
)


@pytest.fixture(scope="module")
def sweep() -> Iterator[tuple[Sweep, Results]]:
    from torch.testing._internal.common_methods_invocations import op_db

    found = Sweep()
    with warnings.catch_warnings(), found.recording():
        warnings.simplefilter("ignore")
        for info in op_db:
            if info.name in CHOSEN:
                found.entry(info, 4, 2)
    yield found, Results(found.calls.to_bytes(), found.calls)


def test_every_chosen_operator_was_called(sweep: tuple[Sweep, Results]) -> None:
    names = list(sweep[0].entries)
    assert [name for name in CHOSEN if not any(entry.startswith(name) for entry in names)] == []
    assert all(any(entry.samples) for entry in sweep[0].entries.values())


def test_rules_agree_with_fake_tensors(sweep: tuple[Sweep, Results]) -> None:
    found, results = sweep
    assert [
        f"{op}: {n.contradiction}" for op, n in zip(found.calls.ops, results.nodes, strict=True) if n.contradiction
    ] == []
    assert sum(node.values for node in results.nodes) > 1000


def test_most_is_told_by_rule(sweep: tuple[Sweep, Results]) -> None:
    nodes = sweep[1].nodes
    values = sum(node.values for node in nodes)
    assert sum(node.told["sizes"] for node in nodes) > 0.95 * values
    assert sum(node.told["type"] for node in nodes) > 0.95 * values
    assert sum(node.told["strides"] for node in nodes) > 0.85 * values


def test_fake_tensors_are_the_truth(sweep: tuple[Sweep, Results]) -> None:
    """Where real tensors differ from fake ones, these would be no truth."""
    assert {name: dict(entry.disagrees) for name, entry in sweep[0].entries.items() if entry.disagrees} == {}
