"""Examples grouped by document, and folds of the documents.

What is trained on a part of the documents never sees a row of the others: the runs of a learning
curve, of cross-validation and of cross-fitting.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from annoseq.data.splits import group_rows, hash_rank
from annoseq.errors import OptionError, PairsError, count_noun

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.data.examples import Example
    from annoseq.data.splits import SplitBy
    from annoseq.tokenization.dataset import Dataset

Documents = tuple[int, ...]
"""Numbers of documents, from 0."""


@dataclass(frozen=True, repr=False)
class DocumentCorpus:
    """Examples of the annotate task by document; a row without a document is one by itself.

    `dataset` has the settings of the splits within the runs.
    """

    dataset: Dataset
    documents: tuple[tuple[Example, ...], ...]

    @classmethod
    def of(cls, dataset: Dataset, examples: Sequence[Example], *, needed: int) -> DocumentCorpus:
        """Group examples by document, in their order.

        Raises:
            OptionError: the task is to translate.
            PairsError: there are fewer documents than `needed`.
        """
        if dataset.task != "annotate":
            raise OptionError(
                "these pairs are of the translate task, and spans are scored. Give pairs whose "
                "target is the source plus tags."
            )
        groups = group_rows(examples, by=dataset.config.split_by).values()
        if len(groups) < needed:
            raise PairsError(
                f"the table has {count_noun(len(groups), 'document')}, and at least {needed} are "
                "needed. Add documents, or split by row (--split-by row)."
            )
        return cls(dataset, tuple(tuple(examples[row] for row in rows) for rows in groups))

    def shuffled(self, seed: str) -> list[int]:
        """Return the numbers of the documents in a seeded random order."""
        return sorted(range(len(self.documents)), key=lambda number: hash_rank(seed, number))

    def folds(self, count: int, *, seed: int) -> list[Documents]:
        """Return the documents in `count` parts of equal size, drawn at random, each in order."""
        order = self.shuffled(f"folds {seed}")
        return [tuple(sorted(order[fold::count])) for fold in range(count)]

    def rows(self, documents: Documents) -> list[Example]:
        """Return the examples of documents, in the order of the table."""
        return [example for number in sorted(documents) for example in self.documents[number]]


def fold_numbers(
    dataset: Dataset, *, count: int, seed: int, split_by: SplitBy | None = None
) -> list[int]:
    """Return the number of the fold, from 0, of the document of each training row.

    Rows are grouped by the dataset's own `split_by` unless another is given.

    Raises:
        OptionError: the task is to translate.
        PairsError: there are fewer documents than two for each fold.
    """
    if split_by is not None:
        config = dataset.config.model_copy(update={"split_by": split_by})
        dataset = replace(dataset, config=config)
    corpus = DocumentCorpus.of(dataset, dataset.train, needed=2 * count)
    fold_of = {
        example.row: number
        for number, fold in enumerate(corpus.folds(count, seed=seed))
        for example in corpus.rows(fold)
    }
    return [fold_of[example.row] for example in dataset.train]


def checksum_folds(numbers: Sequence[int]) -> str:
    """Return a checksum of the folds of all training rows."""
    return hashlib.sha256(" ".join(map(str, numbers)).encode()).hexdigest()
