"""Runs -> tables: what differed in their settings and what came out, and the models that one of them kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml

from tfod_helpers import presets
from tfod_helpers.files import storage
from tfod_helpers.files.run_folder import Run, reading, runs_in
from tfod_helpers.presets import keys

if TYPE_CHECKING:
    import pandas as pd

# What the table calls the settings that are compared most; others go by the last two parts of their names.
_SHORT = {
    keys.PRESET: "preset",
    keys.WEIGHTS: "weights",
    keys.TRAIN_IMAGES: "training photos",
    keys.FROZEN_STRIDE: "frozen stride",
    keys.IMAGE_SIZE: "image size",
    keys.BATCH_SIZE: "batch size",
    "augmentation": "augmentation",
    keys.STEPS: "steps",
    keys.LEARNING_RATE: "learning rate",
    keys.FLIP: "mirrored",
    keys.SCALE_MIN: "smallest scale",
    keys.SCALE_MAX: "largest scale",
    keys.ASPECT: "stretched",
    keys.COLOR: "coloured",
    keys.MOSAIC: "mosaic",
    keys.SEED: "seed",
}
# They follow others, or say where things are, or what was chosen and why.
_FOLLOWING = {*keys.DATA, *keys.FOLLOWING_STEPS} - {keys.TRAIN_IMAGES, keys.NUM_CLASSES}


def table(folder: storage.AnyPath) -> pd.DataFrame:
    """Compare the runs in a folder.

    Args:
        folder: its subfolders are runs; others are passed over. Also one of Drive or ``gs://``.

    Returns:
        A row a run by its folder's name, the best AP first: a column for each setting in which they differ; ``ap`` and
        ``ap50`` with their 95 % intervals (``ap_low`` ...), the ``step`` of the best model, ``minutes`` of training,
        ``finished``, and ``label``, the settings that differ in words. Numbers are rounded, ready to be shown.
        `pictures.plot_runs` draws it.

    Raises:
        FileNotFoundError: there is no such folder, or no run with a model in it.
        ValueError: a run's file is damaged, or the runs were evaluated on different numbers of photos.
    """
    import pandas as pd

    found = runs_in(folder)
    manifests = {name: run.read_manifest() for name, run in found.items()}
    evaluated = {name: manifest for name, manifest in manifests.items() if manifest.get("best")}
    if not evaluated:
        there = ", ".join(found) or "no folder"
        raise FileNotFoundError(
            f"{folder}: no run with a model in it; it holds {there}. Give the folder that your run folders are in."
        )
    settings = {name: _settings(found[name]) for name in evaluated}
    _check_same_photos(folder, settings)
    _name_augmentations(settings)
    differing = _differing(settings)
    choices = [_name(key) for key in differing if not _follows_batch(key, settings)]
    rows = []
    for name, manifest in evaluated.items():
        row = {_name(key): _shown(settings[name].get(key)) for key in differing}
        label = ", ".join(f"{choice} {row[choice]}" for choice in choices)
        rows.append(row | _result(manifest) | {"label": label or name})
    made = pd.DataFrame(rows, index=pd.Index(list(evaluated), name="run"))
    return made.sort_values("ap", ascending=False, kind="stable")


def checkpoints(run: storage.AnyPath | Run) -> pd.DataFrame:
    """List the evaluated models that a run has kept; each can be exported by its step.

    Args:
        run: the run folder. Also one of Drive or ``gs://``.

    Returns:
        A row a model by its ``step``, which TensorBoard shows too: ``ap`` and ``ap50`` on the validation photos, the
        ``threshold`` with the best F1 there, and ``name``: ``best`` and ``last`` may be given instead of the step.
        Where an evaluator looks on (`training.follow`), also ``evaluator_ap``, on its photos, with the 95 % interval
        ``evaluator_low`` to ``evaluator_high``; NaN where it has not judged a model.

    Raises:
        FileNotFoundError: there is no model yet.
        ValueError: the run's file is damaged.
    """
    import pandas as pd

    with reading(run) as state:
        named = {name: state.find_model(name) for name in ("best", "last")}
        kept, judged = pd.DataFrame(state.kept_models()), state.read_evaluations()
    kept["name"] = [", ".join(name for name in named if named[name]["checkpoint"] == one) for one in kept["checkpoint"]]
    kept = kept.drop(columns="checkpoint").set_index("step")
    if judged:
        names = {"ap": "evaluator_ap", "ap_low": "evaluator_low", "ap_high": "evaluator_high"}
        found = _evaluated(judged)[list(names)].rename(columns=names)
        kept = kept.join(found)[["ap", "ap50", *names.values(), "threshold", "name"]]
    return kept.round(3)


def evaluations(run: storage.AnyPath | Run) -> pd.DataFrame:
    """List what an evaluator beside a training found (`training.follow`), of models that are not kept any more too.

    Args:
        run: the run folder. Also one of Drive or ``gs://``.

    Returns:
        A row a model by its ``step``: ``ap`` and ``ap50`` on the evaluator's photos with their 95 % intervals
        (``ap_low`` ...), and the ``threshold`` with the best F1; no rows where nothing was judged.
        `pictures.plot_history` draws it.

    Raises:
        ValueError: a file of the run is damaged.
    """
    with reading(run) as state:
        return _evaluated(state.read_evaluations())


def _evaluated(judged: dict[int, dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    rows = {}
    for step, one in judged.items():
        row: dict[str, Any] = {}
        for name in ("ap", "ap50"):
            low, high = one["intervals"][name]
            row |= {name: one[name], f"{name}_low": low, f"{name}_high": high}
        rows[step] = row | {"threshold": one["threshold"]}
    columns = ["ap", "ap_low", "ap_high", "ap50", "ap50_low", "ap50_high", "threshold"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns, dtype=float).rename_axis("step")


def _settings(run: Run) -> dict[str, Any]:
    """Return a run's settings under their dotted names; lists are hashable tuples."""
    try:
        nested = yaml.safe_load(run.config_path.read_text(encoding="utf-8"))
        flat = keys.flatten({part: nested[part] for part in ("task", "trainer")})
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise ValueError(
            f"{run.config_path}: not the settings of a run ({error}). Restore the file, or move the run away."
        ) from error
    return {name: tuple(value) if isinstance(value, list) else value for name, value in flat.items()}


