"""Redaction policy: the action for each PHI type, with the source of each rule."""

from __future__ import annotations

import hashlib
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from annoseq.data.streams import read_toml
from annoseq.deid.custom_patterns import LabelledPattern
from annoseq.deid.phi_types import ASSIGNABLE_TYPES, PhiType
from annoseq.deid.redaction import Action
from annoseq.errors import OptionError, describe_validation_error

if TYPE_CHECKING:
    from collections.abc import Iterable

Standard = Literal["safe-harbor", "limited-data-set", "none"]
ShiftUnit = Literal["days", "weeks"]
POLICIES = ("safe-harbor", "limited-data-set")
"""Policies that come with the package."""

_UNCOVERED: tuple[PhiType, ...] = ("unknown", "none")
"""Types without a rule: labels that no table has, and spans that identify nobody."""
_LISTED_TYPES: tuple[PhiType, ...] = ("name", "date", "age", "phone", "email", "id", "url", "ip")
"""Types that both standards or one of them list and that every text may have, besides places."""
_ANYWHERE: frozenset[Action] = frozenset({"remove", "label", "mask", "keep"})
"""Actions that are possible for every type."""
_POSSIBLE: dict[PhiType, set[Action]] = {
    "date": {"shift", "generalise"},
    "age": {"surrogate", "generalise"},
    "zip": {"surrogate", "generalise"},
    "state": {"surrogate", "generalise"},
    "country": {"surrogate", "generalise"},
    "other": set(),
}
"""Further actions of these types; those of all other types are surrogates."""
_GONE: frozenset[Action] = frozenset({"remove", "label", "mask", "surrogate"})
_SAFE_HARBOR: dict[PhiType, frozenset[Action]] = {
    phi_type: _GONE | ({"generalise"} if phi_type in {"date", "age", "zip"} else set())
    for phi_type in ASSIGNABLE_TYPES
    if phi_type not in {"state", "country", "none"}
}
_LIMITED_DATA_SET: dict[PhiType, frozenset[Action]] = dict.fromkeys(
    ("name", "username", "email", "url", "ip", "phone", "id", "street", "organization", "other"),
    _GONE,
)
_ALLOWED: dict[Standard, dict[PhiType, frozenset[Action]]] = {
    "safe-harbor": _SAFE_HARBOR,
    "limited-data-set": _LIMITED_DATA_SET,
    "none": {},
}
"""Actions that a standard allows for a type; all for types that are not listed."""
_EXAMPLE = 'for each PHI type a table such as [rules.name], and below it action = "label"'


