"""Years, 90+ and three digits: the forms that Safe Harbor allows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.deid.generalisation import Generaliser, ZipTable, generalise_age
from annoseq.errors import OptionError, TableError

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.deid.phi_types import PhiType

ZIP_TABLE = ZipTable.load(None)
GENERALISER = Generaliser(ZIP_TABLE, year=2026)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("12 March 2010", "2010"),
        ("3/4/2010", "2010"),
        ("2010", "2010"),
        ("26-julio-2004", "2004"),
        ("12-15 March 2010", "2010"),
        ("28 December 2009 - 2 January 2010", "2009, 2010"),
        ("'93", "1993"),
        ("3/4/1936", "90+"),
        ("3/4/1937", "1937"),
        ("1911", "90+"),
        ("May 1931 and May 1951", "90+, 1951"),
        ("12 March", None),
        ("Friday", None),
        ("Christmas", None),
        ("3/4/10", None),  # 1910 or 2010
        ("3/4/31", "90+"),  # 1931: 2031 is not yet
        ("a year ago, in 2010", None),
        ("April 31, 2010", "2010"),
    ],
)
def test_a_date_becomes_its_year(value: str, expected: str | None) -> None:
    assert GENERALISER.generalise("date", value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("47", "47"),
        ("47-year-old", "47-year-old"),
        ("89 years", "89 years"),
        ("90", "90+"),
        ("93-year-old", "90+"),
        ("ninety-two years of age", "90+"),
        ("noventa y un años", "90+"),
        ("90 years 3 months", "90+"),
        ("18 months", "18 months"),
        ("100 months", "100 months"),
        ("cinco años y 10 meses", "cinco años y 10 meses"),
        ("92 y 3 mo", "90+"),
        ("ninety-two y 3 mo", "90+"),
        ("93 y 2 weeks", "90+"),
        ("92 y/o", "90+"),
        ("92 y.o.", "90+"),
        ("92 a", "90+"),
        ("92M", "90+"),
        ("92 M", "90+"),
        ("92-H", "90+"),
        ("92 w", "90+"),
        ("45M", "45M"),
        ("92 y 3 m", "90+"),
        ("3 y 95 d", "3 y 95 d"),
        ("95 d 2 h", None),
        ("over 89", "90+"),
        ("89+", "90+"),
        ("over 80", "over 80"),
        ("1 y 95 days", "1 y 95 days"),
        ("2 años y 3 meses", "2 años y 3 meses"),
        ("3/4/21", None),
        ("12-34-56", None),
        ("33,000 days", None),
        ("3 to 4 weeks", None),
        ("47, Ida Ames", None),
        ("elderly", None),
        ("1931", None),
        ("90s", None),
    ],
)
def test_an_age_above_89_becomes_one_category(value: str, expected: str | None) -> None:
    assert GENERALISER.generalise("age", value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("02115", "021"),
        (" 02115-1234 ", "021"),
        ("021151234", "021"),
        ("021", "021"),
        ("03601", "000"),
        ("893", "000"),
        ("28016 Madrid", None),
        ("E-41013", None),
        ("SW1A 1AA", None),
        ("0211", None),
        ("٠٢١١٥", None),
    ],
)
def test_a_zip_code_becomes_three_digits_or_000(value: str, expected: str | None) -> None:
    assert GENERALISER.generalise("zip", value) == expected


@pytest.mark.parametrize(
    ("phi_type", "value", "is_known"),
    [
        ("state", "MA", True),
        ("state", "Massachusetts", True),
        ("state", "N.Y.", True),
        ("state", "NEW  YORK", True),
        ("state", "Puerto Rico", True),
        ("state", "Boston", False),
        ("state", "Boston, MA", False),
        ("country", "the United States", True),
        ("country", "USA", True),
        ("country", "España", True),
        ("country", "EE. UU.", True),
        ("country", "Ida Ames", False),
        ("country", "Pitcairn Islands", False),
        ("city", "MA", False),
    ],
)
def test_a_region_stays_if_it_is_a_known_one(phi_type: PhiType, value: str, is_known: bool) -> None:
    assert GENERALISER.generalise(phi_type, value) == (value if is_known else None)


def test_the_shipped_table_is_that_of_the_2020_census() -> None:
    assert ZIP_TABLE.census == "2020"
    assert " ".join(sorted(ZIP_TABLE.sparse)) == (
        "036 059 102 202 203 204 205 369 556 692 753 772 821 823 878 879 884 893"
    )
    assert ZIP_TABLE.known is not None
    assert len(ZIP_TABLE.known) == 894
    assert ZIP_TABLE.generalise("96201") == "000"  # a military address, which no census area has


@settings(deadline=None)
@given(st.from_regex(r"[0-9]{5}(-[0-9]{4})?", fullmatch=True) | st.text(max_size=12))
def test_no_sparse_area_is_ever_written(value: str) -> None:
    written = GENERALISER.generalise("zip", value)
    assert written is None or re.fullmatch("[0-9]{3}", written)
    assert (
        written in {None, "000"} or written in (ZIP_TABLE.known or frozenset()) - ZIP_TABLE.sparse
    )
    if written not in {None, "000"}:
        assert value.strip().startswith(written or "")


@settings(deadline=None)
@given(st.text(max_size=30) | st.from_regex(r"[0-9]{1,4}([ /-](years|months|May|[0-9]{1,4})){0,3}"))
def test_no_year_and_no_age_is_written_that_tells_an_age_above_89(value: str) -> None:
    years = GENERALISER.generalise("date", value)
    assert years is None or all(
        year == "90+" or (re.fullmatch("[0-9]{4}", year) and 2026 - int(year) < 90)
        for year in years.split(", ")
    )
    age = generalise_age(value)
    if age is not None and age != "90+":
        assert age == value
        assert "months" in age or all(int(number) < 90 for number in re.findall(r"\d+", age))


def test_another_table_takes_the_place_of_the_shipped_one(tmp_path: Path) -> None:
    path = tmp_path / "zip.csv"
    path.write_text("zip3,census\n021,2020\n")
    table = ZipTable.load(path)
    assert (table.generalise("02115"), table.generalise("03601")) == ("000", "036")
    path.write_text("zip3,census,population\n021,2020,650000\n036,2020,20000\n037,2020,20001\n")
    table = ZipTable.load(path)
    areas = ("021", "036", "037", "999")
    assert [table.generalise(area) for area in areas] == ["021", "000", "037", "000"]


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ("zip3,census\n36,2020\n", OptionError, r"--zip-table .*row 1: zip3 is not three digits"),
        (
            "zip3,census\n036,2020\n059,2010\n",
            OptionError,
            r"found 2 values in the column 'cens",
        ),
        ("zip3,census,population\n036,2020,many\n", OptionError, r"row 1: population is not a who"),
        (f"zip3,census,population\n036,2020,{'9' * 5_000}\n", OptionError, r"at most nine digits"),
        ("zip3,census\n036,2020\n036,2020\n", OptionError, r"row 2: its zip3 is that of a row bef"),
        ("zip3,census\n036, \n", OptionError, r"row 1: census is empty. Name it, such as 2020"),
        ("zip,census\n036,2020\n", TableError, r"there is no column 'zip3'"),
        ("zip3,census\n", TableError, r"no rows"),
    ],
)
def test_an_invalid_table_is_refused(
    content: str, error: type[Exception], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "zip.csv"
    path.write_text(content)
    with pytest.raises(error, match=message):
        ZipTable.load(path)
