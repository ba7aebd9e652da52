"""The package tabulate, which prints the tables of several counters."""

from __future__ import annotations

from typing import Any

from ..errors import usage


def tabulate(rows: list[list[Any]], headers: list[str], **options: Any) -> str:
    """A table, with spaces at the beginning of cells kept."""
    try:
        import tabulate as package
    except ImportError:
        raise usage("tables of other counters need the package tabulate", "pip install tabulate") from None
    kept, package.PRESERVE_WHITESPACE = package.PRESERVE_WHITESPACE, True
    try:
        return str(package.tabulate(rows, headers=headers, **options))
    finally:
        package.PRESERVE_WHITESPACE = kept
