"""Options of the replacements of `annoseq redact`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from annoseq.cli.options import fingerprint_file
from annoseq.deid.faker_values import LocaleFaker
from annoseq.deid.keyed_rng import KeyedRng
from annoseq.deid.phi_types import PhiTypeTable
from annoseq.deid.redaction import RedactionStyle
from annoseq.deid.redactor import Redactor, load_patterns
from annoseq.deid.surrogates import SurrogateGenerator

if TYPE_CHECKING:
    from annoseq.deid.redactor import CustomPattern


def _check_fraction(_: object, number: float) -> None:
    if not 0 <= number <= 1:
        raise ValueError("Give a number from 0 to 1.")


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class RedactionOptions:
    """Options of replacements, and of what is replaced."""

    style: Annotated[
        RedactionStyle,
        Parameter(
            name="--with",
            help="label ([NAME:DOCTOR]), mask (same length), or surrogate (made up, same kind).",
        ),
    ] = "label"
    locale: Annotated[
        str, Parameter(help="Where surrogates come from, such as en_US, es_ES, de_DE.")
    ] = "en_US"
    key: Annotated[
        Path | None, Parameter(help="File of the secret; without it, one is drawn and forgotten.")
    ] = None
    consistent: Annotated[
        bool,
        Parameter(help="Same value, same surrogate in all documents, by --key.", negative=""),
    ] = False
    phi_types: Annotated[
        Path | None, Parameter(help="TOML file: which type of PHI each label stands for.")
    ] = None
    patterns: Annotated[
        Path | None, Parameter(help="TOML file of regular expressions to look for as well.")
    ] = None
    min_score: Annotated[
        float,
        Parameter(help="Leave alone what the model is less sure of.", validator=_check_fraction),
    ] = 0.0
    propagate: Annotated[
        bool, Parameter(help="Find everywhere in a document what was found once.")
    ] = True

    def load(self) -> tuple[Redactor, list[CustomPattern]]:
        """Read the table of PHI types, the key and the patterns, and load the locale.

        Raises:
            OptionError: a file cannot be read or is invalid, or the locale is unknown.
        """
        table = PhiTypeTable.load(self.phi_types)
        rng = KeyedRng.load(self.key, consistent=self.consistent)
        surrogates = None
        if self.style == "surrogate":
            surrogates = SurrogateGenerator(LocaleFaker(self.locale), rng)
        patterns = load_patterns(self.patterns) if self.patterns else []
        table.check_labels(pattern.label for pattern in patterns)
        redactor = Redactor(
            table, self.style, surrogates, min_score=self.min_score, propagates=self.propagate
        )
        return redactor, patterns

    @property
    def has_forgotten_key(self) -> bool:
        """True if the surrogates follow from a secret that is in no file."""
        return self.style == "surrogate" and self.key is None

    def plan(self, redactor: Redactor) -> dict[str, Any]:
        """Return what decides the replacements: a run is resumed only under the same plan."""
        rng = redactor.surrogates.rng if redactor.surrogates else None
        return {
            **self.settings(),
            "key": f"{rng.seed('', 'fingerprint') % 2**64:016x}" if rng else None,
            "phi_types": fingerprint_file(self.phi_types),
            "patterns": fingerprint_file(self.patterns),
        }

    def settings(self) -> dict[str, Any]:
        """Return what the run's `config.json` says of the replacements."""
        return {
            "with": self.style,
            "min_score": self.min_score,
            "propagate": self.propagate,
            "locale": self.locale if self.style == "surrogate" else None,
            "consistent": self.consistent,
        }
