"""Whether an output is the text with tags: the four error rates of TANL.

Paolini et al. 2021, "Structured Prediction as Translation between Augmented Natural Languages",
count outputs that change the text, that are not well formed, that use a label nobody defined, and
that mark what the text does not hold. An output that chooses tags only can have none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from annoseq.errors import MarkupError
from annoseq.evaluation.statistics import Statistics
from annoseq.pairs.markup import Tag, parse, scan, strip_tags

if TYPE_CHECKING:
    from collections.abc import Collection

FAULTS = ("changed", "malformed", "unknown_label", "not_in_text")


def count_faults(text: str, output: str, *, labels: Collection[str]) -> Statistics:
    """Count which of the four faults an output has, each at most once.

    A malformed output has no spans, so that it is not asked whether they are in the text.

    >>> sorted(count_faults("Dr. Ames", "Dr. {{NAME}}Jones{{/NAME}}", labels=["NAME"]))
    ['fidelity.changed', 'fidelity.not_in_text', 'fidelity.outputs']
    """
    found = {"fidelity.outputs": 1}
    if strip_tags(output) != text:
        found["fidelity.changed"] = 1
    if any(piece.label not in labels for piece in scan(output) if isinstance(piece, Tag)):
        found["fidelity.unknown_label"] = 1
    try:
        written, spans = parse(output)
    except MarkupError:
        found["fidelity.malformed"] = 1
    else:
        if any(written[span.start : span.end] not in text for span in spans):
            found["fidelity.not_in_text"] = 1
    return Statistics(found)
