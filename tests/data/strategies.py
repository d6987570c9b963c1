"""Texts and spans for property tests, biased towards what markup can get wrong."""

from __future__ import annotations

from hypothesis import strategies as st

from annoseq.data.markup import Span

ODD_PIECES = [
    *"{}\\/<>[]() \t\r\n",
    *["{{", "}}", "{{/", "\\}}", "{{A}}", "{{/A}}", "{{\\A}}", "{{/\\A}}", "{{\\/A}}", "{{\\\\A}}"],
    *["{{//A}}", "{{A B}}", "{{}}", "{{{A}}}", "A", "Dr. Ames", "  ", "\r\n", "\u00a0", "\u2028"],
    *["\u0301", "e\u0301", "\u200d", "\ufeff", "\x00", "\x1c", "\x1f", "\x85", "\U0001f600"],
]
SPACES = ["", " ", "  ", "\n", "\t", "\u00a0", "\x1c", "\u2003"]

_characters = st.characters(exclude_categories=["Cs"])  # every Unicode scalar value
texts = st.lists(st.sampled_from(ODD_PIECES) | _characters, max_size=25).map("".join)
labels = st.sampled_from(["A", "B", "NAME:DOCTOR", "a/b", "é", "\u0301", "<x>", "-"])


@st.composite
def spans_of(draw: st.DrawFn, text: str) -> list[Span]:
    """Draw well-nested spans of `text`, in opening order."""
    kept: list[Span] = []
    if not text:
        return kept
    for _ in range(draw(st.integers(0, 6))):
        start = draw(st.integers(0, len(text) - 1))
        span = Span(start, draw(st.integers(start + 1, len(text))), draw(labels))
        if not any(_cross(span, other) for other in kept):
            kept.append(span)
    return sorted(kept, key=lambda span: (span.start, -span.end))


@st.composite
def annotated_texts(draw: st.DrawFn) -> tuple[str, list[Span]]:
    """Draw a text with well-nested spans."""
    text = draw(texts)
    return text, draw(spans_of(text))


def _cross(one: Span, other: Span) -> bool:
    first, second = sorted([one, other])
    return first.start < second.start < first.end < second.end
