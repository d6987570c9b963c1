"""Constrained decoding never changes a character, whatever the weights and the text."""

from __future__ import annotations

import os
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.inference.annotator import Annotator
from annoseq.models.gru import Gru
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqTokenizer
from scripts.fuzz_fidelity import fuzz
from tests.fidelity import (
    HARD,
    MODELS,
    SEARCHES,
    annotate,
    hard_texts,
    random_annotator,
    violations,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.inference.annotation import Annotation

every_model = pytest.mark.parametrize("model", MODELS)
every_search = pytest.mark.parametrize("search", SEARCHES)

_characters = st.characters(exclude_categories=["Cs"])
_pieces = st.sampled_from(HARD) | _characters
_texts = st.lists(_pieces, max_size=20).map("".join)
_long_texts = st.builds(
    lambda piece, times, rest: piece * times + rest, _texts, st.integers(1, 30), _texts
)


DEPTHS = {"flat": 1, "nested": 3, "in pieces": 3}
"""Depths of the models whose outputs have spans."""


def check(model: str, search: str, texts: Sequence[str]) -> list[Annotation]:
    """Check the annotations of texts, and return them."""
    found = annotate(model, search, texts)
    assert [one.text for one in found] == list(texts)
    wrong = {text: violations(model, text, one) for text, one in zip(texts, found, strict=True)}
    assert {text: problems for text, problems in wrong.items() if problems} == {}
    return found


@every_model
@every_search
@settings(max_examples=6, deadline=None)
@given(texts=st.lists(_texts | _long_texts, max_size=12))
def test_any_text_is_kept(model: str, search: str, texts: list[str]) -> None:
    check(model, search, texts)


@every_model
@every_search
def test_hard_texts_are_kept(model: str, search: str) -> None:
    """The models do annotate: without spans and windows, these tests would prove little."""
    found = check(model, search, list(hard_texts(300, seed=f"{model} {search}")))
    if model == "without labels":
        return
    assert random_annotator(model).model.tokenizer.length_stats.depth == DEPTHS[model]
    assert sum(len(one.spans or ()) for one in found) > 100
    assert max(one.windows for one in found) > 2
    if SEARCHES[search].n_best > 1 or SEARCHES[search].samples > 1:
        assert any(one.alternatives[0].spans != one.spans for one in found if one.text)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf, 1e38])
@every_search
def test_weights_that_have_overflown_change_nothing(value: float, search: str) -> None:
    """One word whose embedding is spoilt spoils all that comes after it, open tags too."""
    model = random_annotator("nested").model
    network = deepcopy(model.network)
    assert isinstance(network, Gru)
    assert isinstance(model.tokenizer, Seq2SeqTokenizer)
    with torch.no_grad():
        network.target.embedding.weight[model.tokenizer.target.ids[" Ames"]] = value
    texts = ["Dr. Ames, 31y\n", " Ames", "Dr Dr Dr Ames Dr Ames 31 31"]
    found = Annotator(replace(model, network=network)).annotate(texts, search=SEARCHES[search])
    for text, one in zip(texts, found, strict=True):
        assert violations("nested", text, one) == []


@pytest.mark.slow
def test_a_million_hard_texts_are_kept() -> None:
    count = int(os.environ.get("ANNOSEQ_FUZZ_TEXTS", "1_000_000"))
    assert fuzz(count, seed=1, report=print) == (count, 0)
