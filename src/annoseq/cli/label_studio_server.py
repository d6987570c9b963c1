"""`annoseq label-studio`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from annoseq.cli.options import Device, ModelPath, ModelVectorsPath, at_least
from annoseq.cli.output import print_note
from annoseq.cli.server_options import ServerOptions, check_server_packages
from annoseq.config import DeviceConfig
from annoseq.data.pairs import stream_pairs
from annoseq.errors import count_noun

_MAX_BODY = 256 * 2**20


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectTrainingOptions:
    """Options of the training on annotated tasks, which Label Studio starts."""

    pairs: Annotated[
        Path | None,
        Parameter(
            help="Table of pairs to train on besides the annotated tasks, such as that of MODEL; "
            "without it, the training of the model goes on with the tasks alone."
        ),
    ] = None
    epochs: Annotated[
        int | None, Parameter(help="Epochs of a training.", validator=at_least(1))
    ] = None


def label_studio(
    model: ModelPath,
    /,
    *,
    data: Annotated[
        Path,
        Parameter(help="Folder of the annotated tasks and of the models that are trained on them."),
    ],
    training: ProjectTrainingOptions = ProjectTrainingOptions(),
    server: ServerOptions = ServerOptions(),
    vectors: ModelVectorsPath = None,
    device: Device = DeviceConfig(),
) -> None:
    """Answer Label Studio as its ML backend: predictions, and training on annotations."""
    check_server_packages("annoseq label-studio")
    from annoseq.integrations.label_studio_backend import LabelStudioBackend, label_studio_app
    from annoseq.integrations.label_studio_training import TrainingOptions
    from annoseq.serving.request_limits import RequestLimits

    if training.pairs is not None:
        next(stream_pairs(training.pairs), None)  # an error now, and not when a training starts
    access, listener = server.access_policy(), server.open_socket()
    with listener:
        options = TrainingOptions(
            pairs=training.pairs, epochs=training.epochs, device=device, vectors=vectors
        )
        backend = LabelStudioBackend(model, data, options=options)
        tasks = sum(map(backend.tasks.count, backend.tasks.projects()))
        print_note(f"{backend.answering.path} answers; {count_noun(tasks, 'annotated task')}")
        limits = RequestLimits(max_body=_MAX_BODY)
        server.run(label_studio_app(backend), access, listener, limits=limits)
