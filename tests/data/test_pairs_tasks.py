from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.data.pairs import Pair, has_tag, infer_task

if TYPE_CHECKING:
    from annoseq.config import Task

TAGGED = ("Dr. Ames", "Dr. {{NAME}}Ames{{/NAME}}")
PADDED = ("Dr. Ames", "Dr. {{NAME}} Ames {{/NAME}}")
SAME = ("yes", "yes")
WRONG = ("Dr. Ames", "Dr. {{NAME}}Aims{{/NAME}}")
CROSSED = ("ab", "{{A}}a{{B}}b{{/A}}{{/B}}")
FRENCH = ("yes", "oui")


@pytest.mark.parametrize(
    ("texts", "task"),
    [
        ([TAGGED], "annotate"),
        ([PADDED], "annotate"),
        ([TAGGED, SAME, SAME], "annotate"),
        ([TAGGED, WRONG], "annotate"),  # half
        ([TAGGED, WRONG, CROSSED], "translate"),  # less than half
        ([FRENCH, FRENCH], "translate"),
        ([SAME, SAME], "translate"),  # no tag anywhere
        ([TAGGED[::-1]], "translate"),  # the direction that removes tags
        ([("{{A}}", r"{{\A}}")], "translate"),  # text like a tag is no tag
        ([], "translate"),
    ],
)
def test_the_task_is_read_out_of_the_pairs(texts: list[tuple[str, str]], task: Task) -> None:
    pairs = (Pair(source, target, row) for row, (source, target) in enumerate(texts, 1))
    assert infer_task(pairs) == task


def test_escaped_text_is_no_tag() -> None:
    assert has_tag("{{A}}")
    assert has_tag("{{/A}}")
    assert not has_tag(r"{{\A}}")
