"""What is redacted: a document of one or more texts, and what was found in each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from annoseq.data.markup import Span

Finder = Literal["model", "pattern", "propagated"]
"""Who found a span: the model, a pattern of --also, or the same value elsewhere."""
Style = Literal["label", "mask", "surrogate"]


@dataclass(frozen=True, slots=True)
class Find:
    """A piece of a text that is to be replaced: `text[start:end]`."""

    start: int
    end: int
    label: str
    score: float | None = None
    by: Finder = "model"

    @classmethod
    def of(cls, span: Span) -> Find:
        """Take over what a model found."""
        return cls(span.start, span.end, span.label, span.score)


@dataclass(frozen=True, slots=True)
class Part:
    """A text of a document: a row of a table, or all of a file."""

    id: str
    text: str
    finds: tuple[Find, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """Texts that belong together: what is found in one is looked for in all.

    A row without a document is one of its own, and not `is_named`: its id is the row's number.
    """

    id: str
    parts: tuple[Part, ...]
    is_named: bool = True


@dataclass(frozen=True, slots=True)
class Replacement:
    """What was replaced, and where the replacement stands in the redacted text.

    `value` is the piece that was found, `is_made_up` says whether a surrogate stands there, and
    not the label or a mask instead of one.
    """

    old: Find
    start: int
    end: int
    value: str
    text: str
    is_made_up: bool = False


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text without what was found in it, and the replacements in their order.

    `inner` counts the finds that lay within others, and went with them.
    """

    id: str
    text: str
    replacements: tuple[Replacement, ...]
    inner: int = 0
