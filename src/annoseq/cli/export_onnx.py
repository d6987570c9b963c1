"""`annoseq export onnx`."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from annoseq.atomic_io import check_writable
from annoseq.cli.loading import RowOptions, select_rows
from annoseq.cli.options import (
    Columns,
    ModelVectorsPath,
    Normalize,
    Overwrite,
    SkipBad,
    TableFormatOption,
)
from annoseq.cli.output import print_note
from annoseq.config import ColumnsConfig
from annoseq.errors import OptionError, count_noun
from annoseq.inference.model_loading import load_folder, read_card
from annoseq.models.onnx_model import Int8Scores


def _check_suffix(_: object, path: Path) -> None:
    if path.suffix.lower() != ".onnx":
        raise ValueError("Use a name that ends in .onnx.")


def _check_loss(_: object, loss: float) -> None:
    if not 0 <= loss < 1:
        raise ValueError("Give a share of at least 0 and less than 1, such as 0.002.")


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizationOptions:
    """Options of quantization, and of the rows that it is measured on."""

    int8: Annotated[
        bool,
        Parameter(
            help="Store weights in 8 bits and compute with integers: a smaller file. Measured on "
            "the rows of --validation, and refused if too much is no longer found.",
            negative="",
        ),
    ] = False
    validation: Annotated[
        Path | None,
        Parameter(
            help="Table of pairs to measure --int8 on. Of the table that the model was trained on, "
            "only the rows kept for validation are used."
        ),
    ] = None
    max_recall_loss: Annotated[
        float,
        Parameter(help="Recall that --int8 may cost on these rows at most.", validator=_check_loss),
    ] = 0.002
    skip_bad: SkipBad = False
    normalize: Normalize = False
    input_format: TableFormatOption = None
    columns: Columns = ColumnsConfig()

    def row_options(self) -> RowOptions:
        """Return the options of the rows of --validation."""
        return RowOptions(
            skip_bad=self.skip_bad,
            normalize=self.normalize,
            input_format=self.input_format,
            columns=self.columns,
        )

    def check(self) -> None:
        """Raise `OptionError` unless --int8 and --validation are given together, or neither."""
        if self.int8 and self.validation is None:
            raise OptionError(
                "--int8 needs rows to measure what it costs. Give with --validation the table of "
                "pairs that the model was trained on, or other annotated pairs."
            )
        if self.validation is not None and not self.int8:
            raise OptionError("--validation is for --int8 alone. Leave it off, or add --int8.")


def export_onnx(
    model: Annotated[Path, Parameter(help="Folder that `annoseq train` wrote.")],
    out: Annotated[Path, Parameter(help="File to write (.onnx).", validator=_check_suffix)],
    /,
    *,
    quantization: QuantizationOptions = QuantizationOptions(),
    vectors: ModelVectorsPath = None,
    overwrite: Overwrite = False,
) -> None:
    """Write a tagger as an ONNX file, which is run without torch."""
    quantization.check()
    check_writable(out, overwrite=overwrite)
    trained = load_folder(model, vectors=vectors)
    from annoseq.training.onnx_export import Quantization, export_onnx

    chosen = None
    if quantization.validation is not None:
        rows = select_rows(quantization.validation, trained.config, quantization.row_options())
        chosen = Quantization(
            rows.examples, quantization.max_recall_loss, is_held_out=rows.part == "valid"
        )
    card = read_card(model)
    metadata = export_onnx(trained, out, card=card, quantization=chosen, overwrite=overwrite)
    megabytes = out.stat().st_size / 1e6
    print_note(f"wrote {out}: {megabytes:.1f} MB. Next: annoseq annotate {shlex.quote(str(out))}")
    if metadata.int8 is not None:
        print_note(_int8_line(metadata.int8))


def _int8_line(int8: Int8Scores) -> str:
    before, after = int8.float32, int8.int8
    return (
        f"int8: recall {after.recall:.4f} instead of {before.recall:.4f}, precision "
        f"{after.precision:.4f} instead of {before.precision:.4f}, on "
        f"{count_noun(before.gold, 'span')} of {count_noun(int8.rows, 'row')}"
    )
