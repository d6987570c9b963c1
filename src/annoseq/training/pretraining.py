"""Pre-training of a tagger as a language model, on texts without annotations.

Of every token, the forward LSTM predicts the next word and the backward LSTM the one before (Peters
et al. 2017, "Semi-supervised sequence tagging with bidirectional language models",
arXiv:1705.00108). A tagger that begins with these weights knows words and contexts that its pairs
lack, as in ULMFiT (Howard and Ruder 2018, arXiv:1801.06146); it is as fast as any other.
"""

from __future__ import annotations

import hashlib
import math
import sys
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from annoseq.config import BatchConfig, PretrainingConfig, TaggerConfig, TrainingConfig
from annoseq.decoding.sliding_window import cut_windows
from annoseq.devices import ComputeDevice
from annoseq.errors import DatasetError, DivergenceError, OptionError, count_noun
from annoseq.evaluation.token_accuracy import Ratio
from annoseq.models.build import build_tagger
from annoseq.models.language_model import LanguageModel, LanguageModelConfig, is_pretrained
from annoseq.tokenization.batching import collate_tags
from annoseq.tokenization.hash_features import FeatureHasher
from annoseq.tokenization.length_stats import LengthStats
from annoseq.tokenization.tagger_tokenizer import TaggerEncoding, TaggerTokenizer
from annoseq.training.checkpoint import read_checkpoint, write_checkpoint
from annoseq.training.language_modelling import (
    LanguageModelHead,
    build_language_model_head,
    check_directions,
)
from annoseq.training.loop import OneCycle, Trainer
from annoseq.training.losses import Loss
from annoseq.training.objectives import Objective
from annoseq.training.recorder import Epoch
from annoseq.training.rng import RngState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from annoseq.config import DeviceConfig
    from annoseq.models.tagger import Tagger
    from annoseq.tokenization.batching import Batch

_FEWEST_ROWS = 2
_KEPT_EVERY = 50
"""Of so many rows one is kept for validation."""
_LONGEST_ROW = 128
"""Tokens of a row: longer texts are cut."""
_WARMUP = 0.2
_MAX_LOSS = math.log(sys.float_info.max)
"""Loss whose exponential, the perplexity, is the largest number there is."""


@dataclass(frozen=True, slots=True)
class WordAccuracy:
    """Share of predicted words that are right; those of parts are added."""

    words: Ratio = field(default_factory=Ratio)

    def __add__(self, other: WordAccuracy) -> WordAccuracy:
        return WordAccuracy(self.words + other.words)

    def counts(self) -> list[int]:
        """Return both counts as a list."""
        return [self.words.hits, self.words.total]

    @classmethod
    def of_counts(cls, counts: Sequence[int]) -> WordAccuracy:
        """Restore the accuracy from `counts`."""
        return cls(Ratio(*counts))

    def values(self) -> dict[str, float]:
        """Return the share by name."""
        return {"word_accuracy": self.words.value}


class LanguageModelObjective(Objective[TaggerEncoding]):
    """A tagger whose encoder predicts words, and the mean cross-entropy over tokens.

    Of the rows every fiftieth is kept for validation.
    """

    criterion = "word_accuracy"
    score = WordAccuracy

    def __init__(
        self, tagger: Tagger, rows: Sequence[TaggerEncoding], head: LanguageModelHead
    ) -> None:
        super().__init__()
        self.network, self.head = tagger, head
        tagger.head.requires_grad_(requires_grad=False)
        kept = range(0, len(rows), _KEPT_EVERY)
        self.valid_rows = [rows[place] for place in kept]
        self.train_rows = [row for place, row in enumerate(rows) if place not in kept]

    def collate(self, rows: Sequence[int], examples: Sequence[TaggerEncoding]) -> Batch:
        """Collate the examples at `rows` into a batch."""
        return collate_tags(rows, examples)

    def positions(self, batch: Batch) -> int:
        """Return the number of tokens."""
        return int(batch.source_lengths.sum())

    def forward(self, batch: Batch, *, forcing: float = 1.0) -> Loss:
        """Return the loss of a batch; nothing is fed to a tagger."""
        del forcing
        encoded = self.network.encode(batch)
        loss = self.head.loss(encoded, batch.source, batch.source_lengths)
        return Loss(loss, self.positions(batch))

    @torch.no_grad()
    def measure(self, batch: Batch) -> tuple[Loss, WordAccuracy]:
        """Return the loss and the accuracy of a batch of validation rows."""
        read = self.network.encode(batch), batch.source, batch.source_lengths
        positions = self.positions(batch)
        score = WordAccuracy(Ratio(self.head.count_hits(*read), 2 * positions))
        return Loss(self.head.loss(*read), positions), score


