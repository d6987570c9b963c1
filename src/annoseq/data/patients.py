"""Patients: the person that a row of a table is about, whose documents belong together.

A table has a column of patients, or the id of a document tells the patient. Rows of a document have
one patient; documents of a patient depend on each other, so that patients, not documents, are what
is counted and sampled where there are several for each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from annoseq.errors import OptionError, TableError

if TYPE_CHECKING:
    import regex

    from annoseq.data.table_rows import TableRow

_SECONDS = 1.0
"""Time limit of the expression for one document id."""
_EXAMPLE = r"such as '^(\d+)_'"


@dataclass(frozen=True, slots=True)
class PatientRule:
    """Rule that tells the patient of a row: a column, or an expression over its document's id.

    The patient is the expression's group `patient`, else its first group, else all that it matches.
    """

    column: str | None = None
    expression: regex.Pattern[str] | None = None

    @classmethod
    def of(cls, *, column: str | None, pattern: str | None) -> PatientRule | None:
        """Return the rule of the options `--patient` and `--patient-from`; None without either.

        Raises:
            OptionError: both are given, or `pattern` is no regular expression.
        """
        if column is not None and pattern is not None:
            raise OptionError(
                "--patient and --patient-from are two ways to tell whose note a row is. Leave one "
                "of them off."
            )
        if pattern is not None:
            return cls(expression=_compile(pattern))
        return None if column is None else cls(column=column)

    def patient(self, *, cell: str | None, document: str | None, place: str) -> str:
        """Return the patient of a row, of whose column `cell` is the value.

        Raises:
            TableError: the cell is empty, or the document has no id or one without a match; `place`
                names the row.
            OptionError: the expression takes too long.
        """
        if self.expression is None:
            if cell is None or not cell.strip():
                raise TableError(
                    f"{place}: the column of --patient is empty. Name a patient for every row."
                )
            return cell
        found = None if document is None else self._find(self.expression, document, place)
        if not found:
            problem = "there is no id" if document is None else "it has none"
            raise TableError(
                f"{place}: --patient-from looks for the patient in the document's id, and "
                f"{problem}. Give an expression that finds one in every id, {_EXAMPLE}."
            )
        return found

    def _find(self, expression: regex.Pattern[str], document: str, place: str) -> str | None:
        try:
            match = expression.search(document, timeout=_SECONDS)
        except TimeoutError:
            raise OptionError(
                f"{place}: --patient-from takes more than {_SECONDS:g} seconds on the document's "
                "id. Such expressions repeat what repeats, as (a+)+ does: write it without."
            ) from None
        if match is None:
            return None
        group = "patient" if "patient" in expression.groupindex else min(expression.groups, 1)
        return match[group]


class PatientRegister:
    """Patients of the rows of a table, read one after the other; checks that documents have one."""

    def __init__(self, rule: PatientRule) -> None:
        self._rule = rule
        self._of_document: dict[str, str] = {}

    def add(self, row: TableRow, document: str | None, *, name: str) -> str:
        """Return the patient of a row of a document, with the rule's column; `name` is the table's.

        Raises:
            TableError: there is none, or another row of the document has another patient.
            OptionError: the expression takes too long.
        """
        place = f"{name}: row {row.number}"
        cell = row.values.get(self._rule.column) if self._rule.column else None
        patient = self._rule.patient(cell=cell, document=document, place=place)
        if document is not None and self._of_document.setdefault(document, patient) != patient:
            raise TableError(
                f"{place}: another row of its document has another patient. A document is about "
                "one: mend the column of --patient, or name that of the documents with --document."
            )
        return patient


def _compile(pattern: str) -> regex.Pattern[str]:
    import regex

    try:
        return regex.compile(pattern)
    except regex.error as error:
        raise OptionError(
            f"--patient-from: this is not a regular expression: {error}. Write one that finds the "
            f"patient in the id of a document, {_EXAMPLE}."
        ) from error
