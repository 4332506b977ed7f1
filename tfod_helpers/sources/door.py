"""The door: wherever the data set is -> a folder on the local disk."""

from __future__ import annotations

import mimetypes
import os
import re
import tarfile
import zipfile
from pathlib import Path

from tfod_helpers import drive
from tfod_helpers.files import archives, mounts, storage
from tfod_helpers.photos import video
from tfod_helpers.sources import bringing, copying, kaggle, links, oxford_pets, places, samples, uploads
from tfod_helpers.sources.bringing import SourceError

# What `local` takes besides places.
WORDS = (samples.SAMPLE, samples.BROKEN, samples.OLD, samples.PETS, oxford_pets.NAME, uploads.NAME)


def local(where: str | os.PathLike[str], folder: str | os.PathLike[str] = "data") -> Path:
    """Return a folder on the local disk with the photos and annotations, wherever they are.

    What is there already and did not change is kept, so the line can be run again and again. What a killed process
    brought so far is resumed. The folder appears whole or not at all.

    Args:
        where: one of these:

            * a folder of this machine, which is taken as it is; one on Drive, which is copied;
            * ``/content/drive/MyDrive/photos.zip``: a zip or tar on Drive, which is mounted where needed, or on this
              machine; of a download that Drive split into ``-001.zip``, ``-002.zip`` any of them, or their folder;
            * ``https://...``: the address of a zip or tar, or a link to one that somebody shared on Google Drive,
              Dropbox, GitHub or Hugging Face;
            * ``gs://bucket/photos.zip`` or ``gs://bucket/folder``;
            * ``kaggle:owner/name``: a data set on Kaggle, or the address of its page;
            * ``upload``: files of your own computer, which Colab asks for in the browser;
            * ``sample``: the drawn sample of this package; ``broken_sample``: a copy of it with mistakes of the sort
              that people make, see `mistakes`; ``old_training``: what the Object Detection API left when it trained
              on half of it, for `pipeline_config`;
            * ``oxford_pets``: Oxford-IIIT Pets, 7349 photos of 37 breeds, 0.8 GB from its authors' server; a folder
              that both of its archives lie in is the same without a network; ``drawn_pets``: 60 small drawings in its
              layout, of this package.

        folder: where the new folder is made, on the local disk. It is called as the archive or folder is.

    Returns:
        The folder. `formats.read` finds out what is in it, and looks into a folder that holds all others. Where the
        data are TFRecord files with their label map, made by any program, it reads them too. Those that
        `records.write` made can be trained on as they are::

            folder = sources.local("gs://bucket/records.zip")
            train = records.open(folder / "train")              # as records.write called them
            dataset = formats.read(folder)                      # of any other program

    Raises:
        ValueError: nothing was given, or ``folder`` is not on a disk of this machine.
        SourceError: the data cannot be had, or are no data set; the message says what to do.
        drive.DriveError: they are on Drive, which cannot be mounted or does not answer.
        FileNotFoundError: there is nothing at this path; the message says what is there.
        FileExistsError: there are other files where the folder would be made.
        PermissionError: they are in a bucket that this account may not read.
        OSError: the disk is too small.
    """
    text = storage.address(where or "").strip()
    if not text:
        raise ValueError(f"where the data are: got {where!r}. Give a path or a URL, or 'sample' for the drawn one.")
    folder = near(folder)
    if text == samples.SAMPLE and not os.path.exists(text):
        return samples.sample()
    if text == samples.BROKEN and not os.path.exists(text):
        return samples.broken_sample(folder)
    if text == samples.OLD and not os.path.exists(text):
        return samples.old_training(folder)
    if text == samples.PETS and not os.path.exists(text):
        return samples.drawn_pets(folder)
    if text == oxford_pets.NAME and not os.path.exists(text):
        return bringing.bring(oxford_pets.OxfordPets(), folder)
    if text == uploads.NAME and not os.path.exists(text):
        return uploads.upload(folder)
    if kaggle.is_kaggle(text):
        return bringing.bring(kaggle.KaggleArchive(text), folder)
    if _is_address(text) and (mimetypes.guess_type(links.shown(text))[0] or "").startswith("video/"):
        raise _a_video(links.shown(text))
    if re.match("https?://", text, re.IGNORECASE):
        link = links.direct(text)
        if not isinstance(link, str):
            return bringing.bring(places.WebArchive(link), folder)
        text = link
    if storage.is_remote(text):
        return _of_bucket(text, folder)
    refuse_unknown(text)
    return _of_path(Path(text), folder)


def near(folder: str | os.PathLike[str]) -> Path:
    """Return the folder that new ones are to be made in.

    Raises:
        ValueError: it is not on the local disk.
    """
    folder = Path(folder).expanduser()
    if mounts.is_on_network(folder):
        what = f"{folder}: this folder is on Drive, where training would read each photo over the network"
        here = "/content/data" if drive.in_colab() else "~/data"
        raise ValueError(f"{what}. Choose one on the local disk: folder='{here}'")
    return folder


def refuse_unknown(text: str) -> None:
    """Raise SourceError where a text is no path, but an address of another kind than those that are brought."""
    if _is_address(text):
        fix = "Give a path, or an address with https://, gs:// or kaggle:"
        raise SourceError(links.shown(text), "this kind of address is not known here", fix)


def mount_for(path: Path) -> None:
    """Mount Drive where a path lies there and it is not mounted yet."""
    on_drive = drive.FOLDER in Path(os.path.abspath(path)).parents
    if on_drive and not drive.is_mounted(drive.FOLDER) and not os.path.exists(path):
        drive.mount(drive.FOLDER)


def _of_bucket(address: str, folder: Path) -> Path:
    if archives.is_archive(address):
        return bringing.bring(places.BucketArchive(address), folder)
    return bringing.bring(copying.BucketFolder(address), folder)


def _of_path(path: Path, folder: Path) -> Path:
    mount_for(path)
    with mounts.explained(path):
        os.stat(path)
        if path.is_dir() and oxford_pets.lies_in(path):
            return bringing.bring(oxford_pets.OxfordPets(path), folder)
        if path.is_dir() and (packed := _download_in(path)):
            path = packed
        if path.is_dir():
            return bringing.bring(copying.DriveFolder(path), folder) if mounts.is_on_network(path) else _as_it_is(path)
        if not archives.is_archive(path) and not zipfile.is_zipfile(path) and not tarfile.is_tarfile(path):
            raise _single(path)
    place = places.FarArchive(path) if mounts.is_on_network(path) else places.LocalArchive(path)
    return bringing.bring(place, folder)


def _is_address(text: str) -> bool:
    return re.match(r"[A-Za-z][\w+.-]+:/", text) is not None


def _a_video(shown: str) -> SourceError:
    return SourceError(shown, "this is a video, and no data set", f"Take photos from it: sources.frames({shown!r})")


def _single(path: Path) -> SourceError:
    try:
        with video.opened(path):
            return _a_video(str(path))
    except (OSError, video.VideoError):
        fix = f"Give the folder that it is in: sources.local({str(path.parent)!r})"
        return SourceError(str(path), "this is a single file, and no archive", fix)


def _download_in(path: Path) -> Path | None:
    try:
        return archives.download_in(path)
    except archives.ArchiveError as error:
        raise SourceError(str(path), error.what, error.fix) from None


def _as_it_is(path: Path) -> Path:
    copying.refuse_archives_only(path, [name for name in os.listdir(path) if not name.startswith(".")])
    print(f"{path}: on the local disk already.")
    return path
