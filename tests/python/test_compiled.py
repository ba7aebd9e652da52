"""fxcost.compiled: graphs caught inside torch.compile."""

from __future__ import annotations

import pytest
import torch
from fxir_reader import Fxir

import fxcost
from fxcost.report import Program


def model() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.LayerNorm(8), torch.nn.GELU(), torch.nn.Linear(8, 2))


@pytest.fixture(autouse=True)
def forgotten() -> None:
    torch.compiler.reset()


def test_inference_is_what_a_capture_lowers() -> None:
    net, x = model().eval(), torch.randn(4, 8)
    with torch.no_grad():
        expected = net(x)
        with fxcost.compiled(generate=False) as programs:
            result = torch.compile(net)(x)
        captured = Fxir(fxcost.capture(net, (x,), lowered=True).to_bytes())
    torch.testing.assert_close(result, expected)
    (program,) = (Fxir(program.to_bytes()) for program in programs)
    assert program.enum_text("view", program.graph_view[0]) == "lowered"
    assert program.ops(0) == captured.ops(1)
    assert {program.call(int(call))[0] for call in program.node_call} == {"0", "1", "2", "3"}


def test_a_training_step_has_a_forward_and_a_backward_graph() -> None:
    net, x = model(), torch.randn(4, 8)
    with fxcost.compiled(generate=False) as programs:
        torch.compile(net)(x).sum().backward()
    assert [program.model for program in programs] == ["forward 1", "backward 1"]
    assert all(parameter.grad is not None for parameter in net.parameters())
    forward, backward = (Fxir(program.to_bytes()) for program in programs)
    flag = backward.flag("node_flag", "backward")
    assert all(flags & flag for flags in backward.node_flags) and not any(flags & flag for flags in forward.node_flags)
    assert backward.ops(0).count("aten.mm.default") == 3  # of two weights, and of the input of the second
    assert "2" in {backward.call(int(call))[0] for call in backward.node_call}
    roles = [forward.enum_text("output_kind", role) for role in forward.output_role]
    assert roles[0] == "user_output" and set(roles[1:]) == {"saved"}
    # Its products are those of the step as autograd runs it.
    step = fxcost.analyze(net, (x,), mode="train")
    macs = [fxcost.report.Report(Program.from_bytes(program.to_bytes(), "p")).macs for program in programs]
    assert sum(macs) == step.macs


def test_compiles_on_as_asked() -> None:
    seen = []

    def later(graph: torch.fx.Graph) -> None:
        seen.append(len(graph.nodes))

    net, x = torch.nn.Linear(2, 2), torch.randn(1, 2)
    passes = torch._inductor.config.patch(post_grad_custom_post_pass=later)
    with torch.no_grad(), passes, fxcost.compiled(generate=False) as programs:
        torch.compile(net)(x)
        torch.compile(net)(torch.randn(3, 2))
    assert seen and len(programs) == len(seen)
    with fxcost.compiled(generate=False) as programs:
        pass
    assert programs == []


def test_functions_without_modules_are_programs_too() -> None:
    with fxcost.compiled(generate=False) as programs:
        torch.compile(lambda x: x.exp() + 1)(torch.randn(4))
    totals = fxcost.report.Report(Program.from_bytes(programs[0].to_bytes(), "p")).to_dict()["totals"]
    assert (totals["flops"], totals["transcendentals"]) == (4, 4)


def test_errors_of_the_block_are_the_callers() -> None:
    with pytest.raises(ZeroDivisionError), fxcost.compiled(generate=False):
        raise ZeroDivisionError
    from torch._inductor import compile_fx, graph

    assert compile_fx.GraphLowering is graph.GraphLowering
