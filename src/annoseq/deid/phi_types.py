"""PHI types: the type of identifier behind each label, and the rules of propagation."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal, get_args

from annoseq.data.markup import is_label
from annoseq.data.streams import read_toml
from annoseq.deid.unicode_words import fold
from annoseq.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

PhiType = Literal[
    "name",
    "username",
    "email",
    "url",
    "ip",
    "phone",
    "id",
    "street",
    "city",
    "zip",
    "state",
    "country",
    "place",
    "hospital",
    "organization",
    "profession",
    "date",
    "age",
    "other",
    "unknown",
    "none",
]
"""`other` are identifiers of no other type, `none` are spans that identify nobody and always stay,
`unknown` are the spans of labels that no table has."""
ASSIGNABLE_TYPES: tuple[PhiType, ...] = tuple(
    phi_type for phi_type in get_args(PhiType) if phi_type != "unknown"
)
"""Types that a table may give to a label."""
PropagationRule = Literal["parts", "whole", "no"]

_VALUES = {"labels": ASSIGNABLE_TYPES, "propagation": get_args(PropagationRule)}
_WORD_LISTS = ("common", "never")


@dataclass(frozen=True)
class PhiTypeTable:
    """PHI types by label, propagation rules by PHI type, and the words that propagate less.

    Words in `common` propagate by themselves as they were written, and with a capital or in
    capitals if they had one; words in `guarded`, which are medical terms and common words, only
    after a title; words in `never` do not propagate by themselves. Labels and words are in lower
    case. With `has_unknown`, a label that is not in the table is of the type `unknown`, and else
    an error.
    """

    labels: Mapping[str, PhiType]
    propagation: Mapping[PhiType, PropagationRule]
    common: frozenset[str]
    never: frozenset[str]
    guarded: frozenset[str] = frozenset()
    has_unknown: bool = False

    def phi_type(self, label: str) -> PhiType:
        """Return the PHI type of a label, found by its full name or by a part of it.

        >>> PhiTypeTable.default().phi_type("NAME:NURSE")
        'name'

        Raises:
            OptionError: the label has no PHI type.
        """
        first, _, second = label.partition(":")
        for name in (label, second, first):
            if phi_type := self.labels.get(name.casefold()):
                return phi_type
        if self.has_unknown:
            return "unknown"
        raise OptionError(
            f"the label {label!r} has no PHI type yet. Assign one in a file for --phi-types: "
            f'under [labels], a line "{label}" = "TYPE", where TYPE is one of '
            f"{', '.join(ASSIGNABLE_TYPES)}."
        )

    def check_labels(self, labels: Iterable[str]) -> None:
        """Check that every label has a PHI type.

        Raises:
            OptionError: a label has none.
        """
        for label in labels:
            self.phi_type(label)

    @classmethod
    def default(cls) -> PhiTypeTable:
        """Read the table that comes with the package."""
        table, words = (
            (files(__package__) / name).read_text(encoding="utf-8")
            for name in ("phi_types.toml", "guard_words.txt")
        )
        guarded = _parse_words(words, "guard_words.txt")
        return cls({}, {}, frozenset(), frozenset(), guarded)._updated(tomllib.loads(table))

    @classmethod
    def load(cls, path: Path | None, *, guard_words: Path | None = None) -> PhiTypeTable:
        """Read a user's table, whose entries take precedence over the default ones.

        `guard_words` is a list of words that takes the place of the default one.

        Raises:
            OptionError: a file cannot be read, or an entry is invalid.
        """
        default = cls.default()
        if guard_words is not None:
            default = replace(default, guarded=_read_words(guard_words))
        if path is None:
            return default
        return default._updated(
            _checked(read_toml(path, option="--phi-types"), f"--phi-types {path}")
        )

    def _updated(self, content: Mapping[str, Any]) -> PhiTypeTable:
        words = content.get("words", {})
        labels = {label.casefold(): value for label, value in content.get("labels", {}).items()}
        return PhiTypeTable(
            {**self.labels, **labels},
            {**self.propagation, **content.get("propagation", {})},
            self.common | {fold(word) for word in words.get("common", ())},
            self.never | {fold(word) for word in words.get("never", ())},
            self.guarded,
            self.has_unknown,
        )


def _read_words(path: Path) -> frozenset[str]:
    """Read a list of words, one a line; lines that begin with # are comments."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise OptionError(
            f"--guard-words {path} cannot be read: {error.strerror}. Name a file that can be read."
        ) from error
    except UnicodeDecodeError as error:
        raise OptionError(
            f"--guard-words {path}: byte {error.start} is not UTF-8. Save the list as UTF-8."
        ) from error
    return _parse_words(text, f"--guard-words {path}")


def _parse_words(text: str, where: str) -> frozenset[str]:
    words = set()
    for number, line in enumerate(text.splitlines(), 1):
        word = line.strip()
        if word.startswith("#"):
            continue
        if len(word.split()) > 1:
            raise OptionError(
                f"{where}: line {number}: found several words. Write one in each line."
            )
        words.add(fold(word))
    return frozenset(words - {""})


def _checked(content: dict[str, Any], file: str) -> dict[str, Any]:
    for table, entries in content.items():
        if table not in {*_VALUES, "words"} or not isinstance(entries, dict):
            raise OptionError(
                f"{file}: found {table!r} at the top. Use the tables [labels], [propagation] and "
                "[words]."
            )
        for name, value in entries.items():
            _check_entry(file, table, name, value)
    return content


def _check_entry(file: str, table: str, name: str, value: object) -> None:
    where = f"{file}: [{table}]: {name!r}"
    if table == "words":
        if name not in _WORD_LISTS or not _is_word_list(value):
            raise OptionError(f"{where} is none of the two lists of words: common, never.")
        return
    if table == "propagation" and name not in get_args(PhiType):
        raise OptionError(f"{where} is no PHI type. Use one of {', '.join(get_args(PhiType))}.")
    if table == "labels" and not is_label(name):
        raise OptionError(f"{where} cannot be a label: no white space, braces or backslashes.")
    if value not in _VALUES[table]:
        raise OptionError(
            f"{where} has the value {value!r}. Use one of {', '.join(_VALUES[table])}."
        )


def _is_word_list(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)
