"""The choice of kernels, and whole annotations with and without them."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from annoseq.kernels import selection
from tests.fidelity import TAGGERS, hard_texts, random_annotator

numba = pytest.importorskip("numba", reason="needs numba: pip install 'annoseq[fast]'")

if TYPE_CHECKING:
    from collections.abc import Iterator

    from annoseq.inference.annotation import Annotation

MODULES = [f"annoseq.kernels.{name}" for name in ("compilation", *selection._MODULES)]


def annotate(name: str, texts: list[str]) -> list[Annotation]:
    annotator = random_annotator(name)
    annotator.tokenizer.feature_hasher.clear()  # type: ignore[union-attr]
    return annotator.annotate(texts, advance=lambda _: None)


@pytest.mark.parametrize("name", TAGGERS)
def test_annotations_are_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [*hard_texts(12, seed="kernels"), "", " ", "Dr. Ames, 31y " * 200]
    expected = annotate(name, texts)
    monkeypatch.setattr(selection, "MIN_TOKENS", 1)
    for found, one in zip(annotate(name, texts), expected, strict=True):
        assert found.annotated == one.annotated
        for span, other in zip(found.spans or (), one.spans or (), strict=True):
            assert span.score == pytest.approx(other.score, abs=1e-4)


@pytest.mark.parametrize(
    ("texts", "tokens", "are_used"),
    [
        (selection.MIN_TEXTS - 1, selection.MIN_TOKENS - 1, False),
        (1, selection.MIN_TOKENS, True),
        (selection.MIN_TEXTS, 0, True),
    ],
)
def test_kernels_are_for_many_texts(texts: int, tokens: int, are_used: bool) -> None:
    assert not selection.are_used()
    with selection.compiled_kernels(texts=texts, tokens=tokens):
        assert selection.are_used() == are_used
        with selection.compiled_kernels(texts=1, tokens=1):
            assert not selection.are_used()
    assert not selection.are_used()


@pytest.fixture
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the kernels be loaded anew."""
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    selection.are_available.cache_clear()
    yield
    selection.are_available.cache_clear()


@pytest.mark.usefixtures("forgotten")
def test_without_numba_there_are_no_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    with selection.compiled_kernels(texts=0, tokens=10**9):
        assert not selection.are_used()


@pytest.mark.usefixtures("forgotten")
def test_kernels_are_compiled_where_no_cache_can_be_written(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from annoseq.kernels import compilation

    caplog.set_level("INFO", "annoseq")
    compilation._log_compilation.cache_clear()
    asked = []

    def njit(signature: str, *, cache: bool = False, **_: object) -> object:
        asked.append(cache)
        if cache:
            raise RuntimeError("no locator available")
        return lambda function: function

    from annoseq.kernels.compilation import compiled

    monkeypatch.setattr(numba, "njit", njit)

    @compiled("int64(int64)")
    def double(number: int) -> int:
        return 2 * number

    assert double(3) == 6
    assert asked == [True, False]
    assert caplog.messages == [
        "numba compiles inner loops for some 20 seconds, in every process: name a folder to keep "
        "them with NUMBA_CACHE_DIR"
    ]


def test_a_first_compilation_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from annoseq.kernels import compilation

    caplog.set_level("INFO", "annoseq")
    compilation._log_compilation.cache_clear()

    def compile_once(hits: int) -> None:
        kernel = SimpleNamespace(stats=SimpleNamespace(cache_hits=hits))
        monkeypatch.setattr(numba, "njit", lambda *_, **__: lambda _: kernel)

        @compilation.compiled("int64(int64)")
        def double(number: int) -> int:
            return 2 * number

    compile_once(hits=1)
    assert not caplog.messages
    compile_once(hits=0)
    compile_once(hits=0)
    assert caplog.messages == [
        "numba compiles inner loops for some 20 seconds, once on this machine"
    ]
