"""The range of versions that is declared, and what is said outside of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import ROOT

import fxcost
from fxcost.binding import Status
from fxcost.versions import PYTHON, RANGE, TORCH, check, notice, number


def test_this_environment_is_in_the_range() -> None:
    assert TORCH[0] <= number(torch.__version__) <= TORCH[1]
    assert PYTHON[0] <= sys.version_info[:2] <= PYTHON[1]
    assert notice(torch.__version__) == ""
    check()


def test_the_range_is_said_the_same_everywhere() -> None:
    (low, high), (first, last) = TORCH, PYTHON
    numbers = [f"{major}.{minor}" for major, minor in (low, high, first, last)]
    assert "torch {} to {} and Python {} to {}".format(*numbers) == RANGE
    assert high[1] - low[1] >= 2, "three minors at least"
    assert RANGE in (ROOT / "README.md").read_text()
    assert f'requires-python = ">={first[0]}.{first[1]}"' in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize(
    ("torch_version", "python"), [("2.4.1+cu121", (3, 11)), ("1.13.0", (3, 11)), ("2.13.0", (3, 9))]
)
def test_older_is_refused(torch_version: str, python: tuple[int, int]) -> None:
    with pytest.raises(fxcost.FxcostError) as caught:
        notice(torch_version, python)
    assert RANGE in str(caught.value) and torch_version in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 5


@pytest.mark.parametrize(
    ("torch_version", "python"), [("2.99.0.dev2027", (3, 11)), ("3.0.0", (3, 12)), ("2.13.0", (3, 15))]
)
def test_newer_is_said(torch_version: str, python: tuple[int, int]) -> None:
    assert RANGE in notice(torch_version, python)


@pytest.mark.parametrize(("version", "status"), [("2.1.0", Status.CAPTURE), ("2.99.0", Status.OK)])
def test_the_command_names_the_range(version: str, status: Status, tmp_path: Path) -> None:
    """torch says that it is another version than it is, before fxcost looks."""
    code = f"import sys, torch; torch.__version__ = {version!r}; from fxcost.__main__ import main; sys.exit(main())"
    model, out = str(ROOT / "examples" / "toy.py"), str(tmp_path / "toy.fxir")
    answer = subprocess.run([sys.executable, "-c", code, model, "-o", out], capture_output=True, text=True, timeout=300)
    assert answer.returncode == status, answer.stderr
    assert RANGE in answer.stderr and len(answer.stderr.splitlines()) <= 5
    assert Path(out).exists() == (status == Status.OK)
