"""Properties of every search over every stepper."""

from __future__ import annotations

from collections import Counter
from math import exp, log, sqrt
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from annoseq.config import SearchConfig
from annoseq.decoding.beam_search import beam_search
from annoseq.decoding.generate import generate
from annoseq.tokenization.batching import Batch
from annoseq.tokenization.vocabulary import BEGIN, END, PAD
from tests.contracts.steppers import (
    CASES,
    NETWORKS,
    ROWS,
    Case,
    Recording,
    Table,
    as_ids,
    best_first,
    every_output,
    scores_along,
    shown,
)
from tests.tiny import SIZE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.decoding.logits_processors import Hypothesis
    from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqEncoding

THOROUGH = settings(max_examples=40, deadline=None)
FALSE_ALARM = 1e-6
GREEDY = SearchConfig()
SAMPLE = SearchConfig(search="sample", samples=3, seed=5)
SEARCHES = {
    "greedy": GREEDY,
    "beam": SearchConfig(search="beam", beam_size=4, n_best=3),
    "sample": SAMPLE,
    "top-k": SearchConfig(search="top-k", k=3, temperature=1.5, samples=2),
    "nucleus": SearchConfig(search="nucleus", p=0.7, samples=2),
}

every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
every_search = pytest.mark.parametrize("config", SEARCHES.values(), ids=SEARCHES)


def run(
    case: Case, config: SearchConfig, rows: Sequence[Seq2SeqEncoding] = ROWS, *, wider: int = 0
) -> list[list[Hypothesis]]:
    """Search with names that belong to the rows, wherever they stand."""
    batch, limits = case.batch(rows, wider=wider)
    names = [str(row.source) for row in rows]
    return generate(case.stepper, batch, config, limits=limits, names=names)


@every_case
@every_search
def test_every_row_has_the_requested_number_of_outputs(case: Case, config: SearchConfig) -> None:
    rows = [row for row in ROWS if row.source]  # there is but one way to copy nothing
    expected = config.n_best if config.search == "beam" else config.samples
    assert [len(some) for some in run(case, config, rows)] == [expected] * len(rows)


@every_case
def test_a_beam_of_one_is_greedy(case: Case) -> None:
    alone = run(case, SearchConfig(search="beam", beam_size=1))
    greedy = run(case, GREEDY)
    assert as_ids(alone) == as_ids(greedy)
    for (one,), (other,) in zip(alone, greedy, strict=True):
        assert one.log_probs == pytest.approx(other.log_probs, abs=1e-6)
        assert one.has_ended is other.has_ended


@every_case
@every_search
def test_neither_the_order_nor_the_size_of_a_batch_nor_padding_matter(
    case: Case, config: SearchConfig
) -> None:
    """So a seed repeats, whatever the batch size."""
    found = run(case, config)
    alone = [run(case, config, [row])[0] for row in ROWS]
    backwards = run(case, config, ROWS[::-1])[::-1]
    wider = run(case, config, wider=4)
    for others in (alone, backwards, wider):
        assert as_ids(others) == as_ids(found)
        for some, same in zip(others, found, strict=True):
            for one, other in zip(some, same, strict=True):
                assert one.log_probs == pytest.approx(other.log_probs, abs=1e-5)


@every_case
def test_another_seed_gives_other_samples(case: Case) -> None:
    again, other = run(case, SAMPLE), run(case, SAMPLE.model_copy(update={"seed": 6}))
    assert run(case, SAMPLE) == again != other
    assert len({one.ids for one in again[0]}) > 1


@every_case
@pytest.mark.parametrize("temperature", [1e-5, 1e-30, 1e-300])
def test_sampling_at_low_temperature_is_greedy(case: Case, temperature: float) -> None:
    cold = SearchConfig(search="sample", temperature=temperature)
    assert as_ids(run(case, cold)) == as_ids(run(case, GREEDY))


