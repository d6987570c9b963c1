"""What Optuna knows of a search: its study in a database, and the points that compare runs."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from annoseq.errors import OptionError, TrainingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import ModuleType

    import optuna

    from annoseq.training.sweep.folder import SweepFolder

_STEPS = 20
"""Points of a run at which it is compared with others."""
_WARM_UP = 6
"""Points before the first comparison: the rate rises in the first 30 % of a run."""
_COMPLETE = 5
"""Runs that must be complete, and have been at a point, before others are ended there."""


def import_optuna() -> ModuleType:
    """Import Optuna, which only a search needs.

    Raises:
        OptionError: it is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise OptionError(
            "--search needs Optuna, which is not installed. Run: pip install 'annoseq[sweep]'"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


@contextmanager
def open_study(folder: SweepFolder, *, prune: bool) -> Iterator[optuna.Study]:
    """Yield the study of a sweep's folder, new or as it was left.

    Raises:
        TrainingError: it cannot be read or written.
    """
    optuna = import_optuna()
    from sqlalchemy import URL

    url = URL.create("sqlite", database=str(folder.study))
    pruner = optuna.pruners.MedianPruner(_COMPLETE, n_warmup_steps=_WARM_UP, n_min_trials=_COMPLETE)
    with ExitStack() as opened, _explained(folder.study):
        with folder.lock():
            storage = optuna.storages.RDBStorage(url.render_as_string(hide_password=False))
            opened.callback(storage.engine.dispose)
            opened.callback(storage.remove_session)
            study = optuna.create_study(
                study_name="sweep",
                storage=storage,
                direction="maximize",
                pruner=pruner if prune else optuna.pruners.NopPruner(),
                load_if_exists=True,
            )
        yield study


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Explain what goes wrong with a study's database.

    Raises:
        TrainingError: it cannot be read or written.
    """
    from optuna.exceptions import OptunaError
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, OptunaError) as error:
        told = (one.orig for one in (error, error.__cause__) if isinstance(one, DBAPIError))
        raise TrainingError(
            f"{path} cannot be read or written: {next(told, type(error).__name__)}. "
            "Where the disk was full, make room and add --resume. Otherwise the file is damaged or "
            "of another version of Optuna: begin another sweep."
        ) from error


def points(scores: Sequence[float], *, total: int) -> dict[int, float]:
    """Return the score at each point of a run of `total` epochs, from the end of the first on.

    At a point between the ends of two epochs it is that of the earlier one, so that runs of any
    length have a score at the same points.
    """
    found: dict[int, float] = {}
    for epoch, score in enumerate(scores, start=1):
        point = _STEPS * epoch // total
        if found:
            last = max(found)
            found |= dict.fromkeys(range(last + 1, point), found[last])
        found.setdefault(point, score)
    return found
