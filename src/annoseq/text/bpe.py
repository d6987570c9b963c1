"""Byte pair encoding: the pieces that words are written in, learnt from the training pairs.

After Sennrich, Haddow and Birch 2016, "Neural machine translation of rare words with subword
units": the pair of pieces that stands side by side most often becomes a piece, again and again.
Both sides of the pairs are learnt from together, so that a word that is copied is written alike.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

from annoseq.text.segmentation import is_tag
from annoseq.text.spelling import BLANKS, BYTES, SPACED, SPELL_ALL, UNSPACED, mark

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping, Sequence

    from annoseq.config import DataConfig


def learn(counts: Counter[str], *, fixed: Sequence[str], unknown: str, config: DataConfig) -> BPE:
    """Learn pieces from words and their counts.

    The vocabulary begins with the `fixed` tokens. Then come the bytes, white space, the tags among
    the words (those are never split), every character, and what is merged from them, the first
    merge first.
    """
    tags = sorted(mark(word) for word in counts.keys() - set(fixed) if is_tag(word))
    whole = [*fixed, *BYTES, *BLANKS, *tags]
    trained = Tokenizer(BPE())
    trainer = BpeTrainer(
        vocab_size=max(config.bpe_vocab - len(whole), 0),
        min_frequency=config.min_frequency,
        initial_alphabet=[SPACED, UNSPACED],
        show_progress=False,
    )
    trained.train_from_iterator(
        (mark(word) for word in counts.elements() if not (word.isspace() or is_tag(word))), trainer
    )
    model = json.loads(trained.to_str())["model"]
    tokens = [*whole, *sorted(model["vocab"], key=model["vocab"].__getitem__)]
    return BPE(
        {token: id_ for id_, token in enumerate(tokens)},
        [tuple(merge) for merge in model["merges"]],
        unk_token=unknown,
        byte_fallback=True,
        ignore_merges=True,  # white space and tags are pieces that nothing is merged to
    )


def check(model: BPE, ids: Mapping[str, int]) -> None:
    """Make sure that a model that was read spells every text.

    Raises:
        ValueError: it does not.
    """
    if not (model.byte_fallback and model.ignore_merges) or (
        model.dropout or model.continuing_subword_prefix or model.end_of_word_suffix
    ):
        raise ValueError("the settings of its byte pair encoding are not those of annoseq")
    lacking = sum(token not in ids for token in SPELL_ALL)
    if lacking:
        raise ValueError(f"it lacks {lacking} of the {len(SPELL_ALL)} pieces that spell every text")
