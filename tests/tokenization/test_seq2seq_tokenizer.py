from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings

from annoseq.data.markup import Span, render, strip_tags
from annoseq.data.pairs import Pair
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqEncoding, Seq2SeqTokenizer
from annoseq.tokenization.vocabulary import SPECIALS, UNKNOWN
from tests.data.strategies import annotated_texts, texts
from tests.tokenization.tables import EVERYTHING, LETTERS, pairs_of, parsed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from annoseq.config import Task

THOROUGH = settings(max_examples=100, deadline=None)
ANNOTATE = Seq2SeqTokenizer.fit(parsed(LETTERS), task="annotate", config=EVERYTHING)
REVERSED = [Pair(pair.target, pair.source, pair.row) for pair in LETTERS]
TRANSLATE = Seq2SeqTokenizer.fit(parsed(REVERSED, "translate"), task="translate", config=EVERYTHING)


def fitted(pairs: Sequence[Pair], task: Task) -> Seq2SeqTokenizer:
    return Seq2SeqTokenizer.fit(parsed(pairs, task), task=task, config=EVERYTHING)


def test_the_labels_are_those_of_the_pairs_in_order() -> None:
    assert ANNOTATE.labels == ("AGE", "DATE", "NAME")
    assert ANNOTATE.target.tokens[: len(SPECIALS) + 6] == [
        *SPECIALS,
        *["{{AGE}}", "{{/AGE}}", "{{DATE}}", "{{/DATE}}", "{{NAME}}", "{{/NAME}}"],
    ]
    assert not any(token.startswith("{{") for token in ANNOTATE.source.tokens)


def test_the_target_of_annotating_is_the_sources_own_tokens_and_tags() -> None:
    (example,) = parsed(pairs_of(("Dr. Wu, 31y", "Dr. {{NAME}}Wu{{/NAME}}, 31y")))
    row = ANNOTATE.tokenize(example)
    assert row.source == ["Dr", ".", " Wu", ",", " 3", "1", "y"]
    assert row.target == ["Dr", ".", "{{NAME}}", " Wu", "{{/NAME}}", ",", " 3", "1", "y"]
    assert row.misaligned == 0


def test_translating_takes_tags_as_single_tokens_on_either_side() -> None:
    (example,) = parsed(pairs_of(("to {{NAME}}Wu{{/NAME}}", "to Wu")), "translate")
    row = TRANSLATE.tokenize(example)
    assert row.source == ["to", "{{NAME}}", " Wu", "{{/NAME}}"]
    assert row.target == ["to", " Wu"]
    assert TRANSLATE.labels == ()


@THOROUGH
@given(annotated_texts())
def test_annotations_survive_ids(annotation: tuple[str, list[Span]]) -> None:
    text, spans = annotation
    pairs = pairs_of((text, render(text, spans)))
    tokenizer = fitted(pairs, "annotate")
    (example,) = parsed(pairs)
    row = tokenizer.tokenize(example)
    output = tokenizer.decode(tokenizer.encode(row).target)
    assert strip_tags(output) == strip_tags(example.reference) == text
    if not row.misaligned:
        assert output == example.reference


@THOROUGH
@given(texts, annotated_texts())
def test_translations_survive_ids(text: str, annotation: tuple[str, list[Span]]) -> None:
    annotated = render(*annotation)
    for pairs in (pairs_of((text, annotated)), pairs_of((annotated, text))):
        tokenizer = fitted(pairs, "translate")
        (example,) = parsed(pairs, "translate")
        row = tokenizer.tokenize(example)
        output = tokenizer.decode(tokenizer.encode(row).target)
        assert output == example.reference == pairs[0].target


def test_a_token_of_another_text_is_unknown_and_decodes_to_its_name() -> None:
    example = ANNOTATE.encode_source("Dear Zoe")
    assert example == Seq2SeqEncoding([ANNOTATE.source.ids["Dear"], UNKNOWN], [])
    ids = [*ANNOTATE.target.tokens_to_ids(["Dear", "{{NAME}}", " Zoe", "{{/NAME}}"])]
    assert ANNOTATE.decode(ids) == "Dear{{NAME}}<unk>{{/NAME}}"


def test_rare_tokens_are_unknown_by_default() -> None:
    pairs = pairs_of(("a b", "{{A}}a{{/A}} b"), ("a c", "{{A}}a{{/A}} c"))
    tokenizer = Seq2SeqTokenizer.fit(
        parsed(pairs), task="annotate", config=EVERYTHING.model_copy(update={"min_frequency": 2})
    )
    assert tokenizer.source.tokens[len(SPECIALS) :] == ["a"]
    assert tokenizer.target.tokens[len(SPECIALS) :] == ["{{A}}", "{{/A}}", "a"]


