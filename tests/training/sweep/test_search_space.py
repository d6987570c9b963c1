from __future__ import annotations

import pytest

from annoseq.config import GruConfig
from annoseq.errors import OptionError
from annoseq.training.sweep.search_space import (
    CategoricalDimension,
    RangeDimension,
    SearchSpace,
    TrialSettings,
    parse_value,
)


def test_the_notebooks_sweep_is_eighteen_runs() -> None:
    given = {"epochs": "5,10,20", "max_lr": "1e-3,5e-3,1e-2", "batch_size": "64,128"}
    grid = SearchSpace.parse(given, ranges=False).grid()
    assert len(grid) == 18
    assert grid[0] == {"epochs": 5, "max_lr": 1e-3, "batch_size": 64}
    assert grid[1] == {"epochs": 5, "max_lr": 1e-3, "batch_size": 128}
    assert grid[-1] == {"epochs": 20, "max_lr": 1e-2, "batch_size": 128}
    assert len({tuple(values.items()) for values in grid}) == 18


def test_without_lists_there_is_one_run() -> None:
    assert SearchSpace.parse({}, ranges=False).grid() == [{}]
    space = SearchSpace.parse({"epochs": "3"}, ranges=False)
    assert (space.grid(), space.varied) == ([{"epochs": 3}], [])


def test_the_options_of_a_network_vary_in_its_own_runs_only() -> None:
    given = {"gru.hidden": "8,16", "model": "gru,attention", "attention.dropout": "0.1"}
    space = SearchSpace.parse(given, ranges=False)
    assert space.grid() == [
        {"model": "gru", "gru.hidden": 8},
        {"model": "gru", "gru.hidden": 16},
        {"model": "attention", "attention.dropout": 0.1},
    ]
    assert space.varied == ["gru.hidden", "model"]


def test_values_take_the_place_of_defaults() -> None:
    settings = TrialSettings.from_values({"epochs": 3, "gru.hidden": 8, "batch_size": 2})
    assert settings.network.resolve_auto(task="annotate").selected == GruConfig(hidden=8)
    assert (settings.training.epochs, settings.training.max_lr) == (3, "auto")
    assert (settings.batching.batch_size, settings.batching.batch_tokens) == (2, 4096)


def test_values_have_the_types_of_their_settings() -> None:
    assert parse_value("epochs", "5") == 5
    assert isinstance(parse_value("epochs", "5"), int)
    assert isinstance(parse_value("max_lr", "1"), float)
    assert parse_value("teacher_forcing", "0.5") == 0.5
    assert parse_value("compile", "True") is True
    assert parse_value("teacher_forcing", "falling") == "falling"


def test_a_range_is_drawn_in_the_logarithm_where_it_is_wide() -> None:
    dimensions = SearchSpace.parse(
        {"max_lr": "1e-4:1e-2", "epochs": "5:20", "gru.output_dropout": "0:0.5"}, ranges=True
    ).dimensions
    assert dimensions == {
        "max_lr": RangeDimension(1e-4, 1e-2),
        "epochs": RangeDimension(5, 20),
        "gru.output_dropout": RangeDimension(0.0, 0.5),
    }
    wide = [
        dimension.is_logarithmic
        for dimension in dimensions.values()
        if isinstance(dimension, RangeDimension)
    ]
    assert wide == [True, False, False]
    assert [str(dimension) for dimension in dimensions.values()] == [
        "0.0001:0.01",
        "5:20",
        "0.0:0.5",
    ]
    assert str(CategoricalDimension((5, 10))) == "5,10"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"epochs": ""},
            "--epochs: found '', in which a value is missing. "
            "Give values with commas between them.",
        ),
        (
            {"epochs": "5,,10"},
            "--epochs: found '5,,10', in which a value is missing. "
            "Give values with commas between them.",
        ),
        ({"epochs": "5,0"}, "--epochs: found '0'. Give a number above 0, or 'auto'."),
        ({"max_lr": "1e-3,inf"}, "--max-lr: found 'inf'. Give a finite number, or 'auto'."),
        (
            {"model": "gru,nope"},
            "--model: found 'nope'. Give 'auto', 'tagger', 'gru', 'attention' or 'transformer'.",
        ),
        ({"gru.hidden": "-8"}, "--gru.hidden: found '-8'. Give a number above 0."),
        ({"seed": "9" * 5000}, f"--seed: found '{'9' * 5000}'. Give another value."),
        ({"seed": "1,1"}, "--seed: found '1,1', which has a value twice. Give it once."),
        (
            {"max_lr": "1e-4:1e-2"},
            "--max-lr 0.0001:0.01 is a range, which only --search draws from. "
            "Add --search, or list the values: --max-lr 0.0001,0.01.",
        ),
        (
            {"model": "gru", "attention.hidden": "8,16"},
            "--attention.hidden belongs to --model attention, and the model is gru.",
        ),
        ({"tagger.buckets": "1000"}, "--tagger.buckets: found '1000'. Give a multiple of 1024."),
        ({"nope": "1"}, "--nope is not a setting of a run."),
    ],
)
def test_what_is_no_list_of_values_is_refused(given: dict[str, str], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        SearchSpace.parse(given, ranges=False)
    assert str(caught.value) == message


@pytest.mark.parametrize("text", ["1e-2:1e-4", "1e-3:1e-3"])
def test_a_range_starts_with_the_smaller_end(text: str) -> None:
    with pytest.raises(OptionError) as caught:
        SearchSpace.parse({"max_lr": text}, ranges=True)
    assert str(caught.value) == (
        f"--max-lr: found '{text}'. Give a range of numbers, the smaller one first."
    )


def test_whole_numbers_are_drawn_in_the_steps_of_their_setting() -> None:
    dimensions = SearchSpace.parse(
        {"tagger.hidden": "8:64", "epochs": "2:4"}, ranges=True
    ).dimensions
    assert dimensions == {
        "tagger.hidden": RangeDimension(8, 64, step=8),
        "epochs": RangeDimension(2, 4),
    }


def test_a_search_is_refused_only_if_no_settings_are_found() -> None:
    given = {"model": "transformer", "transformer.heads": "4", "transformer.embedding": "30:100"}
    found = SearchSpace.parse(given, ranges=True).first_valid()
    assert [one.network.transformer.embedding % 8 for one in found] == [0]
    given = {"model": "transformer", "transformer.dropout": "0:0.5", "transformer.embedding": "30"}
    with pytest.raises(OptionError, match="an embedding of 30 cannot be shared out among 4 heads"):
        SearchSpace.parse(given, ranges=True)


def test_both_ends_of_a_range_must_be_values_of_the_setting() -> None:
    with pytest.raises(OptionError, match=r"--epochs: found '0'\. Give a number above 0, or"):
        SearchSpace.parse({"epochs": "0:5"}, ranges=True)
    with pytest.raises(OptionError, match=r"--model: found 'gru:attention'\. Give a range of num"):
        SearchSpace.parse({"model": "gru:attention"}, ranges=True)


def test_a_search_is_refused_where_no_values_go_together() -> None:
    with pytest.raises(OptionError) as caught:
        SearchSpace.parse({"model": "gru", "attention.hidden": "8:16"}, ranges=True)
    assert str(caught.value) == (
        "--attention.hidden belongs to --model attention, and the model is gru."
    )
    given = {"model": "transformer", "transformer.embedding": "10,16", "transformer.heads": "4"}
    assert SearchSpace.parse(given, ranges=True).varied == ["transformer.embedding"]
    with pytest.raises(OptionError, match="an embedding of 10 cannot be shared out among 4 heads"):
        SearchSpace.parse(given, ranges=False)
