"""A service of a random tagger, as tests call it."""

from __future__ import annotations

import json
from contextlib import contextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from starlette.testclient import TestClient

from annoseq.cli.redact_options import RedactionOptions
from annoseq.cli.serve import load_redactor
from annoseq.inference.annotator import Annotator
from annoseq.serving.access import AccessPolicy
from annoseq.serving.annotation_jobs import RedactorCache
from annoseq.serving.micro_batcher import BatchLimits
from annoseq.serving.model_store import LoadedModel, ModelAddress, ModelStore, ServedModel
from annoseq.serving.request_limits import RequestLimits
from annoseq.serving.server import secure_app
from annoseq.serving.service import STREAMED_PATHS, AnnotationService, ServiceLimits
from annoseq.serving.service_metrics import ServiceMetrics
from tests.calibrated import calibrated_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

URL = "http://127.0.0.1:8000"
JSON = {"content-type": "application/json"}
NOTE = "Dr. Ames, 31y"


@cache
def tagger() -> Annotator:
    """Return a calibrated tagger with random weights, whose labels are AGE and NAME."""
    return Annotator(calibrated_model(), device="cpu")


def loaded(annotator: Annotator | None = None, *, signature: str = "") -> LoadedModel:
    return LoadedModel(annotator or tagger(), "# Card\n", ((signature, 0, 0, 0),))


def served(
    name: str = "first",
    load: Callable[[Path], LoadedModel] | None = None,
    *,
    limits: BatchLimits | None = None,
    metrics: ServiceMetrics | None = None,
    path: str = "nowhere",
) -> ServedModel:
    return ServedModel(
        ModelAddress.parse(f"{name}={path}"),
        load or (lambda _: loaded()),
        limits=limits or BatchLimits(delay=0.0),
        on_batch=(metrics or ServiceMetrics()).add_batch,
    )


def make_service(
    *models: ServedModel,
    redaction: RedactionOptions | None = None,
    metrics: ServiceMetrics | None = None,
    max_body: int = 100_000,
    max_text: int = 2_000,
) -> AnnotationService:
    metrics = metrics or ServiceMetrics()
    return AnnotationService(
        ModelStore(models or [served(metrics=metrics)]),
        RedactorCache(partial(load_redactor, redaction or RedactionOptions())),
        metrics,
        limits=ServiceLimits(max_text, max_body),
    )


@contextmanager
def service(*models: ServedModel, **options: Any) -> Iterator[TestClient]:
    """Yield a client of a service behind its security layer."""
    made = make_service(*models, **options)
    limits = RequestLimits(made.limits.line_bytes, streamed_paths=STREAMED_PATHS)
    app = made.metrics.count_requests(secure_app(made.app(), AccessPolicy(), limits=limits))
    with TestClient(app, base_url=URL) as client:
        yield client


def lines(content: str) -> list[Any]:
    """Parse lines of JSON."""
    return [json.loads(line) for line in content.splitlines()]
