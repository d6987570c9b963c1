"""`annoseq evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from annoseq.cli.loading import read_table
from annoseq.cli.options import (
    Batching,
    Columns,
    Device,
    ModelPath,
    ModelVectorsPath,
    Overwrite,
    PairsPath,
    SkipBad,
    TableFormatOption,
    at_least,
)
from annoseq.cli.output import print_note, print_result
from annoseq.cli.scoring_options import (
    JsonPath,
    Pictures,
    Redact,
    ReportPath,
    Seen,
    TargetRecall,
    TextScores,
    choose_thresholds,
    read_pictures,
    recall_lines,
    recall_record,
    rehearse_outputs,
    tell_scores,
    texts_of,
)
from annoseq.config import BatchConfig, ColumnsConfig, DeviceConfig
from annoseq.data.examples import parse_pairs
from annoseq.data.pairs import fingerprint_pairs
from annoseq.data.splits import split_rows
from annoseq.data.tables import table_format
from annoseq.errors import OptionError
from annoseq.evaluation.counts import SpanComparison, group_by_document
from annoseq.evaluation.error_analysis import FIDELITY_ERRORS
from annoseq.evaluation.references import SeenTexts
from annoseq.evaluation.score_file import make_score_file, write_score_file
from annoseq.evaluation.scorer import Scorer
from annoseq.evaluation.text_scores import TEXT_SCORES, TextScorer
from annoseq.evaluation.token_accuracy import Accuracy
from annoseq.inference.annotator import Annotator
from annoseq.inference.attention_map import AttentionMap, attention_map
from annoseq.inference.predictor import Prediction, Predictions, predict
from annoseq.models.gru_attention import GruWithAttention
from annoseq.models.serialization import CARD_FILE, TrainingHistory
from annoseq.models.tagger import Tagger
from annoseq.reporting.report import ReportData, write_report
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqTokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from annoseq.config import Task
    from annoseq.data.examples import Example
    from annoseq.data.pairs import Pairs
    from annoseq.inference.annotation import Annotation
    from annoseq.models.serialization import ModelConfig

PartName = Literal["auto", "all", "valid", "train"]
_FREE = ("padded_accuracy", "token_accuracy")
"""Scores of ids, which only models that write have."""


def evaluate(
    model: ModelPath,
    pairs: PairsPath,
    /,
    *,
    json_path: JsonPath = None,
    report: ReportPath = None,
    redact: Redact = False,
    pictures: Pictures = None,
    out: Annotated[
        Path | None, Parameter(help="Table of predictions to write (.csv, .tsv, .jsonl, .parquet).")
    ] = None,
    show: Annotated[
        int, Parameter(help="Predictions to show beside their targets.", validator=at_least(0))
    ] = 0,
    part: Annotated[
        PartName,
        Parameter(
            help="Rows to score. auto: all, but of the table that the model was trained on only "
            "the rows kept for validation."
        ),
    ] = "auto",
    seen: Seen = None,
    text_scores: TextScores = False,
    target_recall: TargetRecall = None,
    skip_bad: SkipBad = False,
    overwrite: Overwrite = False,
    input_format: TableFormatOption = None,
    columns: Columns = ColumnsConfig(),
    batching: Batching = BatchConfig(),
    vectors: ModelVectorsPath = None,
    device: Device = DeviceConfig(),
) -> None:
    """Let a model write for every row, and annotate it, and compare with the targets."""
    rehearse_outputs(json_path, report, out, overwrite=overwrite)
    if out:
        table_format(out)  # known, or an error
    text = TextScorer() if text_scores else None
    images = read_pictures(pictures)
    annotator = Annotator.load(model, device=device, vectors=vectors)
    wanted = choose_thresholds(annotator, target_recall)
    trained = annotator.model
    table = read_table(pairs, columns, input_format=input_format)
    part, chosen, rest = _choose(table, trained.config, part=part, skip_bad=skip_bad)
    found = _annotate(annotator, chosen, batching, target_recall)
    predictions = _outputs(annotator, chosen, found, batching)
    if show:
        predictions.show(show)
    seen_texts = texts_of(seen, columns) if seen else (one.source for one in rest)
    known = SeenTexts(seen_texts) if seen or part == "valid" else None
    rows = _compare(chosen, found, predictions, known)
    scorer = Scorer(labels=trained.tokenizer.labels, text=text, has_spans=not annotator.is_translator)
    scorer.add_all(group_by_document(rows))
    record = make_score_file(scorer, gold=fingerprint_pairs(chosen))
    record["signature"] += f"|batch:{batching.batch_size}"
    accuracy = {} if annotator.is_tagger else predictions.accuracy.values()
    record = {**_main_scores(record, accuracy), "part": part, **record}
    promise: list[str] = []
    if wanted:
        record["target_recall"] = recall_record(wanted, annotator, record["scores"])
        promise += recall_lines(record["target_recall"], has_chosen=part == "valid")
    record["decoding"] = _decoding(record, is_tagger=annotator.is_tagger)
    if json_path:
        write_score_file(record, json_path, overwrite=overwrite)
    if report:
        facts = ReportData(
            title=f"{model} on {pairs}",
            card=(model / CARD_FILE).read_text(encoding="utf-8"),
            history=None if trained.history is None else TrainingHistory.read(trained.history),
            pictures=images,
            look=_look(annotator),
        )
        write_report(record, rows, report, facts=facts, redact=redact, overwrite=overwrite)
    if out:
        predictions.write(out, overwrite=overwrite)
    for name in _FREE:
        if name in record:
            print_result(f"{name:20} {record[name]:.4f}")
    tell_scores(scorer, *promise)  # last: what reads it may end before it is read


def _annotate(
    annotator: Annotator,
    examples: Sequence[Example],
    batching: BatchConfig,
    target_recall: float | None,
) -> Sequence[Annotation]:
    """Annotate by choosing among tags only, where the model does not translate."""
    if annotator.is_translator:
        return ()
    texts = [example.source for example in examples]
    return annotator.annotate(texts, batching=batching, target_recall=target_recall)


def _outputs(
    annotator: Annotator,
    examples: Sequence[Example],
    found: Sequence[Annotation],
    batching: BatchConfig,
) -> Predictions:
    """Return what a model writes freely; of a tagger, which does not write, the annotated texts."""
    trained = annotator.model
    if isinstance(trained.tokenizer, Seq2SeqTokenizer) and not isinstance(trained.network, Tagger):
        return predict(
            trained.network,
            examples,
            trained.tokenizer,
            compute=annotator.compute,
            batching=batching,
        )
    return Predictions(
        [
            Prediction(example.row, example.source, example.reference, annotation.annotated)
            for example, annotation in zip(examples, found, strict=True)
        ],
        Accuracy(),
    )


def _compare(
    examples: Sequence[Example],
    found: Sequence[Annotation],
    predictions: Predictions,
    seen: SeenTexts | None,
) -> list[SpanComparison]:
    """Put what was predicted beside what should be; a translation has no spans."""
    predicted = [annotation.spans or () for annotation in found] or [()] * len(examples)
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


def _look(annotator: Annotator) -> Callable[[SpanComparison], AttentionMap | None] | None:
    """Return what maps a row's attention, where the model has one and annotates."""
    network, tokenizer = annotator.model.network, annotator.model.tokenizer
    if not isinstance(network, GruWithAttention) or not isinstance(tokenizer, Seq2SeqTokenizer):
        return None
    if annotator.is_translator:
        return None
    return lambda row: attention_map(
        network, tokenizer, row.text, row.predicted, compute=annotator.compute
    )


