"""Other ways to write tags, recognised so that their user can be told what to convert."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from functools import cached_property

_NESTING = 50
"""How many tags inside one another are removed of the syntaxes without closing tags."""


@dataclass(frozen=True)
class Syntax:
    """A way to write tags: a pattern, and what removes it when it is put in its place."""

    example: str
    pattern: str
    text: str = ""

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        return re.compile(self.pattern)

    def strip(self, annotated: str) -> str:
        """Remove every tag, from the innermost out."""
        for _ in range(_NESTING):
            stripped = self._regex.sub(self.text, annotated)
            if stripped == annotated:
                break
            annotated = stripped
        return annotated


_LABEL = r"[^\W\d][\w:.-]*"
SYNTAXES = (
    Syntax("<LABEL>text</LABEL>", rf"</?{_LABEL}(?:\s[^<>]*)?>"),
    Syntax("[text](LABEL)", r"\[([^\[\]]*)\]\([^\s()]+\)", r"\1"),
    Syntax("[LABEL]text[/LABEL]", rf"\[({_LABEL})\]([^\[\]]*)\[/\1\]", r"\2"),
    Syntax("[LABEL text]", rf"\[{_LABEL}\s([^\[\]]*)\]", r"\1"),
    Syntax("{LABEL}text{/LABEL}", rf"(?<!\{{)\{{/?{_LABEL}\}}(?!\}})"),
)


def recognise(source: str, target: str) -> Syntax | None:
    """Return the syntax whose tags are what makes the target another text than the source.

    White space and character references (`&amp;`) may differ.

    >>> recognise("Dr. Ames", "Dr. <NAME>Ames</NAME>").example
    '<LABEL>text</LABEL>'
    """
    if source == target:
        return None
    original = _bare(source)
    for syntax in SYNTAXES:
        stripped = syntax.strip(target)
        if stripped != target and original in (_bare(stripped), _bare(html.unescape(stripped))):
            return syntax
    return None


def _bare(text: str) -> str:
    return "".join(text.split())
