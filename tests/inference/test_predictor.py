from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.config import BatchConfig, DeviceConfig
from annoseq.data.examples import parse_pairs
from annoseq.data.markup import Span, strip_tags
from annoseq.data.pairs import Pair
from annoseq.devices import ComputeDevice
from annoseq.evaluation.token_accuracy import Accuracy, Ratio, measure_accuracy
from annoseq.inference.network_predictors import Seq2SeqGenerator, build_predictor, decode_rows
from annoseq.inference.predictor import (
    SpanQuery,
    TokenizedText,
    merge_outputs,
    predict_examples,
    predict_spans,
)
from annoseq.tokenization.batching import collate
from annoseq.tokenization.bioes import ScoredTokenSpans, TokenSpan
from annoseq.tokenization.vocabulary import END, PAD
from tests.fidelity import random_annotator
from tests.scripted import Scripted, as_network

if TYPE_CHECKING:
    from annoseq.inference.predictions import Predictions
    from annoseq.inference.predictor import SpanPredictor
    from annoseq.models.serialization import TrainedModel
    from annoseq.tokenization.dataset import Dataset

CPU = ComputeDevice.select(DeviceConfig(device="cpu"))


def run(trained: TrainedModel, dataset: Dataset, *, batch_size: int = 16) -> Predictions:
    predictor = build_predictor(trained.network, trained.tokenizer, CPU)
    batching = BatchConfig(batch_size=batch_size)
    return predict_examples(predictor, dataset.valid, batching=batching)


def test_they_are_in_the_order_of_the_set(trained: TrainedModel, dataset: Dataset) -> None:
    predictions = run(trained, dataset)
    assert [one.row for one in predictions] == [pair.row for pair in dataset.valid]
    assert [one.source for one in predictions] == [pair.source for pair in dataset.valid]
    assert [one.target for one in predictions] == [example.reference for example in dataset.valid]


def test_they_do_not_depend_on_the_batches(trained: TrainedModel, dataset: Dataset) -> None:
    together, alone = run(trained, dataset), run(trained, dataset, batch_size=1)
    assert list(together) == list(alone)
    assert together.accuracy.token == alone.accuracy.token
    assert together.accuracy.exact == alone.accuracy.exact


def test_every_output_stands_beside_its_own_row(dataset: Dataset) -> None:
    """A network that writes every target perfectly is perfect in every figure."""
    part, tokenizer = dataset.train, dataset.tokenizer
    encodings = dataset.encoded_train.encodings
    perfect = Scripted([[*row.target, END] for row in encodings], size=len(tokenizer.target))
    predictions = Seq2SeqGenerator(as_network(perfect), tokenizer, CPU).predict(
        part, batching=BatchConfig(batch_size=7)
    )
    for one, example in zip(predictions, encodings, strict=True):
        assert one.output == tokenizer.decode(example.target)
    assert predictions.accuracy.padded.value == 1
    assert predictions.accuracy.token.value == 1
    is_known = [1 not in example.target for example in encodings]
    assert 0 < sum(is_known) < len(is_known)
    assert predictions.accuracy.exact == Ratio(sum(is_known), len(is_known))
    exact = [one.is_exact for one in predictions]
    assert [known for known, ok in zip(is_known, exact, strict=True) if ok] == [True] * sum(exact)


def test_the_accuracy_is_summed_over_the_batches(dataset: Dataset) -> None:
    part, tokenizer = dataset.valid, dataset.tokenizer
    encodings = dataset.encoded_valid.encodings
    silent = Scripted([[END]] * len(part), size=len(tokenizer.target))
    predictions = Seq2SeqGenerator(as_network(silent), tokenizer, CPU).predict(
        part, batching=BatchConfig(batch_size=1)
    )
    expected = Accuracy()
    for row in range(len(part)):
        target = collate([row], encodings).target
        assert target is not None
        expected += measure_accuracy(target.new_full((1, 1), END), target)
    assert predictions.accuracy == expected
    assert {one.output for one in predictions} == {""}


def test_rows_are_decoded_up_to_their_end(dataset: Dataset) -> None:
    tokenizer = dataset.tokenizer
    first, second = 4, len(tokenizer.target) - 1
    ids = [[first, second, END, first], [second, PAD, first, END], [END, first, first, first]]
    target = collate([0], dataset.encoded_train.encodings).target
    assert target is not None
    assert decode_rows(target.new_tensor(ids), tokenizer) == [
        tokenizer.decode([first, second]),
        tokenizer.decode([second]),
        "",
    ]


