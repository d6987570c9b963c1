"""Weight of the votes of writers, chosen by the likelihood of gold spans."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from annoseq.config import BatchConfig
from annoseq.data.examples import parse_pairs
from annoseq.data.markup import strip_tags
from annoseq.devices import ComputeDevice
from annoseq.inference.ensemble_predictor import EnsemblePredictor, votes
from annoseq.inference.predictor import SpanQuery, TokenizedText, tokenize_texts
from annoseq.models.ensemble_folder import EnsembleModel
from annoseq.tokenization.bioes import ScoredTokenSpans, TokenSpan, bioes_to_token_spans
from annoseq.training.vote_weight import VOTE_WEIGHTS, _is_whole, choose_vote_weight
from tests.fidelity import FLAT, random_annotator
from tests.tokenization.tables import pairs_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from annoseq.tokenization.batching import TokenIds
    from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer

EXAMPLES = parse_pairs(pairs_of(*((strip_tags(target), target) for target in FLAT))).examples


@dataclass(frozen=True)
class Oracle:
    """A writer whose spans of each text, by the ids of its tokens, are known beforehand."""

    tokenizer: TaggerTokenizer
    spans: dict[tuple[int, ...], list[TokenSpan]]
    default_batching: BatchConfig = BatchConfig()
    gives_marginals: bool = False
    generator: None = None

    @property
    def labels(self) -> Sequence[str]:
        return self.tokenizer.labels

    def exclusive_use(self) -> AbstractContextManager[None]:
        raise NotImplementedError

    def tokenize(self, texts: Sequence[str]) -> list[TokenizedText]:
        return tokenize_texts(texts, self.tokenizer)

    def predict_batch(
        self, windows: Sequence[TokenIds], query: SpanQuery, *, names: Sequence[str]
    ) -> list[list[ScoredTokenSpans]]:
        del query, names
        return [[ScoredTokenSpans(self.spans[tuple(map(int, ids))], 0.0)] for ids in windows]


def predictor_with(*, is_right: bool) -> EnsemblePredictor:
    """Return an ensemble whose writer gives every token its gold tag, or none of them."""
    members = [random_annotator(name).model for name in ("flat", "flat tagger")]
    predictor = EnsemblePredictor.of(EnsembleModel.of(members, "ab"), ComputeDevice.select("cpu"))
    tokenizer, labels = predictor.tokenizer, len(predictor.labels)
    spans: dict[tuple[int, ...], list[TokenSpan]] = {}
    for row in tokenizer.encode(EXAMPLES):
        gold = np.array(row.target)[:, 0]
        found = bioes_to_token_spans(gold[None], labels=labels).tolist()
        spans[tuple(row.source)] = [
            TokenSpan(first, last + 1, label, 0.0) for _, first, last, label in found
        ]
        if not is_right:
            spans[tuple(row.source)] = [
                TokenSpan(place, place + 1, int(tag) % labels, 0.0)
                for place, tag in enumerate(gold)
            ]
    return replace(predictor, writers=(Oracle(tokenizer, spans),))


@pytest.mark.parametrize(("is_right", "weight"), [(True, VOTE_WEIGHTS[-1]), (False, 0.0)])
def test_votes_weigh_what_they_are_worth(is_right: bool, weight: float) -> None:
    assert choose_vote_weight(predictor_with(is_right=is_right), EXAMPLES) == weight


def test_the_votes_of_one_that_is_right_are_the_gold_tags() -> None:
    predictor = predictor_with(is_right=True)
    texts = predictor.tokenize([example.source for example in EXAMPLES])
    gold = [np.array(row.target)[:, 0] for row in predictor.tokenizer.encode(EXAMPLES)]
    assert [np.asarray(text.ids)[:, 1].tolist() for text in texts] == [
        tags.tolist() for tags in gold
    ]
    assert votes(predictor.writers[0], [], labels=predictor.labels) == []


@pytest.mark.parametrize(
    ("tags", "is_whole"),
    [([0, 1, 3], True), ([4, 0], True), ([2, 3, 0], False), ([3, 0], False), ([0, 1], False)],
)
def test_windows_that_cut_a_span_are_known(tags: list[int], is_whole: bool) -> None:
    assert _is_whole(np.array(tags), labels=1) is is_whole
