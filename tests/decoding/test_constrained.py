from __future__ import annotations

import random
from dataclasses import fields, replace
from math import exp
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from annoseq.config import DataConfig
from annoseq.decoding.constrained import (
    CLOSE,
    COPY,
    OPEN,
    ConstrainedStepper,
    EditVocabulary,
    spans_from_edits,
)
from annoseq.decoding.logits_processors import decode_hypotheses, select_most_likely
from annoseq.tokenization.batching import collate
from annoseq.tokenization.bioes import TokenSpan
from annoseq.tokenization.length_stats import LengthStats
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqEncoding, Seq2SeqTokenizer
from annoseq.tokenization.vocabulary import BEGIN, END, UNKNOWN
from tests.contracts.steppers import BLANK, EDITS, PIECE, Table
from tests.tiny import SIZE, STILL, tiny_network
from tests.tokenization.tables import LETTERS, parsed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.tokenization.dataset import Dataset

A, B = OPEN, OPEN + 1
"""Open the first label, which may lie in itself, and the second, which may not."""
WORD, OTHER = 8, 9
NETWORK = tiny_network(STILL, seed=1).eval()

THOROUGH = settings(max_examples=150, deadline=None)
_sources = st.lists(st.sampled_from([WORD, OTHER, BLANK, PIECE, UNKNOWN, 5]), max_size=7)
_edits = st.builds(
    lambda self_nesting, depth: replace(
        EDITS, nests_in_itself=torch.tensor(self_nesting), depth=depth
    ),
    st.tuples(st.booleans(), st.booleans()),
    st.integers(0, 3),
)


def without_labels(depth: int = 0) -> EditVocabulary:
    nothing = torch.zeros(0, dtype=torch.long)
    return replace(
        EDITS, opening=nothing, closing=nothing, nests_in_itself=nothing.bool(), depth=depth
    )


def scores_after(
    edits: Sequence[int], source: Sequence[int], *, tables: EditVocabulary = EDITS
) -> dict[int, float]:
    """Return the log-probability of every edit that is possible after `edits`."""
    constrained = ConstrainedStepper(NETWORK, tables)
    with torch.inference_mode():
        state = constrained.start(collate([0], [Seq2SeqEncoding(list(source), [])]))
        for last in [BEGIN, *edits]:
            state = constrained.step(state, torch.tensor([last]))
        scores = constrained.scores(state)
    assert scores.shape == (1, OPEN + len(tables.opening))
    return {edit: one for edit, one in enumerate(scores[0].tolist()) if one > -torch.inf}


def possible(
    edits: Sequence[int], source: Sequence[int], *, tables: EditVocabulary = EDITS
) -> set[int]:
    return set(scores_after(edits, source, tables=tables))


@pytest.mark.parametrize(
    ("source", "edits", "expected"),
    [
        ([], [], {END}),
        ([WORD], [], {COPY, A, B}),
        ([WORD], [COPY], {END}),
        # No span is empty, and the tag must close.
        ([WORD], [A], {COPY, A, B}),
        ([WORD], [A, COPY], {CLOSE}),
        ([WORD], [A, COPY, CLOSE], {END}),
        ([WORD, WORD], [A, COPY], {COPY, CLOSE, A, B}),
        ([WORD, WORD], [A, COPY, CLOSE], {COPY, A, B}),
        # Two deep at the most; one that has closed makes room.
        ([WORD], [A, B], {COPY}),
        ([WORD], [A, B, COPY], {CLOSE}),
        ([WORD], [A, B, COPY, CLOSE], {CLOSE}),
        ([WORD, WORD], [A, B, COPY, CLOSE], {COPY, CLOSE, A, B}),
        # The second label never lies in itself, however deep.
        ([WORD], [B], {COPY, A}),
        ([WORD, WORD], [B, COPY, CLOSE], {COPY, A, B}),
        # White space lies at no edge of a span.
        ([BLANK, WORD], [], {COPY}),
        ([BLANK], [], {COPY}),
        ([WORD, BLANK, WORD], [A, COPY], {COPY, CLOSE}),
        ([WORD, BLANK, WORD], [A, COPY, COPY], {COPY, A, B}),
        ([WORD, BLANK, BLANK, WORD], [A, COPY, COPY], {COPY}),
        ([WORD, BLANK, BLANK], [A, COPY], {CLOSE}),
        ([WORD, BLANK, BLANK], [A, COPY, CLOSE, COPY], {COPY}),
        # A word in pieces is whole, but for what is before the window.
        ([WORD, PIECE, WORD], [COPY], {COPY}),
        ([WORD, PIECE, WORD], [A, COPY], {COPY}),
        ([WORD, PIECE, WORD], [A, COPY, COPY], {COPY, CLOSE, A, B}),
        ([WORD, PIECE], [A, B, COPY], {COPY}),
        ([WORD, PIECE], [A, B, COPY, COPY], {CLOSE}),
        ([PIECE, WORD], [], {COPY}),
        ([PIECE, WORD], [COPY], {COPY, A, B}),
        ([WORD, BLANK, PIECE], [A, COPY], {COPY, CLOSE}),
        ([WORD, BLANK, PIECE], [A, COPY, COPY], {COPY}),
    ],
)
def test_allowed_edits(source: list[int], edits: list[int], expected: set[int]) -> None:
    assert possible(edits, source) == expected


