from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from annoseq._version import __version__
from annoseq.data.pairs import read_pairs
from tests.cli.command import refusal, run, snapshot
from tests.formats.documents import FILES

if TYPE_CHECKING:
    from pathlib import Path

ROWS = """doc_id,start,orig_text,annotated_text
note,0,Dear Dr. Ames:,Dear Dr. {{NAME:DOCTOR}}Ames{{/NAME:DOCTOR}}:
note,16,Bye,Bye
other,0,😀 Bo,😀 {{NAME}}Bo{{/NAME}}
"""
SPAN = {"start": 0, "end": 4, "label": "NAME", "text": "Ames", "score": 0.5}
OUTPUT = {"id": "note.txt", "text": "Ames", "annotated": "{{NAME}}Ames{{/NAME}}", "spans": [SPAN]}
BROKEN = {"id": "2", "text": "Bo", "annotated": "{{A}}Bo", "spans": None, "problem": "malformed"}


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.csv"
    path.write_text(ROWS)
    return path


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Return what `annoseq annotate` may write."""
    path = tmp_path / "annotated.jsonl"
    path.write_text(json.dumps(OUTPUT) + "\n" + json.dumps(BROKEN) + "\n")
    return path


def test_rows_become_documents_again(pairs: Path, tmp_path: Path) -> None:
    result = run("export", "brat", pairs, tmp_path / "brat")
    assert result.code == 0
    assert result.err == (
        "1 gap between rows filled with line ends, for the table does not hold what stood there "
        f"(`annoseq import --unit document` keeps whole texts) (first: {pairs}: row 2)\n"
        f"Wrote {tmp_path / 'brat'}: 2 documents, 2 spans, 2 labels. "
        f"Copy {tmp_path / 'brat'} into brat's data folder.\n"
    )
    files = {name: content.decode() for name, content in snapshot(tmp_path / "brat").items()}
    assert files.pop("annotation.conf").startswith("[entities]\nNAME\nNAME:DOCTOR\n\n[relations]\n")
    assert files == {
        "config.json": f'{{"annoseq": "{__version__}", "format": "brat"}}\n',
        "note.txt": "Dear Dr. Ames:\n\nBye",
        "note.ann": "T1\tNAME:DOCTOR 9 13\tAmes\n",
        "other.txt": "😀 Bo",
        "other.ann": "T1\tNAME 2 4\tBo\n",
    }


@pytest.mark.parametrize("name", FILES)
def test_every_format_is_written_and_imported_again(name: str, pairs: Path, tmp_path: Path) -> None:
    if name == "spacy":
        pytest.importorskip("spacy")
    target, back = tmp_path / FILES[name], tmp_path / "back.csv"  # type: ignore[index]
    lossy = ("--lossy",) if name == "pubtator" else ()
    assert run("export", name, pairs, target, *lossy).code == 0
    assert run("import", name, target, back).code == 0
    expected = ROWS.replace("Dr. Ames:,", "Dr. Ames:,")
    found = back.read_text().replace('"', "")
    if name != "pubtator":  # it has no more than two lines
        assert found == expected
    assert "add --overwrite" in refusal(run("export", name, pairs, target, *lossy))
    assert run("export", name, pairs, target, *lossy, "--overwrite").code == 0


def test_what_a_format_cannot_hold_is_refused_or_counted(output: Path, tmp_path: Path) -> None:
    target = tmp_path / "brat"
    message = refusal(run("export", "brat", output, target))
    assert message.startswith(
        f"{output}: row 2 (line 2): brat cannot hold this: outputs other than"
    )
    assert not target.exists()
    result = run("export", "brat", output, target, "--lossy")
    assert result.code == 0
    assert result.err == (
        "1 score left out: this format has no place for scores (first: note: NAME at 0-4)\n"
        "1 output other than a text plus tags, left out "
        f"(first: {output}: row 2 (line 2))\n"
        f"Wrote {target}: 1 document, 1 span, 1 label. Copy {target} into brat's data folder.\n"
    )
    assert sorted(snapshot(target)) == ["annotation.conf", "config.json", "note.ann", "note.txt"]


def test_the_csv_of_annotate_is_read_too(tmp_path: Path) -> None:
    source, target = tmp_path / "annotated.csv", tmp_path / "out.jsonl"
    spans = json.dumps([SPAN]).replace('"', '""')
    source.write_text(
        f'id,text,annotated,spans,score\n7,Ames,"{{A}}",“{spans}",-0.1\n'.replace("“", '"')
    )
    assert run("export", "spacy-jsonl", source, target).code == 0
    assert json.loads(target.read_text()) == {"id": "7", "text": "Ames", "spans": [SPAN]}


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("<LABEL>text</LABEL>", "😀 <NAME>Bo</NAME>"),
        ("[text](LABEL)", "😀 [Bo](NAME)"),
        ("[LABEL text]", "😀 [NAME Bo]"),
        ("%LABEL% ... %%", "😀 %NAME% Bo %%"),
    ],
)
def test_inline_tags_are_written_as_described(
    markup: str, expected: str, pairs: Path, tmp_path: Path
) -> None:
    target = tmp_path / "inline"
    assert run("export", "inline", pairs, target, "--markup", markup).code == 0
    assert (target / "other.txt").read_text() == expected
    back = tmp_path / "back.csv"
    assert run("import", "inline", target, back, "--markup", markup).code == 0
    assert "😀 {{NAME}}Bo{{/NAME}}" in back.read_text()


def test_text_that_reads_as_a_tag_of_the_markup_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "pairs.csv"
    source.write_text("orig_text,annotated_text\n<b>x</b> y,<b>x</b> {{A}}y{{/A}}\n")
    command = ("export", "inline", source, tmp_path / "out", "--markup", "<LABEL>text</LABEL>")
    message = refusal(run(*command))
    assert "inline cannot hold this: documents that the markup cannot tell from tags" in message
    assert run("export", "inline", source, tmp_path / "out").code == 0


@pytest.mark.parametrize("name", ["../up", "/root", "a//b", ".", "a/../b", "", ".hidden"])
def test_no_file_is_written_elsewhere(name: str, tmp_path: Path) -> None:
    source = tmp_path / "annotated.jsonl"
    source.write_text(json.dumps({"id": name, "text": "a", "spans": []}))
    message = refusal(run("export", "brat", source, tmp_path / "out"))
    id_ = repr(name) if name else "(a text of 0 characters)"
    assert message.startswith(f"a document has the id {id_}, which cannot be a file's name.")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            ROWS.replace("16", "9" * 17),
            "row 2: the rows of its document leave gaps of 99,999,999,999,999,985 characters",
        ),
        (ROWS.replace("16", "5"), "row 2: it begins before the end of another row of its document"),
        (ROWS.replace("Bye,Bye", "Bye,By"), "1 of 3 rows cannot be used:"),
    ],
)
def test_a_bad_table_is_refused(content: str, message: str, tmp_path: Path) -> None:
    source = tmp_path / "pairs.csv"
    source.write_text(content)
    result = run("export", "brat", source, tmp_path / "out")
    assert result.code == 2
    assert message in result.err


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({**OUTPUT, "spans": [{**SPAN, "end": 9}]}, "span 1: it is from 0 to 9"),
        ({**OUTPUT, "spans": [{**SPAN, "text": "Aims"}]}, "span 1: its own text is not the text"),
        ({**OUTPUT, "spans": 3}, "(line 1): 'spans' is not a list"),
        ({"text": "a", "spans": []}, "(line 1): this row has no id"),
        ({**OUTPUT, "doc_id": [1]}, "(line 1): found a list where a text was expected"),
        ({**OUTPUT, "doc_id": "a", "start": "1"}, "(line 1): found a text where a whole number"),
        ({**OUTPUT, "doc_id": "a", "start": -1}, "(line 1): found an offset below 0"),
    ],
)
def test_a_bad_output_is_refused(record: dict[str, object], message: str, tmp_path: Path) -> None:
    source = tmp_path / "annotated.jsonl"
    source.write_text(json.dumps(record))
    assert message in refusal(run("export", "brat", source, tmp_path / "out"))


def test_markup_is_refused_where_it_has_no_meaning(pairs: Path, tmp_path: Path) -> None:
    command = ("export", "brat", pairs, tmp_path / "out", "--markup", "[text](LABEL)")
    expected = "--markup has no meaning for the format brat. Leave it off."
    assert refusal(run(*command)) == expected


def test_a_folder_of_others_is_not_replaced(pairs: Path, tmp_path: Path) -> None:
    thesis = tmp_path / "corpus"
    thesis.mkdir()
    (thesis / "note.txt").write_text("mine")
    message = refusal(run("export", "brat", pairs, thesis, "--overwrite"))
    assert message.startswith(f"{thesis} was not written by annoseq, so that --overwrite does not")
    assert snapshot(thesis) == {"note.txt": b"mine"}


def test_two_documents_of_one_name_are_refused(output: Path, tmp_path: Path) -> None:
    output.write_text((json.dumps(OUTPUT) + "\n") * 2)
    message = refusal(run("export", "spacy-jsonl", output, tmp_path / "out.jsonl"))
    assert message == (
        f"{output}: row 2 (line 2): two documents have the id 'note', which is that of "
        f"{output}: row 1 (line 1). Give each its own."
    )


def test_gaps_between_rows_are_bounded_before_the_work(tmp_path: Path) -> None:
    source = tmp_path / "pairs.csv"
    rows = "".join(f"d,{number * 9_000_000},a,a\n" for number in range(60))
    source.write_text("doc_id,start,orig_text,annotated_text\n" + rows)
    message = refusal(run("export", "spacy-jsonl", source, tmp_path / "out.jsonl"))
    assert message == (
        f"{source}: row 60: the rows of its document leave gaps of 530,999,941 characters in all, "
        "more than 10,000,000. Check the column of offsets: it says where a row begins in its "
        "document."
    )
    source.write_text(
        "doc_id,start,orig_text,annotated_text\n"
        + "".join(f"d{number},9000000,a,a\n" for number in range(20))
    )
    message = refusal(run("export", "spacy-jsonl", source, tmp_path / "out.jsonl"))
    assert "the rows of all documents leave gaps of 108,000,000 characters in all" in message


def test_the_labelling_config_is_named_and_not_replaced_unasked(
    pairs: Path, tmp_path: Path
) -> None:
    target, config = tmp_path / "tasks.json", tmp_path / "tasks.xml"
    config.write_text("mine")
    assert "exists already" in refusal(run("export", "label-studio", pairs, target))
    assert not target.exists()
    result = run("export", "label-studio", pairs, target, "--overwrite")
    assert result.err.endswith(
        f"Wrote {target}: 2 documents, 2 spans, 2 labels. Paste {config} as the labelling "
        f"interface of a project, then import {target}.\n"
    )
    assert '<Label value="NAME:DOCTOR"/>' in config.read_text()


def test_a_table_of_spans_has_their_texts_and_a_byte_order_mark_on_request(
    output: Path, tmp_path: Path
) -> None:
    target, again = tmp_path / "spans.csv", tmp_path / "again.csv"
    assert run("export", "spans", output, target, "--lossy", "--bom", "--span-text").code == 0
    assert target.read_text(encoding="utf-8") == (
        '\ufeff"doc_id","text","start","end","label","score","covered"\n'
        '"note","Ames","0","4","NAME","0.5","Ames"\n'
    )
    assert run("import", "spans", target, again, "--bom").code == 0
    assert again.read_bytes().startswith(b"\xef\xbb\xbf")
    assert read_pairs(again)[0].target == OUTPUT["annotated"]
    target.write_text(target.read_text(encoding="utf-8").replace('"Ames"\n', '"Amez"\n'))
    assert "spans.csv: row 1" in refusal(run("import", "spans", target, tmp_path / "no.csv"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("export", "brat", "--bom"), "--bom has no meaning for the format brat. Leave it off."),
        (
            ("export", "conll", "--span-text"),
            "--span-text has no meaning for the format conll. Leave it off.",
        ),
        (("export", "spans", "--bom"), "--bom is for CSV, and the table is JSONL. Leave it off."),
        (
            ("import", "spacy-jsonl", "--bom"),
            "--bom is for CSV, and the table is JSONL. Leave it off.",
        ),
    ],
)
def test_an_option_of_tables_is_refused_elsewhere(
    arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    output = tmp_path / "annotated.jsonl"
    output.write_text(json.dumps(OUTPUT) + "\n")
    before = snapshot(tmp_path)
    verb, format_, option = arguments
    result = run(verb, format_, output, tmp_path / "target.jsonl", option)
    assert refusal(result) == message
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    "table",
    [
        "orig_text;annotated_text\nNúñez;{{NAME}}Núñez{{/NAME}}\n",
        'id;text;spans\n1;Núñez;"[{""start"": 0, ""end"": 5, ""label"": ""NAME""}]"\n',
    ],
)
def test_delimiter_and_encoding_of_a_table(table: str, tmp_path: Path) -> None:
    source, target = tmp_path / "a.csv", tmp_path / "spans.csv"
    source.write_bytes(table.replace(";", "¦").encode("cp1252"))
    options = ("--delimiter", "¦", "--encoding", "cp1252")
    assert run("export", "spans", source, target, *options).code == 0
    assert '"1","Núñez","0","5","NAME",""' in target.read_text(encoding="utf-8")
    assert "is not UTF-8" in refusal(run("export", "spans", source, tmp_path / "no.csv"))


def test_the_encoding_of_json_lines(tmp_path: Path) -> None:
    source, target = tmp_path / "a.jsonl", tmp_path / "spans.csv"
    line = json.dumps({**OUTPUT, "text": "Núñez", "spans": []}, ensure_ascii=False)
    source.write_bytes(line.encode("cp1252"))
    assert run("export", "spans", source, target, "--encoding", "cp1252").code == 0
    assert '"Núñez"' in target.read_text(encoding="utf-8")
    message = refusal(run("export", "spans", source, tmp_path / "no.csv", "--delimiter", ";"))
    assert message == "--delimiter is for CSV, and the table is JSONL. Leave it off."
