"""spaCy's pipeline component `annoseq`: `nlp.add_pipe("annoseq", config={"model": "model/"})`.

spaCy finds it by the entry point `spacy_factories`. Spans of spaCy are of its tokens: a span that
begins or ends within a token is widened to whole tokens in `doc.ents` and `doc.spans`, and is kept
to the character in `doc._.annoseq_spans`.
"""

from __future__ import annotations

import shutil
from bisect import bisect_left
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from pydantic import BaseModel, ValidationError

from annoseq.atomic_io import atomic_folder
from annoseq.data.folder_files import MEBIBYTE
from annoseq.data.streams import read_text
from annoseq.errors import (
    AnnoseqError,
    FormatError,
    ModelError,
    OptionError,
    describe_validation_error,
)
from annoseq.integrations.span_annotator import SpanAnnotator, missing_package

try:
    from spacy.language import Language
    from spacy.pipeline import Pipe
    from spacy.pipeline.span_ruler import prioritize_existing_ents_filter
    from spacy.tokens import Doc, Span
    from spacy.util import filter_spans, minibatch
except ModuleNotFoundError as error:
    raise missing_package(error, "spaCy", extra="spacy") from error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from annoseq.data.markup import Span as CharacterSpan

_SPANS, _MISALIGNED, _SCORE = "annoseq_spans", "annoseq_misaligned", "annoseq_score"
_MODEL, _RECORD = "model", "config.json"


def _score(span: Span) -> float | None:
    """Return the score of a span of tokens, the highest if several were widened to it."""
    found = span.doc._.get(_SPANS)
    scores = []
    for index in range(bisect_left(found, span.start, key=_first_token), len(found)):
        entry = found[index]
        if entry["tokens"][0] > span.start:
            break
        if entry["tokens"][1] == span.end and entry["label"] == span.label_:
            scores.append(entry["score"])
    return max((score for score in scores if score is not None), default=None)


def _first_token(entry: dict[str, Any]) -> int:
    first: int = entry["tokens"][0]
    return first


def _count_misaligned(doc: Doc) -> int:
    return sum(not entry["is_aligned"] for entry in doc._.get(_SPANS))


def register_extensions() -> None:
    """Register the extension attributes of documents and spans; again if somebody removed them."""
    Doc.set_extension(_SPANS, default=(), force=True)
    Doc.set_extension(_MISALIGNED, getter=_count_misaligned, force=True)
    Span.set_extension(_SCORE, getter=_score, force=True)


@Language.factory(
    "annoseq",
    assigns=["doc.ents", "doc.spans", f"doc._.{_SPANS}", f"span._.{_SCORE}"],
    default_config={
        "vectors": None,
        "device": None,
        "spans_key": "annoseq",
        "annotate_ents": None,
        "overwrite": True,
        "target_recall": None,
        "target_coverage": None,
    },
)
def make_spacy_annotator(
    nlp: Language,  # spaCy passes it by name
    name: str,
    *,
    model: str,
    vectors: Optional[str],  # noqa: UP045  # spaCy's validation reads it
    device: Optional[str],  # noqa: UP045
    spans_key: Optional[str],  # noqa: UP045
    annotate_ents: Optional[bool],  # noqa: UP045
    overwrite: bool,
    target_recall: Optional[float],  # noqa: UP045
    target_coverage: Optional[float],  # noqa: UP045
) -> SpacyAnnotator:
    """Make the component from its config, as `nlp.add_pipe` and `spacy.load` do."""
    options = {
        "vectors": vectors,
        "device": device,
        "target_recall": target_recall,
        "target_coverage": target_coverage,
    }
    return SpacyAnnotator(
        model,
        name=name,
        options=options,
        spans_key=spans_key,
        annotate_ents=annotate_ents,
        overwrite=overwrite,
    )


