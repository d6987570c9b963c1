"""Every model is run, or its results are joined."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from annoseq.data.pairs import write_pairs
from annoseq.sample import sample_pairs
from benchmarks import budget, models
from benchmarks.evaluation import FIGURES
from benchmarks.models import MODELS, main
from tests.tiny import TINY_ATTENTION

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the options of a tiny run of two tiny models."""
    for name, recipe in list(MODELS.items()):
        monkeypatch.delitem(MODELS, name)
        if name in {"gru-word", "attention-bpe"}:
            tiny = models.Recipe(recipe.data, TINY_ATTENTION, recipe.max_lr, recipe.batch_size)
            monkeypatch.setitem(MODELS, name, tiny)
    monkeypatch.setattr(budget, "PROBE_STEPS", 3)
    monkeypatch.setattr(models, "WATCHED", 4)
    for seed, name in enumerate(("train.csv", "dev.csv")):
        write_pairs(sample_pairs(40, seed=seed), tmp_path / name, overwrite=False)
    options = {"--data": "", "--results": "results", "--out": "report.md"}
    paths = [part for name, at in options.items() for part in (name, str(tmp_path / at))]
    return ["--minutes", "0.001", "--dev-rows", "5", "--max-dev-tokens", "30", *paths]


def test_attention_is_tried_with_both_kinds_of_tokens() -> None:
    assert list(MODELS) == ["gru-word", "attention-word", "attention-bpe", "transformer-bpe"]
    assert MODELS["attention-word"].network == MODELS["attention-bpe"].network


def test_models_run_alone_are_joined(
    given: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = list(MODELS)
    assert names == ["gru-word", "attention-bpe"]
    assert main([*given, "--only", names[0]]) == 0
    assert not (tmp_path / "report.md").exists()
    assert main([*given, "--join"]) == 2
    assert "there are no results of attention-bpe. Run --only" in capsys.readouterr().err
    assert main([*given, "--only", names[1]]) == 0
    assert main([*given, "--join"]) == 0
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert f"| figure | {' | '.join(names)} |" in text
    assert all(f"\n| {figure} | " in text for figure in FIGURES)
    assert "\n| constrained, texts changed | 0.0% | 0.0% |" in text
    for fact in ("minutes: 0.001", "train rows: of 40", "dev rows: 5 of 40", "BLEU: ", "seed: 42",
                 "training of attention-bpe: ", "processor", "date", "command"):  # fmt: skip
        assert f"\n- {fact}" in text
    assert "processor time of the process" in text
    assert "benchmarks.models --minutes 0.001 --dev-rows 5 --max-dev-tokens 30 --data" in text
    assert "--join" not in text
    results = tmp_path / "results"
    assert (results / "gru-word.model" / "weights.safetensors").exists()
    kept = json.loads((results / "gru-word.json").read_text())
    assert kept["result"]["trained"]["words"] > 0
    kept["shared"]["seed"] = "1"
    (results / "gru-word.json").write_text(json.dumps(kept))
    assert main([*given, "--join"]) == 2
    expected = "gru-word and attention-bpe were made with different seed. Run one"
    assert expected in capsys.readouterr().err


def test_all_run_one_after_the_other(
    given: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(MODELS, "attention-bpe")
    (tmp_path / "results" / "gru-word.model").mkdir(parents=True)  # an older run's
    assert main(given) == 0
    assert "| gru-word |" in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_missing_data_is_said_in_a_line(
    given: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*given, "--data", str(tmp_path / "none")]) == 2
    message = capsys.readouterr().err
    assert "there is no train.csv." in message
    assert message.startswith("error: ")


@pytest.mark.parametrize("name", ["--minutes", "--max-tokens", "--dev-rows", "--max-dev-tokens"])
def test_a_number_must_be_above_0(name: str) -> None:
    with pytest.raises(SystemExit) as stop:
        main([name, "0"])
    assert stop.value.code == 2
