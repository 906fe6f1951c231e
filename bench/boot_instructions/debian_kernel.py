# SPDX-License-Identifier: BSD-3-Clause
"""Debian's cloud kernel, fetched by apt and unpacked, never installed.

`apt-get download` needs no root, and apt checks the package against the signed
index. Only the kernel's own file is taken out of it; it stays in a cache
folder named after the package and its version.
"""

import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

META_PACKAGE = "linux-image-cloud-amd64"


class FetchError(Exception):
    """The kernel can't be had; the text says why and what to do."""


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "odonata")


def vmlinuz(cache: Path) -> tuple[Path, str]:
    """The kernel's file, fetched if need be, and `package version`."""
    package = dependency(_output("apt-cache", "depends", META_PACKAGE))
    version = candidate(_output("apt-cache", "policy", package))
    folder = cache / f"{package}_{version.replace(':', '%3a')}"
    kernel = folder / "vmlinuz"
    if not kernel.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as work:
            _download(f"{package}={version}", Path(work))
            taken = _unpack(Path(work))
            shutil.move(taken, kernel)
    return kernel, f"{package} {version}"


def dependency(depends: str) -> str:
    """The versioned package in the output of `apt-cache depends`."""
    match = re.search(r"^\s*Depends: (linux-image-\d\S*)", depends,
                      re.MULTILINE)
    if not match:
        raise FetchError(f"apt does not know {META_PACKAGE}; run this as root, "
                         "then try again: apt-get update")
    return match[1]


def candidate(policy: str) -> str:
    """The version to fetch in the output of `apt-cache policy`."""
    match = re.search(r"^\s*Candidate: (\S+)", policy, re.MULTILINE)
    if not match or match[1] == "(none)":
        raise FetchError(f"apt has no version of {META_PACKAGE} to download")
    return match[1]


def _download(package: str, folder: Path) -> None:
    command = ["apt-get", "-qq", "download", package]
    if os.geteuid() == 0:
        # apt's own user can't write here; root would only be told so.
        command[1:1] = ["-o", "APT::Sandbox::User=root"]
    result = subprocess.run(command, cwd=folder, capture_output=True,
                            text=True, stdin=subprocess.DEVNULL, check=False)
    if result.returncode != 0:
        lines = result.stderr.strip().splitlines()
        raise FetchError(f"apt-get download {package} failed: "
                         f"{lines[-1] if lines else result.returncode}")


def _unpack(folder: Path) -> Path:
    package = next(folder.glob("*.deb"))
    pipe = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)],
                            stdout=subprocess.PIPE)
    assert pipe.stdout is not None
    taken = folder / "vmlinuz"
    found = False
    with pipe, tarfile.open(fileobj=pipe.stdout, mode="r|") as members:
        for member in members:
            if member.isfile() and re.fullmatch(r"\./boot/vmlinuz-\S+",
                                                member.name):
                content = members.extractfile(member)
                assert content is not None
                with taken.open("wb") as output:
                    shutil.copyfileobj(content, output)
                found = True
    if not found or pipe.returncode != 0:
        raise FetchError(f"{package.name}: no kernel could be unpacked")
    return taken


def _output(*command: str) -> str:
    try:
        result = subprocess.run(command, capture_output=True, text=True,
                                check=False, env={**os.environ, "LC_ALL": "C"})
    except FileNotFoundError as error:
        raise FetchError(f"{command[0]} is missing: the peer comes from "
                         "Debian's archive; elsewhere give --vmlinuz "
                         "FILE") from error
    return result.stdout
