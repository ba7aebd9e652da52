"""The conventions against the tools themselves, live: totals and tables by operator, to the digit (tests/peers).

`make test` sets their environments up but DeepSpeed's, which is optional; FXC_PEERS names the folder. A selection of
programs runs here, all of them in `make check-all` (bench/check_all.py)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = Path(os.environ.get("FXC_PEERS", ROOT / "build" / "peers"))
sys.path.insert(0, str(ROOT / "tests" / "peers"))

import compare  # noqa: E402
from programs import MODELS, OPERATORS  # noqa: E402
from reasons import REASONS  # noqa: E402

PROGRAMS = [*OPERATORS, "toy", "toy without bias", "LeNet", "ResNet-18", "Swin", "BERT", "GPT-2", "Llama"]
FEWEST_EQUAL = 0.95
# Figures of torchvision's ResNets at 1x3x224x224, which the tools print live: of torch_flops' and thop's READMEs, of
# torch's own tests, of fvcore.
PUBLISHED = {
    ("torch_flops", "ResNet-50"): 8_227_340_288,
    ("thop", "ResNet-50"): 4_133_742_592,
    ("flop_counter", "ResNet-50"): 8_178_368_512,
    ("flop_counter", "ResNet-18, 224"): 3_628_146_688,
    ("fvcore", "ResNet-50"): 4_111_512_576,
}


def peers_here() -> list[str]:
    """Peers whose environment is set up; the test is skipped without the common one."""
    if not (ENVIRONMENTS / "common").exists():
        pytest.skip(f"no environments of peers in {ENVIRONMENTS}: tests/peers/setup.sh makes them")
    here = [peer for peer, name in compare.ENVIRONMENT.items() if (ENVIRONMENTS / name).exists()]
    missing = sorted(compare.ENVIRONMENT.keys() - here)
    print(f"not set up, not compared: {', '.join(missing)}" if missing else "all peers are set up")
    return here


def test_published_figures(tmp_path: Path) -> None:
    programs = list(dict.fromkeys(program for _, program in PUBLISHED))
    peers = [peer for peer in peers_here() if peer in {known for known, _ in PUBLISHED}]
    cells = {(c.peer, c.program): c for c in compare.compare(ENVIRONMENTS, peers, programs, tmp_path)}
    for key, figure in PUBLISHED.items():
        if key[0] in peers:
            assert cells[key].ours["total"] == cells[key].theirs["total"] == figure


# Which of their tests run a tool itself, by the environment that it is installed in.
FACES = {
    "common": ["fvcore", "flop_counter", "torch_flops", "torchinfo", "flops_profiler", "profiler"],
    "deepspeed": ["deepspeed"],
}


@pytest.mark.parametrize("environment", FACES)
def test_classes_print_what_the_tools_print(environment: str) -> None:
    """The tests of fxcost.compat once more, where the tools are installed: there they skip nothing."""
    python = ENVIRONMENTS / environment / "bin" / "python"
    if not python.exists():
        pytest.skip(f"no environment {environment} in {ENVIRONMENTS}: tests/peers/setup.sh makes it")
    files = [ROOT / "tests" / "python" / f"test_compat_{name}.py" for name in FACES[environment]]
    answer = subprocess.run([python, "-m", "pytest", "-rs", *files], cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout[-4000:]
    assert " passed" in answer.stdout and "skipped" not in answer.stdout, answer.stdout[-4000:]


def test_conventions_equal_their_tools(tmp_path: Path) -> None:
    assert set(PROGRAMS) <= {*OPERATORS, *MODELS}
    assert len(OPERATORS) >= 40
    assert len(MODELS) >= 14
    cells = compare.compare(ENVIRONMENTS, peers_here(), PROGRAMS, tmp_path)
    print(compare.matrix(cells))
    print(compare.summary(cells))
    assert [f"{c.peer}, {c.program}: {c.difference}" for c in cells if c.difference and not c.reason] == []
    outdated = [key for key in REASONS if any((c.peer, c.program) == key and not c.difference for c in cells)]
    assert outdated == []
    assert sum(not cell.difference for cell in cells) >= FEWEST_EQUAL * len(cells)
