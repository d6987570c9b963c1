"""`annoseq evaluate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from annoseq.cli.coverage_evaluation import CoverageOptions, add_coverage, annotate_rows
from annoseq.cli.loading import RowOptions, SelectedRows, select_rows
from annoseq.cli.options import (
    Batching,
    Device,
    ModelPath,
    ModelVectorsPath,
    PairsPath,
    at_least,
)
from annoseq.cli.output import make_console
from annoseq.cli.scoring_options import (
    ScoreOutputOptions,
    TextScores,
    print_label_warning,
    print_scores,
)
from annoseq.cli.target_options import TargetOptions, choose_target, recall_lines
from annoseq.config import BatchConfig, DeviceConfig
from annoseq.data.pairs import fingerprint_pairs
from annoseq.data.tables import table_format
from annoseq.errors import OptionError
from annoseq.evaluation.counts import SpanComparison, document_order, group_by_document
from annoseq.evaluation.error_analysis import FIDELITY_ERRORS
from annoseq.evaluation.over_redaction import find_lost_words
from annoseq.evaluation.recall_thresholds import RecallTarget
from annoseq.evaluation.score_file import RecallScores, make_score_file, recall_target_scores
from annoseq.evaluation.scorer import Scorer
from annoseq.evaluation.text_scores import TEXT_SCORES, TextScorer
from annoseq.evaluation.token_accuracy import Accuracy
from annoseq.inference.annotator import Annotator
from annoseq.inference.model_loading import read_card
from annoseq.inference.predictions import Prediction, Predictions
from annoseq.progress import progress_bar
from annoseq.reporting.report import ReportData

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.data.examples import Example
    from annoseq.evaluation.references import SeenTexts
    from annoseq.evaluation.score_file import RecallTargetScores, ScoreFile
    from annoseq.inference.annotation import Annotation
    from annoseq.inference.predictor import Target
    from annoseq.reporting.report import AttentionFunction

_ID_SCORES = ("padded_accuracy", "token_accuracy")
"""Accuracies over ids, which only sequence-to-sequence models have."""
_MAIN_SCORES = ("exact_match", "span_precision", "span_recall", "span_f1")


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionOptions:
    """Options of the predictions that are shown or written."""

    out: Annotated[
        Path | None, Parameter(help="Table of predictions to write (.csv, .tsv, .jsonl, .parquet).")
    ] = None
    show: Annotated[
        int, Parameter(help="Predictions to show beside their targets.", validator=at_least(0))
    ] = 0
    lost_words: Annotated[
        int,
        Parameter(
            help="List so many of the words that are marked outside of gold spans, the most "
            "frequent first, in --json and --report, which then hold words of the texts.",
            validator=at_least(0),
        ),
    ] = 0

    def check(self, output: ScoreOutputOptions) -> None:
        """Check that predictions and words can be written.

        Raises:
            OptionError: no output would hold the words, or all words are to be masked.
            TableError: the suffix of the table of predictions is not known.
        """
        if self.out:
            table_format(self.out)
        if self.lost_words and not (output.json_path or output.report):
            raise OptionError(
                "--lost-words lists words of the texts in a file, and none is written. Give "
                "--json or --report too."
            )
        if self.lost_words and output.redact:
            raise OptionError(
                "--redact keeps words out of the report, and --lost-words lists some. Leave one "
                "of them off."
            )


def evaluate(
    model: ModelPath,
    pairs: PairsPath,
    /,
    *,
    output: ScoreOutputOptions = ScoreOutputOptions(),
    prediction_options: PredictionOptions = PredictionOptions(),
    row_options: RowOptions = RowOptions(),
    text_scores: TextScores = False,
    targets: TargetOptions = TargetOptions(),
    coverage_options: CoverageOptions = CoverageOptions(),
    batching: Batching = BatchConfig(),
    vectors: ModelVectorsPath = None,
    device: Device = DeviceConfig(),
) -> None:
    """Let a model write for every row, and annotate it, and compare with the targets."""
    images = output.check(prediction_options.out)
    prediction_options.check(output)
    text = TextScorer() if text_scores else None
    annotator = Annotator.load(model, device=device, vectors=vectors)
    card = read_card(model) if output.report else ""
    redaction = coverage_options.redaction(annotator)
    target = choose_target(annotator, targets, prints_expectation=False)
    rows = select_rows(pairs, annotator.config, row_options)
    _check_labels(rows.examples, annotator)
    batching = annotator.resolve_batching(batching)
    annotations, scored = annotate_rows(annotator, rows.examples, batching, target)
    predictions = _generate(annotator, rows.examples, annotations, batching)
    if prediction_options.show:
        predictions.show(prediction_options.show, console=make_console())
    compared = _compare(rows.examples, annotations, predictions, rows.seen)
    scorer = Scorer(
        labels=annotator.predictor.labels, text=text, has_spans=not annotator.is_translator
    )
    scorer.add_all(group_by_document(compared[row] for row in document_order(compared)))
    scores = _make_scores(scorer, rows, annotator, batching, predictions)
    scores, recall = _add_recall(scores, target, annotator, part=rows.part)
    scores, coverage = add_coverage(scores, scored, target, redaction)
    if lost := prediction_options.lost_words:
        scores = scores.model_copy(update={"lost_words": find_lost_words(compared, lost)})
    data = ReportData(
        title=f"{model} on {pairs}",
        card=card,
        history=annotator.history,
        images=images,
        attention=_attention(annotator),
    )
    output.write(scores, compared, data)
    if prediction_options.out:
        predictions.write(prediction_options.out, overwrite=output.overwrite)
    accuracies = {name: getattr(scores, name) for name in _ID_SCORES}
    print_scores(
        scorer, *recall, *coverage, accuracies=accuracies
    )  # last: a reader of the output may end before it is read


def _check_labels(examples: Sequence[Example], annotator: Annotator) -> None:
    """Print a warning if no label of the gold spans is one of the model's."""
    if not annotator.is_translator:
        labels = {span.label for example in examples for span in example.spans or ()}
        print_label_warning(labels, annotator.predictor.labels, predicted_by="the model")


