from __future__ import annotations

from datetime import date

import pytest

from annoseq.sample.entities import DATE_STYLES, format_date


def test_there_are_many_date_formats() -> None:
    day = date(2019, 3, 4)
    written = {format_date(day, pattern) for formats in DATE_STYLES.values() for pattern in formats}
    assert len(written) >= 20
    assert {"03/04/2019", "3/4", "2019-03-04", "March 4, 2019", "04-MAR-2019"} <= written
    assert {"March of 2019", "2019", "03/2019", "Monday", "3/4/19", "'19"} <= written
    assert {"the 4th of March", "the spring of 2019", "4 March 2019"} <= written


@pytest.mark.parametrize(
    ("day", "ordinal"),
    [
        *((1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th")),
        *((13, "13th"), (21, "21st"), (22, "22nd"), (23, "23rd"), (30, "30th")),
    ],
)
def test_ordinals(day: int, ordinal: str) -> None:
    assert format_date(date(2020, 1, day), "{d}{th}") == ordinal


@pytest.mark.parametrize(
    ("month", "season"), [(1, "winter"), (3, "spring"), (6, "summer"), (9, "fall"), (12, "winter")]
)
def test_seasons(month: int, season: str) -> None:
    assert format_date(date(2020, month, 15), "{season}") == season
