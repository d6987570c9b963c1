"""Hues of labels: different in every kind of colour vision, and with names that can be read."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from annoseq.review.review_app import PAGE

Colour = NDArray[np.float64]

SIMULATIONS = {
    "normal": np.eye(3),
    "protan": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deutan": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritan": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
"""Dichromatic vision in linear RGB (Machado, Oliveira and Fernandes 2009, severity 1)."""
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = np.array([0.9505, 1.0, 1.089])


def colours(pattern: str, css: str) -> list[Colour]:
    """Return the colours of a stylesheet by name, between 0 and 1."""
    return [
        np.array([int(found[at : at + 2], 16) for at in (0, 2, 4)]) / 255
        for found in re.findall(pattern + r": #([0-9a-f]{6})", css)
    ]


def linear(colour: Colour) -> Colour:
    light: Colour = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    return light


def to_lab(light: Colour) -> Colour:
    xyz = TO_XYZ @ light / WHITE
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(one: Colour, other: Colour) -> float:
    """Return the contrast ratio of WCAG 2."""
    low, high = sorted(float(TO_XYZ[1] @ linear(colour)) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def palettes() -> list[list[Colour]]:
    css = Path(PAGE / "document.css").read_text(encoding="utf-8")
    hues = colours(r"--hue-\d", css)
    return [hues[:8], hues[8:]]


def grounds() -> list[tuple[Colour, Colour]]:
    """Return background and text, in the light and in the dark look."""
    css = Path(PAGE / "page.css").read_text(encoding="utf-8").replace("#fff;", "#ffffff;")
    return list(zip(colours("--back", css), colours("--text", css), strict=True))


@pytest.mark.parametrize("vision", SIMULATIONS)
@pytest.mark.parametrize("look", [0, 1], ids=["light", "dark"])
def test_any_two_of_the_eight_hues_differ(vision: str, look: int) -> None:
    seen = [to_lab(np.clip(SIMULATIONS[vision] @ linear(hue), 0, 1)) for hue in palettes()[look]]
    assert len(seen) == 8
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 15


@pytest.mark.parametrize("look", [0, 1], ids=["light", "dark"])
def test_lines_and_names_of_labels_have_enough_contrast(look: int) -> None:
    back, text = grounds()[look]
    for hue in palettes()[look]:
        assert contrast(hue, back) >= 3  # a line, WCAG 1.4.11
        name, filled = 0.78 * hue + 0.22 * text, 0.22 * hue + 0.78 * back
        assert contrast(name, filled) >= 4.5  # small text, WCAG 1.4.3
