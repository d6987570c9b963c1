"""Certificates: the bound holds in simulations, and refusals say what is needed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from annoseq.data.examples import Example
from annoseq.data.markup import Span
from annoseq.errors import OptionError
from annoseq.evaluation.certificate import (
    Certificate,
    ReviewLoad,
    RiskBound,
    ScoredIdentifier,
    make_certificate,
    measure_review_load,
    read_certificate,
)
from annoseq.evaluation.coverage_counter import CoverageCounter
from annoseq.evaluation.recall_thresholds import score_bin, threshold_bin

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.evaluation.certificate import Loss

Units = list[list[ScoredIdentifier]]
COUNTS = CoverageCounter(floor=1e-6).counts()


def certify(units: Units, bound: RiskBound) -> Certificate:
    return make_certificate(units, COUNTS, bound, model="m" * 64, data="d" * 64, scope=["x"])


def draw(generator: np.random.Generator, *, units: int) -> Units:
    """Draw units whose identifiers have scores that differ from unit to unit."""
    drawn: Units = []
    for _ in range(units):
        hardness = generator.exponential(2.0)
        scores = 1 / (1 + np.exp(-generator.normal(7 - hardness, 2.0, generator.integers(0, 30))))
        drawn.append([ScoredIdentifier(score_bin(float(score)), 1.0) for score in scores])
    return drawn


def risk_at(units: Units, threshold: float, loss: Loss) -> float:
    bin_ = threshold_bin(threshold)
    losses = []
    for unit in units:
        missed = sum(one.bin is None or one.bin < bin_ for one in unit)
        losses.append(float(missed > 0) if loss == "any" else missed / max(len(unit), 1))
    return float(np.mean(losses))


@pytest.mark.parametrize(("loss", "missed"), [("share", 0.05), ("any", 0.2)])
def test_the_bound_fails_in_no_more_than_its_share_of_samples(loss: Loss, missed: float) -> None:
    generator = np.random.default_rng(7)
    population = draw(generator, units=1_500)
    bound = RiskBound(missed=missed, confidence=0.9, loss=loss)
    failures, slack, samples = 0, [], 60
    for _ in range(samples):
        chosen = generator.choice(len(population), 150)
        certificate = certify([population[index] for index in chosen], bound)
        risk = risk_at(population, certificate.threshold, loss)
        failures += risk > missed
        slack.append(risk / missed)
    assert failures / samples <= 0.1 + 2 * math.sqrt(0.1 * 0.9 / samples)
    assert np.mean(slack) > 0.5  # the bound is not absurdly loose


def test_a_certificate_says_what_it_rests_on(tmp_path: Path) -> None:
    units = draw(np.random.default_rng(1), units=200)
    certificate = certify(units, RiskBound(missed=0.05, confidence=0.95))
    assert certificate.statement == (
        "With a confidence of 0.95, the mean share of missed identifiers in a document is at most "
        "0.05."
    )
    assert (certificate.units, certificate.scope) == (200, ("x",))
    assert certificate.p_value <= 0.05
    assert certificate.observed_loss == risk_at(units, certificate.threshold, "share")
    assert certificate.expected_threshold is not None
    assert certificate.expected_threshold >= certificate.threshold
    path = tmp_path / "c.json"
    path.write_text(certificate.model_dump_json())
    assert read_certificate(path) == certificate
    target = certificate.target(model="m" * 64, name="c.json")
    assert (target.threshold, target.confidence) == (certificate.measured.threshold, 95)
    with pytest.raises(OptionError) as caught:
        certificate.target(model="n" * 64, name="c.json")
    assert str(caught.value) == (
        "c.json: this certificate is of the model mmmmmmmmmmmm, and this one is nnnnnnnnnnnn. Give "
        "the model that was certified, or certify this one."
    )


def test_the_review_load_counts_what_is_marked_in_a_document() -> None:
    rows = [("Ana Paz has 12 cats", "a"), ("Ana", "a"), ("Paz", "b")]
    examples = [
        Example(source=text, target=text, row=row, spans=(), document=document)
        for row, (text, document) in enumerate(rows, 1)
    ]
    nested = [Span(0, 7, "NAME"), Span(4, 7, "NAME"), Span(6, 11, "X"), Span(12, 14, "AGE")]
    measured = COUNTS.point(0.5).model_copy(
        update={"marked_tokens": 3, "marked_other_tokens": 2, "other_tokens": 8}
    )
    load = measure_review_load(examples, [nested, [], [Span(0, 3, "NAME")]], measured)
    assert load == ReviewLoad(
        documents=2, spans=1.5, tokens=2.5, characters=8.0, text_share=16 / 25, other_share=0.25
    )
    assert load.statement == (
        "to review in a document: 1.5 marked spans, 2.5 tokens, 8.0 characters, 64.00% of its text"
    )


def test_a_certificate_of_before_has_no_review_load(tmp_path: Path) -> None:
    certificate = certify(
        draw(np.random.default_rng(1), units=200), RiskBound(missed=0.05, confidence=0.95)
    )
    path = tmp_path / "c.json"
    path.write_text(certificate.model_dump_json(exclude={"review_load"}))
    assert read_certificate(path) == certificate


def test_the_loss_of_any_missed_identifier_is_stated() -> None:
    units = draw(np.random.default_rng(1), units=200)
    bound = RiskBound(missed=0.4, confidence=0.95, loss="any", unit="patient")
    assert certify(units, bound).statement == (
        "With a confidence of 0.95, the share of patients with a missed identifier is at most 0.4."
    )


def test_weights_count_in_the_share() -> None:
    light, heavy = ScoredIdentifier(10, 1.0), ScoredIdentifier(0, 9.0)
    bound = RiskBound(missed=0.5, confidence=0.9)
    certificate = certify([[light, heavy]] * 40 + [[light, light]] * 5, bound)
    assert threshold_bin(certificate.threshold) == 0  # at 10, nine tenths of the weight are missed
    lighter = [[light, ScoredIdentifier(0, 0.1)]] * 45
    assert threshold_bin(certify(lighter, bound).threshold) == 10


def test_a_refusal_says_how_many_units_are_needed() -> None:
    units: Units = [[ScoredIdentifier(5, 1.0)]] * 20
    with pytest.raises(OptionError) as caught:
        certify(units, RiskBound(missed=0.01, confidence=0.95))
    assert str(caught.value) == (
        "20 documents are too few to bound a risk of 0.01 with a confidence of 0.95: about 299 are "
        "needed. Give more of them, or ask for less."
    )
    with pytest.raises(OptionError, match="0 documents"):
        certify([], RiskBound(missed=0.01, confidence=0.95))


def test_a_refusal_says_that_the_model_misses_too_much() -> None:
    units: Units = [[ScoredIdentifier(None, 1.0)]] * 5 + [[ScoredIdentifier(5, 1.0)]] * 5
    with pytest.raises(OptionError) as caught:
        certify(units, RiskBound(missed=0.1, confidence=0.95))
    assert str(caught.value) == (
        "even if everything is marked that the model may take for an identifier, the loss is 0.5 "
        "on 10 documents, and at most 0.1 was asked for. Ask for more, or train a better model."
    )


@pytest.mark.parametrize("content", [b"{}", b"\xff", b"[1]", b'{"format": 2}'])
def test_a_file_that_is_no_certificate_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_bytes(content)
    with pytest.raises(OptionError, match=r"c\.json: this is no certificate of `annoseq certify`"):
        read_certificate(path)
    with pytest.raises(OptionError, match=r"d\.json: cannot be read: No such file"):
        read_certificate(tmp_path / "d.json")
