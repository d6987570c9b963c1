"""Diagnosis of pairs whose target is not the source plus tags, and inference of the task."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from annoseq.data.alignment import align_normalized, describe_only_difference, normalize
from annoseq.data.foreign_markup import detect_tag_syntax
from annoseq.data.markup import is_label, strip_tags
from annoseq.data.markup_templates import KNOWN_SYNTAXES
from annoseq.errors import MarkupError, MismatchError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from annoseq.data.markup_templates import TagSyntax
    from annoseq.data.pairs import Pair

FaultKind = Literal["empty", "reversed", "other-markup", "markup", "mismatch"]

_LOOSE_TAG = re.compile(r"\{\{(?!\\)([^{}\\]{0,100})\}\}")
"""A tag, or double braces that were meant to be one: `{{ NAME }}`, `{{NAME id="3"}}`, `{{/}}`."""
_WORD = re.compile(r"[^\W\u2e80-\uffff]+|[\u2e80-\uffff]")
"""A word, or a character of a script that does not part words by spaces."""


@dataclass(frozen=True, slots=True)
class RowFault:
    """A cause for which a pair cannot be used, and its remedy."""

    kind: FaultKind
    description: str
    remedy: str


EMPTY_SOURCE = RowFault("empty", "the source is empty", "Fill it in, or remove the row.")
EMPTY_TARGET = RowFault("empty", "the target is empty", "Fill it in, or remove the row.")
REVERSED = RowFault(
    "reversed",
    "the source holds the tags, and the target is the original",
    "Swap the columns: --source annotated_text --target orig_text.",
)
_PADDED_TAGS = RowFault(
    "markup",
    "tags hold white space beside their label, such as {{ NAME }}",
    "Remove it, or convert the table: "
    "annoseq import table PAIRS NEW --markup '{{ LABEL }}text{{ /LABEL }}'.",
)
_UNNAMED_CLOSING_TAG = RowFault(
    "markup",
    "closing tags have no label: {{/}}",
    "Repeat the label in them, or convert the table: "
    "annoseq import table PAIRS NEW --markup '{{LABEL}}text{{/}}'.",
)
_ATTRIBUTES = RowFault(
    "markup",
    'tags hold attributes, such as {{NAME id="3"}}',
    "Remove the attributes: a tag holds its label alone, such as {{NAME}}.",
)
_SPACED_LABEL = RowFault(
    "markup",
    "labels hold white space, such as {{FIRST NAME}}",
    "Write an underscore for it in both tags, such as {{FIRST_NAME}}.",
)
_INVALID_TAG = RowFault(
    "markup",
    "double braces hold what is no label",
    "Write tags as {{LABEL}} and {{/LABEL}}, without braces, backslashes and white space in them.",
)


def foreign_tags(syntax: TagSyntax) -> RowFault:
    """Return the fault of tags in a foreign syntax."""
    return RowFault(
        "other-markup",
        f"tags written as {syntax.example}",
        "Convert them to {{LABEL}}text{{/LABEL}}: "
        f"annoseq import table PAIRS NEW --markup '{syntax.example}'.",
    )


def diagnose(source: str, target: str) -> RowFault | None:
    """Name the cause for which a target is not its source plus tags, if it is a known one.

    >>> diagnose("Dr. Ames", "Dr. {{ NAME }}Ames{{ /NAME }}").description
    'tags hold white space beside their label, such as {{ NAME }}'
    """
    if not source.strip():
        return EMPTY_SOURCE
    if not target.strip():
        return EMPTY_TARGET
    if _is_tagged(target, source) and is_alike(target, source):
        return REVERSED
    if fault := _malformed_tag(source, target):
        return fault
    if syntax := find_foreign_tags(source, target):
        return foreign_tags(syntax)
    return _normalizable(source, target)


def looks_annotated(pairs: Iterable[Pair], *, fitting: int, rows: int) -> bool:
    """Return True if pairs that do not fit are faulty annotations rather than translations.

    `pairs` are those of `rows` that are not their source plus tags, `fitting` the number of those
    that are. At least half of all must be the same text once all that looks like a tag is removed,
    and a target (or, if the columns are swapped, a source) must hold such a tag.
    """
    alike = fitting
    for pair in pairs:
        if pair.source.strip() and pair.target.strip():
            alike += is_alike(pair.source, pair.target)
        else:
            rows -= 1
    return 2 * alike >= rows


def has_tags_of_its_own(pair: Pair) -> bool:
    """Return True if one side of a pair holds something like a tag that the other has not."""
    return (
        _is_tagged(pair.source, pair.target)
        or _is_tagged(pair.target, pair.source)
        or find_foreign_tags(pair.source, pair.target) is not None
    )


def is_alike(first: str, second: str) -> bool:
    """Return True if two texts have at least half of their words in common, tags removed.

    The measure is the Dice coefficient of the two bags of words.

    >>> is_alike("Dr. Ames", "Dr. {{ NAME }}Ames{{ /NAME }} "), is_alike("yes", "{{A}}oui{{/A}}")
    (True, False)
    """
    words, other_words = _bag_of_words(first), _bag_of_words(second)
    total = words.total() + other_words.total()
    return 2 * 2 * (words & other_words).total() >= total


def find_foreign_tags(source: str, target: str) -> TagSyntax | None:
    """Return the foreign syntax of the tags that a target has around the words of its source."""
    if syntax := detect_tag_syntax(source, target):
        return syntax
    for syntax in KNOWN_SYNTAXES:
        stripped = syntax.strip_tags(target)
        if (
            stripped != target
            and syntax.strip_tags(source) == source
            and is_alike(source, stripped)
        ):
            return syntax
    return None


def _is_tagged(source: str, target: str) -> bool:
    """Return True if the target holds more that looks like a tag than the source."""
    if "{{" not in target:
        return False
    return len(_LOOSE_TAG.findall(target)) > len(_LOOSE_TAG.findall(source))


def _bag_of_words(text: str) -> Counter[str]:
    text = _LOOSE_TAG.sub("", text)
    for syntax in KNOWN_SYNTAXES:
        text = syntax.strip_tags(text)
    return Counter(_WORD.findall(normalize(text).text.casefold()))


def _malformed_tag(source: str, target: str) -> RowFault | None:
    if "{{" not in target:
        return None
    contents = Counter(_LOOSE_TAG.findall(target))
    contents.subtract(_LOOSE_TAG.findall(source))
    for content in (content for content, count in contents.items() if count > 0):
        label = content.strip()
        is_closing, label = label.startswith("/"), label.removeprefix("/")
        if is_label(label) and content.strip() == content:
            continue
        if is_closing and not label.strip():
            return _UNNAMED_CLOSING_TAG
        if "=" in content:
            return _ATTRIBUTES
        if is_label(label.strip()):
            return _PADDED_TAGS
        return _SPACED_LABEL if label.strip() else _INVALID_TAG
    return None


def _normalizable(source: str, target: str) -> RowFault | None:
    difference = describe_only_difference(source, strip_tags(target))
    if difference is None:
        return None
    try:
        align_normalized(source, target)
    except (MarkupError, MismatchError):
        return RowFault("mismatch", difference, "Make both the same but for the tags.")
    return RowFault(
        "mismatch",
        difference,
        "Add --normalize, which finds the spans all the same and leaves the source as it is.",
    )
