"""`annoseq sweep`.

A setting that one run takes as a number, a sweep takes as text, such as `5,10,20`. Names, help and
defaults are those of the section in `config`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from cyclopts import Parameter
from pydantic import Field, create_model
from rich.console import Console

from annoseq._version import __version__
from annoseq.cli.loading import check_vocabulary_options, load_dataset
from annoseq.cli.loading import describe_settings as describe_data
from annoseq.cli.options import DataPath, DatasetOptions, Device, Overwrite, VectorsPath
from annoseq.cli.output import print_note, print_result
from annoseq.config import (
    BatchConfig,
    ConfigSection,
    DeviceConfig,
    NetworkConfig,
    SweepConfig,
    TrainingConfig,
)
from annoseq.data.pairs import fingerprint_pairs
from annoseq.devices import ComputeDevice
from annoseq.errors import OptionError
from annoseq.training.sweep.optuna_search import import_optuna, run_optuna_search
from annoseq.training.sweep.results import plot_runs, results_table
from annoseq.training.sweep.search_space import (
    CategoricalDimension,
    SearchSpace,
    TrialSettings,
    option_name,
)
from annoseq.training.sweep.sweep_folder import SweepFolder
from annoseq.training.sweep.trial import Sweep, run_grid, run_workers
from annoseq.vectors.lookup import open_vectors
from annoseq.vectors.random_access import file_fingerprint


def choices_of(section: type[ConfigSection]) -> type[ConfigSection]:
    """Make a section with the same settings, each of which is text, or a switch."""
    fields: dict[str, Any] = {}
    for name, field in section.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, ConfigSection):
            kind, default = choices_of(inner), choices_of(inner)()
            fields[name] = (kind, Field(default, description=field.description))
        elif inner is bool:  # a switch is the same in every run
            fields[name] = (bool, Field(field.get_default(), description=field.description))
        else:
            value = field.get_default()
            text = None if value is None else str(value)
            fields[name] = (str | None, Field(text, description=field.description))
    name = section.__name__.replace("Config", "Choices")
    return create_model(name, __base__=ConfigSection, __doc__=section.__doc__, **fields)


def given(*sections: ConfigSection) -> dict[str, str]:
    """Return what was given of some sections, by name: `max_lr`, `gru.hidden`."""
    found: dict[str, str] = {}
    for section in sections:
        for name in type(section).model_fields:
            value = getattr(section, name)
            if isinstance(value, ConfigSection):
                found |= {f"{name}.{inner}": text for inner, text in given(value).items()}
            elif name in section.model_fields_set:
                found[name] = str(value)
    return found


if TYPE_CHECKING:
    from collections.abc import Callable

    from annoseq.tokenization.dataset import Dataset
    from annoseq.training.recorder import Epoch
    from annoseq.training.sweep.results import SweepRun

    NetworkChoices: TypeAlias = ConfigSection
    TrainingChoices: TypeAlias = ConfigSection
    BatchChoices: TypeAlias = ConfigSection
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
    dataset_options: DatasetOptions = DatasetOptions(),
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
    space = SearchSpace.parse(given(training, batching, network), ranges=runs.search)
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
    compute = ComputeDevice.select(device)  # before the table is read, which may take long
    if vectors:
        open_vectors(vectors)  # a bad file, too, is refused now
    folder = SweepFolder(out)
    if not resume:
        folder.rehearse(overwrite=overwrite)
    dataset = load_dataset(pairs, dataset_options)
    describe_data(dataset)
    sweep = Sweep(dataset, space, folder, device, vectors)
    # All runs of a grid, a first one for every network of a search.
    tried = space.some(sweep.settings) if runs.search else map(sweep.settings, space.grid())
    check_vocabulary_options(dataset_options.data, [one.network for one in tried])
    plan = _plan(dataset, space, compute, is_search=runs.search)
    plan["--vectors"] = (
        f"{vectors.name}, checksum {file_fingerprint(vectors)[:12]}" if vectors else "not given"
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
            run_workers(work, workers=runs.workers)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted after {len(folder.runs())} runs. "
            "Add --resume to the same command to go on."
        ) from None
    finally:
        folder.tabulate()
        plot_runs(folder.runs(), varied, path=folder.plot)
    # Lines that a narrow terminal breaks are better than figures that are cut.
    Console(width=1000).print(results_table(folder.runs(), varied))
    if (left := _total(sweep, runs) - len(folder.runs())) > 0:
        print_note(f"{left} runs have not ended: other processes are at them.")
    if folder.best.exists():
        print_note("The best was chosen by these validation rows, so its figures flatter it.")
        print_note(f"saved {folder.best}; next: annoseq evaluate {folder.best} PAIRS, with new pairs")


def _work(sweep: Sweep, runs: SweepConfig) -> Callable[[], None]:
    tell = partial(_tell_run, varied=sweep.space.varied, total=_total(sweep, runs))
    if not runs.search:
        return partial(run_grid, sweep, report=tell)
    seeds = sweep.space.axes.get("seed")
    seed = seeds.values[0] if isinstance(seeds, CategoricalDimension) else TrainingConfig().seed
    return partial(run_optuna_search, sweep, trials=runs.trials, seed=int(seed), prune=runs.prune, report=tell)


def _total(sweep: Sweep, runs: SweepConfig) -> int:
    return runs.trials if runs.search else len(sweep.space.grid())


def _tell_run(run: SweepRun, *, varied: list[str], total: int) -> None:
    found = f"{run.state} after {len(run.epochs)} epochs"
    if run.best is not None:
        found += f", best {_name(run.best)} {run.best.score:.4f} in epoch {run.best.epoch}"
    settings = f" ({describe(run, varied)})" if varied else ""
    print_result(f"run {run.number} of {total}{settings}: {found}, {run.seconds:.0f} s")


def _name(epoch: Epoch) -> str:
    return epoch.criterion.replace("_", " ")


def _tell_size(space: SearchSpace, runs: SweepConfig) -> None:
    if runs.search:
        print_result(f"{runs.trials} runs, chosen from {', '.join(map(option, space.varied))}")
        return
    grid = space.grid()
    epochs = [TrialSettings.of(values).training.epochs for values in grid]
    counted = sum(one for one in epochs if one != "auto")
    print_result(f"{len(grid)} runs" + (f", {counted:,} epochs in all" if "auto" not in epochs else ""))


def _plan(dataset: Dataset, space: SearchSpace, compute: ComputeDevice, *, is_search: bool) -> dict[str, Any]:
    """Return all that decides a sweep, so that a resumed one is the same sweep."""
    return {
        "annoseq": __version__,
        "kind": "search" if is_search else "grid",
        "pairs": dataset.fingerprint,
        "data": dataset.config.model_dump(),
        "training rows": len(dataset.train),
        "validation pairs": fingerprint_pairs(dataset.valid),
        # Of a table, its pairs and settings decide them.
        "vocabularies": dataset.tokenizer.signature() if dataset.folder else "of the pairs",
        "precision": str(compute.dtype),
        **{option_name(name): str(axis) for name, axis in space.axes.items()},
    }
