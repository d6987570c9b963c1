"""Training on the annotated tasks of a Label Studio project, in a process of its own.

A fifth of the tasks, by a hash of their numbers, is kept from every training. The old and the new
model are compared on these tasks, and the new one takes over only if it is not worse.
"""

from __future__ import annotations

import json
import logging
import tempfile
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from annoseq.config import SOURCE_COLUMN, TARGET_COLUMN
from annoseq.data.examples import parse_pairs
from annoseq.data.pairs import Pairs, read_pairs, write_pairs
from annoseq.data.splits import hash_rank
from annoseq.errors import AnnoseqError, OptionError, count_noun
from annoseq.evaluation.span_matching import SpanScore, score_spans
from annoseq.formats.capabilities import ConversionLosses
from annoseq.formats.conversion import read_corpus
from annoseq.formats.conversion_options import ImportOptions
from annoseq.formats.label_map import LabelMap
from annoseq.formats.rows import to_pairs
from annoseq.inference.annotator import Annotator
from annoseq.integrations.span_annotator import SpanAnnotator
from annoseq.serving.security import describe_exception
from annoseq.training.training_process import TrainingProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from annoseq.config import DeviceConfig
    from annoseq.data.pairs import Pair
    from annoseq.integrations.annotated_tasks import AnnotatedTasks
    from annoseq.integrations.labelling_config import LabellingConfig

_LOG = logging.getLogger(__name__)
MIN_TASKS = 20
"""Fewest annotated tasks of a training: a fifth of them tells which model is better."""
_HELD_BACK = 1 / 5
_SEED = "label studio"

TrainingStatus = Literal["none", "running", "taken", "not taken", "failed"]


@dataclass(frozen=True, repr=False)
class AnsweringModel:
    """A model that answers, and the folder or file that it was read from."""

    path: Path
    model: SpanAnnotator

    @classmethod
    def load(cls, path: Path, options: TrainingOptions) -> AnsweringModel:
        """Read a model onto the device of the options, as `SpanAnnotator.load` does."""
        annotator = Annotator.load(path, device=options.device, vectors=options.vectors)
        return cls(path, SpanAnnotator.load(annotator))


@dataclass(frozen=True)
class TrainingReport:
    """State of the last training, and what is to be said of it."""

    status: TrainingStatus = "none"
    message: str = "no training was started"


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """Pairs that are trained on besides the tasks, and options of models and of `annoseq train`.

    Without pairs, the training of the current model goes on with the tasks; with pairs, a new model
    is trained on both.
    """

    pairs: Path | None = None
    epochs: int | None = None
    device: DeviceConfig | None = None
    vectors: Path | None = None

    def arguments(self, table: Path, out: Path, base: Path) -> list[str]:
        """Return the arguments of `annoseq train`."""
        words = [str(table), "--out", str(out)]
        if self.pairs is None:
            words += ["--go-on-from", str(base)]
        if self.epochs is not None:
            words += ["--epochs", str(self.epochs)]
        if self.device is not None:
            words += self.device.arguments()
        if self.vectors is not None:
            words += ["--vectors", str(self.vectors)]
        return words


