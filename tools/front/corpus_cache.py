# SPDX-License-Identifier: BSD-3-Clause
"""The genuine images unpacked once, for all tests that look at them.

Most of their two gigabytes each are holes: to unpack one takes zstd a second,
to copy what it holds takes almost none. They lie in Bazel's output base, which
is a checkout's own and goes with it.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_WORKERS = os.cpu_count() or 1


def _unpack(packed: Path, raw: Path) -> bool:
    if raw.exists():
        return True
    part = raw.with_suffix(".part")
    done = subprocess.run(
        ["zstd", "-dqf", "--long=27", "--sparse", str(packed), "-o", str(part)],
        stderr=subprocess.DEVNULL, check=False).returncode == 0
    if done:
        part.rename(raw)
    else:
        part.unlink(missing_ok=True)
    return done


def unpacked(corpus: Path, home: Path) -> Path | None:
    """The folder of raw images, named as the packed ones without `.zst`.

    None where that cannot be: tests then unpack what they need. Folders of
    other corpora are removed.
    """
    index = corpus / "index.json"
    if not index.is_file() or shutil.which("zstd") is None:
        return None
    folder = home / hashlib.sha256(index.read_bytes()).hexdigest()[:16]
    packed = sorted(corpus.glob("images/*.zst"))
    try:
        for other in home.glob("*") if home.is_dir() else ():
            if other != folder:
                shutil.rmtree(other)
        folder.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(_WORKERS) as workers:
            results = workers.map(_unpack, packed,
                                  [folder / path.stem for path in packed])
            for number, is_done in enumerate(results, 1):
                if not is_done:
                    return None
                if sys.stderr.isatty():
                    print(f"\runpacking images: {number} of {len(packed)}",
                          end="\n" if number == len(packed) else "",
                          file=sys.stderr, flush=True)
    except OSError:
        return None
    return folder
