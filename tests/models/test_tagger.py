from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
import torch

from annoseq.tokenization import hash_features as features
from annoseq.tokenization.linearize import AlignedSpan
from tests.models.tiny import batch_of, random_tagger, tagged

if TYPE_CHECKING:
    from collections.abc import Iterator

DEEP = [AlignedSpan(0, 4, "A"), AlignedSpan(0, 2, "A"), AlignedSpan(3, 4, "B")]


def test_encodings_do_not_depend_on_the_batch() -> None:
    tagger = random_tagger()
    rows = [
        tagged(
            tagger,
            ["Dr", ".", " Ames", ",", " 31", "y"],
            [AlignedSpan(2, 5, "A"), AlignedSpan(2, 3, "B")],
        ),
        tagged(tagger, ["Zoë"]),
        tagged(tagger, ["a", " b", " c", "d"], DEEP),
    ]
    together = batch_of(*rows)
    losses, found = tagger.loss(together), tagger.spans(together)
    assert max(len(one.spans) for one in found) > 1
    for row, loss, marked in zip(rows, losses, found, strict=True):
        alone = batch_of(row)
        assert torch.allclose(tagger.loss(alone)[0], loss, atol=1e-4)
        (one,) = tagger.spans(alone)
        assert [span[:3] for span in one.spans] == [span[:3] for span in marked.spans]
        assert one.score == pytest.approx(marked.score, abs=1e-4)
        scores = [[span.score for span in some] for some in (one.spans, marked.spans)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-4)


def test_predicted_spans_have_the_likelihood_of_their_loss() -> None:
    tagger = random_tagger()
    tokens = list("abcdefghijklmnopqrstuvwxyz") * 2
    (found,) = tagger.spans(batch_of(tagged(tagger, tokens)))
    names = "AB"
    aligned_spans = [AlignedSpan(span.first, span.last, names[span.label]) for span in found.spans]
    assert any(inner.last <= outer.last for outer, inner in pairwise(aligned_spans))
    loss = tagger.loss(batch_of(tagged(tagger, tokens, aligned_spans)))
    assert -loss.item() == pytest.approx(found.score, abs=1e-2)


def test_every_weight_has_a_gradient_though_no_row_is_nested() -> None:
    """Processes that train together wait for the gradients of all weights."""
    tagger = random_tagger(levels=3).train()
    tagger.loss(batch_of(tagged(tagger, ["a", "b"], levels=3))).sum().backward()  # type: ignore[no-untyped-call]
    assert [name for name, one in tagger.named_parameters() if one.grad is None] == []


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("levels", [1, 3])
def test_gradients_repeat_bit_for_bit_with_two_threads(levels: int) -> None:
    tagger = random_tagger(levels=levels, spread=0.1).train()
    words = [f"w{number}" for number in range(7)]
    rows = [tagged(tagger, words, [AlignedSpan(1, 4, "A")], levels=levels) for _ in range(192)]
    batch, gradients = batch_of(*rows), []
    for _ in range(6):
        tagger.zero_grad()
        torch.manual_seed(0)
        tagger.loss(batch).sum().backward()  # type: ignore[no-untyped-call]
        gradients.append([one.grad.clone() for one in tagger.parameters() if one.grad is not None])
    for others in gradients[1:]:
        assert all(map(torch.equal, gradients[0], others))


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf, 1e38])
@pytest.mark.parametrize("part", ["embedding", "encoder", "head"])
def test_weights_that_have_overflown_still_give_whole_nested_spans(part: str, value: float) -> None:
    tagger = random_tagger(levels=3)
    with torch.no_grad():
        for weights in getattr(tagger, part).parameters():
            weights.flatten()[::3] = value
    rows = [tagged(tagger, tokens, levels=3) for tokens in (list("abcabcab"), ["x"])]
    for marked in tagger.spans(batch_of(*rows)):
        assert marked.score <= 0
        opened: list[int] = []
        for span in marked.spans:
            assert span.first < span.last
            assert span.score <= 0
            while opened and opened[-1] <= span.first:
                opened.pop()
            assert not opened or span.last <= opened[-1]
            opened.append(span.last)


def test_a_tagger_without_labels_finds_nothing() -> None:
    tagger = random_tagger(labels=0, levels=1, self_nested=[])
    row = tagged(tagger, ["a", "b"], levels=1)
    (marked,) = tagger.spans(batch_of(row))
    assert marked.spans == []
    assert marked.score == pytest.approx(0.0, abs=1e-6)
    assert tagger.loss(batch_of(row)).tolist() == [0.0]


def test_cached_vectors_follow_new_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tagger = random_tagger()
    batch = batch_of(tagged(tagger, ["a", " b", "c"]))
    with torch.no_grad():
        first = tagger.encode(batch)
        assert torch.equal(tagger.encode(batch), first)
        assert torch.allclose(tagger.train().eval().encode(batch), first)
        tagger.train()
        tagger.embedding.tables[0].weight.add_(1.0)  # type: ignore[operator]
        assert not torch.allclose(tagger.eval().encode(batch), first, atol=1e-3)
    monkeypatch.setattr(features, "_MAX_TOKENS", 2)
    (before,) = tagger.spans(batch)
    tagger.feature_hasher.clear_if_large()
    tagger.feature_hasher.token_ids(["other"])  # which has the number of "a" now
    (again,) = tagger.spans(batch_of(tagged(tagger, ["a", " b", "c"])))
    assert again.spans == before.spans
    assert again.score == pytest.approx(before.score, abs=1e-4)


def test_words_beyond_the_cache_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    tagger = random_tagger()
    batch = batch_of(tagged(tagger, list("abcdef")))
    with torch.no_grad():
        expected = tagger.encode(batch)
        monkeypatch.setattr("annoseq.models.tagger._MAX_CACHED", 2)
        tagger.train().eval()
        assert torch.allclose(tagger.encode(batch), expected, atol=1e-6)


@pytest.mark.parametrize("before", [1, 3, 40])
def test_a_token_does_not_depend_on_those_that_were_new_with_it(before: int) -> None:
    tokens = [f"w{number}" for number in range(120)]
    whole, parts = random_tagger().eval(), random_tagger().eval()
    with torch.no_grad():
        expected = whole.encode(batch_of(tagged(whole, tokens)))
        for start in range(0, 120, before):
            parts.encode(batch_of(tagged(parts, tokens[start : start + before])))
        again = parts.encode(batch_of(tagged(parts, tokens)))
    assert torch.equal(again, expected)
