"""Which of the two tasks the pairs are for.

annotate: the target is the source plus tags. translate: the target is anything else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from annoseq.config import Task
from annoseq.errors import MarkupError, MismatchError
from annoseq.pairs.alignment import align
from annoseq.pairs.markup import Tag, scan

if TYPE_CHECKING:
    from collections.abc import Iterable

    from annoseq.pairs.pair import Pair

__all__ = ["Task", "has_tag", "infer_task"]


def infer_task(pairs: Iterable[Pair]) -> Task:
    """Tell what the pairs are for.

    The task is "annotate" if a target holds a tag, and at least half of the targets are
    their source plus well-nested tags.

    >>> from annoseq.pairs.pair import Pair
    >>> infer_task([Pair("Dr. Ames", "Dr. {{NAME}}Ames{{/NAME}}", row=1)])
    'annotate'
    """
    rows = aligned = 0
    tag_is_seen = False
    for pair in pairs:
        rows += 1
        aligned += _is_aligned(pair)
        tag_is_seen = tag_is_seen or has_tag(pair.target)
    return "annotate" if tag_is_seen and 2 * aligned >= rows else "translate"


def has_tag(text: str) -> bool:
    """Tell whether a text holds a tag.

    >>> has_tag("{{NAME}}Ames"), has_tag(r"Dear {{\\NAME}}")
    (True, False)
    """
    return any(isinstance(piece, Tag) for piece in scan(text))


def _is_aligned(pair: Pair) -> bool:
    try:
        align(pair.source, pair.target)
    except (MarkupError, MismatchError):
        return False
    return True
