"""Resources of a network: word vectors, a pre-trained encoder, a language model, lexicons."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from annoseq.errors import OptionError
from annoseq.models.language_model import check_language_model
from annoseq.tokenization.gazetteer import LexiconFeatures
from annoseq.training.language_modelling import check_directions

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.config import NetworkConfig, TaggerConfig, TrainingConfig


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Files that a network reads or begins with beside the pairs, as in `Learner`."""

    vectors: str | Path | None = None
    encoder: str | Path | None = None
    language_model: str | Path | None = None
    lexicon_features: LexiconFeatures = field(default_factory=LexiconFeatures)

    def check(self, network: NetworkConfig, training: TrainingConfig) -> None:
        """Check that a network without `auto` can have them, before it is built.

        Raises:
            OptionError: they are for another kind of network, or exclude each other.
            ModelError: the language model is none of `annoseq pretrain`.
        """
        if network.model != "tagger":
            self.check_tagger_options(network)
            return
        check_encoder_options(network.tagger, has_encoder=self.encoder is not None)
        if training.lm_weight:
            check_lm_weight(network.tagger, has_encoder=self.encoder is not None)
        if self.language_model is not None:
            given = {"--encoder": self.encoder, "--vectors": self.vectors}
            others = [option for option, value in given.items() if value is not None]
            check_language_model(self.language_model, network.tagger, others=others)

    def check_tagger_options(self, network: NetworkConfig, *, has_teachers: bool = False) -> None:
        """Raise `OptionError` if an option was given that only a tagger has."""
        given = {
            "--lexicon, --patterns and --gazetteers are": bool(self.lexicon_features),
            "--encoder is": self.encoder is not None,
            "--language-model is": self.language_model is not None,
            "--teacher is": has_teachers,
        }
        for options in (options for options, is_given in given.items() if is_given):
            these = "them" if options.endswith("are") else "it"
            raise OptionError(
                f"{options} for the tagger, and the model is {network.model}. Leave {these} off, "
                "or use --model tagger."
            )


def check_encoder_options(config: TaggerConfig, *, has_encoder: bool) -> None:
    """Raise `OptionError` if a tagger has an option of a pre-trained encoder, and no encoder."""
    if not has_encoder and (option := config.encoder_option):
        raise OptionError(
            f"{option} is for a pre-trained encoder. Leave {option} off, or name an encoder "
            "with --encoder."
        )


def check_lm_weight(config: TaggerConfig, *, has_encoder: bool) -> None:
    """Check that a tagger can predict words beside its tags.

    Raises:
        OptionError: its encoder is not an LSTM of one layer, or it has a pre-trained one.
    """
    check_directions(config, purpose="--lm-weight")
    if has_encoder:
        raise OptionError(
            "--lm-weight asks for the next word and the one before, and a pre-trained encoder has "
            "read both. Leave --lm-weight or --encoder off."
        )
