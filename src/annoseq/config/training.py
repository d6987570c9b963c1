"""Settings of devices, training and hyperparameter sweeps."""

from __future__ import annotations

from math import sqrt
from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from annoseq.config.section import (
    ConfigSection,
    DeviceName,
    Fraction,
    FractionOrZero,
    Probability,
    Seed,
)
from annoseq.errors import OptionError, option_name

_EPOCHS_OF_ONE_ROW, _MIN_EPOCHS, _MAX_EPOCHS = 1_200, 6, 50
"""Epochs of a tagger are 1,200 / sqrt(rows) within bounds: 12 for 10,000 rows, 50 for up to 576."""
_MAX_ENCODER_EPOCHS = 20
"""Maximum of a tagger with a pre-trained encoder, which otherwise takes half as many epochs."""


class DeviceConfig(ConfigSection):
    """Device and precision of computation."""

    device: DeviceName = "auto"
    """cpu, cuda, cuda:1, mps, or auto: the accelerator if there is one."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Numeric precision; auto: bfloat16 on a GPU that supports it, otherwise float32."""

    @classmethod
    def of(cls, device: DeviceConfig | str | None) -> DeviceConfig:
        """Return the settings of a device given by name, by default of `auto`.

        Raises:
            OptionError: there is no such kind of device.
        """
        if isinstance(device, DeviceConfig):
            return device
        try:
            return cls() if device is None else cls(device=device)
        except ValidationError as error:
            raise OptionError(
                f"found the device {device!r}. Give auto, cpu, cuda, cuda:1 or mps, or a "
                "DeviceConfig."
            ) from error

    def arguments(self) -> tuple[str, ...]:
        """Return the settings as options of a command."""
        return "--device", self.device, "--precision", self.precision


