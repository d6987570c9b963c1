from __future__ import annotations

from random import Random

import pytest
from faker import Faker

from annoseq.sample.case import Case, draw_case


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    faker = Faker("en_US")
    faker.seed_instance(9)
    rng = Random(9)
    return [draw_case(rng, faker, ages=(0, 101)) for _ in range(600)]


def test_events_follow_each_other(cases: list[Case]) -> None:
    before, stay = ("birth", "prior", "onset", "admit"), ("surgery", "today", "discharge")
    order = (*before, *stay, "typed", "followup")
    for case in cases:
        days = [case.dates[name] for name in order]
        assert days == sorted(days)
        assert case.dates["surgery"] < case.dates["today"] < case.dates["discharge"]
        assert case.dates["birth"] < case.dates["referral"] < case.dates["admit"]
        assert case.dates["followup"].weekday() < 5


def test_age_agrees_with_the_dates_of_birth_and_stay(cases: list[Case]) -> None:
    for case in cases:
        birth = case.dates["birth"]
        for name in ("referral", "admit"):
            day = case.dates[name]
            years = day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))
            assert years == case.age


def test_words_agree_with_the_patient(cases: list[Case]) -> None:
    for case in cases:
        words = tuple(case.value(name, "") for name in ("he", "his", "He", "sex", "M"))
        male, female = ("he", "his", "He", "male", "M"), ("she", "her", "She", "female", "F")
        assert words == (male if case.is_male else female)
        child = case.value("man", "") in ("boy", "girl")
        assert child == (case.age < 18)
        assert case.value("relative", "") != ("husband" if case.is_male else "wife")


def test_there_is_a_planned_condition_for_every_age() -> None:
    faker = Faker("en_US")
    cases = [draw_case(Random(age), faker, ages=(age, age), is_planned=True) for age in range(102)]
    assert {case.age for case in cases} == set(range(102))
    assert not any("acute app" in case.value("diagnosis", "") for case in cases)


def test_small_children_are_counted_in_months(cases: list[Case]) -> None:
    small = [case for case in cases if case.age < 2]
    assert small
    for case in small:
        assert case.value("unit", "") == "month"
        assert 1 <= int(case.value("age", "")) <= 24


def test_numbers_keep_to_their_limits(cases: list[Case]) -> None:
    values = [cases[0].value("dec", "0.5-1.5") for _ in range(200)]
    assert all(0.5 <= float(value) <= 1.5 and len(value) == 3 for value in values)
    assert {cases[0].value("num", "3-5") for _ in range(100)} == {"3", "4", "5"}


def test_one_document_prints_its_dates_in_one_shape(cases: list[Case]) -> None:
    assert len({cases[0].value("admit.numeric", "") for _ in range(50)}) == 1
    assert len({cases[0].value("admit.dated", "") for _ in range(50)}) > 3


def test_an_unknown_value_is_an_error(cases: list[Case]) -> None:
    with pytest.raises(KeyError, match="doctr"):
        cases[0].value("doctr.last", "")
