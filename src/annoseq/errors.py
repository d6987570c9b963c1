"""Exception classes of annoseq.

    AnnoseqError
    ├── OptionError        invalid option or configuration value
    ├── TableError         table that cannot be read, or lacks a column or rows
    │   ├── EmptyTableError    table without rows
    │   └── MissingColumnError table without a column that was asked for
    ├── MarkupError        annotated text that is not well formed
    ├── MismatchError      annotated text whose text differs from the original
    ├── PairsError         rows that cannot be used
    ├── FormatError        corpus that cannot be read from, or written in, a format
    ├── DatasetError       prepared dataset that is missing, damaged or incompatible
    ├── ModelError         model folder that is missing, damaged or of another version
    ├── VectorsError       word vectors that cannot be read or trained, or are incompatible
    ├── EncoderError       pre-trained encoder that cannot be read, or is not supported
    ├── ReviewError        action of a review that is refused, or project that cannot be used
    │   └── StaleRevisionError  action on a document that has changed since it was loaded
    ├── TrainingError      training that cannot start, continue or be resumed
    │   ├── DivergenceError    loss that is not finite
    │   └── OutOfMemoryError   GPU that is out of memory
    ├── ProcessError       worker process that died or failed
    └── OutputError        output that cannot be written

A message says what was found, where, what was expected, and what to do. It never quotes the
user's text, which may be confidential.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from annoseq._version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails


class AnnoseqError(Exception):
    """Base class of every error that bad input, options or files can cause.

    `document` is the id of the document that it is about, or the name of a text file, where that is
    known and others may go on without it.
    """

    document: str | None = None


class OptionError(AnnoseqError, ValueError):
    """Invalid option or configuration value."""


class TableError(AnnoseqError, ValueError):
    """Table that cannot be read, or lacks a column or rows that were asked for."""


class MissingColumnError(TableError):
    """Table without a column that was asked for."""


class EmptyTableError(TableError):
    """Table without rows."""


class MarkupError(AnnoseqError, ValueError):
    """Annotated text that is not well formed.

    `at` counts characters (code points) of the annotated text from 0.
    """

    def __init__(self, problem: str, *, at: int, hint: str) -> None:
        super().__init__(f"{problem}, at character {at}. {hint}")
        self.at = at


class MismatchError(AnnoseqError, ValueError):
    """Annotated text that, without its tags, differs from the original text.

    `at` and `at_annotated` are the places of the first difference, counted in characters (code
    points) from 0: in the original, and in the annotated text without its tags.
    """

    def __init__(self, *, at: int, at_annotated: int) -> None:
        super().__init__(
            f"the annotated text without its tags differs from the original at character {at}. "
            "Make them the same but for the tags."
        )
        self.at = at
        self.at_annotated = at_annotated


class PairsError(AnnoseqError, ValueError):
    """Rows that cannot be used; the message names the first few and counts all."""


class FormatError(AnnoseqError, ValueError):
    """Corpus that cannot be read from a format, or annotations that a format cannot represent."""


class DatasetError(AnnoseqError, ValueError):
    """Prepared dataset that is missing, damaged or incompatible."""


class ModelError(AnnoseqError, ValueError):
    """Model folder that is missing, damaged or of another version."""


class VectorsError(AnnoseqError, ValueError):
    """Word vectors that cannot be read or trained, or are incompatible with a model."""


class EncoderError(AnnoseqError, ValueError):
    """Pre-trained encoder that cannot be read, or is not supported."""


class ReviewError(AnnoseqError, ValueError):
    """Action of a review that is refused, or project of a review that cannot be used."""


class StaleRevisionError(ReviewError):
    """Action on a document that has changed since it was loaded."""


class TrainingError(AnnoseqError, RuntimeError):
    """Training that cannot start, continue or be resumed."""


class DivergenceError(TrainingError):
    """Training loss that is not finite."""


class OutOfMemoryError(TrainingError):
    """GPU that is out of memory."""


class ProcessError(AnnoseqError, RuntimeError):
    """Worker process that died or failed."""


class OutputError(AnnoseqError, OSError):
    """Output that cannot be written, or exists already."""


_ROW = re.compile(r"(.*?): row (\d+)\b", re.DOTALL)


def row_of(error: AnnoseqError) -> tuple[str, int] | None:
    """Return the table and the row that an error is about, None if its message begins otherwise.

    >>> row_of(TableError("notes.csv: row 7 (line 9): found 2 fields"))
    ('notes.csv', 7)
    """
    found = _ROW.match(str(error))
    return (found[1], int(found[2])) if found else None


_IDENTIFIER = re.compile(r"[\w.:/@+-]{1,60}")


def display_name(name: str, *, kind: str = "name") -> str:
    """Return a name for a message: as it is if it is an identifier, else its length alone.

    Keys, labels and ids come from users' files, where a text may stand in their place.

    >>> display_name("NAME:DOCTOR"), display_name("Ms Ames came", kind="label")
    ('NAME:DOCTOR', '(a label of 12 characters)')
    """
    return (
        name
        if _IDENTIFIER.fullmatch(name)
        else f"(a {kind} of {count_noun(len(name), 'character')})"
    )


def count_noun(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless it is 1.

    >>> count_noun(1, "label"), count_noun(1_000, "label")
    ('1 label', '1,000 labels')
    """
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def option_name(field: str) -> str:
    """Return the command-line option of a field of a configuration.

    >>> option_name("gru.encoder_dropout")
    '--gru.encoder-dropout'
    """
    return "--" + field.replace("_", "-")


