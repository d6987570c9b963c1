"""The command line: one verb per stage, each in a module of its own, loaded when it is used."""

from __future__ import annotations

import os
import sys

from cyclopts import App, CycloptsError

from annoseq._version import __version__
from annoseq.errors import AnnoseqError

app = App(
    name="annoseq",
    help="Learn to annotate text from examples, without changing a character of it.",
    version=__version__,
    suppress_keyboard_interrupt=False,
)
for _name, _help in {
    "sample": "Write a synthetic corpus of annotated clinical sentences.",
    "check": "Look at a table of pairs and name every row that cannot be used.",
    "show-batch": "Show training rows as the model sees them.",
    "prepare": "Split pairs, build the vocabularies, and save all of it for training.",
    "find-lr": "Find a learning rate by a range test.",
    "train": "Train a model on a table of pairs or on prepared data.",
    "annotate": "Annotate the texts of a table.",
    "evaluate": "Score a model on a table of pairs.",
}.items():
    _module = _name.replace("-", "_")
    app.command(f"annoseq.cli.{_module}:{_module}", name=_name, help=_help)


def main() -> None:
    """Run the command line: exit code 0, 2 for bad input or options, 130 when interrupted."""
    try:
        app(exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        _fail(_explain(error), code=2)
    except AnnoseqError as error:
        _fail(str(error), code=2)
    except KeyboardInterrupt:
        _fail("interrupted", code=130)
    except BrokenPipeError:
        # The reader of our output went away: say nothing more, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def _fail(message: str, *, code: int) -> None:
    print(f"annoseq: {message}", file=sys.stderr)  # noqa: T201
    sys.exit(code)


def _explain(error: CycloptsError) -> str:
    from pydantic import ValidationError

    cause = error.__cause__
    if not isinstance(cause, ValidationError):
        return str(error)
    fault = cause.errors()[0]
    option = "-".join(str(part) for part in fault["loc"]).replace("_", "-")
    return f"--{option}: found {fault['input']!r}. {fault['msg']}."
