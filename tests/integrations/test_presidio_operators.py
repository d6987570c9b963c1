from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from presidio_anonymizer import AnonymizerEngine
from presidio_anonymizer.entities import OperatorConfig, RecognizerResult

from annoseq.errors import OptionError
from annoseq.integrations.presidio_operators import (
    OPERATOR,
    EntitySurrogates,
    SurrogateOperator,
    surrogate_operators,
)

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "John Ames met Anna Bond on 12 May 2020 and 3 June 2020. Ames, John: MRN 445566, a X94Z."
ENTITIES = {
    "John Ames": "PERSON",
    "Anna Bond": "PERSON",
    "12 May 2020": "DATE_TIME",
    "3 June 2020": "DATE_TIME",
    "Ames, John": "PERSON",
    "445566": "ID",
    "X94Z": "GENE",
}
RESULTS = [
    RecognizerResult(entity, TEXT.index(value), TEXT.index(value) + len(value), 0.9)
    for value, entity in ENTITIES.items()
]
PATTERN = re.compile(
    r"(?P<first>\w+) (?P<last>\w+) met (?P<other>\w+ \w+) on (?P<one>\d+ \w+ \d{4}) and "
    r"(?P<two>\d+ \w+ \d{4})\. (?P<again>\w+, \w+): MRN (?P<id>\d{6}), a <GENE>\."
)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "secret.key"
    path.write_text("0123456789abcdef" * 4)
    path.chmod(0o600)
    return path


def anonymize(operators: dict[str, OperatorConfig]) -> str:
    engine = AnonymizerEngine()  # type: ignore[no-untyped-call]
    engine.add_anonymizer(SurrogateOperator)
    text: str = engine.anonymize(TEXT, RESULTS, operators=operators).text
    return text


def keyed(params: dict[str, Any]) -> str:
    return anonymize({"DEFAULT": OperatorConfig(OPERATOR, params)})


def fields(text: str) -> dict[str, str]:
    match = PATTERN.fullmatch(text)
    assert match is not None
    return match.groupdict()


def days_between(text: str) -> int:
    import pandas as pd

    found = fields(text)
    return (pd.Timestamp(found["two"]) - pd.Timestamp(found["one"])).days


def test_surrogates_of_a_document_agree_and_dates_keep_their_distance() -> None:
    text = anonymize(surrogate_operators(TEXT, RESULTS))
    found = fields(text)
    assert found["again"] == f"{found['last']}, {found['first']}"
    assert days_between(text) == 22
    assert not {"John", "Ames", "Anna", "Bond", "445566", "12 May 2020"} & set(found.values())


def test_surrogates_follow_from_key_document_and_patient(key: Path) -> None:
    def document(**options: Any) -> str:
        return anonymize(surrogate_operators(TEXT, RESULTS, key=key, **options))

    assert document(document="1") == document(document="1") != document(document="2")
    same = document(document="1", patient="p"), document(document="2", patient="p")
    assert same[0] == same[1] != document(document="1", patient="q")
    assert anonymize(surrogate_operators(TEXT, RESULTS)) != anonymize(
        surrogate_operators(TEXT, RESULTS)
    )


def test_texts_without_a_name_have_surrogates_of_their_own(key: Path) -> None:
    def made(text: str, **options: Any) -> tuple[str | None, ...]:
        found = [RecognizerResult("PERSON", 0, 5, 0.9), RecognizerResult("DATE_TIME", 9, 17, 0.9)]
        operators = surrogate_operators(text, found, key=key, **options)
        surrogates = operators["DEFAULT"].params["surrogates"]
        return tuple(
            surrogates.surrogate(one.entity_type, text[one.start : one.end]) for one in found
        )

    first, other = "Zorba on 3/4/2010", "Zorba on 3/4/2010, alone"
    assert made(first) == made(first)
    assert all(mine != theirs for mine, theirs in zip(made(first), made(other), strict=True))
    assert made(first, document="d") == made(other, document="d")


def test_a_configuration_with_a_key_has_one_surrogate_for_a_value_everywhere(key: Path) -> None:
    text = keyed({"key": str(key)})
    found = fields(text)
    assert text == keyed({"key": str(key)})
    assert found["again"] == f"{found['last']}, {found['first']}"
    assert days_between(text) == 22
    patients = [keyed({"key": str(key), "patient": patient}) for patient in ("p", "p", "q")]
    assert patients[0] == patients[1] != patients[2]
    german = keyed({"key": str(key), "locale": "de_DE"})
    assert german != text


def test_whole_weeks_keep_the_weekday(key: Path) -> None:
    import pandas as pd

    text = anonymize(surrogate_operators(TEXT, RESULTS, key=key, shift_by="weeks"))
    day = pd.Timestamp(fields(text)["one"])
    assert day.day_name() == pd.Timestamp("2020-05-12").day_name()
    assert day != pd.Timestamp("2020-05-12")


def test_entities_of_ones_own_have_phi_types(key: Path) -> None:
    for operators in (
        surrogate_operators(TEXT, RESULTS, phi_types={"GENE": "id"}),
        {"DEFAULT": OperatorConfig(OPERATOR, {"key": key, "phi_types": {"GENE": "id"}})},
    ):
        text = anonymize(operators)
        assert re.search(r", a [A-Z]\d\d[A-Z]\.$", text)
        assert "X94Z" not in text


def test_a_value_without_a_safe_surrogate_becomes_its_entity() -> None:
    surrogates = surrogate_operators(TEXT, RESULTS)["DEFAULT"].params["surrogates"]
    params = {"surrogates": surrogates, "entity_type": "DATE_TIME"}
    assert SurrogateOperator().operate("in the spring of life", params) == "<DATE_TIME>"


def test_nothing_of_a_document_is_in_a_log_of_the_operators() -> None:
    operators = surrogate_operators(TEXT, RESULTS)
    assert repr(operators["DEFAULT"].params) == "{'surrogates': <EntitySurrogates>}"
    assert isinstance(operators["DEFAULT"].params["surrogates"], EntitySurrogates)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, r"annoseq_surrogate: found no key. Give key, a file of a secret"),
        ({"key": "k", "lokale": "x"}, r"there is no parameter lokale. Use key, locale"),
        ({"key": "nowhere.key"}, r"nowhere.key: the key cannot be read"),
        ({"key": None, "locale": "xx_XX"}, r"there are no names of this locale"),
        ({"key": None, "shift_by": "months"}, r"shift_by: found no unit. Use days or weeks"),
        ({"key": None, "phi_types": {"GENE": "gene"}}, r"phi_types: gene is no PHI type"),
    ],
)
def test_invalid_parameters_are_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        keyed(params)


def test_an_empty_id_is_refused(key: Path) -> None:
    with pytest.raises(OptionError, match=r"document: found an empty id. Give one, or leave docum"):
        surrogate_operators(TEXT, RESULTS, key=key, document=" ")
    for refused in (
        lambda: surrogate_operators(TEXT, RESULTS, key=key, patient=""),
        lambda: keyed({"key": key, "patient": ""}),
    ):
        with pytest.raises(OptionError, match=r"patient: found an empty id"):
            refused()


def test_a_patient_without_a_key_is_refused() -> None:
    with pytest.raises(OptionError, match=r"all documents of a patient follow from a key"):
        surrogate_operators(TEXT, RESULTS, patient="p")
