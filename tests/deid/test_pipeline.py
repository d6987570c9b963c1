"""The pipeline from documents to files, with a fake annotator."""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from annoseq.data.tables import read_rows
from annoseq.deid.document_source import DocumentSource
from annoseq.deid.leak_check import LeakCounts
from annoseq.deid.pipeline import RedactionPipeline
from annoseq.deid.redaction import DocumentPart, RedactionDocument
from annoseq.deid.redaction_report import RedactionReport, print_report
from annoseq.deid.run_output import OutputLayout, record_mapping, write_redacted
from annoseq.errors import OptionError, TableError
from annoseq.inference.annotation import Annotation
from tests.deid.documents import LookupAnnotator, redactor

if TYPE_CHECKING:
    from collections.abc import Iterator

NOTES = ("Dr. {{NAME}}Ames{{/NAME}}\r\ncame.", "Nobody.", "{{NAME}}Ida{{/NAME}}, {{AGE}}50{{/AGE}}")
TABLE = "doc_id,orig_text,other\na,Dr. Ames,1\na,saw Ames,2\nb,Ames,3\n"


def notes(folder: Path) -> Path:
    (folder / "notes" / "sub").mkdir(parents=True)
    for name, text in zip(("a.txt", "b.txt", "sub/c.txt"), NOTES, strict=True):
        plain = Path(folder / "notes" / name)
        plain.write_bytes(_plain(text).encode())
    return folder / "notes"


def single_text(name: str, text: str) -> RedactionDocument:
    return RedactionDocument(name, (DocumentPart(name, text),))


def _plain(annotated: str) -> str:
    return next(iter(LookupAnnotator(annotated).annotated_texts))


def redact_source(
    source: Path,
    out: Path,
    *annotated: str,
    report: RedactionReport | None = None,
    chunk_size: int = 2,
) -> tuple[RedactionReport, list[dict[str, Any]], list[dict[str, Any]]]:
    """Redact with labels, and return the report, the annotations and the mapping."""
    is_text = source.is_dir() or source.suffix == ".txt"
    annotator = LookupAnnotator(*annotated)
    pipeline = RedactionPipeline(annotator, redactor("label"))
    report = report or RedactionReport()
    layout = OutputLayout.of(
        source, is_text=is_text, column="orig_text", document="doc_id", format_=None
    )
    mapping = io.StringIO()
    out.mkdir()
    documents = DocumentSource(source, "orig_text")
    done = list(pipeline.redact(documents.read(), chunk_size=chunk_size))
    for document in done:
        report.add(document)
    write_redacted(out, layout, record_mapping(done, mapping), documents.header)
    annotations = (out / "annotations.jsonl").read_text(encoding="utf-8")
    return report, _records(annotations), _records(mapping.getvalue())


def _records(lines: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.splitlines()]


def test_a_folder_becomes_a_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    report, annotations, mapping = redact_source(notes(tmp_path), out, *NOTES)
    assert (out / "a.txt").read_bytes() == b"Dr. [NAME]\r\ncame."
    assert (out / "b.txt").read_bytes() == b"Nobody."
    assert (out / "sub" / "c.txt").read_bytes() == b"[NAME], [AGE]"
    for record in annotations:
        for span in record["spans"]:
            assert record["text"][span["start"] : span["end"]] == span["text"]
    assert [record["id"] for record in annotations] == ["a.txt", "b.txt", "sub/c.txt"]
    assert [(record["original"], record["replacement"]) for record in mapping] == [
        ("Ames", "[NAME]"),
        ("Ida", "[NAME]"),
        ("50", "[AGE]"),
    ]
    assert report.documents_without_spans == ["b.txt"]


def test_punctuation_that_a_model_marks_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"Dr. Ames, (50).")
    _, annotations, _ = redact_source(
        path,
        tmp_path / "out",
        "Dr. {{NAME}}Ames{{/NAME}}{{NAME}},{{/NAME}} {{AGE}}(50){{/AGE}}{{NAME}}.{{/NAME}}",
    )
    assert [record["text"] for record in annotations] == ["Dr. [NAME], [AGE]."]


def test_a_table_keeps_its_text_and_document_and_is_redacted_by_document(tmp_path: Path) -> None:
    source = tmp_path / "new.csv"
    source.write_text(TABLE)
    report, annotations, _ = redact_source(source, tmp_path / "out", "Dr. {{NAME}}Ames{{/NAME}}")
    rows = list(read_rows(tmp_path / "out" / "new.csv", columns=["orig_text"], keys=["doc_id"]))
    assert [(row.values["doc_id"], row.values["orig_text"]) for row in rows] == [
        ("a", "Dr. [NAME]"),
        ("a", "saw [NAME]"),
        ("b", "Ames"),
    ]
    assert (tmp_path / "out" / "new.csv").read_text().startswith('"doc_id","orig_text"\n')
    assert [(record["id"], record["document"]) for record in annotations] == [
        ("1", "a"),
        ("2", "a"),
        ("3", "b"),
    ]
    assert report.counts["NAME"] == {"model": 1, "propagated": 1}


def test_a_table_without_documents_has_one_in_each_row(tmp_path: Path) -> None:
    source = tmp_path / "new.jsonl"
    source.write_text('{"orig_text": "Dr. Ames"}\n{"orig_text": "Ames"}\n')
    report, _, _ = redact_source(source, tmp_path / "out", "Dr. {{NAME}}Ames{{/NAME}}")
    lines = (tmp_path / "out" / "new.jsonl").read_text()
    assert lines == '{"orig_text": "Dr. [NAME]"}\n{"orig_text": "Ames"}\n'
    assert report.documents == 2


