from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from annoseq.config import BatchConfig, DeviceConfig
from annoseq.data.examples import parse_pairs
from annoseq.data.markup import Span, strip_tags
from annoseq.data.pairs import Pair
from annoseq.devices import ComputeDevice
from annoseq.errors import ModelError, OptionError
from annoseq.evaluation.coverage import CoverageTarget
from annoseq.evaluation.recall_thresholds import RecallTarget
from annoseq.evaluation.token_accuracy import Accuracy, Ratio, measure_accuracy
from annoseq.inference.annotation import extend_coverage
from annoseq.inference.annotator import Annotator
from annoseq.inference.network_predictors import Seq2SeqGenerator, build_predictor, decode_rows
from annoseq.inference.predictor import (
    SpanQuery,
    TokenizedText,
    merge_outputs,
    predict_examples,
    predict_spans,
)
from annoseq.models.serialization import TrainedModel
from annoseq.tokenization.batching import collate
from annoseq.tokenization.bioes import ScoredTokenSpans, TokenSpan
from annoseq.tokenization.vocabulary import END, PAD
from tests.calibrated import TIGHT, calibrated_model, calibration_statistics, pairs
from tests.fidelity import NESTED, ONE_PASS, annotate, hard_texts, random_annotator
from tests.models.test_serialization import replace_file
from tests.scripted import Scripted, as_network

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from annoseq.inference.annotation import Annotation
    from annoseq.inference.predictions import Predictions
    from annoseq.inference.predictor import SpanPredictor
    from annoseq.tokenization.batching import TokenIds
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
    (text,) = tagger.tokenize(["Dr. Ames\n" + "x y " * 90])
    offsets = np.array(text.offsets).tolist()
    assert offsets[:4] == [[0, 2], [2, 3], [3, 8], [8, 9]]
    assert len(text.windows) > 1
    for index, window in enumerate(text.windows):
        assert list(text.window_ids(index)) == list(text.ids)[window.first : window.last]
    assert "".join(text.text[start:end] for start, end in offsets) == text.text


def test_outputs_of_windows_are_merged(tagger: SpanPredictor) -> None:
    (text,) = tagger.tokenize(["Dr. Ames\n" + "x y " * 90])
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
    first_window, second_window, *_ = tagger.tokenize(["x y " * 200])[0].windows
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
    texts = tagger.tokenize(["Dr. Ames, 31y " * 20])
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


NAMES = ("flat tagger", "nested tagger")
every_tagger = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def annotators() -> dict[str, Annotator]:
    return {name: Annotator(calibrated_model(name)) for name in NAMES}


def recall_target(annotator: Annotator, share: float) -> RecallTarget:
    target = annotator.choose_target(target_recall=share)
    assert isinstance(target, RecallTarget)
    return target


@pytest.fixture(scope="module")
def cautious() -> dict[str, Annotator]:
    return {name: Annotator(calibrated_model(name, is_cautious=True)) for name in NAMES}


def read(annotator: Annotator, texts: list[str], target_recall: float | None) -> list[Annotation]:
    return annotator.annotate(
        texts,
        batching=BatchConfig(batch_size=512, batch_tokens=16_384),
        target_recall=target_recall,
        advance=lambda _: None,
    )


@every_tagger
def test_more_spans_are_marked_and_no_text_is_changed(
    name: str, annotators: dict[str, Annotator]
) -> None:
    texts = ["Dr. Ames, 31y " * 60, *hard_texts(12, seed="recall")]
    few, many = (read(annotators[name], texts, share) for share in (0.05, 0.95))
    for one in (*few, *many):
        assert not one.is_changed
        assert one.score <= 0
        assert all(span.score is not None and 0 < span.score < 1 for span in one.spans or ())
    counts = [sum(len(one.spans or ()) for one in some) for some in (few, many)]
    assert counts[0] < counts[1]
    assert max(one.windows for one in many) > 1
    threshold = recall_target(annotators[name], 0.95).threshold
    least = annotators[name].calibrate_score(threshold)
    assert all(span.score >= least for one in many for span in one.spans or () if span.score)
    assert read(annotators[name], texts, 0.95) == many


