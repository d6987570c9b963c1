"""Every error that annoseq raises on purpose.

    AnnoseqError
    ├── OptionError        an option or a configuration value makes no sense
    ├── TableError         a table cannot be read, or lacks what was asked of it
    ├── MarkupError        an annotated text is not well formed
    ├── MismatchError      an annotated text without its tags is another text
    ├── PairsError         rows that cannot be used, named
    ├── FormatError        a corpus in another format cannot be read, or cannot be written in it
    ├── DatasetError       a prepared dataset is missing, damaged, or does not fit
    ├── ModelError         a model folder is missing, damaged, or of another version
    ├── VectorsError       a file of word vectors cannot be read, made, or does not fit
    ├── TrainingError      training cannot start, go on, or be resumed
    │   ├── DivergenceError    the loss is no longer a number
    │   └── OutOfMemoryError   the memory of the GPU does not suffice
    └── OutputError        something cannot be written

A message says what was found, where, what was expected, and what to do. It never
quotes the user's text: that is theirs to show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_WANTED = {
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


def describe_wanted(faults: Iterable[ErrorDetails]) -> str:
    """Return what a setting takes instead (`a number above 0, or 'auto'`), empty if not known.

    A setting of several types has a fault for each.
    """
    known = [one for one in faults if one["type"] in _WANTED]
    return ", or ".join(_WANTED[one["type"]].format(**one.get("ctx", {})) for one in known)


def describe_fault(error: ValidationError) -> str:
    """Return where a file first departs from its form, and how; no value of it is quoted."""
    fault = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(map(str, fault["loc"])) or "the whole file"
    return f"{where}: {fault['msg']}"


class AnnoseqError(Exception):
    """Root of every error that bad input, options or files can cause."""


class OptionError(AnnoseqError, ValueError):
    """An option or a configuration value makes no sense."""


class TableError(AnnoseqError, ValueError):
    """A table cannot be read, or lacks what was asked of it."""


class MarkupError(AnnoseqError, ValueError):
    """An annotated text is not well formed.

    `at` counts characters (code points) of the annotated text from 0.
    """

    def __init__(self, problem: str, *, at: int, hint: str) -> None:
        super().__init__(f"{problem}, at character {at}. {hint}")
        self.at = at


class MismatchError(AnnoseqError, ValueError):
    """An annotated text without its tags is not the original text.

    `at` is where they part: a character of the original, `at_annotated` of the
    annotated text with its tags removed.
    """

    def __init__(self, *, at: int, at_annotated: int) -> None:
        super().__init__(
            f"the annotated text without its tags differs from the original at character {at}. "
            "Make them the same but for the tags."
        )
        self.at = at
        self.at_annotated = at_annotated


class PairsError(AnnoseqError, ValueError):
    """Rows that cannot be used: the first few are named, and all are counted."""


class FormatError(AnnoseqError, ValueError):
    """A corpus in another format cannot be read, or its format cannot hold what is written."""


class DatasetError(AnnoseqError, ValueError):
    """A prepared dataset is missing, damaged, or does not fit what it is used with."""


class ModelError(AnnoseqError, ValueError):
    """A model folder is missing, damaged, or of another version."""


class VectorsError(AnnoseqError, ValueError):
    """A file of word vectors cannot be read, cannot be made, or does not fit."""


class TrainingError(AnnoseqError, RuntimeError):
    """Training cannot start, go on, or be resumed."""


class DivergenceError(TrainingError):
    """The loss is no longer a number."""


class OutOfMemoryError(TrainingError):
    """The memory of the GPU does not suffice."""


class OutputError(AnnoseqError, OSError):
    """Something cannot be written, or is there already."""
