from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from annoseq.config import TaggerConfig
from annoseq.models.biaffine import BiaffineHead
from annoseq.models.build import build_tagger
from annoseq.models.label_growth import grow_labels
from annoseq.models.tagger import CrfHead
from annoseq.tokenization.bioes import bioes_name
from annoseq.tokenization.hash_features import FeatureHasher
from annoseq.tokenization.length_stats import LengthStats
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer

if TYPE_CHECKING:
    from annoseq.models.tagger import Tagger

CONFIG = TaggerConfig(hidden=8, embedding=8, buckets=1024)


def tagger(labels: tuple[str, ...], *, depth: int, seed: int) -> Tagger:
    tokenizer = TaggerTokenizer(labels, LengthStats(depth=depth), FeatureHasher(buckets=1024))
    made = build_tagger(CONFIG, tokenizer, seed=seed).eval()
    with torch.no_grad():
        for name, weights in made.named_parameters():
            if "transitions" in name or "length_embedding" in name:
                weights.normal_(generator=torch.Generator().manual_seed(seed))
    return made


def grown(old: tuple[str, ...], new: tuple[str, ...], *, depth: int) -> tuple[Tagger, Tagger]:
    base, bigger = tagger(old, depth=depth, seed=1), tagger(new, depth=depth, seed=2)
    weights = grow_labels(base.state_dict(), bigger.state_dict(), old=len(old), new=len(new))
    bigger.load_state_dict(weights)
    return base, bigger


@pytest.mark.parametrize("old", [("A", "B"), ("A",), ()])
def test_a_crf_scores_the_tags_that_it_knows_as_before(old: tuple[str, ...]) -> None:
    new = (*old, "C", "D")
    base, bigger = grown(old, new, depth=1)
    encoded = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(3))
    before = {bioes_name(tag, old): tag for tag in range(4 * len(old) + 1)}
    after = {bioes_name(tag, new): tag for tag in range(4 * len(new) + 1)}
    places = [after[name] for name in before]
    scores, more = base.head.scores(encoded), bigger.head.scores(encoded)
    assert torch.allclose(more[..., places], scores[..., [*before.values()]], atol=1e-6)
    assert isinstance(base.head, CrfHead)
    assert isinstance(bigger.head, CrfHead)
    table, bigger_table = base.head.crf.transitions(), bigger.head.crf.transitions()
    assert torch.equal(bigger_table[places][:, places], table)
    others = sorted(set(after.values()) - set(places))
    if old:
        expected = base.head.output.bias[1:].min()
        assert bool((more[..., others] == expected).all())


def test_a_biaffine_head_scores_the_classes_that_it_knows_as_before() -> None:
    base, bigger = grown(("A", "B"), ("A", "B", "C"), depth=2)
    encoded = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(3))
    assert isinstance(base.head, BiaffineHead)
    assert isinstance(bigger.head, BiaffineHead)
    scores, more = base.head._scores(encoded), bigger.head._scores(encoded)
    assert torch.allclose(more[..., :3], scores, atol=1e-6)
    expected = base.head.first_linear.bias[1:].min()
    assert torch.allclose(more[..., 3], expected, atol=1e-6)


def test_what_has_no_labels_stays() -> None:
    base, bigger = grown(("A",), ("A", "B"), depth=1)
    kept = [name for name, weights in base.state_dict().items() if "head" not in name]
    for name in kept:
        assert torch.equal(base.state_dict()[name], bigger.state_dict()[name])