class TrainingConfig(ConfigSection):
    """Training of a model."""

    epochs: PositiveInt | Literal["auto"] = "auto"
    """Passes over the training rows, and over unlabelled texts; auto: 6 to 50 for the tagger, more
    for fewer of both, 6 to 20 with a pre-trained encoder, and 5 for the other models."""
    max_lr: PositiveFloat | Literal["auto"] = "auto"
    """Maximum learning rate of the one-cycle schedule; `annoseq find-lr` suggests one; auto: 3e-3
    for the tagger, 1e-3 with a pre-trained encoder and for the other models."""
    teacher_forcing: Probability | Literal["auto", "falling"] = "auto"
    """Probability that the decoder is fed the target token instead of its own prediction; falling:
    from 1 to 0 over the epochs; auto: 0 for gru, as in the notebook, 1 for the other models."""
    forcing_end_epoch: PositiveInt | None = None
    """Epoch in which falling teacher forcing reaches 0; by default the last one."""
    loss: Literal["auto", "padded", "token"] = "auto"
    """Cross-entropy over padded targets (padded, as in the notebook, which learns to predict
    padding) or over target tokens only (token); auto: padded for gru, token for the other
    models."""
    lm_weight: FractionOrZero = 0.0
    """Weight of language modelling beside the tags (Rei 2017): the tagger's LSTMs also predict the
    next word and the one before, which takes more time in training alone; 0 turns it off."""
    label_smoothing: FractionOrZero = 0.0
    """Probability that label smoothing spreads over the vocabulary (Szegedy et al. 2016)."""
    warmup: Fraction | Literal["auto"] = "auto"
    """Share of the steps in which the learning rate rises; auto: 0.3, and 0.1 with a pre-trained
    encoder."""
    encoder_lr: PositiveFloat = 1e-4
    """Maximum learning rate of the last layer of a pre-trained encoder."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Learning rate of each layer of a pre-trained encoder, as a share of that of the layer above
    it (Howard and Ruder 2018)."""
    freeze: Literal["none", "embeddings", "encoder"] = "embeddings"
    """Weights of a pre-trained encoder that stay as they are: none, its word embeddings, or all."""
    gradient_checkpointing: bool = False
    """Recompute the layers of a pre-trained encoder in the backward pass: less memory, a third more
    time."""
    clip_norm: Annotated[float, Field(ge=0, allow_inf_nan=False)] | Literal["auto"] = "auto"
    """Maximum norm for gradient clipping; 0 turns it off; auto: 0 for gru, as in the notebook, 1
    for the other models."""
    micro_batch_tokens: PositiveInt | None = None
    """Gradient accumulation: maximum number of tokens, padding included, of a part of a batch.
    Takes less memory; results differ only by rounding and by the random numbers of dropout."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """Decoupled weight decay of AdamW; biases and normalization weights are exempt."""
    early_stopping: NonNegativeInt = 0
    """Patience: stop after this many epochs without a better validation score; 0 turns it off."""
    keep: Literal["best", "last"] = "best"
    """Checkpoint to keep: of the epoch with the best validation score (span F1 for the tagger,
    token accuracy for the other models), or of the last epoch."""
    compile: bool = False
    """Compile the network by torch.compile, which takes about a minute."""
    seed: Seed = 42
    """Random seed of weights, row order and dropout; runs on a CPU are bit-for-bit reproducible."""

    @model_validator(mode="after")
    def _end_belongs_to_falling(self) -> Self:
        if self.forcing_end_epoch and self.teacher_forcing != "falling":
            raise ValueError(
                "--forcing-end-epoch belongs to --teacher-forcing falling, "
                f"and teacher forcing is {self.teacher_forcing}"
            )
        return self

    def resolve_auto(self, *, model: str, rows: int, has_encoder: bool = False) -> Self:
        """Replace `auto` by the defaults of a model for a number of training rows.

        Raises:
            OptionError: an option was given that does not apply to a tagger, or that needs a
                pre-trained encoder.
        """
        if model == "tagger":
            self._check_tagger_options()
        elif self.lm_weight:
            raise OptionError(
                f"--lm-weight is for the tagger, and the model is {model}. Leave --lm-weight off."
            )
        if not has_encoder:
            self._check_encoder_options()
        defaults = _automatic_defaults(model, rows, has_encoder=has_encoder)
        update = {name: value for name, value in defaults.items() if getattr(self, name) == "auto"}
        return self.model_copy(update=update)

    def _check_tagger_options(self) -> None:
        for name in sorted(self.model_fields_set & _SEQ2SEQ_OPTIONS):
            if getattr(self, name) != type(self).model_fields[name].default:
                option = option_name(name)
                raise OptionError(
                    f"{option} is for sequence-to-sequence models, and this one is a tagger. "
                    f"Leave {option} off, or name another model with --model."
                )

    def _check_encoder_options(self) -> None:
        for name in sorted(self.model_fields_set & _ENCODER_OPTIONS):
            if getattr(self, name) != type(self).model_fields[name].default:
                option = option_name(name)
                raise OptionError(
                    f"{option} is for a pre-trained encoder, and the model has none. Leave "
                    f"{option} off, or name an encoder with --encoder."
                )


class PretrainingConfig(ConfigSection):
    """Pre-training of a tagger as a language model."""

    epochs: PositiveInt = 3
    """Passes over the texts."""
    max_lr: PositiveFloat = 3e-3
    """Maximum learning rate of the one-cycle schedule."""
    words: Annotated[int, Field(ge=4, le=100_000)] = 6_000
    """Number of the most frequent words that are predicted, in lower case; all others count as
    one."""
    seed: Seed = 42
    """Random seed of weights, row order and dropout; runs on a CPU are bit-for-bit reproducible."""


class DistillationConfig(ConfigSection):
    """Learning of a tagger from teachers."""

    teacher_weight: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of the teachers in the loss of a training row, the rest being that of its gold spans;
    of an unlabelled text they have all of it."""
    teacher_temperature: PositiveFloat = 1.0
    """Temperature of the teachers' probabilities; above 1, they are less sure."""
    least_confidence: FractionOrZero = 0.0
    """Mean probability of the teachers' likeliest tags below which an unlabelled text is left
    out."""


