from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

import pytest

from annoseq.data.markup import Span, parse, strip_tags
from annoseq.errors import OptionError
from annoseq.sample import sample_pairs
from annoseq.sample.entities import draw_person, load_word_list
from annoseq.tokenization.pretokenizer import find_misaligned_spans

if TYPE_CHECKING:
    from annoseq.data.pairs import Pair


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    return list(sample_pairs(2000, seed=1))


@pytest.fixture(scope="module")
def marked(pairs: list[Pair]) -> list[tuple[str, list[Span]]]:
    return [parse(pair.target) for pair in pairs]


@pytest.fixture(scope="module")
def many() -> list[tuple[str, list[Span]]]:
    return [parse(pair.target) for pair in sample_pairs(6000, seed=8)]


def test_the_same_seed_gives_the_same_rows(pairs: list[Pair]) -> None:
    assert list(sample_pairs(2000, seed=1)) == pairs


def test_another_seed_gives_other_rows(pairs: list[Pair]) -> None:
    others = {pair.source for pair in sample_pairs(300, seed=2)}
    assert len(others & {pair.source for pair in pairs[:300]}) < 100


def test_a_longer_corpus_begins_with_a_shorter_one(pairs: list[Pair]) -> None:
    assert list(sample_pairs(41, seed=1)) == pairs[:41]


@pytest.mark.parametrize("rows", [0, 1, 7, 500])
def test_there_are_exactly_as_many_rows_as_asked(rows: int) -> None:
    numbers = [pair.row for pair in sample_pairs(rows, seed=3)]
    assert numbers == list(range(1, rows + 1))


def test_negative_numbers_are_refused_at_once() -> None:
    with pytest.raises(OptionError, match=r"rows is -1\. Give a whole number, 0 or more\."):
        sample_pairs(-1, seed=1)
    with pytest.raises(OptionError, match="seed is -5"):
        sample_pairs(1, seed=-5)


def test_the_same_rows_whatever_the_hash_seed_and_the_time_zone() -> None:
    program = (
        "from annoseq.sample import sample_pairs; from hashlib import sha256; "
        "print(sha256(repr(list(sample_pairs(400, seed=5))).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8", "TZ": zone},
            capture_output=True,
            check=True,
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "Pacific/Auckland"))
    }
    assert len(digests) == 1


def test_faker_is_imported_only_when_rows_are_made() -> None:
    program = "import sys, annoseq.sample; sys.exit('faker' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_targets_are_their_sources_with_tags(
    pairs: list[Pair], marked: list[tuple[str, list[Span]]]
) -> None:
    for pair, (text, _) in zip(pairs, marked, strict=True):
        assert text == pair.source
        assert strip_tags(pair.target) == pair.source


def test_spans_are_tight_and_lie_between_tokens(marked: list[tuple[str, list[Span]]]) -> None:
    for text, spans in marked:
        assert find_misaligned_spans(text, spans) == []
        for span in spans:
            piece = text[span.start : span.end]
            assert piece == piece.strip()
        assert all(one.end <= next_.start for one, next_ in pairwise(spans))


def test_rows_are_single_clean_lines(pairs: list[Pair]) -> None:
    for pair in pairs:
        assert pair.source == pair.source.strip() != ""
        assert not re.search(r"[\n\r\t<>{}]", pair.source.replace(" < ", "").replace(" > ", ""))
        assert not re.search(r"\.\.|a\(n\)|\b[Aa] (8|11\b|18\b)|\b[Aa]n (?!8|11|18)\d", pair.source)
    lengths = sorted(len(pair.source.split()) for pair in pairs)
    assert 5 <= lengths[len(lengths) // 2] <= 15
    assert lengths[-1] <= 45


def test_offsets_and_documents_agree(pairs: list[Pair]) -> None:
    documents = [list(rows) for _, rows in groupby(pairs, key=lambda pair: pair.document)]
    assert len({rows[0].document for rows in documents}) == len(documents) > 50
    for rows in documents:
        joined = "\n".join(pair.source for pair in rows)
        for pair in rows:
            assert pair.start is not None
            assert joined[pair.start :].startswith(pair.source)
        assert [pair.start for pair in rows] == sorted({pair.start or 0 for pair in rows})


def test_many_labels_and_many_rows_without_any(marked: list[tuple[str, list[Span]]]) -> None:
    labels = Counter(span.label for _, spans in marked for span in spans)
    assert len(labels) >= 15
    assert labels["NAME:DOCTOR"] > labels["ID:MEDICALRECORD"] > 20
    without = sum(not spans for _, spans in marked) / len(marked)
    assert 0.3 < without < 0.6


def test_dates_come_in_many_shapes(many: list[tuple[str, list[Span]]]) -> None:
    shapes = {
        re.sub(r"\d", "9", re.sub(r"[^\W\d_]{3,}", "Word", text[span.start : span.end]))
        for text, spans in many
        for span in spans
        if span.label == "DATE"
    }
    assert {"99/99/9999", "9/9", "9999-99-99", "Word 99, 9999", "99 Word 9999"} <= shapes
    assert {"99-Word-9999", "Word of 9999", "9999", "99/9999", "Word", "'99"} <= shapes
    assert "99th of Word" in shapes


def test_ages_run_from_infants_to_the_very_old(many: list[tuple[str, list[Span]]]) -> None:
    ages = {
        int(text[span.start : span.end])
        for text, spans in many
        for span in spans
        if span.label == "AGE"
    }
    assert min(ages) <= 2
    assert 95 <= max(ages) <= 101
    assert any(re.search(r"-month-old|\dmo\b|\bm[./]o", text) for text, _ in many)


def test_words_that_are_names_stand_both_tagged_and_untagged(
    many: list[tuple[str, list[Span]]],
) -> None:
    words = {
        word.lower()
        for name in ("word_surnames", "word_names_male", "word_names_female")
        for word in load_word_list(name)
    }
    tagged: set[str] = set()
    plain: set[str] = set()
    for text, spans in many:
        inside = [text[span.start : span.end] for span in spans if span.label.startswith("NAME")]
        outside = text
        for span in reversed(spans):
            outside = outside[: span.start] + " " + outside[span.end :]
        tagged |= {word for piece in inside for word in re.findall(r"\w+", piece.lower())}
        plain |= set(re.findall(r"\w+", outside.lower()))
    both = words & tagged & plain
    assert len(both) >= 25
    assert {"may", "will", "hope", "ward", "page", "rose", "young", "black"} <= both


def test_a_patient_is_named_in_several_forms(pairs: list[Pair]) -> None:
    forms: dict[str | None, set[str]] = {}
    for pair in pairs:
        found = re.findall(r"\{\{NAME:PATIENT\}\}(.*?)\{\{/", pair.target)
        forms.setdefault(pair.document, set()).update(found)
    several = sum(len(names) >= 2 for names in forms.values())
    assert several > len(forms) / 2


def test_a_person_has_an_address_in_plain_letters_at_a_reserved_domain() -> None:
    from random import Random

    from faker import Faker

    faker = Faker("en_US")
    faker.seed_instance(0)
    rng = Random(0)
    for _ in range(300):
        person = draw_person(rng, faker)
        assert re.fullmatch(r"[a-z.]+\d*@(\w+\.example|example\.(org|com))", person.email)
        assert re.fullmatch(r"[a-z]{3}\d{1,3}", person.username)