class SpacyAnnotator(Pipe):
    """Component that writes the spans of a model into documents.

    All spans go to `doc.spans[spans_key]`, unless it is None. They go to `doc.ents` as well if
    `annotate_ents`, by default if no span of the model lies in another: entities do not overlap, so
    that the longer of two that do is set, as spaCy's `filter_spans` has it. `overwrite` replaces
    what earlier components put there; otherwise their entities stay, and ours go around them.
    `doc._.annoseq_spans` has every span to the character, `doc._.annoseq_misaligned` counts those
    that were widened to whole tokens, and `span._.annoseq_score` is the probability of a span.

    `options` are those of `SpanAnnotator.load`. The model is read at once if it is there; a
    pipeline that was saved has its own copy, which `from_disk` reads.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        name: str = "annoseq",
        options: dict[str, Any] | None = None,
        spans_key: str | None = "annoseq",
        annotate_ents: bool | None = None,
        overwrite: bool = True,
    ) -> None:
        if spans_key is None and annotate_ents is False:
            raise OptionError(
                "with spans_key null and annotate_ents false, the spans would go nowhere. Set one "
                "of them."
            )
        self.name, self.spans_key, self.overwrite = name, spans_key, overwrite
        self._annotates_ents = annotate_ents
        self._options = options or {}
        self._path = Path(model)
        self._loaded: SpanAnnotator | None = None
        register_extensions()
        if self._path.exists():
            self._load()

    @property
    def span_annotator(self) -> SpanAnnotator:
        """The model; raises `ModelError` if it is not where the config says."""
        return self._loaded or self._load()

    def _load(self) -> SpanAnnotator:
        self._loaded = SpanAnnotator.load(self._path, **self._options)
        return self._loaded

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the model; none before it is read."""
        return self._loaded.labels if self._loaded else ()

    @property
    def annotates_ents(self) -> bool:
        """True if spans are written to `doc.ents`."""
        if self._annotates_ents is None:
            return self.spans_key is None or not self.span_annotator.is_nested
        return self._annotates_ents

    def __call__(self, doc: Doc) -> Doc:
        """Annotate a document."""
        self._annotate([doc])
        return doc

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Annotate a stream of documents, `batch_size` at a time."""
        batches: Iterator[list[Doc]] = minibatch(stream, size=batch_size)  # type: ignore[no-untyped-call]
        for docs in batches:
            try:
                self._annotate(docs)
            except AnnoseqError as error:
                self.get_error_handler()(self.name, self, docs, error)
            else:
                yield from docs

    def _annotate(self, docs: Sequence[Doc]) -> None:
        found = self.span_annotator.spans([doc.text for doc in docs])
        for doc, spans in zip(docs, found, strict=True):
            self._set_annotations(doc, spans)

    def _set_annotations(self, doc: Doc, found: Sequence[CharacterSpan]) -> None:
        aligned = [_align(doc, span) for span in found]
        entries = [
            _entry(doc, span, of_tokens, component=self.name)
            for span, of_tokens in zip(found, aligned, strict=True)
        ]
        others = [entry for entry in doc._.get(_SPANS) if entry["component"] != self.name]
        doc._.set(_SPANS, tuple(sorted([*others, *entries], key=_first_token)))
        spans = list({(s.start, s.end, s.label_): s for s in aligned if len(s)}.values())
        if self.spans_key is not None:
            kept = [] if self.overwrite else list(doc.spans.get(self.spans_key, ()))
            doc.spans[self.spans_key] = [*kept, *spans]
        if self.annotates_ents:
            doc.ents = (
                filter_spans(spans)
                if self.overwrite
                else prioritize_existing_ents_filter(doc.ents, spans)
            )

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Write a copy of the model and its checksum into a folder, which is the pipeline's.

        Raises:
            ModelError: the model is not where the config says.
            OutputError: the folder cannot be written, or is none of ours.
        """
        name = _MODEL if self._path.is_dir() else f"{_MODEL}.onnx"
        record = SavedModel(model=name, fingerprint=self.span_annotator.fingerprint)
        with atomic_folder(Path(path), overwrite=True) as folder:
            if _MODEL not in exclude:
                copy = shutil.copytree if self._path.is_dir() else shutil.copyfile
                copy(self._path, folder / name)
            (folder / _RECORD).write_text(record.model_dump_json(), encoding="utf-8")

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> SpacyAnnotator:
        """Read the model from a folder that `to_disk` wrote.

        Raises:
            ModelError: a file is missing or damaged, or the model is another than the one written.
        """
        if _MODEL not in exclude:
            file = Path(path) / _RECORD
            try:
                saved = SavedModel.parse(read_text(file, limit=MEBIBYTE), str(file))
            except FormatError as error:
                raise ModelError(str(error)) from error
            self._restore(Path(path) / Path(saved.model).name, saved)
        return self

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:  # spaCy gives it
        """Return the path and the checksum of the model, which stays where it is."""
        saved = SavedModel(
            model=str(self._path.absolute()), fingerprint=self.span_annotator.fingerprint
        )
        return saved.model_dump_json().encode()

    def from_bytes(
        self,
        data: bytes,
        *,
        exclude: Iterable[str] = (),
    ) -> SpacyAnnotator:
        """Read the model from the path that `to_bytes` wrote.

        Raises:
            ModelError: it is not there, or is another than the one that the bytes were made with.
        """
        saved = SavedModel.parse(data, "the bytes of the component")
        self._restore(Path(saved.model), saved)
        return self

    def _restore(self, path: Path, saved: SavedModel) -> None:
        loaded = SpanAnnotator.load(path, **self._options)
        if loaded.fingerprint != saved.fingerprint:
            raise ModelError(
                f"{path}: the checksum of this model is not the one that the pipeline was saved "
                "with. Save the pipeline again, or put the model back."
            )
        self._path, self._loaded = path, loaded


class SavedModel(BaseModel):
    """The model of a saved pipeline: its path or the name of the copy, and its checksum."""

    model: str
    fingerprint: str

    @classmethod
    def parse(cls, data: str | bytes, place: str) -> SavedModel:
        """Parse JSON.

        Raises:
            ModelError: it is damaged.
        """
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            raise ModelError(
                f"{place}: damaged: {describe_validation_error(error)}. Save the pipeline again."
            ) from error


def _align(doc: Doc, span: CharacterSpan) -> Span:
    """Return the tokens that a span covers at least in part, none if it is white space alone."""
    aligned = doc.char_span(span.start, span.end, label=span.label, alignment_mode="expand")
    return doc[0:0] if aligned is None else aligned


def _entry(doc: Doc, span: CharacterSpan, aligned: Span, *, component: str) -> dict[str, Any]:
    """Return the plain values of a span, which documents are saved with."""
    return {
        "start": span.start,
        "end": span.end,
        "label": span.label,
        "score": span.score,
        "tokens": (aligned.start, aligned.end),
        "is_aligned": doc.char_span(span.start, span.end) is not None,
        "component": component,
    }
