"""`annoseq sweep`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from cyclopts import Parameter
from rich.console import Console

from annoseq._version import __version__
from annoseq.cli.choices import choices_of, given
from annoseq.cli.console import note, say
from annoseq.cli.data import describe as describe_data
from annoseq.cli.data import open_dataset, refuse_vocabularies
from annoseq.cli.options import (
    DataPath,
    Device,
    Overwrite,
    Preparing,
    VectorsPath,
)
from annoseq.config import (
    BatchConfig,
    DeviceConfig,
    NetworkConfig,
    Section,
    SweepConfig,
    TrainingConfig,
)
from annoseq.devices import Compute
from annoseq.errors import OptionError
from annoseq.text.vectors.fingerprint import fingerprint
from annoseq.text.vectors.reader import open_vectors
from annoseq.training.sweep.folder import SweepFolder
from annoseq.training.sweep.grid import run_grid
from annoseq.training.sweep.plot import plot_runs
from annoseq.training.sweep.search import search
from annoseq.training.sweep.settings import Settings, option
from annoseq.training.sweep.space import Choice, Space
from annoseq.training.sweep.study import import_optuna
from annoseq.training.sweep.table import describe, show_table
from annoseq.training.sweep.trial import Sweep
from annoseq.training.sweep.workers import work_in_parallel

if TYPE_CHECKING:
    from collections.abc import Callable

    from annoseq.text.dataset import Dataset
    from annoseq.training.recorder import Epoch
    from annoseq.training.sweep.run import Run

    NetworkChoices: TypeAlias = Section
    TrainingChoices: TypeAlias = Section
    BatchChoices: TypeAlias = Section
else:
    NetworkChoices, TrainingChoices, BatchChoices = map(
        choices_of, (NetworkConfig, TrainingConfig, BatchConfig)
    )
_NETWORK, _TRAINING, _BATCHING = NetworkChoices(), TrainingChoices(), BatchChoices()


def sweep(
    pairs: DataPath,
    /,
    *,
    out: Annotated[Path, Parameter(help="Folder for the runs, their table and the best model.")],
    resume: Annotated[
        bool, Parameter(help="Go on with the interrupted sweep of --out.", negative="")
    ] = False,
    dry_run: Annotated[
        bool, Parameter(help="Tell how many runs there would be, and end.", negative="")
    ] = False,
    overwrite: Overwrite = False,
    preparing: Preparing = Preparing(),
    runs: Annotated[SweepConfig, Parameter(name="*", group="Sweep")] = SweepConfig(),  # noqa: B008
    training: Annotated[
        TrainingChoices, Parameter(name="*", group="Training (lists: 5,10,20)")
    ] = _TRAINING,
    batching: Annotated[
        BatchChoices, Parameter(name="*", group="Batches (lists: 64,128)")
    ] = _BATCHING,
    network: Annotated[
        NetworkChoices, Parameter(name="*", group="Network (lists: 128,256)")
    ] = _NETWORK,
    vectors: VectorsPath = None,
    device: Device = DeviceConfig(),
) -> None:
    """Train with many settings, each from fresh weights, and keep the best model."""
    space = Space.parse(given(training, batching, network), ranges=runs.search)
    if runs.search:
        import_optuna()
        if not space.varied:
            raise OptionError(
                "--search has nothing to choose from. Give a range or a list, "
                "such as --max-lr 1e-4:1e-2."
            )
    if resume and overwrite:
        raise OptionError("--resume goes on with what --overwrite removes. Give one of them.")
    if dry_run:
        return _tell_size(space, runs)
    compute = Compute.choose(device)  # before the table is read, which may take long
    if vectors:
        open_vectors(vectors)  # a bad file, too, is refused now
    folder = SweepFolder(out)
    if not resume:
        folder.rehearse(overwrite=overwrite)
    dataset = open_dataset(pairs, preparing)
    describe_data(dataset)
    sweep = Sweep(dataset, space, folder, device, vectors)
    # All runs of a grid, a first one for every network of a search.
    tried = space.some(sweep.settings) if runs.search else map(sweep.settings, space.grid())
    refuse_vocabularies(preparing.data, [one.network for one in tried])
    plan = _plan(dataset, space, compute, is_search=runs.search)
    plan["--vectors"] = (
        f"{vectors.name}, checksum {fingerprint(vectors)[:12]}" if vectors else "not given"
    )
    if resume:
        folder.resume(plan)
    else:
        folder.begin(plan, overwrite=overwrite)
    _carry_out(sweep, runs)
    return None


def _carry_out(sweep: Sweep, runs: SweepConfig) -> None:
    """Make all runs, and show them; when interrupted, those that have ended."""
    varied = sweep.space.varied
    folder = sweep.folder
    work = _work(sweep, runs)
    try:
        if runs.workers == 1:
            work()
        else:
            work_in_parallel(work, workers=runs.workers)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted after {len(folder.runs())} runs. "
            "Add --resume to the same command to go on."
        ) from None
    finally:
        folder.tabulate()
        plot_runs(folder.runs(), varied, path=folder.plot)
    # Lines that a narrow terminal breaks are better than figures that are cut.
    Console(width=1000).print(show_table(folder.runs(), varied))
    if (left := _total(sweep, runs) - len(folder.runs())) > 0:
        note(f"{left} runs have not ended: other processes are at them.")
    if folder.best.exists():
        note("The best was chosen by these validation rows, so its figures flatter it.")
        note(f"saved {folder.best}; next: annoseq evaluate {folder.best} PAIRS, with new pairs")


def _work(sweep: Sweep, runs: SweepConfig) -> Callable[[], None]:
    tell = partial(_tell_run, varied=sweep.space.varied, total=_total(sweep, runs))
    if not runs.search:
        return partial(run_grid, sweep, report=tell)
    seeds = sweep.space.axes.get("seed")
    seed = seeds.values[0] if isinstance(seeds, Choice) else TrainingConfig().seed
    return partial(search, sweep, trials=runs.trials, seed=int(seed), prune=runs.prune, report=tell)


def _total(sweep: Sweep, runs: SweepConfig) -> int:
    return runs.trials if runs.search else len(sweep.space.grid())


def _tell_run(run: Run, *, varied: list[str], total: int) -> None:
    found = f"{run.state} after {len(run.epochs)} epochs"
    if run.best is not None:
        found += f", best {_name(run.best)} {run.best.score:.4f} in epoch {run.best.epoch}"
    settings = f" ({describe(run, varied)})" if varied else ""
    say(f"run {run.number} of {total}{settings}: {found}, {run.seconds:.0f} s")


def _name(epoch: Epoch) -> str:
    return epoch.criterion.replace("_", " ")


def _tell_size(space: Space, runs: SweepConfig) -> None:
    if runs.search:
        say(f"{runs.trials} runs, chosen from {', '.join(map(option, space.varied))}")
        return
    grid = space.grid()
    epochs = [Settings.of(values).training.epochs for values in grid]
    counted = sum(one for one in epochs if one != "auto")
    say(f"{len(grid)} runs" + (f", {counted:,} epochs in all" if "auto" not in epochs else ""))


def _plan(dataset: Dataset, space: Space, compute: Compute, *, is_search: bool) -> dict[str, Any]:
    """Return all that decides a sweep, so that a resumed one is the same sweep."""
    return {
        "annoseq": __version__,
        "kind": "search" if is_search else "grid",
        "pairs": dataset.fingerprint,
        "data": dataset.config.model_dump(),
        "training rows": len(dataset.train),
        "validation pairs": dataset.valid.fingerprint(),
        # Of a table, its pairs and settings decide them.
        "vocabularies": dataset.codec.signature() if dataset.folder else "of the pairs",
        "precision": str(compute.dtype),
        **{option(name): str(axis) for name, axis in space.axes.items()},
    }
