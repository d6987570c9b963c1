"""`annoseq review` and `annoseq review export`."""

from __future__ import annotations

import webbrowser
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from annoseq.atomic_io import check_writable
from annoseq.cli.loading import inherit_columns
from annoseq.cli.options import (
    Columns,
    Device,
    ModelVectorsPath,
    Overwrite,
    TextFormatOption,
)
from annoseq.cli.output import LeftOutInputs, print_note, print_result
from annoseq.cli.server_options import ServerOptions, check_server_packages
from annoseq.config import ColumnsConfig, DeviceConfig, ReviewConfig
from annoseq.data.pairs import write_pairs
from annoseq.errors import OptionError, count_noun
from annoseq.output_lock import OutputLock
from annoseq.progress import progress_bar
from annoseq.review.project import ReviewProject
from annoseq.review.project_input import read_input, read_replay
from annoseq.review.project_setup import (
    ProjectPlan,
    has_project,
    make_project,
    open_project,
    project_columns,
)
from annoseq.review.project_store import ProjectStore
from annoseq.review.review_export import (
    count_left_out,
    decided_documents,
    left_out_note,
    to_pair,
    write_decisions,
)

if TYPE_CHECKING:
    from annoseq.inference.annotator import Annotator
    from annoseq.review.project_input import InputRow
    from annoseq.serving.access import AccessPolicy

app = App(name="review", help="Review and correct annotations in the browser, and learn again.")
ProjectPath = Annotated[
    Path, Parameter(name="--project", help="File of the project (SQLite), made if it is not there.")
]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewInputOptions:
    """Options of the table or the texts that are reviewed."""

    input_format: TextFormatOption = None
    skip_bad: Annotated[
        bool, Parameter(help="Leave out what cannot be read, and count it.", negative="")
    ] = False
    columns: Columns = ColumnsConfig()

    def read(self, source: Path, columns: ColumnsConfig) -> list[InputRow]:
        """Read the texts or the pairs from these columns."""
        left_out = LeftOutInputs()
        rows = read_input(
            source,
            columns,
            format_=self.input_format,
            requires_target="target" in self.columns.model_fields_set,
            requires_keys=not self.columns.model_fields_set.isdisjoint({"document", "offset"}),
            on_bad=left_out.add if self.skip_bad else None,
        )
        left_out.print_notes()
        return rows


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectOptions:
    """Options that a project is made with."""

    model: Annotated[
        Path | None, Parameter(help="Folder that `annoseq train` wrote, or an ONNX file.")
    ] = None
    audit: Annotated[
        Path | None,
        Parameter(help="Table that `annoseq audit` wrote of the pairs: the suspected errors."),
    ] = None
    replay: Annotated[
        Path | None,
        Parameter(
            help="Table of pairs that retraining learns from besides the reviewed documents, such "
            "as those that the model was trained on."
        ),
    ] = None
    vectors: ModelVectorsPath = None
    design: Annotated[ReviewConfig, Parameter(name="*", group="Project")] = ReviewConfig()
    device: Device = DeviceConfig()

    def load_annotator(self, model: Path) -> Annotator:
        """Load the model."""
        from annoseq.inference.annotator import Annotator

        return Annotator.load(model, device=self.device, vectors=self.vectors)


@app.default
def review(
    source: Annotated[
        Path | None,
        Parameter(
            help="Table of pairs or of texts, .txt file or folder of .txt files; not needed to go "
            "on with a project."
        ),
    ] = None,
    /,
    *,
    project: ProjectPath,
    options: ProjectOptions = ProjectOptions(),
    inputs: ReviewInputOptions = ReviewInputOptions(),
    server: ServerOptions = ServerOptions(),
    browser: Annotated[bool, Parameter(help="Open the page in a browser.")] = True,
    only_make: Annotated[
        bool, Parameter(help="Make the project, and end without serving it.", negative="")
    ] = False,
) -> None:
    """Review and correct annotations in the browser; every action is saved at once."""
    check_server_packages("annoseq review")
    access = server.access_policy()
    with OutputLock(project):
        opened = _open(source, project, options, inputs)
        if only_make:
            print_note(f"next: annoseq review --project {project}")
            return
        _serve(opened, options, server, access, is_shown=browser)
    print_note(f"next: annoseq review export --project {project} --out PAIRS")


def _serve(
    project: ReviewProject,
    options: ProjectOptions,
    server: ServerOptions,
    access: AccessPolicy,
    *,
    is_shown: bool,
) -> None:
    """Serve the page until a signal ends it."""
    from annoseq.review.retraining import Retraining, RetrainingOptions
    from annoseq.review.review_app import make_review_app
    from annoseq.serving.server import socket_url

    replay = () if options.replay is None else tuple(read_replay(options.replay))
    settings = RetrainingOptions(replay, options.device, options.vectors)
    retraining = Retraining(project, settings)
    listener = server.open_socket()
    if is_shown:
        Thread(target=webbrowser.open, args=[socket_url(listener)], daemon=True).start()
    try:
        server.run(make_review_app(project, retraining), access, listener)
    finally:
        retraining.close()
        project.store.close()


def _open(
    source: Path | None, project: Path, options: ProjectOptions, inputs: ReviewInputOptions
) -> ReviewProject:
    """Open the project, or make it."""
    is_new = not has_project(project)
    if source is None and is_new:
        raise OptionError(
            f"{project}: there is no such project. Name the pairs or texts to review, and the "
            "model with --model, to make it."
        )
    if not is_new or source is None:
        columns = inherit_columns(inputs.columns, project_columns(project))
        rows = None if source is None else inputs.read(source, columns)
        return open_project(
            project, rows=rows, model=options.model, audit=options.audit, design=options.design
        )
    annotator = None if options.model is None else options.load_annotator(options.model)
    columns = inputs.columns
    if annotator is not None:
        columns = inherit_columns(columns, annotator.config.columns)
    rows = inputs.read(source, columns)
    plan = ProjectPlan(
        source.name, rows, options.design, columns, model=options.model, audit=options.audit
    )
    plan.check()
    with progress_bar("predicting", total=len(rows)) as advance:
        made = make_project(project, plan, annotator, advance=advance)
    drawn = sum(document.in_random_share for document in made.documents.values())
    print_note(
        f"made {project}: {count_noun(len(made.documents), 'document')}, {drawn:,} of them drawn "
        "at random for the estimate"
    )
    return made


@app.command(name="export")
def export(
    *,
    project: ProjectPath,
    out: Annotated[Path, Parameter(help="Table of pairs to write: the decided documents.")],
    decisions: Annotated[
        Path | None,
        Parameter(
            help="JSON lines to write: who decided on what and when, with notes and without the "
            "texts of documents."
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write the decided documents as pairs; what is undecided is left out and counted."""
    for path in filter(None, (out, decisions)):
        check_writable(path, overwrite=overwrite)
    opened = ReviewProject(ProjectStore.open(project))
    decided = [to_pair(document, each.spans) for document, each in decided_documents(opened)]
    left_out = count_left_out(opened)
    if not decided:
        raise OptionError(
            f"{project}: no document is decided, so that there is nothing to export. "
            f"{left_out_note(left_out)}."
        )
    write_pairs(decided, out, overwrite=overwrite)
    if decisions is not None:
        count = write_decisions(opened, decisions, overwrite=overwrite)
        print_note(f"wrote {decisions}: {count_noun(count, 'action')}")
    opened.store.close()
    if left_out.total:
        print_note(left_out_note(left_out))
    print_result(
        f"exported {count_noun(len(decided), 'document')} of {len(opened.documents):,}: {out}"
    )
