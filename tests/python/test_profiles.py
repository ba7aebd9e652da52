"""Fusion profiles from files: the worked example of CONTRIBUTING.md, what the command prints, and its errors."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from conftest import ROOT, Run
from torch import nn

import fxcost
from fxcost.binding import Program, Status
from fxcost.fusion import kernels


def worked_example() -> str:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    section = text[text.index("## Add a fusion profile") :]
    found = re.search(r"^```\n(profile = .*?)^```$", section, re.M | re.S)
    assert found is not None
    return found[1]


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.profile"
    path.write_text(worked_example())
    return path


def test_the_worked_example_runs(pairs: Path, tmp_path: Path, run: Run) -> None:
    """Of a chain of three pointwise nodes two are one kernel."""

    class Chain(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.neg().exp().neg()

    capture = fxcost.capture(Chain(), (torch.randn(4, 8),))
    found = kernels(Program.from_bytes(capture.to_bytes(), "chain"), str(pairs))
    assert [kernel.nodes for kernel in found] == [("neg", "exp"), ("neg_1",)]
    model = tmp_path / "chain.fxir"
    capture.save(model)
    printed = run(str(model), "--fusion", str(pairs), "--by", "kernel").stdout
    assert "profile pairs: pairs" in printed and "2 kernels" in printed
    assert "'neg' and 'exp' are one kernel" in run("explain", str(model), "neg", "exp", "--fusion", str(pairs)).stdout


def test_what_was_understood(pairs: Path, run: Run) -> None:
    printed = run("profiles", str(pairs)).stdout
    assert "rule = pointwise | pointwise | pointwise | same_elements | one" in printed
    pairs.write_text(printed)
    assert run("profiles", str(pairs)).stdout == printed


@pytest.mark.parametrize(
    ("line", "expected"),
    [("max_nodes = many", "a whole number"), ("colour = red", "a word of a profile"), ("outer_loops", "name = value")],
)
def test_errors_name_the_line(pairs: Path, run: Run, line: str, expected: str) -> None:
    pairs.write_text(f"profile = p\nfrom = none\n{line}\n")
    failed = run("profiles", str(pairs))
    assert failed.returncode == Status.USAGE
    assert f"{pairs}: line 3" in failed.stderr and expected in failed.stderr


def test_no_such_profile(run: Run) -> None:
    failed = run("profiles", "no-such")
    assert failed.returncode == Status.USAGE and "expected: a name that this lists, or a profile file" in failed.stderr


def test_every_word_is_documented(run: Run) -> None:
    text = (ROOT / "docs" / "fusion.md").read_text()
    words = re.findall(r"^(?:NUMBER|FLAG)\((\w+),", (ROOT / "passes" / "fusion" / "fields.def").read_text(), re.M)
    assert len(words) >= 30
    assert [word for word in words if f"| `{word}` |" not in text] == []
    profiles = re.findall(r"^([a-z-]+) ", run("profiles").stdout, re.M)
    assert [name for name in profiles if f"| `{name}` |" not in text] == []