def _automatic_defaults(model: str, rows: int, *, has_encoder: bool) -> dict[str, object]:
    """Return what `auto` stands for; settings that a model does not have are left out."""
    if has_encoder:
        epochs = max(_MIN_EPOCHS, min(_MAX_ENCODER_EPOCHS, round(_tagger_epochs(rows) / 2)))
        return {"epochs": epochs, "max_lr": 1e-3, "clip_norm": 1.0, "warmup": 0.1}
    if model == "tagger":
        return {"epochs": _tagger_epochs(rows), "max_lr": 3e-3, "clip_norm": 1.0, "warmup": 0.3}
    common = {"epochs": 5, "max_lr": 1e-3, "warmup": 0.3}
    if model == "gru":  # as in the notebook
        return {**common, "clip_norm": 0.0, "teacher_forcing": 0.0, "loss": "padded"}
    return {**common, "clip_norm": 1.0, "teacher_forcing": 1.0, "loss": "token"}


def _tagger_epochs(rows: int) -> int:
    return max(_MIN_EPOCHS, min(_MAX_EPOCHS, round(_EPOCHS_OF_ONE_ROW / sqrt(rows))))


_ENCODER_OPTIONS = frozenset({"encoder_lr", "layer_decay", "freeze", "gradient_checkpointing"})
_SEQ2SEQ_OPTIONS = frozenset(
    {"teacher_forcing", "forcing_end_epoch", "loss", "label_smoothing", "compile"}
)


class SweepConfig(ConfigSection):
    """Trials of a hyperparameter sweep."""

    search: bool = False
    """Let Optuna choose the trials from lists and ranges (1e-4:1e-2), instead of a grid search over
    all combinations."""
    trials: PositiveInt = 20
    """Total number of trials of a search, those before --resume included."""
    prune: bool = True
    """Stop trials of a search early that fall behind the median of the others."""
    workers: PositiveInt = 1
    """Number of parallel trials, each in a process of its own; they share the CPU cores."""

    @model_validator(mode="after")
    def _options_belong_to_a_search(self) -> Self:
        for name in sorted(self.model_fields_set & {"trials", "prune"}):
            if not self.search:
                option = "--no-prune" if name == "prune" and not self.prune else f"--{name}"
                raise ValueError(
                    f"{option} belongs to a search. Add --search, or leave {option} off"
                )
        return self


Workers = PositiveInt | Literal["auto"]


class CurveConfig(ConfigSection):
    """Runs of a learning curve."""

    points: Annotated[int, Field(ge=4)] = 8
    """Numbers of documents that are trained on, at least 4, from a sixteenth of them to all."""
    repeats: PositiveInt = 3
    """Trainings at each point, each with other documents, and other ones held back."""
    held_back: Annotated[float, Field(gt=0, le=0.5)] = 0.2
    """Fraction of the documents that a repeat holds back to score its trainings on."""
    curve_seed: NonNegativeInt = 42
    """Random seed of the documents of each repeat."""
    workers: Workers = "auto"
    """Number of parallel trainings, each in a process of its own; auto: one for each CPU core, or
    one on an accelerator."""


class AuditConfig(ConfigSection):
    """Cross-validation of an audit."""

    folds: Annotated[int, Field(ge=2)] = 5
    """Parts of the documents, each of which is predicted by a model trained on the others."""
    fold_seed: NonNegativeInt = 42
    """Random seed of the folds."""
    workers: Workers = "auto"
    """Number of parallel trainings, each in a process of its own; auto: one for each CPU core, or
    one on an accelerator."""


class ReviewConfig(ConfigSection):
    """Documents of a review project."""

    random_share: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Fraction of the documents that is drawn at random when the project is made. They are mixed
    into the queue, scores are estimated on them alone, and they are never trained on."""
    draw_seed: NonNegativeInt = 42
    """Random seed of the draw, and of the random order of the documents."""


class CrossFitConfig(AuditConfig):
    """Trainings of the members of an ensemble, each without a fold of the documents."""
