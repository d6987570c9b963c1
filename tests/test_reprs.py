"""The `repr` of public objects in notebooks and logs: one line, without any text of the data."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from annoseq import (
    Annotator,
    Dataset,
    GruConfig,
    Learner,
    Pair,
    Pairs,
    TaggerConfig,
    check_pairs,
    parse,
)
from annoseq.errors import OptionError

SECRET = "Xanthippe"
PAIRS = Pairs(
    [
        Pair(
            f"Dr. {SECRET} of ward {row}",
            f"Dr. {{{{NAME}}}}{SECRET}{{{{/NAME}}}} of ward {row}",
            row,
            SECRET if row < 9 else f"{SECRET}2",
        )
        for row in range(1, 13)
    ],
    name="pairs",
)
SMALL = GruConfig(embedding=8, hidden=8)


def test_every_repr_is_a_line_without_text() -> None:
    dataset = Dataset.from_pairs(PAIRS)
    learner = Learner(dataset, model=SMALL, device="cpu")
    tagger = Learner(dataset, model=TaggerConfig(hidden=8, layers=1), device="cpu")
    learner.fit_one_cycle(1, 1e-3, report=lambda _: None)
    predictions = learner.predictions()
    check = check_pairs(Pairs([*PAIRS, Pair(SECRET, f"{{{{NAME}}}}{SECRET}", 13)], name="pairs"))
    shown = [
        PAIRS,
        PAIRS[0],
        check,
        *check.findings,
        dataset,
        dataset.train[0],
        dataset.tokenizer,
        dataset.one_batch(),
        learner,
        tagger,
        tagger.tokenizer,
        learner.recorder,
        learner.recorder.epochs[0],
        learner.lr_find(steps=3),
        predictions,
        predictions[0],
        PAIRS[:1],
        Pair("x", "y", 1),
        check_pairs(PAIRS[:1]),
    ]
    for value in shown:
        assert "\n" not in repr(value)
        assert not re.search(r"\b1 [a-z ]*[a-z]s\b", repr(value)), repr(value)
        assert SECRET not in repr(value)
        assert len(repr(value)) < 300


def test_models_and_annotations_are_a_line_too(tmp_path: object) -> None:
    learner = Learner(Dataset.from_pairs(PAIRS), model=SMALL, device="cpu")
    learner.save(f"{tmp_path}/model")
    annotator = Annotator.load(f"{tmp_path}/model", device="cpu")
    for value in (annotator, annotator.model, annotator.annotate(SECRET)):
        assert "\n" not in repr(value)
        assert SECRET not in repr(value)


def test_a_notebook_shows_the_counts_of_a_dataset() -> None:
    html = Dataset.from_pairs(PAIRS)._repr_html_()
    assert "<tr><th>rows</th><td>" in html
    assert "<tr><th>NAME</th><td>" in html
    assert SECRET not in html


def test_a_notebook_shows_the_plot_of_a_range_test() -> None:
    result = Learner(Dataset.from_pairs(PAIRS), model=SMALL).lr_find(steps=3)
    assert result._repr_png_().startswith(b"\x89PNG")


def test_models_and_devices_are_named_by_strings() -> None:
    dataset = Dataset.from_pairs(PAIRS)
    learner = Learner(dataset, model="gru", device="cpu")
    assert (learner.model_config.model, str(learner.compute.device)) == ("gru", "cpu")
    assert Learner(dataset, model="tagger").model_config.model == "tagger"


def test_wrong_arguments_are_named() -> None:
    dataset = Dataset.from_pairs(PAIRS)
    with pytest.raises(OptionError) as caught:
        Learner(PAIRS)  # type: ignore[arg-type]
    assert str(caught.value) == (
        "found a Pairs where a Dataset was expected. Give Dataset.from_pairs(pairs)."
    )
    with pytest.raises(OptionError, match="found a DataFrame where a Dataset was expected"):
        Learner(pd.DataFrame())  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="found 'lstm' where a model was expected"):
        Learner(dataset, model="lstm")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="found a int where a model was expected"):
        Learner(dataset, model=3)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="found the device 'gpu'"):
        Learner(dataset, device="gpu")
    with pytest.raises(OptionError, match="training: found a dict where a TrainingConfig was"):
        Learner(dataset, training={"epochs": 3})  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="found a list where pairs were expected"):
        Dataset.from_pairs(list(PAIRS))  # type: ignore[arg-type]


def test_parsed_spans_are_shown_whole() -> None:
    _, spans = parse("{{NAME}}Ames{{/NAME}}")
    assert repr(spans) == "[Span(start=0, end=4, label='NAME')]"