@every_tagger
def test_the_likeliest_spans_stay_what_they_are_with_probabilities(
    name: str, annotators: dict[str, Annotator]
) -> None:
    texts = list(hard_texts(20, seed="calibrated"))
    before = annotate(name, ONE_PASS, texts)
    after = read(annotators[name], texts, None)
    assert [one.annotated for one in after] == [one.annotated for one in before]
    scores = [
        (old.score, new.score)
        for one, other in zip(before, after, strict=True)
        for old, new in zip(one.spans or (), other.spans or (), strict=True)
    ]
    assert len(scores) > 5
    for old, new in scores:
        assert old is not None
        assert new == pytest.approx(annotators[name].calibrate_score(old))
    ranked = [new or 0.0 for _, new in sorted((old or 0.0, new or 0.0) for old, new in scores)]
    assert ranked == sorted(ranked)


def test_recall_is_kept_on_the_rows_that_chose(annotators: dict[str, Annotator]) -> None:
    rows = pairs()
    annotator = annotators["flat tagger"]
    target = recall_target(annotator, 0.5)
    found = read(annotator, [pair.source for pair in rows], 0.5)
    assert sum(len(one.spans or ()) for one in found) == target.expected.kept


def cover(annotator: Annotator, texts: list[str], target_coverage: float) -> list[Annotation]:
    return annotator.annotate(texts, target_coverage=target_coverage, advance=lambda _: None)


def characters(annotation: Annotation) -> set[int]:
    return {at for span in annotation.spans or () for at in range(span.start, span.end)}


@every_tagger
def test_coverage_adds_to_the_likeliest_spans_and_changes_no_text(
    name: str, cautious: dict[str, Annotator]
) -> None:
    texts = ["Dr. Ames, 31y " * 60, "", "\n", *hard_texts(12, seed="coverage")]
    annotator = cautious[name]
    best = read(annotator, texts, None)
    few, many = (cover(annotator, texts, share) for share in (0.3, 0.97))
    for likeliest, fewer, more in zip(best, few, many, strict=True):
        assert not fewer.is_changed
        assert not more.is_changed
        assert characters(likeliest) <= characters(fewer) <= characters(more)
        assert all(0 < (span.score or 0) <= 1 for span in more.spans or ())
    assert sum(map(len, map(characters, few))) < sum(map(len, map(characters, many)))
    assert cover(annotator, texts, 0.97) == many


class CountingPredictor:
    """A predictor that counts the batches that it is given."""

    def __init__(self, predictor: SpanPredictor) -> None:
        self._predictor = predictor
        self.batches = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._predictor, name)

    def predict_batch(
        self, windows: Sequence[TokenIds], query: SpanQuery, *, names: Sequence[str]
    ) -> list[list[ScoredTokenSpans]]:
        self.batches += 1
        return self._predictor.predict_batch(windows, query, names=names)


@every_tagger
def test_annotations_and_their_coverage_scores_come_from_one_pass(
    name: str, cautious: dict[str, Annotator]
) -> None:
    texts = ["Dr. Ames, 31y", "", *hard_texts(12, seed="one pass")]
    annotator = Annotator(cautious[name].model)
    target = annotator.choose_target(target_coverage=0.6)
    assert isinstance(target, CoverageTarget)
    counting = CountingPredictor(annotator.predictor)
    annotator.predictor = cast("SpanPredictor", counting)
    for chosen in (None, target):
        counting.batches = 0
        annotated = annotator.annotate(texts, target=chosen)
        batches, counting.batches = counting.batches, 0
        scored = annotator.annotate_with_coverage(texts)
        assert counting.batches == batches
        assert annotated == [
            extend_coverage(annotation, parts, chosen) if chosen else annotation
            for annotation, parts in scored
        ]
        assert [parts for _, parts in scored] == annotator.score_coverage(texts)


