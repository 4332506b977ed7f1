"""Fetch the files of TensorFlow.js that run exports in a browser, as its makers built them, and verify them.

Usage: ``python tools/fetch_web_runtime.py [folder]``. Needs npm. ``packages.json`` in the folder names the packages,
their versions, the checksums that npm publishes and the files wanted; a package that differs is refused. To move to
another version, change versions and checksums there (``npm view PACKAGE@VERSION dist.integrity``) and run this.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "tfod_helpers" / "detector" / "runtimes" / "javascript" / "tensorflow"


def main(folder: Path) -> None:
    """Bring every file that the folder's packages.json names."""
    for package in json.loads((folder / "packages.json").read_text(encoding="utf-8")):
        named = f"{package['name']}@{package['version']}"
        with tempfile.TemporaryDirectory() as temporary:
            subprocess.run(["npm", "pack", "--silent", named], cwd=temporary, check=True, stdout=subprocess.PIPE)
            (archive,) = Path(temporary).glob("*.tgz")
            packed = archive.read_bytes()
        found = "sha512-" + base64.b64encode(hashlib.sha512(packed).digest()).decode()
        if found != package["integrity"]:
            sys.exit(
                f"{named}: its checksum is {found}, and packages.json says {package['integrity']}. Nothing is kept."
            )
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive_files:
            for name in package["files"]:
                member = archive_files.extractfile(f"package/{name}")
                assert member is not None, f"{named} has no {name}"
                (folder / Path(name).name).write_bytes(member.read())
        print(named, *package["files"])


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