def test_outputs_may_be_as_long_as_the_training_pairs_say() -> None:
    # 1 token and the end symbol become 3 and the end symbol; nothing else grows as much.
    tokenizer = fitted(pairs_of(("a", "{{A}}a{{/A}}"), ("b c d", "b c d")), "annotate")
    assert tokenizer.output_limits(torch.tensor([1, 2, 5])).tolist() == [2, 4, 10]


@pytest.mark.parametrize("tokenizer", [ANNOTATE, TRANSLATE])
def test_no_training_target_is_longer_than_its_limit(tokenizer: Seq2SeqTokenizer) -> None:
    pairs = LETTERS if tokenizer is ANNOTATE else REVERSED
    examples = parsed(pairs, tokenizer.task)
    rows = [*map(tokenizer.tokenize, examples)]
    limits = tokenizer.output_limits(torch.tensor([len(row.source) + 1 for row in rows])).tolist()
    assert all(len(row.target) + 1 <= limit for row, limit in zip(rows, limits, strict=True))


def test_encodings_are_in_the_order_of_the_examples() -> None:
    examples = parsed(LETTERS)
    encodings, misaligned, dropped, blank = ANNOTATE.encode_examples(examples)
    assert [ANNOTATE.decode(encoding.target) for encoding in encodings] == [
        example.reference for example in examples
    ]
    assert misaligned == dropped == blank == 0


def test_misaligned_spans_are_counted_over_all_examples() -> None:
    cut = ("Ames", "{{NAME}}Am{{/NAME}}es")
    examples = parsed(pairs_of(cut, ("Ames", "Ames"), cut))
    assert ANNOTATE.encode_examples(examples).misaligned == 2


@pytest.mark.parametrize("tokenizer", [ANNOTATE, TRANSLATE])
def test_what_is_saved_is_what_is_loaded(tokenizer: Seq2SeqTokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path)
    again = Seq2SeqTokenizer.load(
        tmp_path, task=tokenizer.task, length_stats=tokenizer.length_stats
    )
    assert again.signature() == tokenizer.signature()
    assert (again.labels, again.length_stats, again.task) == (
        tokenizer.labels,
        tokenizer.length_stats,
        tokenizer.task,
    )
    pairs = LETTERS if tokenizer is ANNOTATE else REVERSED
    examples = parsed(pairs, tokenizer.task)
    assert [*map(again.tokenize, examples)] == [*map(tokenizer.tokenize, examples)]
    (tmp_path / "again").mkdir()
    again.save(tmp_path / "again")
    for name in ("source.json", "target.json", "labels.json"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / name).read_bytes()


def test_the_signature_changes_with_what_an_id_means() -> None:
    others = [
        fitted(pairs_of(("a", "{{A}}a{{/A}}")), "annotate"),
        fitted(pairs_of(("a", "{{B}}a{{/B}}")), "annotate"),
        fitted(pairs_of(("b", "{{A}}b{{/A}}")), "annotate"),
        fitted(pairs_of(("a", "a")), "annotate"),
        fitted(pairs_of(("a", "a")), "translate"),
    ]
    assert len({tokenizer.signature() for tokenizer in [*others, ANNOTATE, TRANSLATE]}) == 7


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("labels.json", b'["NAME"]', "labels.json does not fit target.json"),
        ("labels.json", b'["NAME", "DATE", "AGE"]', "labels.json does not fit target.json"),
        ("labels.json", b"5", "labels.json: not a list of labels"),
        ("labels.json", b"[1]", "labels.json: not a list of labels"),
        ("labels.json", b'{"NAME": 1}', "labels.json: not a list of labels"),
        ("labels.json", b"[", "labels.json: Expecting value: line 1 column 2 (char 1)"),
        ("labels.json", b"\xff", "labels.json: 'utf-8' codec can't decode byte 0xff"),
        ("source.json", b"{}", "source.json: not a tokenizer file: Model missing."),
        ("target.json", b"", "target.json: not a tokenizer file: EOF while parsing"),
        ("target.json", b"\xff", "target.json: 'utf-8' codec can't decode byte 0xff"),
    ],
)
def test_a_damaged_file_is_named(file: str, content: bytes, message: str, tmp_path: Path) -> None:
    ANNOTATE.save(tmp_path)
    (tmp_path / file).write_bytes(content)
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        Seq2SeqTokenizer.load(tmp_path, task="annotate", length_stats=ANNOTATE.length_stats)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    ANNOTATE.save(tmp_path)
    (tmp_path / "target.json").unlink()
    with pytest.raises(FileNotFoundError) as caught:
        Seq2SeqTokenizer.load(tmp_path, task="annotate", length_stats=ANNOTATE.length_stats)
    assert caught.value.filename == str(tmp_path / "target.json")
