"""fastText vectors from the pairs' own text, by gensim, saved as fastText itself would."""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from annoseq.atomic_io import rehearse, replacing
from annoseq.config import Section, Task
from annoseq.errors import OptionError, VectorsError
from annoseq.progress import progress
from annoseq.tokenization.pretokenizer import segmentation
from annoseq.vectors.word_vectors import word_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from annoseq.data.pairs import Pair

_MOST_WORDS = 10_000
"""gensim leaves out what a text has beyond these."""


class VectorsConfig(Section):
    """How word vectors are trained."""

    algorithm: Literal["skipgram", "cbow"] = "skipgram"
    """skipgram (predict the words around a word; better for rare words) or cbow (predict a word
    from those around it; faster)."""
    width: PositiveInt = 100
    """Values of a vector, which the embeddings that are filled with it must have too."""
    epochs: PositiveInt = 10
    """Times that the text is gone through."""
    learning_rate: PositiveFloat = 0.05
    """Rate of the first step, which falls to next to nothing; fastText's own."""
    min_count: PositiveInt = 2
    """A word seen fewer times than this gets no vector of its own; its subwords make one up."""
    minn: NonNegativeInt = 3
    """Fewest characters of a subword, the word's edges counted."""
    maxn: NonNegativeInt = 6
    """Most characters of a subword; 0 for no subwords."""
    buckets: PositiveInt = 200_000
    """Vectors that all subwords share. The file grows with it: width x 4 bytes for each."""
    window: PositiveInt = 5
    """Words on each side that count as around a word."""
    negative: PositiveInt = 5
    """Random words that a true one is told from in each step."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 42
    """Seed of training; with one worker the same seed gives the same file."""
    workers: PositiveInt = 1
    """Threads. With more than one, no two runs give the same vectors."""


def train_vectors(
    pairs: Sequence[Pair],
    path: str | Path,
    *,
    task: Task,
    config: VectorsConfig | None = None,
    overwrite: bool = False,
) -> int:
    """Train fastText vectors, write them as a `.bin`, and return how many words it lists.

    In the annotate task the text is that of the sources, else that of sources and targets. It is
    cut as a dataset's is, so that the words are those that its vocabularies ask for.

    Raises:
        OptionError: `path` does not end in .bin, or `minn` is above `maxn`.
        OutputError: the file exists and `overwrite` is False, or it cannot be written.
        VectorsError: gensim is not installed, or too few words are repeated.
    """
    config, path = config or VectorsConfig(), Path(path)
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
    rehearse(path, overwrite=overwrite)
    texts = list(words_of(pairs, task=task))
    counts = Counter(word for text in texts for word in text)
    if not any(count >= config.min_count for count in counts.values()):
        raise VectorsError(
            f"none of the {len(counts):,} words of the pairs is there {config.min_count} times. "
            "Give more pairs, or a smaller --min-count."
        )
    with _quiet():
        model = _train(gensim, texts, config)
        with replacing(path, overwrite=overwrite) as new:
            gensim.save_facebook_model(model, str(new))
    return len(model.wv)


def words_of(pairs: Iterable[Pair], *, task: Task) -> Iterator[list[str]]:
    """Yield the words of each text; a text too long for gensim comes in pieces."""
    cut_by = segmentation(keeps_tags=task == "translate")
    for pair in pairs:
        for text in (pair.source,) if task == "annotate" else (pair.source, pair.target):
            tokens = (token for token, _ in cut_by.pre_tokenize_str(text))
            words = [word for word in map(word_of, tokens) if word is not None]
            for first in range(0, len(words), _MOST_WORDS):
                yield words[first : first + _MOST_WORDS]


def import_gensim() -> Any:
    """Return gensim's module of fastText.

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


def _train(gensim: Any, texts: Sequence[Sequence[str]], config: VectorsConfig) -> Any:
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
    model.build_vocab(texts)
    with progress("Vectors", total=config.epochs * len(texts)) as advance:
        watched = _Watched(texts, advance)
        model.train(watched, total_examples=len(texts), epochs=config.epochs)
    return model


class _Watched:
    """Texts to go through several times, with word of how far it is."""

    def __init__(self, texts: Sequence[Sequence[str]], advance: Callable[[int], None]) -> None:
        self._texts = texts
        self._advance = advance

    def __iter__(self) -> Iterator[Sequence[str]]:
        for text in self._texts:
            self._advance(1)
            yield text


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep gensim's advice about small corpora off standard error."""
    logger = logging.getLogger("gensim")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