@pytest.mark.parametrize(
    "tables", [without_labels(), without_labels(depth=2), replace(EDITS, depth=0)]
)
def test_without_labels_or_depth_all_tokens_are_copied(tables: EditVocabulary) -> None:
    source = [WORD, BLANK, UNKNOWN]
    for copied in range(3):
        assert possible([COPY] * copied, source, tables=tables) == {COPY}
    assert scores_after([COPY] * 3, source, tables=tables) == {END: 0.0}


def full_scores(written: Sequence[int], source: Sequence[int]) -> list[float]:
    """Return the network's log-probabilities of all tokens after some."""
    state = NETWORK.start(collate([0], [Seq2SeqEncoding(list(source), [])]))
    for last in [BEGIN, *written]:
        state = NETWORK.step(state, torch.tensor([last]))
    found: list[float] = NETWORK.scores(state)[0].tolist()
    return found


@torch.inference_mode()
@pytest.mark.parametrize(
    ("source", "edits", "written", "columns"),
    [
        # The tags of the two labels are the tokens 4 and 5, and 6 and 7.
        ([WORD, OTHER], [], [], {COPY: WORD, A: 4, B: 6}),
        ([WORD, OTHER], [COPY, B], [WORD, 6], {COPY: OTHER, A: 4}),
        ([WORD, OTHER], [B, COPY], [6, WORD], {COPY: OTHER, CLOSE: 7, A: 4}),
        ([WORD, OTHER], [B, A, COPY], [6, 4, WORD], {COPY: OTHER, CLOSE: 5}),
        (
            [WORD, OTHER],
            [B, A, COPY, CLOSE],
            [6, 4, WORD, 5],
            {COPY: OTHER, CLOSE: 7, A: 4},
        ),
        # What the target vocabulary lacks is scored, and fed back, as the unknown symbol.
        ([5, UNKNOWN], [], [], {COPY: UNKNOWN, A: 4, B: 6}),
        ([5, UNKNOWN], [COPY], [UNKNOWN], {COPY: UNKNOWN, A: 4, B: 6}),
        ([WORD], [COPY], [WORD], {END: END}),
    ],
)
def test_scores_are_renormalized_over_allowed_edits(
    source: list[int], edits: list[int], written: list[int], columns: dict[int, int]
) -> None:
    full = full_scores(written, source)
    total = sum(exp(full[column]) for column in columns.values())
    found = {edit: exp(score) for edit, score in scores_after(edits, source).items()}
    assert found == pytest.approx(
        {edit: exp(full[column]) / total for edit, column in columns.items()}, abs=1e-6
    )


def test_scores_of_columns_are_those_of_the_edits() -> None:
    constrained = ConstrainedStepper(NETWORK, EDITS)
    with torch.inference_mode():
        state = constrained.start(
            collate([0, 1], [Seq2SeqEncoding([WORD], []), Seq2SeqEncoding([BLANK], [])])
        )
        state = constrained.step(state, torch.full((2,), BEGIN))
        columns = torch.tensor([[COPY, END], [A, COPY]])
        scores = constrained.scores(state)
        assert torch.equal(constrained.scores(state, columns), scores.gather(1, columns))


def nesting(edits: Sequence[int]) -> tuple[int, set[int]]:
    """Return the depth of the tags, and the labels of which one lies in itself."""
    opened: list[int] = []
    deepest = 0
    nested: set[int] = set()
    for edit in edits:
        if edit == CLOSE:
            opened.pop()
        elif edit >= OPEN:
            nested |= {edit - OPEN} & {other - OPEN for other in opened}
            opened.append(edit)
            deepest = max(deepest, len(opened))
    assert opened == []
    return deepest, nested