def quote_name(name: str, *, kind: str = "name") -> str:
    """Return a name as `display_name` does, in quotes if it is an identifier."""
    displayed = display_name(name, kind=kind)
    return repr(name) if displayed == name else displayed


_EXPECTED = {
    "greater_than": "a number above {gt:g}",
    "greater_than_equal": "a number of at least {ge:g}",
    "less_than": "a number below {lt:g}",
    "less_than_equal": "a number of at most {le:g}",
    "multiple_of": "a multiple of {multiple_of:g}",
    "literal_error": "{expected}",
    "finite_number": "a finite number",
    "int_parsing": "a whole number",
    "float_parsing": "a number",
}
"""Expected values by pydantic's type of error."""


def describe_expected(details: Iterable[ErrorDetails]) -> str:
    """Return the values that a setting accepts (`a number above 0, or 'auto'`), empty if unknown.

    A setting of several types has an error for each.
    """
    known = [detail for detail in details if detail["type"] in _EXPECTED]
    return ", or ".join(
        _EXPECTED[detail["type"]].format(**detail.get("ctx", {})) for detail in known
    )


def describe_validation_error(error: ValidationError) -> str:
    """Return the place and the problem of a file's first validation error, but no value of it."""
    detail = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(map(str, detail["loc"])) or "the whole file"
    return f"{place}: {detail['msg']}"


def describe_older_format(content: bytes, *, current: int) -> str | None:
    """Return a description of a JSON file whose `format` is older than `current`, or None."""
    try:
        record = json.loads(content)
    except ValueError:
        return None
    number = record.get("format") if isinstance(record, dict) else None
    if type(number) is not int or number >= current:
        return None
    return (
        f"written by an older version of annoseq (format {number}; annoseq {__version__} reads "
        f"format {current})"
    )


def describe_change(begun: Mapping[str, object], now: Mapping[str, object]) -> str | None:
    """Return the first setting of a plan that is another now, with both values, or None.

    Sections of the plan are no part of a setting's name, as they are none of an option's.

    >>> describe_change({"network": {"gru": {"hidden": 8}}}, {"network": {"gru": {"hidden": 16}}})
    'gru.hidden 8, and now it is 16'
    """
    for name in {**begun, **now}:
        before, after = begun.get(name), now.get(name)
        if isinstance(before, dict) and isinstance(after, dict):
            if change := describe_change(_without_sections(before), _without_sections(after)):
                return change
        elif before != after:
            return f"{name} {_shown(before)}, and now it is {_shown(after)}"
    return None


def _shown(setting: object) -> object:
    """Return a setting as a message shows it: the beginning is enough of a checksum.

    >>> _shown("0123456789abcdef" * 4), _shown("")
    ('0123456789ab', 'not given')
    """
    if setting is None or setting == "":
        return "not given"
    is_checksum = isinstance(setting, str) and re.fullmatch("[0-9a-f]{64}", setting)
    return str(setting)[:12] if is_checksum else setting


def _without_sections(section: Mapping[str, object]) -> dict[str, object]:
    """Return the settings of a section and of those in it, by dotted names."""
    settings: dict[str, object] = {}
    for name, value in section.items():
        inner = _without_sections(value) if isinstance(value, dict) else {}
        settings |= {f"{name}.{one}": own for one, own in inner.items()} or {name: value}
    return settings
