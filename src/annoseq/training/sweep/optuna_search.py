"""Hyperparameter search by Optuna's TPE sampler, with median pruning.

A trial of Optuna's study has the number of its run as an attribute. A run whose process died, or
whose record was deleted, is trained again in a new trial with the same values.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import numpy as np

from annoseq.errors import OptionError, TrainingError
from annoseq.training.sweep.search_space import MAX_ATTEMPTS, CategoricalDimension
from annoseq.training.sweep.trial import PrunedRun, run_trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import ModuleType

    import optuna

    from annoseq.training.recorder import Epoch
    from annoseq.training.sweep.results import SweepRun
    from annoseq.training.sweep.search_space import Dimension, Value
    from annoseq.training.sweep.sweep_folder import SweepFolder
    from annoseq.training.sweep.trial import Sweep


_PRUNING_STEPS = 20
"""Steps of a run at which it is compared with others, whatever its number of epochs."""
_WARMUP_STEPS = 6
"""Steps before the first comparison: the learning rate rises in the first 30 % of a run."""
_MIN_TRIALS = 5
"""Complete runs, and runs with a score at a step, that pruning at that step needs."""
_RUN_NUMBER = "run"
"""User attribute of a trial."""


def import_optuna() -> ModuleType:
    """Import Optuna, which only a search needs.

    Raises:
        OptionError: Optuna is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise OptionError(
            "--search needs Optuna, which is not installed. Run: pip install 'annoseq[sweep]'"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def run_optuna_search(
    sweep: Sweep, *, trials: int, seed: int, prune: bool, report: Callable[[SweepRun], None]
) -> None:
    """Train runs until there are `trials`, those of other processes counted.

    Values are drawn by the tree-structured Parzen estimator (Bergstra et al. 2011). With `prune`,
    a run ends early whose best score so far is below the median of the others' at the same share
    of their epochs.

    Raises:
        OptionError: hardly any values of the search space are valid together.
        TrainingError: the study cannot be read or written.
    """
    with open_study(sweep.folder, prune=prune) as study:
        while True:
            with ExitStack() as claim:
                with sweep.folder.files.lock():
                    _requeue_lost_runs(study, sweep)
                    if not _is_trial_left(study, trials=trials):
                        return
                    trial, values = _ask_trial(study, sweep, seed=seed, claim=claim)
                after_epoch = _pruning_callback(trial, sweep, values)
                run = run_trial(sweep, _run_number(trial), values, after_epoch=after_epoch)
                with sweep.folder.files.lock():
                    _tell_trial(study, trial.number, run)
                report(run)


@contextmanager
def open_study(folder: SweepFolder, *, prune: bool) -> Iterator[optuna.Study]:
    """Yield the study of a sweep's folder, new or as it was left; close its database afterwards.

    Raises:
        TrainingError: the study cannot be read or written.
    """
    optuna = import_optuna()
    from sqlalchemy import URL
    from sqlalchemy.pool import NullPool

    url = URL.create("sqlite", database=str(folder.study))
    pruner = optuna.pruners.MedianPruner(
        _MIN_TRIALS, n_warmup_steps=_WARMUP_STEPS, n_min_trials=_MIN_TRIALS
    )
    with ExitStack() as cleanup, _database_errors(folder.study):
        with folder.files.lock():
            storage = optuna.storages.RDBStorage(
                url.render_as_string(hide_password=False),
                # A pool keeps a connection of each thread, and closes only that of its own.
                engine_kwargs={"poolclass": NullPool},
            )
            cleanup.callback(storage.engine.dispose)
            cleanup.callback(storage.remove_session)
            study = optuna.create_study(
                study_name="sweep",
                storage=storage,
                direction="maximize",
                pruner=pruner if prune else optuna.pruners.NopPruner(),
                load_if_exists=True,
            )
        yield study


@contextmanager
def _database_errors(path: Path) -> Iterator[None]:
    """Raise errors of a study's database as a `TrainingError`."""
    from optuna.exceptions import OptunaError
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, OptunaError) as error:
        causes = (cause.orig for cause in (error, error.__cause__) if isinstance(cause, DBAPIError))
        raise TrainingError(
            f"{path} cannot be read or written: {next(causes, type(error).__name__)}. "
            "Where the disk was full, make room and add --resume. Otherwise the file is damaged or "
            "of another version of Optuna: begin another sweep."
        ) from error


def scores_at_steps(scores: Sequence[float], *, total: int) -> dict[int, float]:
    """Return the score at each pruning step of a run of `total` epochs, from epoch 1 on.

    At a step between the ends of two epochs it is that of the earlier one, so that runs of any
    length have a score at the same steps.
    """
    by_step: dict[int, float] = {}
    for epoch, score in enumerate(scores, start=1):
        step = _PRUNING_STEPS * epoch // total
        if by_step:
            last = max(by_step)
            by_step |= dict.fromkeys(range(last + 1, step), by_step[last])
        by_step.setdefault(step, score)
    return by_step


def _is_trial_left(study: optuna.Study, *, trials: int) -> bool:
    """Return True if a trial is enqueued, or there are fewer runs than `trials`."""
    states = import_optuna().trial.TrialState
    known = [trial for trial in study.get_trials(deepcopy=False) if trial.state != states.FAIL]
    is_waiting = any(trial.state == states.WAITING for trial in known)
    return is_waiting or len({_run_number(trial) for trial in known}) < trials


