"""Policies: rules by PHI type, what a standard allows, and what a document looks like after one."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annoseq.deid.custom_patterns import compile_patterns, find_patterns
from annoseq.deid.generalisation import Generaliser, ZipTable
from annoseq.deid.phi_types import ASSIGNABLE_TYPES
from annoseq.deid.policy import POLICIES, DefaultRule, Policy, Rule
from annoseq.deid.redaction import Action, DetectedSpan, DocumentPart, RedactionDocument
from annoseq.deid.redactor import Redactor
from annoseq.deid.word_lists import word_lists
from annoseq.errors import OptionError
from annoseq.evaluation.deid_metrics import covered_characters
from tests.deid.documents import TABLE, document, redactor

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.deid.redaction import RedactedText

SAFE_HARBOR = Policy.load("safe-harbor")
YEAR = 2026
NOTE = (
    "{{NAME}}Ida Ames{{/NAME}}, {{AGE}}47{{/AGE}}, of {{STREET}}12 Elm St{{/STREET}}, "
    "{{CITY}}Boston{{/CITY}}, {{STATE}}MA{{/STATE}} {{ZIP}}02115-1234{{/ZIP}}, born "
    "{{DATE}}3/4/1979{{/DATE}}; her mother, {{AGE}}ninety-four{{/AGE}}, born "
    "{{DATE}}May 1931{{/DATE}}, of {{ZIP}}03601{{/ZIP}}. {{PHONE}}555-1234{{/PHONE}} "
    "{{IPADDR}}10.1.2.3{{/IPADDR}} {{PROFESSION}}judge{{/PROFESSION}} {{COUNTRY}}Peru{{/COUNTRY}}"
)


def write(folder: Path, content: str) -> str:
    path = folder / "own.toml"
    path.write_text(content)
    return str(path)


def redact(policy: Policy, *annotated: str) -> str:
    texts = redactor(policy).redact(document(*annotated))
    return "|".join(text.text for text in texts)


@pytest.mark.parametrize("name", POLICIES)
def test_every_rule_of_a_shipped_policy_has_its_source_and_every_type_a_rule(name: str) -> None:
    policy = Policy.load(name)
    assert set(policy.rules) == set(ASSIGNABLE_TYPES) - {"none"}
    assert policy.standard == policy.name == name
    assert all("164.514" in rule.source for rule in (*policy.rules.values(), policy.default))
    assert policy.default.action == "remove"


def test_safe_harbor_leaves_what_the_rule_lists() -> None:
    assert redact(SAFE_HARBOR, NOTE) == (
        "[NAME], 47, of [STREET], [CITY], MA 021, born 1979; her mother, 90+, born 90+, of 000. "
        "[PHONE] [IPADDR] [PROFESSION] Peru"
    )


def test_a_limited_data_set_keeps_dates_ages_and_places() -> None:
    assert redact(Policy.load("limited-data-set"), NOTE) == (
        "[NAME], 47, of [STREET], Boston, MA 02115-1234, born 3/4/1979; her mother, ninety-four, "
        "born May 1931, of 03601. [PHONE] [IPADDR] judge Peru"
    )


def test_a_policy_may_be_based_on_another(tmp_path: Path) -> None:
    content = (
        'base = "safe-harbor"\nname = "safe-harbor-names"\n[rules.name]\naction = "surrogate"\n'
        '[rules.id]\naction = "remove"\nsource = "protocol 12"\n'
    )
    policy = Policy.load(write(tmp_path, content))
    assert (policy.standard, policy.action("name"), policy.action("date")) == (
        "safe-harbor",
        "surrogate",
        "generalise",
    )
    assert policy.rule("id") == Rule(action="remove", source="protocol 12")
    assert policy.fingerprint != SAFE_HARBOR.fingerprint
    text = redact(policy, "Mr {{P}}Ames{{/P}}, no {{I}}12345{{/I}}")
    assert re.fullmatch(r"Mr (?!Ames)\w+, no ", text)


FORMS = {
    "a 93-year-old man": ["93"],
    "101 yo; 95 y/o; 92 years of age": ["101", "95", "92"],
    "92 y.o., 93\nyears old, 94 yr. old, 95\u00a0y/o": ["92", "93", "94", "95"],
    "aged 92, age: 93; edad de 94": ["92", "93", "94"],
    "age 95%, aged 96 weeks, age 97/98, aged 99 months, age 120.5": [],
    "aged ninety-two years old, of one hundred years of age": ["ninety-two", "one hundred"],
    "varón de 91 años y mujer de noventa y dos años": ["91", "noventa y dos"],
    "an 89-year-old, 1990 years, 90 mg, 2.95 y/o, 90 months old": [],
    "ida.ames+x@mail.hospital.org, www.a.org/b?c=1. See (https://b.org)": [
        "ida.ames+x@mail.hospital.org",
        "www.a.org/b?c=1",
        "https://b.org",
    ],
    "10.1.2.3 and 1.2.3.4.5": ["10.1.2.3"],
    "078-05-1120, (310) 555-1234, +1 310-555-1234, 310.555.1234": [
        "078-05-1120",
        "(310) 555-1234",
        "+1 310-555-1234",
        "310.555.1234",
    ],
    "a 93\u2011year\u2011old, 9\xad4 years old, 95 an\u0303os": ["93", "9\xad4", "95"],
    "078\u201105\u20111120, 078-05\xad-1120, 310\u2010555\u20101234, (310)\xa0555\u20111234": [
        "078\u201105\u20111120",
        "078-05\xad-1120",
        "310\u2010555\u20101234",
        "(310)\xa0555\u20111234",
    ],
    "ida\xad.ames@mail\u2060.org \xadxand www.hospi\xadtal.org.": [
        "ida\xad.ames@mail\u2060.org",
        "www.hospi\xadtal.org",
    ],
    "INR 2.0-3.0, BP 120/80, 5-10 mg, T 98.6": [],
}


@pytest.mark.parametrize("text", FORMS)
def test_safe_harbor_finds_by_their_form_what_no_model_marked(text: str) -> None:
    patterns = compile_patterns(SAFE_HARBOR.patterns)
    found = sorted(find_patterns(patterns, text, where="x"), key=lambda span: span.start)
    assert [text[span.start : span.end] for span in found] == FORMS[text]
    TABLE.check_labels(span.label for span in found)


def test_types_that_are_never_marked_are_told() -> None:
    assert SAFE_HARBOR.unmarked_types(["name", "date", "id", "age", "ip"]) == [
        "phone",
        "email",
        "url",
    ]
    assert Policy.load("limited-data-set").unmarked_types(["name", "email", "id", "url", "ip"]) == [
        "phone"
    ]
    assert Policy.uniform("label").unmarked_types([]) == []


def test_uniform_policies_do_the_same_to_all_types() -> None:
    for action in ("label", "mask"):
        policy = Policy.uniform(action)
        assert {policy.action(phi_type) for phi_type in policy.rules} == {action}
    surrogates = Policy.uniform("surrogate")
    assert (surrogates.action("date"), surrogates.action("other")) == ("shift", "label")
    assert surrogates.action("none") == "keep"


ZZZ = '[patterns.email]\nlabel = "EMAIL"\npattern = "ZZZ"\n'
START = 'name = "x"\nstandard = "none"\n[default]\naction = "remove"\n'
SHIFT = 'base = "safe-harbor"\nname = "{}"\nstandard = "{}"\n[rules.date]\naction = "shift"\n'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            SHIFT.format("mine", "safe-harbor"),
            r"rules.date: the standard safe-harbor does not",
        ),
        (SHIFT.format("mine", "safe-harbor"), r"Shifted dates are no Safe Harbor. Write"),
        (SHIFT.format("safe-harbor-2", "none"), r"the name 'safe-harbor-2' says safe-harbor, and"),
        (SHIFT.format("SafeHarbor", "none"), r"'SafeHarbor' says safe-harbor, and the standard is"),
        (
            'base = "limited-data-set"\nname = "x"\n[rules.name]\naction = "keep"\n',
            r"rules.name: the standard limited-data-set does not allow the action 'keep'",
        ),
        (
            START + '[rules.date]\naction = "surrogate"',
            r"'surrogate' is not possible for",
        ),
        (
            START + '[rules.city]\naction = "generalise"',
            r"rules.city: the action 'general",
        ),
        (START + '[rules.unknown]\naction = "keep"', r"rules.unknown: this type can have no rule"),
        (START + '[rules.cities]\naction = "keep"', r"rules.cities.*: Input should be 'name', "),
        (START + '[rules.city]\naction = "hide"', r"rules.city.action: Input should be 'remove'"),
        ('name = "x"\nstandard = "none"\n[rules]', r"default: Field required. Write for each PHI"),
        (START.replace("remove", "keep") + "[rules]", r"default.action: Input should be 'remove'"),
        ('standard = "none"', r"name: give the policy a name of its own"),
        ('name = "safe-harbor"', r"name: give the policy a name of its own"),
        ('name = ["x"]\nbase = "safe-harbor"', r"name: Input should be a valid string"),
        ('name = {a = 1}\nbase = "safe-harbor"', r"name: Input should be a valid string"),
        (
            f'base = "safe-harbor"\nname = "x"\n{ZZZ}',
            r"patterns.email: safe-harbor has a pattern of this name, which a policy of a standard "
            r"cannot replace. Give yours another name",
        ),
        ('base = "hipaa"\nname = "x"', r"base: use one of safe-harbor, limited-data-set"),
        ('base = "safe-harbor"\nname = "x"\nrules = 1', r"rules: Input should be a valid dict"),
        (
            START + '[rules]\n[patterns.x]\nlabel = "ID"\npattern = "("',
            r"patterns.x: this is not a regular expression",
        ),
        (START + '[rules]\n[patterns.x]\nlabel = "A B"\npattern = "a"', r"'A B' has white space"),
        ("x = ", r"this is not TOML"),
    ],
)
def test_a_policy_that_cannot_be_is_refused(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=rf"--policy .*own.toml: .*{message}"):
        Policy.load(write(tmp_path, content))


def test_without_a_standard_a_pattern_of_the_base_may_be_replaced(tmp_path: Path) -> None:
    content = f'base = "safe-harbor"\nname = "x"\nstandard = "none"\n{ZZZ}'
    assert Policy.load(write(tmp_path, content)).patterns["email"].pattern == "ZZZ"


def test_a_policy_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"--policy hipaa: there is no such policy. Use"):
        Policy.load("hipaa")
    with pytest.raises(OptionError, match=r"--policy .*none.toml cannot be read"):
        Policy.load(str(tmp_path / "none.toml"))


def test_what_no_rule_covers_is_treated_by_the_default_and_told_apart() -> None:
    policy = Policy(
        name="names",
        standard="none",
        default=DefaultRule(action="mask"),
        rules={"name": Rule(action="label")},
    )
    labels = Redactor(table=replace(TABLE, has_unknown=True), policy=policy)
    (text,) = labels.redact(document("{{P}}Ames{{/P}} {{PET}}Rex{{/PET}} {{C}}Lima{{/C}}"))
    assert text.text == "[NAME:PATIENT] *** ****"
    assert [(made.phi_type, made.planned, made.is_default) for made in text.replacements] == [
        ("name", "label", False),
        ("unknown", "mask", True),
        ("city", "mask", True),
    ]


def test_what_is_kept_is_counted_by_label() -> None:
    original = document("{{COUNTRY}}Peru{{/COUNTRY}} {{C}}Lima{{/C}} {{P}}Ida{{/P}}")
    (text,) = redactor(Policy.load("limited-data-set")).redact(original)
    assert text.text == "Peru Lima [NAME:PATIENT]"
    assert text.kept_spans == {"COUNTRY": 1, "LOCATION:CITY": 1}
    values = "{{A}} 50{{/A}} {{D}}2010{{/D}} {{STATE}}MA{{/STATE}} {{ZIP}}021{{/ZIP}} {{A}}90{{/A}}"
    (text,) = redactor(SAFE_HARBOR).redact(document(values))
    assert text.text == " 50 2010 MA 021 90+"
    assert text.kept_spans == {"AGE": 1, "DATE": 1, "STATE": 1, "ZIP": 1}


def test_a_place_with_the_label_of_a_state_does_not_stay() -> None:
    text = "{{STATE}}MA{{/STATE}} {{STATE}}Boston{{/STATE}} {{COUNTRY}}Ames{{/COUNTRY}}"
    assert redact(SAFE_HARBOR, text) == "MA [STATE] [COUNTRY]"


def test_a_removed_identifier_leaves_nothing_and_joins_nothing() -> None:
    policy = Policy.load("safe-harbor").model_copy(
        update={"rules": {**SAFE_HARBOR.rules, "name": Rule(action="remove")}}
    )
    assert redact(policy, "Mr {{P}}Ames{{/P}} came") == "Mr  came"
    # Without the name between them, two pieces would be the name.
    joined = redact(policy, "Am{{P}}Bond{{/P}}es, {{P}}Ames{{/P}}")
    assert "ames" not in joined.casefold()


LABELS = ("NAME", "DATE", "AGE", "ZIP", "STATE", "CITY", "ID", "LOCATION", "OTHER-THING")
_words = st.sampled_from(
    [
        *("Ames", "Ida", "Boston", "MA", "02115", "03601-1234", "036", "1931", "1979", "3/4/1931"),
        *("12 May 2010", "'21", "2/3/21", "90", "nine", "ninety-four", "120", "years", "months"),
        *(" ", ", ", "-", "/", "\n", "é", "9", "0", "١٢", "of"),
    ]
)


ACTIONS: tuple[Action, ...] = ("label", "remove", "mask")
"""Actions for names that Safe Harbor allows and that need no key."""


@st.composite
def documents(draw: st.DrawFn) -> RedactionDocument:
    """Draw texts with any spans, also nested and crossing ones."""
    text = "".join(draw(st.lists(_words | st.text(max_size=3), min_size=1, max_size=10)))
    places = st.integers(0, len(text))
    drawn = draw(st.lists(st.tuples(places, places, st.sampled_from(LABELS)), max_size=4))
    spans = tuple(DetectedSpan(min(a, b), max(a, b), label) for a, b, label in drawn)
    return RedactionDocument("note", (DocumentPart("1", text, spans),))


@settings(max_examples=200, deadline=None)
@given(original=documents(), action=st.sampled_from(ACTIONS))
def test_safe_harbor_leaves_no_forbidden_value_of_any_span(
    original: RedactionDocument, action: Action
) -> None:
    rules = {**SAFE_HARBOR.rules, "name": Rule(action=action)}
    policy = SAFE_HARBOR.model_copy(update={"rules": rules})
    table = replace(TABLE, has_unknown=True)
    generaliser = Generaliser(ZipTable.load(None), year=YEAR)
    (text,) = Redactor(table, policy, generaliser=generaliser).redact(original)
    for made in text.replacements:
        assert made.action in get_args(Action)
        if made.action == "generalise":
            check_generalised(made.phi_type, made.original, made.text)
        elif made.action == "label":
            assert made.text == f"[{made.span.label}]"
        else:
            assert made.action in {"remove", "mask"}
            assert not (set(made.text) - set("\r\n")) & set(made.original)
    check_nothing_is_left(original, text, policy)


def check_nothing_is_left(
    original: RedactionDocument, redacted: RedactedText, policy: Policy
) -> None:
    """Check that what was detected is replaced, unless the policy keeps it, and nothing else."""
    (part,) = original.parts
    table = replace(TABLE, has_unknown=True)
    generaliser = Generaliser(ZipTable.load(None), year=YEAR)
    own = Redactor(table, policy, generaliser=generaliser)
    gone = []
    for span in part.spans:
        value = part.text[span.start : span.end].strip()
        if own.stays(span.label, value):
            check_generalised(table.phi_type(span.label), value, value)
        else:
            gone.append(span)
    replaced = covered_characters(part.text, [made.span for made in redacted.replacements])
    assert covered_characters(part.text, gone) <= replaced
    pieces, cursor = [], 0
    for made in redacted.replacements:
        pieces += [part.text[cursor : made.span.start], made.text]
        cursor = made.span.end
    assert redacted.text == "".join([*pieces, part.text[cursor:]])


def check_generalised(phi_type: str, original: str, text: str) -> None:
    """Check a generalised value by the words of the rule."""
    match phi_type:
        case "date":
            years = text.split(", ")
            assert all(re.fullmatch(r"[0-9]{4}|90\+", year) for year in years)
            assert all(YEAR - int(year) < 90 for year in years if year != "90+")
            assert all(year in original or year[2:] in original for year in years if year != "90+")
        case "age":
            numbers = [int(number) for number in re.findall(r"\d+", text)]
            words = set(re.findall(r"[^\W\d_]+", text.casefold()))
            is_short = words & word_lists().age_units.others
            assert text == "90+" or is_short or all(number < 90 for number in numbers)
            assert "ninety" not in text or is_short
            assert not re.search("Ames|Ida|Boston", text)
        case "zip":
            assert text == "000" or (
                text == original.strip()[:3] and re.fullmatch("[0-9]{3}", text)
            )
            assert text not in ZipTable.load(None).sparse
        case "state":
            regions = word_lists().regions
            assert text == original
            assert text.casefold().strip(" .") in regions.states | regions.state_abbreviations
        case _:
            raise AssertionError(phi_type)
