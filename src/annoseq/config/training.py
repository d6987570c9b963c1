"""How a model is trained, where, and how many are."""

from __future__ import annotations

from math import sqrt
from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from annoseq.config.section import ConfigSection, DeviceName, FractionOrZero, Probability
from annoseq.errors import OptionError

_EPOCHS_OF_ONE, _FEWEST, _MOST = 1_200, 6, 50
"""A tagger's epochs fall with the square root of the rows: 12 for 10,000, 50 for 500 or fewer."""


class DeviceConfig(ConfigSection):
    """Where the arithmetic is done."""

    device: DeviceName = "auto"
    """cpu, cuda, cuda:1, mps, or auto: the accelerator where there is one."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Arithmetic of the network; auto is bfloat16 on a GPU that has it, else float32."""


class TrainingConfig(ConfigSection):
    """How a model is trained."""

    epochs: PositiveInt | Literal["auto"] = "auto"
    """Times that the training rows are gone through; auto: 5, for the tagger more the fewer rows
    there are, and the best by validation is kept."""
    max_lr: PositiveFloat | Literal["auto"] = "auto"
    """The highest learning rate of the one-cycle schedule, which `annoseq find-lr` suggests; auto:
    3e-3 for the tagger, 1e-3 for the others."""
    teacher_forcing: Probability | Literal["auto", "falling"] = "auto"
    """How likely the decoder is fed the target's token and not its own in training; falling: from
    1 down to 0 over the epochs; auto: 0 for gru, as in the notebook, and 1 for the others."""
    forcing_end_epoch: PositiveInt | None = None
    """The epoch in which falling teacher forcing reaches 0; by default the last."""
    loss: Literal["auto", "padded", "token"] = "auto"
    """padded (the notebook's, which learns to write padding), token (the target's tokens only),
    auto: padded for gru, token for the others."""
    label_smoothing: FractionOrZero = 0.0
    """Share of the probability to spread evenly over the vocabulary (Szegedy et al. 2016)."""
    clip_norm: Annotated[float, Field(ge=0, allow_inf_nan=False)] | Literal["auto"] = "auto"
    """Largest norm of the gradient, which a longer one is scaled to; 0 leaves it as it is; auto: 1,
    0 for gru, as in the notebook."""
    micro_batch_tokens: PositiveInt | None = None
    """Learn from a batch in parts of at most so many tokens, padding counted, and add up their
    gradients: less memory, and the same is learned but for rounding and what is drawn."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """Decoupled weight decay of AdamW; biases and normalisation are left alone."""
    early_stopping: NonNegativeInt = 0
    """Stop after this many epochs without a better score; 0 never stops early."""
    keep: Literal["best", "last"] = "best"
    """Whose weights to keep: those of the epoch with the best score (of the tagger the span F1, of
    the others the token accuracy), or of the last."""
    compile: bool = False
    """Compile the network by torch.compile, which takes a minute or so."""
    seed: NonNegativeInt = 42
    """Seed of the weights, the order of rows and dropout; a CPU run repeats bit for bit."""

    @model_validator(mode="after")
    def _end_belongs_to_falling(self) -> Self:
        if self.forcing_end_epoch and self.teacher_forcing != "falling":
            raise ValueError(
                "--forcing-end-epoch belongs to --teacher-forcing falling, "
                f"and teacher forcing is {self.teacher_forcing}"
            )
        return self

    def resolve_auto(self, *, model: str, rows: int) -> Self:
        """Put what a model is usually trained with, on so many rows, for `auto`.

        Raises:
            OptionError: an option was given that a tagger has no use for.
        """
        is_notebooks, is_tagger = model == "gru", model == "tagger"
        for name in sorted(self.model_fields_set & _OF_WRITERS) if is_tagger else ():
            if getattr(self, name) != type(self).model_fields[name].default:
                option = "--" + name.replace("_", "-")
                raise OptionError(
                    f"{option} is for models that write, and this one is a tagger. Leave {option} "
                    "off, or name another model with --model."
                )
        settled: dict[str, object] = {}
        if self.epochs == "auto":
            settled["epochs"] = _tagger_epochs(rows) if is_tagger else 5
        if self.max_lr == "auto":
            settled["max_lr"] = 3e-3 if is_tagger else 1e-3
        if self.clip_norm == "auto":
            settled["clip_norm"] = 0.0 if is_notebooks else 1.0
        if self.teacher_forcing == "auto" and not is_tagger:
            settled["teacher_forcing"] = 0.0 if is_notebooks else 1.0
        if self.loss == "auto" and not is_tagger:
            settled["loss"] = "padded" if is_notebooks else "token"
        return self.model_copy(update=settled)


def _tagger_epochs(rows: int) -> int:
    return max(_FEWEST, min(_MOST, round(_EPOCHS_OF_ONE / sqrt(rows))))


_OF_WRITERS = frozenset(
    {"teacher_forcing", "forcing_end_epoch", "loss", "label_smoothing", "compile"}
)


class SweepConfig(ConfigSection):
    """Which runs a sweep makes, and how many at once."""

    search: bool = False
    """Let Optuna choose the runs, from lists and from ranges (1e-4:1e-2), instead of making one for
    every combination."""
    trials: PositiveInt = 20
    """Runs of a search in all, those before --resume counted."""
    prune: bool = True
    """End a run of a search that falls behind the median of the others."""
    workers: PositiveInt = 1
    """Runs at the same time, each in a process of its own; they share the cores among them."""

    @model_validator(mode="after")
    def _options_belong_to_a_search(self) -> Self:
        for name in sorted(self.model_fields_set & {"trials", "prune"}):
            if not self.search:
                option = "--no-prune" if name == "prune" and not self.prune else f"--{name}"
                raise ValueError(
                    f"{option} belongs to a search. Add --search, or leave {option} off"
                )
        return self