@dataclass
class ProjectTraining:
    """Trainings, one at a time, on the tasks of a project; models are numbered in a folder.

    `on_better` is given a model that takes over.
    """

    tasks: AnnotatedTasks
    models: Path
    options: TrainingOptions
    on_better: Callable[[AnsweringModel], None]
    report: TrainingReport = field(default_factory=TrainingReport)
    process: TrainingProcess = field(default_factory=TrainingProcess)
    _thread: threading.Thread | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, project: int, config: LabellingConfig, current: AnsweringModel) -> str:
        """Start a training in the background, unless one runs; return what happens.

        Raises:
            OptionError: there are too few annotated tasks.
        """
        with self._lock:
            if self.report.status == "running":
                return "a training runs already"
            if (count := self.tasks.count(project)) < MIN_TASKS:
                raise OptionError(
                    f"the project has {count_noun(count, 'annotated task')}, and a training needs "
                    f"at least {MIN_TASKS}. Annotate more; a webhook for annotations sends them."
                )
            self.report = TrainingReport("running", f"training on {count_noun(count, 'task')}")
            self._thread = threading.Thread(
                target=self._run, args=(project, config, current), name="annoseq training"
            )
            self._thread.start()
            return self.report.message

    def wait(self) -> None:
        """Wait for the end of the training that runs, if one does."""
        if self._thread is not None:
            self._thread.join()

    def close(self) -> None:
        """End the training that runs, if one does; its model is not kept."""
        self.process.close()
        self.wait()

    def _run(self, project: int, config: LabellingConfig, current: AnsweringModel) -> None:
        try:
            with tempfile.TemporaryDirectory(dir=self.models.parent) as folder:
                labels = current.model.labels
                rows = TaskRows.read(self.tasks, project, config, labels, Path(folder))
                table = Path(folder) / "pairs.csv"
                write_pairs(self._training_pairs(rows), table, overwrite=True)
                out = self._next_folder()
                self.process.run(self.options.arguments(table, out, current.path))
            self.report = self._compare(rows, current.model, AnsweringModel.load(out, self.options))
        except AnnoseqError as error:
            self.report = TrainingReport("failed", str(error))
        except OSError as error:
            self.report = TrainingReport("failed", f"a file cannot be written: {error.strerror}")
        except Exception as error:  # noqa: BLE001  # whatever it says may quote a text
            self.report = TrainingReport("failed", f"internal error: {describe_exception(error)}")
        _LOG.warning("training: %s", self.report.message)

    def _training_pairs(self, rows: TaskRows) -> list[Pair]:
        """Return the rows of the tasks, after those of the pairs, each with its document.

        Pairs with a text that is kept back are left out: the models are compared on it.
        """
        pairs = () if self.options.pairs is None else read_pairs(self.options.pairs)
        held_back = {pair.source for pair in rows.held_back}
        named = [
            replace(pair, document=pair.document or f"row {pair.row}")
            for pair in pairs
            if pair.source not in held_back
        ]
        return [replace(pair, start=None) for pair in (*named, *rows.train)]

    def _next_folder(self) -> Path:
        self.models.mkdir(exist_ok=True)
        numbers = [int(path.name) for path in self.models.iterdir() if path.name.isdecimal()]
        return self.models / str(max(numbers, default=0) + 1)

    def _compare(
        self, rows: TaskRows, current: SpanAnnotator, new: AnsweringModel
    ) -> TrainingReport:
        """Let the new model take over if it is not worse on the tasks that were kept back."""
        before, after = rows.score(current), rows.score(new.model)
        if not before.gold:
            return TrainingReport(
                "not taken",
                "no task that was kept from training has a span, so that the models cannot be "
                f"compared: the old model goes on; the new one is {new.path}",
            )
        where = f"{count_noun(rows.held_back_tasks, 'task')} kept from training"
        scores = f"span F1 {after.f1:.3f} on {where} ({before.f1:.3f} before)"
        if rows.left_out:
            scores += f"; left out: {', '.join(rows.left_out)}"
        if after.f1 < before.f1:
            return TrainingReport(
                "not taken", f"{scores}: the old model goes on; the new one is {new.path}"
            )
        self.on_better(new)
        return TrainingReport("taken", f"{scores}: {new.model.name} answers now, from {new.path}")


@dataclass(frozen=True, repr=False)
class TaskRows:
    """Rows of the annotated tasks of a project: to train on, and kept back."""

    train: list[Pair]
    held_back: list[Pair]
    left_out: list[str]
    """Notes on what the rows cannot hold."""

    @classmethod
    def read(
        cls,
        tasks: AnnotatedTasks,
        project: int,
        config: LabellingConfig,
        model_labels: Sequence[str],
        folder: Path,
    ) -> TaskRows:
        """Read the tasks by way of an export in Label Studio's format, written to `folder`.

        Raises:
            FormatError: an annotation does not fit its text.
        """
        export = folder / "tasks.json"
        export.write_text(json.dumps(tasks.tasks(project), ensure_ascii=False), encoding="utf-8")
        losses = ConversionLosses()
        options = ImportOptions(
            source=SOURCE_COLUMN,
            target=TARGET_COLUMN,
            field=config.field,
            label_map=LabelMap(rename=config.learned_labels(model_labels)),
        )
        documents = read_corpus("label-studio", export, options, losses)
        pairs = list(to_pairs(documents, unit="line", losses=losses))
        held_back = [pair for pair in pairs if _is_held_back(pair.document)]
        train = [pair for pair in pairs if not _is_held_back(pair.document)]
        return cls(train, held_back, losses.lines())

    @property
    def held_back_tasks(self) -> int:
        """Number of the tasks that are kept back."""
        return len({pair.document for pair in self.held_back})

    def score(self, model: SpanAnnotator) -> SpanScore:
        """Score the spans of a model on the rows that were kept back."""
        examples = parse_pairs(Pairs(self.held_back, name="tasks"), task="annotate").examples
        found = model.spans([example.source for example in examples])
        scores = (
            score_spans(*both)
            for both in zip(found, (example.tight_spans for example in examples), strict=True)
        )
        return sum(scores, SpanScore())


def _is_held_back(task: str | None) -> bool:
    rank = int.from_bytes(hash_rank(_SEED, task or "")[:8], "big")
    return rank < _HELD_BACK * 2**64
