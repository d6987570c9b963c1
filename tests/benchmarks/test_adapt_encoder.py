"""Masked language modelling of tiny encoders."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel

from benchmarks import adapt_encoder
from tests.encoders import encoder_folder

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")


def write_texts(path: Path, *, rows: int) -> Path:
    """Write a table of texts."""
    lines = [f"Seen by Dr. Ames at {hour} h." for hour in range(rows)]
    path.write_text("\n".join(["orig_text", *lines]) + "\n")
    return path


@pytest.mark.parametrize("family", ["bert", "mpnet"])
def test_an_encoder_learns_from_texts(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapt_encoder, "_BLOCK", 16)
    source, folder = encoder_folder(family), tmp_path / "adapted"
    texts = write_texts(tmp_path / "texts.csv", rows=40)
    options = [str(source), "--texts", str(texts), "--out", str(folder)]
    assert adapt_encoder.main([*options, "--device", "cpu", "--rows-per-batch", "4"]) == 0
    before, after = (load_file(one / "model.safetensors") for one in (source, folder))
    changed = [name for name, weight in after.items() if not torch.equal(weight, before[name])]
    assert any("word_embeddings" in name for name in changed)
    assert AutoModel.from_pretrained(folder).config.model_type == family
    assert (folder / "tokenizer.json").read_bytes() == (source / "tokenizer.json").read_bytes()


def test_too_little_text_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = write_texts(tmp_path / "texts.csv", rows=1)
    options = [str(encoder_folder("bert")), "--texts", str(texts)]
    assert adapt_encoder.main([*options, "--out", str(tmp_path / "out"), "--device", "cpu"]) == 2
    assert "the texts fill no block of 256 sub-words. Give more." in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
