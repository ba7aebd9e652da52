"""Shape rules against torch's fake tensors, which recorded every value of these models during the capture. A selection;
bench/shape_oracle.py takes all of tests/python/shape_models.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Run
from shape_models import Build, models
from shape_sources import Sources, sources_of

pytest.importorskip("transformers", reason="transformers is needed for the models of this test")

CHOSEN = (
    *("funnel", "deberta-v2", "perceiver", "longt5", "m2m_100", "mobilenet_v2", "segformer", "sam", "wav2vec2"),
    *("speech_to_text", "audio-spectrogram-transformer", "owlvit", "deepseek_v3", "mamba2", "videomae", "patchtst"),
    *("U-Net (diffusion)", "U-Net (segmentation)", "transformer (torch)", "recurrent"),
)
BUILDS: dict[str, Build] = {
    name: build for family, name, build in models() if name in CHOSEN or family == "torch export example"
}
ROWS: dict[str, Sources] = {}


@pytest.fixture(scope="module", autouse=True)
def table(request: pytest.FixtureRequest) -> Iterator[None]:
    """Prints what share of the values has a rule, and what has none."""
    yield
    manager = request.config.pluginmanager
    reporter = manager.get_plugin("terminalreporter")
    total = Sources()
    with manager.get_plugin("capturemanager").global_and_fixture_disabled():
        reporter.write_line(f"\n{'shapes of':<40} {'values':>7} {'by rule':>8}")
        for name, found in ROWS.items():
            total.add(found)
            if found.values > 10:
                reporter.write_line(f"{name:<40} {found.values:>7} {found.share():>7.2f}%")
        reporter.write_line(f"{f'all {len(ROWS)}':<40} {total.values:>7} {total.share():>7.2f}%")
        reporter.write_line("recorded: " + ", ".join(f"{op} {n}" for op, n in total.recorded.most_common()))


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("name", BUILDS)
def test_rules_agree_with_the_recording(name: str, mode: str) -> None:
    train = mode == "train"
    found = sources_of(BUILDS[name]().capture(train=train, grad=train).to_bytes(), name)
    assert found.contradiction == ""
    ROWS[f"{name} ({mode})"] = found
    if name in CHOSEN:
        assert found.values > 10
        assert found.share() == 100
        assert found.share(found.dtype) == 100


STEPS = ("U-Net (diffusion)", "U-Net (segmentation)", "transformer (torch)", "funnel", "patchtst", "owlvit")


@pytest.mark.parametrize("name", STEPS)
def test_rules_agree_with_training_steps(name: str) -> None:
    """Forward and backward, down to the operators that autograd calls."""
    found = sources_of(BUILDS[name]().capture(train=True, grad=True, mode="train").to_bytes(), name)
    assert found.contradiction == ""
    ROWS[f"{name} (step)"] = found
    assert found.values > 50
    assert found.share() == 100
    assert found.share(found.strides) > 99


def test_all_that_was_chosen_is_there() -> None:
    assert set(CHOSEN) <= set(BUILDS)


def test_the_command_says_the_same(run: Run, stack_file: Path) -> None:
    found = sources_of(stack_file.read_bytes())
    assert found.rule > 0 and set(found.recorded) == {"fxcost_tests.odd.default"}
    lines = run("verify", stack_file, "--against-recorded").stdout.splitlines()
    rows = {op: (int(rule), int(recorded)) for rule, recorded, op in map(str.split, lines[1:-1])}
    assert rows["fxcost_tests.odd.default"] == (0, 1)
    assert rows["aten.linear.default"] == (4, 0)
    assert sum(rule for rule, _ in rows.values()) == found.rule
    assert sum(recorded for _, recorded in rows.values()) == found.recorded.total()
    assert f"{found.rule} of {found.values} values" in lines[-1]
