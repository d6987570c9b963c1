r"""Other ways to write tags, described by an example, translated into this package's own.

`<LABEL>text</LABEL>` is a template: what stands before `text` opens a span, what stands behind it
closes it, and LABEL stands for any label. These syntaxes have no escapes, so that a bracket may be
a tag or text; with the original text at hand, `TagSyntax.align` tells which.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from annoseq.data.alignment import align
from annoseq.data.markup import Span, closing, escape, opening
from annoseq.errors import MarkupError, MismatchError, OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable

EXAMPLES = (
    "<LABEL>text</LABEL>",
    "[text](LABEL)",
    "[LABEL]text[/LABEL]",
    "[LABEL text]",
    "{LABEL}text{/LABEL}",
)
"""The templates that are known without being described."""

_PLACEHOLDER = re.compile(r"\.\.\.|text|TEXT")
_LABEL = r"(?P<label>[^\W\d][\w:./-]*?)"
"""As short as may be: what stands behind it in the tag ends it."""
_XML = ("<LABEL>", "</LABEL>")
_XML_OPENING = rf"<{_LABEL}(?P<attributes>\s[^<>]*)?>"
_TYPE = re.compile(r"""\s(?:TYPE|type)=(?:"([^"]*)"|'([^']*)')""")
_STEPS = 2
"""How many states are tried for each character before the search for an alignment is given up."""
_DEPTH = 20
"""How many tags may be open at once in that search."""


class _Open(NamedTuple):
    """A tag that is open while an annotated text is translated."""

    piece: int  # its place among the pieces
    written: str
    label: str | None  # as it is written, None if the closing tag has it
    full: str | None  # with its type


@dataclass(frozen=True)
class TagSyntax:
    """A syntax of inline tags. Make it with `tag_syntax`."""

    example: str
    before: str
    behind: str

    @cached_property
    def _tags(self) -> re.Pattern[str]:
        closing_tag = self._closing.pattern.replace("?P<label>", "?P<label_>")
        both = [f"(?P<opening>{self._opening.pattern})", f"(?P<closing>{closing_tag})"]
        # One may begin like the other: the longer is tried first.
        return re.compile("|".join(both if len(self.before) >= len(self.behind) else both[::-1]))

    @cached_property
    def _opening(self) -> re.Pattern[str]:
        return re.compile(_XML_OPENING if self.is_xml else _pattern(self.before))

    @cached_property
    def _closing(self) -> re.Pattern[str]:
        return re.compile(_pattern(self.behind))

    @property
    def is_xml(self) -> bool:
        """Whether tags are elements, which may have a type."""
        return (self.before, self.behind) == _XML

    @property
    def _names_twice(self) -> bool:
        return "LABEL" in self.before and "LABEL" in self.behind

    def translate(self, annotated: str) -> str:
        """Write an annotated text of this syntax in this package's own.

        >>> template("[text](LABEL)").translate("Dr. [Ames](NAME)")
        'Dr. {{NAME}}Ames{{/NAME}}'
        """
        pieces: list[str] = []
        opened: list[_Open] = []
        cursor = 0
        for found in self._tags.finditer(annotated):
            pieces.append(escape(annotated[cursor : found.start()]))
            cursor = found.end()
            if found["opening"] is not None:
                opened.append(_Open(len(pieces), found[0], *self._names(found)))
                full = opened[-1].full
                pieces.append(opening(full) if full and self._names_twice else escape(found[0]))
                continue
            label = found.groupdict().get("label_")
            if opened and (not self._names_twice or opened[-1].label == label):
                last = opened.pop()
                full = last.full or label or ""
                pieces[last.piece] = opening(full)
                pieces.append(closing(full))
            else:
                pieces.append(closing(label) if self._names_twice and label else escape(found[0]))
        pieces.append(escape(annotated[cursor:]))
        return "".join(pieces)

    def write(self, text: str, spans: Iterable[Span]) -> str:
        """Write a text with its well-nested spans in this syntax, which has no escapes."""
        pieces: list[str] = []
        opened: list[Span] = []
        cursor = 0
        for span in [*sorted(spans, key=lambda one: (one.start, -one.end)), None]:
            while opened and (span is None or opened[-1].end <= span.start):
                inner = opened.pop()
                pieces += [text[cursor : inner.end], self.behind.replace("LABEL", inner.label)]
                cursor = inner.end
            if span is not None:
                pieces += [text[cursor : span.start], self.before.replace("LABEL", span.label)]
                cursor = span.start
                opened.append(span)
        return "".join([*pieces, text[cursor:]])

    def align(self, text: str, annotated: str) -> list[Span]:
        """Find the spans of `text` that `annotated` marks.

        White space beside tags and character references (`&amp;`) may differ. Brackets of the
        original are told from tags.

        Raises:
            MarkupError: the tags are not well nested.
            MismatchError: the annotated text without its tags is another text.
        """
        # Where the original has no bracket that could be a tag, there is nothing to search for.
        is_ambiguous = self._tags.search(text) is not None
        if is_ambiguous and (found := self._guided(text, annotated)) is not None:
            return found
        translated = self.translate(annotated)
        try:
            return align(text, translated).spans
        except (MarkupError, MismatchError):
            # A tag of a described markup may also begin like another.
            if not is_ambiguous and (found := self._guided(text, annotated)) is not None:
                return found
            if self.is_xml and "&" in annotated:
                return align(text, html.unescape(translated)).spans
            raise

    def _names(self, found: re.Match[str]) -> tuple[str | None, str | None]:
        """Return the label of an opening tag as it is written, and with its type."""
        label = found.groupdict().get("label")
        kind = _TYPE.search(found["attributes"] or "") if self.is_xml else None
        value = (kind[1] or kind[2]) if kind else None
        return label, f"{label}:{value}" if value and value != label else label

    def _guided(self, text: str, annotated: str) -> list[Span] | None:
        """Search for tags whose removal leaves exactly `text`, or return None.

        Each state is tried once: a place in both texts and the tags that are open. A tag is
        preferred to text that looks like one.
        """
        waiting = [_State(0, 0, None, None)]
        seen: set[tuple[int, int, _OpenTag | None]] = set()
        while waiting and len(seen) < _STEPS * (len(annotated) + 1_000):
            state = waiting.pop()
            at, place, opened, found = state
            if (at, place, opened) in seen:
                continue
            seen.add((at, place, opened))
            if at == len(annotated):
                if place == len(text) and opened is None:
                    return _in_opening_order(found)
                continue
            if text[place : place + 1] == annotated[at]:
                waiting.append(_State(at + 1, place + 1, opened, found))
            waiting += self._tagged(state, annotated)
        return None

    def _tagged(self, state: _State, annotated: str) -> list[_State]:
        """Return what follows if a tag stands here: the likelier the later."""
        at, place, opened, found = state
        following: list[_State] = []
        if (tag := self._opening.match(annotated, at)) and (
            opened is None or opened.depth < _DEPTH
        ):
            depth = opened.depth + 1 if opened else 1
            one = _OpenTag(opened, *self._names(tag), place, depth)
            following.append(_State(tag.end(), place, one, found))
        if opened and (tag := self._closing.match(annotated, at)):
            written = tag.groupdict().get("label")
            agrees = not self._names_twice or opened.label == written
            if agrees and opened.start < place:
                span = Span(opened.start, place, opened.full or written or "")
                more = _Found(found, span)
                following.append(_State(tag.end(), place, opened.outer, more))
        return following


