"""The networks and their sizes."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    PositiveInt,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from annoseq.config.section import ConfigSection, Dropout, Task
from annoseq.errors import OptionError


class GruConfig(ConfigSection):
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


class AttentionConfig(ConfigSection):
    """A bidirectional GRU encoder, and a GRU decoder that attends to it (Luong et al. 2015)."""

    embedding: PositiveInt = 256
    """Width of the embeddings and of the decoder."""
    hidden: PositiveInt = 192
    """Width of the encoder's hidden state, in each direction."""
    layers: PositiveInt = 1
    """GRU layers, in the encoder and in the decoder."""
    dropout: Dropout = 0.2
    """Dropout on the embeddings, between layers and before the output layer."""


class TransformerConfig(ConfigSection):
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


class TaggerConfig(ConfigSection):
    """The tagger: hashed features, an encoder, and what finds spans (docs/reference/models.md)."""

    encoder: Literal["lstm", "convolution", "transformer"] = "lstm"
    """How the tokens around a token are read: an LSTM in each direction, dilated convolutions, or
    a transformer."""
    hidden: Annotated[PositiveInt, Field(multiple_of=8)] = 128
    """Width of the LSTM in each direction; the other encoders are twice as wide."""
    layers: PositiveInt | None = None
    """Layers of the encoder; by default 1 for lstm, 4 for convolution, 2 for transformer."""
    embedding: PositiveInt = 64
    """Width of the vectors of each of the five kinds of features."""
    buckets: Annotated[PositiveInt, Field(multiple_of=1024)] = 32_768
    """Places that character n-grams are hashed into; the other kinds have fewer."""
    dropout: Dropout = 0.4
    """Dropout before and after each layer, the same for all tokens of a row."""
    word_dropout: Dropout = 0.2
    """How often a word is known by its spelling alone in training."""


class NetworkConfig(ConfigSection):
    """Which network, and its sizes."""

    model: Literal["auto", "tagger", "gru", "attention", "transformer"] = "auto"
    """tagger (predicts the tags alone), gru (the notebook's), attention (a GRU that looks back at
    the source), transformer; auto: the one whose options are
    given, or else the tagger in the annotate task and attention in the translate task."""
    tagger: TaggerConfig = TaggerConfig()
    """Sizes of the tagger."""
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
            case TaggerConfig():
                return cls(model="tagger", tagger=config)
            case GruConfig():
                return cls(model="gru", gru=config)
            case AttentionConfig():
                return cls(model="attention", attention=config)
            case TransformerConfig():
                return cls(model="transformer", transformer=config)
        return config or cls()

    @property
    def selected(self) -> AnyNetworkConfig:
        """The settings of the chosen network."""
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
        """Put the network that suits a task best for `auto`.

        Raises:
            OptionError: the tagger is to translate.
        """
        if self.model == "auto":
            suited = "tagger" if task == "annotate" else "attention"
            named = sorted(self.model_fields_set - {"model"})
            return self.model_copy(update={"model": named[0] if named else suited}).resolve_auto(
                task=task
            )
        if self.model == "tagger" and task == "translate":
            raise OptionError(
                "the tagger adds tags to a text, and here the target is not the source plus tags. "
                "Use --model attention."
            )
        return self

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

    def explicit_options(self) -> list[str]:
        """Return the names of the options that were given, such as `gru.hidden`."""
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
