"""Hyperparameter search by Optuna, with pruning."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import numpy as np

from annoseq.errors import OptionError, TrainingError
from annoseq.training.sweep.search_space import TRIED, Choice, Range
from annoseq.training.sweep.trial import HopelessRun, carry_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import ModuleType

    import optuna

    from annoseq.training.recorder import Epoch
    from annoseq.training.sweep.runs import Run
    from annoseq.training.sweep.search_space import Value
    from annoseq.training.sweep.sweep_folder import SweepFolder
    from annoseq.training.sweep.trial import Sweep


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


_RUN = "run"
"""The attribute of a trial that says which run it is, perhaps one that another trial began."""


def search(
    sweep: Sweep, *, trials: int, seed: int, prune: bool, report: Callable[[Run], None]
) -> None:
    """Carry out runs until there are `trials`, those of other processes counted.

    Values are drawn by the tree-structured Parzen estimator (Bergstra et al. 2011). With `prune`,
    a run ends early whose best accuracy so far is below the median of the others' at the same
    share of their epochs. A run whose process died is taken up again.

    Raises:
        OptionError: hardly any of the settings that can be drawn go together.
        TrainingError: the study cannot be read or written.
    """
    with open_study(sweep.folder, prune=prune) as study:
        while True:
            with ExitStack() as held:
                with sweep.folder.lock():
                    _revive(study, sweep)
                    if not _is_wanted(study, trials=trials):
                        return
                    trial, values = _take(study, sweep, seed=seed, held=held)
                watch = _watcher(trial, sweep, values)
                run = carry_out(sweep, _run_number(trial), values, watch=watch)
                with sweep.folder.lock():
                    _tell(study, trial.number, run)
                report(run)


def _is_wanted(study: optuna.Study, *, trials: int) -> bool:
    """Tell whether another trial is to begin: one that waits, or one more."""
    states = import_optuna().trial.TrialState
    found = [one for one in study.get_trials(deepcopy=False) if one.state != states.FAIL]
    is_waiting = any(trial.state == states.WAITING for trial in found)
    return is_waiting or len({_run_number(trial) for trial in found}) < trials


def _take(
    study: optuna.Study, sweep: Sweep, *, seed: int, held: ExitStack
) -> tuple[optuna.Trial, dict[str, Value]]:
    """Take the next trial, its run held, and its settings. The folder must be held.

    Draws that no run can begin with are made again.
    """
    states = import_optuna().trial.TrialState
    for _ in range(TRIED):
        found = study.get_trials(deepcopy=False)
        # Drawn anew for each trial: what is drawn does not depend on who draws, or when it began.
        draws = int(np.random.SeedSequence([seed, len(found)]).generate_state(1)[0])
        study.sampler = import_optuna().samplers.TPESampler(seed=draws)
        trial = study.ask()
        values = _draw(trial, sweep)
        try:
            sweep.settings(values)
        except OptionError as error:
            fault = str(error)
            study.tell(trial.number, state=states.FAIL)
            continue
        if _RUN not in trial.user_attrs:
            trial.set_user_attr(_RUN, 1 + max((_run_number(one) for one in found), default=0))
        held.enter_context(sweep.folder.claim(_run_number(trial)))
        return trial, values
    raise OptionError(
        f"{TRIED} settings were drawn, and with none can a run begin; with the last: {fault} "
        "Give other lists or ranges."
    )


def _revive(study: optuna.Study, sweep: Sweep) -> None:
    """Ask again for the trials whose processes died, or whose runs are no longer there."""
    states = import_optuna().trial.TrialState
    ended = study.get_trials(deepcopy=False, states=(states.COMPLETE, states.PRUNED))
    lost = {one: trial for trial in ended if sweep.folder.find(one := _run_number(trial)) is None}
    for trial in study.get_trials(deepcopy=False, states=(states.RUNNING, states.WAITING)):
        lost.pop(_run_number(trial), None)
    for number, trial in lost.items():
        study.enqueue_trial(trial.params, user_attrs={_RUN: number})
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
    """Tell the study of a run: one without a score is worse than all that have one."""
    if run.score is None:
        study.tell(number, state=import_optuna().trial.TrialState.PRUNED, skip_if_finished=True)
    else:
        study.tell(number, run.score, skip_if_finished=True)


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
        low, high = axis.low // axis.step, axis.high // axis.step
        return axis.step * trial.suggest_int(name, low, high, log=axis.is_logarithmic)
    return trial.suggest_float(name, axis.low, axis.high, log=axis.is_logarithmic)


def _watcher(
    trial: optuna.Trial, sweep: Sweep, values: dict[str, Value]
) -> Callable[[list[Epoch]], None]:
    """Make what tells the study of epochs and ends a run that has fallen behind."""
    total = sweep.settings(values).training.epochs
    assert total != "auto"
    seen = 0

    def watch(epochs: list[Epoch]) -> None:
        nonlocal seen
        scores = points([row.score for row in epochs], total=total)
        with sweep.folder.lock():
            for step in [step for step in scores if step >= seen]:
                trial.report(scores[step], step)
                seen = step + 1
            if len(epochs) < total and trial.should_prune():
                raise HopelessRun

    return watch