def _main_scores(record: dict[str, Any], accuracy: dict[str, float]) -> dict[str, float]:
    """Return the scores that stand first in the file, as plain numbers."""
    found = {name: accuracy[name] for name in _FREE if name in accuracy}
    names = ("exact_match", "span_precision", "span_recall", "span_f1")
    scores = record["scores"]
    return found | {name: scores[name]["value"] for name in names if name in scores}


def _decoding(record: dict[str, Any], *, is_tagger: bool) -> dict[str, str]:
    """Tell for each score how the outputs came about that it is of."""
    names = [*(name for name in _FREE if name in record), *record["scores"]]
    if is_tagger:
        return dict.fromkeys(names, "tagger")
    written = {*_FREE, "exact_match", *FIDELITY_ERRORS, *TEXT_SCORES}
    return {name: "greedy, free" if name in written else "greedy, faithful" for name in names}


def _parse(table: Pairs, *, task: Task, skip_bad: bool) -> Sequence[Example]:
    """Parse a table, without the rows that cannot be used, or raise if there are any."""
    parsed = parse_pairs(table, task=task, name=table.name, skip_bad=skip_bad)
    if parsed.errors:
        print_note(f"{len(parsed.errors):,} rows cannot be used and were left out (--skip-bad)")
    return parsed.examples


def _choose(
    table: Pairs, config: ModelConfig, *, part: PartName, skip_bad: bool
) -> tuple[PartName, Sequence[Example], Sequence[Example]]:
    """Pick the rows to score, and say so where they are not all; return the others too.

    Raises:
        OptionError: the table does not have that part.
        PairsError: rows cannot be used.
    """
    usable = _parse(table, task=config.task, skip_bad=skip_bad)
    is_training_table = table.fingerprint() == config.fingerprint
    if part == "all" or (part == "auto" and not is_training_table):
        return "all", usable, ()
    if not is_training_table:
        raise OptionError(
            f"--part {part}: {table.name} is not the table that the model was trained on. "
            "Leave --part off to score all of its rows."
        )
    data = config.data
    rows = split_rows(usable, share=data.valid_share, by=data.split_by, seed=data.split_seed)
    train, valid = ([usable[row] for row in part_rows] for part_rows in rows)
    if fingerprint_pairs(valid) != config.valid_fingerprint:
        raise OptionError(
            f"{table.name} is the table that the model was trained on, and its validation rows "
            "are of another. Give that one, or score rows that it has seen with --part all."
        )
    kept, rest = (train, valid) if part == "train" else (valid, train)
    print_note(
        f"scoring {len(kept):,} of {len(table):,} rows of {table.name}: "
        + ("those the model was trained on" if part == "train" else "those kept for validation")
    )
    return ("train" if part == "train" else "valid"), kept, rest
