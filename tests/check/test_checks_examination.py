from __future__ import annotations

import io
import json
import time
from typing import TYPE_CHECKING, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from annoseq.check.check_report import FindingExample, LabelSummary, LengthSummary
from annoseq.check.checks import check_pairs
from annoseq.config import DataConfig
from annoseq.data.pairs import Pair, Pairs, read_pairs
from annoseq.data.splits import split_rows
from annoseq.errors import OptionError
from tests.check.table import TAGGED, corpus, table
from tests.data.strategies import texts

if TYPE_CHECKING:
    from annoseq.check.check_report import CheckReport

OURS = "{{LABEL}}text{{/LABEL}}"


def test_a_healthy_table() -> None:
    report = check_pairs(table(TAGGED, ("x", "x")))
    assert report.is_healthy
    assert report.findings == ()
    assert (report.name, report.rows, report.documents) == ("pairs.csv", 2, None)
    assert (report.task, report.is_task_inferred, report.markup) == (
        "annotate",
        True,
        OURS,
    )
    assert report.source == LengthSummary(1, 7, 7.0, 13, 1)
    assert report.target == LengthSummary(1, 15.5, 15.5, 30, 1)


def test_no_rows() -> None:
    report = check_pairs(table())
    assert (report.rows, report.source, report.target) == (0, None, None)


def test_labels_are_counted_with_their_nesting() -> None:
    nested = ("abc", "{{A}}{{A}}a{{/A}}{{B}}b{{/B}}{{/A}}{{B}}c{{/B}}")
    report = check_pairs(table(nested, TAGGED))
    counts = (LabelSummary("A", 2, 1), LabelSummary("B", 2, 1), LabelSummary("NAME", 1, 0))
    assert report.labels == counts
    assert report.depth == 2


def test_documents_are_counted() -> None:
    rows = [Pair("x", "{{A}}x{{/A}}", row, document) for row, document in enumerate("aab", 1)]
    assert check_pairs(Pairs(rows, name="t")).documents == 2


def test_repeated_rows_and_conflicting_annotations() -> None:
    other = ("Dr. Ames came", "Dr. {{PERSON}}Ames{{/PERSON}} came")
    padded = ("Dr. Ames came", "Dr. {{NAME}} Ames{{/NAME}} came")
    conflict, duplicate, _ = check_pairs(table(TAGGED, other, TAGGED, other, padded)).findings
    assert (conflict.kind, conflict.severity, conflict.rows) == ("conflict", "warning", (2,))
    assert conflict.examples == (FindingExample(2, "the same source as row 1"),)
    assert (duplicate.kind, duplicate.severity, duplicate.rows) == ("duplicate", "note", (3, 4, 5))
    assert [example.message for example in duplicate.examples] == [
        "the same as row 1",
        "the same as row 2",
        "the same as row 1",
    ]


def test_in_translation_other_targets_are_a_note() -> None:
    [finding] = check_pairs(table(("yes", "oui"), ("yes", "si"))).findings
    assert (finding.kind, finding.severity, finding.rows) == ("alternative", "note", (2,))


def test_repeats_across_tables() -> None:
    report = check_pairs(table(TAGGED, ("x", "x")), valid=table(("y", "y"), ("x", "z")))
    finding = next(finding for finding in report.findings if finding.rows)
    assert (finding.kind, finding.severity, finding.rows) == ("across", "warning", (2,))
    assert finding.examples == (FindingExample(2, "the same source as training row 2"),)


def test_repeats_across_a_split() -> None:
    pairs = table(TAGGED, ("x", "x"), TAGGED)
    across, apart = (_split_that_holds_out(pairs, row) for row in (3, 2))
    finding = next(f for f in check_pairs(pairs, split=across).findings if f.kind == "across")
    assert finding.examples == (FindingExample(3, "the same source as training row 1"),)
    assert all(found.kind != "across" for found in check_pairs(pairs, split=apart).findings)


def _split_that_holds_out(pairs: Pairs, row: int) -> DataConfig:
    for seed in range(100):
        config = DataConfig(split_seed=seed)
        _, valid = split_rows(pairs, share=config.valid_share, by="row", seed=seed)
        if [pairs[index].row for index in valid] == [row]:
            return config
    raise AssertionError("no seed holds out that row")


def test_valid_and_split_exclude_each_other() -> None:
    with pytest.raises(OptionError) as caught:
        check_pairs(table(TAGGED), valid=table(TAGGED), split=DataConfig())
    assert str(caught.value) == "there are validation pairs and a split. Give one of the two."