@every_tagger
def test_coverage_is_kept_on_the_rows_that_chose(name: str, cautious: dict[str, Annotator]) -> None:
    rows = pairs(targets=NESTED if "nested" in name else TIGHT)
    annotator = cautious[name]
    target = annotator.choose_target(target_coverage=0.6)
    assert isinstance(target, CoverageTarget)
    assert target.expected.coverage >= 0.6
    examples = parse_pairs(rows, task="annotate").examples
    annotations = cover(annotator, [example.source for example in examples], 0.6)
    covered = sum(
        {at for at in range(span.start, span.end) if not example.source[at].isspace()}
        <= characters(annotation)
        for example, annotation in zip(examples, annotations, strict=True)
        for span in set(example.tight_spans)
    )
    assert covered == target.expected.covered


def test_recall_and_coverage_are_not_asked_for_together(annotators: dict[str, Annotator]) -> None:
    with pytest.raises(OptionError) as caught:
        annotators["flat tagger"].annotate(["Ames"], target_recall=0.9, target_coverage=0.9)
    assert str(caught.value) == (
        "--target-recall and --target-coverage are two ways to mark more. Leave one off: recall is "
        "for spans with exact edges, coverage for text that is to be hidden."
    )


def test_a_writer_has_no_coverage() -> None:
    for ask in (
        lambda: random_annotator("flat").score_coverage(["Ames"]),
        lambda: random_annotator("flat").annotate("Ames", target_coverage=0.9),
    ):
        with pytest.raises(OptionError, match="--target-coverage is for taggers, which know"):
            ask()


def refusal(annotator: Annotator, target_recall: float) -> str:
    with pytest.raises(OptionError) as caught:
        annotator.annotate(["Dr. Ames"], target_recall=target_recall)
    return str(caught.value)


def test_who_cannot_say_refuses(annotators: dict[str, Annotator]) -> None:
    assert refusal(random_annotator("flat"), 0.9) == (
        "--target-recall is for taggers, which know the chance of every span, and this model "
        "writes its output. Leave it off, or train a model with --model tagger."
    )
    assert refusal(random_annotator("flat tagger"), 0.9) == (
        "--target-recall needs calibration.json in the model folder, and this model has none: it "
        "was validated on fewer than 100 spans, or trained by an older version. Leave it off, or "
        "train again with more rows."
    )
    assert refusal(annotators["flat tagger"], 1.0) == (
        "a recall of 1 was asked for. Give a share between 0 and 1, such as 0.99."
    )


def test_calibration_is_saved_with_the_model(tmp_path: Path) -> None:
    model = calibrated_model()
    model.save(tmp_path / "model", card="")
    again = TrainedModel.load(tmp_path / "model")
    assert again.calibration == model.calibration
    again.save(tmp_path / "again", card="")
    for name in ("calibration.json", "config.json"):
        one, other = (tmp_path / folder / name for folder in ("model", "again"))
        assert one.read_bytes() == other.read_bytes()
    assert model.calibration is not None
    content = (tmp_path / "model" / "calibration.json").read_text()
    assert content == model.calibration.model_dump_json()


def test_a_damaged_calibration_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    calibrated_model().save(folder, card="")
    path = folder / "calibration.json"
    content = path.read_bytes()
    path.write_bytes(content[:-9])
    with pytest.raises(ModelError) as caught:
        Annotator.load(folder)
    assert str(caught.value) == (
        f"{folder}: calibration.json is not the file that was saved with this model. "
        "Copy the whole folder again, or train again."
    )
    replace_file(folder, "calibration.json", content.replace(b'"rows"', b'"lines"'))
    with pytest.raises(
        ModelError, match=r": calibration\.json is damaged or of another version \(ro"
    ):
        Annotator.load(folder)
    path.unlink()
    with pytest.raises(ModelError, match=r"calibration\.json cannot be read: No such file"):
        Annotator.load(folder)


def test_too_few_spans_are_not_calibrated() -> None:
    assert calibration_statistics(rows=pairs(40)) is None
    assert calibration_statistics(rows=[replace(pair, document="one") for pair in pairs()]) is None


def test_calibration_statistics_hold_no_word_of_the_texts() -> None:
    statistics = calibrated_model("nested tagger").calibration
    assert statistics is not None
    assert statistics.rows == 80
    candidates = statistics.candidates
    assert candidates.curves.keys() | candidates.missed.keys() <= {"A", "B", "C"}
    assert "Ames" not in statistics.model_dump_json()
