from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.errors import FormatError
from annoseq.formats.capabilities import ConversionLosses
from annoseq.formats.conversion import export_corpus, read_corpus
from annoseq.formats.conversion_options import ExportOptions, ImportOptions
from annoseq.formats.documents import Document
from tests.formats.documents import mention, read_from, there_and_back, write_files
from tests.formats.malformed import LATIN, NOT_UTF8, TEXT, UTF16, ZIP, Files, check_refusal

if TYPE_CHECKING:
    from pathlib import Path


def parallel(annotated: bytes, original: bytes = TEXT.encode()) -> Files:
    return {"orig/a.txt": original, "annotated/a.txt": annotated}


NESTED = Document("in/d", "😀 Dr. Ames", (mention(2, 10, "P"), mention(6, 10, "NAME")))
MARKUP = "{{P}}Dr. {{NAME}}Ames{{/NAME}}{{/P}}"
MALFORMED_FOLDERS: list[tuple[Files, str]] = [
    (parallel(b"Dr. {{NAME}}"), "a.txt: {{NAME}} is never closed"),
    (parallel(b"Dr. {{/NAME}}"), "found {{/NAME}} where no closing tag was expected"),
    (parallel(b"{{A}}Dr.{{/B}}"), "found {{/B}} where {{/A}} was expected"),
    (parallel(b"{{A}}{{/A}}"), "{{A}} and {{/A}} enclose nothing"),
    (
        parallel(b"Dr. Y"),
        "the annotated text without its tags differs from the original at character 4",
    ),
    (parallel(LATIN), NOT_UTF8),
    (parallel(b"", UTF16), "It begins like UTF-16"),
    (parallel(b"a\0"), "found a NUL character at character 1"),
    (parallel(ZIP), "this is a zip archive"),
    ({"orig/a.txt": b"x"}, "there is no folder 'annotated' in it"),
    ({**parallel(b"x"), "orig/b.txt": b""}, "orig/b.txt: there is no such file in 'annotated'"),
    ({"orig/a": b"x", "annotated/a": b"x"}, "there is no .txt file"),
]
MALFORMED: list[tuple[Files, str]] = [
    *[({"a.txt": files["annotated/a.txt"]}, message) for files, message in MALFORMED_FOLDERS[:4]],
    ({"a.txt": b"{{A}}x{{B}}y{{/A}}{{/B}}"}, "found {{/A}} where {{/B}} was expected"),
    ({"a.txt": LATIN}, NOT_UTF8),
    ({"a.txt": UTF16}, "It begins like UTF-16"),
    ({"a.txt": b"a\nb\0"}, "line 2: found a NUL character at character 3"),
    ({"a.txt": ZIP}, "this is a zip archive"),
    ({"a.xml": b""}, "there is no .txt file"),
]


def test_a_sample_of_alone_files_is_read_to_exact_spans(tmp_path: Path) -> None:
    source = write_files(tmp_path, {"in/d.txt": f"😀 {MARKUP}".encode()})
    assert read_from("inline", source) == [NESTED]


def test_a_sample_of_parallel_folders_is_read_to_exact_spans(tmp_path: Path) -> None:
    original, annotated = NESTED.text.encode(), "😀 [Dr. [Ames](NAME)](P)".encode()
    files = {"orig/in/d.txt": original, "annotated/in/d.txt": annotated}
    assert read_from("folders", write_files(tmp_path, files)) == [NESTED]


def test_nested_mentions_come_back(tmp_path: Path) -> None:
    assert there_and_back("inline", [NESTED], tmp_path / "inline") == [NESTED]
    assert (tmp_path / "inline" / "corpus" / "in" / "d.txt").read_text() == f"😀 {MARKUP}"
    assert there_and_back("folders", [NESTED], tmp_path / "folders") == [NESTED]
    assert (tmp_path / "folders" / "corpus" / "orig" / "in" / "d.txt").read_text() == NESTED.text


@pytest.mark.parametrize("example", ["<LABEL>text</LABEL>", "[text](LABEL)", "<<LABEL|...>>"])
def test_a_described_markup_comes_back(example: str, tmp_path: Path) -> None:
    strict = ConversionLosses(format_name="inline")
    target = tmp_path / "corpus"
    export_corpus(
        "inline",
        [NESTED],
        target,
        options=ExportOptions(markup=example),
        losses=strict,
        overwrite=False,
    )
    options = ImportOptions(markup=example, source="a", target="b")
    assert list(read_corpus("inline", target, options, ConversionLosses())) == [NESTED]


def test_a_text_that_reads_as_a_tag_is_a_loss(tmp_path: Path) -> None:
    document = Document("d", "<A>x</A>", (mention(3, 4, "B"),))
    strict = ConversionLosses(format_name="inline")
    with pytest.raises(FormatError, match="documents that the markup cannot tell from tags"):
        export_corpus(
            "inline",
            [document],
            tmp_path / "corpus",
            options=ExportOptions(markup="<LABEL>text</LABEL>"),
            losses=strict,
            overwrite=False,
        )


@pytest.mark.parametrize(("content", "message"), MALFORMED)
def test_malformed_input_is_refused(content: Files, message: str, tmp_path: Path) -> None:
    check_refusal("inline", content, message, tmp_path)


@pytest.mark.parametrize(("content", "message"), MALFORMED_FOLDERS)
def test_malformed_parallel_folders_are_refused(
    content: Files, message: str, tmp_path: Path
) -> None:
    check_refusal("folders", content, message, tmp_path)