def test_rows_without_a_document_and_pipes_have_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "new.csv"
    source.write_text("doc_id,orig_text\n3,Ames\n,Ames\n,Ames\n")
    documents = list(DocumentSource(source, "orig_text").read())
    assert [(one.id, one.is_named) for one in documents] == [
        ("3", True),
        ("2", False),
        ("3", False),
    ]
    (tmp_path / "a.txt").write_text("Ames")
    assert [one.is_named for one in DocumentSource(tmp_path, "orig_text").read()] == [True]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"Ames")))
    assert [one.is_named for one in DocumentSource("-", "orig_text").read()] == [False]


@pytest.fixture
def text_descriptor(tmp_path: Path) -> Iterator[int]:
    """An open file of a text."""
    (tmp_path / "open.txt").write_text("Ames")
    descriptor = os.open(tmp_path / "open.txt", os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def is_text_named(path: str | Path) -> bool:
    (document,) = DocumentSource(path, "orig_text", format="text").read()
    return document.is_named


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs files of open descriptors")
def test_paths_of_open_files_are_no_names(text_descriptor: int, tmp_path: Path) -> None:
    paths = [f"/dev/fd/{text_descriptor}", f"/proc/self/fd/{text_descriptor}"]
    paths += [os.path.relpath(path) for path in paths]
    assert [is_text_named(path) for path in paths] == [False] * 4
    folder = os.open(tmp_path, os.O_RDONLY)
    assert is_text_named(f"/dev/fd/{folder}")  # its files have names
    os.close(folder)


def test_named_pipes_are_no_names(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "note.txt")
    writer = Thread(target=(tmp_path / "note.txt").write_text, args=["Ames"], daemon=True)
    writer.start()
    assert not is_text_named(tmp_path / "note.txt")
    writer.join()


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="needs a folder in memory")
def test_files_in_memory_have_names() -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        (Path(folder) / "note.txt").write_text("Ames")
        assert is_text_named(Path(folder) / "note.txt")
        assert is_text_named(folder)


def test_a_document_that_comes_back_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "new.csv"
    source.write_text(TABLE + "a,Ames,4\n")
    documents = DocumentSource(source, "orig_text").read()
    with pytest.raises(TableError, match=r"new.csv: row 4: its document was there before.*Sort"):
        list(documents)


@pytest.mark.parametrize(("size", "firsts"), [(1, [1, 2, 3]), (2, [1, 3]), (9, [1])])
def test_texts_are_annotated_in_chunks_of_whole_documents(size: int, firsts: list[int]) -> None:
    documents = [single_text(str(index), _plain(note)) for index, note in enumerate(NOTES)]
    annotator = LookupAnnotator(*NOTES)
    pipeline = RedactionPipeline(annotator, redactor("label"))
    done = list(pipeline.redact(documents, chunk_size=size))
    assert annotator.first_numbers == firsts
    assert [document.texts[0].text for document in done] == [
        "Dr. [NAME]\r\ncame.",
        "Nobody.",
        "[NAME], [AGE]",
    ]


def test_values_propagate_over_the_consecutive_documents_of_a_patient() -> None:
    notes = ["{{NAME}}Ida Ames{{/NAME}}", "Ames is well", "Ames of another", "Ida again"]
    patients = ["p", "p", "q", "p"]
    documents = [
        RedactionDocument(str(number), (DocumentPart(str(number), _plain(note), patient=patient),))
        for number, (note, patient) in enumerate(zip(notes, patients, strict=True))
    ]
    report = RedactionReport()
    pipeline = RedactionPipeline(LookupAnnotator(*notes), redactor("label"))
    redacted = pipeline.redact(report.watch_patients(documents), chunk_size=1)
    texts = []
    for one in redacted:
        report.add(one)
        texts += [text.text for text in one.texts]
    assert texts == ["[NAME]", "[NAME] is well", "Ames of another", "Ida again"]
    assert report.to_dict()["scattered_patients"] == 1
    written = io.StringIO()
    print_report(report.to_dict(), Console(file=written, width=200))
    assert (
        "1 patient with documents of others in between: what is found before them is not replaced "
        "after them. Sort the input by patient."
    ) in written.getvalue()


def test_a_model_that_marks_nothing_is_refused() -> None:
    def translate(texts: object, first: object, advance: object) -> list[Annotation]:
        return [Annotation("x", "y", None, 0.0)]

    pipeline = RedactionPipeline(translate, redactor("label"))
    with pytest.raises(OptionError, match="the model writes texts of its own and marks nothing"):
        list(pipeline.redact([single_text("a", "x")], chunk_size=1))


def test_an_input_may_not_have_the_name_of_an_output(tmp_path: Path) -> None:
    source = tmp_path / "annotations.jsonl"
    with pytest.raises(OptionError, match=r"would have the name of annotations.jsonl"):
        OutputLayout.of(source, is_text=False, column="orig_text", document=None, format_=None)


def test_the_report_counts_and_quotes_nothing(tmp_path: Path) -> None:
    report, _, _ = redact_source(
        notes(tmp_path), tmp_path / "out", *NOTES, report=RedactionReport(leaks=LeakCounts())
    )
    values = report.to_dict()
    assert (values["documents"], values["replaced"]) == (3, 3)
    assert values["labels"]["NAME"] == {
        "type": "name",
        "action": "label",
        "replaced": 2,
        "model": 2,
        "pattern": 0,
        "propagated": 0,
        "fallback": 0,
        "lowest_scores": [],
    }
    assert "Ames" not in json.dumps(values)
    console = Console(file=io.StringIO(), width=100)
    print_report(values, console)
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "replaced 3 spans in 3 documents" in shown
    assert "look at 1 document without any span" in shown
    assert "against the gold: none of 0 documents" in shown