@dataclass(frozen=True, slots=True, eq=False)
class _OpenTag:
    """A tag that is open, linked to the one around it; compared by identity, which is quick."""

    outer: _OpenTag | None
    label: str | None
    full: str | None
    start: int
    depth: int


class _Found(NamedTuple):
    """A span that was found, linked to those before it."""

    before: _Found | None
    span: Span


class _State(NamedTuple):
    at: int  # in the annotated text
    place: int  # in the original
    opened: _OpenTag | None
    found: _Found | None


def _in_opening_order(found: _Found | None) -> list[Span]:
    spans: list[Span] = []
    while found:
        spans.append(found.span)
        found = found.before
    # Spans are closed inside out: reversed, the outer comes first of two around the same piece.
    return sorted(spans, key=lambda one: (one.start, -one.end))


def tag_syntax(described: str) -> TagSyntax:
    """Make a template of an example with `LABEL` and `text` (or `...`).

    Raises:
        OptionError: it lacks one of them, or has nothing before or behind the text.
    """
    places = list(_PLACEHOLDER.finditer(described))
    if len(places) != 1:
        raise OptionError(
            f"found the markup {described!r}, which has {len(places)} places for the text. "
            "Give an example with LABEL and one text, such as <LABEL>text</LABEL>."
        )
    before, behind = described[: places[0].start()], described[places[0].end() :]
    if not before or not behind or max(before.count("LABEL"), behind.count("LABEL")) != 1:
        raise OptionError(
            f"found the markup {described!r}, where tags are expected on both sides of the text, "
            "with LABEL in one of them or in each. Give an example such as [LABEL text]."
        )
    return TagSyntax(described, before, behind)


def _pattern(tag: str) -> str:
    ends_itself = tag.endswith("LABEL")
    return re.escape(tag).replace("LABEL", _LABEL) + (r"(?![\w:./-])" if ends_itself else "")
