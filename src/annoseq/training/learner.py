"""Learner: trains a network on a dataset, with the interface of fastai.

learner = Learner(dataset)
learner.lr_find().plot("lr.png")
learner.fit_one_cycle(5, 1e-3)
learner.predictions().show()
learner.save("model/")
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from annoseq.config import BatchConfig, DeviceConfig, NetworkConfig, TrainingConfig
from annoseq.data.pairs import fingerprint_pairs
from annoseq.devices import ComputeDevice
from annoseq.errors import OptionError, count_noun
from annoseq.inference.network_predictors import build_predictor
from annoseq.inference.predictor import predict_examples
from annoseq.models.model_config import ModelConfig
from annoseq.models.serialization import TrainedModel
from annoseq.progress import progress_bar
from annoseq.tokenization.gazetteer import LexiconFeatures
from annoseq.training.checkpoint import BestCheckpoint, data_plan, read_checkpoint, write_checkpoint
from annoseq.training.distributed import ProcessGroup
from annoseq.training.early_stopping import EarlyStopping
from annoseq.training.initialization import check_arguments, initialize_model
from annoseq.training.loop import OneCycle, Trainer
from annoseq.training.lr_finder import find_learning_rate
from annoseq.training.model_card import save_model
from annoseq.training.recorder import Epoch, Recorder
from annoseq.training.resources import Resources
from annoseq.training.rng import RngState
from annoseq.vectors.lookup import TokenVectors

if TYPE_CHECKING:
    from collections.abc import Callable

    from annoseq.config import AnyNetworkConfig, ModelName
    from annoseq.inference.predictions import Predictions
    from annoseq.tokenization.dataset import Dataset
    from annoseq.training.distillation import Distillation
    from annoseq.training.lr_finder import LrFinderResult
    from annoseq.training.objectives import ValidationScore


class Learner:
    """A network and the dataset that it is trained on.

    Learners with the same settings have the same initial weights, and their random numbers are
    independent of each other. With a `base` model its weights are trained for more epochs instead;
    `epochs` counts all epochs that the weights have been trained for.

    `lexicon_features` are lexicons and patterns whose matches are features of a tagger. `vectors`
    is a file of word vectors (fastText's .bin, .vec or .vec.gz) or a folder of static embeddings
    or of a pre-trained encoder that initializes the embeddings, or is part of a tagger's features;
    `learner.vectors` then counts its words. `encoder` is a pre-trained encoder, the folder of one
    or its name on the Hugging Face hub, whose vectors a tagger reads beside its features or in
    place of them. `language_model` is a folder of `annoseq pretrain`, with whose weights it begins.
    `distillation` has the teachers that a tagger learns from.

    Under torchrun, every process has a learner: all must be made of the same dataset and settings,
    and must train and validate together. `processes.is_main` is True in the one that prints and
    saves.

    Raises:
        DatasetError: the dataset has other vocabularies than the base model.
        OptionError: the device is not there, or the network cannot be as wide as the vectors.
        VectorsError, EncoderError, ModelError: the file of vectors, the pre-trained encoder or the
            language model cannot be read.
        TrainingError: the processes do not find each other.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        base: TrainedModel | None = None,
        model: NetworkConfig | AnyNetworkConfig | ModelName | None = None,
        training: TrainingConfig | None = None,
        batching: BatchConfig | None = None,
        device: DeviceConfig | str | None = None,
        vectors: str | Path | None = None,
        encoder: str | Path | None = None,
        language_model: str | Path | None = None,
        lexicon_features: LexiconFeatures | None = None,
        distillation: Distillation | None = None,
    ) -> None:
        check_arguments(dataset, training, batching)
        self.dataset, self.recorder = dataset, Recorder()
        network = base.config.network if base else NetworkConfig.of(model)
        self.model_config = network.resolve_auto(task=dataset.task)
        training = training or (base.config.training if base else TrainingConfig())
        kind, has_encoder = self.model_config.model, bool(encoder or (base and base.config.encoder))
        resolve = partial(training.resolve_auto, model=kind, has_encoder=has_encoder)
        self.config = resolve(rows=len(dataset.train))
        batching = batching or (base.config.batching if base else BatchConfig())
        self.batching = batching.resolve_auto(model=kind)
        self.compute = ComputeDevice.select(device)
        self.epochs = base.config.epochs if base else 0
        self._earlier = base.config.fingerprints_besides(dataset.fingerprint) if base else ()
        initial = initialize_model(
            dataset,
            self.model_config,
            self.config,
            base=base,
            resources=Resources(
                vectors=vectors,
                encoder=encoder,
                language_model=language_model,
                lexicon_features=lexicon_features or LexiconFeatures(),
            ),
            distillation=distillation,
            compute=self.compute,
        )
        self.model_config, self.tokenizer, objective, *_ = initial
        self.vectors, self.lessons = initial.vectors, initial.lessons
        self.encoder, self.language_model = initial.encoder, initial.language_model
        self.config = resolve(rows=len(self.lessons.targets)) if self.lessons else self.config
        self.network = objective.to(self.compute.device).network
        self.processes = ProcessGroup.join(self.compute.device)
        self._rng = RngState(self.processes.seed(self.config.seed), self.compute.device)
        self._stopping = EarlyStopping(self.config)
        self._validated: Epoch | None = None
        self._trainer = Trainer(objective, self.config, self.batching, self.compute, self.processes)

    def __repr__(self) -> str:
        model, dataset = self.model_config.model, self.dataset
        return (
            f"<Learner: {model}, {dataset.task}, {len(dataset.train):,} training and "
            f"{count_noun(len(dataset.valid), 'validation row')}, "
            f"{count_noun(self.epochs, 'epoch')}, {self.compute.device}>"
        )

    def lr_find(
        self, *, start_lr: float = 1e-7, end_lr: float = 10.0, steps: int = 100
    ) -> LrFinderResult:
        """Run an LR range test (Smith 2017, "Cyclical Learning Rates", section 3.3).

        The rate grows exponentially from `start_lr` to `end_lr` over `steps` batches; the test
        stops early when the loss has diverged. Weights and random state are restored afterwards.

        Raises:
            OptionError: fewer than two steps, or rates that do not grow from above 0.
            TrainingError: the loss diverged before there was a curve.
        """
        return find_learning_rate(
            self._trainer, self._rng, start_lr=start_lr, end_lr=end_lr, steps=steps
        )

    def fit_one_cycle(
        self,
        epochs: int | None = None,
        max_lr: float | None = None,
        *,
        checkpoint: str | Path | None = None,
        resume: bool = False,
        report: Callable[[str], None] = print,
        after_epoch: Callable[[Epoch], None] | None = None,
    ) -> None:
        """Train by the one-cycle policy (Smith 2018, arXiv:1803.09820), as in fastai v1.

        A second call trains the same weights for more epochs. The state after every epoch is
        written to `checkpoint`; `resume` continues from it, with the same data and settings.
        `after_epoch` is called after every epoch; an exception that it raises ends training.

        Raises:
            OptionError: no epoch, no rate, or no checkpoint to resume from is given.
            TrainingError: there is nothing to resume, or the loss is no longer a number.
            OutputError: the checkpoint cannot be written.
        """
        epochs, max_lr = self._epochs_and_rate(epochs, max_lr)
        if resume and checkpoint is None:
            raise OptionError("resume needs a checkpoint. Give the path that it was written to.")
        plan = self._plan(epochs, max_lr)
        path = None if checkpoint is None else Path(checkpoint)
        run = OneCycle(self._trainer, first=self.epochs, epochs=epochs, max_lr=max_lr)
        saved = read_checkpoint(path, plan=plan) if resume and path else None
        self._stopping = EarlyStopping(self.config)
        report = self.processes.once(report)
        report(Epoch.header(self._trainer.objective.score().values()))
        if saved is not None:
            self._restore(saved, run)
            for row in self.recorder.epochs:
                report(str(row))
        elif path:
            self._write(path, plan, run)
        while run.epoch < run.end and not self._stopping.should_stop(self.epochs):
            row = self._epoch(run)
            if path:
                self._write(path, plan, run)
            report(str(row))
            if after_epoch:
                after_epoch(row)
        if run.epoch < run.end:
            name = self._trainer.objective.criterion.replace("_", " ")
            report(f"stopped: no better {name} since epoch {self._stopping.best.epoch}")
        self._restore_best(report)

    def _epochs_and_rate(self, epochs: int | None, max_lr: float | None) -> tuple[int, float]:
        """Return epochs and highest rate, from the settings where they are not given."""
        if epochs is None:
            assert self.config.epochs != "auto"
            epochs = self.config.epochs
        if max_lr is None:
            assert self.config.max_lr != "auto"
            max_lr = self.config.max_lr
        if epochs < 1 or not max_lr > 0:
            raise OptionError(
                f"asked for {count_noun(epochs, 'epoch')} at a rate of {max_lr}. "
                "Give at least 1 epoch, and a rate above 0."
            )
        return epochs, max_lr

    def _restore_best(self, report: Callable[[str], None]) -> None:
        """Load the weights of the best epoch of the run, if those are to be kept."""
        if not self._stopping.keeps_best:
            return
        best = self._stopping.best.epoch
        self._validated = next(row for row in self.recorder.epochs if row.epoch == best)
        if self._stopping.restore_best(self.network, epoch=self.epochs):
            report(f"kept the weights of epoch {best}")

    def validate(self) -> tuple[float, ValidationScore]:
        """Return loss and score on the validation rows; all processes must call this."""
        return self._trainer.validate()

    def predictions(self, part: Literal["valid", "train"] = "valid") -> Predictions:
        """Annotate every example of a part; a model that can write does so freely."""
        examples = self.dataset.valid if part == "valid" else self.dataset.train
        predictor = build_predictor(self.network, self.tokenizer, self.compute)
        with progress_bar("predicting", total=len(examples)) as advance:
            return predict_examples(predictor, examples, batching=self.batching, advance=advance)

    def show_results(self, rows: int = 10) -> None:
        """Print predictions for validation rows beside their targets."""
        self.predictions().show(rows)

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write a model folder, which `Annotator.load` and `Learner.load` read.

        Raises:
            OutputError: the folder exists already, or cannot be written.
        """
        tokenizer = self.tokenizer
        config = ModelConfig(
            task=tokenizer.task,
            length_stats=tokenizer.length_stats,
            fingerprint=self.dataset.fingerprint,
            valid_fingerprint=fingerprint_pairs(self.dataset.valid),
            base_fingerprints=self._earlier,
            data=self.dataset.config,
            columns=self.dataset.columns,
            network=self.model_config,
            training=self.config,
            batching=self.batching,
            epochs=self.epochs,
            vectors=self.vectors.record() if isinstance(self.vectors, TokenVectors) else None,
            encoder=self.encoder,
            language_model=self.language_model,
            teachers=() if self.lessons is None else self.lessons.teachers,
        )
        history = self.recorder.history() if self.recorder.epochs else None
        model = TrainedModel(self.network, tokenizer, config, history=history)
        save_model(model, folder, self.dataset, self._validated, self.compute, overwrite=overwrite)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        dataset: Dataset,
        *,
        training: TrainingConfig | None = None,
        batching: BatchConfig | None = None,
        device: DeviceConfig | str | None = None,
        vectors: str | Path | None = None,
    ) -> Learner:
        """Load a trained model for more epochs.

        The dataset must have the model's vocabularies: `Dataset.from_pairs(pairs, tokenizer=...)`.
        `vectors` are as in `TrainedModel.load`.

        Raises:
            ModelError: the folder is damaged.
            VectorsError: the file of word vectors cannot be read, or is another one.
            DatasetError: the dataset has other vocabularies than the model.
        """
        model = TrainedModel.load(folder, vectors=vectors)
        return cls(dataset, base=model, training=training, batching=batching, device=device)

    def _epoch(self, run: OneCycle) -> Epoch:
        """Train for one epoch and validate; return its row of the table."""

        def validate() -> tuple[float, ValidationScore]:
            self.epochs = run.epoch
            return self.validate()

        row, rates, losses = run.run_epoch(self._rng, validate=validate)
        self.recorder.add(row, rates=rates, losses=losses)
        self._validated = row
        self._stopping.update(row, self.network)
        return row

    def _plan(self, epochs: int, max_lr: float) -> dict[str, Any]:
        """Return all settings that decide a run, so that a resumed run is the same."""
        return {
            "training": "of a model",
            **({"teachers": ""} if self.lessons is None else self.lessons.plan),
            "epochs": epochs,
            "max_lr": max_lr,
            "epochs trained before": self.epochs,
            **data_plan(self.dataset),
            "vocabularies": self.tokenizer.signature(),
            "model": self.model_config.model_dump(),
            "vectors": "" if self.vectors is None else self.vectors.checksum(),
            "encoder": "" if self.encoder is None else self.encoder.fingerprint,
            "language model": getattr(self.language_model, "fingerprint", ""),
            **self.config.model_dump(exclude={"epochs", "max_lr"}),
            "batching": self.batching.model_dump(),
            "precision": str(self.compute.dtype),
            "processes": self.processes.count,
        }

    def _write(self, path: Path, plan: dict[str, Any], run: OneCycle) -> None:
        state = self._state(run)  # every process adds its random state
        if self.processes.is_main:
            write_checkpoint(path, plan=plan, state=state)

    def _state(self, run: OneCycle) -> dict[str, Any]:
        return {
            "run": run.state(),
            "objective": self._trainer.objective.state_dict(),
            "randomness": self.processes.gather(self._rng.states),
            "recorder": self.recorder.state(),
            "best": self._stopping.best.state(),
        }

    def _restore(self, state: dict[str, Any], run: OneCycle) -> None:
        run.restore(state["run"])
        self._trainer.objective.load_state_dict(state["objective"])
        self._rng.states = state["randomness"][self.processes.rank]
        self.recorder = Recorder.from_state(state["recorder"])
        self._stopping.best = BestCheckpoint(**state["best"])
        self._validated = self.recorder.epochs[-1] if self.recorder.epochs else None
        self.epochs = run.epoch
