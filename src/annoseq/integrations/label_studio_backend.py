"""ML backend of Label Studio: predictions for its tasks, and training on their annotations.

The paths and the JSON are those of the label-studio-ml package, whose server Label Studio asks:
`/health`, `/setup`, `/predict`, and `/webhook` for annotations and for the button that trains.
"""

from __future__ import annotations

import logging
import math
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI
from pydantic import BaseModel, BeforeValidator, Field
from starlette.responses import JSONResponse

from annoseq.atomic_io import atomic_file
from annoseq.data.text_inputs import is_well_formed
from annoseq.errors import FormatError, count_noun, display_name
from annoseq.formats.documents import Mention
from annoseq.formats.label_studio import label_result
from annoseq.integrations.annotated_tasks import AnnotatedTasks
from annoseq.integrations.label_studio_training import (
    AnsweringModel,
    ProjectTraining,
    TrainingOptions,
)
from annoseq.integrations.labelling_config import LabellingConfig, describe_unmatched

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from annoseq.inference.annotation import Annotation
    from annoseq.integrations.span_annotator import SpanAnnotator

_LOG = logging.getLogger(__name__)
_MAX_TASKS = 10_000
_CURRENT = "current"
_STORES = {"ANNOTATION_CREATED", "ANNOTATION_UPDATED"}
_REMOVES = {"ANNOTATIONS_DELETED", "ANNOTATION_DELETED"}
_STARTS = "START_TRAINING"


def _project_number(value: object) -> object:
    """Return the number of a project, which `/setup` and `/predict` name as `number.time`."""
    return value.partition(".")[0] if isinstance(value, str) else value


ProjectNumber = Annotated[int, BeforeValidator(_project_number)]
Identifier = Annotated[int, Field(ge=0)]


class SetupRequest(BaseModel):
    """A project that asks for predictions, and its labelling configuration."""

    project: ProjectNumber = 0
    config: str = Field(alias="schema")


class TaskRecord(BaseModel):
    """A task; its data has the text in the field that the configuration shows."""

    id: Identifier = 0
    data: dict[str, Any]


class PredictRequest(BaseModel):
    """Tasks to predict."""

    tasks: list[TaskRecord] = Field(max_length=_MAX_TASKS)
    project: ProjectNumber = 0
    label_config: str | None = None


class ProjectRecord(BaseModel):
    """The project of an event."""

    id: Identifier
    label_config: str | None = None


class AnnotationRecord(BaseModel, extra="allow"):
    """An annotation, all fields of which are kept."""

    id: Identifier


class WebhookEvent(BaseModel):
    """An event of a project."""

    action: str
    project: ProjectRecord | None = None
    task: TaskRecord | None = None
    annotation: AnnotationRecord | None = None
    annotations: list[AnnotationRecord] = []


