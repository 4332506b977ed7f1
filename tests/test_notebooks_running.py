"""The notebooks, run from top to bottom as a person would; what they print is what is stored in them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
OPTIONS = ["-x", "-q", "--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=600", "-p", "no:cacheprovider"]
trains = pytest.mark.tensorflow


@pytest.mark.parametrize(
    "names",
    [
        # The others take what the first makes.
        pytest.param(["01_train_tpu", "02_predict_gpu", "04_label_more", "05_ship_it"], marks=trains),
        pytest.param(["03_tune_and_compare"], marks=trains),
        pytest.param(["06_pets_many_machines"], marks=trains),
        pytest.param(["07_cats_or_dogs"], marks=trains),
        pytest.param(["08_old_checkpoint"], marks=trains),
        ["00_check_your_photos"],
    ],
    ids="+".join,
)
def test_runs_and_prints_what_is_stored(names: list[str], tmp_path: Path) -> None:
    """Every cell runs, and those that are marked for it print what the committed notebook shows."""
    for name in names:
        shutil.copy(NOTEBOOKS / f"{name}.ipynb", tmp_path)
    command = [sys.executable, "-m", "pytest", *OPTIONS, *(f"{name}.ipynb" for name in names)]
    environment = os.environ | {"NOTEBOOK_TEST": "1"}  # 03, 06 and 08 make fewer and shorter runs then
    done = subprocess.run(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    assert done.returncode == 0, done.stdout
