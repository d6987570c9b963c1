from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from benchmarks.stage_times import STAGES, StageTimer, stage_seconds
from tests.fidelity import random_annotator

if TYPE_CHECKING:
    import pytest


def test_the_time_of_a_function_excludes_that_of_others_it_calls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ticks = count()
    monkeypatch.setattr("benchmarks.stage_times.time.process_time", lambda: float(next(ticks)))
    timer = StageTimer()
    inner = timer.wrap("inner", lambda: None)
    timer.wrap("outer", lambda: [inner() for _ in range(3)])()
    assert timer.seconds == {"inner": 3.0, "outer": 4.0}


def test_every_stage_of_an_annotation_is_timed() -> None:
    texts = ["Dr. Ames, 31y, by chronograph"] * 20  # with a token that no other test has
    seconds = stage_seconds(random_annotator("flat tagger"), texts)
    assert list(seconds) == list(STAGES)
    assert all(seconds.values())
