#!/usr/bin/env python3
"""Golden tests: text files that hold a program and what commands print about it.

    # RUN: fxcost print %s
    # | the expected output, line by line
    # EXIT: 4                      (only where the exit code is not 0)

A test is a file tests/golden/*.txt in the text form, which ignores these lines as comments. ``fxcost`` stands for the
binary given, %s for the file; output and errors are compared together.

    run.py --fxcost build/dev/fxcost [--update] [FILE ...]
"""

from __future__ import annotations

import argparse
import difflib
import shlex
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
RUN, OUTPUT, EXIT = "# RUN: ", "# |", "# EXIT: "


def run(command: str, path: Path, fxcost: Path) -> list[str]:
    """What a RUN line gives: its output as comment lines, and its exit code if that is not 0."""
    words = [str(fxcost) if word == "fxcost" else word.replace("%s", path.name) for word in shlex.split(command)]
    done = subprocess.run(
        words, cwd=path.parent, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False
    )
    lines = [f"{OUTPUT} {line}".rstrip() for line in done.stdout.decode().splitlines()]
    return lines + ([f"{EXIT}{done.returncode}"] if done.returncode != 0 else [])


def expected(path: Path, fxcost: Path) -> tuple[list[str], list[str]]:
    """The file as it is, and as it should be."""
    now = path.read_text(encoding="utf-8").splitlines()
    if not any(line.startswith(RUN) for line in now):
        raise SystemExit(f"{path}: no line starts with '{RUN}'")
    wanted: list[str] = []
    for line in now:
        if line.startswith(RUN):
            wanted += [line, *run(line[len(RUN) :], path, fxcost)]
        elif not line.startswith((OUTPUT, EXIT)):
            wanted.append(line)
    return now, wanted


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs the golden tests.")
    parser.add_argument("files", nargs="*", type=Path, help="default: all of tests/golden")
    parser.add_argument("--fxcost", required=True, type=Path, help="the binary to test")
    parser.add_argument("--update", action="store_true", help="write what the binary prints now into the files")
    options = parser.parse_args()
    files = [path.resolve() for path in options.files]
    files = files or sorted(path for path in HERE.glob("*.txt") if path.name != "CMakeLists.txt")
    failed = 0
    for path in files:
        now, wanted = expected(path, options.fxcost.resolve())
        if now == wanted:
            continue
        if options.update:
            path.write_text("\n".join(wanted) + "\n", encoding="utf-8")
            print(f"updated {path.name}")
            continue
        failed += 1
        print("\n".join(difflib.unified_diff(now, wanted, f"{path.name}: expected", "printed", lineterm="", n=2)))
    print(f"{len(files)} golden files, {failed} failed" + ("; read the changes, then: --update" if failed else ""))
    return 1 if failed or not files else 0


if __name__ == "__main__":
    sys.exit(main())
