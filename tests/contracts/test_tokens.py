"""Properties of every tokenization: it is lossless, and all spans can be expressed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.config import DataConfig
from annoseq.data.markup import Span, render, strip_tags
from annoseq.data.pairs import Pair
from annoseq.decoding.constrained import CLOSE, COPY, OPEN, ConstrainedStepper, EditVocabulary
from annoseq.tokenization.batching import collate
from annoseq.tokenization.dataset import Dataset
from annoseq.tokenization.pretokenizer import find_misaligned_spans
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqEncoding, Seq2SeqTokenizer
from annoseq.tokenization.vocabulary import BEGIN, END, SPECIALS, UNKNOWN
from tests.data.strategies import annotated_texts
from tests.fidelity import HARD, annotate, hard_texts, random_annotator
from tests.tokenization.tables import LETTERS, pairs_of, parsed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from annoseq.config import Task
    from annoseq.data.pairs import Pairs
    from annoseq.tokenization.batching import Batch
    from annoseq.tokenization.linearize import TokenizedPair

KINDS = {
    "words": DataConfig(min_frequency=1),
    "pieces": DataConfig(tokens="bpe", min_frequency=2, bpe_vocab=512),
    "characters": DataConfig(tokens="bpe", min_frequency=99),
}
SPELLING = [name for name, config in KINDS.items() if config.tokens == "bpe"]
"""The kinds that can write any text."""
REVERSED = pairs_of(*((pair.target, pair.source) for pair in LETTERS))
PAIRS: dict[Task, Pairs] = {"annotate": LETTERS, "translate": REVERSED}
TOKENIZERS = {
    (kind, task): Seq2SeqTokenizer.fit(parsed(pairs, task), task=task, config=config)
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
    tokenizer = TOKENIZERS[kind, task]
    tokens, offsets = tokenizer.source.tokenize(text)
    assert "".join(tokenizer.source.subwords.join(tokens)) == text
    # A token has the place of its word, and words follow one another without a gap.
    places = list(dict.fromkeys(offsets))
    assert [0, *(end for _, end in places)] == [*(start for start, _ in places), len(text)]
    goes_on = [tokenizer.source.subwords.continues(token) for token in tokens]
    assert goes_on == [i > 0 and offsets[i] == offsets[i - 1] for i in range(len(offsets))]
    assert [tokenizer.source.subwords.is_blank(token) for token in tokens] == [
        text[start:end].isspace() for start, end in offsets
    ]


@every_spelling
@every_task
@THOROUGH
@given(text=_texts)
def test_any_text_survives_ids(kind: str, task: Task, text: str) -> None:
    tokenizer = TOKENIZERS[kind, task]
    ids = tokenizer.encode_source(text).source
    assert tokenizer.decode(ids) == (text if task == "translate" else render(text, []))
    fixed = len(SPECIALS) + (2 * len(tokenizer.labels) if task == "annotate" else 0)
    assert not set(ids) & set(range(fixed))  # no special symbol, and no tag of the annotate task


@every_spelling
@THOROUGH
@given(annotation=annotated_texts())
def test_annotations_of_other_texts_survive_ids(
    kind: str, annotation: tuple[str, list[Span]]
) -> None:
    text, found = annotation
    labels = TOKENIZERS[kind, "annotate"].labels
    spans = [Span(start, end, labels[(start + end) % 3]) for start, end, _ in map(_parts, found)]
    (example,) = parsed(pairs_of((text, render(text, spans))))
    row = TOKENIZERS[kind, "annotate"].tokenize(example)
    encoding = TOKENIZERS[kind, "annotate"].encode(row)
    assert UNKNOWN not in (*encoding.source, *encoding.target)
    output = TOKENIZERS[kind, "annotate"].decode(encoding.target)
    assert strip_tags(output) == text
    if not row.misaligned:
        assert output == example.reference


def _parts(span: Span) -> tuple[int, int, str]:
    return span.start, span.end, span.label


@every_spelling
@settings(max_examples=60, deadline=None)
@given(ids=st.lists(st.integers(0, 10_000), max_size=30))
def test_any_ids_decode_to_text(kind: str, ids: list[int]) -> None:
    for task in PAIRS:
        tokenizer = TOKENIZERS[kind, task]
        output = tokenizer.decode([id_ % len(tokenizer.target) for id_ in ids])
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
def test_constrained_decoding_can_produce_every_target(
    kind: str, annotation: tuple[str, list[Span]]
) -> None:
    pairs = pairs_of((annotation[0], render(*annotation)))
    (example,) = examples = parsed(pairs)
    tokenizer = Seq2SeqTokenizer.fit(examples, task="annotate", config=KINDS[kind])
    row = tokenizer.tokenize(example)
    faithful = ConstrainedStepper(Even(), EditVocabulary.of(tokenizer))
    state = faithful.start(collate([0], [Seq2SeqEncoding(tokenizer.encode(row).source, [])]))
    last = BEGIN
    with torch.inference_mode():
        for edit in [*_edits(row, tokenizer), END]:
            state = faithful.step(state, torch.tensor([last]))
            assert faithful.scores(state)[0, edit] > -torch.inf
            last = edit


def _edits(row: TokenizedPair, tokenizer: Seq2SeqTokenizer) -> list[int]:
    """Return the edits that write a row's target."""
    tags = {f"{{{{{label}}}}}": OPEN + place for place, label in enumerate(tokenizer.labels)}
    tags |= {f"{{{{/{label}}}}}": CLOSE for label in tokenizer.labels}
    return [tags.get(token, COPY) for token in row.target]


