"""HTTP service of models: annotate and redact texts, state, models, metrics, documentation."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, cast

from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from annoseq._version import __version__
from annoseq.config import BatchConfig
from annoseq.data.text_inputs import InputText
from annoseq.errors import OptionError, count_noun
from annoseq.serving.annotation_jobs import JobPlanner, RedactorCache, numbered_texts
from annoseq.serving.api_page import api_pages
from annoseq.serving.error_responses import error_response, to_field_names
from annoseq.serving.micro_batcher import QueueFullError
from annoseq.serving.ndjson_stream import LineStream
from annoseq.serving.service_responses import (
    JSON_ERRORS,
    OTHER_ERRORS,
    MetricsResponse,
    NdjsonResponse,
    json_response,
    model_record,
    stream_body,
    stream_response,
)
from annoseq.serving.service_schema import (
    FIELD_NAMES,
    AnnotateLine,
    AnnotateRequest,
    AnnotateResponse,
    AnnotateStreamOptions,
    ModelName,
    ModelObject,
    ModelSummary,
    RedactLine,
    RedactOptions,
    RedactRequest,
    RedactResponse,
    RedactStreamOptions,
    StatusObject,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from annoseq.errors import AnnoseqError
    from annoseq.serving.annotation_jobs import SharedRedactor
    from annoseq.serving.micro_batcher import AnnotationJob
    from annoseq.serving.model_store import ModelStore, ServedModel
    from annoseq.serving.service_metrics import ServiceMetrics
    from annoseq.serving.service_schema import RequestDocument

STREAMED_PATHS = frozenset({"/annotate/stream", "/redact/stream"})
"""Paths whose bodies may be of any size."""
_DESCRIPTION = (
    "Annotates and redacts texts with trained models. Offsets count code points. No text is kept "
    "or logged."
)


@dataclass(frozen=True)
class ServiceLimits:
    """Largest text in characters, and longest line of a stream in bytes."""

    text_characters: int = 1_000_000
    line_bytes: int = 16 * 2**20

    def check_text(self, text: str, *, place: str) -> None:
        """Raise `HTTPException` if a text is too long."""
        if len(text) > self.text_characters:
            raise HTTPException(413, self.too_long(text, place=place))

    def too_long(self, text: str, *, place: str) -> str:
        """Return the error of a text that is too long."""
        return (
            f"{place} has {count_noun(len(text), 'character')}, and the longest that is taken "
            f"{self.text_characters:,}. Cut it into its sections, or use annoseq annotate."
        )


@dataclass(frozen=True)
class AnnotationService:
    """Handlers of the service."""

    store: ModelStore
    redactors: RedactorCache
    metrics: ServiceMetrics
    batching: BatchConfig = BatchConfig()
    limits: ServiceLimits = field(default_factory=ServiceLimits)

    def app(self) -> FastAPI:
        """Return the application, without the security layer."""
        self.metrics.watch(self.store)
        app = FastAPI(
            title="annoseq",
            version=__version__,
            description=_DESCRIPTION,
            docs_url=None,
            redoc_url=None,
            lifespan=self._lifespan,
        )
        app.add_exception_handler(OptionError, _answer_option_error)
        app.include_router(self._routes())
        app.include_router(api_pages(app))
        return app

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        self.store.start()
        yield
        await asyncio.to_thread(self.store.close)

    def _routes(self) -> APIRouter:
        router = APIRouter()
        route = partial(router.add_api_route, responses=JSON_ERRORS)
        route("/annotate", self.annotate, methods=["POST"], response_model=AnnotateResponse)
        route("/redact", self.redact, methods=["POST"], response_model=RedactResponse)
        route("/model", self.model, response_model=ModelObject)
        route("/models", self.models, response_model=list[ModelSummary])
        route("/health", self.health, response_model=StatusObject)
        route("/ready", self.ready, response_model=StatusObject)
        stream = partial(
            router.add_api_route,
            methods=["POST"],
            response_class=NdjsonResponse,
            responses=OTHER_ERRORS,
        )
        example = {"text": "Dr Ames saw him on 2/14."}
        stream(
            "/annotate/stream",
            self.annotate_stream,
            openapi_extra=stream_body(AnnotateLine, example),
        )
        stream("/redact/stream", self.redact_stream, openapi_extra=stream_body(RedactLine, example))
        router.add_api_route(
            "/metrics",
            self.render_metrics,
            response_class=MetricsResponse,
            responses=OTHER_ERRORS,
        )
        return router

    async def annotate(self, request: Request, body: AnnotateRequest) -> Response:
        """Annotate texts: the objects of the JSONL of `annoseq annotate`."""
        for place, text in enumerate(body.texts):
            self.limits.check_text(text, place=f"texts.{place}")
        served = self._served(body.model)
        planner = self._planner(served)
        planned = planner.annotate(numbered_texts(body.texts), body.options)
        lines = await _result(request, served, planned.job)
        return json_response(
            "annotations",
            lines,
            model_name=served.name,
            model=planner.model,
            notes=planned.notes,
        )

    async def redact(self, request: Request, body: RedactRequest) -> Response:
        """Redact texts: the objects of the annotations of `annoseq redact`."""
        documents = list(enumerate(body.all_documents(), start=1))
        for number, document in documents:
            for text in document.texts:
                self.limits.check_text(text, place=f"a text of document {number}")
        served = self._served(body.model)
        planner = self._planner(served)
        shared = await asyncio.to_thread(self._redactor, documents, body.options)
        planned = planner.redact(documents, body.options, shared)
        lines = await _result(request, served, planned.job)
        return json_response(
            "texts", lines, model_name=served.name, model=planner.model, notes=planned.notes
        )

    async def annotate_stream(
        self, request: Request, options: Annotated[AnnotateStreamOptions, Query()]
    ) -> Response:
        """Annotate a stream of lines, each `{"text": ...}`, with an `id` if you like.

        Every line is answered by one, in order: an annotation, or `{"line": number, "error": ...}`.
        Read while you write: what is not read stops what is.
        """
        served = self._served(options.model)
        planner = self._planner(served)
        planner.annotate([], options)  # which says whether the options can be used

        def plan(lines: Sequence[tuple[int, AnnotateLine]]) -> AnnotationJob[list[str]]:
            texts = [InputText(line.id or str(number), line.text) for number, line in lines]
            return planner.annotate(texts, options, numbers=[number for number, _ in lines]).job

        stream = LineStream(
            AnnotateLine,
            served.batcher,
            lambda line: self._check_line([line.text]),
            plan,
            self.limits.line_bytes,
            _describe,
        )
        return stream_response(stream, request, model_name=served.name, model=planner.model)

    async def redact_stream(
        self, request: Request, options: Annotated[RedactStreamOptions, Query()]
    ) -> Response:
        """Redact a stream of lines, each `{"text": ...}` or a document, `{"texts": [...]}`.

        A document may have an `id` and a `patient`. Every text is answered by a line, in order; a
        line that cannot be used by `{"line": number, "error": ...}`. What is found in a text is
        replaced in all texts of its line, and in no other line, whatever patient they have: to
        replace it in all notes of a patient, send them together to `/redact`. The surrogates and
        the shift of dates of a patient are the same in all lines, by the key of the server.
        """
        served = self._served(options.model)
        planner = self._planner(served)
        shared = await asyncio.to_thread(self._redactor, [], options)
        planner.redact([], options, shared)  # which says whether the options can be used

        def plan(lines: Sequence[tuple[int, RedactLine]]) -> AnnotationJob[list[str]]:
            documents = [(number, line.document()) for number, line in lines]
            shared = self._redactor(documents, options)
            # Lines of a patient come in one job or in several, as the bytes arrive.
            return planner.redact(documents, options, shared, joins_patients=False).job

        stream = LineStream(
            RedactLine,
            served.batcher,
            lambda line: self._check_line(line.document().texts),
            plan,
            self.limits.line_bytes,
            _describe,
        )
        return stream_response(stream, request, model_name=served.name, model=planner.model)

    async def model(self, name: Annotated[ModelName, Query()] = None) -> ModelObject:
        """Describe a model: its labels, the scores of its training, its card."""
        served = self._served(name)
        return model_record(served.name, served.current)

    async def models(self) -> list[ModelSummary]:
        """List the models, the default first."""
        return [
            ModelSummary(name=model.name, fingerprint=model.current.fingerprint)
            for model in self.store.models.values()
        ]

    async def health(self) -> StatusObject:
        """Tell that the process answers. Needs no token."""
        return StatusObject(status="ok")

    async def ready(self) -> Response:
        """Tell whether every model takes requests; 503 if not. Needs no token."""
        is_ready = self.store.is_ready
        status = StatusObject(status="ok" if is_ready else "ending")
        return JSONResponse(status.model_dump(), status_code=200 if is_ready else 503)

    async def render_metrics(self) -> Response:
        """Return metrics in the text format of Prometheus."""
        return MetricsResponse(self.metrics.render())

    def _served(self, name: str | None) -> ServedModel:
        if name is None:
            return self.store.default
        if name not in self.store.models:
            raise HTTPException(404, "there is no model of this name. GET /models lists them.")
        return self.store.models[name]

    def _planner(self, served: ServedModel) -> JobPlanner:
        return JobPlanner(served.current, self.batching)

    def _redactor(
        self, documents: Iterable[tuple[int, RequestDocument]], options: RedactOptions
    ) -> SharedRedactor:
        """Return the redactor of a request; its documents have a patient each, or none has one."""
        has_patients = {document.patient is not None for _, document in documents}
        if len(has_patients) > 1:
            raise OptionError(
                "some documents have a patient, and others have none. Send those without a patient "
                "in a request of their own."
            )
        return self.redactors.get(options, has_patients=has_patients == {True})

    def _check_line(self, texts: Iterable[str]) -> None:
        for text in texts:
            if len(text) > self.limits.text_characters:
                raise OptionError(self.limits.too_long(text, place="the text"))


async def _answer_option_error(_: Request, error: Exception) -> Response:
    return error_response(422, _describe(cast("OptionError", error)))


def _describe(error: AnnoseqError) -> str:
    return to_field_names(str(error), FIELD_NAMES)


async def _result(
    request: Request, served: ServedModel, job: AnnotationJob[list[str]]
) -> list[str]:
    """Return the result of a job, unless its client goes away before.

    Raises:
        HTTPException: the queue is full.
        ClientDisconnect: nobody waits for the result.
    """
    try:
        future = asyncio.wrap_future(served.batcher.submit(job))
    except QueueFullError as error:
        raise HTTPException(
            429,
            f"the queue is full. Try again in {count_noun(error.retry_after, 'second')}, or send "
            "fewer requests at once.",
            {"Retry-After": str(error.retry_after)},
        ) from None
    gone = asyncio.create_task(_wait_until_gone(request))
    try:
        waits: set[asyncio.Future[Any]] = {future, gone}
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        if not future.done():
            raise ClientDisconnect
        return future.result()
    finally:
        gone.cancel()
        job.is_abandoned = True


async def _wait_until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