class Rule(BaseModel):
    """An action, and the paragraph of a law or a protocol that asks for it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    action: Action
    source: str = ""


class DefaultRule(Rule):
    """The rule for labels and PHI types that no other rule covers: nothing of them may stay."""

    action: Literal["remove", "label", "mask"]


class Policy(BaseModel):
    """Rules by PHI type; `default` is that of all others and of labels without a PHI type.

    `patterns` find what is known by its form, in addition to what the model marks.

    A policy of the standard `safe-harbor` or `limited-data-set` has no rule that leaves more than
    the standard allows. Dates are shifted by whole `shift_by`: whole weeks keep their weekdays.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[\w.-]{1,60}$")
    standard: Standard
    source: str = ""
    shift_by: ShiftUnit = "days"
    default: DefaultRule
    rules: dict[PhiType, Rule]
    patterns: dict[str, LabelledPattern] = {}

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name, pattern in self.patterns.items():
            try:
                pattern.compile()
            except ValueError as error:
                raise ValueError(f"patterns.{name}: {error}") from error
        for phi_type, rule in self.rules.items():
            self._check_rule(phi_type, rule.action)
        for standard in POLICIES:
            bare = self.name.casefold().replace("_", "-").replace(".", "-")
            words = (standard, standard.replace("-", ""))
            if self.standard != standard and any(word in bare for word in words):
                raise ValueError(
                    f"the name {self.name!r} says {standard}, and the standard is "
                    f"{self.standard!r}: choose another name"
                )
        return self

    def _check_rule(self, phi_type: PhiType, action: Action) -> None:
        if phi_type in _UNCOVERED:
            raise ValueError(f"rules.{phi_type}: this type can have no rule")
        possible = _ANYWHERE | _POSSIBLE.get(phi_type, {"surrogate"})
        if action not in possible:
            raise ValueError(
                f"rules.{phi_type}: the action {action!r} is not possible for this type; use one "
                f"of {', '.join(sorted(possible))}"
            )
        allowed = _ALLOWED[self.standard].get(phi_type, possible)
        if action not in allowed:
            hint = " Shifted dates are no Safe Harbor" if action == "shift" else ""
            raise ValueError(
                f"rules.{phi_type}: the standard {self.standard} does not allow the action "
                f"{action!r}; use one of {', '.join(sorted(allowed & possible))}, or standard = "
                f'"none" and another name.{hint}'
            )

    def rule(self, phi_type: PhiType) -> Rule:
        """Return the rule for a PHI type."""
        return self.rules.get(phi_type, self.default)

    def action(self, phi_type: PhiType) -> Action:
        """Return the action for a PHI type; what identifies nobody is kept."""
        return "keep" if phi_type == "none" else self.rule(phi_type).action

    def covers(self, phi_type: PhiType) -> bool:
        """Return True if a PHI type has a rule of its own."""
        return phi_type == "none" or phi_type in self.rules

    def unmarked_types(self, marked: Iterable[PhiType]) -> list[PhiType]:
        """Return the types that the standard lists and that are not among the marked ones."""
        allowed = _ALLOWED[self.standard]
        return [one for one in _LISTED_TYPES if one in allowed and one not in set(marked)]

    def has_action(self, *actions: Action) -> bool:
        """Return True if a rule has one of some actions."""
        return any(rule.action in actions for rule in self.rules.values())

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the policy, with all its rules and sources."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    @classmethod
    def uniform(
        cls, action: Literal["label", "mask", "surrogate"], *, shift_by: ShiftUnit = "days"
    ) -> Policy:
        """Return the policy that does the same to all types.

        Surrogates of dates are shifted dates; types without surrogates get their label.
        """
        special: dict[PhiType, Action] = {"date": "shift", "other": "label"}
        rules = {
            phi_type: Rule(
                action=special.get(phi_type, action) if action == "surrogate" else action
            )
            for phi_type in ASSIGNABLE_TYPES
            if phi_type not in _UNCOVERED
        }
        default = DefaultRule(action="mask" if action == "mask" else "label")
        return cls(name=action, standard="none", shift_by=shift_by, default=default, rules=rules)

    @classmethod
    def load(cls, name: str) -> Policy:
        """Read a policy of the package by its name, or a user's TOML file.

        A file with `base = "safe-harbor"` has the rules and patterns of that policy but those that
        it names; under a standard, patterns of the base cannot be replaced.

        Raises:
            OptionError: there is no such policy, or the file cannot be read or is invalid.
        """
        if name in POLICIES:
            return cls.model_validate(_read_own(name))
        path = Path(name)
        if path.suffix.lower() != ".toml":
            raise OptionError(
                f"--policy {name}: there is no such policy. Use {' or '.join(POLICIES)}, or the "
                "name of a TOML file."
            )
        content = read_toml(path, option="--policy")
        try:
            return cls.model_validate(_with_base(content, f"--policy {name}"))
        except ValidationError as error:
            fault = describe_validation_error(error).replace("the whole file: Value error, ", "")
            raise OptionError(f"--policy {name}: {fault}. Write {_EXAMPLE}.") from None


def _read_own(name: str) -> dict[str, Any]:
    text = (files(__package__) / f"{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _with_base(content: dict[str, Any], where: str) -> dict[str, Any]:
    """Return the content of a user's file, on top of that of the policy that it is based on."""
    if content.get("name") in (None, *POLICIES):
        raise OptionError(f"{where}: name: give the policy a name of its own.")
    if "base" not in content:
        return content
    if content["base"] not in POLICIES:
        raise OptionError(f"{where}: base: use one of {', '.join(POLICIES)}.")
    base = _read_own(content["base"])
    merged = {**base, **content}
    del merged["base"]
    if merged["standard"] != "none" and isinstance(merged["patterns"], dict):
        own = content.get("patterns", {})
        if replaced := next((name for name in base["patterns"] if name in own), None):
            raise OptionError(
                f"{where}: patterns.{replaced}: {content['base']} has a pattern of this name, "
                "which a policy of a standard cannot replace. Give yours another name: both are "
                "looked for."
            )
    for table in ("rules", "patterns"):
        if isinstance(merged[table], dict):
            merged[table] = {**base[table], **merged[table]}
    return merged