def _check_same_photos(folder: storage.AnyPath, settings: dict[str, dict[str, Any]]) -> None:
    counts = {name: flat.get(keys.VALIDATION_IMAGES) for name, flat in settings.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name}: {count}" for name, count in counts.items())
        raise ValueError(
            f"{folder}: the runs were evaluated on different numbers of photos ({listed}), so their scores do not "
            f"compare. Train them on the same validation records, or compare them apart."
        )


def _differing(settings: dict[str, dict[str, Any]]) -> list[str]:
    """Return the settings in which runs differ, the well-known ones first."""
    known = dict.fromkeys([*_SHORT, *(key for flat in settings.values() for key in flat)])
    different = [key for key in known if len({json.dumps(flat.get(key)) for flat in settings.values()}) > 1]
    if keys.PRESET in different:  # what follows from it would fill the table
        return [key for key in different if key in _SHORT]
    return [key for key in different if key not in _FOLLOWING]


def _name_augmentations(settings: dict[str, dict[str, Any]]) -> None:
    """Where every run's augmentation is one that has a name, let the name stand for its settings."""
    named = {key for chosen in presets.AUGMENTATIONS.values() for key in chosen}
    names = {
        run: next((name for name in ("light", "strong", "standard") if _is(name, flat)), None)
        for run, flat in settings.items()
    }
    if None not in names.values() and len(set(names.values())) > 1:
        for run, flat in settings.items():
            settings[run] = {key: value for key, value in flat.items() if key not in named}
            settings[run]["augmentation"] = names[run]


def _is(name: str, flat: dict[str, Any]) -> bool:
    return all(flat.get(key) == value for key, value in presets.AUGMENTATIONS[name].items())


def _follows_batch(key: str, settings: dict[str, dict[str, Any]]) -> bool:
    """Whether a setting differs only because the batch does: the rate with its root, the steps against it."""
    batches: list[Any] = [flat.get(keys.BATCH_SIZE) for flat in settings.values()]
    values: list[Any] = [flat.get(key) for flat in settings.values()]
    if key not in (keys.LEARNING_RATE, keys.STEPS) or len(set(batches)) < 2 or None in batches + values:
        return False
    power = 0.5 if key == keys.LEARNING_RATE else -1
    scaled = [value / batch**power for value, batch in zip(values, batches, strict=True)]
    return max(scaled) <= 1.02 * min(scaled)


def _result(manifest: dict[str, Any]) -> dict[str, Any]:
    best, intervals = manifest["best"], manifest.get("best_intervals", {})
    row: dict[str, Any] = {}
    for name in ("ap", "ap50"):
        low, high = intervals.get(name, (float("nan"), float("nan")))
        row |= {name: round(best[name], 3), f"{name}_low": round(low, 3), f"{name}_high": round(high, 3)}
    minutes = sum(manifest.get("seconds", {}).values()) / 60
    return row | {"step": best["step"], "minutes": round(minutes, 1), "finished": bool(manifest.get("finished"))}


def _name(key: str) -> str:
    return _SHORT.get(key, " ".join(key.split(".")[-2:]))


def _shown(value: Any) -> Any:
    """Return a setting in no more digits than tell: three of a number, of an image size one side."""
    if isinstance(value, tuple):
        return value[0] if value else "none"
    return float(f"{value:.3g}") if isinstance(value, float) else value
