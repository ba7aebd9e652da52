"""The command as a user meets it: faces, options, exit codes, messages, and files that are whole or absent."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, Run

from fxcost.binding import Status


def test_toy_totals(run: Run, toy_file: Path) -> None:
    """linear is 2*5*4, the in-place addition one FLOP an element: counted by hand from the definitions."""
    answer = run(toy_file, "--format", "json", "--by", "op")
    assert answer.returncode == 0, answer.stderr
    report = json.loads(answer.stdout)
    rows = {row["name"]: row for row in report["rows"]}
    assert rows["aten.linear.default"]["flops"] == 40
    assert rows["aten.add_.Tensor"]["flops"] == 4
    assert (report["totals"]["flops"], report["totals"]["macs"]) == (44, 20)
    assert report["totals"]["params"] == 24


@pytest.mark.parametrize("by", ["module", "class", "op", "node"])
@pytest.mark.parametrize("output", ["tree", "table", "json", "csv", "md"])
def test_faces(run: Run, stack_file: Path, by: str, output: str) -> None:
    answer = run(stack_file, "--by", by, "--format", output, "--device", "a100-sxm-80gb")
    assert answer.returncode == 0, answer.stderr
    if output in ("tree", "table"):
        assert max(map(len, answer.stdout.splitlines())) <= 100
        assert "fxcost_tests.odd.default" in answer.stdout, "what was not counted is named"
        assert "convention fxcost" in answer.stdout.splitlines()[-1]
    elif output == "json":
        assert json.loads(answer.stdout)["options"]["by"] == by
    elif output == "csv":
        rows = list(csv.DictReader(io.StringIO(answer.stdout)))
        assert all(None not in row and None not in row.values() for row in rows), "every row has every column"


def test_json_follows_its_schema(run: Run, stack_file: Path, toy_file: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    schema = json.loads((ROOT / "docs" / "report.schema.json").read_text())
    for file in (stack_file, toy_file):
        for by in ("module", "class", "op", "node"):
            for device in ((), ("--device", "h100-sxm")):
                report = json.loads(run(file, "--format", "json", "--by", by, *device).stdout)
                jsonschema.validate(report, schema)


def test_rows_add_up(run: Run, stack_file: Path) -> None:
    """Sums over classes, operators and nodes are the total; a module's row is the sum of the nodes below it."""
    by = {
        kind: json.loads(run(stack_file, "--format", "json", "--by", kind).stdout) for kind in ("class", "op", "node")
    }
    for field in ("flops", "macs", "transcendentals", "int_ops", "bytes_read", "bytes_written", "kernels"):
        totals = {report["totals"][field] for report in by.values()}
        sums = {kind: sum(row[field] for row in report["rows"]) for kind, report in by.items()}
        assert set(sums.values()) == totals, field
    modules = json.loads(run(stack_file, "--format", "json").stdout)["rows"]
    nodes = by["node"]["rows"]
    for module in modules:
        prefix = module["name"]
        below = [n for n in nodes if not prefix or n["module"] == prefix or n["module"].startswith(prefix + ".")]
        assert module["flops"] == sum(n["flops"] for n in below), prefix


def test_equal_siblings_fold(run: Run, stack_file: Path) -> None:
    folded = run(stack_file).stdout
    assert "0-3 ×4" in folded
    unfolded = run(stack_file, "--unfold").stdout
    assert "×4" not in unfolded.split("shapes")[1]
    assert "idle" in unfolded and "idle" not in folded.split("shapes")[1]


def test_depth_top_root_sort(run: Run, stack_file: Path) -> None:
    rows = json.loads(run(stack_file, "--format", "json", "--depth", "1").stdout)["rows"]
    assert max(row["depth"] for row in rows) == 1
    rows = json.loads(run(stack_file, "--format", "json", "--by", "op", "--top", "2", "--sort", "bytes").stdout)["rows"]
    assert len(rows) == 2
    rows = json.loads(run(stack_file, "--format", "json", "--root", "blocks.1").stdout)["rows"]
    assert [row["name"] for row in rows] == ["blocks.1", "blocks.1.norm", "blocks.1.fc"]


def test_fail_on_unknown(run: Run, stack_file: Path, toy_file: Path) -> None:
    answer = run(stack_file, "--fail-on-unknown")
    assert answer.returncode == Status.UNKNOWN_OPS
    assert "no formula" in answer.stderr
    assert run(toy_file, "--fail-on-unknown").returncode == 0


def test_seconds_only_with_a_device(run: Run, toy_file: Path) -> None:
    plain = json.loads(run(toy_file, "--format", "json").stdout)
    assert plain["totals"]["seconds"] is None and plain["options"]["time_source"] is None
    timed = json.loads(run(toy_file, "--format", "json", "--device", "h100-sxm").stdout)
    assert timed["totals"]["seconds"] > 0 and timed["options"]["time_source"] == "predicted"
    assert "predicted" in run(toy_file, "--device", "h100-sxm").stdout
    assert "datasheet" in run(toy_file, "--device", "epyc-9654").stdout


