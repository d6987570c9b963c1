"""Runs that Optuna chooses, and ends early where they fall behind."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import numpy as np

from annoseq.errors import OptionError, TrainingError
from annoseq.training.sweep.settings import Settings
from annoseq.training.sweep.space import Choice, Range
from annoseq.training.sweep.trial import HopelessRun, carry_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    import optuna

    from annoseq.training.recorder import Epoch
    from annoseq.training.sweep.run import Run
    from annoseq.training.sweep.settings import Value
    from annoseq.training.sweep.trial import Sweep

_STEPS = 20
"""Points of a run at which it is compared with others."""
_WARM_UP = 6
"""Points before the first comparison: the rate rises in the first 30 % of a run."""
_RUN = "run"
"""The attribute of a trial that says which run it is, perhaps one that another trial began."""


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


def search(
    sweep: Sweep, *, trials: int, seed: int, prune: bool, report: Callable[[Run], None]
) -> None:
    """Carry out runs until there are `trials`, those of other processes counted.

    Values are drawn by the tree-structured Parzen estimator (Bergstra et al. 2011). With `prune`,
    a run ends early whose best accuracy so far is below the median of the others' at the same
    share of their epochs. A run whose process died is taken up again.
    """
    with _open_study(sweep, prune=prune) as study:
        while True:
            with ExitStack() as held:
                with sweep.folder.lock():
                    trial = _take(study, sweep, trials=trials, seed=seed, held=held)
                    if trial is None:
                        return
                    values = _draw(trial, sweep)
                watch = _watcher(trial, sweep, values)
                run = carry_out(sweep, _run_number(trial), values, watch=watch)
                with sweep.folder.lock():
                    _tell(study, trial.number, run)
                report(run)


@contextmanager
def _open_study(sweep: Sweep, *, prune: bool) -> Iterator[optuna.Study]:
    """Yield the study of a sweep's folder, new or as it was left.

    Raises:
        TrainingError: the database is damaged.
    """
    optuna = import_optuna()
    from sqlalchemy import URL
    from sqlalchemy.exc import SQLAlchemyError

    url = URL.create("sqlite", database=str(sweep.folder.study))
    pruner = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=_WARM_UP)
    try:
        with sweep.folder.lock():
            storage = optuna.storages.RDBStorage(url.render_as_string(hide_password=False))
            study = optuna.create_study(
                study_name="sweep",
                storage=storage,
                direction="maximize",
                pruner=pruner if prune else optuna.pruners.NopPruner(),
                load_if_exists=True,
            )
    except (SQLAlchemyError, optuna.exceptions.OptunaError) as error:
        raise TrainingError(
            f"{sweep.folder.study} is damaged or was written by another version of Optuna. "
            "Begin another sweep."
        ) from error
    try:
        yield study
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _take(
    study: optuna.Study, sweep: Sweep, *, trials: int, seed: int, held: ExitStack
) -> optuna.Trial | None:
    """Take the next trial, its run held, unless there are enough. The folder must be held."""
    states = import_optuna().trial.TrialState
    _revive(study, sweep)
    found = study.get_trials(deepcopy=False)
    counts = {state: sum(trial.state == state for trial in found) for state in states}
    if not counts[states.WAITING] and len(found) - counts[states.FAIL] >= trials:
        return None
    # Drawn anew for each trial: what is drawn does not depend on who draws, or when it began.
    draws = int(np.random.SeedSequence([seed, len(found)]).generate_state(1)[0])
    study.sampler = import_optuna().samplers.TPESampler(seed=draws)
    trial = study.ask()
    if _RUN not in trial.user_attrs:
        trial.set_user_attr(_RUN, 1 + max((_run_number(one) for one in found), default=0))
    held.enter_context(sweep.folder.claim(_run_number(trial)))
    return trial


def _revive(study: optuna.Study, sweep: Sweep) -> None:
    """Ask again for the trials whose processes died."""
    states = import_optuna().trial.TrialState
    for trial in study.get_trials(deepcopy=False, states=(states.RUNNING,)):
        number = _run_number(trial)
        if not number:  # its process died as it was made
            study.tell(trial.number, state=states.FAIL)
            continue
        with sweep.folder.claim(number) as is_ours:
            run = sweep.folder.find(number)
            if run is not None:
                _tell(study, trial.number, run)
            elif is_ours:
                study.tell(trial.number, state=states.FAIL)
                study.enqueue_trial(trial.params, user_attrs={_RUN: number})


def _tell(study: optuna.Study, number: int, run: Run) -> None:
    if run.state == "pruned":
        study.tell(number, state=import_optuna().trial.TrialState.PRUNED, skip_if_finished=True)
    else:  # a run without a score is the worst that there can be
        study.tell(number, run.score or 0.0, skip_if_finished=True)


def _run_number(trial: optuna.Trial | optuna.trial.FrozenTrial) -> int:
    return int(trial.user_attrs.get(_RUN, 0))


def _draw(trial: optuna.Trial, sweep: Sweep) -> dict[str, Value]:
    """Draw a value for every setting; a network first, as only its own options are drawn."""
    space = sweep.space
    model = space.models[0]
    if len(space.models) > 1:
        model = _suggest(trial, "model", Choice(space.models))
    return {name: _suggest(trial, name, axis) for name, axis in space.of_model(model).items()}


def _suggest(trial: optuna.Trial, name: str, axis: Choice | Range) -> Value:
    if isinstance(axis, Choice):
        if len(axis.values) == 1:
            return axis.values[0]
        value = trial.suggest_categorical(name, axis.values)
        assert value is not None  # which Optuna would allow
        return value
    if isinstance(axis.low, int) and isinstance(axis.high, int):
        return trial.suggest_int(name, axis.low, axis.high, log=axis.is_logarithmic)
    return trial.suggest_float(name, axis.low, axis.high, log=axis.is_logarithmic)


def _watcher(
    trial: optuna.Trial, sweep: Sweep, values: dict[str, Value]
) -> Callable[[list[Epoch]], None]:
    """Make what tells the study of epochs and ends a run that has fallen behind."""
    seen = -1

    def watch(epochs: list[Epoch]) -> None:
        nonlocal seen
        total = Settings.of(values).settled(sweep.dataset).training.epochs
        assert total != "auto"
        with sweep.folder.lock():
            for row in epochs:
                step = _STEPS * row.epoch // total
                if step > seen:
                    trial.report(row.score, step)
                    seen = step
            if len(epochs) < total and trial.should_prune():
                raise HopelessRun

    return watch
