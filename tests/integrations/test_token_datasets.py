from __future__ import annotations

import sys
from typing import Any

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annoseq.data.pairs import Pair, Pairs
from annoseq.errors import FormatError, OptionError
from annoseq.formats.capabilities import ConversionLosses
from annoseq.integrations.token_datasets import (
    from_span_dataset,
    from_token_dataset,
    to_span_dataset,
    to_token_dataset,
)

FLAT = [
    " Dr. {{NAME:DOCTOR}}Ames{{/NAME:DOCTOR}}, {{AGE}}31{{/AGE}}yo\n",
    "Zoë  {{NAME:PATIENT}}Ann Lee{{/NAME:PATIENT}} 👍🏽 {\\{x}}",
    "nothing",
]
NESTED = "{{A}}Royal {{B}}Bath{{/B}} Hospital{{/A}}"


def pairs(*targets: str) -> Pairs:
    from annoseq.data.markup import parse

    rows = [Pair(parse(target)[0], target, row) for row, target in enumerate(targets, 1)]
    return Pairs(rows, name="some")


def tagged(tags: Any, *, text: list[str] | None = None, names: list[str] | None = None) -> Any:
    columns = {"tokens": [["Dr", "Ames", "of", "Bath"]], "ner_tags": [tags]}
    if text is not None:
        columns["text"] = text
    table = datasets.Dataset.from_dict(columns)
    if names is not None:
        table = table.cast_column("ner_tags", datasets.Sequence(datasets.ClassLabel(names=names)))
    return table


def test_pairs_are_a_dataset_and_back() -> None:
    some = Pairs([Pair("a", "{{X}}a{{/X}}", 1, "d", 3), Pair("b", "b", 2)], name="some")
    table = some.to_dataset()
    assert table.column_names == ["orig_text", "annotated_text", "doc_id", "start"]
    again = Pairs.from_dataset(table.select([0]))
    assert again[0] == some[0]
    plain = pairs(*FLAT).to_dataset()
    assert plain.column_names == ["orig_text", "annotated_text"]
    assert list(Pairs.from_dataset(plain)) == list(pairs(*FLAT))


def test_tokens_with_tags_and_back_are_the_same_pairs() -> None:
    some = pairs(*FLAT)
    table = to_token_dataset(some)
    assert table[0]["tokens"] == ["Dr", ".", "Ames", ",", "31", "yo"]
    names = table.features["ner_tags"].feature.names
    assert names == ["O", "B-AGE", "I-AGE", "B-NAME:DOCTOR", "I-NAME:DOCTOR", "B-NAME:PATIENT",
                     "I-NAME:PATIENT"]  # fmt: skip
    assert [names[tag] for tag in table[1]["ner_tags"]][:3] == ["O", *names[5:7]]
    assert list(from_token_dataset(table, text="text")) == list(some)
    joined = from_token_dataset(table)
    assert joined[0].target == "Dr . {{NAME:DOCTOR}}Ames{{/NAME:DOCTOR}} , {{AGE}}31{{/AGE}} yo"


def test_texts_with_spans_and_back_are_the_same_pairs() -> None:
    some = pairs(*FLAT, NESTED)
    table = to_span_dataset(some)
    assert table[3]["spans"] == [
        {"start": 0, "end": 19, "label": "A"}, {"start": 6, "end": 10, "label": "B"},
    ]  # fmt: skip
    assert list(from_span_dataset(table)) == list(some)


@given(
    st.text(alphabet=" \n\tab.é👍", max_size=12), st.text(alphabet="xy z", min_size=1, max_size=5)
)
def test_any_text_survives(around: str, covered: str) -> None:
    if not covered.strip():
        return
    some = pairs(f"{around}{{{{X}}}}{covered.strip()}{{{{/X}}}}{around}")
    assert list(from_token_dataset(to_token_dataset(some), text="text")) == list(some)


