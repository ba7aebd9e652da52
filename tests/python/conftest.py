"""What all Python tests share: one thread, no network, the toy model, and the native command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch  # noqa: E402

from fxcost.binding import package_file  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples"))

from toy import Toy  # noqa: E402

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _totals_are_those_of_the_program() -> Iterator[None]:
    """Recording.totals counts one call of each kind. Of every recording that any test makes, it has to say what its
    whole program says."""
    from fxcost.recording import Recording
    from fxcost.recording.totals import totals_of

    write = Recording._write

    def compared(self: Recording) -> None:
        totals = self.totals if type(self) is Recording else None
        write(self)
        assert totals is None or totals == totals_of(self.program)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Recording, "_write", compared)
        yield


@pytest.fixture(scope="session")
def native() -> str:
    """The native command: the package's own, or the one under development that FXCOST_NATIVE names."""
    return os.environ.get("FXCOST_NATIVE") or str(package_file("bin", "fxcost"))


@pytest.fixture(scope="session")
def run(native: str) -> Run:
    """run("toy.fxir", "--raw"): the native command without Python, its text captured."""

    def call(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {k: v for k, v in os.environ.items() if k != "FXCOST_PYTHON"} | environment
        return subprocess.run([native, *map(str, arguments)], capture_output=True, text=True, env=clean, timeout=300)

    return call


@pytest.fixture(scope="session")
def toy_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy of the README as a .fxir file."""
    import fxcost

    with torch.no_grad():
        return fxcost.capture(Toy().eval(), (torch.randn(1, 5),)).save(tmp_path_factory.mktemp("toy") / "toy.fxir")


@pytest.fixture(scope="session")
def stack_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model with equal siblings, an unknown operator and every kind of row."""
    import fxcost

    @torch.library.custom_op("fxcost_tests::odd", mutates_args=())
    def odd(x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    odd.register_fake(torch.empty_like)

    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = torch.nn.LayerNorm(16)
            self.fc = torch.nn.Linear(16, 16)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + torch.relu(self.fc(self.norm(x)))

    class Stack(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = torch.nn.ModuleList(Block() for _ in range(4))
            self.idle = torch.nn.Identity()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for block in self.blocks:
                x = block(x)
            return self.idle(odd(x.reshape(4, 4, -1)[..., :4]).cumsum(0))

    with torch.no_grad():
        captured = fxcost.capture(Stack().eval(), (torch.randn(8, 16),))
    return captured.save(tmp_path_factory.mktemp("stack") / "stack.fxir")