class LabelStudioBackend:
    """A model that answers Label Studio, the annotations that it collects, and their training.

    Annotated tasks, trained models, and the name of the one that answers are in `folder`. A model
    that took over in an earlier run answers in place of the one at `path`.

    Raises:
        ModelError: the model is missing or damaged.
        OptionError: the model translates.
        OutputError: the folder cannot be made.
    """

    def __init__(self, path: Path, folder: Path, *, options: TrainingOptions | None = None) -> None:
        self.tasks = AnnotatedTasks(folder)
        self.tasks.prepare()
        self._folder = folder
        self._configs: dict[int, tuple[str, LabellingConfig]] = {}
        options = options or TrainingOptions()
        self.answering = AnsweringModel.load(self._find_model(path), options)
        self.training = ProjectTraining(self.tasks, folder / "models", options, self._take)

    def _find_model(self, path: Path) -> Path:
        """Return the model that took over in an earlier run, or the given one."""
        try:
            name = (self._folder / _CURRENT).read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return path
        return self._folder / "models" / Path(name).name

    def _take(self, better: AnsweringModel) -> None:
        with atomic_file(self._folder / _CURRENT, overwrite=True) as new:
            new.write_text(better.path.name, encoding="utf-8")
        self.answering = better

    @property
    def model(self) -> SpanAnnotator:
        """The model that answers."""
        return self.answering.model

    def configure(self, project: int, xml: str | None) -> LabellingConfig:
        """Return the configuration of a project: the given one, or the last that it sent.

        Raises:
            FormatError: it has no labels of a text, or the project never sent one.
        """
        known = self._configs.get(project)
        if xml is None:
            if known is None:
                raise FormatError(
                    "label_config: the project has sent no labelling configuration. Send it, or "
                    "validate the connection in the project's settings."
                )
            return known[1]
        if known is None or known[0] != xml:
            config = LabellingConfig.parse(xml)
            labels = self.model.labels
            if note := describe_unmatched(labels, config.match(labels)):
                _LOG.warning("project %d: %s", project, note)
            self._configs[project] = known = (xml, config)
        return known[1]

    def predict(self, request: PredictRequest) -> list[dict[str, Any]]:
        """Return a prediction for each task.

        The score of a result is the probability of its span, and that of a prediction the
        probability of all of it, by which Label Studio shows the least certain tasks first.

        Raises:
            FormatError: the configuration cannot be used, or a task has no text.
        """
        config, model = self.configure(request.project, request.label_config), self.model
        names = config.match(model.labels)
        texts = [_text(task, config, number) for number, task in enumerate(request.tasks)]
        return [
            {
                "model_version": model.name,
                "score": min(math.exp(annotation.score), 1.0),
                "result": _results(annotation, config, names),
            }
            for annotation in model.annotate(texts)
        ]

    def handle(self, event: WebhookEvent) -> str | None:
        """Store or remove annotations, or start a training; return what was done, None if nothing.

        Raises:
            FormatError: the event has no payload, or the configuration cannot be used.
            OptionError: there are too few annotated tasks to train on.
            OutputError: an annotation cannot be stored.
        """
        if event.action not in _STORES | _REMOVES | {_STARTS}:
            return None
        if event.project is None:
            raise _no_payload("project")
        project = event.project.id
        if event.action == _STARTS:
            config = self.configure(project, event.project.label_config)
            return self.training.start(project, config, self.answering)
        if event.action in _STORES:
            if event.task is None or event.annotation is None:
                raise _no_payload("task and annotation")
            annotation = event.annotation.model_dump()
            self.tasks.add(project, event.task.id, event.task.data, annotation)
            return "stored"
        given = [event.annotation] if event.annotation else event.annotations
        removed = self.tasks.remove(project, [annotation.id for annotation in given])
        return f"removed {count_noun(removed, 'annotation')}"


def _no_payload(names: str) -> FormatError:
    return FormatError(
        f"{names}: missing in the event. Let the webhook send its payload (Send payload)."
    )


def _text(task: TaskRecord, config: LabellingConfig, number: int) -> str:
    text = task.data.get(config.field)
    if not isinstance(text, str) or not is_well_formed(text):
        raise FormatError(
            f"tasks.{number}: its data have no text in the field "
            f"{display_name(config.field)}, which the labelling configuration shows."
        )
    return text


def _results(
    annotation: Annotation, config: LabellingConfig, names: Mapping[str, str]
) -> list[dict[str, Any]]:
    return [
        label_result(
            replace(Mention.from_span(span), label=names[span.label]),
            number,
            annotation.text,
            name=config.name,
            to_name=config.to_name,
        )
        for number, span in enumerate(annotation.spans or ())
        if span.label in names
    ]


def label_studio_app(backend: LabelStudioBackend) -> FastAPI:
    """Return the application of a backend; `serving.server.secure_app` puts it behind security."""
    app = FastAPI(
        title="annoseq for Label Studio",
        openapi_url=None,
        lifespan=lambda _: _closing(backend),
    )

    @app.get("/")
    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "UP", "model_class": "annoseq"}

    @app.post("/setup")
    def setup(request: SetupRequest) -> dict[str, str]:
        backend.configure(request.project, request.config)
        return {"model_version": backend.model.name}

    @app.post("/predict")
    def predict(request: PredictRequest) -> dict[str, Any]:
        return {"results": backend.predict(request)}

    @app.post("/webhook")
    def webhook(event: WebhookEvent) -> JSONResponse:
        done = backend.handle(event)
        if done is None:
            return JSONResponse({"status": "Unknown event"})
        return JSONResponse({"result": done, "status": "ok"}, status_code=201)

    @app.get("/training")
    def training() -> dict[str, Any]:
        tasks = {project: backend.tasks.count(project) for project in backend.tasks.projects()}
        return {**asdict(backend.training.report), "annotated_tasks": tasks}

    return app


@asynccontextmanager
async def _closing(backend: LabelStudioBackend) -> AsyncIterator[None]:
    """End a training with the server."""
    yield
    backend.training.close()