def test_annotation_checks_do_not_apply_to_translation() -> None:
    wrong = ("Ames", "{{A}}Aims")
    assert check_pairs(table(wrong), task="translate").is_healthy
    assert not check_pairs(table(wrong), task="annotate").is_healthy
    [empty] = check_pairs(table(("yes", "")), task="translate").findings
    assert (empty.kind, empty.severity) == ("empty", "error")


def test_swapped_columns_are_an_error_unless_the_task_is_translate() -> None:
    pairs = table(TAGGED[::-1], ("x", "x"))
    [finding] = check_pairs(pairs).findings
    assert (finding.kind, finding.severity, finding.rows) == ("reversed", "error", (1,))
    assert check_pairs(pairs, task="translate").findings == ()
    [finding] = check_pairs(pairs, task="annotate").findings
    assert (finding.severity, finding.rows) == ("error", (1,))
    assert finding.advice == "Swap the columns: --source annotated_text --target orig_text."


def test_annotations_that_mostly_do_not_fit_are_suspected() -> None:
    [finding] = check_pairs(table(TAGGED, ("a", "b"), ("Bo", "{{A}}Ba{{/A}}"))).findings
    assert (finding.kind, finding.severity, finding.rows) == ("unlike", "warning", (3,))
    assert finding.examples[0].message == (
        "the annotated text without its tags differs from the original at character 1. "
        "Make them the same but for the tags."
    )
    assert finding.advice.endswith("--task annotate.")


def test_other_markup_is_recognised_and_is_an_error() -> None:
    pairs = table(("Dr. Ames", "Dr. [Ames](NAME)"), ("Dr. Bo", "Dr. [Bo](NAME)"), ("x", "x"))
    report = check_pairs(pairs)
    [finding] = report.findings
    assert report.markup == "[text](LABEL)"
    assert (finding.kind, finding.severity, finding.rows) == ("other-markup", "error", (1, 2))
    assert finding.title == "tags written as [text](LABEL)"
    assert finding.advice == (
        "Convert them to {{LABEL}}text{{/LABEL}}: "
        "annoseq import table PAIRS NEW --markup '[text](LABEL)'."
    )
    assert check_pairs(pairs, task="translate").is_healthy


@pytest.mark.parametrize(
    ("target", "title"),
    [
        ("Dr. {{NAME}}Ames{{/NAME}} came ", "only white space differs"),
        ("Dr.\u00a0{{NAME}}Ames{{/NAME}} came", "only white space differs"),
        ("Dr. {{NAME}}Ames{{/NAME}} came\r\n", "only line ends differ"),
        ("Dr. {{LAST NAME}}Ames{{/LAST NAME}} came", "labels hold white space"),
        ('Dr. {{NAME id="1"}}Ames{{/NAME}} came', "tags hold attributes"),
        ("Dr. {{ NAME }}Ames{{ /NAME }} came", "tags hold white space beside"),
        ("Dr. {{NAME}}Ames{{/}} came", "closing tags have no label"),
    ],
)
def test_a_systematic_fault_is_an_error_that_names_cause_and_remedy(
    target: str, title: str
) -> None:
    report = check_pairs(table(*[(TAGGED[0], target)] * 9, ("x", "x")))
    assert (report.task, report.is_healthy) == ("annotate", False)
    finding = next(finding for finding in report.findings if finding.severity == "error")
    assert finding.title.startswith(title)
    assert len(finding.rows) == 9
    assert "Healthy" not in shown(report)
    if finding.kind == "mismatch":
        assert finding.advice.startswith("Add --normalize")
        assert check_pairs(table((TAGGED[0], target)), normalize=True).is_healthy


def shown(report: CheckReport) -> str:
    console = Console(file=io.StringIO(), record=True, width=100)
    report.show(console)
    return console.export_text()


def kinds(report: CheckReport) -> set[str]:
    return {finding.kind for finding in report.findings}


def test_a_label_set_that_looks_wrong_is_a_warning() -> None:
    rows = [(f"a {n}", f"a {{{{L{n}}}}}{n}{{{{/L{n}}}}}") for n in range(20)]
    assert "many-labels" in kinds(check_pairs(table(*rows)))
    assert "many-labels" not in kinds(check_pairs(table(*rows[:3], *[TAGGED] * 37)))
    twins = (TAGGED[0], TAGGED[1].replace("NAME", "Name"))
    assert "case-twins" in kinds(check_pairs(table(TAGGED, twins)))
    assert "case-twins" not in kinds(check_pairs(table(TAGGED)))


