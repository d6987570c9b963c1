"""Predictions of a set of rows: source, target and output side by side, and their accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from html import escape
from typing import TYPE_CHECKING, overload

from annoseq.data.markup import render
from annoseq.data.span_html import render_spans_html
from annoseq.data.tables import write_rows
from annoseq.errors import count_noun

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import pandas as pd
    from rich.console import Console

    from annoseq.data.examples import Example
    from annoseq.data.markup import Span
    from annoseq.evaluation.token_accuracy import Accuracy

_HTML_ROWS = 10


@dataclass(frozen=True, slots=True, repr=False)
class Prediction:
    """Output of a model for a row, with the row's number, source and target."""

    row: int
    source: str
    target: str
    output: str

    def __repr__(self) -> str:  # without the texts, which are private
        return f"Prediction(row={self.row}, is_exact={self.is_exact})"

    @classmethod
    def from_spans(cls, example: Example, spans: Iterable[Span]) -> Prediction:
        """Render predicted spans; the target is the example's reference."""
        output = render(example.source, spans)
        return cls(example.row, example.source, example.reference, output)

    @property
    def is_exact(self) -> bool:
        """True if the output is the target, character for character."""
        return self.output == self.target


class Predictions(Sequence[Prediction]):
    """Predictions of a set in its order, and the accuracy over all of them."""

    def __init__(self, predictions: Sequence[Prediction], accuracy: Accuracy) -> None:
        self._predictions = list(predictions)
        self.accuracy = accuracy

    def __repr__(self) -> str:  # without the texts, which are private
        exact = sum(prediction.is_exact for prediction in self)
        return f"<Predictions: {count_noun(len(self), 'row')}, {exact:,} exact>"

    def __len__(self) -> int:
        return len(self._predictions)

    @overload
    def __getitem__(self, index: int) -> Prediction: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Prediction]: ...
    def __getitem__(self, index: int | slice) -> Prediction | Sequence[Prediction]:
        return self._predictions[index]

    def _repr_html_(self) -> str:
        """Render the first rows as an HTML table."""
        rows = "".join(
            f"<tr><td>{prediction.row}</td>"
            + "".join(
                f"<td>{render_spans_html(text, ())}</td>"
                for text in (prediction.source, prediction.target, prediction.output)
            )
            + "</tr>"
            for prediction in self[:_HTML_ROWS]
        )
        return (
            f"<table><caption>{escape(repr(self))}</caption><thead><tr><th>row</th>"
            "<th>source</th><th>target</th><th>output</th></tr></thead>"
            f"<tbody>{rows}</tbody></table>"
        )

    def to_frame(self) -> pd.DataFrame:
        """Return a data frame with the columns source, target and output, indexed by row."""
        import pandas as pd

        columns = ["row", "source", "target", "output"]
        return pd.DataFrame(map(astuple, self), columns=columns).set_index("row")

    def show(self, rows: int = 10, *, console: Console | None = None) -> None:
        """Print the first rows, source, target and output side by side."""
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(show_lines=True)
        table.add_column("row", justify="right")
        for name in ("source", "target", "output"):
            table.add_column(name, ratio=1, overflow="fold")
        for prediction in self[:rows]:
            table.add_row(
                str(prediction.row),
                Text(prediction.source),
                Text(prediction.target),
                Text(prediction.output, style="green" if prediction.is_exact else ""),
            )
        (console or Console()).print(table)

    def write(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write all rows as a table, in the format of the file's suffix (.csv, .jsonl, ...).

        Raises:
            OutputError: the file exists already, or cannot be written.
            TableError: the suffix is not known.
        """
        columns = {"row": int, "source": str, "target": str, "output": str}
        rows = (astuple(prediction) for prediction in self)
        write_rows(rows, path, columns=columns, overwrite=overwrite)
