"""Presidio's anonymizer with surrogates: the operator `annoseq_surrogate`.

Presidio gives an operator one value after the other. `surrogate_operators` sees all values of a
document before, so that no two of them become one, and no surrogate is a value of the document;
with a key alone, as in a configuration, a surrogate follows from the key and the value.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from annoseq.deid.faker_values import LocaleFaker
from annoseq.deid.keyed_rng import KeyedRng
from annoseq.deid.phi_types import ASSIGNABLE_TYPES, PhiTypeTable
from annoseq.deid.policy import ShiftUnit
from annoseq.deid.propagation import PropagatedValues
from annoseq.deid.redaction import DetectedSpan, DocumentPart, RedactionDocument
from annoseq.deid.surrogates import DocumentSurrogates, SurrogateGenerator
from annoseq.errors import OptionError, display_name
from annoseq.integrations.span_annotator import missing_package

try:
    from presidio_anonymizer.entities import OperatorConfig
    from presidio_anonymizer.operators import Operator, OperatorType
except ModuleNotFoundError as error:
    raise missing_package(error, "Presidio", extra="presidio") from error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from presidio_anonymizer.entities import RecognizerResult

    from annoseq.deid.phi_types import PhiType
    from annoseq.deid.surrogates import SurrogateScope

OPERATOR = "annoseq_surrogate"
_OPTIONS = ("key", "locale", "patient", "shift_by", "phi_types")
_ENTITY_TYPE = "entity_type"  # Presidio adds it


class SurrogateOperator(Operator):
    """Operator that writes a surrogate of the same kind for a value, and shifts dates.

    Its parameters are those that `surrogate_operators` returns, or `key`, a file of the secret,
    with `locale`, `patient`, `shift_by` and `phi_types` as there: a value then has one surrogate
    in all documents, or in all of the patient. Without a surrogate that is safe, as for entities
    of no PHI type and dates that are not understood, `<ENTITY>` is written, as Presidio does.
    """

    def operate(self, text: str, params: dict[str, Any] | None = None) -> str:
        """Return the surrogate of a value.

        Raises:
            OptionError: the parameters are invalid, or the key cannot be read.
        """
        self.validate(params)
        given = dict(params or {})
        entity = str(given.pop(_ENTITY_TYPE, "PII"))
        surrogates = given.get("surrogates") or _keyed_surrogates(**given)
        return surrogates.surrogate(entity, text) or f"<{entity}>"

    def validate(self, params: dict[str, Any] | None = None) -> None:
        """Check the parameters.

        Raises:
            OptionError: they are neither those of `surrogate_operators`, nor name a key.
        """
        given = set(params or {}) - {_ENTITY_TYPE}
        if given == {"surrogates"}:
            return
        if "key" not in given:
            raise OptionError(
                f"{OPERATOR}: found no key. Give key, a file of a secret, or take the operators "
                "from surrogate_operators(text, results)."
            )
        if unknown := sorted(given - set(_OPTIONS)):
            raise OptionError(
                f"{OPERATOR}: there is no parameter {display_name(unknown[0])}. Use "
                f"{', '.join(_OPTIONS)}."
            )

    def operator_name(self) -> str:
        """Return the name by which configurations call it."""
        return OPERATOR

    def operator_type(self) -> OperatorType:
        """Return Presidio's kind of operator."""
        return OperatorType.Anonymize


class EntitySurrogates:
    """Surrogates of values by their entities of Presidio, in a document or by the key alone."""

    def __init__(self, table: PhiTypeTable, surrogates: DocumentSurrogates) -> None:
        self._table, self._surrogates = table, surrogates

    def surrogate(self, entity: str, value: str) -> str | None:
        """Return the surrogate of a value, None if there is none that is safe."""
        return self._surrogates.surrogate(self._table.phi_type(entity), value)

    def __repr__(self) -> str:  # without values, which Presidio may log
        return "<EntitySurrogates>"


