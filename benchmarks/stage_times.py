"""Processor time of the stages of an annotation: functions are wrapped in timers while it runs."""

from __future__ import annotations

import functools
import time
from collections import defaultdict
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from annoseq.config import BatchConfig, SearchConfig
from annoseq.data.text_inputs import InputText
from annoseq.inference import annotator, network_predictors, predictor, streaming
from annoseq.inference.annotator_pool import InProcessRunner
from annoseq.inference.resumable_output import OutputProgress
from annoseq.models import tagger
from annoseq.models.crf_decoder import CrfDecoder
from annoseq.models.encoders import BiLstmEncoder
from annoseq.models.span_decoder import SpanArrays
from annoseq.tokenization.batch_pretokenizer import BatchPreTokenizer
from annoseq.tokenization.hash_features import FeatureHasher

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from annoseq.inference.annotator import Annotator

STAGES: dict[str, list[tuple[object, str]]] = {
    "cutting texts into tokens": [(BatchPreTokenizer, "cut")],
    "numbering tokens": [(FeatureHasher, "token_ids")],
    "features of new tokens": [(FeatureHasher, "bags")],
    "embedding new tokens, their LSTM gates": [(tagger.Tagger, "_project")],
    "windows, batches, padding": [
        (predictor, "tokenize_texts"),
        (annotator, "predict_spans"),
        (network_predictors, "_collate_windows"),
    ],
    "LSTM steps, and tag scores if compiled": [
        (BiLstmEncoder, "encode_projected"),
        (BiLstmEncoder, "_run_kernel"),
    ],
    "tag scores": [(tagger.CrfHead, "scores")],
    "CRF: forward-backward": [(CrfDecoder, "forward_backward")],
    "CRF: likeliest tags": [(CrfDecoder, "likeliest_tags")],
    "CRF: all in one pass, if compiled": [(CrfDecoder, "_solve")],
    "CRF: spans and their probabilities": [(CrfDecoder, "_best"), (SpanArrays, "by_row")],
    "results: merging, offsets, tags, calibration": [
        (predictor, "merge_outputs"),
        (annotator.Annotator, "_to_annotation"),
        (annotator, "calibrate_scores"),
    ],
    "writing JSON": [(streaming, "format_annotation")],
    "everything else": [(streaming, "annotate_stream")],
}
"""Functions by stage; the time of a function excludes that of others it calls."""


class StageTimer:
    """Processor seconds of each stage."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._running: list[str] = []
        self._since = 0.0

    def wrap(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that is timed as part of a stage."""

        @functools.wraps(function)
        def timed(*args: Any, **options: Any) -> Any:
            self._switch()
            self._running.append(stage)
            try:
                return function(*args, **options)
            finally:
                self._switch()
                self._running.pop()

        return timed

    def _switch(self) -> None:
        now = time.process_time()
        if self._running:
            self.seconds[self._running[-1]] += now - self._since
        self._since = now


class _Discard:
    """Sink that keeps nothing."""

    def __init__(self) -> None:
        self.progress = OutputProgress()

    def add(self, chunk: Sequence[tuple[str, str]], progress: OutputProgress) -> None:
        """Forget the texts of a chunk."""
        self.progress = progress


def stage_seconds(model: Annotator, texts: Sequence[str]) -> dict[str, float]:
    """Annotate texts to JSONL as `annoseq annotate` does; return the seconds of each stage."""
    timer = StageTimer()
    with ExitStack() as patches:
        for stage, functions in STAGES.items():
            for owner, name in functions:
                timed = timer.wrap(stage, getattr(owner, name))
                patches.enter_context(patch.object(owner, name, timed))
        streaming.annotate_stream(
            InProcessRunner(model),
            streaming.AnnotateTask("jsonl", SearchConfig(), BatchConfig()),
            (InputText(str(number), text) for number, text in enumerate(texts)),
            _Discard(),
            chunk_size=1_000,
        )
    return {stage: timer.seconds[stage] for stage in STAGES}
