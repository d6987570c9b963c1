"""Vectors trained on the pairs' own text."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from gensim.models.fasttext import load_facebook_model
from pydantic import ValidationError

from annoseq.data.pairs import Pair
from annoseq.errors import OptionError, OutputError, VectorsError
from annoseq.vectors.lookup import open_vectors
from annoseq.vectors.train_fasttext import FastTextConfig, train_fasttext, training_sentences

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.data.pairs import Pairs

SMALL = FastTextConfig(width=8, epochs=2, buckets=100)
PAIR = Pair("Dr. Ames, 31yo\n", "Dr. {{NAME}}Ames{{/NAME}}, 31yo\n", row=1)


def test_training_words_are_the_lookup_words_of_tokens() -> None:
    assert list(training_sentences([PAIR], task="annotate")) == [
        ["Dr", ".", "Ames", ",", "3", "1", "yo"]
    ]


def test_translations_give_the_words_of_both_sides_without_tags() -> None:
    words = ["Dr", ".", "Ames", ",", "3", "1", "yo"]
    assert list(training_sentences([PAIR], task="translate")) == [words, words]


def test_long_texts_are_split_and_empty_ones_skipped() -> None:
    long = Pair("a b " * 12_000, "", row=1)
    pieces = list(training_sentences([long], task="translate"))
    assert [len(piece) for piece in pieces] == [10_000, 10_000, 4_000]


@pytest.mark.parametrize("algorithm", ["skipgram", "cbow"])
def test_gensim_reads_the_written_file(algorithm: str, sample: Pairs, tmp_path: Path) -> None:
    path = tmp_path / "v.bin"
    config = SMALL.model_copy(update={"algorithm": algorithm})
    words = train_fasttext(sample, path, task="annotate", config=config)
    model = load_facebook_model(str(path))
    assert len(model.wv) == words > 50
    assert (model.sg, model.vector_size, model.wv.bucket) == (algorithm == "skipgram", 8, 100)
    ours = open_vectors(path).look_up([*model.wv.index_to_key, "unseen"])
    theirs = np.array([model.wv[word] for word in [*model.wv.index_to_key, "unseen"]])
    np.testing.assert_allclose(ours.matrix, theirs, rtol=1e-5, atol=1e-7)
    assert ours.origins == ["seen"] * words + ["composed"]


def test_the_same_seed_gives_the_same_file(sample: Pairs, tmp_path: Path) -> None:
    contents = []
    for number, seed in enumerate([1, 1, 2]):
        path = tmp_path / f"{number}.bin"
        config = SMALL.model_copy(update={"seed": seed})
        train_fasttext(sample, path, task="annotate", config=config)
        contents.append(path.read_bytes())
    assert contents[0] == contents[1] != contents[2]


def test_there_may_be_no_subwords(sample: Pairs, tmp_path: Path) -> None:
    path = tmp_path / "v.bin"
    config = SMALL.model_copy(update={"maxn": 0})
    train_fasttext(sample, path, task="annotate", config=config)
    assert open_vectors(path).look_up(["the", "unseen"]).origins == ["seen", "missing"]


def test_gensim_warnings_are_hidden_and_its_logger_restored(
    sample: Pairs, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("gensim")
    before = logger.level
    train_fasttext(sample[:5], tmp_path / "v.bin", task="annotate", config=SMALL)
    assert caplog.records == []
    assert logger.level == before


def test_without_gensim_the_message_names_what_to_install(
    sample: Pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gensim.models", None)
    with pytest.raises(VectorsError) as error:
        train_fasttext(sample, tmp_path / "v.bin", task="annotate")
    assert str(error.value) == (
        "Training vectors needs gensim, which is not installed. "
        "Install it with: pip install 'annoseq[vectors]'"
    )


def test_too_few_repeated_words_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(VectorsError) as error:
        train_fasttext([Pair("a b c", "a b c", 1)], tmp_path / "v.bin", task="annotate")
    assert str(error.value) == (
        "none of 3 words of the pairs is there at least 2 times. "
        "Give more pairs, or a smaller --min-count."
    )
    assert list(tmp_path.iterdir()) == []


def test_another_suffix_is_refused(sample: Pairs, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"v\.vec: vectors are written as fastText's \.bin\. Use"):
        train_fasttext(sample, tmp_path / "v.vec", task="annotate")


def test_minn_above_maxn_is_refused(sample: Pairs, tmp_path: Path) -> None:
    config = SMALL.model_copy(update={"minn": 4, "maxn": 2})
    with pytest.raises(OptionError) as error:
        train_fasttext(sample, tmp_path / "v.bin", task="annotate", config=config)
    assert str(error.value) == (
        "--minn 4 is above --maxn 2. Make it smaller, or --maxn 0 for no subwords."
    )


def test_a_file_is_replaced_only_when_asked(sample: Pairs, tmp_path: Path) -> None:
    path = tmp_path / "v.bin"
    path.write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists already"):
        train_fasttext(sample, path, task="annotate", config=SMALL)
    assert path.read_bytes() == b"mine"
    train_fasttext(sample, path, task="annotate", config=SMALL, overwrite=True)
    assert open_vectors(path).width == 8
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_what_was_there(sample: Pairs, tmp_path: Path) -> None:
    from tests.faults import file_size_limit

    path = tmp_path / "v.bin"
    path.write_bytes(b"mine")
    with file_size_limit(1_000), pytest.raises(OutputError, match="cannot be written"):
        train_fasttext(sample, path, task="annotate", config=SMALL, overwrite=True)
    assert path.read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("change", [{"epochs": 0}, {"seed": -1}, {"algorithm": "glove"}])
def test_settings_are_checked(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        FastTextConfig.model_validate(change)