def surrogate_operators(
    text: str,
    results: Sequence[RecognizerResult],
    *,
    key: str | Path | None = None,
    document: str | None = None,
    patient: str | None = None,
    locale: str = "en_US",
    shift_by: ShiftUnit = "days",
    phi_types: Mapping[str, PhiType] | None = None,
) -> dict[str, OperatorConfig]:
    """Return the operators of one document, for `AnonymizerEngine.anonymize(operators=...)`.

    `results` are those of the analyzer for `text`. A value has one surrogate in the document, or,
    with `patient`, in all documents of the patient, whose dates move by one number of days, or of
    whole weeks with `shift_by="weeks"`. All follow from the secret in the file `key` and the id of
    the document or the patient, or from the key and `text` if neither is given; without a key, they
    are drawn anew for each call. `phi_types` are the PHI types of entities of your own.

    Raises:
        OptionError: the key or the locale cannot be read, a PHI type is none, an id is empty, or
            there is a patient without a key.
    """
    _check_id("document", document)
    _check_id("patient", patient)
    if patient is not None and key is None:
        raise OptionError(
            "surrogates that are the same in all documents of a patient follow from a key. "
            "Give key, a file of a secret."
        )
    scope: SurrogateScope = "document" if patient is None else "patient"
    table = _table(phi_types)
    generator = _generator(key, scope, locale, shift_by)
    spans = tuple(
        DetectedSpan(result.start, result.end, result.entity_type, result.score)
        for result in results
    )
    part = DocumentPart(document or "", text, spans, patient=patient)
    whole = RedactionDocument(part.id, (part,), is_named=document is not None)
    identifiers = [
        (table.phi_type(span.label), text[span.start : span.end])
        for span in sorted(spans, key=lambda span: (span.start, -span.end))
    ]
    values = PropagatedValues.from_documents([whole], table)
    surrogates = EntitySurrogates(table, generator.for_document(whole, identifiers, values))
    return {"DEFAULT": OperatorConfig(OPERATOR, {"surrogates": surrogates})}


def _keyed_surrogates(
    *,
    key: str | Path,
    locale: str = "en_US",
    patient: str | None = None,
    shift_by: ShiftUnit = "days",
    phi_types: Mapping[str, PhiType] | None = None,
) -> EntitySurrogates:
    """Return surrogates that follow from the key and the value, or the patient as well."""
    _check_id("patient", patient)
    scope: SurrogateScope = "corpus" if patient is None else "patient"
    generator = _generator(key, scope, locale, shift_by)
    document = RedactionDocument("", (DocumentPart("", "", patient=patient),))
    surrogates = generator.for_document(document, (), PropagatedValues(()))
    return EntitySurrogates(_table(phi_types), surrogates)


def _check_id(name: str, value: str | None) -> None:
    """Refuse an empty id: all documents that lack one would share their surrogates."""
    if value is not None and not value.strip():
        raise OptionError(f"{name}: found an empty id. Give one, or leave {name} off.")


def _generator(
    key: str | Path | None, scope: SurrogateScope, locale: str, shift_by: ShiftUnit
) -> SurrogateGenerator:
    if shift_by not in get_args(ShiftUnit):
        raise OptionError(f"shift_by: found no unit. Use {' or '.join(get_args(ShiftUnit))}.")
    rng = KeyedRng.load(None if key is None else Path(key))
    return SurrogateGenerator(_faker(locale), rng, scope, shifts_weeks=shift_by == "weeks")


@cache
def _faker(locale: str) -> LocaleFaker:
    return LocaleFaker(locale)


@cache
def _default_table() -> PhiTypeTable:
    return replace(PhiTypeTable.default(), has_unknown=True)


def _table(phi_types: Mapping[str, PhiType] | None) -> PhiTypeTable:
    given = {entity.casefold(): phi_type for entity, phi_type in (phi_types or {}).items()}
    if wrong := next((t for t in given.values() if t not in ASSIGNABLE_TYPES), None):
        raise OptionError(
            f"phi_types: {display_name(str(wrong))} is no PHI type. Use one of "
            f"{', '.join(ASSIGNABLE_TYPES)}."
        )
    table = _default_table()
    return replace(table, labels={**table.labels, **given})
