"""Options of the replacements of `annoseq redact`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import faker
from cyclopts import Parameter

from annoseq.cli.resource_options import fingerprint_file
from annoseq.deid.custom_patterns import compile_patterns, load_patterns
from annoseq.deid.faker_values import LocaleFaker
from annoseq.deid.generalisation import Generaliser, ZipTable
from annoseq.deid.keyed_rng import KeyedRng
from annoseq.deid.manifest import RedactionManifest
from annoseq.deid.phi_types import PhiTypeTable
from annoseq.deid.policy import POLICIES, Policy, ShiftUnit
from annoseq.deid.redactor import Redactor
from annoseq.deid.surrogates import SurrogateGenerator, SurrogateScope, SurrogateStrategy
from annoseq.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from annoseq.deid.custom_patterns import CustomPattern


_LOCALE = "en_US"


def _without_surrogates(option: str, policy: Policy) -> OptionError:
    return OptionError(
        f"{option}: the policy {policy.name} writes no surrogates and shifts no dates. Leave it "
        "off, or add --with surrogate."
    )


def _check_fraction(_: object, number: float) -> None:
    if not 0 <= number <= 1:
        raise ValueError("Give a number from 0 to 1.")


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class RedactionOptions:
    """Options of replacements, and of what is replaced."""

    style: Annotated[
        Literal["label", "mask", "surrogate"] | None,
        Parameter(
            name="--with",
            help="The same for all: label ([NAME:DOCTOR], the default), mask (same length), or "
            "surrogate (made up, same kind).",
        ),
    ] = None
    policy: Annotated[
        str | None,
        Parameter(
            help=f"What is done for each type of PHI: {', '.join(POLICIES)}, or a TOML file."
        ),
    ] = None
    zip_table: Annotated[
        Path | None,
        Parameter(
            help="CSV of three-digit ZIP areas (zip3, census): those with 20,000 people or fewer, "
            "or, with a column population, all of them."
        ),
    ] = None
    shift_by: Annotated[
        ShiftUnit | None,
        Parameter(help="Shift dates by days (the default), or by whole weeks: weekdays stay."),
    ] = None
    locale: Annotated[
        str | None,
        Parameter(help="Where surrogates come from: en_US (the default), es_ES, de_DE and others."),
    ] = None
    key: Annotated[
        Path | None, Parameter(help="File of the secret; without it, one is drawn and forgotten.")
    ] = None
    surrogates: Annotated[
        SurrogateStrategy | None,
        Parameter(
            help="consistent: same value, same surrogate (the default); random: a new one for each "
            "occurrence, so that a missed original is one name among many."
        ),
    ] = None
    scope: Annotated[
        Literal["document", "corpus"] | None,
        Parameter(
            help="Where a value has one surrogate, and dates move alike: in a document (the "
            "default), or everywhere, by --key. With --patient: in all documents of a patient."
        ),
    ] = None
    phi_types: Annotated[
        Path | None, Parameter(help="TOML file: which type of PHI each label stands for.")
    ] = None
    patterns: Annotated[
        Path | None, Parameter(help="TOML file of regular expressions to look for as well.")
    ] = None
    guard_words: Annotated[
        Path | None,
        Parameter(
            help="List of words, one a line, that are also medical terms or common words, such as "
            "Parkinson or May: they are replaced only where they are found, or after a title."
        ),
    ] = None
    min_score: Annotated[
        float,
        Parameter(help="Leave alone what the model is less sure of.", validator=_check_fraction),
    ] = 0.0
    propagate: Annotated[
        bool,
        Parameter(
            help="Find everywhere in a document what was found once, with --patient or "
            "--patient-from in all consecutive documents of a patient."
        ),
    ] = True

    def load(
        self, *, has_patients: bool = False, is_of_server: bool = False
    ) -> tuple[Redactor, list[CustomPattern]]:
        """Read the policy, the table of PHI types, the key and the patterns, and load the locale.

        With `has_patients`, all documents of a patient share their surrogates. A server may have
        options that wait for requests which need them.

        Raises:
            OptionError: a file cannot be read or is invalid, options contradict each other, or the
                locale is unknown.
            TableError: the table of ZIP codes cannot be read.
        """
        policy = self._load_policy()
        if self.guard_words and not self.propagate and not is_of_server:
            raise OptionError(
                "--guard-words: words are guarded from propagation, which --no-propagate turns "
                "off. Leave one of them off."
            )
        table = PhiTypeTable.load(self.phi_types, guard_words=self.guard_words)
        table = replace(table, has_unknown=self.policy is not None)
        surrogates = self._load_surrogates(policy, has_patients=has_patients)
        for option, value in {"--locale": self.locale, "--shift-by": self.shift_by}.items():
            if value is not None and surrogates is None and not is_of_server:
                raise _without_surrogates(option, policy)
        patterns = compile_patterns(policy.patterns)
        patterns += load_patterns(self.patterns) if self.patterns else []
        table.check_labels(pattern.label for pattern in patterns)
        generaliser = Generaliser(ZipTable.load(self.zip_table), year=date.today().year)
        redactor = Redactor(
            table,
            policy,
            surrogates,
            min_score=self.min_score,
            propagates=self.propagate,
            generaliser=generaliser,
        )
        return redactor, patterns

    def _load_surrogates(self, policy: Policy, *, has_patients: bool) -> SurrogateGenerator | None:
        scope: SurrogateScope = "patient" if has_patients else self.scope or "document"
        given = {
            "--surrogates": self.surrogates,
            "--scope": self.scope,
            "--patient": "patient" if has_patients else None,
        }
        if has_patients and self.scope:
            raise OptionError(
                "--scope and --patient both say where a value has one surrogate. Leave one of them "
                "off."
            )
        rng = KeyedRng.load(self.key)
        if not policy.has_action("surrogate", "shift"):
            if self.propagate:
                del given["--patient"]
            for option, value in given.items():
                if value is not None:
                    raise _without_surrogates(option, policy)
            return None
        if scope != "document" and self.key is None:
            raise OptionError(
                f"surrogates that are the same in all documents of a {scope} follow from the "
                "secret of --key, in later runs, too. Give --key FILE."
            )
        return SurrogateGenerator(
            LocaleFaker(self.locale or _LOCALE),
            rng,
            scope,
            self.surrogates or "consistent",
            shifts_weeks=policy.shift_by == "weeks",
        )

    def files(self) -> tuple[Path | None, ...]:
        """Return the files that these options name."""
        policy = Path(self.policy) if self.policy and self.policy not in POLICIES else None
        return (
            self.key,
            self.phi_types,
            self.patterns,
            self.guard_words,
            self.zip_table,
            policy,
        )

    def _load_policy(self) -> Policy:
        if self.policy is None:
            if self.zip_table:
                raise OptionError(
                    "--zip-table is for policies that generalise ZIP codes. Add --policy "
                    "safe-harbor, or leave it off."
                )
            return Policy.uniform(self.style or "label", shift_by=self.shift_by or "days")
        for option, value in {"--with": self.style, "--shift-by": self.shift_by}.items():
            if value is not None:
                raise OptionError(
                    f"{option} and --policy both say what is done. Leave {option} off, or write a "
                    "policy of your own that says so."
                )
        policy = Policy.load(self.policy)
        if policy.standard != "none" and self.min_score:
            raise OptionError(
                f"--min-score leaves identifiers in the text, which the standard {policy.standard} "
                "does not allow. Leave it off."
            )
        if self.zip_table and policy.action("zip") != "generalise":
            raise OptionError(
                f"--zip-table: the policy {policy.name} generalises no ZIP codes. Leave it off."
            )
        return policy

    @property
    def has_forgotten_key(self) -> bool:
        """True if surrogates or shifted dates may follow from a secret that is in no file."""
        return self.key is None and self._load_policy().has_action("surrogate", "shift")

    def plan(self, redactor: Redactor) -> dict[str, Any]:
        """Return what decides the replacements: a run is resumed only under the same plan."""
        return {
            **self.settings(redactor),
            "key": redactor.surrogates and redactor.surrogates.rng.fingerprint,
            "phi_types": fingerprint_file(self.phi_types),
            "patterns": fingerprint_file(self.patterns),
            "guard_words": fingerprint_file(self.guard_words),
            "zip_table": fingerprint_file(self.zip_table),
            "year": redactor.generaliser.year,
        }

    def manifest(
        self, path: Path | None, model: str, settings: Mapping[str, Any], *, only_new: bool
    ) -> RedactionManifest | None:
        """Return the manifest at a path, if there is one.

        The current year, by which old years are told, has no part in it: what was done last year
        is done.
        """
        if path is None:
            return None
        decisive = {name: value for name, value in settings.items() if name != "year"}
        return RedactionManifest(
            path, KeyedRng.load(self.key), {**decisive, "model": model}, skips_done=only_new
        )

    def settings(self, redactor: Redactor) -> dict[str, Any]:
        """Return what the run's `config.json` says of the replacements."""
        policy, surrogates = redactor.policy, redactor.surrogates
        return {
            "policy": policy.name,
            "policy_sha256": policy.fingerprint,
            "min_score": self.min_score,
            "propagate": self.propagate,
            "locale": (self.locale or _LOCALE) if surrogates else None,
            "faker": faker.VERSION if surrogates else None,
            "surrogates": surrogates and surrogates.strategy,
            "scope": surrogates and surrogates.scope,
            "census": (
                redactor.generaliser.zip_table.census
                if policy.action("zip") == "generalise"
                else None
            ),
        }
