"""What the doctor knows of the training that is to come, and what each check adds to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfod_helpers.annotations import Dataset
from tfod_helpers.experiment import ExperimentConfig
from tfod_helpers.experiment.fitting import Boxes
from tfod_helpers.files import storage
from tfod_helpers.records import Records
from tfod_helpers.runtime import Connection


class FoundFault(Exception):  # noqa: N818 - it is what is looked for
    """Something that is wrong.

    Attributes:
        found: what it is.
        fix: what to do; empty where ``found`` ends in it.
    """

    def __init__(self, found: str, fix: str = "") -> None:
        """Keep both."""
        super().__init__(found, fix)
        self.found, self.fix = found, fix


@dataclass
class Case:
    """A training that is to come.

    Attributes:
        config: its settings.
        places: where it will write.
        datasets: what the records were made of, by split or alone, where it is given.
        folder: to try things in; it is removed in the end.
        say: shows a word beside the progress bar.
        connection: the devices, once they were looked for.
        records: the records by split, once they were opened.
        objects: the training boxes, once they were read.
        rate: images a second, once the batch was tried.
        photos: those that were learnt by heart.
    """

    config: ExperimentConfig
    places: Sequence[storage.AnyPath]
    datasets: Mapping[str, Dataset]
    folder: Path
    say: Callable[[str], Any]
    connection: Connection = field(init=False)
    records: dict[str, Records] = field(init=False)
    objects: Boxes = field(init=False)
    rate: float = field(init=False)
    photos: Dataset = field(init=False)

    @property
    def run(self) -> Path:
        """The folder of the training that is tried."""
        return self.folder / "run"