def test_more_labels_than_a_tagger_takes_are_an_error() -> None:
    rows = [(f"a {n}", f"a {{{{L{n}}}}}{n}{{{{/L{n}}}}}") for n in range(1_001)]
    report = check_pairs(table(*rows))
    assert "too-many-labels" in kinds(report)
    assert "Healthy" not in shown(report)


@pytest.mark.parametrize("task", ["annotate", None])
def test_pairs_without_tags_are_not_called_healthy(task: Literal["annotate"] | None) -> None:
    report = check_pairs(table(("x", "x"), ("y", "y")), task=task)
    assert kinds(report) == {"no-tags"}
    assert "Healthy" not in shown(report)


def test_a_table_that_training_cannot_split_is_not_healthy() -> None:
    report = check_pairs(table(TAGGED, (" ", "")), split=DataConfig())
    assert "no-validation" in kinds(report)
    assert "Healthy" not in shown(report)
    few = check_pairs(table(*[TAGGED] * 4), split=DataConfig())
    assert "few-validation-rows" in kinds(few)
    assert few.is_healthy


def test_a_table_without_tags_has_no_markup() -> None:
    assert check_pairs(table(("yes", "oui"))).markup is None


def test_all_rows_are_named_and_the_first_have_examples() -> None:
    bad = [("Ames", f"Aims {number}") for number in range(30)]
    finding = check_pairs(table(*bad), task="annotate", examples=3).findings[0]
    assert finding.rows == tuple(range(1, 31))
    assert [example.row for example in finding.examples] == [1, 2, 3]


def test_the_worst_comes_first() -> None:
    cut, padded = ("Ames", "{{A}}Am{{/A}}es"), ("Bo", "{{A}} Bo{{/A}}")
    report = check_pairs(table(padded, ("x", "x"), ("x", "x"), cut, ("a", "b")), task="annotate")
    assert [finding.severity for finding in report.findings] == [
        "error",
        "warning",
        "note",
        "note",
    ]
    assert report.bad_rows == {5}


def test_json_holds_everything() -> None:
    report = check_pairs(table(TAGGED, ("é", "e{{A}}")))
    fields = json.loads(report.to_json())
    assert fields["is_healthy"] is False
    assert fields["name"] == "pairs.csv"
    assert fields["labels"] == [{"label": "NAME", "spans": 1, "nested": 0}]
    assert fields["findings"][0]["rows"] == [2]
    assert fields["source"]["longest_row"] == 1


@settings(deadline=None)
@given(st.lists(st.tuples(texts, texts), max_size=4), st.sampled_from(["annotate", "translate"]))
def test_any_pairs_can_be_diagnosed_and_messages_are_printable(
    rows: list[tuple[str, str]], task: str
) -> None:
    report = check_pairs(table(*rows), task="annotate" if task == "annotate" else None)
    for finding in report.findings:
        assert all(example.message.isprintable() for example in finding.examples)
    json.loads(report.to_json())


def test_many_rows_are_diagnosed_in_seconds() -> None:
    text = "The patient Bo Ames was seen on 12 May by Dr. Bates, in the old hospital of Rome. " * 2
    bad = Pairs([Pair(text, f"{text} {{{{A}}}}{n}", n) for n in range(1, 16_001)], name="bad")
    start = time.process_time()
    assert len(check_pairs(bad, task="annotate").bad_rows) == 16_000
    assert time.process_time() - start < 30  # 2 s on a laptop


@pytest.mark.parametrize(
    ("path", "labels", "depth"),
    [
        ("asq_phi/pairs/dev.csv", 13, 1),
        ("gum_open/pairs/train.csv", 10, 6),
        ("ncbi_disease/pairs/dev.csv", 4, 1),
        ("bc5cdr/pairs/dev.csv", 2, 1),
        ("meddocan/pairs/dev.csv", 22, 1),
        ("meddocan/pairs_hier/dev.csv", 22, 1),
    ],
)
def test_the_shared_corpora_are_healthy(path: str, labels: int, depth: int) -> None:
    report = check_pairs(read_pairs(corpus(path)))
    assert report.is_healthy
    assert report.task == "annotate"
    assert report.depth == depth
    assert 1 < len(report.labels) <= labels
