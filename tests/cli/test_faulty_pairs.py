"""A table whose rows have a fault in common trains nothing until the fault is dealt with."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pytest

from annoseq.cli.loading import print_dataset_summary
from annoseq.data.markup import strip_tags
from annoseq.data.pairs import Pair, Pairs, read_pairs
from annoseq.inference.annotator import Annotator
from annoseq.tokenization.dataset import Dataset
from annoseq.tokenization.gazetteer import LexiconFeatures
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer
from tests.cli.command import TINY, long_refusal, run, snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqTokenizer

NAMES = ["Ames", "Bond", "Cole", "Dale", "Earl", "Ford"] * 3
TINY_TAGGER = ("--tagger.hidden", "8", "--tagger.buckets", "1024", "--epochs", "1")
FAULTS = {
    "NBSP": ("Dr.\u00a0{}", "Dr. {{{{NAME}}}}{}{{{{/NAME}}}}", "only white space differs"),
    "trailing space": ("Dr. {} ", "Dr. {{{{NAME}}}}{}{{{{/NAME}}}}", "only white space differs"),
    "padded tags": ("Dr. {}", "Dr. {{{{ NAME }}}}{}{{{{ /NAME }}}}", "white space beside their"),
    "swapped": ("Dr. {{{{NAME}}}}{}{{{{/NAME}}}}", "Dr. {}", "the source holds the tags"),
}
NORMALIZABLE = ("Dr.\u00a0O\u2019{} ", "Dr. {{{{NAME}}}}O'{}{{{{/NAME}}}}\r\n")


def write_table(path: Path, source: str, target: str) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["orig_text", "annotated_text"])
        for day, name in enumerate(NAMES):
            writer.writerow([f"{day} {source.format(name)}", f"{day} {target.format(name)}"])
    return path


@pytest.mark.parametrize("verb", ["train", "prepare", "find-lr", "sweep", "show-batch"])
@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_trained_on_faulty_annotations(fault: str, verb: str, tmp_path: Path) -> None:
    source, target, message = FAULTS[fault]
    table, out = write_table(tmp_path / "pairs.csv", source, target), tmp_path / "out"
    options = ("--out", out) if verb in {"train", "prepare", "sweep"} else ()
    refused = long_refusal(run(verb, table, *options))
    assert message in refused
    assert refused.startswith(f"{table}: 18 of 18 rows cannot be used:")
    assert "--task translate" in refused
    refused = long_refusal(run(verb, table, *options, "--skip-bad"))
    assert refused.startswith(f"{table}: none of its 18 rows can be used.")
    assert [*snapshot(tmp_path)] == ["pairs.csv"]


def test_rows_that_are_left_without_tags_are_refused(tmp_path: Path) -> None:
    table = write_table(tmp_path / "pairs.csv", *FAULTS["swapped"][:2])
    with table.open("a", encoding="utf-8") as file:
        file.write("Nothing here,Nothing here\n" * 9)
    refused = long_refusal(run("train", table, "--out", tmp_path / "model", "--skip-bad"))
    assert refused.startswith(f"{table}: no row that holds tags can be used.")


def test_a_translation_is_trained_on_request(tmp_path: Path) -> None:
    table = write_table(tmp_path / "pairs.csv", *FAULTS["swapped"][:2])
    out = tmp_path / "model"
    assert run("train", table, "--out", out, *TINY, "--task", "translate").code == 0
    assert "task translate" in run("check", table, "--task", "translate").out.replace("\n", " ")


def test_normalize_is_remembered_by_the_model(tmp_path: Path) -> None:
    table, model = write_table(tmp_path / "pairs.csv", *NORMALIZABLE), tmp_path / "model"
    assert run("check", table).code == 2
    assert run("check", table, "--normalize").code == 0
    result = run("train", table, "--out", model, *TINY_TAGGER, "--device", "cpu", "--normalize")
    assert result.code == 0, result.err
    assert Annotator.load(model).model.config.data.normalize
    result = run("evaluate", model, table, "--device", "cpu")
    assert result.code == 0, result.err
    result = run("annotate", model, table, "--format", "csv", "--out", tmp_path / "out.csv")
    assert result.code == 0, result.err
    sources = [pair.source for pair in read_pairs(table)]
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        assert [strip_tags(row["annotated"]) for row in csv.DictReader(file)] == sources
    other = tmp_path / "other"
    assert run("prepare", table, "--out", other, "--normalize").code == 0
    assert run("train", table, "--out", tmp_path / "plain").code == 2


@pytest.mark.parametrize(
    ("pair", "markup"),
    [
        (Pair("Dr. Ames", "Dr. {{ NAME }}Ames{{ /NAME }}", 1), "{{ LABEL }}text{{ /LABEL }}"),
        (Pair("Dr. Ames", "Dr. {{NAME}}Ames{{/}}", 1), "{{LABEL}}text{{/}}"),
    ],
)
def test_the_remedy_of_malformed_tags_works(pair: Pair, markup: str, tmp_path: Path) -> None:
    table = write_table(tmp_path / "pairs.csv", "x", "x")
    table.write_text(f"orig_text,annotated_text\n{pair.source},{pair.target}\n")
    advice = " ".join(run("check", table).out.split())
    assert f"--markup '{markup}'" in advice
    mended = tmp_path / "mended.csv"
    assert run("import", "table", table, mended, "--markup", markup).code == 0
    assert read_pairs(mended)[0].target == "Dr. {{NAME}}Ames{{/NAME}}"


def write_rows(path: Path, *rows: tuple[str, str]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("orig_text", "annotated_text"), *rows])
    return path


def tagged(name: str, label: str = "NAME") -> tuple[str, str]:
    return f"Dr. {name}", f"Dr. {{{{{label}}}}}{name}{{{{/{label}}}}}"


ROWS = [tagged(f"Ames{number}") for number in range(60)]
WARNINGS = {
    "no tags": (
        [(source, source) for source, _ in ROWS],
        ("--task", "annotate"),
        "no target holds a tag",
    ),
    "a copy": ([(source, source) for source, _ in ROWS], (), "no target holds a tag"),
    "few rows": (ROWS[:12], (), "fewer than 10 validation rows"),
    "labels": (
        [tagged(f"Ames{number}", f"L{number % 12}") for number in range(60)],
        (),
        "more labels than a tenth of the rows",
    ),
    "case": (
        [*ROWS, tagged("Bond", "name"), tagged("Bond 2", "name")] * 2,
        ("--split-seed", 1),
        "labels that differ by upper and lower case only",
    ),
    "contradictions": (
        [*ROWS, *[tagged("Bond", f"L{number}") for number in (1, 2)] * 9],
        (),
        "the same source with different annotations: ",
    ),
    "duplicates": (
        [*ROWS, *[tagged("Bond")] * 30],
        (),
        "validation rows whose source is also in training: ",
    ),
    "long": ([*ROWS, ("Dr. " * 30_000, "Dr. " * 30_000)], (), "rows of more than 100,000 char"),
    "blank": ([*ROWS, *[(" ", "")] * 200], (), "200 blank rows were left out"),
}


@pytest.mark.parametrize("fault", WARNINGS)
def test_training_warns_of_what_check_warns_of(fault: str, tmp_path: Path) -> None:
    rows, options, message = WARNINGS[fault]
    table = write_rows(tmp_path / "pairs.csv", *rows)
    result = run(
        "prepare", table, "--out", tmp_path / "data", *options
    )  # the summary is that of train
    assert result.code == 0, result.err
    assert message in result.err
    assert "Ames" not in result.err
    warnings = [line for line in result.err.splitlines() if line.startswith("warning: ")]
    assert all(len(line) < 120 for line in warnings)
    if fault != "blank":
        checked = run("check", table, *options[:2] * (options[:1] == ("--task",)))
        assert message.rstrip(": ") in " ".join(checked.out.split())


def test_duplicates_across_both_tables_are_counted(tmp_path: Path) -> None:
    table, valid = write_rows(tmp_path / "a.csv", *ROWS), write_rows(tmp_path / "b.csv", *ROWS[:20])
    result = run("train", table, "--valid", valid, "--out", tmp_path / "m", *TINY)
    assert "warning: validation rows whose source is also in training: 20 rows\n" in result.err
    assert result.code == 0


def test_blank_rows_are_neither_trained_on_nor_scored(tmp_path: Path) -> None:
    table = write_rows(tmp_path / "pairs.csv", *ROWS, *[(" ", "")] * 200)
    result = run("train", table, "--out", tmp_path / "model", *TINY)
    assert "annotate: 48 training and 12 validation rows" in result.err
    assert "200 blank rows were left out" in result.err
    result = run("evaluate", tmp_path / "model", table, "--device", "cpu")
    assert result.code == 0
    assert "scoring 12 of " in result.err


def test_a_table_of_blank_rows_is_refused(tmp_path: Path) -> None:
    table = write_rows(tmp_path / "pairs.csv", *[(" ", "")] * 5)
    message = long_refusal(run("train", table, "--out", tmp_path / "model"))
    assert message == f"{table}: all of its rows are blank. Give it rows with text."


def test_too_many_labels_are_refused_before_the_work(tmp_path: Path) -> None:
    rows = [tagged(f"Ames{number}", f"L{number}") for number in range(2_000)]
    table = write_rows(tmp_path / "pairs.csv", *rows)
    message = long_refusal(run("train", table, "--out", tmp_path / "model"))
    assert "labels, and a tagger takes at most 1,000, because its memory grows" in message


WIDENED = "{{A}}Am{{/A}}es"
LOST = "{{A}}Ames{{/A}}{{B}}BOB{{/B}}"  # the first is widened
BLANK_SPAN = "Ames{{A}}  {{/A}}Bond"


@pytest.mark.parametrize("kind", ["seq2seq", "tagger"])
@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        (WIDENED, "{0} spans widened to whole tokens"),
        (
            LOST,
            "{0} spans widened to whole tokens and {0} spans were left out, as the span before has "
            "the token",
        ),
        (BLANK_SPAN, "{0} spans of white space alone were left out"),
        (
            f"{LOST} {BLANK_SPAN}",
            "{0} spans widened to whole tokens, {0} spans of white space alone were left out and "
            "{0} spans were left out, as the span before has the token",
        ),
    ],
)
def test_spans_that_lose_their_word_are_counted(
    target: str, sentence: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = [Pair(strip_tags(target), target, row) for row in (1, 2, 3)]
    train, valid = Pairs(pairs[:2], name="t"), Pairs(pairs[2:], name="v")
    dataset = Dataset.from_pairs(train, valid=valid)
    tokenizer: Seq2SeqTokenizer | TaggerTokenizer = dataset.tokenizer
    if kind == "tagger":
        lexicons = LexiconFeatures()
        tokenizer = TaggerTokenizer.fit(dataset.train, buckets=64, lexicon_features=lexicons)
    print_dataset_summary(dataset, tokenizer)
    count = 3 if kind == "seq2seq" else 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"{sentence.format(count)}; `annoseq check` lists them"
    )
