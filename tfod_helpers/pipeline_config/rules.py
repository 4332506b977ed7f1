"""The table of rules, ``rules.yaml``, and what a rule does with a setting."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from tfod_helpers.files.protobuf_text import Setting
from tfod_helpers.pipeline_config import values
from tfod_helpers.pipeline_config.draft import CARRIED, NO_COUNTERPART, REPLACED, Draft, Fate, NotAlikeError
from tfod_helpers.presets import keys

_VERBS = ("carry", "match", "always", "replace", "drop")
_MERGE = {"max": max, "min": min}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A row of the table; its columns are explained there.

    Attributes:
        settings: names of old settings, in which ``*`` stands for anything.
        verb: ``carry``, ``match``, ``always``, ``replace`` or ``drop``.
        ours: our settings by their dotted names.
        always: what always holds here.
        take: the name of a function of `values`, and what it is given besides setting and draft.
        of_several: ``max`` or ``min``; left out, the first.
        why: a sentence for the table.
        why_not: the sentence where ours stays.
        look: whether a person should look at it where ours stays.
    """

    settings: tuple[str, ...]
    verb: str
    ours: tuple[str, ...]
    always: tuple[Any, ...]
    take: tuple[Any, ...]
    of_several: str | None
    why: str
    why_not: str
    look: bool

    def fits(self, setting: Setting) -> bool:
        """Say whether the rule is about a setting."""
        return any(fnmatchcase(setting.plain_name, pattern) for pattern in self.settings)

    def apply(self, setting: Setting, draft: Draft) -> Fate:
        """Decide what becomes of a setting.

        Raises:
            TextFormatError: no training can have its value.
        """
        replaced = Fate(REPLACED, self.why_not, shows=self.ours, look=self.look)
        name, *arguments = self.take
        try:
            value = getattr(values, name)(setting, draft, *arguments)
        except NotAlikeError:
            return replaced
        if isinstance(value, Fate):
            return value
        if self.verb == "carry":
            return self._carry(value, draft)
        if self.verb == "drop":
            return Fate(NO_COUNTERPART, self.why)
        if self.verb == "match":
            alike = value == draft.ours[self.ours[0]]
        else:  # what replaces a setting has no value that is always so
            alike = any(type(setting.value) is type(one) and setting.value == one for one in self.always)
        return Fate(CARRIED, self.why, shows=self.ours) if alike else replaced

    def _carry(self, value: Any, draft: Draft) -> Fate:
        ours = [name for name in self.ours if name in draft.ours]  # a preset has one kind of pyramid
        before = draft.wanted.get(ours[0], value) if ours else value
        if self.of_several:
            value = _MERGE[self.of_several](before, value)
        elif before != value:
            here = f"Another setting of this file already says {before!r}, and there is one place for it here."
            return Fate(REPLACED, here, shows=tuple(ours))
        return Fate(CARRIED, self.why, dict.fromkeys(ours, value))


@functools.cache
def rules() -> tuple[Rule, ...]:
    """Read the table; the first rule that fits a setting decides."""
    table = Path(__file__).with_name("rules.yaml").read_text(encoding="utf-8")
    return tuple(map(_rule, yaml.safe_load(table)))


def _rule(row: Mapping[str, Any]) -> Rule:
    verb = next(verb for verb in _VERBS if verb in row)
    ours = _listed(row[verb]) if verb in ("carry", "match", "replace") else ()
    return Rule(
        settings=_listed(row["settings"]),
        verb=verb,
        ours=tuple(getattr(keys, name) if name.isupper() else name for name in ours),
        always=_listed(row.get("always", ())),
        take=_listed(row.get("take", ("given", None))),
        of_several=row.get("of_several"),
        why=row["why"],
        why_not=row.get("why_not", row["why"]),
        look=row.get("look", False),
    )


def _listed(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
