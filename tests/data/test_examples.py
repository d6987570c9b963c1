from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.data.examples import Example, parse_pair, parse_pairs
from annoseq.data.markup import Span
from annoseq.data.pairs import Pair
from annoseq.errors import MarkupError, MismatchError, PairsError

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
def test_the_task_is_inferred_from_the_pairs(texts: list[tuple[str, str]], task: Task) -> None:
    pairs = (Pair(source, target, row) for row, (source, target) in enumerate(texts, 1))
    assert parse_pairs(pairs, skip_bad=True).task == task


def pairs_of(*texts: tuple[str, str]) -> list[Pair]:
    return [Pair(source, target, row) for row, (source, target) in enumerate(texts, 1)]


def test_an_example_has_the_spans_of_its_pair_and_its_place() -> None:
    example = parse_pair(Pair(*PADDED, row=3, document="d", start=7))
    assert example == Example(*PADDED, (Span(4, 8, "NAME"),), 3, "d", 7)
    assert parse_pair(Pair("{{A}}", r"{{\A}}", row=1)).spans == ()
    assert parse_pair(Pair(*SAME, row=1)).spans == ()


def test_a_translation_has_no_spans_and_its_target_is_the_reference() -> None:
    parsed = parse_pairs(pairs_of(FRENCH, PADDED), task="translate")
    assert [example.spans for example in parsed.examples] == [None, None]
    assert [example.reference for example in parsed.examples] == [FRENCH[1], PADDED[1]]
    assert (dict(parsed.errors), parsed.skipped_rows) == ({}, ())
    assert parsed.examples[0].tight_spans == ()


@pytest.mark.parametrize(
    ("annotated", "reference"),
    [
        ("Dr. {{A}}Ames{{/A}}", "Dr. {{A}}Ames{{/A}}"),
        ("Dr.{{A}} Ames{{/A}}", "Dr. {{A}}Ames{{/A}}"),  # tight
        ("Dr. {{A}} Ames {{/A}} ", "Dr. {{A}}Ames{{/A}}"),  # white space that the markup added
        ("Dr. A{{A}}mes{{/A}}", "Dr. A{{A}}mes{{/A}}"),  # as the user has it, not widened
        ("Dr.{{A}} {{/A}}Ames", "Dr.{{A}} {{/A}}Ames"),
    ],
)
def test_references_have_tight_tags(annotated: str, reference: str) -> None:
    assert parse_pair(Pair("Dr. Ames", annotated, row=1)).reference == reference


@pytest.mark.parametrize(("pair", "error"), [(WRONG, MismatchError), (CROSSED, MarkupError)])
def test_a_pair_that_is_not_its_source_plus_tags_is_refused(
    pair: tuple[str, str], error: type[Exception]
) -> None:
    with pytest.raises(error):
        parse_pair(Pair(*pair, row=1))


def test_unusable_rows_are_named() -> None:
    pairs = pairs_of(("a", "a"), ("Dr. Ames", "Dr. {{NAME}}Ames"), ("a", "b"))
    with pytest.raises(PairsError) as caught:
        parse_pairs(pairs, task="annotate", name="t.csv")
    assert str(caught.value) == (
        "t.csv: 2 of 3 rows cannot be used:\n"
        "  row 2: {{NAME}} is never closed, at character 4. Add {{/NAME}}.\n"
        "  row 3: the annotated text without its tags differs from the original at character 0. "
        "Make them the same but for the tags.\n"
        "Mend them (`annoseq check` shows each), or leave them out with --skip-bad."
    )


def test_the_first_five_unusable_rows_are_named_and_all_are_counted() -> None:
    with pytest.raises(PairsError) as caught:
        parse_pairs(pairs_of(*[TAGGED] * 9, *[WRONG] * 7))
    lines = str(caught.value).splitlines()
    assert lines[0] == "7 of 16 rows cannot be used:"
    assert [line.split(":")[0] for line in lines[1:6]] == [f"  row {row}" for row in range(10, 15)]
    assert lines[6] == "  and 2 more"


def test_unusable_rows_are_left_out_on_request() -> None:
    parsed = parse_pairs(pairs_of(WRONG, TAGGED, CROSSED, SAME, SAME), skip_bad=True)
    assert parsed.task == "annotate"
    assert [example.row for example in parsed.examples] == [2, 4, 5]
    assert parsed.skipped_rows == (1, 3)
    assert {index: error.row for index, error in parsed.errors.items()} == {0: 1, 2: 3}


def test_a_task_inferred_to_be_translate_keeps_every_row_and_the_errors() -> None:
    parsed = parse_pairs(pairs_of(TAGGED, WRONG, CROSSED))
    assert parsed.task == "translate"
    assert [example.spans for example in parsed.examples] == [None] * 3
    assert [*parsed.errors] == [1, 2]
    assert parsed.skipped_rows == ()