@every_case
@pytest.mark.parametrize(
    "config",
    [
        SearchConfig(search="top-k", k=10**6, samples=3, seed=5),
        SearchConfig(search="nucleus", p=1, samples=3, seed=5),
    ],
)
def test_processors_that_mask_nothing_sample_the_same(case: Case, config: SearchConfig) -> None:
    assert run(case, config) == run(case, SAMPLE)


@every_case
@pytest.mark.parametrize(
    "config", [SearchConfig(search="top-k", k=1), SearchConfig(search="nucleus", p=1e-9)]
)
def test_processors_that_keep_one_token_are_greedy(case: Case, config: SearchConfig) -> None:
    assert as_ids(run(case, config)) == as_ids(run(case, GREEDY))


@every_case
def test_samples_have_the_steppers_distribution(case: Case) -> None:
    """By Hoeffding's inequality and a union bound it fails by chance once in a million times."""
    limit, count = 2, 12_000
    row, _ = case.batch(ROWS[:1])
    expected: Counter[tuple[int, ...]] = Counter()
    for ids, score in every_output(case.stepper, row, limit=limit):
        expected[shown(ids)] += exp(score)  # type: ignore[assignment] # counts of probability
    found = generate(
        case.stepper,
        Batch(list(range(count)), row.source.expand(count, -1), row.source_lengths.expand(count)),
        SearchConfig(search="sample"),
        limits=torch.full((count,), limit),
        names=list(map(str, range(count))),
    )
    drawn = Counter(one.ids for (one,) in found)
    assert sum(expected.values()) == pytest.approx(1, abs=1e-5)
    assert drawn.keys() <= expected.keys()
    margin = sqrt(log(2 * len(expected) / FALSE_ALARM) / (2 * count))
    assert {
        ids: drawn[ids] / count
        for ids, share in expected.items()
        if abs(drawn[ids] / count - share) > margin
    } == {}


@every_case
@every_search
def test_a_score_is_the_sum_of_the_steppers_log_probabilities(
    case: Case, config: SearchConfig
) -> None:
    for row, some in zip(ROWS, run(case, config), strict=True):
        batch, (limit,) = case.batch([row])
        for one in some:
            assert one.has_ended or len(one.ids) == limit
            scores = scores_along(case.stepper, batch, one.ids if one.has_ended else one.ids[:-1])
            written = [float(some[id_]) for some, id_ in zip(scores, one.ids, strict=False)]
            ends = [[float(scores[-1][id_])] for id_ in (END, PAD)] if one.has_ended else [[]]
            assert pytest.approx(one.log_probs, abs=1e-5) in [[*written, *end] for end in ends]
            assert one.score == pytest.approx(sum(one.log_probs))


@every_case
@pytest.mark.parametrize(
    "config", [GREEDY, SearchConfig(search="beam", beam_size=1), SearchConfig(search="sample")]
)
def test_finished_rows_leave_the_batch(case: Case, config: SearchConfig) -> None:
    recording = Recording(case.stepper)
    found = run(Case(recording, case.limits), config)
    lengths = [len(one.log_probs) for (one,) in found]
    assert [size for size in recording.sizes if size] == [
        sum(length > step for length in lengths) for step in range(max(lengths))
    ]
    assert len(set(recording.sizes)) > 1


@every_case
@torch.inference_mode()
def test_selecting_after_a_step_is_selecting_before_it(case: Case) -> None:
    stepper = case.stepper
    batch, _ = case.batch(ROWS)
    chosen = torch.tensor([4, 0, 0, 3, 5])
    state = stepper.step(stepper.start(batch), torch.full((len(ROWS),), BEGIN))
    for _ in range(3):
        last = stepper.scores(state).argmax(1)
        after = stepper.select(stepper.step(state, last), chosen)
        before = stepper.step(stepper.select(state, chosen), last[chosen])
        torch.testing.assert_close(stepper.scores(after), stepper.scores(before))
        state = stepper.step(state, last)
        torch.testing.assert_close(stepper.scores(after), stepper.scores(state)[chosen])


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
@torch.inference_mode()
def test_scores_of_columns_are_equal_up_to_a_constant_per_row(network: object) -> None:
    case = next(case for case in CASES.values() if case.stepper is network)
    batch, _ = case.batch(ROWS)
    state = case.stepper.start(batch)
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        state = case.stepper.step(state, torch.randint(SIZE, (len(ROWS),), generator=generator))
        columns = torch.randint(SIZE, (len(ROWS), 7), generator=generator)
        scores = case.stepper.scores(state)
        torch.testing.assert_close(scores.exp().sum(1), torch.ones(len(ROWS)))
        differences = case.stepper.scores(state, columns) - scores.gather(1, columns)
        torch.testing.assert_close(differences, differences[:, :1].expand(-1, 7))


