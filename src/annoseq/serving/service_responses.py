"""Responses of the service: results as JSON and as streams, models, and its errors."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fastapi import Response
from fastapi.responses import StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST

from annoseq.serving.error_responses import ErrorMessage
from annoseq.serving.ndjson_stream import NDJSON
from annoseq.serving.service_schema import ModelObject

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fastapi import Request
    from pydantic import BaseModel
    from starlette.types import Receive, Scope, Send

    from annoseq.serving.model_store import LoadedModel
    from annoseq.serving.ndjson_stream import LineStream

_ERRORS = {
    400: "The body cannot be read.",
    401: "A token is needed.",
    403: "A page of another origin asks.",
    404: "There is no model of this name.",
    408: "The body does not arrive.",
    413: "The body or a text is too large.",
    415: "The body has another content type.",
    421: "The Host header does not name this server.",
    422: "A field, an option or a text cannot be used.",
    429: "The queue is full; the header Retry-After tells when to try again.",
    500: "Error of the service.",
}
_ERROR_SCHEMA = {"$ref": "#/components/schemas/ErrorMessage"}
JSON_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorMessage, "description": text} for status, text in _ERRORS.items()
}
OTHER_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {"application/json": {"schema": _ERROR_SCHEMA}}}
    for status, text in _ERRORS.items()
}
"""Errors of operations whose results are not JSON."""


class NdjsonResponse(StreamingResponse):
    """Response that is written while the body of its request is read."""

    media_type = NDJSON

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write the response; starlette's own would await the end of the connection meanwhile.

        That would take the body from whoever reads it.
        """
        await self.stream_response(send)


class MetricsResponse(Response):
    """Metrics in the text format of Prometheus."""

    media_type = CONTENT_TYPE_LATEST


def json_response(
    name: str,
    lines: Iterable[str],
    *,
    model_name: str,
    model: LoadedModel,
    notes: Sequence[str],
) -> Response:
    """Return the response of a request: the lines as they are, in a list."""
    head = {"model": model_name, "fingerprint": model.fingerprint, "notes": [*notes]}
    start = json.dumps(head, ensure_ascii=False).removesuffix("}")
    listed = ", ".join(line.rstrip("\n") for line in lines)
    return Response(f'{start}, "{name}": [{listed}]}}', media_type="application/json")


def stream_response(
    stream: LineStream[Any], request: Request, *, model_name: str, model: LoadedModel
) -> Response:
    """Return the response of a stream; its header names the model that answers all of it."""
    headers = {"annoseq-model": f"{model_name} {model.fingerprint}"}
    answers = stream.answer(request.stream())
    return NdjsonResponse(answers, headers=headers)


def model_record(name: str, model: LoadedModel) -> ModelObject:
    """Describe a model."""
    annotator = model.annotator
    epochs = annotator.history.epochs if annotator.history else ()
    return ModelObject(
        name=name,
        fingerprint=model.fingerprint,
        network=annotator.config.network.model,
        task=annotator.config.task,
        device=annotator.device,
        labels=[] if annotator.is_translator else list(annotator.predictor.labels),
        is_calibrated=annotator.calibration is not None,
        epochs=annotator.config.epochs,
        scores=epochs[-1].scores if epochs else {},
        loaded_at=datetime.fromtimestamp(model.loaded_at, UTC).isoformat(timespec="seconds"),
        card=model.card,
    )


def stream_body(line: type[BaseModel], example: dict[str, str]) -> dict[str, Any]:
    """Return the description of a body of lines; the tools of OpenAPI know one line alone."""
    content = {"schema": line.model_json_schema(), "example": json.dumps(example)}
    return {"requestBody": {"required": True, "content": {NDJSON: content}}}
