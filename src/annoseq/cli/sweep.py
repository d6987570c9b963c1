"""`annoseq sweep`.

A setting that a single training takes as a number, a sweep takes as text, such as `5,10,20`. Names,
help and defaults are those of the section in `config`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from cyclopts import Parameter
from pydantic import Field, create_model

from annoseq._version import __version__
from annoseq.cli.loading import check_vocabulary_options, load_dataset, print_dataset_summary
from annoseq.cli.options import DataPath, DatasetOptions, Device, Overwrite
from annoseq.cli.output import make_console, print_note, print_result
from annoseq.cli.resource_options import ResourceOptions
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
from annoseq.errors import OptionError, count_noun, option_name
from annoseq.training.run_folder import run_workers
from annoseq.training.sweep.optuna_search import import_optuna, run_optuna_search
from annoseq.training.sweep.results import describe_settings, plot_runs, results_table
from annoseq.training.sweep.search_space import (
    CategoricalDimension,
    SearchSpace,
    TrialSettings,
)
from annoseq.training.sweep.sweep_folder import SweepFolder
from annoseq.training.sweep.trial import Sweep, run_grid
from annoseq.vectors.lookup import open_vectors

if TYPE_CHECKING:
    from collections.abc import Callable

    from annoseq.training.sweep.results import SweepRun


def as_texts(section: type[ConfigSection]) -> type[ConfigSection]:
    """Make a section with the same settings, whose values are texts, or True and False."""
    fields: dict[str, Any] = {}
    for name, field in section.model_fields.items():
        annotation: Any = field.annotation
        default: Any = field.get_default()
        if isinstance(annotation, type) and issubclass(annotation, ConfigSection):
            annotation = as_texts(annotation)
            default = annotation()
        elif annotation is not bool:  # a switch is the same in every run
            annotation = str | None
            default = None if default is None else str(default)
        fields[name] = (annotation, Field(default, description=field.description))
    name = section.__name__.replace("Config", "Texts")
    return create_model(name, __base__=ConfigSection, __doc__=section.__doc__, **fields)


def explicit_texts(*sections: ConfigSection) -> dict[str, str]:
    """Return the texts that were given explicitly, by name: `max_lr`, `gru.hidden`."""
    texts: dict[str, str] = {}
    for section in sections:
        for name in type(section).model_fields:
            value = getattr(section, name)
            if isinstance(value, ConfigSection):
                nested = explicit_texts(value)
                texts |= {f"{name}.{nested_name}": text for nested_name, text in nested.items()}
            elif name in section.model_fields_set:
                texts[name] = str(value)
    return texts


if TYPE_CHECKING:
    NetworkTexts: TypeAlias = ConfigSection
    TrainingTexts: TypeAlias = ConfigSection
    BatchTexts: TypeAlias = ConfigSection
else:
    NetworkTexts, TrainingTexts, BatchTexts = map(
        as_texts, (NetworkConfig, TrainingConfig, BatchConfig)
    )
_NETWORK, _TRAINING, _BATCHING = NetworkTexts(), TrainingTexts(), BatchTexts()


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class SweepFolderOptions:
    """Options of the folder that `annoseq sweep` writes."""

    out: Annotated[Path, Parameter(help="Folder for the runs, their table and the best model.")]
    resume: Annotated[
        bool, Parameter(help="Go on with the interrupted sweep of --out.", negative="")
    ] = False
    dry_run: Annotated[
        bool, Parameter(help="Tell how many runs there would be, and end.", negative="")
    ] = False
    overwrite: Overwrite = False

    def check(self) -> SweepFolder:
        """Return the folder, after checking that it can be made.

        Raises:
            OutputError: the folder exists already, or cannot be written.
        """
        folder = SweepFolder(self.out)
        if not self.resume:
            folder.files.check_writable(overwrite=self.overwrite)
        return folder


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpaceOptions:
    """Options of the runs: their number, and lists and ranges of their settings."""

    runs: Annotated[SweepConfig, Parameter(name="*", group="Sweep")] = SweepConfig()
    training: Annotated[TrainingTexts, Parameter(name="*", group="Training (lists: 5,10,20)")] = (
        _TRAINING
    )
    batching: Annotated[BatchTexts, Parameter(name="*", group="Batches (lists: 64,128)")] = (
        _BATCHING
    )
    network: Annotated[NetworkTexts, Parameter(name="*", group="Network (lists: 128,256)")] = (
        _NETWORK
    )

    def parse(self) -> SearchSpace:
        """Return the search space.

        Raises:
            OptionError: a list or range is invalid, or a search has neither.
        """
        texts = explicit_texts(self.training, self.batching, self.network)
        space = SearchSpace.parse(texts, ranges=self.runs.search)
        if self.runs.search:
            import_optuna()
            if not space.varied:
                raise OptionError(
                    "--search has nothing to choose from. Give a range or a list, "
                    "such as --max-lr 1e-4:1e-2."
                )
        return space


def sweep(
    pairs: DataPath,
    /,
    *,
    output: SweepFolderOptions,
    dataset_options: DatasetOptions = DatasetOptions(),
    search: SearchSpaceOptions = SearchSpaceOptions(),
    resources: ResourceOptions = ResourceOptions(),
    device: Device = DeviceConfig(),
) -> None:
    """Train with many settings, each from fresh weights, and keep the best model."""
    dataset_options.check_split()
    space, runs = search.parse(), search.runs
    if output.resume and output.overwrite:
        raise OptionError("--resume goes on with what --overwrite removes. Give one of them.")
    if output.dry_run:
        print_result(_describe_size(space, runs))
        return
    compute = ComputeDevice.select(device)  # before the table is read, which may take long
    files = resources.plan()  # what cannot be read is refused now, too
    if resources.vectors:
        open_vectors(resources.vectors)
    folder = output.check()
    dataset = load_dataset(pairs, dataset_options)
    print_dataset_summary(dataset)
    sweep = Sweep(dataset, space, folder, device, resources.parse())
    _check_settings(sweep, dataset_options, is_search=runs.search)
    plan = _plan(sweep, compute, is_search=runs.search) | files
    with folder.files.open(plan, resume=output.resume, overwrite=output.overwrite):
        _run(sweep, runs)


def _check_settings(sweep: Sweep, options: DatasetOptions, *, is_search: bool) -> None:
    """Check the settings of all runs of a grid, or of a first one for every network of a search."""
    if is_search:
        settings = sweep.space.first_valid(sweep.settings)
    else:
        settings = [sweep.settings(values) for values in sweep.space.grid()]
    check_vocabulary_options(options.data, [trial.network for trial in settings])


def _run(sweep: Sweep, runs: SweepConfig) -> None:
    """Train all runs, and print the results, also of an interrupted sweep."""
    varied, folder = sweep.space.varied, sweep.folder
    work = _work(sweep, runs)
    try:
        run_workers(work, workers=runs.workers)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted after {count_noun(len(folder.runs()), 'run')}. "
            "Add --resume to the same command to go on."
        ) from None
    finally:
        folder.write_table()
        plot_runs(folder.runs(), varied, path=folder.plot)
    # Lines that a narrow terminal breaks are better than figures that are cut.
    make_console(width=1000).print(results_table(folder.runs(), varied))
    if (unfinished := _total(sweep, runs) - len(folder.runs())) > 0:
        print_note(f"not ended, as other processes are at it: {count_noun(unfinished, 'run')}.")
    if folder.best.exists():
        print_note("The best was chosen by these validation rows, so its figures flatter it.")
        command = f"annoseq evaluate {folder.best} PAIRS, with new pairs"
        print_note(f"saved {folder.best}; next: {command}")


def _work(sweep: Sweep, runs: SweepConfig) -> Callable[[], None]:
    """Return the work of a process, which can be pickled."""
    report = partial(_print_run, varied=sweep.space.varied, total=_total(sweep, runs))
    if not runs.search:
        return partial(run_grid, sweep, report=report)
    seeds = sweep.space.dimensions.get("seed")
    seed = seeds.values[0] if isinstance(seeds, CategoricalDimension) else TrainingConfig().seed
    return partial(
        run_optuna_search,
        sweep,
        trials=runs.trials,
        seed=int(seed),
        prune=runs.prune,
        report=report,
    )


def _total(sweep: Sweep, runs: SweepConfig) -> int:
    return runs.trials if runs.search else len(sweep.space.grid())


def _print_run(run: SweepRun, *, varied: list[str], total: int) -> None:
    result = f"{run.state} after {count_noun(len(run.epochs), 'epoch')}"
    if run.best is not None:
        criterion = run.best.criterion.replace("_", " ")
        result += f", best {criterion} {run.best.score:.4f} in epoch {run.best.epoch}"
    settings = f" ({describe_settings(run, varied)})" if varied else ""
    print_result(f"run {run.number} of {total}{settings}: {result}, {run.seconds:.0f} s")


def _describe_size(space: SearchSpace, runs: SweepConfig) -> str:
    """Return the number of runs, and of epochs if it is known."""
    if runs.search:
        varied = ", ".join(map(option_name, space.varied))
        return f"{count_noun(runs.trials, 'run')}, chosen from {varied}"
    grid = space.grid()
    epochs = [TrialSettings.from_values(values).training.epochs for values in grid]
    total = sum(number for number in epochs if number != "auto")
    return count_noun(len(grid), "run") + (
        f", {count_noun(total, 'epoch')} in all" if "auto" not in epochs else ""
    )


def _plan(sweep: Sweep, compute: ComputeDevice, *, is_search: bool) -> dict[str, Any]:
    """Return everything that determines a sweep; a resumed one must have the same plan."""
    dataset = sweep.dataset
    return {
        "annoseq": __version__,
        "kind": "search" if is_search else "grid",
        "pairs": dataset.fingerprint,
        "data": dataset.config.model_dump(),
        "training rows": len(dataset.train),
        "validation pairs": fingerprint_pairs(dataset.valid),
        # Those of a table are determined by its pairs and the settings.
        "vocabularies": dataset.tokenizer.signature() if dataset.folder else "of the pairs",
        "precision": str(compute.dtype),
        **{option_name(name): str(values) for name, values in sweep.space.dimensions.items()},
    }
