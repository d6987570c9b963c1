"""Jobs of the service: from the texts of a request to lines of JSON."""

from __future__ import annotations

import json
import secrets
import threading
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, NamedTuple, Protocol

from annoseq.data.text_inputs import InputText
from annoseq.deid.pipeline import RedactionPipeline
from annoseq.deid.redaction import DocumentPart, RedactionDocument
from annoseq.deid.redaction_target import check_redaction_targets, default_coverage
from annoseq.deid.run_output import annotation_record
from annoseq.errors import OptionError
from annoseq.evaluation.coverage import CoverageTarget
from annoseq.evaluation.target_messages import coverage_warnings, recall_warnings
from annoseq.inference.predictor import check_no_search
from annoseq.inference.streaming import format_annotation
from annoseq.serving.micro_batcher import AnnotationJob
from annoseq.serving.service_schema import AnnotateOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from annoseq.config import BatchConfig
    from annoseq.deid.custom_patterns import CustomPattern
    from annoseq.deid.redactor import Redactor
    from annoseq.inference.annotation import Annotation
    from annoseq.inference.predictor import Target
    from annoseq.serving.model_store import LoadedModel
    from annoseq.serving.service_schema import RedactOptions, RequestDocument

_SAMPLING = {"sample", "top-k", "nucleus"}
_MAX_REDACTORS = 32
"""Redactors that are kept, each with its locale: a client can ask for many."""


class RedactorLoader(Protocol):
    """Makes the redactor of the options of a server and of a request."""

    def __call__(
        self, options: RedactOptions, *, has_patients: bool
    ) -> tuple[Redactor, list[CustomPattern]]:
        """Return a redactor and patterns; raises `OptionError` if options contradict each other."""
        ...


@dataclass(frozen=True)
class SharedRedactor:
    """A redactor, and the lock for its random generators, which the threads of models share."""

    redactor: Redactor
    patterns: Sequence[CustomPattern]
    lock: threading.Lock = field(default_factory=threading.Lock)


class RedactorCache:
    """Redactors by the options of requests."""

    def __init__(self, load: RedactorLoader) -> None:
        self._load = load
        self._kept: dict[tuple[str, bool, int], SharedRedactor] = {}
        self._lock = threading.Lock()

    def get(self, options: RedactOptions, *, has_patients: bool) -> SharedRedactor:
        """Return the redactor of a request; raises `OptionError` as its loader."""
        # The year is in the key: ages and years are told from it.
        key = json.dumps(options.replacements(), sort_keys=True), has_patients, date.today().year
        with self._lock:
            if key not in self._kept:
                while len(self._kept) >= _MAX_REDACTORS:
                    self._kept.pop(next(iter(self._kept)))
                self._kept[key] = SharedRedactor(*self._load(options, has_patients=has_patients))
            return self._kept[key]


class PlannedJob(NamedTuple):
    """A job, and notes on what it aims at."""

    job: AnnotationJob[list[str]]
    notes: list[str]


