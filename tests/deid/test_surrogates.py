"""Surrogates of every PHI type: the format of the value, and never the value itself."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from itertools import cycle
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.deid.ages import is_over_89, parse_age
from annoseq.deid.date_shift import draw_shift
from annoseq.deid.faker_values import LocaleFaker, is_initials
from annoseq.deid.keyed_rng import KeyedRng
from annoseq.deid.redaction import DetectedSpan, DocumentPart, RedactionDocument
from annoseq.deid.surrogates import SurrogateGenerator
from annoseq.errors import OptionError
from tests.deid.documents import document, locale_faker, redacted, redactor

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.deid.surrogates import SurrogateScope, SurrogateStrategy


SCOPES: tuple[SurrogateScope, ...] = ("document", "patient", "corpus")
STRATEGIES: tuple[SurrogateStrategy, ...] = ("consistent", "random")


def replaced(
    *annotated: str,
    name: str = "note",
    patient: str | None = None,
    scope: SurrogateScope = "document",
    strategy: SurrogateStrategy = "consistent",
) -> list[str]:
    """Return the surrogates of a document in their order."""
    own = redactor(scope=scope, strategy=strategy)
    made = own.redact(document(*annotated, name=name, patient=patient))
    return [change.text for one in made for change in one.replacements]


def surrogate(label: str, value: str, *, locale: str = "en_US", name: str = "note") -> str:
    one = document(f"{{{{{label}}}}}{value}{{{{/{label}}}}}", name=name)
    return redactor(locale=locale).redact(one)[0].text


@pytest.mark.parametrize(
    ("label", "value", "pattern"),
    [
        ("NAME", "Ida Ames", r"[A-Z]\w+ [A-Z]\w+"),
        ("NAME", "AMES, IDA", r"[A-Z]+, [A-Z]+"),
        ("NAME", "ida ames", r"[a-z]+ [a-z]+"),
        ("NAME", "Dr. Ida J. Ames", r"Dr\. [A-Z]\w+ [A-Z]\. [A-Z]\w+"),
        ("NAME", "Doctor Ida Ames", r"Doctor [A-Z]\w+ [A-Z]\w+"),
        ("NAME", "JDB", r"[A-Z]{3}"),
        ("NAME", "Ida de la Cruz-Ames", r"[A-Z]\w+ de la [A-Z]\w+-[A-Z]\w+"),
        ("USERNAME", "tb61", r"[a-z]{2}\d{2}"),
        ("ID", "28 28 57249", r"[1-9]\d [1-9]\d [1-9]\d{4}"),
        ("ID", "AB-0912/x", r"[A-Z]{2}-\d{4}/[a-z]"),
        ("ID", "patient ID #AB-987654", r"patient ID #[A-Z]{2}-\d{6}"),
        ("PHONE", "(310) 555-1234", r"\(\d{3}\) \d{3}-\d{4}"),
        ("ZIP", "28016", r"\d{5}"),
        ("EMAIL", "ida@hospital.org", r"[\w.]+@example\.(com|org|net)"),
        ("URL", "https://www.a.org/b", r"https://www\.[a-z0-9-]+\.example\.(com|org|net)"),
        ("IP_ADDRESS", "10.1.2.3", r"(192\.0\.2|198\.51\.100|203\.0\.113)\.\d+"),
        ("CITY", "BOSTON", r"[A-Z .'-]+"),
        ("STATE", "MA", r"[A-Z]{2}"),
        ("COUNTRY", "Peru", r".*[A-Za-z].*"),
        ("STREET", "12 Elm St", r".*\d.*"),
        ("HOSPITAL", "Boston General Hospital", r".+ General Hospital"),
        ("HOSPITAL", "Hospital de la Princesa", r"Hospital de la .+"),
        ("HOSPITAL", "UCLA Medical Center", r"(?!.*LA Med).+ Medical Center"),
        ("HOSPITAL", "St. Gertrude", r".+(?<! de)"),
        ("HOSPITAL", "General Hospital", r"\[HOSPITAL\]"),
        ("HOSPITAL", "MGH", r"[A-Z]{3}"),
        ("TERRITORIO", "E-41013", r"[A-Z]-\d{5}"),
        ("ORGANIZATION", "Arnold-Jones", r".+"),
        ("PROFESSION", "miner", r"[^A-Z]+"),
        ("AGE", "62", r"\d\d"),
        ("AGE", "12 years", r"9 years|1[0-5] years"),
        ("AGE", "02", r"0[1-5]"),
        ("AGE", "seventy-two", r"[a-z-]+"),
        ("AGE", "cinco años y 10 meses", r"(dos|tres|cuatro|seis|siete|ocho) años y \d+ meses"),
        ("AGE", "92 years", r"90\+ years"),
        ("AGE", "90", r"90\+"),
        ("AGE", "92M", r"90\+M"),
        ("AGE", "noventa y un años", r"90\+ años"),
        ("AGE", "elderly", r"\[AGE\]"),
        ("ID", "afgana", r"\[ID\]"),
        ("DATE", "Easter", r"\[DATE\]"),
        ("NAME", "Dr.", r"\[NAME\]"),
        ("SEXO_SUJETO_ASISTENCIA", "H", r"\[SEXO_SUJETO_ASISTENCIA\]"),
    ],
)
def test_a_surrogate_has_the_format_of_the_value(label: str, value: str, pattern: str) -> None:
    for name in ("one", "two", "three"):
        made = surrogate(label, value, name=name)
        assert re.fullmatch(pattern, made)
        assert value.casefold() not in made.casefold() or made == "90+"


@pytest.mark.parametrize("locale", ["es_ES", "de_DE", "fr_FR", "ja_JP"])
def test_other_locales_have_all_phi_types(locale: str) -> None:
    for label in ("NAME", "STATE", "CITY", "STREET", "HOSPITAL", "PROFESSION", "COUNTRY", "EMAIL"):
        made = surrogate(label, "Ames 12" if label == "STREET" else "Ames", locale=locale)
        assert "Ames" not in made


def test_names_keep_their_gender_where_it_is_known() -> None:
    for name in ("one", "two", "three", "four"):
        man, woman = (surrogate("NAME", one, name=name).casefold() for one in ("John", "Mary"))
        assert man in locale_faker().male_names
        assert woman in locale_faker().female_names


@pytest.mark.parametrize("accent", [True, False])
def test_spanish_names_keep_their_gender_with_and_without_accents(accent: bool) -> None:
    male, female = locale_faker("es_ES").male_names, locale_faker("es_ES").female_names
    men, women = ("José", "Joaquín", "Ramón"), ("María", "Rocío", "Sofía")
    plain = str.maketrans("éíóá", "eioa")
    for name in (*men, *women):
        value = name if accent else name.translate(plain)
        made = {
            surrogate("NAME", value, locale="es_ES", name=str(note)).casefold() for note in range(8)
        }
        assert made <= (male if name in men else female)


@pytest.mark.parametrize("scope", SCOPES)
def test_a_surrogate_of_a_name_is_no_part_of_it(
    scope: SurrogateScope, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = cycle(["Berto", "Hugo"])
    monkeypatch.setattr("annoseq.deid.surrogates.fake_name_word", lambda *_: next(draws))
    for strategy in STRATEGIES:
        made = replaced("{{P}}Alberto{{/P}}", scope=scope, patient="a", strategy=strategy)
        assert made == ["Hugo"]


def test_a_surrogate_of_a_name_is_no_other_name_without_accents(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draws = cycle(["Gómez", "Hugo", "Rubio"])
    monkeypatch.setattr("annoseq.deid.surrogates.fake_name_word", lambda *_: next(draws))
    assert replaced("{{P}}Caldera Gomez{{/P}}") == ["Hugo Rubio"]


def test_spanish_abbreviations_of_names_and_titles_are_known() -> None:
    maria, *_ = surrogate("NAME", "Mª José", locale="es_ES").split()
    assert maria.casefold() in locale_faker("es_ES").female_names
    assert surrogate("NAME", "Lic. Pérez", locale="es_ES").startswith("Lic. ")
    assert ".ª " in surrogate("NAME", "M.ª Pérez", locale="es_ES")


def test_a_number_with_words_that_are_not_known_gets_its_label() -> None:
    assert surrogate("ID", "Residente de 5° año") == "[ID]"
    assert re.fullmatch(r"nº colegiado \d{6}", surrogate("ID", "nº colegiado 282856"))


def test_one_small_letter_makes_no_surrogate_small() -> None:
    assert not surrogate("STREET", "114 y 31").islower()


def test_a_word_of_a_name_is_the_same_throughout_a_document_in_any_form() -> None:
    full, last, capitals, initial = replaced(
        "{{P}}Ida Ames{{/P}}, {{P}}Ames{{/P}}; {{P}}AMES,IDA{{/P}}; {{P}}I. Ames{{/P}}"
    )
    first, family = full.split()
    assert last == family
    assert capitals == f"{family},{first}".upper()
    assert initial == f"{first[0]}. {family}"


def test_a_name_is_the_same_in_either_unicode_form() -> None:
    for scope in ("document", "corpus"):
        composed, decomposed, capitals = replaced(
            "{{P}}Jos\xe9 Pe\xf1a{{/P}}, {{P}}Jose\u0301 Pen\u0303a{{/P}}, {{P}}PEN\u0303A{{/P}}",
            scope=scope,
        )
        assert composed == decomposed
        assert composed.upper().endswith(f" {capitals}")


def test_two_names_never_become_each_other() -> None:
    people = ["Smith", "Johnson", "Williams", "Brown", "Jones", "Miller", "Davis"]
    made = replaced(" ".join(f"{{{{P}}}}{name}{{{{/P}}}}" for name in people))
    assert len(set(made)) == len(people)
    assert not set(made) & set(people)


def test_dates_of_a_document_keep_their_distances_and_age_its_value() -> None:
    made = replaced("{{D}}1/2/2010{{/D}} {{D}}1/12/2010{{/D}} {{A}}62{{/A}} {{A}}62{{/A}}")
    days = [int(part) for one in made[:2] for part in one.split("/")]
    assert made[2] == made[3] != "62"
    assert days[:3] != [1, 2, 2010]
    (alone,) = replaced("{{D}}1/2/2010{{/D}}")
    assert alone == made[0]


TEXT = "{{P}}Ida Ames{{/P}} {{I}}0123456{{/I}} {{D}}1/2/2010{{/D}} {{C}}Boston{{/C}}"


def test_documents_differ_unless_they_share_their_surrogates() -> None:
    one, other = (replaced(TEXT, name=name) for name in "ab")
    assert all(mine != theirs for mine, theirs in zip(one, other, strict=True))
    same = [replaced(TEXT, name=name, scope="corpus") for name in "ab"]
    assert same[0] == same[1]


def test_documents_of_a_patient_share_their_surrogates_and_those_of_others_do_not() -> None:
    one, same, other = (
        replaced(TEXT, name=name, scope="patient", patient=patient)
        for name, patient in (("a", "p1"), ("b", "p1"), ("c", "p2"))
    )
    assert one == same
    assert all(mine != theirs for mine, theirs in zip(one, other, strict=True))
    with pytest.raises(OptionError, match=r"a document has no patient. Name the column"):
        replaced(TEXT, scope="patient")


def test_a_value_has_one_surrogate_in_a_patients_documents_whatever_else_they_say() -> None:
    value = "{{P}}I. Ames{{/P}} {{C}}Boston{{/C}}"
    others = ("", "{{P}}Ida Ames{{/P}}", "{{P}}Ines{{/P}} {{C}}BOSTON{{/C}}", "{{P}}AMES{{/P}}")
    made = [
        replaced(value, other, name=str(number), scope="patient", patient="p")[:2]
        for number, other in enumerate(others)
    ]
    assert made[1:] == made[:-1]
    full = replaced("{{P}}Ida Ames{{/P}} {{P}}I. Ames{{/P}}", scope="patient", patient="p")
    assert full[1] == f"{full[0][0]}. {full[0].split()[1]}"


def test_a_shared_surrogate_that_is_a_name_of_the_document_gives_way_to_the_label() -> None:
    (name,) = replaced("{{P}}Ames{{/P}}", scope="patient", patient="p")
    text = f"{{{{P}}}}Ames{{{{/P}}}} {{{{NAME:DOCTOR}}}}{name}{{{{/NAME:DOCTOR}}}}"
    patient, doctor = replaced(text, scope="patient", patient="p")
    assert patient == "[NAME:PATIENT]"
    assert doctor != name


@settings(max_examples=40, deadline=None)
@given(
    patients=st.lists(st.text(min_size=1, max_size=5), min_size=2, max_size=2, unique=True),
    documents=st.lists(st.text(min_size=1, max_size=5), min_size=2, max_size=2),
    key=st.binary(min_size=32, max_size=40),
)
def test_shifts_and_surrogates_follow_from_key_and_patient_alone(
    patients: list[str], documents: list[str], key: bytes
) -> None:
    def made(name: str, patient: str) -> list[str]:
        own = redactor(scope="patient", key=key)  # as in another run
        return [
            change.text
            for text in own.redact(document(TEXT, name=name, patient=patient))
            for change in text.replacements
        ]

    first, again = (made(name, patients[0]) for name in documents)
    other = made(documents[0], patients[1])
    assert first == again
    assert first != other


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("scope", SCOPES)
def test_documents_without_a_name_are_known_by_their_place_and_text(
    scope: SurrogateScope, strategy: SurrogateStrategy
) -> None:
    # Two different keyed draws are alike by chance for few of these values.
    values = "{{P}}Zorba{{/P}} {{I}}1234567{{/I}} {{D}}3/4/2010{{/D}} {{C}}Boston{{/C}}"

    def made(text: str, name: str, *, is_named: bool = False) -> list[str]:
        one = replace(document(text, name=name, patient="p"), is_named=is_named)
        texts = redactor(scope=scope, strategy=strategy).redact(one)
        return [change.text for change in texts[0].replacements]

    first = made(values, "1")
    others = [made(values + " came.", "1"), made(values, "2"), made(values, "1", is_named=True)]
    assert first == made(values, "1")
    if scope == "document":
        assert all(first[at] != other[at] for at in range(4) for other in others)
    elif strategy == "random":
        assert all(first[at] != other[at] for at in (0, 1, 3) for other in others)
        assert all(first[2] == other[2] for other in others)
    else:
        assert all(first == other for other in others)


def test_offsets_of_patients_are_spread_evenly() -> None:
    days = []
    for number in range(400):
        generator = SurrogateGenerator(locale_faker(), KeyedRng(b"k" * 32), "patient")
        scope = generator.scope_of(document("x", patient=str(number)))
        days.append(draw_shift(generator.rng.generator(*scope, "days", "0")))
    assert 150 < sum(day > 0 for day in days) < 250
    assert len(set(days)) > 200
    assert {day % 7 for day in days} == {1, 2, 3, 4, 5, 6}
    weeks = {draw_shift(Random(number), by_weeks=True) for number in range(400)}
    assert {day % 7 for day in weeks} == {0}
    assert all(80 < abs(day) % 365 < 285 for day in weeks)


def test_random_surrogates_are_new_for_each_occurrence_and_dates_still_move_alike() -> None:
    name, city = "{{P}}Ida Ames{{/P}}", "{{C}}Boston{{/C}}"
    text = f"{name} {name} {{{{P}}}}Ames{{{{/P}}}} {city} {city}"
    made = replaced(text, text, strategy="random")
    names = [*made[:2], *made[5:7]]
    assert len(set(names)) == 4
    assert not any("Ames" in name or "Ida" in name for name in names)
    assert made[3] != made[4]
    assert made == replaced(text, text, strategy="random")
    dates = replaced("{{D}}1/2/2010{{/D}} {{D}}1/2/2010{{/D}}", strategy="random")
    assert dates[0] == dates[1]


@settings(max_examples=25, deadline=None)
@given(
    label=st.sampled_from(["NAME", "ID", "CITY", "AGE", "EMAIL", "HOSPITAL", "URL", "STREET"]),
    value=st.text(min_size=1, max_size=8).filter(lambda text: bool(text.strip())),
    scope=st.sampled_from(SCOPES),
    strategy=st.sampled_from(STRATEGIES),
)
def test_no_surrogate_of_any_scope_or_strategy_holds_its_value(
    label: str, value: str, scope: SurrogateScope, strategy: SurrogateStrategy
) -> None:
    part = DocumentPart("1", value, (DetectedSpan(0, len(value), label),), patient="p")
    made = redactor(scope=scope, strategy=strategy).redact(RedactionDocument("n", (part,)))
    for change in made[0].replacements:
        holds = change.original.casefold() in change.text.casefold()
        assert change.action != "surrogate" or not holds or "90+" in change.text


@settings(max_examples=25, deadline=None)
@given(
    label=st.sampled_from(["NAME", "ID", "CITY", "DATE", "EMAIL", "HOSPITAL", "URL", "STREET"]),
    value=st.text(min_size=1, max_size=8).filter(lambda text: bool(text.strip())),
)
def test_no_surrogate_holds_its_value(label: str, value: str) -> None:
    values = redactor().redact(document("x"))  # begin with an empty document
    assert values[0].replacements == ()
    one = RedactionDocument("n", (DocumentPart("1", value, (DetectedSpan(0, len(value), label),)),))
    for change in redactor().redact(one)[0].replacements:
        assert change.action == "label" or change.original.casefold() not in change.text.casefold()


def test_ages_in_other_units_than_years_are_not_above_89() -> None:
    (months,) = replaced("{{A}}92 months{{/A}}")
    assert re.fullmatch("(89|9[0134-5]) months", months)
    assert replaced("{{A}}92 years{{/A}}") == ["90+ years"]


def test_initials_are_told_from_names() -> None:
    assert [is_initials(word) for word in ("J", "JB", "IDA", "IVY", "Jo")] == [True] * 2 + [
        False
    ] * 3


def key_file(folder: Path, key: bytes, mode: int = 0o600) -> Path:
    path = folder / "key"
    path.write_bytes(key)
    path.chmod(mode)
    return path


def test_the_key_is_drawn_or_read_from_a_file(tmp_path: Path) -> None:
    assert KeyedRng().key != KeyedRng().key
    assert "key" not in repr(KeyedRng())
    path = key_file(tmp_path, b"0123456789abcdef" * 2 + b"\n")
    one, same = (KeyedRng.load(path) for _ in "12")
    assert one.digest("a", "b") == same.digest("a", "b") != one.digest("ab", "")
    assert one.fingerprint == same.fingerprint != KeyedRng().fingerprint
    path.chmod(0o400)
    assert KeyedRng.load(path) == one


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (b"0123456789abcdef" * 4 + b"\n", b"0123456789abcdef" * 4),
        (b"0123456789abcdef" * 4 + b"\r\n", b"0123456789abcdef" * 4),
        ("ü".encode() * 16 + b"\n", "ü".encode() * 16),
        (b" " + b"x" * 32 + b" \n", b" " + b"x" * 32 + b" "),
        (b"\x0b" + b"\xff" * 30 + b"\n", b"\x0b" + b"\xff" * 30 + b"\n"),
        (b"\r" + b"\x00" * 31, b"\r" + b"\x00" * 31),
        ((b"y" * 40 + b"\r\n") * 2, b"y" * 40 + b"\r\n" + b"y" * 40),
    ],
)
def test_the_line_break_after_a_text_is_no_part_of_the_key(
    content: bytes, key: bytes, tmp_path: Path
) -> None:
    assert KeyedRng.load(key_file(tmp_path, content)).key == key


def test_keyed_hashes_are_those_of_the_standard() -> None:
    # RFC 4231, test case 2, whose message here follows its length.
    import hashlib
    import hmac

    message = (28).to_bytes(8, "big") + b"what do ya want for nothing?"
    expected = hmac.new(b"Jefe", message, hashlib.sha256).digest()
    assert KeyedRng(b"Jefe").digest("what do ya want for nothing?") == expected


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o602])
def test_a_key_that_others_may_read_is_refused(mode: int, tmp_path: Path) -> None:
    path = key_file(tmp_path, b"x" * 64, mode)
    with pytest.raises(OptionError, match=rf"key: found the mode {mode:04o}: others .* chmod 600"):
        KeyedRng.load(path)


def test_invalid_keys_and_locales_are_refused(tmp_path: Path) -> None:
    short = key_file(tmp_path, b"0123456789abcdef")
    with pytest.raises(OptionError, match=r"found a key of 16 bytes. Use one of at least 32"):
        KeyedRng.load(short)
    with pytest.raises(OptionError, match=r"found a key of 0 bytes. Use one of at least 32"):
        KeyedRng.load(key_file(tmp_path, b" " * 40))
    with pytest.raises(OptionError, match=r"the key cannot be read: No such file.*openssl rand"):
        KeyedRng.load(tmp_path / "none")
    with pytest.raises(OptionError, match=r"--locale xx_YY: there are no names of this locale"):
        LocaleFaker("xx_YY")


def test_an_age_has_one_surrogate_however_it_is_written() -> None:
    for name in map(str, range(5)):
        digits, years, same = replaced(
            "{{A}}47{{/A}}", "{{A}}47 años{{/A}}", "{{A}}cuarenta y siete{{/A}}", name=name
        )
        assert years == f"{digits} años"
        assert digits != "47"
        assert not same.isdigit()


def test_a_value_over_two_lines_is_not_its_own_surrogate() -> None:
    for number in range(300):
        assert surrogate("STATE", "New\nYork", name=f"note {number}") != "New York"


def test_towns_have_their_whole_names() -> None:
    faker = locale_faker("es_ES").seeded(Random(1))
    found = {faker.fake("city") for _ in range(500)}
    assert "Ciudad" not in found
    assert "Ciudad Real" in found


@pytest.mark.parametrize("digits", [4, 5_000, 100_000])
def test_a_number_that_is_no_age_gets_the_label(digits: int) -> None:
    age = "7" * digits
    assert redacted("surrogate", f"Aged {{{{A}}}}{age}{{{{/A}}}} years") == "Aged [AGE] years"
    assert is_over_89(parse_age(age) or ())


def test_dates_without_a_year_move_with_those_that_have_it() -> None:
    for key in range(30):
        texts = ("{{D}}12 March 2011{{/D}}", "{{D}}12 March{{/D}}", "{{D}}10-12 March 2011{{/D}}")
        generator = redactor(key=f"a key of sixteen bytes {key}".encode())
        full, short, days = (text.text for text in generator.redact(document(*texts)))
        assert full.startswith(short)
        assert days.endswith(full)


@pytest.mark.parametrize("label", ["A", "D", "I", "H", "C", "P"])
@pytest.mark.parametrize(
    "value", ["7" * 5_000, "hospital " * 3_000 + "x", "3-" * 5_000, "a" * 9_000]
)
def test_a_long_value_takes_no_long_time(label: str, value: str) -> None:
    begun = time.process_time()
    assert value not in redacted("surrogate", f"{{{{{label}}}}}{value}{{{{/{label}}}}}")
    assert time.process_time() - begun < 5
