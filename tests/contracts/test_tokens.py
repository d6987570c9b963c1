"""What holds of tokens of every kind: nothing is lost, and spans stay expressible."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.config import DataConfig
from annoseq.data.markup import Span, render, strip_tags
from annoseq.data.pairs import Pair
from annoseq.decoding.constrained import CLOSE, COPY, OPEN, Edits, Faithful
from annoseq.tokenization.batching import collate
from annoseq.tokenization.dataset import Dataset
from annoseq.tokenization.pretokenizer import cut_spans
from annoseq.tokenization.seq2seq_tokenizer import Codec, Example
from annoseq.tokenization.vocabulary import BEGIN, END, SPECIALS, UNKNOWN
from tests.data.strategies import annotated_texts
from tests.fidelity import HARD, annotate, hard_texts, random_annotator
from tests.tokenization.tables import LETTERS, pairs_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from annoseq.config import Task
    from annoseq.data.pairs import Pairs
    from annoseq.tokenization.batching import Batch
    from annoseq.tokenization.seq2seq_tokenizer import TokenPair

KINDS = {
    "words": DataConfig(min_frequency=1),
    "pieces": DataConfig(tokens="bpe", min_frequency=2, bpe_vocab=512),
    "characters": DataConfig(tokens="bpe", min_frequency=99),
}
SPELLING = [name for name, config in KINDS.items() if config.tokens == "bpe"]
"""The kinds that can write any text."""
REVERSED = pairs_of(*((pair.target, pair.source) for pair in LETTERS))
PAIRS: dict[Task, Pairs] = {"annotate": LETTERS, "translate": REVERSED}
CODECS = {
    (kind, task): Codec.fit(pairs, task=task, config=config)
    for kind, config in KINDS.items()
    for task, pairs in PAIRS.items()
}
every_kind = pytest.mark.parametrize("kind", KINDS)
every_spelling = pytest.mark.parametrize("kind", SPELLING)
every_task = pytest.mark.parametrize("task", PAIRS)
THOROUGH = settings(max_examples=100, deadline=None)

LITERALS = [*SPECIALS, "<0x41>", "<0xFF>", "{{NAME}}", "{{/NAME}}", "{{\\NAME}}", "\x1f", "|", "##"]
_characters = st.characters(exclude_categories=["Cs"])
_texts = st.lists(st.sampled_from(HARD + LITERALS) | _characters, max_size=25).map("".join)


@every_kind
@every_task
@THOROUGH
@given(text=_texts)
def test_tokens_joined_are_the_text(kind: str, task: Task, text: str) -> None:
    codec = CODECS[kind, task]
    tokens, offsets = codec.source.cut(text)
    assert "".join(codec.source.spelling.join(tokens)) == text
    # A token has the place of its word, and words follow one another without a gap.
    places = list(dict.fromkeys(offsets))
    assert [0, *(end for _, end in places)] == [*(start for start, _ in places), len(text)]
    goes_on = [codec.source.spelling.continues(token) for token in tokens]
    assert goes_on == [i > 0 and offsets[i] == offsets[i - 1] for i in range(len(offsets))]
    assert [codec.source.spelling.is_blank(token) for token in tokens] == [
        text[start:end].isspace() for start, end in offsets
    ]


@every_spelling
@every_task
@THOROUGH
@given(text=_texts)
def test_any_text_survives_ids(kind: str, task: Task, text: str) -> None:
    codec = CODECS[kind, task]
    ids = codec.encode_source(text).source
    assert codec.decode(ids) == (text if task == "translate" else render(text, []))
    fixed = len(SPECIALS) + (2 * len(codec.labels) if task == "annotate" else 0)
    assert not set(ids) & set(range(fixed))  # no special symbol, and no tag of the annotate task


@every_spelling
@THOROUGH
@given(annotation=annotated_texts())
def test_annotations_of_other_texts_survive_ids(
    kind: str, annotation: tuple[str, list[Span]]
) -> None:
    text, found = annotation
    labels = CODECS[kind, "annotate"].labels
    spans = [Span(start, end, labels[(start + end) % 3]) for start, end, _ in map(_parts, found)]
    (row,) = CODECS[kind, "annotate"].tokenize(pairs_of((text, render(text, spans))))
    example = CODECS[kind, "annotate"].encode(row)
    assert UNKNOWN not in (*example.source, *example.target)
    output = CODECS[kind, "annotate"].decode(example.target)
    assert strip_tags(output) == text
    if not row.misfits:
        assert output == row.reference


def _parts(span: Span) -> tuple[int, int, str]:
    return span.start, span.end, span.label


@every_spelling
@settings(max_examples=60, deadline=None)
@given(ids=st.lists(st.integers(0, 10_000), max_size=30))
def test_anything_that_is_written_is_text(kind: str, ids: list[int]) -> None:
    for task in PAIRS:
        codec = CODECS[kind, task]
        output = codec.decode([id_ % len(codec.target) for id_ in ids])
        assert output.encode().decode() == output


class Even:
    """A stepper to which all tokens are alike."""

    def start(self, batch: Batch) -> Tensor:
        return batch.source_lengths

    def step(self, state: Tensor, last: Tensor) -> Tensor:
        return state

    def scores(self, state: Tensor, columns: Tensor | None = None) -> Tensor:
        assert columns is not None
        return torch.zeros(columns.shape)

    def select(self, state: Tensor, rows: Tensor) -> Tensor:
        return state[rows]


@every_kind
@settings(max_examples=25, deadline=None)
@given(annotation=annotated_texts())
def test_the_faithful_search_can_write_every_target(
    kind: str, annotation: tuple[str, list[Span]]
) -> None:
    pairs = pairs_of((annotation[0], render(*annotation)))
    codec = Codec.fit(pairs, task="annotate", config=KINDS[kind])
    (row,) = codec.tokenize(pairs)
    faithful = Faithful(Even(), Edits.of(codec))
    state = faithful.start(collate([0], [Example(codec.encode(row).source, [])]))
    last = BEGIN
    with torch.inference_mode():
        for edit in [*_edits(row, codec), END]:
            state = faithful.step(state, torch.tensor([last]))
            assert faithful.scores(state)[0, edit] > -torch.inf
            last = edit


def _edits(row: TokenPair, codec: Codec) -> list[int]:
    """Return the edits that write a row's target."""
    tags = {f"{{{{{label}}}}}": OPEN + place for place, label in enumerate(codec.labels)}
    tags |= {f"{{{{/{label}}}}}": CLOSE for label in codec.labels}
    return [tags.get(token, COPY) for token in row.target]


