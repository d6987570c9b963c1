"""The processor's clock, the plan of a run, and the choice of rows."""

from __future__ import annotations

import os
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from annoseq.errors import OptionError
from benchmarks import budget
from benchmarks.budget import (
    ProcessorTimer,
    TrainingPlan,
    cache_folder,
    cores,
    last_core,
    pinned_to_core,
    repeat,
    seconds_per_row,
)
from benchmarks.command import exit_status, make_parser, provenance, read_options
from benchmarks.subsets import draw, draw_disjoint, keep_short, take, target_tokens, word_lengths
from tests.tiny import same_weights, tiny_learner

if TYPE_CHECKING:
    from annoseq.data.pairs import Pairs
    from annoseq.tokenization.dataset import Dataset

pytestmark = pytest.mark.e2e


def work(seconds: float) -> None:
    began = time.process_time()
    while time.process_time() - began < seconds:
        pass


def test_a_stopwatch_counts_work_in_its_blocks_alone() -> None:
    watch = ProcessorTimer()
    for _ in range(2):
        with watch:
            work(0.02)
            time.sleep(0.03)
            with watch.paused():
                work(0.05)
        work(0.05)
    assert 0.04 <= watch.seconds < 0.08


@pytest.mark.parametrize(
    ("possible", "expected"),
    [(370, TrainingPlan(4, 92)), (130, TrainingPlan(1, 100)), (0.1, TrainingPlan(1, 1))],
)
def test_a_plan_keeps_to_the_time(possible: float, expected: TrainingPlan) -> None:
    assert TrainingPlan.fit(100, seconds_per_row=1, seconds=possible) == expected


def test_a_probe_leaves_the_learner_as_it_was(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "PROBE_STEPS", 3)
    learner, other = tiny_learner(dataset), tiny_learner(dataset)
    alone = seconds_per_row(learner, max_lr=1e-3, validates=False)
    assert 0 < alone < 0.1
    assert same_weights(learner.network, other.network)
    assert learner.epochs == 0


@pytest.mark.skipif(not cores(), reason="a process cannot be pinned here")
def test_one_core_for_a_while() -> None:
    before, threads = cores(), torch.get_num_threads()
    with pinned_to_core(last_core()):
        assert cores() == {max(before)}
        assert torch.get_num_threads() == 1
    assert cores() == before
    assert torch.get_num_threads() == threads


def test_epochs_without_end() -> None:
    batches = repeat(lambda epoch: iter([[epoch], [epoch]]))
    assert list(islice(batches, 5)) == [[0], [0], [1], [1], [2]]


def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", os.sep + "cache")
    assert cache_folder("x") == Path(os.sep) / "cache" / "annoseq" / "x"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder("x") == Path.home() / ".cache" / "annoseq" / "x"


def test_short_rows_and_drawn_rows(sample: Pairs, dataset: Dataset) -> None:
    lengths = word_lengths(dataset.train)
    assert lengths == [len(example.source) for example in dataset.encoded_train.encodings]
    most = sorted(lengths)[len(lengths) // 2]
    short = keep_short(dataset, max_tokens=most)
    assert len(short.train) == sum(length <= most for length in lengths)
    assert max(word_lengths(short.train)) == most
    assert short.tokenizer is dataset.tokenizer
    some = take(dataset.train, draw(len(dataset.train), 3, seed=1))
    assert len(some) == 3
    encodings = dataset.tokenizer.encode_examples(some).encodings
    assert target_tokens(encodings) == sum(len(one.target) + 1 for one in encodings)
    assert draw(4, 9, seed=1) == [0, 1, 2, 3]
    assert draw(100, 5, seed=1) == draw(100, 5, seed=1) != draw(100, 5, seed=2)
    evaluated, watched = draw_disjoint(sample, (7, 4), max_tokens=1000, seed=3)
    assert (len(evaluated), len(watched)) == (7, 4)
    assert not {pair.row for pair in evaluated} & {pair.row for pair in watched}


def test_too_few_rows_are_an_error(sample: Pairs, dataset: Dataset) -> None:
    with pytest.raises(OptionError, match=r"0 training and 0 dev rows have up to 0 tokens; 1 and"):
        keep_short(dataset, max_tokens=0)
    with pytest.raises(OptionError, match=r"0 dev rows have 1 to 0 tokens, and 2 are needed\."):
        draw_disjoint(sample, (1, 1), max_tokens=0, seed=1)


def test_a_command_line_must_make_sense(capsys: pytest.CaptureFixture[str]) -> None:
    parser = make_parser("x", "Does nothing.", report=Path("x.md"))
    assert read_options(parser, ["--rows", "3"], above_zero=()).rows == 3
    for given, said in (
        (["--rows", "0"], "--rows 0: a number above 0 was expected"),
        (["--core", "9999"], "--core 9999: one of ["),
    ):
        with pytest.raises(SystemExit) as stop:
            read_options(parser, given, above_zero=())
        assert stop.value.code == 2
        assert said in capsys.readouterr().err


def test_an_error_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise OptionError("that.")

    assert exit_status(fail) == 2
    assert capsys.readouterr().err == "error: that.\n"
    assert exit_status(lambda: None) == 0
    places = ["--results", "/tmp/a", "--core", "0", "--join", "--out=b.md", "--environment", "e"]
    given = provenance("x", ["--minutes", "3", *places, "--data", "a b"])
    assert given["command"] == "`python -m benchmarks.x --minutes 3 --data 'a b'`"
