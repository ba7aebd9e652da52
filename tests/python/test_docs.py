"""Documents that show what the program prints show what it prints now."""

from __future__ import annotations

import re
import subprocess
import sys

from conftest import ROOT


def _block(text: str, command: str) -> str:
    """The output that follows `$ command` in a document."""
    match = re.search(r"```(?:text)?\n\$ " + re.escape(command) + r"\n(.*?)```", text, re.S)
    assert match, f"the document shows no output of: {command}"
    return match.group(1)


def test_generated_documents_are_current() -> None:
    answer = subprocess.run([sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_readme_shows_real_output() -> None:
    command = "fxcost examples/toy.py"
    shown = _block((ROOT / "README.md").read_text(), command)
    call = [sys.executable, "-c", "from fxcost.cli import main; main()", "examples/toy.py"]
    real = subprocess.run(call, cwd=ROOT, capture_output=True, text=True)
    assert real.returncode == 0, real.stderr

    def without_version(text: str) -> str:
        return re.sub(r"torch [\w.+]+", "torch", text).strip()

    assert without_version(shown) == without_version(real.stdout)


def test_what_is_called_from_python_exists_without_a_further_import() -> None:
    text = (ROOT / "README.md").read_text()
    code = "\n".join([*re.findall(r"```python\n(.*?)```", text, re.S), *re.findall(r"`([^`\n]+)`", text)])
    names = sorted(set(re.findall(r"\bfxcost((?:\.[a-z]\w*)+)(?=\()", code)))
    assert len(names) > 5
    for name in names:
        call = [sys.executable, "-c", f"import fxcost; fxcost{name}"]
        answer = subprocess.run(call, capture_output=True, text=True)
        assert answer.returncode == 0, f"fxcost{name}: {answer.stderr}"


def test_contributing_names_files_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    paths = {path for path in re.findall(r"`([\w./-]+/[\w.-]+\.\w+)`", text) if "*" not in path}
    assert len(paths) > 10
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []


def test_no_public_name_is_a_module_too() -> None:
    """``import fxcost.NAME`` would put the module in the place of what the name stands for."""
    import fxcost

    modules = {path.stem for path in (ROOT / "export" / "fxcost").glob("*.py")}
    assert not modules & set(fxcost.__all__)