@pytest.mark.parametrize("search", ["greedy", "sample"])
def test_spans_in_pieces_are_whole_words(search: str) -> None:
    texts = [*hard_texts(150, seed=search), "x" * 500, "Ω" * 300, " Ames" * 40]
    found = annotate("in pieces", search, texts)
    for text, one in zip(texts, found, strict=True):
        assert cut_spans(text, one.spans or ()) == []
    # A word longer than a window is read in several, and stays one.
    assert [one.windows > 1 for one in found[-3:]] == [True, True, True]
    assert sum(len(one.spans or ()) for one in found) > 50


def test_the_model_in_pieces_reads_in_pieces() -> None:
    codec = random_annotator("in pieces").model.codec
    assert isinstance(codec, Codec)
    assert codec.source.cut("Ames\n").tokens == ["\x1f", *"Ames", "\x1f\n"]


@every_spelling
@every_task
def test_both_sides_have_the_same_ids(kind: str, task: Task) -> None:
    codec = CODECS[kind, task]
    assert codec.source.ids == codec.target.ids
    copies = codec.target.look_up(codec.source.tokens)
    assert copies == list(range(len(codec.source)))


@every_kind
def test_tags_are_single_tokens_where_they_are_text(kind: str) -> None:
    codec = CODECS[kind, "translate"]
    (row,) = codec.tokenize(pairs_of((" {{NAME}}Wu{{/NAME}}", " Wu")))
    words = codec.source.spelling.join(row.source)
    assert words == ["{{NAME}}", " Wu", "{{/NAME}}"]
    assert [codec.source.spelling.visible(token) for token in (row.source[0], row.source[-1])] == [
        *["{{NAME}}", "{{/NAME}}"]
    ]


@every_spelling
def test_a_tag_that_training_lacks_is_spelled(kind: str) -> None:
    codec = CODECS[kind, "translate"]
    for tag in ("{{CITY}}", " {{/CITY}}"):
        ids = codec.encode_source(tag).source
        assert UNKNOWN not in ids
        assert codec.decode(ids) == tag


@every_kind
@every_task
def test_no_training_target_is_longer_than_its_limit(kind: str, task: Task) -> None:
    codec = CODECS[kind, task]
    rows = list(codec.tokenize(PAIRS[task]))
    assert codec.bounds.longest_source == max(len(row.source) for row in rows)
    limits = codec.output_limits(torch.tensor([len(row.source) + 1 for row in rows])).tolist()
    assert all(len(row.target) + 1 <= limit for row, limit in zip(rows, limits, strict=True))


@every_kind
@every_task
def test_what_is_saved_is_what_is_loaded(kind: str, task: Task, tmp_path: Path) -> None:
    codec = CODECS[kind, task]
    codec.save(tmp_path)
    again = Codec.load(tmp_path, task=task, bounds=codec.bounds)
    assert again.signature() == codec.signature()
    text = "Dr. Ames-Núñez\n{{NAME}} 👍🏽"
    assert again.encode_source(text) == codec.encode_source(text)


@every_kind
def test_a_prepared_dataset_keeps_its_tokens(kind: str, sample: Pairs, tmp_path: Path) -> None:
    dataset = Dataset.from_pairs(sample, config=KINDS[kind])
    dataset.save(tmp_path / "data")
    again = Dataset.load(tmp_path / "data")
    assert again.config == KINDS[kind]
    assert again.train.examples == dataset.train.examples
    assert again.codec.signature() == dataset.codec.signature()
    outputs = [again.codec.decode(example.target) for example in again.train.examples]
    assert outputs == list(again.train.references)
    unknown = sum(id_ == UNKNOWN for one in again.valid.examples for id_ in one.source)
    assert (unknown == 0) == (kind in SPELLING)


@pytest.mark.parametrize("order", [("words", "pieces"), ("pieces", "words")])
def test_two_kinds_do_not_fit_together(order: Sequence[str], tmp_path: Path) -> None:
    source, target = (CODECS[kind, "annotate"] for kind in order)
    source.save(tmp_path)
    (tmp_path / "target.json").write_text(target.target.to_json(), encoding="utf-8")
    with pytest.raises(ValueError, match=r"^source\.json does not fit target\.json$"):
        Codec.load(tmp_path, task="annotate", bounds=source.bounds)


def test_a_word_that_is_copied_counts_once() -> None:
    """Else it would be merged when it was seen half as often as the user asks for."""
    pairs = [Pair("ab", "{{X}}ab{{/X}}", 1)]
    often = DataConfig(tokens="bpe", min_frequency=2)
    assert "ab" not in Codec.fit(pairs, task="annotate", config=often).source.tokens
    assert "\x1fab" not in Codec.fit(pairs, task="annotate", config=often).source.tokens
    assert "\x1fab" in Codec.fit(pairs * 2, task="annotate", config=often).source.tokens
