"""`annoseq serve`."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from annoseq.cli.options import Batching, Device, ModelVectorsPath, at_least
from annoseq.cli.output import print_note
from annoseq.cli.redact import note_policy_gaps
from annoseq.cli.redact_options import RedactionOptions
from annoseq.cli.server_options import ServerOptions, check_server_packages
from annoseq.config import BatchConfig, DeviceConfig
from annoseq.deid.redaction_target import default_coverage
from annoseq.errors import OptionError, count_noun

if TYPE_CHECKING:
    from annoseq.deid.custom_patterns import CustomPattern
    from annoseq.deid.redactor import Redactor
    from annoseq.serving.annotation_jobs import SharedRedactor
    from annoseq.serving.micro_batcher import BatchLimits
    from annoseq.serving.model_store import ModelStore
    from annoseq.serving.service_schema import RedactOptions


def _check_not_negative(_: object, number: float) -> None:
    if number < 0:
        raise ValueError("Give a number of at least 0.")


@Parameter(name="*", group="Load")
@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """Options of the work that a service takes."""

    max_waiting: Annotated[
        int,
        Parameter(
            help="Requests that may wait for a model; one more is answered 429, with the time to "
            "try again.",
            validator=at_least(1),
        ),
    ] = 1_000
    batch_delay: Annotated[
        float,
        Parameter(
            help="Milliseconds that a request waits for others to be annotated with, when nothing "
            "runs.",
            validator=_check_not_negative,
        ),
    ] = 2.0
    max_body: Annotated[
        int, Parameter(help="Largest body in MiB; streams have none.", validator=at_least(1))
    ] = 16
    max_text: Annotated[
        int, Parameter(help="Longest text in characters.", validator=at_least(1))
    ] = 1_000_000
    reload: Annotated[
        float,
        Parameter(
            help="Seconds between two looks whether a model has changed; 0: never.",
            validator=_check_not_negative,
        ),
    ] = 2.0

    def batch_limits(self) -> BatchLimits:
        """Return the limits of a model's queue."""
        from annoseq.serving.micro_batcher import BatchLimits

        return BatchLimits(waiting_requests=self.max_waiting, delay=self.batch_delay / 1_000)


def serve(
    model: Annotated[
        str,
        Parameter(help="Folder that `annoseq train` wrote, or an ONNX file, or NAME=PATH."),
    ],
    more: Annotated[
        tuple[str, ...],
        Parameter(help="Further models: a path, whose last part is the name, or NAME=PATH."),
    ] = (),
    /,
    *,
    server: ServerOptions = ServerOptions(),
    load: LoadOptions = LoadOptions(),
    redaction: RedactionOptions = RedactionOptions(),
    batching: Batching = BatchConfig(),
    vectors: ModelVectorsPath = None,
    device: Device = DeviceConfig(),
) -> None:
    """Serve models over HTTP: annotate and redact texts that programs send."""
    check_server_packages("annoseq serve")
    from annoseq.serving.annotation_jobs import RedactorCache
    from annoseq.serving.model_store import ModelStore, ServedModel, load_served, parse_addresses
    from annoseq.serving.request_limits import RequestLimits
    from annoseq.serving.service import STREAMED_PATHS, AnnotationService, ServiceLimits
    from annoseq.serving.service_metrics import ServiceMetrics
    from annoseq.serving.service_schema import RedactOptions

    addresses = parse_addresses([model, *more])
    access = server.access_policy()
    redactors = RedactorCache(partial(load_redactor, redaction))
    shared = redactors.get(RedactOptions(), has_patients=False)
    max_body = load.max_body * 2**20
    with server.open_socket() as listener:
        metrics = ServiceMetrics()
        served = [
            ServedModel(
                address,
                partial(load_served, device=device, vectors=vectors),
                limits=load.batch_limits(),
                on_batch=metrics.add_batch,
            )
            for address in addresses
        ]
        store = ModelStore(served, watch_seconds=load.reload)
        _note_models(store, shared)
        service = AnnotationService(
            store, redactors, metrics, batching, ServiceLimits(load.max_text, max_body)
        )
        limits = RequestLimits(max_body, streamed_paths=STREAMED_PATHS)
        server.run(service.app(), access, listener, limits=limits, metrics=metrics)


def load_redactor(
    server: RedactionOptions, options: RedactOptions, *, has_patients: bool
) -> tuple[Redactor, list[CustomPattern]]:
    """Return the redactor of a request, whose options complete those of the server.

    Raises:
        OptionError: the request changes an option that the server was started with, or options
            contradict each other.
    """
    default = RedactionOptions()
    names = {field.name for field in fields(RedactionOptions)}
    fixed = {name for name in names if getattr(server, name) != getattr(default, name)}
    given = options.replacements()
    for name in given:
        if name in fixed:
            shown = "with" if name == "style" else name
            raise OptionError(
                f"options.{shown}: the server was started with it, and requests cannot change it. "
                "Leave it off."
            )
    return replace(server, **given).load(has_patients=has_patients, is_of_server=True)


def _note_models(store: ModelStore, shared: SharedRedactor) -> None:
    """Note on standard error which models are served, and how well they can redact."""
    for name, model in store.models.items():
        annotator = model.current.annotator
        labels = annotator.predictor.labels
        print_note(
            f"{name}: {annotator.config.network.model} {model.current.fingerprint} on "
            f"{annotator.device}, {count_noun(len(labels), 'label')}"
        )
        if annotator.is_translator:
            continue
        try:
            shared.redactor.table.check_labels(labels)
        except OptionError as error:
            print_note(f"{name}: /redact does not take this model: {error}")
            continue
        note_policy_gaps(shared.redactor, labels, shared.patterns)
        if remark := default_coverage(annotator).remark:
            print_note(f"{name}: /redact: {remark}")
