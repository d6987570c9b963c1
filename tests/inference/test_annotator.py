from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.config import BatchConfig, DataConfig, SearchConfig
from annoseq.data.markup import Span, escape, parse
from annoseq.data.pairs import Pair, Pairs
from annoseq.errors import ModelError
from annoseq.inference.annotator import Annotator
from annoseq.models.model_config import ModelConfig
from annoseq.models.serialization import TrainedModel
from annoseq.tokenization.dataset import Dataset
from annoseq.tokenization.vocabulary import END, UNKNOWN
from tests.scripted import Scripted, as_network
from tests.tiny import tiny_learner

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from annoseq.inference.annotation import Annotation
    from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqTokenizer

FREE = SearchConfig(free=True)
ALL_TOKENS = DataConfig(min_frequency=1, split_by="row")
AMES = "Dr. Ames, 31y"
TAGGED = "a {{NAME}} b {{/NAME}} c"
TEXTS = [AMES, "", "Dr.  Ames\r\n\tZoë 😀", "x", "unknown words everywhere", "a {{NAME}} b"]


@pytest.fixture(scope="module")
def annotating() -> Dataset:
    """Few pairs, whose every token is known."""
    targets = [
        "Dr. {{NAME}}Ames{{/NAME}}, {{AGE}}31{{/AGE}}y",
        "Dr. Ames, 31y",
        escape(TAGGED),
    ]
    sources = [AMES, AMES, TAGGED]
    pairs = Pairs(
        (Pair(*pair, row) for row, pair in enumerate(zip(sources, targets, strict=True), 1)),
        name="few",
    )
    return Dataset.from_pairs(pairs, valid=pairs, config=ALL_TOKENS)


@pytest.fixture(scope="module")
def translating() -> Dataset:
    words = {"one two": "uno dos", "two": "dos", "one": "{{uno}} :"}
    pairs = Pairs((Pair(*pair, row) for row, pair in enumerate(words.items(), 1)), name="few")
    return Dataset.from_pairs(pairs, valid=pairs, config=ALL_TOKENS)


def scripted(dataset: Dataset, script: Sequence[Sequence[int]]) -> Annotator:
    """An annotator whose network writes `script[i]` for the i-th text."""
    learner, tokenizer = tiny_learner(dataset), dataset.tokenizer
    config = ModelConfig(
        task=tokenizer.task,
        length_stats=tokenizer.length_stats,
        fingerprint=dataset.fingerprint,
        data=dataset.config,
        network=learner.model_config,
        training=learner.config,
        batching=learner.batching,
        epochs=0,
    )
    network = as_network(Scripted(script, size=len(tokenizer.target)))
    return Annotator(TrainedModel(network, tokenizer, config))


def ids(tokenizer: Seq2SeqTokenizer, *tokens: str) -> list[int]:
    found = tokenizer.target.tokens_to_ids(tokens)
    assert UNKNOWN not in found
    return [*found, END]


def copied(tokenizer: Seq2SeqTokenizer, text: str) -> list[int]:
    return ids(tokenizer, *tokenizer.source.tokenize(text).tokens)


def write(annotator: Annotator, *texts: str) -> list[Annotation]:
    return annotator.annotate(texts, search=FREE, batching=BatchConfig(batch_size=2))


def test_results_are_in_the_order_given(annotating: Dataset) -> None:
    """Batches are made by length, so that the texts are written in another order."""
    texts = ["Dr", AMES, "", " Ames, 31", "y"]
    annotator = scripted(annotating, [copied(annotating.tokenizer, text) for text in texts])
    found = write(annotator, *texts)
    assert [one.text for one in found] == texts
    assert [one.annotated for one in found] == texts
    assert {one.spans for one in found} == {()}


def test_spans_are_those_of_the_text(annotating: Dataset) -> None:
    tokens = ["Dr", ".", "{{NAME}}", " Ames", "{{/NAME}}", ",", " 3", "1", "y"]
    (found,) = write(scripted(annotating, [ids(annotating.tokenizer, *tokens)]), AMES)
    assert found.annotated == "Dr. {{NAME}}Ames{{/NAME}}, 31y"
    assert found.spans == (Span(4, 8, "NAME"),)
    assert found.problem is None


def test_text_that_looks_like_tags_is_text(annotating: Dataset) -> None:
    (found,) = write(scripted(annotating, [copied(annotating.tokenizer, TAGGED)]), TAGGED)
    assert (found.spans, found.problem) == ((), None)
    assert found.annotated == escape(TAGGED) != TAGGED
    assert parse(found.annotated) == (TAGGED, [])


@pytest.mark.parametrize(
    ("tokens", "problem"),
    [
        (
            ["Dr", "{{NAME}}", " Ames"],
            "malformed: {{NAME}} is never closed, at character 3. Add {{/NAME}}.",
        ),
        (
            ["Dr", "{{/AGE}}"],
            "malformed: found {{/AGE}} where no closing tag was expected, at character 2. "
            "Close tags in the reverse of the order they were opened.",
        ),
        (["Dr", " Ames"], "the text was changed"),
        ([], "the text was changed"),
    ],
)
def test_a_problem_is_named(annotating: Dataset, tokens: list[str], problem: str) -> None:
    (found,) = write(scripted(annotating, [ids(annotating.tokenizer, *tokens)]), "Dr Dr")
    assert (found.text, found.spans, found.problem) == ("Dr Dr", None, problem)


def test_an_unknown_word_shows_as_one(annotating: Dataset) -> None:
    script = [[*ids(annotating.tokenizer, "Dr", ".")[:-1], UNKNOWN, END]]
    (found,) = write(scripted(annotating, script), "Dr. Strange")
    assert (found.annotated, found.problem) == ("Dr.<unk>", "the text was changed")


def test_a_translation_has_no_spans_and_no_problem(translating: Dataset) -> None:
    assert translating.tokenizer.task == "translate"
    script = [
        ids(translating.tokenizer, "uno", " dos"),
        ids(translating.tokenizer, " {{uno}}", ":"),
    ]
    annotator = scripted(translating, script)
    assert annotator.is_translator
    first, second = annotator.annotate(["one two", "one"])
    assert (first.annotated, first.spans, first.problem) == ("uno dos", None, None)
    assert (second.annotated, second.spans, second.problem) == ("{{uno}} :", None, None)


def test_a_trained_model_keeps_every_character(model_folder: Path) -> None:
    found = Annotator.load(model_folder).annotate(TEXTS)
    assert [one.text for one in found] == TEXTS
    for one in found:
        assert one.problem is None
        assert one.spans is not None
        assert parse(one.annotated)[0] == one.text


def test_an_annotation_does_not_depend_on_its_batch(model_folder: Path) -> None:
    annotator = Annotator.load(model_folder)
    for search in (SearchConfig(), FREE):
        together = annotator.annotate(TEXTS, search=search)
        for text, one in zip(TEXTS, together, strict=True):
            (alone,) = annotator.annotate([text], search=search)
            assert (alone.annotated, alone.problem) == (one.annotated, one.problem)
            assert alone.score == pytest.approx(one.score, abs=1e-4)


def test_no_texts_give_no_annotations(model_folder: Path) -> None:
    assert Annotator.load(model_folder).annotate([]) == []


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        Annotator.load(tmp_path / "nowhere")
    assert str(caught.value) == (
        f"{tmp_path / 'nowhere'}: there is no such folder. "
        "Give the folder that `annoseq train --out` wrote."
    )
