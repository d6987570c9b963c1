from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from annoseq.config.networks import MAX_LABELS
from annoseq.data.markup import strip_tags
from annoseq.data.pairs import Pair
from annoseq.errors import DatasetError
from annoseq.tokenization.gazetteer import LexiconFeatures
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer
from tests.tokenization.tables import parsed

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.data.examples import Example


def examples(*targets: str) -> tuple[Example, ...]:
    return parsed(Pair(strip_tags(target), target, row) for row, target in enumerate(targets, 1))


def fitted(*targets: str, lexicon_features: LexiconFeatures | None = None) -> TaggerTokenizer:
    return TaggerTokenizer.fit(
        examples(*targets), buckets=1024, lexicon_features=lexicon_features or LexiconFeatures()
    )


def test_it_looks_at_labels_nesting_and_length() -> None:
    tokenizer = fitted("Dr. {{B}}{{A}}Ames{{/A}}, 31{{/B}}y", "{{A}}x{{/A}}")
    assert tokenizer.labels == ("A", "B")
    assert tokenizer.levels == tokenizer.length_stats.depth == 2
    assert tokenizer.length_stats.self_nested == ()
    assert (tokenizer.length_stats.longest_source, tokenizer.length_stats.longest_span) == (6, 3)
    assert fitted("x").levels == 1


def test_a_word_that_two_spans_share_makes_no_nesting() -> None:
    glued = "by {{A}}Ames{{/A}}{{B}}BOB{{/B}} today"
    tokenizer = fitted(glued)
    assert (tokenizer.levels, tokenizer.misaligned, tokenizer.dropped) == (1, 2, 1)
    blank = fitted("Ames{{A}}  {{/A}}Bond")
    assert (blank.misaligned, blank.dropped, blank.blank) == (1, 0, 1)
    assert tokenizer.tag_names(*examples(glued)) == [[], ["S-A"], []]
    assert tokenizer.count_nested_too_deep(examples(glued, "{{A}}{{B}}x{{/B}} y{{/A}}")) == 1


def test_digits_are_read_in_runs_unless_spans_end_within() -> None:
    whole = fitted("{{A}}31{{/A}}/12")
    assert whole.tokenize("in 31/12y").tokens == ["in", " 31", "/", "12", "y"]
    halves = fitted("{{A}}3{{/A}}1")
    assert halves.tokenize("31").tokens == ["3", "1"]
    most = fitted(*["{{A}}31{{/A}}"] * 300, "{{A}}3{{/A}}1")
    assert most.joins_digits
    assert not halves.joins_digits


def test_rows_are_numbers_and_tags() -> None:
    tokenizer = fitted("{{A}}Ames{{/A}}, {{B}}31 y{{/B}}")
    (row, other) = tokenizer.encode(examples("{{A}}Ames{{/A}}, {{B}}31 y{{/B}}", "Ames Ames"))
    assert row.target == [(7,), (0,), (2,), (6,)]
    assert len(row.source) == 4
    assert other.source[0] == row.source[0] != other.source[1]


def test_a_label_that_is_new_is_an_error_in_training_alone() -> None:
    tokenizer = fitted("{{A}}Ames{{/A}}")
    others = examples("{{C}}Ames{{/C}} {{A}}x{{/A}}", "{{B}}y{{/B}}")
    assert [row.target for row in tokenizer.encode(others)] == [[(0,), (4,)], [(0,)]]
    with pytest.raises(DatasetError) as caught:
        tokenizer.encode(others, is_training=True)
    assert str(caught.value) == (
        "the pairs have the label B, which the model does not know. Train a new model on all "
        "pairs, or leave these out."
    )


def test_new_labels_come_after_the_known_ones() -> None:
    tokenizer = fitted("{{B}}Ames{{/B}} {{D}}y{{/D}}")
    grown = tokenizer.with_labels_of(examples("{{C}}Ames{{/C}} {{A}}x{{/A}} {{B}}z{{/B}}"))
    assert grown.labels == ("B", "D", "A", "C")
    many = examples(*(f"{{{{L{number}}}}}x{{{{/L{number}}}}}" for number in range(MAX_LABELS)))
    with pytest.raises(DatasetError, match="and a tagger takes at most"):
        tokenizer.with_labels_of(many)


def test_it_survives_its_file(tmp_path: Path) -> None:
    listing = tmp_path / "names.txt"
    listing.write_text("Dr. Ames\n")
    tokenizer = fitted("{{A}}Dr. Ames 3{{/A}}1", lexicon_features=LexiconFeatures([listing]))
    tokenizer.save(tmp_path)
    loaded = TaggerTokenizer.load(tmp_path, length_stats=tokenizer.length_stats, buckets=1024)
    assert loaded.signature() == tokenizer.signature()
    assert (loaded.labels, loaded.joins_digits, loaded.lexicon_matcher, loaded.length_stats) == (
        tokenizer.labels, tokenizer.joins_digits, tokenizer.lexicon_matcher, tokenizer.length_stats,
    )  # fmt: skip
    text = "Dr. Ames 31"
    numbers = [
        one.feature_hasher.bags(one.encode_text(text)[1]).ids[4].tolist()
        for one in (tokenizer, loaded)
    ]
    assert numbers[0] == numbers[1] != []


def test_signatures_differ_where_tags_mean_something_else() -> None:
    one, other = fitted("{{A}}x{{/A}}"), fitted("{{B}}x{{/B}}")
    assert one.signature() == fitted("{{A}}y{{/A}}").signature() != other.signature()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{}", "tagging.json: Field required"),
        ("", "tagging.json: Invalid JSON: EOF while parsing a value at line 1 column 0"),
        (
            '{"labels": [], "joins_digits": true, "lexicon_matcher": {"patterns": '
            '{"x": {"pattern": "("}}}}',
            "this is not a regular expression: missing ) at position 1",
        ),
    ],
)
def test_a_damaged_file_is_told(content: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "tagging.json").write_text(content)
    with pytest.raises(ValueError, match=r".") as caught:
        TaggerTokenizer.load(tmp_path, length_stats=fitted("x").length_stats, buckets=1024)
    assert str(caught.value) == problem