@pytest.fixture(scope="module")
def tagger() -> SpanPredictor:
    model = random_annotator("nested tagger").model
    return build_predictor(model.network, model.tokenizer, CPU)


def scored(*spans: tuple[int, int, int], score: float = 0.0) -> ScoredTokenSpans:
    return ScoredTokenSpans([TokenSpan(*span, 0.0) for span in spans], score)


def test_a_text_is_cut_into_tokens_and_windows(tagger: SpanPredictor) -> None:
    text = tagger.tokenize("Dr. Ames\n" + "x y " * 90)
    assert text.offsets[:4] == [(0, 2), (2, 3), (3, 8), (8, 9)]
    assert len(text.windows) > 1
    for index, window in enumerate(text.windows):
        assert text.window_ids(index) == text.ids[window.first : window.last]
    assert "".join(text.text[start:end] for start, end in text.offsets) == text.text


def test_outputs_of_windows_are_merged(tagger: SpanPredictor) -> None:
    text = tagger.tokenize("Dr. Ames\n" + "x y " * 90)
    windows = text.windows[:1]
    (merged,) = merge_outputs(
        windows, [[scored((0, 3, 0), (2, 3, 1), score=-1.0)]], may_cross=False
    )
    assert merged.score == -1.0
    one_window = TokenizedText(text.text, text.offsets, text.ids, windows)
    assert one_window.to_text_spans(merged, labels=["A", "B"]) == [
        Span(0, 8, "A"),
        Span(4, 8, "B"),
    ]


def test_a_window_with_fewer_outputs_takes_part_with_its_last(tagger: SpanPredictor) -> None:
    first_window, second_window, *_ = tagger.tokenize("x y " * 200).windows
    name = (first_window.owned_first, first_window.owned_first + 1, 0)
    first, second = merge_outputs(
        [first_window, second_window],
        [[scored(name, score=-1.0)], [scored(score=-2.0), scored(score=-3.0)]],
        may_cross=False,
    )
    assert (len(first.spans), first.score) == (1, -3.0)
    assert (len(second.spans), second.score) == (1, -4.0)


@pytest.mark.parametrize("text", ["", "\n", "\r\n\n"])
def test_a_text_without_a_window_has_one_empty_output(text: str) -> None:
    assert merge_outputs([], [], may_cross=False) == [ScoredTokenSpans([], 0.0)]
    assert random_annotator("nested tagger").annotate(text).annotated == text


def test_candidates_include_the_spans_of_the_best_path(tagger: SpanPredictor) -> None:
    texts = [tagger.tokenize("Dr. Ames, 31y " * 20)]
    (best,), (candidates,) = (
        predict_spans(tagger, texts, query)[0] for query in (SpanQuery(), SpanQuery(floor=1e-4))
    )
    places = {span[:3] for span in candidates.spans}
    likely = [span for span in best.spans if span.score > -2 and span.last - span.first == 1]
    assert {span[:3] for span in likely} <= places
    assert len(candidates.spans) > len(best.spans)


def test_a_tagger_predicts_examples_by_its_spans(tagger: SpanPredictor) -> None:
    targets = ["Dr. {{A}}Ames{{/A}} left.", "\n.", "no span at all"]
    pairs = [Pair(strip_tags(target), target, row) for row, target in enumerate(targets, 4)]
    examples = parse_pairs(pairs, task="annotate").examples
    predictions = predict_examples(tagger, examples)
    annotated = random_annotator("nested tagger").annotate([pair.source for pair in pairs])
    assert [one.output for one in predictions] == [one.annotated for one in annotated]
    assert [one.row for one in predictions] == [4, 5, 6]
    assert predictions.accuracy.exact.total == 3


def test_capabilities_tell_models_apart(tagger: SpanPredictor) -> None:
    model = random_annotator("flat").model
    seq2seq = build_predictor(model.network, model.tokenizer, CPU)
    assert (tagger.gives_marginals, tagger.generator) == (True, None)
    assert not seq2seq.gives_marginals
    assert seq2seq.generator is not None
    assert (tagger.default_batching.batch_size, seq2seq.default_batching.batch_size) == (256, 64)
