"""Reads pip's installation report on standard input and says how much there is to download."""

from __future__ import annotations

import json
import os
import ssl
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlparse

CUDA = "that is the CUDA build; for the far smaller CPU build set PIP_EXTRA_INDEX_URL as pytorch.org says"


def size(url: str) -> int:
    """Bytes behind a file or an http URL; raises OSError, KeyError or ValueError where that stays unknown."""
    parts = urlparse(url)
    if parts.scheme == "file":
        return Path(unquote(parts.path)).stat().st_size
    context = ssl.create_default_context(cafile=os.environ.get("PIP_CERT"))
    request = urllib.request.Request(url, method="HEAD")
    with urllib.request.urlopen(request, timeout=20, context=context) as answer:
        return int(answer.headers["Content-Length"])


def main() -> int:
    """Print how much there is to download."""
    packages = json.load(sys.stdin)["install"]
    with ThreadPoolExecutor(8) as pool:
        total = sum(pool.map(size, (package["download_info"]["url"] for package in packages)))
    names = {package["metadata"]["name"]: package["metadata"]["version"] for package in packages}
    title = f"torch {names['torch']} and what it needs" if "torch" in names else "torch's libraries"
    print(f"  {title}: {len(names)} files, {total / 1e6:,.0f} MB to download", flush=True)
    if any(name.startswith("nvidia-") for name in names):
        print(f"  ({CUDA})", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
