"""Export of a trained tagger to an ONNX file, and the measurement of its quantization."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from annoseq.errors import ModelError, OptionError, count_noun
from annoseq.evaluation.span_matching import SpanScore, score_spans
from annoseq.inference.onnx_predictor import OnnxPredictor
from annoseq.inference.predictor import predict_spans
from annoseq.models.onnx_graph import check_exporter, export_graph, quantize_int8
from annoseq.models.onnx_model import (
    EncoderFiles,
    Int8Scores,
    OnnxMetadata,
    OnnxModel,
    open_session,
    write_onnx_file,
)
from annoseq.models.tagger import CrfHead, Tagger
from annoseq.tokenization.batching import WindowIds, collate_sources
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer
from annoseq.training.calibration_runner import CalibrationRunner

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from annoseq.data.examples import Example
    from annoseq.models.serialization import TrainedModel

_PROBE = ("Dr. Ames saw Zo\u00eb on 03/14/2019 in room 12.", "x")
"""Texts on which the graph is compared with the network."""
_TOLERANCE = 1e-4
"""Largest difference of the scores of both, as a share of the largest score, or of 1 if that is
less; sums in another order differ by about 1e-6."""


@dataclass(frozen=True)
class Quantization:
    """Quantization to int8, and the rows that it is measured on.

    The recall on the rows may fall by `max_recall_loss`. If they were kept from training
    (`is_held_out`), the scores are calibrated on them anew.
    """

    examples: Sequence[Example]
    max_recall_loss: float
    is_held_out: bool


def export_onnx(
    model: TrainedModel,
    path: Path,
    *,
    card: str = "",
    quantization: Quantization | None = None,
    overwrite: bool = False,
) -> OnnxMetadata:
    """Write a tagger as an ONNX file; `card` is its model card.

    Raises:
        OptionError: the model is no tagger, a package is missing, or the rows have no spans.
        ModelError: the file would be too large, the graph does not give the scores of the network,
            or quantization costs more recall than it may.
        OutputError: the file exists already, or cannot be written.
    """
    tagger, tokenizer = _check_tagger(model)
    check_exporter()
    graph = export_graph(tagger)
    content = graph.SerializeToString()
    exact = OnnxModel(open_session(content), tokenizer, _metadata(model, tagger, card))
    check_scores(exact, tagger)
    if quantization is not None:
        content = quantize_int8(graph)
        exact = measure_int8(exact, content, quantization)
    metadata = exact.metadata
    metadata = metadata.model_copy(update={"card": card + _card_section(metadata, path.name)})
    return write_onnx_file(path, content, metadata, overwrite=overwrite)


def _check_tagger(model: TrainedModel) -> tuple[Tagger, TaggerTokenizer]:
    network, tokenizer = model.network, model.tokenizer
    if not isinstance(network, Tagger) or not isinstance(tokenizer, TaggerTokenizer):
        raise OptionError(
            f"a model of the kind {model.config.network.model} writes its output token by token, "
            "and an ONNX file holds taggers only. Use the model folder, or train with --model "
            "tagger."
        )
    return network, tokenizer


def _metadata(model: TrainedModel, tagger: Tagger, card: str) -> OnnxMetadata:
    transitions = None
    if isinstance(tagger.head, CrfHead):
        crf = tagger.head.crf
        transitions = (crf.span_transitions.tolist(), crf.inner_transitions.tolist())
    assert isinstance(model.tokenizer, TaggerTokenizer)
    return OnnxMetadata(
        config=model.config,
        tokenizer=model.tokenizer.to_json(),
        transitions=transitions,
        calibration=model.calibration,
        encoder=_encoder_files(tagger),
        card=card,
        graph_bytes=0,
        graph_sha256="",
    )


def _encoder_files(tagger: Tagger) -> EncoderFiles | None:
    encoder = tagger.pretrained
    if encoder is None:
        return None
    return EncoderFiles(
        tokenizer=encoder.tokenizer.text,
        notice=encoder.notice,
        missing=encoder.missing.tolist(),
        window=encoder.window,
        pad_id=encoder.pad_id,
    )


def check_scores(exported: OnnxModel, tagger: Tagger) -> None:
    """Raise `ModelError` if the graph does not give the scores of the network."""
    predictor, differences = OnnxPredictor(exported), []
    with predictor.exclusive_use():
        for text in predictor.tokenize(_PROBE):
            batch = collate_sources([0], [WindowIds(text.ids)], has_ends=False)
            ours, theirs = predictor.scores([text.ids]), tagger.scores(batch).numpy()
            differences.append(np.abs(ours - theirs).max() / max(1.0, np.abs(theirs).max()))
    difference = float(np.max(differences))  # NaN if any is
    if not difference <= _TOLERANCE:
        raise ModelError(
            f"the exported graph does not give the scores of the network: they differ by "
            f"{difference:.2g}. Use the versions of torch, onnxscript and onnxruntime that "
            "constraints.txt lists."
        )


def measure_int8(exact: OnnxModel, content: bytes, quantization: Quantization) -> OnnxModel:
    """Return the quantized model, with its scores and those of the exact one.

    Raises:
        OptionError: the rows have no spans.
        ModelError: the recall falls by too much.
    """
    examples = quantization.examples
    quantized = replace(exact, session=open_session(content))
    before, after = (_score(model, examples) for model in (exact, quantized))
    if not before.gold:
        raise OptionError(
            "the rows of --validation have no spans, so that the recall of --int8 cannot be "
            "measured. Give annotated pairs."
        )
    loss = (before.correct - after.correct) / before.gold
    if loss > quantization.max_recall_loss:
        raise ModelError(
            f"with --int8 the recall falls by {loss:.4f}, from {before.recall:.4f} to "
            f"{after.recall:.4f} of {count_noun(before.gold, 'span')} in "
            f"{count_noun(len(examples), 'row')}, and {quantization.max_recall_loss:g} is the most "
            "that --max-recall-loss allows. Leave --int8 off."
        )
    int8 = Int8Scores(rows=len(examples), float32=before, int8=after)
    update: dict[str, object] = {"int8": int8}
    if quantization.is_held_out:
        update["calibration"] = CalibrationRunner(OnnxPredictor(quantized)).run(examples)
    return replace(quantized, metadata=exact.metadata.model_copy(update=update))


def _score(model: OnnxModel, examples: Sequence[Example]) -> SpanScore:
    predictor = OnnxPredictor(model)
    with predictor.exclusive_use():
        texts = predictor.tokenize([example.source for example in examples])
        outputs = predict_spans(predictor, texts)
    scores = (
        score_spans(text.to_text_spans(best, labels=predictor.labels), example.tight_spans)
        for text, example, (best, *_) in zip(texts, examples, outputs, strict=True)
    )
    return sum(scores, SpanScore())


def _card_section(metadata: OnnxMetadata, name: str) -> str:
    """Return the section of the card about the file."""
    versions = ", ".join(f"{package} {version(package)}" for package in ("torch", "onnxruntime"))
    precision = "float32" if metadata.int8 is None else "int8, dynamic quantization"
    section = (
        f"\n## ONNX\n\n- **file**: {name}\n- **precision**: {precision}\n"
        f"- **written**: {datetime.now(UTC).date().isoformat()} with {versions}\n"
    )
    if metadata.int8 is None:
        return section
    scores = {"float32": metadata.int8.float32, "int8": metadata.int8.int8}
    rows = [
        f"| {name} | {score.precision:.4f} | {score.recall:.4f} | {score.f1:.4f} |"
        for name, score in scores.items()
    ]
    gold = count_noun(metadata.int8.float32.gold, "span")
    table = ["| precision | span precision | span recall | span f1 |", "|---|---|---|---|", *rows]
    return (
        f"{section}\nQuantization was measured on {gold} in "
        f"{count_noun(metadata.int8.rows, 'row')}:\n\n" + "\n".join(table) + "\n"
    )
