"""Annotation by taggers with random weights, of arbitrary texts."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.config import BatchConfig, SearchConfig
from annoseq.errors import ModelError, OptionError
from annoseq.inference.annotator import Annotator
from annoseq.models.serialization import TrainedModel
from annoseq.tokenization import hash_features as features
from annoseq.tokenization.gazetteer import LexiconMatcher, RegexPattern, find_matches
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer
from tests.fidelity import (
    HARD,
    ONE_PASS,
    TAGGERS,
    annotate,
    hard_texts,
    random_annotator,
    violations,
)
from tests.models.test_serialization import replace_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from annoseq.inference.annotation import Annotation

every_tagger = pytest.mark.parametrize("name", TAGGERS)
_pieces = st.sampled_from(HARD) | st.characters(exclude_categories=["Cs"])
_texts = st.lists(_pieces, max_size=20).map("".join)
_long_texts = st.builds(
    lambda piece, times, rest: piece * times + rest, _texts, st.integers(1, 30), _texts
)


def check(name: str, texts: Sequence[str]) -> list[Annotation]:
    found = annotate(name, ONE_PASS, texts)
    assert [one.text for one in found] == list(texts)
    wrong = {text: violations(name, text, one) for text, one in zip(texts, found, strict=True)}
    assert {text: problems for text, problems in wrong.items() if problems} == {}
    return found


@every_tagger
@settings(max_examples=3, deadline=None)
@given(texts=st.lists(_texts | _long_texts, max_size=6))
def test_any_text_is_kept(name: str, texts: list[str]) -> None:
    check(name, texts)


@every_tagger
def test_hard_texts_are_kept_and_annotated(name: str) -> None:
    found = check(name, list(hard_texts(60, seed=name)))
    tokenizer = random_annotator(name).tokenizer
    assert max(one.windows for one in found) > 1
    assert (sum(len(one.spans or ()) for one in found) > 20) == bool(tokenizer.labels)
    if tokenizer.length_stats.depth > 1:
        spans = [one.spans or () for one in found]
        assert any(
            outer.end >= inner.end and outer.label == inner.label == "A"
            for some in spans
            for outer, inner in pairwise(some)
        )


def test_every_character_of_a_long_text_is_read() -> None:
    """The same words again and again are annotated to the end, in many windows."""
    (found,) = annotate("flat tagger", ONE_PASS, ["Dr. Ames, 31y " * 200])
    assert found.windows > 10
    quarters = {span.start * 4 // len(found.text) for span in found.spans or ()}
    assert quarters == {0, 1, 2, 3}


def test_a_text_is_annotated_alike_in_any_company() -> None:
    texts = list(hard_texts(12, seed="company"))
    together = annotate("nested tagger", ONE_PASS, texts)
    annotator = random_annotator("nested tagger")
    apart = [
        annotator.annotate([text], batching=BatchConfig(batch_size=1), advance=lambda _: None)[0]
        for text in texts
    ]
    for one, other in zip(together, apart, strict=True):
        assert one.annotated == other.annotated
        assert one.score == pytest.approx(other.score, abs=1e-2)


def test_empty_and_blank_texts_have_no_spans() -> None:
    for one in annotate("nested tagger", ONE_PASS, ["", " ", "\t\n", "\u2003"]):
        assert (one.spans, one.annotated) == ((), one.text)
    assert annotate("nested tagger", ONE_PASS, [""])[0].windows == 0


@pytest.mark.parametrize(
    ("search", "option"),
    [
        (SearchConfig(free=True), "--free"),
        (SearchConfig(search="beam", beam_size=3), "--beam-size"),
        (SearchConfig(search="greedy"), "--search"),
    ],
)
def test_a_tagger_takes_no_search(search: SearchConfig, option: str) -> None:
    with pytest.raises(OptionError) as caught:
        random_annotator("flat tagger").annotate(["Dr"], search=search)
    assert str(caught.value) == (
        f"{option} is for sequence-to-sequence models, and this one is a tagger: it finds the "
        f"likeliest tags in one pass. Leave {option} off."
    )


def test_a_pattern_that_takes_too_long_ends_annotation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "annoseq.tokenization.gazetteer.find_matches", partial(find_matches, seconds=0.05)
    )
    model = random_annotator("flat tagger").model
    lexicon_matcher = LexiconMatcher(patterns={"slow": RegexPattern(pattern="(a|aa)+$")})
    assert isinstance(model.tokenizer, TaggerTokenizer)
    slow = replace(model, tokenizer=replace(model.tokenizer, lexicon_matcher=lexicon_matcher))
    with pytest.raises(OptionError, match="the pattern 'slow' takes more than"):
        Annotator(slow).annotate(["a" * 60 + "b"])


def test_words_of_texts_long_gone_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = list(hard_texts(12, seed="gone"))
    expected = annotate("nested tagger", ONE_PASS, texts)
    monkeypatch.setattr(features, "_MAX_TOKENS", 5)
    tokenizer = random_annotator("nested tagger").model.tokenizer
    assert isinstance(tokenizer, TaggerTokenizer)
    words = tokenizer.feature_hasher
    before = words.generation
    assert annotate("nested tagger", ONE_PASS, texts) == expected
    assert annotate("nested tagger", ONE_PASS, texts) == expected
    assert words.generation >= before + 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random_annotator("nested tagger").model.save(tmp_path / "model", card="")
    return tmp_path / "model"


def test_a_saved_tagger_annotates_the_same_to_the_last_digit(folder: Path) -> None:
    texts = list(hard_texts(20, seed="saved"))
    ours = annotate("nested tagger", ONE_PASS, texts)
    loaded = Annotator.load(folder)
    assert loaded.is_tagger
    assert loaded.annotate(texts, batching=BatchConfig(batch_size=512, batch_tokens=16_384)) == ours
    TrainedModel.load(folder).save(folder.with_name("again"), card="")
    names = ["card.md", "config.json", "tagging.json", "weights.safetensors"]
    assert sorted(path.name for path in folder.iterdir()) == names
    for name in names:
        assert (folder / name).read_bytes() == (folder.with_name("again") / name).read_bytes()


def fault(folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        TrainedModel.load(folder)
    return str(caught.value)


def test_a_damaged_tagger_is_told(folder: Path) -> None:
    path = folder / "tagging.json"
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"A"', b'"Z"'))
    assert fault(folder) == (
        f"{folder}: tagging.json is not the file that was saved with this model. "
        "Copy the whole folder again, or train again."
    )
    replace_file(folder, "tagging.json", content[:20])
    assert fault(folder).startswith(f"{folder}: damaged: tagging.json: Invalid JSON: ")
    replace_file(folder, "tagging.json", content.replace(b'"C"', b'"C", "D"'))
    assert fault(folder) == (
        f"{folder}: damaged: weights.safetensors is not of the network that config.json "
        "describes. Train again."
    )
    replace_file(folder, "tagging.json", content.replace(b"x*", b"x**("))
    assert fault(folder).startswith(f"{folder}: damaged: this is not a regular expression: ")
    path.unlink()
    assert fault(folder).startswith(f"{folder}: tagging.json cannot be read: No such file")
