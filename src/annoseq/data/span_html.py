"""HTML rendering of annotated text: labelled spans as coloured marks, as displaCy draws them."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING
from zlib import crc32

from annoseq.data.markup import parse
from annoseq.errors import MarkupError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from annoseq.data.markup import Span

_MARK_STYLE = (
    "padding:.1em .2em;border-radius:.25em;color:inherit;background:hsla({hue},75%,50%,.3)"
)
_LABEL_STYLE = "margin-left:.3em;font-size:.7em;font-weight:bold;opacity:.75"
_TABLE_CHARACTERS = 400
"""Characters of a text that a table shows."""
_TEXT_STYLE = "white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.9"


def render_spans_html(text: str, spans: Iterable[Span], *, shown: int | None = None) -> str:
    """Render a text as HTML in which every span is a coloured mark with its label.

    Spans may be nested. A span that crosses one that begins before it is drawn up to the end of
    that one; the part of a span outside the text is not drawn. Text and labels are escaped, the
    styles are inline, and the translucent colours are legible on light and dark pages. A score is
    shown when the pointer rests on the mark. Of a text longer than `shown` characters only the
    beginning is rendered.

    >>> from annoseq.data.markup import Span
    >>> html = render_spans_html("Dr. Ames", [Span(4, 8, "NAME")])
    >>> html.count("<mark"), "Ames<span" in html
    (1, True)
    """
    if shown is not None and len(text) > shown:
        text = text[: shown - 1] + "…"
    pieces: list[str] = []
    open_spans: list[tuple[int, str]] = []  # end, label
    cursor = 0

    def copy_until(end: int) -> None:
        nonlocal cursor
        pieces.append(escape(text[cursor:end]))
        cursor = max(cursor, end)

    def close_until(end: int) -> None:
        while open_spans and open_spans[-1][0] <= end:
            span_end, label = open_spans.pop()
            copy_until(span_end)
            pieces.append(f'<span style="{_LABEL_STYLE}">{escape(label)}</span></mark>')

    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        close_until(span.start)
        start = max(span.start, 0)
        end = min(span.end, open_spans[-1][0] if open_spans else len(text))
        if start >= end:
            continue
        copy_until(start)
        pieces.append(_opening_mark(span))
        open_spans.append((end, span.label))
    close_until(len(text))
    copy_until(len(text))
    return f'<span style="{_TEXT_STYLE}">{"".join(pieces)}</span>'


def render_markup_html(annotated: str, *, shown: int | None = None) -> str:
    """Render annotated text as `render_spans_html`; text with malformed tags as it is."""
    try:
        text, spans = parse(annotated)
    except MarkupError:
        text, spans = annotated, []
    return render_spans_html(text, spans, shown=shown)


def render_pairs_html(rows: Iterable[tuple[int, str, str]], *, caption: str) -> str:
    """Render rows (number, source, target) as an HTML table, spans as coloured marks."""
    cells = "".join(
        f"<tr><td>{number}</td><td>{render_spans_html(source, (), shown=_TABLE_CHARACTERS)}</td>"
        f"<td>{render_markup_html(target, shown=_TABLE_CHARACTERS)}</td></tr>"
        for number, source, target in rows
    )
    return (
        f"<table><caption>{escape(caption)}</caption><thead><tr><th>row</th>"
        f"<th>source</th><th>target</th></tr></thead><tbody>{cells}</tbody></table>"
    )


def _opening_mark(span: Span) -> str:
    hue = crc32(span.label.encode("utf-8", "surrogatepass")) % 360
    title = span.label if span.score is None else f"{span.label} {span.score:.3f}"
    return f'<mark style="{_MARK_STYLE.format(hue=hue)}" title="{escape(title)}">'
