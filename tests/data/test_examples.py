from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.data.examples import Example, parse_pair, parse_pairs
from annoseq.data.markup import Span, strip_tags
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
        ([TAGGED, WRONG, CROSSED], "annotate"),  # faulty, but the same words in tags
        ([TAGGED, FRENCH, FRENCH], "translate"),  # less than half are alike
        ([("yes", "{{A}}oui{{/A}}")], "translate"),  # tags around other words
        ([("Dear {{x}}", "Cher {{x}}")], "translate"),  # placeholders on both sides
        ([("Dear {{x}} of {{y}}", "dear {{x}} in {{y}}")], "translate"),
        ([("Dr. Ames", "Dr. <NAME>Ames</NAME>")], "annotate"),  # tags of another syntax
        ([("Dr. Ames, Dr. Bo", "Dr. [NAME Ames], Dr. Bo")], "annotate"),
        ([TAGGED, ("", "x"), ("x", "")], "annotate"),
        ([FRENCH, FRENCH], "translate"),
        ([SAME, SAME], "translate"),  # no tag anywhere
        ([TAGGED[::-1]], "annotate"),  # swapped columns, which are an error
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


def test_a_task_inferred_to_be_translate_keeps_every_row() -> None:
    parsed = parse_pairs(pairs_of(TAGGED, FRENCH, FRENCH))
    assert parsed.task == "translate"
    assert [example.spans for example in parsed.examples] == [None] * 3
    assert (dict(parsed.errors), parsed.skipped_rows) == ({}, ())


def test_blank_rows_are_left_out() -> None:
    blank = (" ", "")
    for task in ("annotate", "translate"):
        parsed = parse_pairs(pairs_of(TAGGED, blank, SAME), task=task)
        assert [example.row for example in parsed.examples] == [1, 3]
        assert parsed.blank_rows == {1: 2}
        assert parsed.errors == {}


@pytest.mark.parametrize("task", ["annotate", "translate"])
def test_a_row_with_one_empty_side_cannot_be_used(task: Task) -> None:
    rows = pairs_of(TAGGED, ("Dr. Ames", " "), ("", "Dr. Ames"))
    with pytest.raises(PairsError) as caught:
        parse_pairs(rows, task=task)
    assert "row 2: the target is empty.\n" in str(caught.value)
    assert "row 3: the source is empty.\n" in str(caught.value)
    assert parse_pairs(rows, task=task, skip_bad=True).skipped_rows == (2, 3)


NORMALIZABLE = {
    "trailing space": ("Dr. Ames ", "Dr. {{NAME}}Ames{{/NAME}}", "only white space differs"),
    "NBSP": ("Dr.\u00a0Ames", "Dr. {{NAME}}Ames{{/NAME}}", "only white space differs"),
    "CR LF": ("Dr.\r\nAmes", "Dr.\n{{NAME}}Ames{{/NAME}}", "only line ends differ"),
    "NFD": (
        "Dr. Am\u00e9s",
        "Dr. {{NAME}}Ame\u0301s{{/NAME}}",
        "only the Unicode normalisation (NFC, NFD) differs",
    ),
    "smart quotes": (
        "Dr. O\u2019Ames \u201cx\u201d",
        'Dr. {{NAME}}O\'Ames{{/NAME}} "x"',
        "only quotes and dashes differ",
    ),
    "two at once": (
        "Dr.\u00a0O\u2019Ame\u0301s",
        "Dr. {{NAME}}O'Am\u00e9s{{/NAME}}\r\n",
        "only white space, Unicode form, quotes and dashes differ",
    ),
}


@pytest.mark.parametrize("name", NORMALIZABLE)
def test_a_systematic_difference_is_named_with_its_remedy(name: str) -> None:
    source, target, description = NORMALIZABLE[name]
    rows = pairs_of(*[(source, target)] * 7, SAME)
    with pytest.raises(PairsError) as caught:
        parse_pairs(rows)
    assert f"row 1: {description}, at character" in str(caught.value)
    assert f"In 7 of them, {description}. Add --normalize, " in str(caught.value)
    assert str(caught.value).endswith("not meant to be the sources plus tags: --task translate.")
    parsed = parse_pairs(rows, normalize=True)
    example = parsed.examples[0]
    assert (parsed.task, example.source) == ("annotate", source)
    assert strip_tags(example.target) == source
    (span,) = example.spans or ()
    assert "Am" in source[span.start : span.end]
    assert source[span.start : span.end].strip() == source[span.start : span.end]


@pytest.mark.parametrize(
    ("target", "description"),
    [
        ('Dr. {{NAME id="3"}}Ames{{/NAME}}', "tags hold attributes"),
        ("Dr. {{ NAME }}Ames{{ /NAME }}", "tags hold white space beside their label"),
        ("Dr. {{LAST NAME}}Ames{{/LAST NAME}}", "labels hold white space"),
        ("Dr. {{NAME}}Ames{{/}}", "closing tags have no label"),
        ("Dr. {{}}Ames{{/NAME}}", "double braces hold what is no label"),
        ("Dr. <NAME>Ames</NAME>", "tags written as <LABEL>text</LABEL>"),
    ],
)
def test_malformed_tags_are_named_with_their_remedy(target: str, description: str) -> None:
    with pytest.raises(PairsError) as caught:
        parse_pairs(pairs_of(*[("Dr. Ames", target)] * 9, SAME))
    assert f"row 1: {description}" in str(caught.value)
    assert f"In 9 of them, {description}" in str(caught.value)


def test_swapped_columns_are_named() -> None:
    with pytest.raises(PairsError, match="Swap the columns: --source") as caught:
        parse_pairs(pairs_of(*[TAGGED[::-1]] * 9, SAME))
    assert "In 9 of them, the source holds the tags, and the target is the " in str(caught.value)