@THOROUGH
@given(
    seed=st.integers(0, 10**6),
    alpha=st.sampled_from([0.0, 0.6, 1.0, 3.0]),
    n_best=st.integers(1, 20),
    spread=st.sampled_from([0.5, 2.0, 6.0]),
)
def test_a_wide_beam_equals_exhaustive_search(
    seed: int, alpha: float, n_best: int, spread: float
) -> None:
    table = Table(seed=seed, spread=spread)
    limits = torch.tensor([4, 3, 1])
    batch, _ = Case(table, lambda _: limits).batch(ROWS[:3])
    found = beam_search(table, batch, limits=limits, beam_size=500, n_best=n_best, alpha=alpha)
    for row, limit, some in zip(ROWS[:3], limits.tolist(), found, strict=True):
        alone, _ = Case(table, lambda _: limits).batch([row])
        everything = best_first(every_output(table, alone, limit=limit), alpha=alpha)[:n_best]
        assert [one.score for one in some] == pytest.approx(
            [score for _, score in everything], abs=1e-4
        )
        assert [one.ids for one in some] == [shown(ids) for ids, _ in everything]


def patient_beam(
    table: Table, row: Seq2SeqEncoding, *, limit: int, beam_size: int, alpha: float
) -> list[tuple[tuple[int, ...], float]]:
    """Beam search over one row, in plain Python, which never stops before the beam is empty."""
    batch, _ = Case(table, lambda lengths: lengths).batch([row])
    source = table.start(batch)
    open_: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
    ended: list[tuple[tuple[int, ...], float]] = []
    while open_:
        longer = []
        for ids, score in open_:
            state = source
            for last in (BEGIN, *ids):
                state = table.step(state, torch.tensor([last]))
            scores = table.scores(state)[0].tolist()
            longer += [((*ids, id_), score + one) for id_, one in enumerate(scores)]
        longer.sort(key=lambda one: -one[1])
        best = longer[: beam_size - len(ended)]
        is_over = [ids[-1] in {END, PAD} or len(ids) == limit for ids, _ in best]
        ended += [one for one, over in zip(best, is_over, strict=True) if over]
        open_ = [one for one, over in zip(best, is_over, strict=True) if not over]
    return best_first(ended, alpha=alpha)


@THOROUGH
@given(
    seed=st.integers(0, 10**6),
    alpha=st.sampled_from([0.0, 0.6, 1.0, 3.0]),
    beam_size=st.integers(1, 7),
    limit=st.integers(1, 9),
    n_best=st.integers(1, 7),
)
@example(seed=184981, alpha=0.6, beam_size=4, limit=5, n_best=1)  # one that cannot win displaces
def test_stopping_early_changes_nothing(
    seed: int, alpha: float, beam_size: int, limit: int, n_best: int
) -> None:
    table, n_best = Table(seed=seed), min(n_best, beam_size)
    recording = Recording(table)
    limits = torch.full((3,), limit)
    batch, _ = Case(table, lambda _: limits).batch(ROWS[:3])
    found = beam_search(
        recording, batch, limits=limits, beam_size=beam_size, n_best=n_best, alpha=alpha
    )
    for row, some in zip(ROWS[:3], found, strict=True):
        expected = patient_beam(table, row, limit=limit, beam_size=beam_size, alpha=alpha)
        assert [one.ids for one in some] == [shown(ids) for ids, _ in expected[:n_best]]
    assert max(recording.sizes) <= 3 * beam_size