def _ask_trial(
    study: optuna.Study, sweep: Sweep, *, seed: int, claim: ExitStack
) -> tuple[optuna.Trial, dict[str, Value]]:
    """Ask for the next trial, claim its run, and return the trial and its values.

    The folder must be locked. Invalid values are drawn again.
    """
    states = import_optuna().trial.TrialState
    for _ in range(MAX_ATTEMPTS):
        trials = study.get_trials(deepcopy=False)
        # A seed of its own for each trial: values do not depend on which process draws them.
        sampler_seed = int(np.random.SeedSequence([seed, len(trials)]).generate_state(1)[0])
        study.sampler = import_optuna().samplers.TPESampler(seed=sampler_seed)
        trial = study.ask()
        values = _suggest_values(trial, sweep)
        try:
            sweep.settings(values)
        except OptionError as error:
            problem = str(error)
            study.tell(trial.number, state=states.FAIL)
            continue
        if _RUN_NUMBER not in trial.user_attrs:
            last = max((_run_number(other) for other in trials), default=0)
            trial.set_user_attr(_RUN_NUMBER, last + 1)
        claim.enter_context(sweep.folder.files.claim(_run_number(trial)))
        return trial, values
    raise OptionError(
        f"{MAX_ATTEMPTS} settings were drawn, and with none can a run begin; with the last: "
        f"{problem} Give other lists or ranges."
    )


def _requeue_lost_runs(study: optuna.Study, sweep: Sweep) -> None:
    """Enqueue again the trials whose process died, or whose run's record is gone."""
    states = import_optuna().trial.TrialState
    complete = study.get_trials(deepcopy=False, states=(states.COMPLETE, states.PRUNED))
    lost = {
        number: trial
        for trial in complete
        if sweep.folder.find(number := _run_number(trial)) is None
    }
    for trial in study.get_trials(deepcopy=False, states=(states.RUNNING, states.WAITING)):
        lost.pop(_run_number(trial), None)
    for number, trial in lost.items():
        study.enqueue_trial(trial.params, user_attrs={_RUN_NUMBER: number})
    for trial in study.get_trials(deepcopy=False, states=(states.RUNNING,)):
        number = _run_number(trial)
        if not number:  # its process died before it had a number
            study.tell(trial.number, state=states.FAIL)
            continue
        with sweep.folder.files.claim(number) as is_claimed:
            run = sweep.folder.find(number)
            if run is not None:
                _tell_trial(study, trial.number, run)
            elif is_claimed:
                study.tell(trial.number, state=states.FAIL)
                study.enqueue_trial(trial.params, user_attrs={_RUN_NUMBER: number})


def _tell_trial(study: optuna.Study, number: int, run: SweepRun) -> None:
    """Tell the study the score of a run; without one, it counts as worse than all others."""
    if run.score is None:
        study.tell(number, state=import_optuna().trial.TrialState.PRUNED, skip_if_finished=True)
    else:
        study.tell(number, run.score, skip_if_finished=True)


def _run_number(trial: optuna.Trial | optuna.trial.FrozenTrial) -> int:
    return int(trial.user_attrs.get(_RUN_NUMBER, 0))


def _suggest_values(trial: optuna.Trial, sweep: Sweep) -> dict[str, Value]:
    """Draw a value of every hyperparameter; the network first, and only its own options."""
    space = sweep.space
    model = space.models[0]
    if len(space.models) > 1:
        model = _suggest(trial, "model", CategoricalDimension(space.models))
    dimensions = space.for_model(model).items()
    return {name: _suggest(trial, name, dimension) for name, dimension in dimensions}


def _suggest(trial: optuna.Trial, name: str, dimension: Dimension) -> Value:
    if isinstance(dimension, CategoricalDimension):
        if len(dimension.values) == 1:
            return dimension.values[0]
        value = trial.suggest_categorical(name, dimension.values)
        assert value is not None  # which Optuna would allow
        return value
    if isinstance(dimension.low, int) and isinstance(dimension.high, int):
        low, high = dimension.low // dimension.step, dimension.high // dimension.step
        steps = trial.suggest_int(name, low, high, log=dimension.is_logarithmic)
        return dimension.step * steps
    return trial.suggest_float(name, dimension.low, dimension.high, log=dimension.is_logarithmic)


def _pruning_callback(
    trial: optuna.Trial, sweep: Sweep, values: dict[str, Value]
) -> Callable[[list[Epoch]], None]:
    """Return a callback that reports epochs to the study and raises `PrunedRun`."""
    total = sweep.settings(values).training.epochs
    assert total != "auto"
    next_step = 0

    def after_epoch(epochs: list[Epoch]) -> None:
        nonlocal next_step
        scores = scores_at_steps([epoch.score for epoch in epochs], total=total)
        with sweep.folder.files.lock():
            for step in [step for step in scores if step >= next_step]:
                trial.report(scores[step], step)
                next_step = step + 1
            if len(epochs) < total and trial.should_prune():
                raise PrunedRun

    return after_epoch
