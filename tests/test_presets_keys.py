"""The dotted names of settings, and which of them may change when a run goes on."""

from __future__ import annotations

from tfod_helpers.presets import keys


def test_nested_settings_get_dotted_names() -> None:
    """Dictionaries are taken apart down to their values; lists stay whole, and so does an empty dictionary."""
    nested = {"task": {"model": {"input_size": [64, 64, 3]}, "preset": "a"}, "trainer": {"options": {}, "seed": None}}
    assert keys.flatten(nested) == {
        "task.model.input_size": [64, 64, 3],
        "task.preset": "a",
        "trainer.options": {},
        "trainer.seed": None,
    }


def test_what_may_differ_when_a_run_goes_on() -> None:
    """Records may lie elsewhere always; another batch brings its steps along, where the training is not finished."""
    elsewhere = {keys.TRAIN_RECORDS, keys.VALIDATION_RECORDS}
    assert keys.free_on_resume(other_batch=False, finished=False) == elsewhere
    assert keys.free_on_resume(other_batch=True, finished=True) == elsewhere
    assert keys.free_on_resume(other_batch=True, finished=False) == elsewhere | set(keys.FOLLOWING_BATCH)
