"""The benchmark runs, and its numbers make sense."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from gensim.models.fasttext import load_facebook_model

from annoseq.vectors.lookup import open_vectors
from benchmarks.vectors import Run, main, make_words, results, write_vectors

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e

SMALL = ["--words", "200", "--buckets", "100", "--width", "8", "--vocabulary", "50"]


def test_a_short_run_writes_its_report(tmp_path: Path) -> None:
    out = tmp_path / "report.md"
    assert main([*SMALL, "--out", str(out)]) == 0
    text = out.read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| (\w+) \| [\d.]+ s \| ([\d.]+) s \| ([\d,]+) MiB \|$", text, re.MULTILINE
    )
    assert [name for name, _, _ in rows] == ["annoseq", "gensim"]
    assert all(20 < int(peak.replace(",", "")) < 1_000 for _, _, peak in rows)
    assert "annoseq is within 60 s, 1.5 GB, and 1e-05 of gensim's vectors" in text
    assert "50 words, 10 of them not in the file" in text
    for fact in ("file", "seed: 42", "processor", "versions: torch", "date", "command"):
        assert f"\n- {fact}" in text


def test_the_file_is_one_of_fasttext(tmp_path: Path) -> None:
    path = tmp_path / "v.bin"
    words = make_words(30, seed=1)
    assert len(set(words)) == 30
    write_vectors(path, words, buckets=10, width=4, seed=1)
    model = load_facebook_model(str(path))
    assert (len(model.wv), model.vector_size, model.wv.bucket) == (30, 4, 10)
    assert open_vectors(path).first_words(99) == [word.decode() for word in words]


@pytest.mark.parametrize(
    ("seconds", "peak", "value"), [(61, 10**8, 0), (1, 2 * 10**9, 0), (1, 10**8, 1)]
)
def test_what_does_not_hold_is_seen(seconds: float, peak: int, value: int) -> None:
    zero, other = np.zeros((2, 2), np.float32), np.full((2, 2), value, np.float32)
    text, holds = results(
        Run("annoseq", seconds, 1, peak, zero), Run("gensim", 90, 9, 10**9, other)
    )
    assert "annoseq is NOT within" in text
    assert not holds


def test_a_number_must_be_above_0(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--words", "0"])
    assert stop.value.code == 2
    assert "numbers above 0 were expected" in capsys.readouterr().err