class Pretraining:
    """A tagger that learns to predict the words of texts.

    Raises:
        OptionError: the tagger's encoder is not an LSTM of one layer, or is pre-trained already.
        DatasetError: there are fewer rows of text than two.
    """

    def __init__(
        self,
        texts: Sequence[str],
        *,
        tagger: TaggerConfig | None = None,
        training: PretrainingConfig | None = None,
        batching: BatchConfig | None = None,
        device: DeviceConfig | str | None = None,
    ) -> None:
        self.tagger_config = tagger or TaggerConfig()
        self.config = training or PretrainingConfig()
        check_pretrained_network(self.tagger_config)
        self.compute = ComputeDevice.select(device)
        tokenizer = TaggerTokenizer(
            (),
            LengthStats(longest_source=_LONGEST_ROW),
            FeatureHasher(buckets=self.tagger_config.buckets),
        )
        rows = _encode(texts, tokenizer)
        if len(rows) < _FEWEST_ROWS:
            raise DatasetError(
                f"the texts have {count_noun(len(rows), 'row')} with words, and at least 2 are "
                "needed: one to learn from, and one for validation. Give more texts."
            )
        self.texts, self.tokens = len(texts), sum(len(row.source) for row in rows)
        self.network = build_tagger(self.tagger_config, tokenizer, seed=self.config.seed)
        head = build_language_model_head(
            rows,
            tokenizer.feature_hasher,
            hidden=self.tagger_config.hidden,
            words=self.config.words,
            seed=self.config.seed,
        )
        objective = LanguageModelObjective(self.network, rows, head)
        objective.to(self.compute.device)
        settings = TrainingConfig(
            epochs=self.config.epochs,
            max_lr=self.config.max_lr,
            clip_norm=1.0,
            warmup=_WARMUP,
            seed=self.config.seed,
        )
        self.batching = (batching or BatchConfig()).resolve_auto(model="tagger")
        self._trainer = Trainer(objective, settings, self.batching, self.compute)
        self._rng = RngState(self.config.seed, self.compute.device)
        self.perplexity: float | None = None

    def __repr__(self) -> str:
        return f"<Pretraining: {self.texts:,} texts, {self.tokens:,} tokens, {self.compute.device}>"

    def fit(
        self,
        *,
        checkpoint: Path | None = None,
        resume: bool = False,
        report: Callable[[str], None] = print,
    ) -> None:
        """Train to the end; the state after every epoch is written to `checkpoint`.

        `perplexity` is that of the rows kept for validation, after the last epoch.

        Raises:
            TrainingError: there is nothing to resume, or the loss is no longer a number.
            OutputError: the checkpoint cannot be written.
        """
        plan = {} if checkpoint is None else self._plan()
        run = OneCycle(self._trainer, first=0, epochs=self.config.epochs, max_lr=self.config.max_lr)
        if resume and checkpoint is not None:
            self._restore(read_checkpoint(checkpoint, plan=plan), run)
        report(Epoch.header(WordAccuracy().values()))
        if not resume and checkpoint is not None:
            write_checkpoint(checkpoint, plan=plan, state=self._state(run))
        while run.epoch < run.end:
            row = self._run_epoch(run)
            self.perplexity = math.exp(row.valid_loss)
            report(str(row))
            if checkpoint is not None:
                write_checkpoint(checkpoint, plan=plan, state=self._state(run))

    def _run_epoch(self, run: OneCycle) -> Epoch:
        """Train for an epoch, and validate.

        Raises:
            DivergenceError: the loss is no longer a number, or the perplexity none that can be
                written.
        """
        try:
            row = run.run_epoch(self._rng, validate=self._trainer.validate).row
        except DivergenceError as error:
            raise self._divergence() from error
        if row.valid_loss > _MAX_LOSS:
            raise self._divergence()
        return row

    def _divergence(self) -> DivergenceError:
        return DivergenceError(
            "the loss is no longer a number, or too high a one. Pre-train with a lower --max-lr, "
            f"which is {self.config.max_lr:g}."
        )

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write the weights into a folder, for `Learner(language_model=folder)`.

        Raises:
            OutputError: the folder exists already, or cannot be written.
        """
        self._language_model(Path(folder)).save(overwrite=overwrite)

    def _language_model(self, folder: Path) -> LanguageModel:
        config = LanguageModelConfig(
            tagger=self.tagger_config,
            training=self.config,
            texts=self.texts,
            tokens=self.tokens,
            perplexity=self.perplexity,
        )
        weights = {
            weight: tensor.contiguous().cpu()
            for weight, tensor in self.network.state_dict().items()
            if is_pretrained(weight)
        }
        return LanguageModel(folder, config, weights)

    def _plan(self) -> dict[str, Any]:
        """Return all that decides the weights, so that a resumed run is the same."""
        rows = [*self._trainer.objective.train_rows, *self._trainer.objective.valid_rows]
        return {
            "training": "of a language model",
            "texts": _checksum(rows),
            "tagger": self.tagger_config.model_dump(),
            **self.config.model_dump(),
            "batching": self.batching.model_dump(),
            "precision": str(self.compute.dtype),
        }

    def _state(self, run: OneCycle) -> dict[str, Any]:
        return {
            "run": run.state(),
            "objective": self._trainer.objective.state_dict(),
            "randomness": self._rng.states,
            "perplexity": self.perplexity,
        }

    def _restore(self, state: dict[str, Any], run: OneCycle) -> None:
        run.restore(state["run"])
        self._trainer.objective.load_state_dict(state["objective"])
        self._rng.states = state["randomness"]
        self.perplexity = state["perplexity"]


def check_pretrained_network(config: TaggerConfig) -> None:
    """Check that a tagger is one that can be pre-trained.

    Raises:
        OptionError: its encoder is not an LSTM of one layer, or an option is for a pre-trained one.
    """
    check_directions(config, purpose="pre-training")
    if option := config.encoder_option:
        raise OptionError(
            f"{option} is for a pre-trained encoder, and a language model has none. "
            f"Leave {option} off."
        )


def _encode(texts: Sequence[str], tokenizer: TaggerTokenizer) -> list[TaggerEncoding]:
    """Cut texts into rows, and encode these; they have no tags."""
    cut, ids = tokenizer.encode_texts(texts)
    rows = []
    for first, last in pairwise(cut.bounds):
        for window in cut_windows(cut.tokens[first:last], tokenizer.length_stats):
            row = ids[first + window.first : first + window.last].tolist()
            rows.append(TaggerEncoding(row, [(0,)] * len(row)))
    return rows


def _checksum(rows: Sequence[TaggerEncoding]) -> str:
    """Return a checksum of rows."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(repr(row.source).encode())
    return digest.hexdigest()
