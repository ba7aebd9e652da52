"""The one exception that fxcost raises."""

from __future__ import annotations


class FxcostError(Exception):
    """What went wrong, in at most five lines: where, what was found or expected, what to do.

    ``details`` is what does not fit in five lines, for standard output. ``status`` is the name of an ``fxc_status``
    ("CAPTURE", "USAGE", "IO", ...); the command line exits with its number.
    """

    def __init__(self, message: str, status: str = "CAPTURE", log: str | None = None, details: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.log = log
        self.details = details


def usage(message: str, advice: str = "") -> FxcostError:
    """A wrong argument, with the next step on a line of its own."""
    return FxcostError(f"{message}\n  try: {advice}" if advice else message, status="USAGE")


def first_line(error: BaseException, limit: int = 200) -> str:
    """The reason an exception gives, cut to one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    text = lines[0]
    if len(lines) > 1 and lines[1].startswith("- "):  # a heading says less than the first item under it
        text = f"{text.partition('!')[0]}: {lines[1][2:]}"
    return text if len(text) <= limit else text[: limit - 1] + "…"


def reason_of(error: Exception) -> str:
    """The reason in a message of several lines, where one says so; else its first line."""
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line[7:].strip() for line in lines if line.startswith("reason:")), "") or first_line(error)
