"""The conventions against the tools themselves, live: totals and tables by operator, to the digit (tests/peers).

`make test` sets their environments up; FXC_PEERS names the folder. A selection of programs runs here, all of them in
`make check-all` (bench/check_all.py)."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = Path(os.environ.get("FXC_PEERS", ROOT / "build" / "peers"))
sys.path.insert(0, str(ROOT / "tests" / "peers"))

import compare  # noqa: E402
from programs import MODELS, OPERATORS  # noqa: E402

PROGRAMS = [*OPERATORS, "toy", "toy without bias", "LeNet", "ResNet-18", "Swin", "BERT", "GPT-2", "Llama"]
FEWEST_EQUAL = 0.95


def test_conventions_equal_their_tools(tmp_path: Path) -> None:
    missing = [name for name in set(compare.ENVIRONMENT.values()) if not (ENVIRONMENTS / name).exists()]
    if missing:
        pytest.skip(f"no environments of peers in {ENVIRONMENTS}: run tests/peers/setup.sh ({', '.join(missing)})")
    assert set(PROGRAMS) <= {*OPERATORS, *MODELS}
    cells = compare.compare(ENVIRONMENTS, compare.ENVIRONMENT, PROGRAMS, tmp_path)
    print(compare.matrix(cells))
    print(compare.summary(cells))
    assert [f"{c.peer}, {c.program}: {c.difference}" for c in cells if c.difference and not c.reason] == []
    assert sum(not cell.difference for cell in cells) >= FEWEST_EQUAL * len(cells)