def _generate(
    annotator: Annotator,
    examples: Sequence[Example],
    annotations: Sequence[Annotation],
    batching: BatchConfig,
) -> Predictions:
    """Return what a model writes freely; of one that cannot write, the annotated texts."""
    generator = annotator.predictor.generator
    if generator is None:
        return Predictions(
            [
                Prediction(example.row, example.source, example.reference, annotation.annotated)
                for example, annotation in zip(examples, annotations, strict=True)
            ],
            Accuracy(),
        )
    with progress_bar("predicting", total=len(examples)) as advance:
        return generator.predict(examples, batching=batching, advance=advance)


def _compare(
    examples: Sequence[Example],
    annotations: Sequence[Annotation],
    predictions: Predictions,
    seen: SeenTexts | None,
) -> list[SpanComparison]:
    """Pair gold and predicted spans; a translation has no spans."""
    predicted = [annotation.spans or () for annotation in annotations] or [()] * len(examples)
    return [
        SpanComparison(
            id=str(example.row),
            text=example.source,
            gold=example.spans or (),
            predicted=tuple(spans),
            target=prediction.target,
            output=prediction.output,
            document=example.document,
            start=example.start,
            is_unseen=None if seen is None else example.source not in seen,
        )
        for example, spans, prediction in zip(examples, predicted, predictions, strict=True)
    ]


def _make_scores(
    scorer: Scorer,
    rows: SelectedRows,
    annotator: Annotator,
    batching: BatchConfig,
    predictions: Predictions,
) -> ScoreFile:
    """Return the scores, with the accuracies of a model that writes and the decoding of each."""
    scores = make_score_file(scorer, gold=fingerprint_pairs(rows.examples))
    accuracy = {} if annotator.is_tagger else predictions.accuracy.values()
    main = {name: accuracy[name] for name in _ID_SCORES if name in accuracy}
    main |= {name: scores.scores[name].value for name in _MAIN_SCORES if name in scores.scores}
    names = [*(name for name in _ID_SCORES if name in accuracy), *scores.scores]
    return scores.model_copy(
        update={
            **main,
            "part": rows.part,
            "signature": f"{scores.signature}|batch:{batching.batch_size}",
            "decoding": _decoding(names, is_tagger=annotator.is_tagger),
        }
    )


def _decoding(names: Sequence[str], *, is_tagger: bool) -> dict[str, str]:
    """Return for each score how the outputs were decoded."""
    if is_tagger:
        return dict.fromkeys(names, "tagger")
    free = {*_ID_SCORES, "exact_match", *FIDELITY_ERRORS, *TEXT_SCORES}
    return {name: "greedy, free" if name in free else "greedy, faithful" for name in names}


def _add_recall(
    scores: ScoreFile, target: Target | None, annotator: Annotator, *, part: str
) -> tuple[ScoreFile, list[str]]:
    """Add the scores of a target recall, and return the lines to print."""
    if not isinstance(target, RecallTarget):
        return scores, []
    measured = _measure_target(target, annotator, scores)
    lines = recall_lines(measured, is_in_sample=part == "valid")
    return scores.model_copy(update={"target_recall": measured}), list(lines)


def _measure_target(
    target: RecallTarget, annotator: Annotator, scores: ScoreFile
) -> RecallTargetScores:
    return recall_target_scores(
        target,
        probability=annotator.calibrate_score(target.threshold),
        measured=RecallScores(
            recall=scores.scores["span_recall"].value,
            precision=scores.scores["span_precision"].value,
        ),
    )


def _attention(annotator: Annotator) -> AttentionFunction | None:
    """Return the attention maps of rows, if the model has attention and annotates."""
    if annotator.is_tagger or annotator.is_translator:
        return None
    # Imported here because they import torch, which a tagger may do without.
    from annoseq.inference.network_predictors import Seq2SeqPredictor, attention_map
    from annoseq.models.gru import GruWithAttention

    predictor = annotator.predictor
    if not isinstance(predictor, Seq2SeqPredictor):
        return None
    network, tokenizer, compute = predictor.network, predictor.tokenizer, predictor.compute
    if not isinstance(network, GruWithAttention):
        return None
    return lambda row: attention_map(network, tokenizer, row.text, row.predicted, compute=compute)
