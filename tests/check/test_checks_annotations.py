"""Each finding in a row, by its kind, its severity and its message."""

from __future__ import annotations

import pytest

from annoseq.check.check_report import Finding, FindingExample
from annoseq.check.checks import check_pairs
from tests.check.table import TAGGED, table


def findings(*texts: tuple[str, str]) -> list[Finding]:
    found = check_pairs(table(*texts), task="annotate").findings
    return [finding for finding in found if finding.rows]


@pytest.mark.parametrize(
    ("source", "target", "kind", "message"),
    [
        (
            "Dr. Ames came",
            "Dr. {{NAME}}Aims{{/NAME}} came",
            "mismatch",
            "at character 5: after 'Dr. A' the original has 'mes came', "
            "the annotated text has 'ims came'",
        ),
        (
            "To the doctor on duty: Dr. Ames",
            "To the doctor on duty: Dr. {{NAME}}Ames{{/NAME}}!",
            "mismatch",
            "at character 31: after '... duty: Dr. Ames' the original ends, "
            "the annotated text has '!'",
        ),
        (
            "Ames",
            "{{NAME}}Am{{/NAME}}",
            "mismatch",
            "at character 2: after 'Am' the original has 'es', the annotated text ends",
        ),
        (
            "\u0410mes, who is the doctor on duty today",
            "Ames, who is {{X}}the{{/X}} doctor on duty today",
            "mismatch",
            "at character 0: at the start the original has "
            "'\u0410mes, who is the doctor o...' (U+0410), "
            "the annotated text has 'Ames, who is the doctor o...'",
        ),
        (
            "café {{}}",
            "cafe\u0301 {{}}",
            "mismatch",
            "at character 3: after 'caf' the original has 'é {{}}' (U+00E9), "
            "the annotated text has 'e\u0301 {{}}'; "
            "only the Unicode normalisation (NFC, NFD) differs",
        ),
        (
            "a\u00a0b",
            "a b",
            "mismatch",
            r"at character 1: after 'a' the original has '\xa0b' (U+00A0), "
            "the annotated text has ' b'; only white space differs",
        ),
        (
            "a\r\nb",
            "a\nb",
            "mismatch",
            r"at character 1: after 'a' the original has '\r\nb', "
            r"the annotated text has '\nb'; only line ends differ",
        ),
        (
            "Ａb",
            "Ab",
            "mismatch",
            "at character 0: at the start the original has 'Ａb' (U+FF21), the annotated text has "
            "'Ab'; only look-alike characters (Unicode NFKC) differ",
        ),
        (
            "dr. ames",
            "Dr. ames",
            "mismatch",
            "at character 0: at the start the original has 'dr. ames', the annotated text has "
            "'Dr. ames'; only upper and lower case differ",
        ),
        (
            "Dr. Ames",
            "Dr. {{A}}Ames{{/B}}",
            "markup",
            "found {{/B}} where {{/A}} was expected, at character 13. Close tags in the reverse "
            "of the order they were opened. It stands in 'Dr. {{A}}Ames{{/B}}'",
        ),
        (
            "Dr. Ames",
            "Dr. {{A}}Ames",
            "markup",
            "{{A}} is never closed, at character 4. Add {{/A}}. It stands in 'Dr. {{A}}Ames'",
        ),
        (
            "wxyz",
            "w{{A}}x{{B}}y{{/A}}z{{/B}}",
            "markup",
            "found {{/A}} where {{/B}} was expected, at character 13. Close tags in the reverse "
            "of the order they were opened. It stands in 'w{{A}}x{{B}}y{{/A}}z{{/B}}'",
        ),
        ("Dr. Ames", " ", "empty", "the target is empty"),
        ("", "Dr. Ames", "empty", "the source is empty"),
        (
            "Dr. {{NAME}}Ames{{/NAME}}",
            "Dr. Ames",
            "reversed",
            "it has 'Dr. {{NAME}}Ames{{/NAME}}'",
        ),
        (
            "Dr. Ames",
            "Dr. <NAME>Ames</NAME>",
            "other-markup",
            "it has 'Dr. <NAME>Ames</NAME>'",
        ),
    ],
)
def test_errors(source: str, target: str, kind: str, message: str) -> None:
    [finding] = findings((source, target))
    assert finding.severity == "error"
    assert finding.kind == kind
    assert finding.rows == (1,)
    assert finding.examples == (FindingExample(1, message),)


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("Dr. Ames", "Dr. {{NAME}}Am{{/NAME}}es", "NAME at character 4: 'Dr. [Am]es'"),
        (
            "Ames Bates",
            "A{{X}}mes{{/X}} Ba{{Y}}tes{{/Y}}",
            "X at character 1: 'A[mes] Bates', and 1 more in this row",
        ),
        (
            "It is the number of the day that we all know in the town: today",
            "It is the nu{{X}}mber of the day that we all know in the town: tod{{/X}}ay",
            "X at character 12: 'It is the nu[mber of the day...n the town: tod]ay'",
        ),
        (
            "The doctor on duty is Ames Bates of the ward in the north",
            "The doctor on duty is Am{{X}}es{{/X}} Bates of the ward in the north",
            "X at character 24: '...r on duty is Am[es] Bates of the w...'",
        ),
    ],
)
def test_spans_that_the_segmentation_cuts(source: str, target: str, message: str) -> None:
    [finding] = findings((source, target))
    assert (finding.kind, finding.severity) == ("cut", "warning")
    assert finding.examples == (FindingExample(1, message),)


