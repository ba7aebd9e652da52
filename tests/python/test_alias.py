"""The alias pass against real tensors: aliasing, writes and their order, write-backs, and order edges.

Truth is the captured graph run node by node on real tensors (storages by address, writes by comparing bytes), the
eager model, and the mutation specs of torch's own functionalisation, run_decompositions({}).
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import copy
from typing import Any

import alias_oracle as oracle
import pytest
import torch
from alias_programs import CASES, Case

import fxcost

torch.set_num_threads(1)
TABLE: list[str] = []


class Run:
    """One case, captured, run and analysed once."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.model, self.args = case.make()
        with torch.set_grad_enabled(not case.no_grad):
            shapes = {"args": case.dynamic} if case.dynamic else None
            self.program = torch.export.export(copy.deepcopy(self.model), self.args, dynamic_shapes=shapes)
        self.truth = oracle.run_truth(self.program, self.args)
        self.said = oracle.Said(fxcost.capture(self.program).to_bytes(), oracle.input_names(self.program))


@pytest.fixture(scope="module")
def runs() -> Any:
    made: dict[str, Run] = {}

    def get(case: Case) -> Run:
        if case.name not in made:
            made[case.name] = Run(case)
        return made[case.name]

    yield get
    print("\n" + "\n".join(TABLE))


every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def test_there_are_enough() -> None:
    assert len(CASES) >= 30
    assert len({case.name for case in CASES}) == len(CASES)


@every_case
def test_graph_does_what_eager_does(case: Case, runs: Any) -> None:
    """The graph on real tensors is a fair truth: it gives what the model gives, and changes what the model changes."""
    run = runs(case)
    model, args = copy.deepcopy(run.model), oracle.clone_sharing(run.args, {})
    torch.manual_seed(0)
    with torch.no_grad():
        expected = model(*args)
    got = oracle.tensors_in(run.truth.outputs)
    for want, have in zip(oracle.tensors_in(expected), got, strict=True):
        torch.testing.assert_close(have, want)


@every_case
def test_aliasing(case: Case, runs: Any) -> None:
    """Values share a class exactly when their tensors share a storage."""
    run = runs(case)
    assert oracle.partition(run.said.memory) == oracle.partition(run.truth.storage_of())


@every_case
def test_writes_in_order(case: Case, runs: Any) -> None:
    run = runs(case)
    oracle.check_writes(run.said, run.truth, whole=True)


@every_case
def test_versions_count_up(case: Case, runs: Any) -> None:
    run = runs(case)
    version: dict[int, int] = {}
    for write in run.said.writes:
        if not write.metadata:
            version[write.memory] = version.get(write.memory, 0) + 1
        assert write.version == version.get(write.memory, 0)


@every_case
def test_write_backs(case: Case, runs: Any) -> None:
    """Inputs that hold other bytes after the run; and torch's functionalisation copies back to the same ones."""
    run = runs(case)
    said = [back.name.decode() for back in run.said.writebacks]
    assert sorted(said) == sorted(run.truth.changed_inputs)
    last_writer: dict[int, int] = {}
    for write in run.said.writes:
        if not write.metadata:
            last_writer[write.memory] = write.node
    for back in run.said.writebacks:
        assert back.node == last_writer[run.said.values[back.value].memory]
    TABLE.append(
        f"{case.name:36} {len(run.said.nodes):3} nodes {len(set(run.said.memory.values())):3} classes "
        f"{len(run.said.writes):2} writes {sum(map(len, run.said.dependencies)):3} edges  {' '.join(said)}"
    )
    if not case.functional:
        TABLE.append(f"{'':36} (mutation specs not compared: {case.why_not})")
        return
    with torch.set_grad_enabled(not case.no_grad):
        functional = run.program.run_decompositions({})
    mutated = {spec.target for spec in functional.graph_signature.output_specs if spec.kind.name.endswith("_MUTATION")}
    assert {back.target.decode() or back.name.decode() for back in run.said.writebacks} == mutated
    again = oracle.Said(fxcost.capture(functional).to_bytes(), oracle.input_names(functional))
    assert {back.target.decode() or back.name.decode() for back in again.writebacks} == mutated
    assert not again.writes, "the functional program writes nothing in place"


def edges(run: Run) -> dict[str, set[str]]:
    said = run.said
    found: dict[str, set[str]] = {}
    for node, (graph, name) in enumerate(said.nodes):
        if graph == 0:
            found[name] = {said.nodes[edge.node][1] for edge in said.dependencies[node]}
            assert all(said.nodes[edge.node][0] == 0 and edge.node < node for edge in said.dependencies[node])
    return found


@every_case
def test_edges_are_enough(case: Case, runs: Any) -> None:
    """Any order that respects arguments and our edges gives the same results."""
    if case.random:
        pytest.skip("draws random numbers in node order, so that no other order gives equal results")
    run = runs(case)
    captured = [node for node in run.program.graph.nodes if node.op == "call_function"]
    expected = oracle.results_in_order(run.program, run.args, captured)
    for seed in range(12):
        order = oracle.random_order(run.program, edges(run), seed)
        assert oracle.equal_results(expected, oracle.results_in_order(run.program, run.args, order)), [
            node.name for node in order
        ]


def test_edges_are_needed(runs: Any) -> None:
    """Without our edges many of these programs go wrong: the test above can fail."""
    wrong = []
    for case in CASES:
        if case.random or not any(edges(run := runs(case)).values()):
            continue
        captured = [node for node in run.program.graph.nodes if node.op == "call_function"]
        expected = oracle.results_in_order(run.program, run.args, captured)
        for seed in range(12):
            order = oracle.random_order(run.program, {}, seed)
            if not oracle.equal_results(expected, oracle.results_in_order(run.program, run.args, order)):
                wrong.append(case.name)
                break
    print(f"\nwrong without order edges: {len(wrong)} of {len(CASES)} programs")
    assert len(wrong) >= 20


@every_case
def test_capture_of_the_module_says_the_same(case: Case, runs: Any) -> None:
    """The module route and the exported program route agree."""
    run = runs(case)
    with torch.set_grad_enabled(not case.no_grad):
        shapes = {"args": case.dynamic} if case.dynamic else None
        captured = fxcost.capture(copy.deepcopy(run.model), run.args, dynamic_shapes=shapes)
    said = oracle.Said(captured.to_bytes(), run.said.inputs)
    assert [back.name for back in said.writebacks] == [back.name for back in run.said.writebacks]
    assert [(w.node, w.version, w.metadata) for w in said.writes] == [
        (w.node, w.version, w.metadata) for w in run.said.writes
    ]
