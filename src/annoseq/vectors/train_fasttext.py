"""Training of fastText vectors on the text of the pairs, by gensim, saved as fastText's `.bin`."""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from annoseq.atomic_io import atomic_file, check_writable
from annoseq.config import ConfigSection, Task
from annoseq.errors import OptionError, VectorsError, count_noun
from annoseq.progress import progress_bar
from annoseq.tokenization.pretokenizer import build_pretokenizer
from annoseq.vectors.word_vectors import lookup_word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from annoseq.data.pairs import Pair

_MAX_SENTENCE = 10_000
"""Longest sentence in words; gensim ignores the words beyond it."""


class FastTextConfig(ConfigSection):
    """Training settings of fastText."""

    algorithm: Literal["skipgram", "cbow"] = "skipgram"
    """skipgram (predict the context of a word; better for rare words) or cbow (predict a word from
    its context; faster)."""
    width: PositiveInt = 100
    """Dimension of the vectors, and of the embeddings that are initialized from them."""
    epochs: PositiveInt = 10
    """Passes over the text."""
    learning_rate: PositiveFloat = 0.05
    """Initial learning rate, decayed linearly; the default is fastText's."""
    min_count: PositiveInt = 2
    """Minimum frequency of a word with a vector of its own; rarer ones are composed of subwords."""
    minn: NonNegativeInt = 3
    """Minimum length of a character n-gram, word boundary markers counted."""
    maxn: NonNegativeInt = 6
    """Maximum length of a character n-gram; 0 for no subwords."""
    buckets: PositiveInt = 200_000
    """Hash buckets of character n-grams. Each adds width x 4 bytes to the file."""
    window: PositiveInt = 5
    """Context size: words on each side."""
    negative: PositiveInt = 5
    """Negative samples for each positive one."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 42
    """Random seed; with one worker the same seed gives the same file."""
    workers: PositiveInt = 1
    """Training threads. With more than one, no two runs give the same vectors."""


def train_fasttext(
    pairs: Sequence[Pair],
    path: str | Path,
    *,
    task: Task,
    config: FastTextConfig | None = None,
    overwrite: bool = False,
) -> int:
    """Train fastText vectors, write them as a `.bin`, and return the number of words in it.

    They are trained on the sources for the annotate task, and on sources and targets otherwise,
    pre-tokenized as in a dataset, so that vocabularies and vectors have the same words.

    Raises:
        OptionError: `path` does not end in .bin, or `minn` is above `maxn`.
        OutputError: the file exists and `overwrite` is False, or it cannot be written.
        VectorsError: gensim is not installed, or too few words are repeated.
    """
    config, path = config or FastTextConfig(), Path(path)
    if path.suffix != ".bin":
        raise OptionError(
            f"{path}: vectors are written as fastText's .bin. Use a name that ends so."
        )
    if 0 < config.maxn < config.minn:
        raise OptionError(
            f"--minn {config.minn} is above --maxn {config.maxn}. "
            "Make it smaller, or --maxn 0 for no subwords."
        )
    gensim = import_gensim()
    check_writable(path, overwrite=overwrite)
    sentences = list(training_sentences(pairs, task=task))
    counts = Counter(word for sentence in sentences for word in sentence)
    if not any(count >= config.min_count for count in counts.values()):
        raise VectorsError(
            f"none of {count_noun(len(counts), 'word')} of the pairs is there at least "
            f"{count_noun(config.min_count, 'time')}. Give more pairs, or a smaller --min-count."
        )
    with _gensim_warnings_hidden():
        model = _train(gensim, sentences, config)
        with atomic_file(path, overwrite=overwrite) as temporary:
            gensim.save_facebook_model(model, str(temporary))
    return len(model.wv)


def training_sentences(pairs: Iterable[Pair], *, task: Task) -> Iterator[list[str]]:
    """Yield the words of each text; texts that are too long for gensim are split."""
    pre_tokenizer = build_pretokenizer(keeps_tags=task == "translate")
    for pair in pairs:
        for text in (pair.source,) if task == "annotate" else (pair.source, pair.target):
            tokens = (token for token, _ in pre_tokenizer.pre_tokenize_str(text))
            words = [word for word in map(lookup_word, tokens) if word is not None]
            for first in range(0, len(words), _MAX_SENTENCE):
                yield words[first : first + _MAX_SENTENCE]


def import_gensim() -> Any:
    """Import gensim's fastText module.

    Raises:
        VectorsError: it is not installed.
    """
    try:
        from gensim.models import fasttext
    except ImportError as error:
        raise VectorsError(
            "Training vectors needs gensim, which is not installed. "
            "Install it with: pip install 'annoseq[vectors]'"
        ) from error
    return fasttext


def _train(gensim: Any, sentences: Sequence[Sequence[str]], config: FastTextConfig) -> Any:
    model = gensim.FastText(
        sg=int(config.algorithm == "skipgram"),
        vector_size=config.width,
        min_count=config.min_count,
        min_n=config.minn,
        max_n=config.maxn,
        bucket=config.buckets,
        alpha=config.learning_rate,
        window=config.window,
        negative=config.negative,
        seed=config.seed,
        workers=config.workers,
    )
    model.build_vocab(sentences)
    with progress_bar("Vectors", total=config.epochs * len(sentences)) as advance:
        corpus = _ProgressCorpus(sentences, advance)
        model.train(corpus, total_examples=len(sentences), epochs=config.epochs)
    return model


class _ProgressCorpus:
    """Sentences that advance a progress bar when they are read; can be read repeatedly."""

    def __init__(self, sentences: Sequence[Sequence[str]], advance: Callable[[int], None]) -> None:
        self._sentences = sentences
        self._advance = advance

    def __iter__(self) -> Iterator[Sequence[str]]:
        for sentence in self._sentences:
            self._advance(1)
            yield sentence


@contextmanager
def _gensim_warnings_hidden() -> Iterator[None]:
    """Hide gensim's warnings about small corpora."""
    logger = logging.getLogger("gensim")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
