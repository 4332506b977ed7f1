"""Oxford-IIIT Pets: its two archives, from where its authors keep them or fetched by hand -> the folder they make.

The hashes are those of TensorFlow Datasets, ``oxford_iiit_pet`` 4.0.0. The archives are those that torchvision knows by
their MD5s, 5c4f3ee8e5d25df40f4fd59a7f44e54c the photos and 95a8c909bbe2e81eed6a22bccdf3f68f the annotations.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

from tfod_helpers.files import archives, downloads, mounts, workspace
from tfod_helpers.files.archives import marks
from tfod_helpers.sources import bringing, places
from tfod_helpers.sources.bringing import SourceError

NAME = "oxford_pets"  # the source's, and the folder's
TERMS = (
    "Oxford-IIIT Pets is under the Creative Commons Attribution-ShareAlike 4.0 License; its photos belong to others, "
    "whose terms bind too (annotations/README). Cite Parkhi et al. 2012, Cats and Dogs."
)
_PAGE = "https://www.robots.ox.ac.uk/~vgg/data/pets/"
_SERVERS = ("https://thor.robots.ox.ac.uk/pets", "https://www.robots.ox.ac.uk/~vgg/data/pets/data")
_SHA256 = {
    "annotations.tar.gz": "52425fb6de5c424942b7626b428656fcbd798db970a937df61750c0f1d358e91",  # 19 MB
    "images.tar.gz": "67195c5e1c01f1ab5f9b6a5d22b8c27a580d896ece458917e61d459337fa318d",  # 792 MB
}
_BY_HAND = (
    f"Fetch {' and '.join(_SHA256)} by hand from {_PAGE}, put both into one folder, here or on Drive, and give it: "
    "sources.local('path/to/folder')"
)


class OxfordPets:
    """The data set.

    Args:
        by_hand: the folder that both archives lie in, on this disk or on Drive; None downloads them.
    """

    key = shown = name = NAME  # whoever brings the archives, the folder is the same

    def __init__(self, by_hand: Path | None = None) -> None:
        self._by_hand = by_hand

    def version(self) -> list[str]:
        """Return the hashes of the archives, which never change."""
        return list(_SHA256.values())

    def make(self, target: Path, origin: dict[str, Any]) -> None:
        """Fetch the archives, going on where that was stopped, and unpack both into one folder."""
        fetched = target.with_name(f".{target.name}.{bringing.digest(self.key, origin['version'])}.fetched")
        bringing.clear_leftovers(target, fetched)
        paths = [self._fetch(name, fetched) for name in _SHA256]
        with workspace.whole_folder(target) as part:
            for path in paths:
                _unpack(path, part)
            marks.write(part, origin)
        shutil.rmtree(fetched, ignore_errors=True)
        print(TERMS)

    def _fetch(self, name: str, folder: Path) -> Path:
        if self._by_hand:
            return _given(self._by_hand / name, folder / name)
        for number, server in enumerate(_SERVERS):
            path = folder / str(number) / name  # what one server broke off is gone on with from that one only
            try:
                return downloads.fetch_kept(f"{server}/{name}", path, kept=f"{NAME}/{name}", sha256=_SHA256[name])
            except downloads.DownloadError as error:
                refused = error
        raise SourceError(NAME, f"{name} cannot be had from {refused.where}: {refused.what}", _BY_HAND) from None


def lies_in(folder: Path) -> bool:
    """Whether both archives lie in a folder, and nothing of them is unpacked there."""
    unpacked = [folder / archive.partition(".")[0] for archive in _SHA256]
    return all((folder / name).is_file() for name in _SHA256) and not any(path.is_dir() for path in unpacked)


def _given(given: Path, copy: Path) -> Path:
    """Return an archive that somebody fetched, or its copy where it lies on Drive, once it is proven."""
    place = places.FarArchive(given) if mounts.is_on_network(given) else places.LocalArchive(given)
    archive = place.fetch(copy)
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != _SHA256[given.name]:
        copy.unlink(missing_ok=True)  # it must not be gone on with
        fix = "Download it again; where both are another data set's, unpack them into one folder, and give that"
        raise SourceError(str(given), f"this is not Oxford-IIIT Pets': its sha256 is {found}", fix)
    return archive


def _unpack(path: Path, part: Path) -> None:
    try:
        unpacked = archives.unpack(path, part / f".{path.name}")
    except archives.ArchiveError as error:
        raise SourceError(str(path), error.what, error.fix) from None
    for inside in unpacked.iterdir():
        if inside.name != marks.MARK:
            inside.rename(part / inside.name)
    shutil.rmtree(unpacked)
