from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from annoseq.config import BatchConfig, SearchConfig
from annoseq.data.text_inputs import InputText
from annoseq.errors import OptionError
from annoseq.inference.annotator import Annotator
from annoseq.inference.annotator_pool import InProcessRunner
from annoseq.inference.resumable_output import OutputProgress, ResumableOutput
from annoseq.inference.streaming import AnnotateTask, annotate_stream
from annoseq.sample import sample_pairs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from annoseq.inference.streaming import OutputFormat

TEXTS = [InputText(str(pair.row), pair.source) for pair in sample_pairs(23, seed=3)]
SEARCHES = [
    SearchConfig(),
    SearchConfig(search="beam", beam_size=3, n_best=2),
    SearchConfig(search="nucleus", samples=2, seed=7),
    SearchConfig(free=True, search="sample"),
]


class Kept:
    """An output in memory."""

    def __init__(self) -> None:
        self.progress = OutputProgress()
        self.chunks: list[list[tuple[str, str]]] = []

    def add(self, chunk: Sequence[tuple[str, str]], progress: OutputProgress) -> None:
        self.chunks.append(list(chunk))
        self.progress = progress

    @property
    def content(self) -> str:
        return "".join(content for chunk in self.chunks for _, content in chunk)


@pytest.fixture(scope="module")
def annotator(model_folder: Path) -> Annotator:
    return Annotator.load(model_folder)


def stream(
    annotator: Annotator,
    texts: Iterable[InputText],
    output: Kept | ResumableOutput,
    *,
    search: SearchConfig = SEARCHES[0],
    chunk_size: int = 5,
    format_: OutputFormat = "jsonl",
) -> list[int]:
    advanced: list[int] = []
    annotate_stream(
        InProcessRunner(annotator),
        AnnotateTask(format_, search, BatchConfig(batch_size=4)),
        iter(texts),
        output,
        chunk_size=chunk_size,
        advance=advanced.append,
    )
    return advanced


def interrupted(texts: Sequence[InputText], *, after: int) -> Iterator[InputText]:
    yield from texts[:after]
    raise KeyboardInterrupt


def test_texts_are_taken_and_given_chunk_by_chunk(annotator: Annotator) -> None:
    output = Kept()
    taken = 0

    def counted() -> Iterator[InputText]:
        nonlocal taken
        for text in TEXTS:
            assert taken - output.progress.done < 5, "more than a chunk was read ahead"
            taken += 1
            yield text

    advanced = stream(annotator, counted(), output)
    assert [len(chunk) for chunk in output.chunks] == [5, 5, 5, 5, 3]
    assert [name for chunk in output.chunks for name, _ in chunk] == [one.id for one in TEXTS]
    assert (output.progress.done, output.progress.problems) == (23, 0)
    assert sum(advanced) == 23


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: search.search)
def test_annotations_do_not_depend_on_the_chunks(
    search: SearchConfig, annotator: Annotator
) -> None:
    """Scores may differ in the last digits, because float32 sums depend on the batch's shape."""
    wholes, pieces = Kept(), Kept()
    stream(annotator, TEXTS, wholes, search=search, chunk_size=1_000)
    stream(annotator, TEXTS, pieces, search=search, chunk_size=3)
    for one, other in zip(wholes.content.splitlines(), pieces.content.splitlines(), strict=True):
        whole, piece = json.loads(one), json.loads(other)
        assert piece.pop("score") == pytest.approx(whole.pop("score"), abs=1e-4)
        for found in (whole, piece):
            for each in (found, *found.get("alternatives", [])):
                each.pop("score", None)
                for span in each["spans"] or []:
                    span.pop("score")
        assert piece == whole
    assert wholes.progress == pieces.progress


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: search.search)
@pytest.mark.parametrize("is_folder", [False, True])
def test_a_run_that_was_cut_short_ends_as_if_it_had_not_been(
    search: SearchConfig, is_folder: bool, annotator: Annotator, tmp_path: Path
) -> None:
    def opened(name: str, *, resume: bool) -> ResumableOutput:
        path = tmp_path / name
        return ResumableOutput(
            path, plan={}, is_folder=is_folder, resume=resume, overwrite=False, begin=""
        )

    whole = opened("whole", resume=False)
    stream(annotator, TEXTS, whole, search=search)
    whole.finish()
    with pytest.raises(KeyboardInterrupt):
        stream(annotator, interrupted(TEXTS, after=13), opened("out", resume=False), search=search)
    output = opened("out", resume=True)
    assert output.progress.done == 10
    advanced = stream(annotator, TEXTS, output, search=search)
    assert (advanced[0], sum(advanced)) == (10, 23)
    output.finish()
    assert output.progress == whole.progress
    if is_folder:
        assert len(list((tmp_path / "whole").iterdir())) == 23
        for path in (tmp_path / "whole").iterdir():
            assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()
    else:
        assert (tmp_path / "out").read_bytes() == (tmp_path / "whole").read_bytes()


@pytest.mark.parametrize(
    "texts",
    [
        TEXTS[:9],
        [TEXTS[1], TEXTS[0], *TEXTS[2:]],
        [InputText("other", TEXTS[0].text), *TEXTS[1:]],
        [],
    ],
)
def test_other_texts_are_not_taken_for_those_that_are_done(
    texts: list[InputText], annotator: Annotator
) -> None:
    output = Kept()
    stream(annotator, TEXTS[:10], output)
    with pytest.raises(OptionError) as caught:
        stream(annotator, texts, output)
    assert str(caught.value) == (
        "the input does not begin with the 10 texts that the interrupted run annotated. "
        "Give it the same input, or start again with --overwrite instead of --resume."
    )
    assert len(output.chunks) == 2


def test_texts_after_those_that_are_done_may_have_been_mended(annotator: Annotator) -> None:
    output = Kept()
    stream(annotator, TEXTS[:10], output)
    stream(annotator, [*TEXTS[:10], InputText("x", "Dr. Ames")], output)
    assert output.progress.done == 11


def test_problems_are_counted_over_a_resumption(annotator: Annotator) -> None:
    free, whole, output = SearchConfig(free=True), Kept(), Kept()
    stream(annotator, TEXTS, whole, search=free)
    stream(annotator, TEXTS[:10], output, search=free)
    stream(annotator, TEXTS, output, search=free)
    assert output.progress == whole.progress
    assert 0 < whole.progress.problems == whole.content.count('"problem": ')


def test_no_texts_give_no_chunks(annotator: Annotator) -> None:
    output = Kept()
    stream(annotator, [], output)
    assert (output.chunks, output.progress) == ([], OutputProgress())
