"""Every setting, its default and its help text, written once.

The command line shows these docstrings as help; a model folder's `config.json` holds these
fields. A file with an unknown field, or a value of another type, is an error.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

Share = Annotated[float, Field(gt=0, lt=1)]
Dropout = Annotated[float, Field(ge=0, lt=1)]
Task = Literal["annotate", "translate"]
DeviceName = Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")]


class Section(BaseModel):
    """A group of settings that cannot change once made."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


SOURCE_COLUMN, TARGET_COLUMN = "orig_text", "annotated_text"
DOCUMENT_COLUMN, OFFSET_COLUMN = "doc_id", "start"


class ColumnsConfig(Section):
    """Where the pairs stand in their table."""

    source: str = SOURCE_COLUMN
    """Column of the text that the model reads."""
    target: str = TARGET_COLUMN
    """Column of the text that the model learns to write."""
    document: str | None = None
    """Column of the document that a row belongs to; by default doc_id where there is one."""
    offset: str | None = None
    """Column of the row's offset in its document; by default start where there is one."""


class DataConfig(Section):
    """How pairs become training and validation data."""

    task: Literal["auto", "annotate", "translate"] = "auto"
    """annotate (target = source + tags), translate (anything else), or auto: look at the pairs."""
    valid_share: Share = 0.2
    """Share of the pairs kept for validation, where no --valid table is given."""
    split_by: Literal["auto", "row", "document"] = "auto"
    """Split rows or whole documents; auto keeps documents whole where the table has them."""
    split_seed: int = 42
    """Seed of the split. The same seed gives the same split on every machine."""
    max_vocab: Annotated[int, Field(ge=8)] = 60_000
    """Largest size of each of the two vocabularies, special symbols counted."""
    min_frequency: PositiveInt = 2
    """A token seen fewer times than this in training is unknown to the model."""


class GruConfig(Section):
    """The notebook's network: a GRU encoder and a GRU decoder with tied output weights."""

    embedding: PositiveInt = 300
    """Width of the embeddings of both sides, and of the decoder."""
    hidden: PositiveInt = 256
    """Width of the encoder's hidden state."""
    layers: PositiveInt = 2
    """GRU layers, in the encoder and in the decoder."""
    embedding_dropout: Dropout = 0.15
    """Dropout on the encoder's embeddings."""
    encoder_dropout: Dropout = 0.25
    """Dropout between the encoder's layers."""
    decoder_dropout: Dropout = 0.1
    """Dropout between the decoder's layers."""
    output_dropout: Dropout = 0.35
    """Dropout before the output layer."""


class BatchConfig(Section):
    """How rows are put together."""

    batch_size: PositiveInt = 64
    """Most rows in a batch."""
    batch_tokens: PositiveInt = 4_096
    """Most tokens in a batch, padding counted: rows times the longest row. It bounds memory; a row
    longer than this is a batch of its own."""


class DeviceConfig(Section):
    """Where the arithmetic is done."""

    device: DeviceName = "auto"
    """cpu, cuda, cuda:1, mps, or auto: the accelerator where there is one."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Arithmetic of the network; auto is bfloat16 on a GPU that has it, else float32."""


class TrainingConfig(Section):
    """How a model is trained."""

    epochs: PositiveInt = 5
    """Times that the training rows are gone through."""
    max_lr: PositiveFloat = 1e-3
    """The highest learning rate of the one-cycle schedule; `annoseq find-lr` suggests one."""
    clip_norm: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Largest norm of the gradient, which a longer one is scaled to; 0 leaves it as it is."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """Decoupled weight decay of AdamW."""
    seed: NonNegativeInt = 42
    """Seed of the weights, the order of rows and dropout; a CPU run repeats bit for bit."""


class SearchConfig(Section):
    """How an output is searched for among all that the model could write."""

    search: Literal["greedy", "beam", "sample", "top-k", "nucleus"] = "greedy"
    """greedy (always the likeliest), beam (the best of several followed at once), sample (draw),
    top-k (draw among the k likeliest), nucleus (draw among the likeliest that make up p)."""
    beam_size: PositiveInt = 5
    """Hypotheses that a beam search follows."""
    length_penalty: Annotated[float, Field(ge=0)] = 0.6
    """How much a beam search favours longer outputs, from 0: the alpha of Wu et al. 2016."""
    n_best: PositiveInt = 1
    """Outputs of a beam search to return for each text, the best first."""
    k: PositiveInt = 10
    """How many tokens top-k draws among."""
    p: Annotated[float, Field(gt=0, le=1)] = 0.9
    """How much probability nucleus draws among."""
    temperature: PositiveFloat = 1.0
    """Below 1 a draw favours the likely, above 1 the unlikely."""
    samples: PositiveInt = 1
    """Outputs to draw for each text."""
    seed: NonNegativeInt = 42
    """Seed of the draws; what is drawn for a text does not depend on the others."""
    free: bool = False
    """Let the model write any token, as the notebook did, so that it may change the text."""

    @model_validator(mode="after")
    def _options_belong_to_the_search(self) -> Self:
        for name in sorted(self.model_fields_set & _BELONGS.keys()):
            if self.search not in _BELONGS[name]:
                option, searches = name.replace("_", "-"), " or ".join(_BELONGS[name])
                raise ValueError(
                    f"--{option} belongs to --search {searches}, and the search is {self.search}"
                )
        if self.n_best > self.beam_size:
            raise ValueError(
                f"--n-best {self.n_best} outputs do not come from --beam-size {self.beam_size}: "
                "it must be at least as large"
            )
        return self


_DRAWS = ("sample", "top-k", "nucleus")
_BELONGS: dict[str, tuple[str, ...]] = {
    "beam_size": ("beam",),
    "length_penalty": ("beam",),
    "n_best": ("beam",),
    "k": ("top-k",),
    "p": ("nucleus",),
    "temperature": _DRAWS,
    "samples": _DRAWS,
    "seed": _DRAWS,
}
