"""Small inputs with the traits of files that people reported on, where they are at hand."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from annoseq.errors import AnnoseqError
from annoseq.formats.capabilities import ConversionLosses
from tests.formats.documents import OPTIONS, read_from

if TYPE_CHECKING:
    from annoseq.formats.registry import CorpusFormat

CASES = Path(__file__).parents[3] / "shared" / "cases"
ROSA = "NAME Rosa"


@dataclass(frozen=True)
class Case:
    """Expected result: labels with the covered texts, parts of notes, or part of an error."""

    spans: list[list[str]] = field(default_factory=list)
    notes: tuple[str, ...] = ()
    error: str | None = None
    options: dict[str, object] = field(default_factory=dict)
    texts: list[str] | None = None


EXPECTED: dict[str, Case] = {
    "brat/b05_crlf_txt_lf_offsets": Case(
        [["NAME Rosa Lind"]], texts=["Seen today.\r\nRosa Lind came.\r\n"]
    ),
    "brat/b15_frags_concat_nospace": Case([["P protein…1"]]),
    "conll/c01_crlf_tab_no_final_nl.conll": Case([["PER Rosa Lind"]], texts=["Rosa Lind came\nOk"]),
    "conll/c03_nbsp_token_space_delim.conll": Case(
        [["NUM 1\u00a0000"]], texts=["It cost 1\u00a0000 euros"]
    ),
    "conll/c05_one_tab_in_comment.conll": Case([["PER Rosa"]], texts=["Rosa came"]),
    "conll/c23_doc_id_comment.conll": Case([["PER Rosa"], ["PER Ben"]], texts=["Rosa", "Ben"]),
    "conll/q06_spaceafter_last_col.conll": Case(
        [["PER Rosa"]], options={"token_column": 1, "tag_column": 2}, texts=["Rosa, ok."]
    ),
    "conll/q08_conllu_mwt.conll": Case(
        [["PER Rosa"]],
        ("2 lines of CoNLL-U without a word (a range or an empty node)",),
        options={"token_column": 1},
        texts=["Vio a el Rosa."],
    ),
    "doccano/d01_data_key.jsonl": Case([[ROSA]]),
    "doccano/d02_annotations_numeric.jsonl": Case(error="label_config.json"),
    "doccano/d09_emoji_grapheme.jsonl": Case([[ROSA]], options={"offset_unit": "graphemes"}),
    "doccano/d12_pretty.json": Case([[ROSA]]),
    "doccano/d14_dup_span.jsonl": Case([[ROSA]], ("1 annotation of a range that has the same",)),
    "i2b2/x02_2006_inline": Case(
        [["DOCTOR Rosa Lind", "DATE 03/02"], ["HOSPITAL Elm Clinic"]],
        texts=["\nSeen by Dr. Rosa Lind on 03/02.\n", "\nSeen in Elm Clinic.\n"],
    ),
    "i2b2/x03_2012_tlink": Case(
        [["EVENT:OCCURRENCE Admitted", "TIMEX3:DATE 2070-02-03", "SECTIME:ADMISSION 2070-02-03"]],
        ("1 tag without offsets",),
    ),
    "i2b2/x04_2014_risk_doclevel": Case([[]], ("2 tags without offsets",)),
    "label-studio/l01_json_min.json": Case(error="JSON-MIN, which does not say which annotations"),
    "label-studio/l02_cancelled_with_prediction.json": Case(
        [], ("1 task whose annotation was cancelled",)
    ),
    "label-studio/l03_unlabelled_with_prediction.json": Case(
        [["NAME Rosa Lind"]], ("1 task that nobody has annotated, left out (--predictions",)
    ),
    "label-studio/l04_ground_truth_second.json": Case(
        [["NAME Rosa Lind"]], ("1 annotation beside those that are ground truth",)
    ),
    "label-studio/l06_hypertext.json": Case(error="it labels HyperText, whose offsets are those"),
    "label-studio/l09_escaped_newline_text.json": Case([["NAME Rosa\nLind"]]),
    "label-studio/l11_two_texts_in_data.json": Case([["NAME Rosa Lind"]]),
    "label-studio/q17_two_text_fields.json": Case(
        [["NAME Rosa Lind"]], ("1 label of another field",)
    ),
    "pubtator/p02_biored_relation5.txt": Case(
        [["ChemicalEntity Zinc", "Disease colds"]], ("1 relation of PubTator",)
    ),
    "pubtator/p05_crlf_no_final_nl.txt": Case(
        [["Disease Colds"]], texts=["Zinc helps.\nColds end."]
    ),
    "spacy-jsonl/s01_answer_reject.jsonl": Case(
        [[ROSA]], ("1 document with the answer reject", "1 document with the answer ignore")
    ),
    "spacy-jsonl/s06_v2_training.json": Case([[ROSA]], texts=["Rosa came."]),
    "spacy-jsonl/s12_hf_tokens.jsonl": Case([["PER Rosa"]], ("1 text joined of tokens",)),
    "spacy-jsonl/s15_dup_entities.jsonl": Case(
        [[ROSA, "PERSON Rosa"]], ("1 annotation of a range that has the same label",)
    ),
    "spans/q12_pandas_floats.csv": Case([[ROSA], []]),
}
OTHER_CASES = {
    "label-studio predictions": (
        "label-studio/l02_cancelled_with_prediction.json",
        Case([["DRUG Ben"]], options={"predictions": True}),
    ),
    "label-studio field": (
        "label-studio/q17_two_text_fields.json",
        Case([["NAME Ben"]], options={"field": "title"}, texts=["Ben Note here now"]),
    ),
    "label-studio unknown field": (
        "label-studio/q17_two_text_fields.json",
        Case(error="The texts are in text, title.", options={"field": "body"}),
    ),
    "label-studio unknown annotator": (
        "label-studio/l04_ground_truth_second.json",
        Case(
            error="no annotation is by the annotator of --annotator. There are 1.",
            options={"annotator": "2"},
        ),
    ),
    "doccano ambiguous offsets": (
        "doccano/d09_emoji_grapheme.jsonl",
        Case(error="--offsets graphemes"),
    ),
    "conll numbers of tokens": (
        "conll/q08_conllu_mwt.conll",
        Case(error="such as --token-column 1"),
    ),
}
ALL = {name: (name, case) for name, case in EXPECTED.items()} | OTHER_CASES


@pytest.mark.skipif(not CASES.is_dir(), reason="the folder of shared cases is not here")
@pytest.mark.parametrize("name", ALL)
def test_a_shared_case_is_read_right(name: str) -> None:
    path, case = ALL[name]
    format_: CorpusFormat = path.partition("/")[0]  # type: ignore[assignment]
    options = replace(OPTIONS, **case.options)  # type: ignore[arg-type]
    losses = ConversionLosses()
    if case.error is not None:
        with pytest.raises(AnnoseqError) as caught:
            read_from(format_, CASES / path, losses=losses, options=options)
        assert case.error in str(caught.value)
        return
    documents = read_from(format_, CASES / path, losses=losses, options=options)
    spans = [
        [
            f"{one.label} {'…'.join(document.text[start:end] for start, end in one.fragments)}"
            for one in document.mentions
        ]
        for document in documents
    ]
    assert spans == case.spans
    if case.texts is not None:
        assert [document.text for document in documents] == case.texts
    for note in case.notes:
        assert any(line.startswith(note) for line in losses.lines()), losses.lines()


@pytest.mark.skipif(not CASES.is_dir(), reason="the folder of shared cases is not here")
def test_every_shared_case_is_tried() -> None:
    paths = [path for folder in CASES.iterdir() if folder.is_dir() for path in folder.iterdir()]
    assert {path.relative_to(CASES).as_posix() for path in paths} == EXPECTED.keys()
