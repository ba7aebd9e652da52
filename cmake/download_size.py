"""Says what installing a requirement would download, before it does: cmake/download_size.py torch==2.13.0."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from urllib.parse import unquote, urlparse


def size_of(url: str) -> int:
    """Bytes behind a URL or file path; 0 when the server does not say."""
    if url.startswith("file:"):
        return os.path.getsize(unquote(urlparse(url).path))
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=20) as answer:
            return int(answer.headers.get("Content-Length", 0))
    except OSError:
        return 0


def main(requirement: str) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--report", "-", requirement]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        return  # the real installation will say why
    packages = json.loads(answer.stdout)["install"]
    names = [package["metadata"]["name"] for package in packages]
    total = sum(size_of(package["download_info"]["url"]) for package in packages)
    cuda = any(name.lower().startswith(("nvidia-", "cuda-")) for name in names)
    print(f"{requirement}: {len(packages)} packages, {total / 1e6:,.0f} MB to download", file=sys.stderr)
    if cuda:
        print(
            "  this is a CUDA build; for another one stop here and set FXC_TORCH, or install torch first",
            file=sys.stderr,
        )


if __name__ == "__main__":
    main(sys.argv[1])