def test_output_is_whole_or_absent(run: Run, toy_file: Path, tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    assert run(toy_file, "--format", "json", "-o", target).returncode == 0
    before = target.read_text()
    assert json.loads(before)["totals"]["flops"] == 44
    assert run(toy_file, "--by", "planet", "-o", target).returncode == Status.USAGE
    assert target.read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"], "no temporary file is left"


BAD = [
    (["missing.fxir"], Status.IO, "No such file"),
    (["--format", "yaml", "TOY"], Status.USAGE, "tree|table|json|csv|md"),
    (["--by", "planet", "TOY"], Status.USAGE, "module|class|op|node"),
    (["--sort", "seconds", "TOY"], Status.USAGE, "device"),
    (["--depth", "0", "TOY"], Status.USAGE, "--depth"),
    (["--top", "-3", "TOY"], Status.USAGE, "--top"),
    (["--root", "nowhere", "TOY"], Status.USAGE, "nowhere"),
    (["--device", "abacus", "TOY"], Status.DEVICE, "fxcost devices"),
    (["--convention", "mine", "TOY"], Status.USAGE, "fxcost"),
    (["--dim", "batch=4", "TOY"], Status.USAGE, "dynamic"),
    (["--dim", "batch", "TOY"], Status.USAGE, "--dim NAME=N"),
    (["--frobnicate", "TOY"], Status.USAGE, "--frobnicate"),
    (["TOY", "TOY"], Status.USAGE, "one operand"),
    (["--format"], Status.USAGE, "value"),
    (["--raw=1", "TOY"], Status.USAGE, "flag"),
    ([], Status.USAGE, "model"),
    (["ops", "no.such.operator"], Status.USAGE, "no.such.operator"),
    (["capture", "TOY"], Status.USAGE, "-o"),
    (["hf:bert"], Status.CAPTURE, "pip install fxcost"),
    (["TOY", "-o", "/no/such/folder/out"], Status.IO, "No such file"),
    (["."], Status.IO, "regular file"),
]


@pytest.mark.parametrize(("arguments", "status", "words"), BAD, ids=lambda value: str(value)[:40])
def test_bad_input(run: Run, toy_file: Path, arguments: list[str], status: Status, words: str) -> None:
    answer = run(*[toy_file if argument == "TOY" else argument for argument in arguments])
    assert answer.returncode == status
    assert words in answer.stderr
    assert 1 <= len(answer.stderr.splitlines()) <= 5
    assert answer.stdout == ""


def test_damaged_files(run: Run, toy_file: Path, tmp_path: Path) -> None:
    data = toy_file.read_bytes()
    newer = bytearray(data)
    root = int.from_bytes(data[:4], "little")
    vtable = root - int.from_bytes(data[root : root + 4], "little", signed=True)
    major = root + int.from_bytes(data[vtable + 4 : vtable + 6], "little")
    assert int.from_bytes(data[major : major + 2], "little") == 1
    newer[major] = 9
    cases = {
        "empty": (b"", "neither"),
        "text": (b"hello", "neither"),
        "png": (b"\x89PNG\r\n\x1a\n" + bytes(100), "neither"),
        "truncated": (data[: len(data) // 2], "truncated"),
        "newer": (bytes(newer), "update fxcost"),
    }
    for name, (content, words) in cases.items():
        path = tmp_path / name
        path.write_bytes(content)
        answer = run(path)
        assert answer.returncode == Status.FORMAT, name
        assert str(path) in answer.stderr and words in answer.stderr, name


def test_lists(run: Run) -> None:
    assert "linear" in run("ops", "aten.linear").stdout
    passes = [line.split()[0] for line in run("passes").stdout.splitlines() if line[0] != " "]
    assert passes[0] == "verify"
    assert passes[-1] == "report"
    assert {"shapes", "alias", "flops", "params", "traffic", "tree", "tool", "cost"} < set(passes)
    devices = run("devices").stdout
    assert "a100-sxm-80gb" in devices and "h100-sxm" in devices and "epyc-9654" in devices


def test_help_documents_every_exit_code(run: Run) -> None:
    text = run("--help").stdout
    for status in Status:
        assert re.search(rf"^ +{status.value}  ", text, re.M), status
    assert run("--version").stdout.startswith("fxcost ")


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from fxcost.cli import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_python_command_captures(tmp_path: Path) -> None:
    """The command of the Python package: a model in, a table out; options reach the capture."""
    answer = _python(str(ROOT / "examples" / "toy.py"), "--format", "json")
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["totals"]["flops"] == 44
    file = tmp_path / "toy.fxir"
    assert _python("capture", str(ROOT / "examples" / "toy.py"), "-o", str(file), "--train").returncode == 0
    assert "train" in _python(str(file)).stdout.splitlines()[2]


def test_python_command_errors(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("def model():\n    return 5\n")
    for spec, status in (
        (str(broken), Status.USAGE),
        ("hf:no_such_model_type", Status.USAGE),
        ("nowhere.py", Status.IO),
    ):
        answer = _python(spec)
        assert answer.returncode == status, (spec, answer.stderr)
        assert 1 <= len(answer.stderr.splitlines()) <= 5 and "Traceback" not in answer.stderr
