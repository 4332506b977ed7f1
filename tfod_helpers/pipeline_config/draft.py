"""A config in the making, and what can happen to one setting of the old one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tfod_helpers.files.protobuf_text import Setting

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


class NotAlikeError(Exception):
    """A value that our setting cannot take over; ours stays then."""


@dataclass
class Draft:
    """A config in the making.

    Attributes:
        where: the old config's path or URL, as errors name it.
        settings: all settings of the old config, in its order.
        ours: every setting of the preset that was chosen, under its dotted name, with what is wanted so far.
        wanted: what the old config changes of them.
        network: what happens to the network itself.
    """

    where: str
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
