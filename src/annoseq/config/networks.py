"""Settings of the networks and the choice among them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    Field,
    PositiveInt,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from annoseq.config.section import ConfigSection, Dropout, Task
from annoseq.errors import OptionError, count_noun, option_name

Width = Annotated[PositiveInt, Field(le=65_536)]
Layers = Annotated[PositiveInt, Field(le=1_024)]
MAX_LABELS = 1_000
"""Maximum number of a tagger's labels: memory of the CRF grows with its square, to 64 MB for each
table of transitions here, of which training holds about ten."""


class GruConfig(ConfigSection):
    """GRU encoder-decoder without attention, with tied output weights (the notebook's network)."""

    embedding: Width = 300
    """Width of the source and target embeddings, and of the decoder."""
    hidden: Width = 256
    """Width of the hidden state of the encoder."""
    layers: Layers = 2
    """GRU layers of the encoder, and of the decoder."""
    embedding_dropout: Dropout = 0.15
    """Dropout on the encoder's embeddings."""
    encoder_dropout: Dropout = 0.25
    """Dropout between the encoder's layers."""
    decoder_dropout: Dropout = 0.1
    """Dropout between the decoder's layers."""
    output_dropout: Dropout = 0.35
    """Dropout before the output layer."""


class AttentionConfig(ConfigSection):
    """Bidirectional GRU encoder, and GRU decoder with attention (Luong et al. 2015)."""

    embedding: Width = 256
    """Width of the embeddings and of the decoder."""
    hidden: Width = 192
    """Width of the hidden state of the encoder, in each direction."""
    layers: Layers = 1
    """GRU layers of the encoder, and of the decoder."""
    dropout: Dropout = 0.2
    """Dropout on the embeddings, between layers and before the output layer."""


class TransformerConfig(ConfigSection):
    """Transformer encoder-decoder (Vaswani et al. 2017) with rotary positions."""

    embedding: Width = 256
    """Width of the embeddings and layers; a multiple of twice the number of heads."""
    heads: Annotated[PositiveInt, Field(le=1_024)] = 4
    """Attention heads."""
    encoder_layers: Layers = 3
    """Encoder layers."""
    decoder_layers: Layers = 2
    """Decoder layers."""
    feed_forward: Width = 1024
    """Inner width of the feed-forward layers."""
    dropout: Dropout = 0.1
    """Dropout on the embeddings, on residual branches, and before the output layer."""

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.embedding % (2 * self.heads):
            raise ValueError(
                f"an embedding of {self.embedding} cannot be shared out among {self.heads} heads: "
                "it must be a multiple of twice their number"
            )
        return self


class TaggerConfig(ConfigSection):
    """Span tagger: hashed features, encoder, CRF or biaffine head (docs/reference/models.md)."""

    encoder: Literal["lstm", "convolution", "transformer", "linear"] = "lstm"
    """Contextual encoder: bidirectional LSTM, dilated convolutions, transformer, or linear (a
    projection, for a pre-trained encoder that has the context already)."""
    hidden: Annotated[Width, Field(multiple_of=8)] = 128
    """Width of the LSTM in each direction; other encoders have twice this width."""
    layers: Layers | None = None
    """Encoder layers; by default 1 for lstm, 4 for convolution, 2 for transformer."""
    encoder_layers: Layers | None = None
    """First layers of a pre-trained encoder (--encoder) to use; by default all."""
    features: Literal["all", "shape"] = "all"
    """Features beside a pre-trained encoder: all, or shape, with which it takes the place of words,
    n-grams and affixes; the shape tells upper case, which uncased encoders do not see."""
    embedding: Width = 64
    """Width of the embedding of each of the five kinds of features."""
    buckets: Annotated[PositiveInt, Field(multiple_of=1024, le=2**28)] = 32_768
    """Hash buckets of character n-grams; the other kinds of features have fewer."""
    dropout: Dropout = 0.4
    """Variational dropout (one mask for all tokens of a row) before and after each layer."""
    word_dropout: Dropout = 0.2
    """Probability of dropping the word itself in training, so that spelling and context count."""

    @property
    def is_one_lstm(self) -> bool:
        """True if the encoder is one bidirectional LSTM, whose directions see only one side each.

        A second layer would read both directions of the first.
        """
        return self.encoder == "lstm" and (self.layers or 1) == 1

    @property
    def encoder_option(self) -> str | None:
        """The first option that was given and is for a pre-trained encoder, if there is one."""
        for name in ("encoder_layers", "features"):
            if getattr(self, name) != type(self).model_fields[name].default:
                return option_name(f"tagger.{name}")
        return None


ModelName = Literal["auto", "tagger", "gru", "attention", "transformer"]


class NetworkConfig(ConfigSection):
    """Choice of a network, and its settings."""

    model: ModelName = "auto"
    """tagger (predicts tags only); gru (the notebook's), attention (GRU with attention) or
    transformer (sequence-to-sequence); auto: the model whose options are given, otherwise tagger
    for the annotate task and attention for the translate task."""
    tagger: TaggerConfig = TaggerConfig()
    """Settings of the tagger."""
    gru: GruConfig = GruConfig()
    """Settings of the GRU encoder-decoder."""
    attention: AttentionConfig = AttentionConfig()
    """Settings of the GRU with attention."""
    transformer: TransformerConfig = TransformerConfig()
    """Settings of the transformer."""

    @classmethod
    def of(cls, config: AnyNetworkConfig | NetworkConfig | str | None) -> NetworkConfig:
        """Return a choice of the network that is named, or whose settings are given.

        Raises:
            OptionError: there is no such network.
        """
        match config:
            case TaggerConfig():
                return cls(model="tagger", tagger=config)
            case GruConfig():
                return cls(model="gru", gru=config)
            case AttentionConfig():
                return cls(model="attention", attention=config)
            case TransformerConfig():
                return cls(model="transformer", transformer=config)
            case NetworkConfig() | None:
                return config or cls()
        if config in get_args(ModelName):
            return cls(model=config)  # type: ignore[arg-type]
        given: object = config  # of a caller without type checks
        found = repr(given) if isinstance(given, str) else f"a {type(given).__name__}"
        raise OptionError(
            f"found {found} where a model was expected. Give one of "
            f"{', '.join(get_args(ModelName))}, or its settings, such as GruConfig(hidden=128)."
        )

    @property
    def selected(self) -> AnyNetworkConfig:
        """Settings of the chosen network."""
        match self.model:
            case "auto" | "tagger":
                return self.tagger
            case "gru":
                return self.gru
            case "attention":
                return self.attention
            case "transformer":
                return self.transformer

    def resolve_auto(self, *, task: Task) -> Self:
        """Replace `auto` by the default model of a task.

        Raises:
            OptionError: the tagger is chosen for the translate task.
        """
        if self.model == "auto":
            default = "tagger" if task == "annotate" else "attention"
            named = sorted(self.model_fields_set - {"model"})
            return self.model_copy(update={"model": named[0] if named else default}).resolve_auto(
                task=task
            )
        if self.model == "tagger" and task == "translate":
            raise OptionError(
                "the tagger adds tags to a text, and here the target is not the source plus tags. "
                "Use --model attention."
            )
        return self

    def with_embedding(self, width: int) -> Self:
        """Return the settings with embeddings of the chosen network `width` wide.

        Raises:
            OptionError: another width was given, or the network does not support this one.
        """
        settings = self.selected
        if "embedding" in settings.model_fields_set and settings.embedding != width:
            raise OptionError(
                f"--{self.model}.embedding {settings.embedding} was given, and the vectors have "
                f"{count_noun(width, 'value')}. Leave --{self.model}.embedding off, or use other "
                "vectors."
            )
        try:
            wide = type(settings).model_validate({**settings.model_dump(), "embedding": width})
        except ValidationError as error:
            reason = error.errors(include_input=False)[0]["msg"].removeprefix("Value error, ")
            raise OptionError(
                f"the vectors have {count_noun(width, 'value')}, and the {self.model} cannot: "
                f"{reason}."
            ) from error
        return self.model_copy(update={self.model: wide})

    def explicit_options(self) -> list[str]:
        """Return the names of the explicit options, such as `gru.hidden`."""
        given = [name for name in ("model",) if name in self.model_fields_set]
        for section in sorted(self.model_fields_set - {"model"}):
            fields = getattr(self, section).model_fields_set
            given += [f"{section}.{field}" for field in sorted(fields)]
        return given

    @model_validator(mode="after")
    def _options_belong_to_the_network(self) -> Self:
        sections = sorted(self.model_fields_set - {"model"})
        if self.model == "auto" and len(sections) > 1:
            raise ValueError(
                f"options of {' and '.join(sections)} were given, which are different models. Name "
                "one of them with --model"
            )
        for option in self.explicit_options():
            section = option.partition(".")[0]
            if section not in {"model", self.model} and self.model != "auto":
                raise ValueError(
                    f"--{option.replace('_', '-')} belongs to --model {section}, "
                    f"and the model is {self.model}"
                )
        return self

    @model_serializer(mode="wrap")
    def _without_the_others(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in dump(self).items() if name in {"model", self.model}}


AnyNetworkConfig = TaggerConfig | GruConfig | AttentionConfig | TransformerConfig
