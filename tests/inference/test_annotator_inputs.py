"""Kinds of input of `Annotator.annotate`, and calls from several threads."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from annoseq.errors import OptionError
from annoseq.inference.annotation import Annotation
from annoseq.inference.annotator import Annotator
from annoseq.tokenization import hash_features
from tests.fidelity import hard_texts, random_annotator

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXTS = ["Dr. Ames, 31y", "", "no span at all"]
SECRET = "Ames of Rome"


@pytest.fixture(scope="module")
def annotator() -> Annotator:
    return random_annotator("nested tagger")


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Let threads be interrupted as often as can be."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_one_text_has_one_annotation(annotator: Annotator) -> None:
    annotation = annotator.annotate(TEXTS[0])
    assert isinstance(annotation, Annotation)
    assert [annotation] == annotator.annotate([TEXTS[0]])


def test_texts_may_come_in_any_iterable(annotator: Annotator) -> None:
    expected = annotator.annotate(TEXTS)
    assert [annotation.text for annotation in expected] == TEXTS
    assert annotator.annotate(tuple(TEXTS)) == expected
    assert annotator.annotate(iter(TEXTS)) == expected
    assert annotator.annotate(pd.Series(TEXTS, index=[7, 7, 9])) == expected
    assert annotator.annotate(pd.DataFrame({"note": TEXTS})["note"]) == expected
    assert annotator.annotate([]) == []


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (None, "NoneType"),
        (7, "int"),
        (SECRET.encode(), "bytes"),
        ({SECRET: 1}, "dict"),
        (pd.DataFrame({"note": [SECRET]}), "DataFrame"),
    ],
)
def test_what_is_no_text_is_named_by_its_type(annotator: Annotator, texts: Any, kind: str) -> None:
    with pytest.raises(OptionError) as caught:
        annotator.annotate(texts)
    assert str(caught.value) == (
        f"cannot annotate a {kind}. Give a text, or a list or pandas Series of texts, such as a "
        "column of a data frame."
    )


@pytest.mark.parametrize("element", [None, float("nan"), SECRET.encode(), [SECRET]])
def test_an_element_that_is_no_text_is_named_by_its_index(
    annotator: Annotator, element: Any
) -> None:
    with pytest.raises(OptionError) as caught:
        annotator.annotate(pd.Series([SECRET, element, 3]))
    assert str(caught.value) == (
        f"cannot annotate element 1: it is a {type(element).__name__}, not a text. "
        "Give texts only; of a data frame's column, fill missing values first."
    )


@pytest.mark.parametrize("name", ["nested tagger", "flat"])
@pytest.mark.usefixtures("eager_threads")
def test_four_threads_get_what_one_gets(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two annotators of one model, whose cache is emptied again and again."""
    monkeypatch.setattr(hash_features, "_MAX_TOKENS", 20)
    batches = [list(hard_texts(4, seed=f"thread {number}")) for number in range(8)]
    first = random_annotator(name)
    second = Annotator(first.model)

    def run(number: int) -> list[Annotation]:
        annotator = (first, second)[number % 2]
        return annotator.annotate(batches[number // 2], advance=lambda _: None)

    expected = [run(number) for number in range(16)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(run, range(16))) == expected


def test_its_repr_is_a_line_about_the_model(annotator: Annotator) -> None:
    assert repr(annotator) == f"<Annotator: tagger, annotate, {annotator.device}>"


@pytest.mark.parametrize("texts", ["Dr. \ud800 Ames", ["Dr. \udfff Ames"]])
def test_half_a_character_is_an_error(annotator: Annotator, texts: str | list[str]) -> None:
    with pytest.raises(OptionError, match="element 0: it holds a lone surrogate") as caught:
        annotator.annotate(texts)
    assert "Ames" not in str(caught.value)
