from __future__ import annotations

from collections import defaultdict
from random import Random
from typing import TYPE_CHECKING

import pytest
from faker import Faker

from annoseq.data.markup import Span
from annoseq.sample.case import Case, draw_case
from annoseq.sample.templates import (
    Alternatives,
    NoteTemplate,
    Slot,
    TemplatePart,
    fill_template,
    load_document_types,
    load_pools,
    parse_document_type,
    parse_template,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

LABELS = {
    *("NAME:DOCTOR", "NAME:PATIENT", "NAME:USERNAME", "DATE", "AGE", "PROFESSION"),
    *("LOCATION:HOSPITAL", "LOCATION:STREET", "LOCATION:CITY", "LOCATION:STATE"),
    *("LOCATION:ZIP", "LOCATION:COUNTRY", "LOCATION:ORGANIZATION", "CONTACT:URL"),
    *("CONTACT:PHONE", "CONTACT:FAX", "CONTACT:EMAIL", "ID:MEDICALRECORD", "ID:IDNUM"),
    *("ID:DEVICE", "ID:HEALTHPLAN"),
}


class ConstantContext:
    """Template context with the same value for every slot."""

    def __init__(self, word: str) -> None:
        self.word = word

    def value(self, name: str, limits: str) -> str:
        return self.word

    def meets(self, condition: str) -> bool:
        return True


def every_template() -> list[NoteTemplate]:
    sections = [section for kind in load_document_types() for section in kind.sections]
    lines = [line for section in sections for line in section.lines]
    lines += [line for pool in load_pools().values() for line in pool]
    return [template for line in lines for template in line.templates]


def wordings(parts: tuple[TemplatePart, ...]) -> Iterator[tuple[TemplatePart, ...]]:
    """Yield the parts with alternatives chosen, so that each option occurs once."""
    options = max(
        [len(part.options) for part in parts if isinstance(part, Alternatives)], default=1
    )
    for turn in range(options):
        chosen: list[TemplatePart] = []
        for part in parts:
            match part:
                case Alternatives(options=choices):
                    chosen += choices[turn % len(choices)]
                case _:
                    chosen.append(part)
        yield tuple(chosen)


def filled(text: str, word: str) -> tuple[str, list[Span]]:
    return fill_template(parse_template(text, "here"), ConstantContext(word), Random(0))


def cases() -> list[Case]:
    faker = Faker("en_US")
    faker.seed_instance(4)
    rng = Random(4)
    return [draw_case(rng, faker, ages=(age, age)) for age in range(102)]


def test_there_are_many_templates_of_many_document_types() -> None:
    assert len(load_document_types()) >= 8
    assert len({template.text for template in every_template()}) >= 400


def test_every_wording_of_every_template_can_be_filled() -> None:
    rng = Random(0)
    for case in cases()[::9]:
        for template in every_template():
            assert case.meets(template.condition) in (True, False)
            for parts in wordings(template.parts):
                text, spans = fill_template(NoteTemplate(template.text, "", parts), case, rng)
                assert text == text.strip() != ""
                assert all(text[span.start : span.end].strip() for span in spans)


def test_labels_are_known_and_a_value_always_has_the_same_one() -> None:
    labels: defaultdict[str, set[str]] = defaultdict(set)
    for template in every_template():
        for parts in wordings(template.parts):
            for slot in parts:
                if isinstance(slot, Slot):
                    labels[slot.value].add(slot.label)
    assert set().union(*labels.values()) == LABELS | {""}
    several = {value for value, found in labels.items() if len(found) > 1}
    assert several == {"number"}  # one kind of number serves as ID:IDNUM and ID:DEVICE


def test_every_pool_that_is_used_exists_and_every_pool_is_used() -> None:
    sections = [section for kind in load_document_types() for section in kind.sections]
    used = {pool for section in sections for pool, _, _ in section.pools}
    assert used == set(load_pools())


def test_a_filled_template_has_spans() -> None:
    found = filled("Dear Dr. <NAME:DOCTOR gp.last>:", "Ames")
    assert found == ("Dear Dr. Ames:", [Span(9, 13, "NAME:DOCTOR")])


@pytest.mark.parametrize(
    ("word", "text"),
    [
        *(("8", "an 8"), ("80", "an 80"), ("18", "an 18"), ("180", "a 180"), ("11", "an 11")),
        *(("64", "a 64"), ("1", "a 1"), ("baker", "a baker"), ("usher", "an usher")),
        *(("upholsterer", "an upholsterer"), ("unicyclist", "a unicyclist")),
    ],
)
def test_the_article_fits_what_follows(word: str, text: str) -> None:
    assert filled("a(n) <AGE age>", word)[0] == text


def test_the_day_leaves_its_article_outside() -> None:
    text, spans = filled("on <DATE admit.day>.", "the 14th of March")
    assert text == "on the 14th of March."
    assert [text[span.start : span.end] for span in spans] == ["14th of March"]


def test_a_sentence_ends_with_one_full_stop() -> None:
    assert filled("Start <medicine>.", "aspirin b.i.d.")[0] == "Start aspirin b.i.d."


@pytest.mark.parametrize(
    "text", ["<NAME:DOCTOR>", "<name gp.last>", "{a|b", "x}", "<gp.last", "a>b"]
)
def test_syntax_errors_are_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"here has a stray '[<>{}]'\. Write it as SYNTAX\.md"):
        parse_template(text, "here")


def test_comparisons_are_ordinary_text() -> None:
    assert filled("Troponin < 0.01, growth > 100,000", "")[0] == "Troponin < 0.01, growth > 100,000"


def test_a_file_is_read_into_sections() -> None:
    note = parse_document_type(
        "note", "# x\n@ages 1-9\n@planned\n[head]\nA\n| B\n? C\n[body 1-2 +plain 0-3]\nD\n"
    )
    assert note.ages == (1, 9)
    assert note.is_planned
    head, body = note.sections
    assert [[template.text for template in line.templates] for line in head.lines] == [
        ["A", "B"],
        ["C"],
    ]
    assert [line.is_optional for line in head.lines] == [False, True]
    assert (body.least, body.most, body.pools) == (1, 2, (("plain", 0, 3),))


def test_a_line_out_of_place_is_named() -> None:
    with pytest.raises(ValueError, match=r"note\.txt: line 1 stands before the first \[section\]"):
        parse_document_type("note", "A\n")
    with pytest.raises(ValueError, match=r"note\.txt: line 2 is another wording of nothing"):
        parse_document_type("note", "[head]\n| A\n")