@pytest.mark.parametrize("search", ["greedy", "sample"])
def test_subword_spans_are_whole_words(search: str) -> None:
    texts = [*hard_texts(150, seed=search), "x" * 500, "Ω" * 300, " Ames" * 40]
    found = annotate("in pieces", search, texts)
    for text, one in zip(texts, found, strict=True):
        assert find_misaligned_spans(text, one.spans or ()) == []
    # A word longer than a window is read in several, and stays one.
    assert [one.windows > 1 for one in found[-3:]] == [True, True, True]
    assert sum(len(one.spans or ()) for one in found) > 50


def test_subword_models_use_subwords() -> None:
    tokenizer = random_annotator("in pieces").model.tokenizer
    assert isinstance(tokenizer, Seq2SeqTokenizer)
    assert tokenizer.source.tokenize("Ames\n").tokens == ["\x1f", *"Ames", "\x1f\n"]


@every_spelling
@every_task
def test_both_sides_have_the_same_ids(kind: str, task: Task) -> None:
    tokenizer = TOKENIZERS[kind, task]
    assert tokenizer.source.ids == tokenizer.target.ids
    copies = tokenizer.target.tokens_to_ids(tokenizer.source.tokens)
    assert copies == list(range(len(tokenizer.source)))


@every_kind
def test_tags_are_single_tokens_where_they_are_text(kind: str) -> None:
    tokenizer = TOKENIZERS[kind, "translate"]
    (example,) = parsed(pairs_of((" {{NAME}}Wu{{/NAME}}", " Wu")), "translate")
    row = tokenizer.tokenize(example)
    words = tokenizer.source.subwords.join(row.source)
    assert words == ["{{NAME}}", " Wu", "{{/NAME}}"]
    assert [
        tokenizer.source.subwords.visible(token) for token in (row.source[0], row.source[-1])
    ] == [*["{{NAME}}", "{{/NAME}}"]]


@every_spelling
def test_a_tag_that_training_lacks_is_spelled(kind: str) -> None:
    tokenizer = TOKENIZERS[kind, "translate"]
    for tag in ("{{CITY}}", " {{/CITY}}"):
        ids = tokenizer.encode_source(tag).source
        assert UNKNOWN not in ids
        assert tokenizer.decode(ids) == tag


@every_kind
@every_task
def test_no_training_target_is_longer_than_its_limit(kind: str, task: Task) -> None:
    tokenizer = TOKENIZERS[kind, task]
    rows = [*map(tokenizer.tokenize, parsed(PAIRS[task], task))]
    assert tokenizer.length_stats.longest_source == max(len(row.source) for row in rows)
    limits = tokenizer.output_limits(torch.tensor([len(row.source) + 1 for row in rows])).tolist()
    assert all(len(row.target) + 1 <= limit for row, limit in zip(rows, limits, strict=True))


@every_kind
@every_task
def test_what_is_saved_is_what_is_loaded(kind: str, task: Task, tmp_path: Path) -> None:
    tokenizer = TOKENIZERS[kind, task]
    tokenizer.save(tmp_path)
    again = Seq2SeqTokenizer.load(tmp_path, task=task, length_stats=tokenizer.length_stats)
    assert again.signature() == tokenizer.signature()
    text = "Dr. Ames-Núñez\n{{NAME}} 👍🏽"
    assert again.encode_source(text) == tokenizer.encode_source(text)


@every_kind
def test_a_prepared_dataset_keeps_its_tokens(kind: str, sample: Pairs, tmp_path: Path) -> None:
    dataset = Dataset.from_pairs(sample, config=KINDS[kind])
    dataset.save(tmp_path / "data")
    again = Dataset.load(tmp_path / "data")
    assert again.config == KINDS[kind]
    assert again.encoded_train == dataset.encoded_train
    assert again.tokenizer.signature() == dataset.tokenizer.signature()
    outputs = [again.tokenizer.decode(example.target) for example in again.encoded_train.encodings]
    assert outputs == [example.reference for example in again.train]
    unknown = sum(id_ == UNKNOWN for one in again.encoded_valid.encodings for id_ in one.source)
    assert (unknown == 0) == (kind in SPELLING)


@pytest.mark.parametrize("order", [("words", "pieces"), ("pieces", "words")])
def test_two_kinds_do_not_fit_together(order: Sequence[str], tmp_path: Path) -> None:
    source, target = (TOKENIZERS[kind, "annotate"] for kind in order)
    source.save(tmp_path)
    (tmp_path / "target.json").write_text(target.target.to_json(), encoding="utf-8")
    with pytest.raises(ValueError, match=r"^source\.json does not fit target\.json$"):
        Seq2SeqTokenizer.load(tmp_path, task="annotate", length_stats=source.length_stats)


def test_a_word_that_is_copied_counts_once() -> None:
    """Else it would be merged when it was seen half as often as the user asks for."""
    examples = parsed([Pair("ab", "{{X}}ab{{/X}}", 1)])
    often = DataConfig(tokens="bpe", min_frequency=2)
    assert "ab" not in Seq2SeqTokenizer.fit(examples, task="annotate", config=often).source.tokens
    assert (
        "\x1fab" not in Seq2SeqTokenizer.fit(examples, task="annotate", config=often).source.tokens
    )
    assert (
        "\x1fab" in Seq2SeqTokenizer.fit(examples * 2, task="annotate", config=often).source.tokens
    )
