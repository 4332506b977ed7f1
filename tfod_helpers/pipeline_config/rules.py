"""What can happen to one setting of an old config, and the few kinds of rule that decide it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tfod_helpers.pipeline_config.text import Setting

CARRIED, REPLACED, NO_COUNTERPART = "carried over", "replaced", "no counterpart"


@dataclass(frozen=True)
class Fate:
    """What happens to one setting.

    Attributes:
        outcome: ``carried over``, ``replaced`` or ``no counterpart``.
        why: a sentence in plain words.
        sets: our settings that get a new value by it.
        shows: our settings that stand in its place, by their names; those that it sets, if empty.
        look: whether a person should look at it before they train.
    """

    outcome: str
    why: str
    sets: Mapping[str, Any] = field(default_factory=dict)
    shows: tuple[str, ...] = ()
    look: bool = False


@dataclass
class Draft:
    """A config in the making.

    Attributes:
        settings: all settings of the old config, in its order.
        ours: every setting of the preset that was chosen, under its dotted name, with what is wanted so far.
        wanted: what the old config changes of them.
        network: what happens to the network itself.
    """

    settings: list[Setting]
    ours: dict[str, Any] = field(default_factory=dict)
    wanted: dict[str, Any] = field(default_factory=dict)
    network: Fate = field(default_factory=lambda: Fate(NO_COUNTERPART, ""))

    def find(self, ending: str) -> Setting | None:
        """Return the first setting whose name ends so, or None."""
        ending = f".{ending}"
        return next((one for one in self.settings if f".{one.plain_name}".endswith(ending)), None)

    def value(self, ending: str, default: Any = None) -> Any:
        """Return the value of the first setting whose name ends so."""
        found = self.find(ending)
        return default if found is None else found.value

    def want(self, sets: Mapping[str, Any]) -> None:
        """Change some of our settings."""
        self.wanted.update(sets)
        self.ours.update(sets)


Rule = Callable[[Setting, Draft], Fate]
Take = Callable[[Setting, Draft], Any]


class NotAlikeError(Exception):
    """A value that our setting cannot take over; its one argument says why. Ours stays then."""


def carry(take: Take, *targets: str, why: str, merge: Callable[[Any, Any], Any] | None = None) -> Rule:
    """Return the rule that sets our settings to the old one's value.

    Args:
        take: gives our value; `NotAlikeError` where ours stays.
        targets: our settings, by their dotted names.
        why: what is said of it.
        merge: which of two values stands where several old settings become one of ours; left out, the first.
    """

    def rule(setting: Setting, draft: Draft) -> Fate:
        try:
            value = take(setting, draft)
        except NotAlikeError as error:
            return Fate(REPLACED, str(error), shows=targets)
        before = draft.wanted.get(targets[0], value)
        if merge:
            value = merge(before, value)
        elif before != value:
            here = f"Another setting of this file already says {before!r}, and there is one place for it here."
            return Fate(REPLACED, here, shows=targets)
        return Fate(CARRIED, why, dict.fromkeys(targets, value))

    return rule


def match(take: Take, target: str, why: str, why_not: str, look: bool = False) -> Rule:
    """Return the rule for what was settled before: carried over if ours says the same, else replaced by ours."""

    def rule(setting: Setting, draft: Draft) -> Fate:
        try:
            alike = take(setting, draft) == draft.ours[target]
        except NotAlikeError as error:
            return Fate(REPLACED, str(error), shows=(target,), look=look)
        if alike:
            return Fate(CARRIED, why, shows=(target,))
        return Fate(REPLACED, why_not, shows=(target,), look=look)

    return rule


def always(*values: Any, why: str, why_not: str) -> Rule:
    """Return the rule for what is always so here: carried over if the old config has it so too."""

    def rule(setting: Setting, draft: Draft) -> Fate:
        alike = any(type(setting.value) is type(value) and setting.value == value for value in values)
        return Fate(CARRIED, why) if alike else Fate(REPLACED, why_not)

    return rule


def replace(*targets: str, why: str, look: bool = False) -> Rule:
    """Return the rule for what ours does in its own way."""
    return lambda setting, draft: Fate(REPLACED, why, shows=targets, look=look)


def drop(why: str) -> Rule:
    """Return the rule for what has no counterpart."""
    return lambda setting, draft: Fate(NO_COUNTERPART, why)


def whole(lowest: int, highest: int) -> Take:
    """Take a whole number.

    Raises:
        OldConfigError: it is none, or not between the two.
    """

    def take(setting: Setting, draft: Draft) -> int:
        value = setting.value
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
            raise setting.refused(_wrong(value, "whole number"), f"Give a whole number from {lowest} to {highest}.")
        return value

    return take


def number(lowest: float, highest: float) -> Take:
    """Take a number.

    Raises:
        OldConfigError: it is none, or not between the two.
    """

    def take(setting: Setting, draft: Draft) -> float:
        value = setting.value
        if not _is_number(value) or not lowest <= value <= highest:
            raise setting.refused(_wrong(value, "number"), f"Give a number from {lowest:g} to {highest:g}.")
        return tidy(value)

    return take


def numbers(lowest: float, highest: float) -> Take:
    """Take a list of numbers; one alone is a list of one.

    Raises:
        OldConfigError: one of them is no number, or not between the two, or there is none.
    """

    def take(setting: Setting, draft: Draft) -> list[float]:
        values = setting.value if isinstance(setting.value, tuple) else (setting.value,)
        if not values or not all(_is_number(value) and lowest <= value <= highest for value in values):
            raise setting.refused(
                "these are not such numbers", f"Give numbers from {lowest:g} to {highest:g}, as in [0.5, 1.0]."
            )
        return [tidy(value) for value in values]

    return take


def flag(setting: Setting, draft: Draft) -> bool:
    """Take true or false.

    Raises:
        OldConfigError: it is neither.
    """
    if not isinstance(setting.value, bool) and setting.value not in (0, 1):
        raise setting.refused("it is neither true nor false", "Give true or false.")
    return bool(setting.value)


def given(value: Any) -> Take:
    """Take a fixed value, because the setting is there at all."""
    return lambda setting, draft: value


def tidy(value: float) -> float:
    """Return a number without the digits that a float32 adds: 0.6 of 0.600000023842."""
    return float(f"{value:.6g}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _wrong(value: Any, kind: str) -> str:
    if isinstance(value, tuple):
        return f"it has {len(value)} values, and must have one"
    if value == "{}":
        return f"it is a message, and must be a {kind}"
    return "it is out of range" if _is_number(value) else f"it is no {kind}"
