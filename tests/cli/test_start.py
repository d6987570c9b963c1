"""Modules that commands import: a user waits for them before the first result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.imports import modules_of
from tests.models.tiny import TINY_TAGGER
from tests.tiny import tiny_learner

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.tokenization.dataset import Dataset

LIBRARIES = {
    *("pandas", "pyarrow", "matplotlib", "spacy", "rich", "regex", "optuna", "accelerate"),
    *("gensim", "faker", "jinja2", "torch._dynamo", "torch._inductor", "torch.onnx"),
}
ROOMS = {"training", "check", "deid", "reporting"}
NAMES = "annoseq.formats.registry"
"""The one module of its room that the options need."""


def test_a_tagger_annotates_with_no_module_that_it_does_not_need(
    dataset: Dataset, tmp_path: Path
) -> None:
    model, texts = tmp_path / "model", tmp_path / "one.csv"
    tiny_learner(dataset, model=TINY_TAGGER).save(model)
    texts.write_text("orig_text\nDr. Ames was here.\n")
    words = ["annoseq", "annotate", str(model), str(texts)]
    imported = modules_of(f"import sys; sys.argv = {words}; from annoseq.cli import main; main()")
    assert {"torch", "annoseq.models.tagger"} <= imported
    assert LIBRARIES & imported == set()
    ours = {name for name in imported if name.startswith("annoseq.")}
    assert {name for name in ours if name.split(".")[1] in ROOMS} == set()
    assert {name for name in ours if name.startswith("annoseq.formats.")} == {NAMES}


def test_a_table_is_checked_without_torch(table: Path) -> None:
    words = ["annoseq", "check", str(table)]
    imported = modules_of(f"import sys; sys.argv = {words}; from annoseq.cli import main; main()")
    assert "annoseq.check.checks" in imported
    assert "torch" not in imported