@THOROUGH
@given(source=_sources, tables=_edits, seed=st.integers(0, 10**6))
def test_a_random_walk_never_gets_stuck_and_keeps_the_constraints(
    source: list[int], tables: EditVocabulary, seed: int
) -> None:
    constrained = ConstrainedStepper(Table(SIZE, seed=seed), tables)
    generator = random.Random(seed)
    batch = collate([0], [Seq2SeqEncoding(source, [])])
    state = constrained.start(batch)
    edits: list[int] = []
    while END not in edits:
        state = constrained.step(state, torch.tensor([edits[-1] if edits else BEGIN]))
        scores = constrained.scores(state)
        assert float(scores.exp().sum()) == pytest.approx(1)
        edits.append(generator.choice((scores[0] > -torch.inf).nonzero().squeeze(1).tolist()))
    assert len(edits) <= int(tables.limits(batch.source_lengths))
    assert edits.count(COPY) == len(source)
    deepest, nested = nesting(edits[:-1])
    assert deepest <= tables.depth
    assert all(tables.nests_in_itself[label] for label in nested)
    for first, last, _, _ in spans_from_edits(tuple(edits[:-1]), (0.0,) * len(edits)):
        assert 0 <= first < last <= len(source)
        assert BLANK not in {source[first], source[last - 1]}
        assert PIECE not in {source[first], *source[last : last + 1]}


@THOROUGH
@given(tables=_edits, length=st.integers(0, 5))
def test_the_limit_is_reached_and_not_passed(tables: EditVocabulary, length: int) -> None:
    """A writer who loves tags opens and closes as many as can be around every token."""

    class Eager(Table):
        def scores(self, state: object, columns: Tensor | None = None) -> Tensor:
            assert columns is not None
            is_tag = (columns >= 4) & (columns <= 7)
            return torch.where(is_tag, 9.0, -9.0)

    tables = replace(tables, nests_in_itself=torch.tensor([True, True]))
    batch = collate([0], [Seq2SeqEncoding([WORD] * length, [])])
    limits = tables.limits(batch.source_lengths)
    (found,) = decode_hypotheses(
        ConstrainedStepper(Eager(), tables), batch, limits=limits, selector=select_most_likely
    )
    assert found.has_ended
    assert len(found.log_probs) == int(limits)


def test_the_edit_vocabulary_is_built_from_the_tokenizer(dataset: Dataset) -> None:
    tokenizer = dataset.tokenizer
    length_stats = LengthStats(depth=3, self_nested=tokenizer.labels[:1])
    edits = EditVocabulary.of(
        Seq2SeqTokenizer(
            "annotate", tokenizer.source, tokenizer.target, tokenizer.labels, length_stats
        )
    )
    for id_, token in enumerate(tokenizer.source.tokens):
        assert edits.is_blank[id_] == token.isspace()
        assert not edits.continues[id_]
        assert edits.copy_of[id_] == tokenizer.target.ids.get(token, UNKNOWN)
    tags = [
        (tokenizer.target.tokens[one], tokenizer.target.tokens[other])
        for one, other in zip(edits.opening.tolist(), edits.closing.tolist(), strict=True)
    ]
    assert tags == [("{{" + label + "}}", "{{/" + label + "}}") for label in tokenizer.labels]
    assert edits.nests_in_itself.tolist() == [True] + [False] * (len(tokenizer.labels) - 1)
    assert edits.depth == 3
    copied = edits.to(torch.device("cpu"))
    for field in fields(edits):
        ours, theirs = getattr(edits, field.name), getattr(copied, field.name)
        assert torch.equal(ours, theirs) if isinstance(ours, torch.Tensor) else ours == theirs


def test_continuing_subwords_are_recognized() -> None:
    config = DataConfig(tokens="bpe", min_frequency=2, bpe_vocab=512)
    tokenizer = Seq2SeqTokenizer.fit(parsed(LETTERS), task="annotate", config=config)
    edits = EditVocabulary.of(tokenizer)
    assert torch.equal(edits.copy_of, torch.arange(len(tokenizer.source)))
    ids = tokenizer.source.tokens_to_ids(["\x1f\n", "\x1f ", " ", "\x1f", "\x1f.", "<0x41>", "e"])
    assert UNKNOWN not in ids
    assert edits.is_blank[ids].tolist() == [True, True, False, False, False, False, False]
    assert edits.continues[ids].tolist() == [False, False, False, False, False, True, True]


LOGS = tuple(-(2.0**place) for place in range(12))


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ([], []),
        ([COPY, COPY], []),
        ([A, COPY, CLOSE], [TokenSpan(0, 1, 0, -7.0)]),
        (
            [COPY, B, COPY, COPY, CLOSE, COPY, A, COPY, CLOSE],
            [TokenSpan(1, 3, 1, -30.0), TokenSpan(4, 5, 0, -448.0)],
        ),
        # An outer span's score holds those of the inner ones.
        ([A, B, COPY, CLOSE, COPY, CLOSE], [TokenSpan(0, 2, 0, -63.0), TokenSpan(0, 1, 1, -14.0)]),
    ],
)
def test_spans_from_edits(edits: list[int], expected: list[TokenSpan]) -> None:
    assert spans_from_edits(tuple(edits), LOGS) == expected
