"""What is drawn: the sample, the same with the mistakes that people make, an old training on it; and pets.

Each mistake stands in a photo of its own, so that what is found can be told apart, and is the same
every time. One of them only a look at the photo tells: a cat that is labelled as a dog.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

from tfod_helpers.files import workspace
from tfod_helpers.files.archives import marks
from tfod_helpers.sources import bringing, places

SAMPLE, BROKEN, OLD, PETS = "sample", "broken_sample", "old_training", "drawn_pets"  # the sources' names
_VERSION = 1  # of the mistakes
_SPLITS = ("train", "test")
_NOTE = "README.md"  # no format takes it for an annotation
_TITLE = "# The drawn sample with mistakes made on purpose\n"


@dataclass(frozen=True)
class Mistake:
    """One thing that was broken.

    Attributes:
        file: the file, relative to the folder.
        what: what was done to it.
    """

    file: str
    what: str

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"


def sample() -> Path:
    """Return the folder of the drawn sample: ``train/`` and ``test/`` with photos and XML, ``data/``.

    It stands in the checkout, and lies within an installed package.

    Raises:
        FileNotFoundError: the package was installed without it.
    """
    package = Path(__file__).parents[1]
    for folder in (package.parent / "dataset", package / "sample"):
        if (folder / "train").is_dir():
            return folder
    raise FileNotFoundError(f"{package / 'sample'}: the drawn sample is missing. Install the package again.")


def old_training(folder: Path) -> Path:
    """Unpack what the Object Detection API left when it trained on half of the sample; what is there already is kept.

    Args:
        folder: the folder that the new one, ``old_training``, is made in: a ``pipeline.config``, its label map and the
            folder ``checkpoint``, as the API's exporter leaves them.

    Raises:
        FileExistsError: there are other files in the new folder.
        FileNotFoundError: the package was installed without the sample.
    """
    return _unpacked(OLD, "an old training on the drawn sample", folder)


def drawn_pets(folder: Path) -> Path:
    """Unpack small drawings of pets in the layout of Oxford-IIIT Pets; what is there already is kept.

    Args:
        folder: the folder that the new one, ``drawn_pets``, is made in: ``images/`` and ``annotations/`` with boxes of
            heads, outlines of bodies and the lists of the splits.

    Raises:
        FileExistsError: there are other files in the new folder.
        FileNotFoundError: the package was installed without the sample.
    """
    return _unpacked(PETS, "the drawn pets", folder)


def _unpacked(name: str, shown: str, folder: Path) -> Path:
    archive = places.LocalArchive(sample() / "data" / f"{name}.zip")
    archive.shown = shown
    return bringing.bring(archive, folder)


def broken_sample(folder: Path) -> Path:
    """Copy the sample and break some of its labels and photos; what is there already is kept.

    Args:
        folder: the folder that the new one, ``broken_sample``, is made in. `mistakes` tells what was broken, and so
            does the ``README.md`` in the new folder.

    Raises:
        FileExistsError: there are other files in the new folder.
        FileNotFoundError: the package was installed without the sample.
    """
    target = folder / BROKEN
    origin = {"from": BROKEN, "shown": "the drawn sample", "version": _VERSION}
    with workspace.alone(target):
        if bringing.is_there(target, origin):
            return target
        with (
            workspace.whole_folder(target) as part,
            zipfile.ZipFile(sample() / "data" / "mistakes.zip") as changed,
        ):
            listed = json.loads(changed.read("mistakes.json"))
            for split in _SPLITS:
                shutil.copytree(sample() / split, part / split)
            changed.extractall(part, [name for name in changed.namelist() if name.startswith(_SPLITS)])
            for file in listed["lost"]:
                (part / file).unlink()
            lines = [f"- {file}: {what}\n" for file, what in listed["mistakes"].items()]
            (part / _NOTE).write_text("".join([_TITLE, "\n", *lines]), encoding="utf-8")
            marks.write(part, {**origin, "mistakes": list(listed["mistakes"].items())})
    bringing.print_done(target, "the drawn sample")
    return target


def mistakes(folder: Path) -> tuple[Mistake, ...]:
    """Return what was broken in the broken sample, in the order of the files; nothing for any other folder."""
    known = marks.read(folder) or {}
    return tuple(Mistake(file, what) for file, what in known.get("mistakes", ()))