@dataclass(frozen=True)
class JobPlanner:
    """Makes the jobs of one model, batched as the server was told."""

    model: LoadedModel
    batching: BatchConfig

    def annotate(
        self,
        texts: Sequence[InputText],
        options: AnnotateOptions,
        *,
        numbers: Sequence[int] | None = None,
    ) -> PlannedJob:
        """Return the job of annotating texts, whose result are lines of JSONL.

        `numbers` are those of the texts in the request, by default 1, 2 and so on.

        Raises:
            OptionError: the options do not go together with the model.
        """
        target = self.model.target(recall=options.target_recall, coverage=options.target_coverage)

        def finish(annotations: Sequence[Annotation]) -> list[str]:
            return [
                format_annotation(text, annotation, "jsonl")
                for text, annotation in zip(texts, annotations, strict=True)
            ]

        job = self._job([text.text for text in texts], options, target, finish, numbers)
        return PlannedJob(job, list(target_notes(target)))

    def redact(
        self,
        documents: Sequence[tuple[int, RequestDocument]],
        options: RedactOptions,
        shared: SharedRedactor,
        *,
        joins_patients: bool = True,
    ) -> PlannedJob:
        """Return the job of redacting documents, whose result are lines of JSON, one a text.

        Each comes with its number in the request, of which the ids of its texts are made. Unless
        `joins_patients`, each is redacted without regard to others of its patient.

        Raises:
            OptionError: the options do not go together, or with the model, or a label of the model
                has no PHI type.
        """
        annotator = self.model.annotator
        if annotator.is_translator:
            raise OptionError(
                "this model writes texts of its own and marks nothing. Ask a model that annotates."
            )
        shared.redactor.table.check_labels(annotator.predictor.labels)
        target, notes = self._redaction_target(options)
        sources = [_redaction_document(number, document) for number, document in documents]

        def finish(annotations: Sequence[Annotation]) -> list[str]:
            pipeline = RedactionPipeline(
                lambda _texts, _first, _advance: annotations,
                shared.redactor,
                shared.patterns,
                joins_patients=joins_patients,
            )
            with shared.lock:
                redacted = pipeline.redact_chunk(sources, first=1, advance=lambda _: None)
            return [
                json.dumps(annotation_record(document, text), ensure_ascii=False) + "\n"
                for document in redacted
                for text in document.texts
            ]

        texts = [part.text for source in sources for part in source.parts]
        return PlannedJob(self._job(texts, AnnotateOptions(), target, finish), notes)

    def _redaction_target(self, options: RedactOptions) -> tuple[Target | None, list[str]]:
        """Return the target of a redaction, and notes on it."""
        targets, min_score = options.targets(), options.min_score or 0.0
        check_redaction_targets(targets, best_path=options.best_path, min_score=min_score)
        coverage, notes = options.target_coverage, []
        if not (targets or options.best_path or min_score):
            default = default_coverage(self.model.annotator)
            coverage = default.coverage
            notes = [default.remark] if default.remark else []
        target = self.model.target(recall=options.target_recall, coverage=coverage)
        return target, [*notes, *target_notes(target)]

    def _job(
        self,
        texts: Sequence[str],
        options: AnnotateOptions,
        target: Target | None,
        finish: Callable[[Sequence[Annotation]], list[str]],
        numbers: Sequence[int] | None = None,
    ) -> AnnotationJob[list[str]]:
        search, annotator = options.search_config(), self.model.annotator
        if annotator.is_tagger:
            check_no_search(search)
        # What is drawn for a text depends on its number in the request.
        is_drawn = search.search in _SAMPLING
        key = None if is_drawn else (self.model, search.model_dump_json(), target)

        def annotate(batch: Sequence[str], first: int) -> Sequence[Annotation]:
            if is_drawn and numbers is not None and len(batch) > 1:
                return [
                    annotation
                    for at, text in enumerate(batch, first)
                    for annotation in annotate([text], at)
                ]
            return annotator.annotate(
                batch,
                search=search,
                batching=self.batching,
                target=target,
                first=first if numbers is None else numbers[first - 1],
                advance=lambda _: None,
            )

        return AnnotationJob(texts, annotate, finish, key)


def target_notes(target: Target | None) -> list[str]:
    """Return what is to be known of a target that may not be reached."""
    if target is None:
        return []
    if isinstance(target, CoverageTarget):
        return list(coverage_warnings(target))
    return list(recall_warnings(target))


def numbered_texts(texts: Sequence[str]) -> list[InputText]:
    """Return texts with the numbers that the rows of a table would have."""
    return [InputText(str(number), text) for number, text in enumerate(texts, start=1)]


def _redaction_document(number: int, document: RequestDocument) -> RedactionDocument:
    """Return a document to redact.

    Draws for a document follow from its id. Without one it gets an id that nobody knows: else the
    dates of all such documents would move alike.
    """
    is_one = len(document.texts) == 1
    parts = tuple(
        DocumentPart(str(number) if is_one else f"{number}.{place}", text, patient=document.patient)
        for place, text in enumerate(document.texts, start=1)
    )
    name = document.id or secrets.token_hex(8)
    return RedactionDocument(name, parts, is_named=document.id is not None)
