"""Every setting, its default and its help text, written once.

The command line shows these docstrings as help; a model folder's `config.json` holds these
fields. A file with an unknown field, or a value of another type, is an error.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from annoseq.errors import OptionError

Share = Annotated[float, Field(gt=0, lt=1)]
Share0 = Annotated[float, Field(ge=0, lt=1)]
Probability = Annotated[float, Field(ge=0, le=1)]
Dropout = Share0
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
    tokens: Literal["word", "bpe"] = "word"
    """word (rare words are unknown), or bpe (words in pieces, which spell any word)."""
    max_vocab: Annotated[int, Field(ge=8)] = 60_000
    """Largest size of each of the two vocabularies of words, special symbols counted."""
    bpe_vocab: Annotated[int, Field(ge=512)] = 4_000
    """Size of the one vocabulary of pieces, where the pairs have as many; both sides share it."""
    min_frequency: PositiveInt = 2
    """A word seen fewer times than this in training is unknown to the model; with pieces, two that
    are seen side by side fewer times than this are not merged."""


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


class AttentionConfig(Section):
    """A bidirectional GRU encoder, and a GRU decoder that attends to it (Luong et al. 2015)."""

    embedding: PositiveInt = 256
    """Width of the embeddings and of the decoder."""
    hidden: PositiveInt = 192
    """Width of the encoder's hidden state, in each direction."""
    layers: PositiveInt = 1
    """GRU layers, in the encoder and in the decoder."""
    dropout: Dropout = 0.2
    """Dropout on the embeddings, between layers and before the output layer."""


class TransformerConfig(Section):
    """A transformer encoder-decoder (Vaswani et al. 2017) with rotary positions."""

    embedding: PositiveInt = 256
    """Width of the embeddings and of every layer; each head takes an even share of it."""
    heads: PositiveInt = 4
    """Heads of every attention."""
    encoder_layers: PositiveInt = 3
    """Layers that read the source."""
    decoder_layers: PositiveInt = 2
    """Layers that write the target."""
    feed_forward: PositiveInt = 1024
    """Width between the two feed-forward matrices of a layer."""
    dropout: Dropout = 0.1
    """Dropout on the embeddings, on what every layer adds, and before the output layer."""

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.embedding % (2 * self.heads):
            raise ValueError(
                f"an embedding of {self.embedding} cannot be shared out among {self.heads} heads: "
                "it must be a multiple of twice their number"
            )
        return self


class NetworkConfig(Section):
    """Which network, and its sizes."""

    model: Literal["gru", "attention", "transformer"] = "gru"
    """gru (the notebook's), attention (a GRU that looks back at the source), transformer."""
    gru: GruConfig = GruConfig()
    """Sizes of the notebook's network."""
    attention: AttentionConfig = AttentionConfig()
    """Sizes of the network with attention."""
    transformer: TransformerConfig = TransformerConfig()
    """Sizes of the transformer."""

    @classmethod
    def of(cls, config: AnyNetworkConfig | NetworkConfig | None) -> NetworkConfig:
        """Take the settings of one network for a choice of it."""
        match config:
            case GruConfig():
                return cls(model="gru", gru=config)
            case AttentionConfig():
                return cls(model="attention", attention=config)
            case TransformerConfig():
                return cls(model="transformer", transformer=config)
        return config or cls()

    @property
    def chosen(self) -> AnyNetworkConfig:
        """The settings of the chosen network."""
        match self.model:
            case "gru":
                return self.gru
            case "attention":
                return self.attention
            case "transformer":
                return self.transformer

    def with_embedding(self, width: int) -> Self:
        """Make the embeddings of the chosen network `width` wide.

        Raises:
            OptionError: another width was given, or the network cannot have this one.
        """
        settings = self.chosen
        if "embedding" in settings.model_fields_set and settings.embedding != width:
            raise OptionError(
                f"--{self.model}.embedding {settings.embedding} was given, and the vectors have "
                f"{width} values. Leave --{self.model}.embedding off, or use other vectors."
            )
        try:
            wide = type(settings).model_validate({**settings.model_dump(), "embedding": width})
        except ValidationError as error:
            reason = error.errors(include_input=False)[0]["msg"].removeprefix("Value error, ")
            raise OptionError(
                f"the vectors have {width} values, and the {self.model} cannot: {reason}."
            ) from error
        return self.model_copy(update={self.model: wide})

    def options_given(self) -> list[str]:
        """Return the names of the options that were given, such as `gru.hidden`."""
        given = [name for name in ("model",) if name in self.model_fields_set]
        for section in sorted(self.model_fields_set - {"model"}):
            fields = getattr(self, section).model_fields_set
            given += [f"{section}.{field}" for field in sorted(fields)]
        return given

    @model_validator(mode="after")
    def _options_belong_to_the_network(self) -> Self:
        for option in self.options_given():
            section = option.partition(".")[0]
            if section not in {"model", self.model}:
                raise ValueError(
                    f"--{option.replace('_', '-')} belongs to --model {section}, "
                    f"and the model is {self.model}"
                )
        return self

    @model_serializer(mode="wrap")
    def _without_the_others(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in dump(self).items() if name in {"model", self.model}}


AnyNetworkConfig = GruConfig | AttentionConfig | TransformerConfig


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
    teacher_forcing: Probability | Literal["auto", "falling"] = "auto"
    """How likely the decoder is fed the target's token and not its own in training; falling: from
    1 down to 0 over the epochs; auto: 0 for gru, as in the notebook, and 1 for the others."""
    forcing_end_epoch: PositiveInt | None = None
    """The epoch in which falling teacher forcing reaches 0; by default the last."""
    loss: Literal["auto", "padded", "token"] = "auto"
    """padded (the notebook's, which learns to write padding), token (the target's tokens only),
    auto: padded for gru, token for the others."""
    label_smoothing: Share0 = 0.0
    """Share of the probability to spread evenly over the vocabulary (Szegedy et al. 2016)."""
    clip_norm: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Largest norm of the gradient, which a longer one is scaled to; 0 leaves it as it is."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """Decoupled weight decay of AdamW; biases and normalisation are left alone."""
    early_stopping: NonNegativeInt = 0
    """Stop after this many epochs without a better token accuracy; 0 never stops early."""
    keep: Literal["best", "last"] = "best"
    """Whose weights to keep: those of the epoch with the best token accuracy, or of the last."""
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

    def settled(self, *, model: str) -> Self:
        """Put what a model is usually trained with for `auto`."""
        is_notebooks = model == "gru"
        settled: dict[str, object] = {}
        if self.teacher_forcing == "auto":
            settled["teacher_forcing"] = 0.0 if is_notebooks else 1.0
        if self.loss == "auto":
            settled["loss"] = "padded" if is_notebooks else "token"
        return self.model_copy(update=settled)


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


class SweepConfig(Section):
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
