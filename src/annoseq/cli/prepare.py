"""`annoseq prepare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from annoseq.cli.console import note
from annoseq.cli.data import describe, open_dataset
from annoseq.cli.options import Overwrite, PairsPath, Preparing
from annoseq.errors import OptionError
from annoseq.files import rehearse_folder


def prepare(
    pairs: PairsPath,
    /,
    *,
    out: Annotated[Path, Parameter(help="Folder to write.")],
    overwrite: Overwrite = False,
    preparing: Preparing = Preparing(),
) -> None:
    """Prepare pairs and save them."""
    if pairs.is_dir():
        raise OptionError(f"{pairs} is a folder. Give a table of pairs.")
    rehearse_folder(out, overwrite=overwrite)
    dataset = open_dataset(pairs, preparing)
    describe(dataset, dataset.codec)
    dataset.save(out, overwrite=overwrite)
    note(f"saved {out}; next: annoseq train {out} --out model")
