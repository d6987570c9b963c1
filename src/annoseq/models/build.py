"""Construction of networks from a configuration, with weights initialized from a seed."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

from annoseq.config import AttentionConfig, GruConfig, TransformerConfig
from annoseq.models.gru import Gru, GruWithAttention
from annoseq.models.tagger import Tagger
from annoseq.models.transformer import Transformer
from annoseq.tokenization.pretokenizer import is_tag
from annoseq.tokenization.vocabulary import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from annoseq.config import NetworkConfig, TaggerConfig
    from annoseq.models.interfaces import AnySeq2SeqNetwork
    from annoseq.models.pretrained_encoder import PretrainedEncoder
    from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqTokenizer
    from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer
    from annoseq.tokenization.vocabulary import Vocabulary

_SHARED_VOCABULARY = 0.9
"""Embeddings are shared if at least this share of source tokens is in the target vocabulary."""


class _SkipInit(TorchFunctionMode):
    """Torch function mode that turns calls of `torch.nn.init` into no-ops."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


@contextmanager
def no_init_weights() -> Iterator[None]:
    """Skip weight initialization of networks whose weights are about to be loaded from a file.

    Initializing the weights of a tagger takes longer than reading them.
    """
    with _SkipInit():
        yield


def build_tagger(
    config: TaggerConfig,
    tokenizer: TaggerTokenizer,
    *,
    seed: int,
    pretrained: PretrainedEncoder | None = None,
) -> Tagger:
    """Build a tagger whose weights, but for those of a given encoder, depend on `seed` only."""
    nested = [tokenizer.labels.index(label) for label in tokenizer.length_stats.self_nested]
    with torch.random.fork_rng(devices=[]):  # weights are drawn on the CPU
        torch.default_generator.manual_seed(seed)
        return Tagger(
            config,
            feature_hasher=tokenizer.feature_hasher,
            labels=len(tokenizer.labels),
            levels=tokenizer.levels,
            self_nested=nested,
            pretrained=pretrained,
        )


def build_seq2seq(
    config: NetworkConfig, tokenizer: Seq2SeqTokenizer, *, seed: int
) -> AnySeq2SeqNetwork:
    """Build a seq2seq network whose weights depend on `seed` only."""
    copies = tokenizer.target.tokens_to_ids(tokenizer.source.tokens)
    known = sum(id_ != UNKNOWN for id_ in copies) / len(copies)
    return build_network(
        config,
        source_size=len(tokenizer.source),
        target_size=len(tokenizer.target),
        copies=copies if known >= _SHARED_VOCABULARY else None,
        source_tags=_tag_ids(tokenizer.source),
        target_tags=_tag_ids(tokenizer.target),
        seed=seed,
    )


def build_network(
    config: NetworkConfig,
    *,
    source_size: int,
    target_size: int,
    copies: Sequence[int] | None = None,
    source_tags: Sequence[int] = (),
    target_tags: Sequence[int] = (),
    seed: int,
) -> AnySeq2SeqNetwork:
    """Build a seq2seq network for vocabularies of given sizes.

    `copies` (source vocabulary,) are the target ids of the source tokens if both sides share their
    embeddings, which `gru` does not support; `source_tags` and `target_tags` are the ids of tags.
    """
    with torch.random.fork_rng(devices=[]):  # weights are drawn on the CPU
        torch.default_generator.manual_seed(seed)
        match config.selected:
            case GruConfig() as gru:
                return Gru(gru, source_size=source_size, target_size=target_size)
            case AttentionConfig() as attention:
                return GruWithAttention(
                    attention,
                    source_size=source_size,
                    target_size=target_size,
                    copies=copies,
                    source_tags=source_tags,
                    target_tags=target_tags,
                )
            case TransformerConfig() as transformer:
                return Transformer(
                    transformer,
                    source_size=source_size,
                    target_size=target_size,
                    copies=copies,
                    source_tags=source_tags,
                    target_tags=target_tags,
                )
            case _:
                raise TypeError(f"{config.model} is not a sequence-to-sequence model")


def _tag_ids(vocabulary: Vocabulary) -> list[int]:
    visible = map(vocabulary.subwords.visible, vocabulary.tokens)  # subwords carry markers
    return [id_ for id_, token in enumerate(visible) if is_tag(token)]