def test_a_span_that_loses_its_word_to_another_is_named() -> None:
    cut, dropped = findings(("by AmesBOB", "by {{X}}Ames{{/X}}{{Y}}BOB{{/Y}}"))
    assert (cut.kind, dropped.kind, dropped.severity) == ("cut", "dropped", "warning")
    assert dropped.examples == (FindingExample(1, "Y at character 7: 'by Ames[BOB]'"),)


def test_spans_of_white_space_alone_are_named_apart() -> None:
    [finding] = findings(("Ann  Bob", "Ann{{X}}  {{/X}}Bob"))
    assert (finding.kind, finding.severity) == ("blank-span", "warning")
    assert finding.examples == (FindingExample(1, "X at character 3: 'Ann[  ]Bob'"),)
    found = findings(("AnnBOB  x", "{{X}}Ann{{/X}}{{Y}}BOB{{/Y}}{{X}}  {{/X}}x"))
    assert {one.kind for one in found} == {"cut", "dropped", "blank-span"}


def test_white_space_that_the_markup_added_is_a_note() -> None:
    [finding] = findings(("Dr. Ames: x", "Dr. {{A}} Ames {{/A}} : x"))
    assert (finding.kind, finding.severity) == ("padded", "note")
    assert finding.examples[0].message == "spans made tight: 1"


def test_blank_rows_are_a_note() -> None:
    [finding] = findings((" ", " "))
    assert (finding.kind, finding.severity) == ("blank", "note")


def test_tag_like_text_that_is_escaped() -> None:
    [finding] = findings(("Dear {{NAME}}", r"Dear {{\NAME}}"))
    assert (finding.kind, finding.severity) == ("tag-like", "note")
    assert finding.examples[0].message == r"escaped as it should be: 'Dear {{\NAME}}'"


def test_tag_like_text_that_is_not_escaped() -> None:
    error, note = findings(("Dear {{NAME}} of Rome", "Dear {{NAME}} of {{P}}Rome{{/P}}"))
    assert (error.kind, note.kind) == ("markup", "tag-like")
    assert note.examples[0].message == r"check that it is escaped: 'Dear {{\NAME}} of Rome'"


def test_rows_are_named_by_their_number_in_the_table() -> None:
    bad = ("Ames", "Aims")
    [finding] = findings(TAGGED, bad, ("x", "x"), ("Bates", "Baits"))
    assert finding.rows == (2, 4)


def test_messages_show_what_is_invisible() -> None:
    [finding] = findings(("a\x1b[31m\u202eb", "a\x1b[31m\u202ec{{X\x07}}d{{/X\x07}}"))
    assert finding.examples[0].message == (
        r"at character 7: after 'a\x1b[31m\u202e' the original has 'b', "
        "the annotated text has 'cd'"
    )