@pytest.mark.parametrize(
    "tags",
    [
        ["O", "B-NAME", "O", "B-CITY"],
        ["O", "I-NAME", "O", "I-CITY"],
        ["O", "S-NAME", "O", "U-CITY"],
    ],
)
def test_tags_by_name_and_by_number_are_read(tags: list[str]) -> None:
    expected = "Dr {{NAME}}Ames{{/NAME}} of {{CITY}}Bath{{/CITY}}"
    (by_name,) = from_token_dataset(tagged(tags))
    assert by_name.target == expected
    names = sorted(set(tags))
    (by_number,) = from_token_dataset(tagged([names.index(tag) for tag in tags], names=names))
    assert by_number.target == expected


def test_documents_are_those_of_a_column() -> None:
    table = tagged(["O"] * 4).add_column("note", ["n7"])
    assert from_token_dataset(table, document="note")[0].document == "n7"


def test_nested_spans_are_refused_or_counted() -> None:
    with pytest.raises(FormatError, match=r"tags of tokens cannot hold this: .*row 1.*span_datas"):
        to_token_dataset(pairs(NESTED))
    losses = ConversionLosses()
    table = to_token_dataset(pairs(NESTED), losses=losses)
    assert len(losses) == 1
    assert table.features["ner_tags"].feature.names == ["O", "B-A", "I-A"]


def test_labels_may_be_given_in_their_order() -> None:
    table = to_token_dataset(pairs("{{B}}x{{/B}}"), labels=["B", "A"])
    assert table.features["ner_tags"].feature.names == ["O", "B-B", "I-B", "B-A", "I-A"]
    with pytest.raises(FormatError, match="the pairs have the label 'B', which is not among them"):
        to_token_dataset(pairs("{{B}}x{{/B}}"), labels=["A"])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (tagged([0, 1, 0, 0]), "row 1: found a tag that is a number, and the features do not"),
        (tagged(["O"]), "row 1: found 1 tag of 4 tokens. Give each token one"),
        (tagged(["X"] * 4), "row 1: the tag holds neither O nor a prefix"),
        (tagged(["O"] * 4, text=["Dr Ames"]), "row 1: token 3 does not follow the others"),
    ],
)
def test_rows_of_tokens_that_cannot_be_read_are_named(table: Any, message: str) -> None:
    text = "text" if "text" in table.column_names else None
    with pytest.raises(FormatError, match=message):
        from_token_dataset(table, text=text)


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ([{"start": 0, "end": 99, "label": "A"}], "row 1: span 1: found the offsets 0 to 99"),
        ([{"start": 0, "end": 1}], "row 1: span 1: there is no 'label'"),
    ],
)
def test_spans_that_cannot_be_read_are_named(spans: Any, message: str) -> None:
    table = datasets.Dataset.from_dict({"text": ["Xanthippe"], "spans": [spans]})
    with pytest.raises(FormatError, match=message) as caught:
        from_span_dataset(table)
    assert "Xanthippe" not in str(caught.value)


def test_spans_that_tags_cannot_write_are_refused_or_counted() -> None:
    spans = [{"start": 0, "end": 5, "label": "A"}, {"start": 3, "end": 9, "label": "B C"}]
    table = datasets.Dataset.from_dict({"text": ["Xanthippe"], "spans": [spans]})
    with pytest.raises(FormatError, match=r"pairs cannot hold this: .*row 1.* Correct the datas"):
        from_span_dataset(table)
    losses = ConversionLosses()
    (pair,) = from_span_dataset(table, losses=losses)
    assert pair.target == "{{A}}Xanth{{/A}}ippe"
    assert len(losses) == 2


def test_columns_and_splits_are_checked() -> None:
    table = tagged(["O"] * 4)
    with pytest.raises(OptionError, match=r"has no column 'tags'\. It has 'tokens', 'ner_tags'"):
        from_token_dataset(table, tags="tags")
    with pytest.raises(OptionError, match=r'Name one, such as dataset\["train"\]'):
        from_span_dataset(datasets.DatasetDict({"train": table}))


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    for make in (to_span_dataset, to_token_dataset, Pairs.to_dataset):
        with pytest.raises(OptionError, match=r"pip install 'annoseq\[datasets\]'"):
            make(pairs("x"))
