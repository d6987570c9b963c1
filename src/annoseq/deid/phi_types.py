"""Which kind of thing a label stands for, and which kinds are looked for everywhere."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal, get_args

from annoseq.data.markup import is_label
from annoseq.errors import OptionError
from annoseq.tokenization.regex_patterns import read_toml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

Kind = Literal[
    "name",
    "username",
    "email",
    "url",
    "ip",
    "id",
    "street",
    "city",
    "state",
    "country",
    "place",
    "hospital",
    "organization",
    "profession",
    "date",
    "age",
    "age-over-89",
    "label",
    "keep",
]
"""`label` has no surrogate but its label; `keep` is left as it is, whatever it is replaced with."""
Propagation = Literal["parts", "whole", "no"]

_TABLES = {"labels": get_args(Kind), "propagation": get_args(Propagation)}
_LISTS = ("common", "never")


@dataclass(frozen=True)
class Table:
    """Labels to kinds, kinds to how they propagate, and the words that do so less."""

    labels: Mapping[str, Kind]
    propagation: Mapping[Kind, Propagation]
    common: frozenset[str]
    never: frozenset[str]

    def kind(self, label: str) -> Kind:
        """Return what a label stands for: by its whole name, or a part of it.

        >>> Table.default().kind("NAME:NURSE")
        'name'

        Raises:
            OptionError: the label stands for nothing.
        """
        first, _, second = label.partition(":")
        for name in (label, second, first):
            if kind := self.labels.get(name.casefold()):
                return kind
        raise OptionError(
            f"the label {label!r} stands for no kind of thing yet. Say in a file for --table which "
            f'it is: under [labels], a line "{label}" = "KIND", where KIND is one of '
            f"{', '.join(get_args(Kind))}."
        )

    def check(self, labels: Iterable[str]) -> None:
        """Raise unless every label stands for something.

        Raises:
            OptionError: a label stands for nothing.
        """
        for label in labels:
            self.kind(label)

    @classmethod
    def default(cls) -> Table:
        """Read the table that comes with the package."""
        text = (files(__package__) / "defaults.toml").read_text(encoding="utf-8")
        return cls({}, {}, frozenset(), frozenset())._over(tomllib.loads(text))

    @classmethod
    def load(cls, path: Path | None) -> Table:
        """Read a user's table over the default one.

        Raises:
            OptionError: the file cannot be read, or says something that makes no sense.
        """
        default = cls.default()
        if path is None:
            return default
        return default._over(_checked(read_toml(path, option="--table"), f"--table {path}"))

    def _over(self, found: Mapping[str, Any]) -> Table:
        words = found.get("words", {})
        new = {label.casefold(): kind for label, kind in found.get("labels", {}).items()}
        return Table(
            {**self.labels, **new},
            {**self.propagation, **found.get("propagation", {})},
            self.common | {word.casefold() for word in words.get("common", ())},
            self.never | {word.casefold() for word in words.get("never", ())},
        )


def _checked(found: dict[str, Any], file: str) -> dict[str, Any]:
    for table, content in found.items():
        if table not in {*_TABLES, "words"} or not isinstance(content, dict):
            raise OptionError(
                f"{file}: found {table!r} at the top. Use the tables [labels], [propagation] and "
                "[words]."
            )
        for name, value in content.items():
            _check_entry(file, table, name, value)
    return found


def _check_entry(file: str, table: str, name: str, value: object) -> None:
    where = f"{file}: [{table}]: {name!r}"
    if table == "words":
        if name not in _LISTS or not _is_words(value):
            raise OptionError(f"{where} is none of the two lists of words: common, never.")
        return
    if table == "propagation" and name not in get_args(Kind):
        raise OptionError(f"{where} is no kind. Use one of {', '.join(get_args(Kind))}.")
    if table == "labels" and not is_label(name):
        raise OptionError(f"{where} cannot be a label: no white space, braces or backslashes.")
    if value not in _TABLES[table]:
        raise OptionError(f"{where} has the value {value!r}. Use one of {_listed(_TABLES[table])}.")


def _is_words(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
