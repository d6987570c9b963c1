"""Generalised values: dates to years, ages above 89 to 90+, ZIP codes to three digits, regions.

The limits are those of the Safe Harbor of the HIPAA Privacy Rule, 45 CFR 164.514(b)(2)(i)(B) and
(C). A value that is not wholly understood has no generalised form.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

from annoseq.data.tables import read_rows
from annoseq.deid.ages import MAX_AGE, NO_AGE, OLDEST, is_over_89, parse_age
from annoseq.deid.date_parser import reads_day_first
from annoseq.deid.dates import DateShifter
from annoseq.deid.word_lists import word_lists
from annoseq.errors import OptionError, count_noun

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from annoseq.data.table_rows import TableRow
    from annoseq.deid.phi_types import PhiType

SPARSE_ZIP = "000"
"""First three digits of the ZIP codes of areas with few people."""
_FEW_PEOPLE = 20_000
_ZIP = re.compile(r"(\d{3})(?:\d{2}(?:[-\s]?\d{4})?)?")
_ZIP3 = re.compile(r"\d{3}")
_POPULATION = re.compile(r"\d{1,9}")


@dataclass(frozen=True)
class ZipTable:
    """Three-digit ZIP areas by the population that a census counted.

    `sparse` are those of 20,000 people or fewer. `known` are all areas of the census, None if the
    table lists the sparse ones alone; areas that are not known count as sparse.
    """

    census: str
    sparse: frozenset[str]
    known: frozenset[str] | None = None

    def generalise(self, value: str) -> str | None:
        """Return the first three digits of a ZIP code, `000` for a sparse area; None for others.

        >>> table = ZipTable(census="2000", sparse=frozenset({"036"}))
        >>> table.generalise("02115-1234"), table.generalise("03601"), table.generalise("SW1A 1AA")
        ('021', '000', None)
        """
        match = _ZIP.fullmatch(value.strip())
        if match is None or not value.isascii():
            return None
        is_known = self.known is None or match[1] in self.known
        return match[1] if is_known and match[1] not in self.sparse else SPARSE_ZIP

    @classmethod
    def load(cls, path: Path | None) -> ZipTable:
        """Read a table with the columns `zip3` and `census`, by default that of the package.

        Without a column `population`, its areas are the sparse ones.

        Raises:
            OptionError: a value is no three digits, no number, or of another census, a census is
                not named, or an area has two rows.
            TableError: the file cannot be read or has other columns.
        """
        if path is not None:
            return cls._of(list(_zip_rows(path)), f"--zip-table {path}")
        with as_file(files(__package__) / "zip3.csv") as own:
            return cls._of(list(_zip_rows(own)), "zip3.csv")

    @classmethod
    def _of(cls, rows: list[TableRow], where: str) -> ZipTable:
        populations: dict[str, int | None] = {}
        for row in rows:
            _check_zip_row(row, where)
            if row.values["zip3"] in populations:
                raise OptionError(
                    f"{where}: row {row.number}: its zip3 is that of a row before. Give each area "
                    "one row."
                )
            population = row.values.get("population")
            populations[row.values["zip3"]] = int(population) if population else None
        censuses = {row.values["census"] for row in rows}
        if len(censuses) != 1:
            raise OptionError(
                f"{where}: found {count_noun(len(censuses), 'value')} in the column 'census'. "
                "Give all rows that of one census, such as 2020."
            )
        sparse = {area for area, count in populations.items() if (count or 0) <= _FEW_PEOPLE}
        has_populations = any(row.values.get("population") for row in rows)
        return cls(
            censuses.pop(), frozenset(sparse), frozenset(populations) if has_populations else None
        )


def _zip_rows(path: Path) -> Iterator[TableRow]:
    return read_rows(path, columns=["zip3", "census"], optional=["population"])


def _check_zip_row(row: TableRow, where: str) -> None:
    population = row.values.get("population") or "0"
    if not (_ZIP3.fullmatch(row.values["zip3"]) and row.values["zip3"].isascii()):
        raise OptionError(f"{where}: row {row.number}: zip3 is not three digits, such as 036.")
    if not (_POPULATION.fullmatch(population) and population.isascii()):
        raise OptionError(
            f"{where}: row {row.number}: population is not a whole number of at most nine digits, "
            "such as 1086416."
        )
    if not row.values["census"].strip():
        raise OptionError(f"{where}: row {row.number}: census is empty. Name it, such as 2020.")


def generalise_age(value: str) -> str | None:
    """Return `90+` for an age above 89, and every other age as it is; None if it is not understood.

    >>> generalise_age("ninety-two years"), generalise_age("93"), generalise_age("18 months")
    ('90+', '90+', '18 months')
    """
    numbers = parse_age(value)
    if numbers is None or any(one.number >= NO_AGE for one in numbers):
        return None
    return OLDEST if is_over_89(numbers) else value


def generalise_region(value: str) -> str | None:
    """Return a country or a state of the United States as it is; None for any other place.

    What is labelled so may be a smaller place with the wrong label.

    >>> generalise_region("N.Y."), generalise_region("Perú"), generalise_region("Boston")
    ('N.Y.', 'Perú', None)
    """
    regions = word_lists().regions
    name = " ".join(value.casefold().replace(".", "").split()).removeprefix("the ")
    known = {*regions.states, *regions.state_abbreviations, *regions.countries}
    return value if name in known else None


@dataclass(frozen=True)
class Generaliser:
    """Generalises dates, ages, ZIP codes, states and countries.

    `year` is the current one: a year from which somebody would be above 89 by its end is not
    written, whatever the date is that of.
    """

    zip_table: ZipTable = field(default_factory=lambda: ZipTable.load(None))
    dates: DateShifter = field(default_factory=lambda: DateShifter("en", is_day_first=False))
    year: int = field(default_factory=lambda: date.today().year)

    def generalise(self, phi_type: PhiType, value: str) -> str | None:
        """Return the generalised form of a value; None if its type or the value has none."""
        match phi_type:
            case "date":
                return self.generalise_date(value)
            case "age":
                return generalise_age(value)
            case "zip":
                return self.zip_table.generalise(value)
            case "state" | "country":
                return generalise_region(value)
            case _:
                return None

    def generalise_date(self, value: str) -> str | None:
        """Return the years of a date, and `90+` for those of people who may be above 89.

        None if no year is written, or one of two digits that may be that of somebody so old.

        >>> Generaliser(year=2026).generalise_date("28 December 2009 - 2 January 2010")
        '2009, 2010'
        >>> Generaliser(year=2026).generalise_date("3/4/1931")
        '90+'
        """
        years: list[str] = []
        for readings in self.dates.possible_years(value, is_day_first=reads_day_first([value])):
            possible = [year for year in readings if year <= self.year or len(readings) == 1]
            written = {self._write(year) for year in possible}
            if len(written) != 1:
                return None
            years += written
        return ", ".join(dict.fromkeys(years)) or None

    def _write(self, year: int) -> str:
        """Write a year, or `90+` if somebody born in it may be above 89 in the current year."""
        return OLDEST if self.year - year > MAX_AGE else f"{year:04}"
