"""Retraining in the background: a new model from the decided documents, compared with the old one.

`annoseq train --go-on-from` runs in a process of its own on the decided documents outside of the
random share. Both models are then compared on the decided documents of the share, and the new one
is taken into use unless it is worse there. The old one stays where it is, beside the new one.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from annoseq.config import TrainingConfig
from annoseq.data.examples import parse_pair
from annoseq.data.pairs import Pair
from annoseq.errors import AnnoseqError, ReviewError, count_noun
from annoseq.models.model_config import CONFIG_FILE, ModelConfig
from annoseq.review.prediction import predict_documents
from annoseq.review.quality_estimate import compare_models, random_sample
from annoseq.review.retraining_run import PAIRS_PREFIX, RetrainingRun
from annoseq.review.review_export import decided_documents, to_pair
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from annoseq.config import DeviceConfig
    from annoseq.data.examples import Example
    from annoseq.evaluation.significance import ScoreDifference
    from annoseq.inference.annotator import Annotator
    from annoseq.review.project import ReviewProject
    from annoseq.review.project_records import DocumentPrediction

RetrainingState = Literal["none", "running", "done", "failed"]
MIN_DOCUMENTS = 2
"""Fewest decided documents to train on: one of them chooses the epoch."""
_TRAINING_SHARE = 0.8
"""Share of the progress bar that training takes; the rest is predicting."""
_CLOSE_SECONDS = 10
_RECORD = "retraining"


@dataclass(frozen=True, slots=True)
class RetrainingStatus:
    """State of the last retraining, its progress from 0 to 1, a sentence, and what it gained."""

    state: RetrainingState = "none"
    progress: float = 0.0
    message: str = ""
    gain: dict[str, float | None] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return {
            "state": self.state,
            "progress": round(self.progress, 3),
            "message": self.message,
            "gain": self.gain,
        }


@dataclass(frozen=True)
class RetrainingOptions:
    """Options of retraining: examples to learn from besides, device, and file of word vectors."""

    replay: tuple[Example, ...] = ()
    device: DeviceConfig | None = None
    vectors: Path | None = None

    def arguments(self) -> tuple[str, ...]:
        """Return the options of `annoseq train`."""
        device = () if self.device is None else self.device.arguments()
        return (*device, *(() if self.vectors is None else ("--vectors", str(self.vectors))))

    def load(self, folder: Path) -> Annotator:
        """Load a model."""
        from annoseq.inference.annotator import Annotator

        return Annotator.load(folder, device=self.device, vectors=self.vectors)


class Retraining:
    """Retraining of a project, one at a time.

    `run` trains as a `RetrainingRun` does, and `load` loads a model.
    """

    def __init__(
        self,
        project: ReviewProject,
        options: RetrainingOptions | None = None,
        *,
        run: Callable[[RetrainingRun, Sequence[Pair], Callable[[float], None]], None] | None = None,
        load: Callable[[Path], Annotator] | None = None,
    ) -> None:
        self._project = project
        self._options = options or RetrainingOptions()
        self._run = run or RetrainingRun.__call__
        self._load = load or self._options.load
        self._thread: Thread | None = None
        self._current: RetrainingRun | None = None
        self._known_obstacle: tuple[int, str | None] = (-1, None)
        self.status = RetrainingStatus(**(project.store.meta(_RECORD) or {}))

    @property
    def is_possible(self) -> bool:
        """True if nothing runs, the model is a folder, and enough documents are decided."""
        return self._obstacle() is None

    def start(self) -> None:
        """Begin in the background.

        Raises:
            ReviewError: one is running, the model is no folder, or there is too little to learn
                from.
        """
        with self._project.lock:
            if obstacle := self._obstacle():
                raise ReviewError(obstacle)
            run, pairs = self._plan()
            message = f"training on {count_noun(len(pairs), 'document')}"
            self.status = RetrainingStatus("running", message=message)
            self._current = run
            self._thread = Thread(target=self._work, args=[run, pairs], daemon=True)
            self._thread.start()

    def wait(self) -> None:
        """Wait until the retraining that was begun has ended."""
        if self._thread is not None:
            self._thread.join()

    def close(self) -> None:
        """End the training that runs, if one does, and wait until its pairs are removed."""
        if self._thread is None or self._current is None:
            return
        self._current.process.close()
        self._thread.join(_CLOSE_SECONDS)

    def _obstacle(self) -> str | None:
        """Return why no retraining can begin, None if it can."""
        if self.status.state == "running":
            return "a retraining is running. Wait until it ends."
        changes, obstacle = self._known_obstacle
        if changes != self._project.changes:
            changes, obstacle = self._project.changes, self._lack()
            self._known_obstacle = changes, obstacle
        return obstacle

    def _lack(self) -> str | None:
        """Return what is missing to go on from, or to learn from, None if nothing is."""
        if not (self._base / CONFIG_FILE).is_file():
            return (
                "the model of the project is no folder that `annoseq train` wrote, or is no longer "
                "there, so that its training cannot go on. Export the pairs and train a new one."
            )
        decided = [*decided_documents(self._project, in_random_share=False)]
        if len(decided) < MIN_DOCUMENTS or not any(each.spans for _, each in decided):
            return (
                f"{count_noun(len(decided), 'document')} outside of the random share decided, and "
                f"{MIN_DOCUMENTS} with a span are needed to learn from. Review more documents."
            )
        return None

    @property
    def _base(self) -> Path:
        return Path(self._project.models[-1].path)

    def _plan(self) -> tuple[RetrainingRun, list[Pair]]:
        """Return the run, and the pairs to train on."""
        decided = decided_documents(self._project, in_random_share=False)
        reviewed = [to_pair(document, each.spans) for document, each in decided]
        drawn = {each.text for each in self._project.documents.values() if each.in_random_share}
        replayed = [
            Pair(each.source, each.target, each.row, each.document)
            for each in self._options.replay
            if each.source not in drawn  # the models are compared on these
        ]
        pairs = [
            replace(pair, document=pair.document or f"{kind} {pair.row}", start=pair.start or 0)
            for kind, some in (("row", reviewed), ("replayed row", replayed))
            for pair in some
        ]
        config = _read_config(self._base)
        training = TrainingConfig().resolve_auto(
            model=config.network.model, rows=len(pairs), has_encoder=config.encoder is not None
        )
        assert training.epochs != "auto"
        options = self._options.arguments()
        return RetrainingRun(self._base, self._free_folder(), training.epochs, options), pairs

    def _free_folder(self) -> Path:
        """Return the folder of the next model, beside the project."""
        path = self._project.store.path
        folder = path.with_name(f"{path.stem}-models").absolute()
        folder.mkdir(mode=0o700, exist_ok=True)
        for left in folder.glob(f"{PAIRS_PREFIX}*"):  # of a server that was killed
            shutil.rmtree(left, ignore_errors=True)
        number = self._project.model + 1
        while (folder / f"model-{number}").exists():
            number += 1
        return folder / f"model-{number}"

    def _work(self, run: RetrainingRun, pairs: Sequence[Pair]) -> None:
        try:
            self._run(run, pairs, self._report_training)
            self._evaluate(run.out, pairs)
        except AnnoseqError as error:
            self._fail(str(error))
        except Exception as error:  # noqa: BLE001  # whatever it says may quote a text
            self._fail(f"internal error ({type(error).__name__})")

    def _report_training(self, share: float) -> None:
        self.status = replace(self.status, progress=_TRAINING_SHARE * share)

    def _evaluate(self, folder: Path, pairs: Sequence[Pair]) -> None:
        """Predict all documents, compare the models, and take the new one unless it is worse."""
        project = self._project
        documents = [*project.documents.values()]
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            progress = _TRAINING_SHARE + (1 - _TRAINING_SHARE) * done / len(documents)
            self.status = replace(self.status, progress=progress, message="predicting")

        texts = [document.text for document in documents]
        annotator = self._load(folder)
        found = predict_documents(annotator, texts, advance=advance)
        new = {document.id: each for document, each in zip(documents, found, strict=True)}
        with project.lock:
            difference = self._compare(new)
            gain = None if difference is None else _gain(difference)
            is_better = difference is None or difference.difference >= 0
            if is_better:
                project.use_model(str(folder), gain, new)
            message = _summary(difference, folder, is_better) + _left_out(annotator, pairs)
            self._end(RetrainingStatus("done", 1.0, message, gain))

    def _compare(self, new: dict[int, DocumentPrediction]) -> ScoreDifference | None:
        sample = random_sample(self._project)
        old = {row.id: self._project.prediction(row.id).spans for row in sample.rows}
        return compare_models(sample, old, {row.id: new[row.id].spans for row in sample.rows})

    def _fail(self, message: str) -> None:
        with suppress(AnnoseqError):  # the project may be what cannot be written, or be closed
            self._end(RetrainingStatus("failed", 1.0, message))

    def _end(self, status: RetrainingStatus) -> None:
        # First, so that a disk without room does not leave it running for ever.
        self.status = status
        self._project.store.set_meta(_RECORD, status.to_dict())


def _gain(difference: ScoreDifference) -> dict[str, float | None]:
    return {
        "before": round(difference.a, 6),
        "after": round(difference.b, 6),
        "difference": difference.difference,
        "p_value": difference.p,
        "low": difference.low,
        "high": difference.high,
    }


def _summary(difference: ScoreDifference | None, folder: Path, is_used: bool) -> str:
    if difference is None:
        return (
            f"{folder.name} is in use; no document of the random share is decided, so that nothing "
            "tells whether it is better"
        )
    if not is_used:
        return f"{folder.name} is worse on the random share and not in use"
    return f"{folder.name} is in use"


def _left_out(annotator: Annotator, pairs: Sequence[Pair]) -> str:
    """Return how many spans the model cannot find because they are nested too deep, if any."""
    if not isinstance(annotator.tokenizer, TaggerTokenizer):
        return ""
    count = annotator.tokenizer.count_nested_too_deep([parse_pair(pair) for pair in pairs])
    if not count:
        return ""
    return (
        f"; {count_noun(count, 'span')} left out, nested deeper than the model knows: export the "
        "pairs and train a new model to find them"
    )


def _read_config(folder: Path) -> ModelConfig:
    try:
        return ModelConfig.model_validate_json((folder / CONFIG_FILE).read_bytes())
    except (OSError, ValidationError) as error:
        raise ReviewError(
            f"{folder}: its {CONFIG_FILE} cannot be read, so that its training cannot go on. Train "
            "a new model."
        ) from error
