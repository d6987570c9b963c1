from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from annoseq.data.pairs import read_pairs
from annoseq.data.streams import LARGEST_TEXT
from tests.cli.command import SECRET, refusal, run

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "Dear Dr. Ames:\nSeen 3 May. Better now.\n"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Return a brat folder with one document in a folder below it."""
    folder = tmp_path / "corpus"
    (folder / "2026").mkdir(parents=True)
    (folder / "2026" / "note.txt").write_text(TEXT)
    annotations = "T1\tNAME 9 13\tAmes\nT2\tDATE 20 25\t3 May\nR1\tSeen Arg1:T1 Arg2:T2\n"
    (folder / "2026" / "note.ann").write_text(annotations)
    return folder


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        (
            "document",
            [(0, "Dear Dr. {{NAME}}Ames{{/NAME}}:\nSeen {{DATE}}3 May{{/DATE}}. Better now.\n")],
        ),
        (
            "line",
            [
                (0, "Dear Dr. {{NAME}}Ames{{/NAME}}:"),
                (15, "Seen {{DATE}}3 May{{/DATE}}. Better now."),
            ],
        ),
        (
            "sentence",
            [
                (0, "Dear Dr. {{NAME}}Ames{{/NAME}}:"),
                (15, "Seen {{DATE}}3 May{{/DATE}}."),
                (27, "Better now."),
            ],
        ),
    ],
)
def test_a_folder_becomes_rows(
    corpus: Path, tmp_path: Path, unit: str, expected: list[tuple[int, str]]
) -> None:
    out = tmp_path / "pairs.csv"
    result = run("import", "brat", corpus, out, "--unit", unit)
    assert result.code == 0
    place = corpus / "2026" / "note.ann"
    assert result.err == (
        f"1 relation of brat, left out: only spans are read (first: {place}: line 3)\n"
        f"Wrote {out}: 1 document, {len(expected)} row{'s'[: len(expected) > 1]}, 2 spans, "
        f"2 labels. Next: annoseq check {out}\n"
    )
    pairs = read_pairs(out)
    assert [(pair.start, pair.target) for pair in pairs] == expected
    assert {pair.document for pair in pairs} == {"2026/note"}


def test_a_table_is_written_once_and_replaced_only_if_asked(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "pairs.jsonl"
    assert run("import", "brat", corpus, out).code == 0
    before = out.read_bytes()
    assert "exists already" in refusal(run("import", "brat", corpus, out))
    assert run("import", "brat", corpus, out, "--unit", "document", "--overwrite").code == 0
    assert out.read_bytes() != before


def test_columns_of_conll_are_chosen(tmp_path: Path) -> None:
    source, out = tmp_path / "a.conll", tmp_path / "pairs.csv"
    source.write_text("1 Dr. O x\n2 Ames B-NAME x\n3 Bo I-NAME x\n\n1 Fine O x\n")
    columns = ("--token-column", 1, "--tag-column", 2)
    assert run("import", "conll", source, out, *columns).code == 0
    assert [pair.target for pair in read_pairs(out)] == ["Dr. {{NAME}}Ames Bo{{/NAME}}", "Fine"]
    message = refusal(run("import", "conll", source, tmp_path / "b.csv"))
    assert "the tag column -1 holds neither O nor a prefix" in message


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("I-A I-A O I-A", "{{A}}a b{{/A}} c {{A}}d{{/A}}"),
        ("I-A B-A O O", "{{A}}a{{/A}} {{A}}b{{/A}} c d"),
        ("B-A I-B S-A S-A", "{{A}}a{{/A}} {{B}}b{{/B}} {{A}}c{{/A}} {{A}}d{{/A}}"),
        ("B-A I-A E-A O", "{{A}}a b c{{/A}} d"),
        ("B-A L-A U-B O", "{{A}}a b{{/A}} {{B}}c{{/B}} d"),
        ("B-A-B I-A-B O O", "{{A-B}}a b{{/A-B}} c d"),
    ],
)
def test_all_schemes_of_tags_are_read(tags: str, expected: str, tmp_path: Path) -> None:
    source, out = tmp_path / "a.conll", tmp_path / "pairs.csv"
    lines = [f"{token} {tag}" for token, tag in zip("abcd", tags.split(), strict=True)]
    source.write_text("-DOCSTART- O\n\n" + "\n".join(lines) + "\n")
    assert run("import", "conll", source, out).code == 0
    assert [pair.target for pair in read_pairs(out)] == [expected]


@pytest.mark.parametrize("markup", [(), ("--markup", "<LABEL>...</LABEL>")])
def test_a_table_in_another_markup_keeps_its_rows(markup: tuple[str, ...], tmp_path: Path) -> None:
    source, out = tmp_path / "a.csv", tmp_path / "pairs.csv"
    source.write_text("old,new,doc_id\nDr. Ames,Dr. <NAME>Ames</NAME>,d\nBo < 5,Bo < 5,d\n")
    columns = ("--source-column", "old", "--target-column", "new")
    assert run("import", "table", source, out, *columns, *markup).code == 0
    expected = ["Dr. {{NAME}}Ames{{/NAME}}", "Bo < 5"]
    assert [pair.target for pair in read_pairs(out)] == expected
    assert [pair.document for pair in read_pairs(out)] == ["d", "d"]


def test_a_row_that_is_of_no_known_markup_is_named(tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_text("orig_text,annotated_text\nAmes,Ames\nAmes,@Ames@\n")
    message = refusal(run("import", "table", source, tmp_path / "pairs.csv"))
    assert message.startswith(f"{source}: row 2: the annotated text without its tags differs")
    assert message.endswith("describe them, such as --markup '<LABEL>text</LABEL>'.")


def test_the_texts_of_a_table_of_spans_may_be_files(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "d.txt").write_text("😀 Ames")
    source, out = tmp_path / "a.csv", tmp_path / "pairs.csv"
    source.write_text("doc_id,start,end,label\nd,5,9,NAME\n")
    texts = ("--texts", tmp_path / "texts", "--offsets", "bytes")
    assert run("import", "spans", source, out, *texts).code == 0
    assert [pair.target for pair in read_pairs(out)] == ["😀 {{NAME}}Ames{{/NAME}}"]
    source.write_text("doc_id,start,end,label\ne,5,9,NAME\n")
    message = refusal(run("import", "spans", source, out, *texts, "--overwrite"))
    assert "row 1: there is no e.txt in" in message


@pytest.mark.parametrize(
    "line",
    [
        '{"id": 7, "text": "😀 Ames", "label": [[3, 7, "NAME"]]}',
        '{"id": 7, "text": "😀 Ames", "entities": '
        '[{"id": 1, "label": "NAME", "start_offset": 3, "end_offset": 7}], "relations": []}',
    ],
)
def test_doccano_counts_utf_16_units(line: str, tmp_path: Path) -> None:
    source, out = tmp_path / "a.jsonl", tmp_path / "pairs.csv"
    source.write_text(line + "\n")
    assert run("import", "doccano", source, out).code == 0
    assert [pair.target for pair in read_pairs(out)] == ["😀 {{NAME}}Ames{{/NAME}}"]


@pytest.mark.parametrize("start", [2, 3])
def test_label_studio_may_count_either(start: int, tmp_path: Path) -> None:
    source, out = tmp_path / "a.json", tmp_path / "pairs.csv"
    value = f'{{"start": {start}, "end": {start + 4}, "text": "Ames", "labels": ["NAME"]}}'
    result = f'{{"type": "labels", "value": {value}}}'
    source.write_text(
        f'[{{"id": 7, "data": {{"note": "😀 Ames"}}, "annotations": [{{"result": [{result}]}}]}}]'
    )
    assert run("import", "label-studio", source, out).code == 0
    assert [pair.target for pair in read_pairs(out)] == ["😀 {{NAME}}Ames{{/NAME}}"]


@pytest.mark.parametrize("text", ["Smith & Co", "Smith &amp; Co", "Smith &amp;amp; Co"])
def test_entities_of_i2b2_may_be_escaped_once_more(text: str, tmp_path: Path) -> None:
    source, out = tmp_path / "a.xml", tmp_path / "pairs.csv"
    end = len(text.replace("&amp;amp;", "&amp;"))
    covered = text.replace("& ", "&amp; ")
    source.write_text(
        f"<deIdi2b2><TEXT><![CDATA[{text.replace('&amp;amp;', '&amp;')}]]></TEXT><TAGS>"
        f'<NAME id="P0" start="0" end="{end}" text="{covered}" TYPE="DOCTOR" comment=""/>'
        "</TAGS></deIdi2b2>"
    )
    assert run("import", "i2b2", source, out).code == 0
    (pair,) = read_pairs(out)
    assert pair.target == f"{{{{NAME:DOCTOR}}}}{pair.source}{{{{/NAME:DOCTOR}}}}"


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("brat", "--markup", "[text](LABEL)"),
        ("inline", "--offsets", "bytes"),
        ("table", "--unit", "line"),
        ("brat", "--texts", "."),
        ("brat", "--token-column", "1"),
        ("spans", "--tag-column", "1"),
        ("conll", "--source-column", "a"),
        ("conll", "--target-column", "a"),
    ],
)
def test_options_of_other_formats_are_refused(
    name: str, option: str, value: str, corpus: Path, tmp_path: Path
) -> None:
    message = refusal(run("import", name, corpus, tmp_path / "pairs.csv", option, value))
    assert message == f"{option} has no meaning for the format {name}. Leave it off."


def test_a_byte_order_mark_does_no_harm(corpus: Path, tmp_path: Path) -> None:
    note = corpus / "2026" / "note"
    for suffix in (".txt", ".ann"):
        path = note.with_suffix(suffix)
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert run("import", "brat", corpus, tmp_path / "pairs.csv").code == 0
    assert read_pairs(tmp_path / "pairs.csv")[0].target == "Dear Dr. {{NAME}}Ames{{/NAME}}:"


def test_what_was_written_is_told_with_labels_that_differ_in_case_only(tmp_path: Path) -> None:
    source, out = tmp_path / "a.csv", tmp_path / "pairs.csv"
    source.write_text(
        "orig_text,annotated_text,doc_id\n"
        'Ames,"<NAME id=""7"">Ames</NAME>",d\nAmes,<Name>Ames</Name>,d\nBo,Bo,e\n'
    )
    result = run("import", "table", source, out)
    assert result.err == (
        f"1 attribute other than the type, left out (first: {source}: row 1)\n"
        "labels that differ in case only: NAME (1), Name (1); --map merges them\n"
        f"Wrote {out}: 2 documents, 3 rows, 2 spans, 2 labels. Next: annoseq check {out}\n"
    )
    labels = tmp_path / "labels.toml"
    labels.write_text('[rename]\nName = "NAME"\n')
    result = run("import", "table", source, out, "--map", labels, "--overwrite")
    assert "2 spans, 1 label." in result.err
    assert "differ in case" not in result.err
    assert read_pairs(out)[1].target == "{{NAME}}Ames{{/NAME}}"


def test_an_import_of_nothing_says_what_was_left_out(tmp_path: Path) -> None:
    source = tmp_path / "a.jsonl"
    source.write_text('{"text": "Ames", "spans": [], "answer": "reject"}\n')
    message = refusal(run("import", "spacy-jsonl", source, tmp_path / "pairs.csv"))
    assert message == (
        f"{source}: there is no document left: 1 document with the answer reject, left out "
        f"(first: {source}: row 1 (line 1)). Name a source with at least one."
    )


def test_options_of_annotation_programs_are_passed_on(tmp_path: Path) -> None:
    source, out = tmp_path / "a.json", tmp_path / "pairs.csv"
    result = '{"to_name": "b", "type": "labels", "value": {"start": 0, "end": 2, "labels": ["A"]}}'
    source.write_text(
        '[{"id": 1, "data": {"a": "Ames", "b": "Bo"}, '
        f'"annotations": [{{"completed_by": 5, "result": []}}], '
        f'"predictions": [{{"result": [{result}]}}]}}]'
    )
    assert run("import", "label-studio", source, out, "--predictions", "--field", "b").code == 0
    assert [pair.target for pair in read_pairs(out)] == ["{{A}}Bo{{/A}}"]
    chosen = ("--annotator", 5, "--field", "a", "--overwrite")
    assert run("import", "label-studio", source, out, *chosen).code == 0
    assert [pair.target for pair in read_pairs(out)] == ["Ames"]


def test_a_compressed_text_that_expands_beyond_the_limit_is_refused(
    corpus: Path, tmp_path: Path
) -> None:
    packed = gzip.compress(b"a" * (LARGEST_TEXT + 1), compresslevel=1)
    assert len(packed) < 1 << 20
    (corpus / "2026" / "note.txt").write_bytes(packed)
    message = refusal(run("import", "brat", corpus, tmp_path / "pairs.csv"))
    assert message == (
        f"{corpus / '2026' / 'note.txt'}: it has more than 100 MiB (decompressed, if it is "
        "compressed), which is the limit for one text. Split it into several texts."
    )


def test_two_documents_of_one_id_are_named_with_their_places(tmp_path: Path) -> None:
    source = tmp_path / "a.jsonl"
    source.write_text(f'{{"id": "{SECRET} came", "text": "a", "label": []}}\n' * 2)
    message = refusal(run("import", "doccano", source, tmp_path / "pairs.csv"))
    assert message == (
        f"{source}: row 2 (line 2): two documents have the id (a text of 14 characters), which is "
        f"that of {source}: row 1 (line 1). Give each its own."
    )


@pytest.mark.parametrize("command", ["check", "train", "show-batch", "import table", "export brat"])
def test_a_brat_folder_given_as_a_table_is_named(
    command: str, corpus: Path, tmp_path: Path
) -> None:
    target = {"train": ("--out", tmp_path / "o"), "import table": (tmp_path / "o.csv",)}
    target["export brat"] = (tmp_path / "o",)
    assert refusal(run(*command.split(), corpus, *target.get(command, ()))) == (
        f"{corpus}: this is a brat corpus: there are .ann files in it. "
        f"Type: annoseq import brat {corpus} PAIRS."
    )


def test_the_folder_of_a_model_given_as_data_is_named(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").touch()
    (tmp_path / "config.json").write_text("{}")
    for command in ("check", "train"):
        target = ("--out", tmp_path / "o") if command == "train" else ()
        message = refusal(run(command, tmp_path, *target))
        assert message == (f"{tmp_path}: this is the folder of a model. Give a table of pairs.")


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("table", "orig_text;annotated_text\nDr. Núñez;Dr. <NAME>Núñez</NAME>\n"),
        ("spans", "doc_id;text;start;end;label\nd;Dr. Núñez;4;9;NAME\n"),
    ],
)
def test_delimiter_and_encoding_of_a_table(name: str, table: str, tmp_path: Path) -> None:
    source, out = tmp_path / "a.csv", tmp_path / "pairs.csv"
    source.write_bytes(table.replace(";", "¦").encode("cp1252"))
    options = ("--delimiter", "¦", "--encoding", "cp1252")
    assert run("import", name, source, out, *options).code == 0
    assert read_pairs(out)[0].target == "Dr. {{NAME}}Núñez{{/NAME}}"
    assert "is not UTF-8" in refusal(run("import", name, source, tmp_path / "no.csv"))
    (tmp_path / "a.jsonl").write_text("{}")
    message = refusal(run("import", name, tmp_path / "a.jsonl", tmp_path / "no.csv", *options))
    assert message == "--delimiter is for CSV, and the table is JSONL. Leave it off."
