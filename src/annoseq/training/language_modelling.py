"""Language modelling by a tagger: its forward LSTM predicts the next word, its backward LSTM the
one before.

As an objective beside the tags it teaches the tagger more of the same rows (Rei 2017,
"Semi-supervised multitask learning for sequence labeling", arXiv:1704.07156); ahead of them it
teaches it from texts without annotations (`pretraining`). The layers that predict words are no part
of the model.

Shapes: B rows, T tokens, H width of a direction, E width of the predictors, W distinct tokens.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from annoseq.config import DataConfig
from annoseq.errors import OptionError
from annoseq.models.padding import token_mask
from annoseq.tokenization.pretokenizer import build_pretokenizer
from annoseq.tokenization.vocabulary import END, SPECIALS, Vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.config import TaggerConfig
    from annoseq.tokenization.hash_features import FeatureHasher
    from annoseq.tokenization.tagger_tokenizer import TaggerEncoding

_WIDTH = 64
_MIN_COUNT = 3
_CUTOFFS = 500, 2000
_NARROWING = 2.0
"""Every further cluster of less frequent words is predicted from a vector so much narrower."""


class WordPredictor(nn.Module):
    """Layers that predict a word from the encoding of one direction.

    The last one is an adaptive softmax: frequent words cost less (Grave et al. 2017, "Efficient
    softmax approximation for GPUs", arXiv:1609.04309).
    """

    def __init__(self, hidden: int, *, words: int) -> None:
        super().__init__()
        self.inner = nn.Linear(hidden, _WIDTH)
        cutoffs = sorted({min(cutoff, words - 1) for cutoff in _CUTOFFS})
        self.output = nn.AdaptiveLogSoftmaxWithLoss(_WIDTH, words, cutoffs, div_value=_NARROWING)

    def forward(self, encoded: Tensor) -> Tensor:
        """Return the inputs (N, E) of the output layer for encodings (N, H)."""
        return torch.tanh(self.inner(encoded))

    def loss(self, encoded: Tensor, words: Tensor) -> Tensor:
        """Return the cross-entropy of all `words` (N,) given encodings (N, H)."""
        inputs = self(encoded)
        with torch.autocast(inputs.device.type, enabled=False):
            scores: Tensor = self.output(inputs.float(), words).output
        return -scores.sum()

    def count_hits(self, encoded: Tensor, words: Tensor) -> int:
        """Return how many of `words` (N,) are predicted right from encodings (N, H)."""
        return int((self.output.predict(self(encoded)) == words).sum())


class LanguageModelHead(nn.Module):
    """Predictors of both directions; `numbers` (W,) are those of the words of tokens, by id."""

    numbers: Tensor

    def __init__(self, hidden: int, numbers: Tensor) -> None:
        super().__init__()
        words = max(int(numbers.max()) + 1, len(SPECIALS))
        self.ahead = WordPredictor(hidden, words=words)
        self.behind = WordPredictor(hidden, words=words)
        self.register_buffer("numbers", numbers, persistent=False)

    def loss(self, encoded: Tensor, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return the cross-entropy of all words, the mean of both directions.

        `encoded` (B, T, 2 H) are the encodings of the tokens with these `ids` (B, T).
        """
        losses = [
            predictor.loss(part, words)
            for predictor, part, words in self._directions(encoded, ids, lengths)
        ]
        return (losses[0] + losses[1]) / 2

    def count_hits(self, encoded: Tensor, ids: Tensor, lengths: Tensor) -> int:
        """Return how many words are predicted right, in both directions."""
        return sum(
            predictor.count_hits(part, words)
            for predictor, part, words in self._directions(encoded, ids, lengths)
        )

    def _directions(
        self, encoded: Tensor, ids: Tensor, lengths: Tensor
    ) -> list[tuple[WordPredictor, Tensor, Tensor]]:
        """Return predictor, encodings (N, H) and words to predict (N,) of both directions.

        The last word of a row is followed, and the first preceded, by the end symbol.
        """
        is_token = token_mask(ids, lengths)
        words = self.numbers[ids].masked_fill(~is_token, END)
        following = F.pad(words[:, 1:], (0, 1), value=END)
        preceding = F.pad(words[:, :-1], (1, 0), value=END)
        ahead, behind = encoded[is_token].chunk(2, dim=1)
        return [
            (self.ahead, ahead, following[is_token]),
            (self.behind, behind, preceding[is_token]),
        ]


def check_directions(config: TaggerConfig, *, purpose: str) -> None:
    """Check that a tagger reads in one direction at a time: else it would see what it predicts.

    Raises:
        OptionError: its encoder is not an LSTM of one layer.
    """
    if not config.is_one_lstm:
        raise OptionError(
            f"{purpose} needs an LSTM of one layer, which reads a text in one direction at a time. "
            "Leave --tagger.encoder and --tagger.layers off."
        )


def build_language_model_head(
    rows: Sequence[TaggerEncoding], hasher: FeatureHasher, *, hidden: int, words: int, seed: int
) -> LanguageModelHead:
    """Build predictors of the most frequent `words` of rows; their weights depend on `seed` only.

    Words are in lower case. Those that occur less than three times are one, with all others.
    """
    texts = list(map(normalize_word, hasher.tokens()))
    occurrences = np.bincount(
        np.concatenate([np.asarray(row.source, np.int64) for row in rows]), minlength=len(texts)
    )
    counts: Counter[str] = Counter()
    for text, count in zip(texts, occurrences.tolist(), strict=True):
        counts[text] += count
    vocabulary = Vocabulary.build(
        counts,
        pre_tokenizer=build_pretokenizer(),
        config=DataConfig(max_vocab=words + len(SPECIALS), min_frequency=_MIN_COUNT),
    )
    table = torch.tensor(vocabulary.tokens_to_ids(texts))
    with torch.random.fork_rng(devices=[]):  # weights are drawn on the CPU
        torch.default_generator.manual_seed(seed)
        return LanguageModelHead(hidden, table)


def normalize_word(token: str) -> str:
    """Return a token in lower case, without the space in front of it.

    >>> normalize_word(" Dr"), normalize_word("  ")
    ('dr', '  ')
    """
    return token.strip().lower() or token
