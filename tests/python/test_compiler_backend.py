"""torch.compile(model, backend="fxcost"): runs what its delegate runs, and counts what FlopCounterMode counts."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest
import torch
from compiled_models import MODELS, counted_by_flop_counter, run
from fxir_reader import Fxir
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import fxcost.compiler
from fxcost.compiler import hooks
from fxcost.report import Program, Report

DELEGATES = ("inductor", "aot_eager", "eager")


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    torch.compiler.reset()
    fxcost.compiler.forget()
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # one operator for a whole layer, which torch does not count
    with sdpa_kernel(SDPBackend.MATH):
        yield
    torch.backends.mha.set_fastpath_enabled(fast)


@pytest.mark.parametrize("train", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("name", MODELS)
def test_runs_as_the_delegate_and_counts_as_torch(name: str, train: bool) -> None:
    model, inputs = MODELS[name]()
    expected = counted_by_flop_counter(model, inputs, train)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    theirs = run(model, inputs, train, torch.compile(model, backend="aot_eager"))
    torch.compiler.reset()
    model.load_state_dict(state)
    ours = run(model, inputs, train, torch.compile(model, backend="fxcost", options={"delegate": "aot_eager"}))
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one, other)
    report = fxcost.compiler.report()
    assert report.matrix_flops == expected > 0
    assert report.unknown == {}
    parts = {graph.part for graph in report.graphs}
    assert parts == ({"forward", "backward"} if train else {"inference"})
    assert report.kernels is None and f"{len(report.graphs)} compiled by aot_eager" in str(report)


@pytest.mark.parametrize("name", ["causal", "broken"])
def test_inductor_compiles_as_without_us(name: str) -> None:
    model, inputs = MODELS[name]()
    expected = counted_by_flop_counter(model, inputs, True)
    theirs = run(model, inputs, True, torch.compile(model))
    torch.compiler.reset()
    ours = run(model, inputs, True, torch.compile(model, backend="fxcost"))
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one, other)
    report = fxcost.compiler.report()
    assert report.matrix_flops == expected
    assert report.kernels is not None and report.kernels > len(report.graphs)
    assert 0 < report.analysis_seconds < report.compile_seconds


def test_eager_is_traced_when_asked() -> None:
    model, inputs = MODELS["tokens"]()
    theirs = run(model, inputs, False, model)
    ours = run(model, inputs, False, torch.compile(model, backend="fxcost", options={"delegate": "eager"}))
    assert torch.equal(ours[0], theirs[0])
    report = fxcost.compiler.report()
    assert report.matrix_flops == counted_by_flop_counter(model, inputs, False)
    assert report.by_module()[report.frames[0].function + " " + report.frames[0].place, "layer.linear1"]["forward"] > 0


def test_graph_breaks_and_recompilations_have_reasons() -> None:
    model, (x,) = MODELS["broken"]()
    compiled = torch.compile(model, backend="fxcost", options={"delegate": "aot_eager"}, dynamic=False)
    with torch.no_grad():
        compiled(x)
        compiled(x[:3])
    report = fxcost.compiler.report()
    ((place, reason),) = report.breaks
    assert "graph_break()" in reason and "compiled_models.py:" in place
    assert {frame.function for frame in report.recompiles} >= {"forward"}
    assert any("size mismatch at index 0. expected 4, actual 3" in frame.recompiled for frame in report.recompiles)
    text = str(report)
    assert "graph breaks: 1" in text and "actual 3" in text and "inner" not in report.by_module()
    data = report.to_dict()
    assert sum(graph["flops"] for graph in data["graphs"]) == data["flops"] == report.flops


def test_dynamic_sizes_are_one_graph_at_the_size_it_was_compiled_for() -> None:
    model, (x,) = MODELS["gated"]()
    torch._dynamo.mark_dynamic(x, 0)
    compiled = torch.compile(model, backend="fxcost", options={"delegate": "aot_eager"})
    with torch.no_grad():
        for size in (2, 5):
            given = torch.randn(size, 6, 16)
            torch._dynamo.mark_dynamic(given, 0)
            torch.testing.assert_close(compiled(given), model(given))
    report = fxcost.compiler.report()
    (graph,) = report.graphs
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.randn(2, 6, 16))
    assert report.matrix_flops == counter.get_total_flops()
    program = Program.from_bytes(graph.program.to_bytes(), "dynamic")
    columns = Fxir(graph.program.to_bytes())
    (symbol,) = (columns.text("symbol_name", row) for row in range(len(columns.symbol_name)))
    at_five = Report(program, dims={symbol: 5})
    assert 2 * at_five.matrix_flops == 5 * report.matrix_flops


def test_a_callback_is_told_of_each_graph() -> None:
    model, inputs = MODELS["residual"]()
    seen: list[tuple[str, int]] = []

    def callback(graph: fxcost.compiler.CompiledGraph) -> None:
        seen.append((graph.part, graph.report.matrix_flops))

    backend = fxcost.compiler.Backend("aot_eager", callback)
    run(model, inputs, True, torch.compile(model, backend=backend))
    assert [part for part, _ in seen] == ["forward", "backward"]
    assert sum(flops for _, flops in seen) == backend.report().matrix_flops
    assert fxcost.compiler.report().graphs == []  # it is another backend's
    backend.forget()
    assert backend.report().graphs == []


def test_the_name_of_an_installed_package_is_the_same_backend() -> None:
    from fxcost.compiling import dynamo_backend  # what the entry point in pyproject.toml names

    model, inputs = MODELS["residual"]()
    with torch.no_grad():
        torch.compile(model, backend=dynamo_backend, options={"delegate": "aot_eager"})(*inputs)
    assert len(fxcost.compiler.report().graphs) == 1


def test_options_that_are_not_known_are_errors() -> None:
    with pytest.raises(fxcost.FxcostError, match="delegate 'tvm'"):
        fxcost.compiler.Backend("tvm")
    with pytest.raises(fxcost.FxcostError, match="max_autotune with delegate 'eager'"):
        fxcost.compiler.Backend("eager", max_autotune=True)


def test_the_delegates_errors_are_its_own() -> None:
    model, inputs = MODELS["residual"]()
    compiled = torch.compile(model, backend="fxcost", options={"not_an_option": 1})
    with pytest.raises(Exception, match="not_an_option"), torch.no_grad():
        compiled(*inputs)
    from torch._inductor import compile_fx, graph

    assert compile_fx.GraphLowering is graph.GraphLowering


def test_threads_compile_one_after_another() -> None:
    backend = fxcost.compiler.Backend("aot_eager")
    failures: list[BaseException] = []

    def work(name: str) -> None:
        try:
            model, inputs = MODELS[name]()
            with torch.no_grad():
                torch.testing.assert_close(torch.compile(model, backend=backend)(*inputs), model(*inputs))
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("residual", "gated", "causal")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(backend.report().graphs) == 3


def test_a_forked_process_compiles_on() -> None:
    model, inputs = MODELS["residual"]()
    backend = fxcost.compiler.Backend("aot_eager")
    with torch.no_grad():
        torch.compile(model, backend=backend)(*inputs)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            other, given = MODELS["gated"]()
            with torch.no_grad():
                torch.compile(other, backend=backend)(*given)
            graphs = backend.report().graphs  # the parent's and its own
            status = 0 if len(graphs) == 2 and graphs[1].report.matrix_flops > 0 else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(backend.report().graphs) == 1


def test_what_torch_lacks_is_named() -> None:
    with pytest.raises(fxcost.FxcostError, match=r"for a test\n  expected: torch._inductor.nothing.at_all, as torch"):
        hooks.seam("torch._inductor.nothing", "at_all", "for a test")
    with pytest.raises(fxcost.FxcostError, match="the setting torch._inductor.config.no_such_thing"):
        hooks.setting("torch._inductor.config", "no_such_thing", "for a test")
    assert hooks.setting("torch._inductor.config", "_post_fusion_custom_pass", "") is torch._inductor.config


def test_cache_keys_tell_prices_apart() -> None:
    assert hooks.cache_key("a100-sxm-80gb", "inductor-cpu") == hooks.cache_key("a100-sxm-80gb", "inductor-cpu")
    assert hooks.cache_key("a100-sxm-80gb") != hooks.cache_key("h100-sxm")
