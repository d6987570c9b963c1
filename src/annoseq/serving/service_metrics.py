"""Metrics of the service for Prometheus: counts, times and sizes, and no word of a text."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

    from annoseq.serving.model_store import ModelStore
    from annoseq.serving.security import AsgiApp, Message, Receive, Scope, Send

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_METHODS = {"GET", "HEAD", "POST"}


class ServiceMetrics:
    """Counters of a service; those of its models are read when they are asked for."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._requests = Counter(
            "annoseq_requests",
            "Requests by path, method and status.",
            ["path", "method", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "annoseq_request_seconds",
            "Time from the head of a request to the end of its response.",
            ["path"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._texts = Counter(
            "annoseq_texts", "Texts that were annotated.", ["model"], registry=self.registry
        )
        self._batches = Counter(
            "annoseq_batches", "Batches that were annotated.", ["model"], registry=self.registry
        )
        self._batch_requests = Histogram(
            "annoseq_batch_requests",
            "Requests in a batch.",
            ["model"],
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
            registry=self.registry,
        )
        self._batch_seconds = Histogram(
            "annoseq_batch_seconds",
            "Time to annotate a batch.",
            ["model"],
            buckets=_SECONDS,
            registry=self.registry,
        )

    def add_batch(self, model: str, texts: int, requests: int, seconds: float) -> None:
        """Count a batch."""
        self._texts.labels(model).inc(texts)
        self._batches.labels(model).inc()
        self._batch_requests.labels(model).observe(requests)
        self._batch_seconds.labels(model).observe(seconds)

    def add_request(self, path: str, method: str, status: int, seconds: float) -> None:
        """Count a request; `path` is that of a route, and not what was asked for."""
        known = method if method in _METHODS else "other"
        self._requests.labels(path, known, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def watch(self, store: ModelStore) -> None:
        """Report the queues and the versions of the models, too."""
        self.registry.register(_StoreCollector(store))

    def count_requests(self, app: AsgiApp) -> AsgiApp:
        """Return an application whose requests are counted, also those that it refuses."""
        return _MeteredApp(app, self)

    def render(self) -> bytes:
        """Return the metrics in Prometheus's text format."""
        return generate_latest(self.registry)


@dataclass(frozen=True)
class _StoreCollector(Collector):
    """Gauges of the models of a store."""

    store: ModelStore

    def collect(self) -> Iterator[Metric]:
        requests = GaugeMetricFamily(
            "annoseq_waiting_requests", "Requests that wait.", labels=["model"]
        )
        characters = GaugeMetricFamily(
            "annoseq_waiting_characters", "Characters that wait.", labels=["model"]
        )
        info = GaugeMetricFamily(
            "annoseq_model_info", "Always 1.", labels=["model", "fingerprint", "device"]
        )
        reloads = CounterMetricFamily(
            "annoseq_model_reloads", "Changed models that were taken up.", labels=["model"]
        )
        failures = CounterMetricFamily(
            "annoseq_model_reload_failures",
            "Changed models that could not be loaded.",
            labels=["model"],
        )
        for name, model in self.store.models.items():
            waiting = model.batcher.waiting
            requests.add_metric([name], waiting[0])
            characters.add_metric([name], waiting[1])
            current = model.current
            info.add_metric([name, current.fingerprint, str(current.annotator.device)], 1)
            reloads.add_metric([name], model.reloads)
            failures.add_metric([name], model.failures)
        yield from (requests, characters, info, reloads, failures)


@dataclass(frozen=True, slots=True)
class _MeteredApp:
    """An ASGI application whose requests are counted, also those that it refuses."""

    app: AsgiApp
    metrics: ServiceMetrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and count it when its response ends."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 0
        start = time.perf_counter()

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, note_status)
        finally:
            path = getattr(scope.get("route"), "path", "none")
            seconds = time.perf_counter() - start
            self.metrics.add_request(path, scope["method"], status, seconds)
