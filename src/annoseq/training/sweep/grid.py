"""Every combination of the values, one run each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from annoseq.training.sweep.trial import carry_out

if TYPE_CHECKING:
    from collections.abc import Callable

    from annoseq.training.sweep.run import Run
    from annoseq.training.sweep.trial import Sweep


def run_grid(sweep: Sweep, *, report: Callable[[Run], None]) -> None:
    """Carry out the runs that nobody has carried out or is at; tell `report` of each.

    Runs in several processes at once: each takes the next that is free.
    """
    for number, values in enumerate(sweep.space.grid(), start=1):
        with sweep.folder.claim(number) as is_ours:
            if is_ours:
                report(carry_out(sweep, number, values))
