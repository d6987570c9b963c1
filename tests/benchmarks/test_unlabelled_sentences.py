"""Unlabelled sentences, of documents that hold no dev row."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from benchmarks import unlabelled_sentences
from tests.benchmarks.sample_corpora import write_corpora

if TYPE_CHECKING:
    from pathlib import Path


def test_sentences_of_documents_without_dev_rows(tmp_path: Path) -> None:
    data = write_corpora(tmp_path / "data", "bc5cdr", "ncbi_disease")
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.txt").write_text("A first sentence of some thirty letters. Short one. 3.5 mg.\n")
    entry = {
        "QUESTION": "Does a first sentence of some thirty letters occur?",
        "CONTEXTS": ["A first sentence of some thirty letters."],
        "LONG_ANSWER": "It does, in the document before this one.",
    }
    (tmp_path / "pqal.json").write_text(json.dumps({"1": entry}))
    options = [str(folder), "--data", str(data), "--out", str(tmp_path / "out.csv")]
    assert unlabelled_sentences.main([*options, "--pubmedqa", str(tmp_path / "pqal.json")]) == 0
    assert (tmp_path / "out.csv").read_text().splitlines() == [
        "orig_text",
        "A first sentence of some thirty letters.",
        "Does a first sentence of some thirty letters occur?",
        '"It does, in the document before this one."',
    ]


def test_documents_with_a_dev_row_are_left_out() -> None:
    documents = ["A sentence of the dev rows is here. And one that is of no corpus at all."]
    dev, train = ["a sentence of the dev rows is here"], ["Another one, of training."]
    assert unlabelled_sentences.keep_sentences(documents, dev=dev, train=train) == ([], 1)
    assert unlabelled_sentences.keep_sentences(documents, dev=(), train=dev) == (
        ["And one that is of no corpus at all."],
        0,
    )


def test_sentences_of_treebanks(tmp_path: Path) -> None:
    data = write_corpora(tmp_path / "data", "gum_open")
    (tmp_path / "a.conllu").write_text(
        "# newdoc id = a\n# text = One sentence of a treebank, of its own.\n1\tOne\t_\n\n"
        "# text = And another one, from the same document.\n"
    )
    options = [str(tmp_path), "--corpora", "gum_open", "--data", str(data)]
    assert unlabelled_sentences.main([*options, "--out", str(tmp_path / "out.csv")]) == 0
    assert (tmp_path / "out.csv").read_text().splitlines() == [
        "orig_text",
        '"One sentence of a treebank, of its own."',
        '"And another one, from the same document."',
    ]


def test_what_is_quoted_of_an_abstract_is_one_document(tmp_path: Path) -> None:
    def snippet(document: str, text: str) -> dict[str, str]:
        return {"document": document, "text": text}

    first = {"snippets": [snippet("1", "One sentence of the abstract."), snippet("2", "Another.")]}
    paths = [tmp_path / "b.json", tmp_path / "a.json"]
    for path, question in zip(paths, (first, {"body": "?"}), strict=True):
        path.write_text(json.dumps({"questions": [question]}))
    paths.append(tmp_path / "c.json")
    paths[-1].write_text(json.dumps({"questions": [{"snippets": [snippet("1", "A second one.")]}]}))
    assert list(unlabelled_sentences.read_bioasq(paths)) == [
        "One sentence of the abstract.\nA second one.",
        "Another.",
    ]


def test_answers_about_diseases(tmp_path: Path) -> None:
    (tmp_path / "1_QA").mkdir()
    (tmp_path / "1_QA" / "1.xml").write_text(
        "<Document><Focus>Gout</Focus><Synonym>Podagra</Synonym><QAPairs><QAPair>"
        "<Question>What is gout?</Question><Answer>It is a form of arthritis.</Answer>"
        "<Answer/></QAPair></QAPairs></Document>"
    )
    assert list(unlabelled_sentences.read_medquad(tmp_path)) == [
        "Gout\nPodagra\nIt is a form of arthritis.\n"
    ]
