from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from annoseq._version import __version__
from annoseq.data.pairs import read_pairs
from annoseq.errors import FormatError, OptionError, OutputError, TableError
from annoseq.formats.capabilities import ConversionLosses
from annoseq.formats.conversion import (
    check_export_target,
    check_folders_of_texts,
    export_corpus,
    import_corpus,
)
from annoseq.formats.conversion_options import ExportOptions
from annoseq.formats.documents import Document
from tests.formats.documents import OPTIONS, mention, write_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from annoseq.formats.registry import CorpusFormat

DOCUMENTS = [Document("a", "Ames", (mention(0, 4, "NAME"),)), Document("b", "Bo")]


def export(
    name: CorpusFormat,
    documents: list[Document],
    target: Path,
    advance: Callable[[int], None] = lambda _: None,
) -> None:
    export_corpus(
        name,
        documents,
        target,
        options=ExportOptions(),
        losses=ConversionLosses(format_name=name),
        overwrite=False,
        advance=advance,
    )


def test_a_corpus_becomes_a_table_and_its_documents_are_counted(tmp_path: Path) -> None:
    source = write_files(tmp_path / "in", {"a.txt": b"{{A}}x{{/A}}\ny", "b.txt": b"z"})
    out, steps = tmp_path / "pairs.csv", list[int]()
    import_corpus(
        "inline",
        source,
        out,
        unit="line",
        options=OPTIONS,
        losses=ConversionLosses(),
        overwrite=False,
        advance=steps.append,
    )
    rows = [(pair.document, pair.start, pair.target) for pair in read_pairs(out)]
    assert rows == [("a", 0, "{{A}}x{{/A}}"), ("a", 2, "y"), ("b", 0, "z")]
    assert steps == [1, 1]


@pytest.mark.parametrize(
    ("name", "folder"),
    [("brat", "config.json"), ("brat", "annotation.conf"), ("inline", "config.json")],
)
def test_a_document_in_a_folder_of_a_files_name_is_refused(
    name: CorpusFormat, folder: str, tmp_path: Path
) -> None:
    document = Document(f"{folder}/a", "Ames", (), "rows.csv: row 1")
    with pytest.raises(FormatError) as caught:
        export(name, [document], tmp_path / "corpus")
    assert str(caught.value) == (
        f"rows.csv: row 1: the id of a document puts it into a folder named {folder}, and the "
        "output has a file of this name. Give it another id."
    )
    assert not (tmp_path / "corpus").exists()
    export("folders", [document], tmp_path / "corpus")  # which has folders of its own
    assert (tmp_path / "corpus" / "orig" / folder / "a.txt").exists()


def test_texts_in_a_folder_of_a_files_name_are_refused(tmp_path: Path) -> None:
    check_folders_of_texts("brat", tmp_path)
    (tmp_path / "annotation.conf").mkdir()
    check_folders_of_texts("i2b2", tmp_path)
    with pytest.raises(OptionError) as caught:
        check_folders_of_texts("brat", tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / 'annotation.conf'}: the output has a file of this folder's name. Rename it."
    )


def test_a_folder_is_marked_as_written_by_annoseq(tmp_path: Path) -> None:
    target, steps = tmp_path / "corpus", list[int]()
    export("inline", DOCUMENTS, target, steps.append)
    settings = json.loads((target / "config.json").read_text())
    assert settings == {"annoseq": __version__, "format": "inline"}
    assert steps == [1, 1]


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ([DOCUMENTS[0]] * 2, "two documents have the id 'a'. Give each its own."),
        ([], "there is no document. Name a source with at least one."),
    ],
)
@pytest.mark.parametrize("name", ["inline", "spacy-jsonl"])
def test_a_corpus_is_written_whole_or_not_at_all(
    name: CorpusFormat, documents: list[Document], message: str, tmp_path: Path
) -> None:
    with pytest.raises(FormatError) as caught:
        export(name, documents, tmp_path / "corpus")
    assert str(caught.value) == message
    assert list(tmp_path.iterdir()) == []


def test_a_target_is_checked_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="stands for no known format"):
        check_export_target("spans", tmp_path / "a.txt", overwrite=False)
    (tmp_path / "taken").mkdir()
    with pytest.raises(OutputError):
        check_export_target("brat", tmp_path / "taken", overwrite=False)
