"""The command line: one verb per stage, each in a module of its own, loaded when it is used."""

from __future__ import annotations

import os
import sys

from cyclopts import App, CycloptsError

from annoseq._version import __version__
from annoseq.cli.error_messages import explain
from annoseq.errors import AnnoseqError

app = App(
    name="annoseq",
    help="Learn to annotate text from examples, without changing a character of it.",
    version=__version__,
    suppress_keyboard_interrupt=False,
)
_ELSEWHERE = {
    "sample": "datasets",
    "show-batch": "datasets",
    "prepare": "datasets",
    "export": "convert",
    "compare": "score",
}
for _name, _help in {
    "sample": "Write a synthetic corpus of annotated clinical sentences.",
    "check": "Look at a table of pairs and name every row that cannot be used.",
    "show-batch": "Show training rows as the model sees them.",
    "prepare": "Split pairs, build the vocabularies, and save all of it for training.",
    "find-lr": "Find a learning rate by a range test.",
    "train": "Train a model on a table of pairs or on prepared data.",
    "sweep": "Train with many settings and keep the best model.",
    "annotate": "Annotate the texts of a table, a folder, a file or a pipe.",
    "redact": "Write texts de-identified: labels, masks or surrogates for what a model finds.",
    "export": "Write annotations, or pairs, in another program's format.",
    "evaluate": "Score a model on a table of pairs.",
    "score": "Score predicted spans, whoever made them, against gold ones.",
    "compare": "Compare two files of scores, document by document.",
}.items():
    _function = _name.replace("-", "_")
    _module = _ELSEWHERE.get(_name, _function)
    app.command(f"annoseq.cli.{_module}:{_function}", name=_name, help=_help)
app.command(
    "annoseq.cli.convert:import_", name="import", help="Turn a corpus into a table of pairs."
)
_vectors = App(name="vectors", help="Train word vectors on the pairs' own text, or look at some.")
for _name, _help in {
    "train": "Train fastText vectors on the pairs' own text.",
    "show": "Show words' vectors and their nearest neighbours.",
}.items():
    _vectors.command(f"annoseq.cli.vectors:{_name}", name=_name, help=_help)
app.command(_vectors)

_BROKEN_PIPE = 141
"""What a shell reports of a program that ends because nobody reads its output."""


def main() -> None:
    """Run the command line: exit code 0, 2 for bad input or options, 130 when interrupted."""
    try:
        # cyclopts takes a bare - for an option; as a path, ./- is the same, and is - again.
        words = ["./-" if word == "-" else word for word in sys.argv[1:]]
        app(words, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except CycloptsError as error:
        _fail(explain(error), code=2)
    except AnnoseqError as error:
        _fail(str(error), code=2)
    except KeyboardInterrupt as interrupt:
        _fail(str(interrupt) or "interrupted", code=130)
    except BrokenPipeError:
        _drop_output()
        sys.exit(_BROKEN_PIPE)
    except OSError as error:
        # Files have been explained where they are opened: what remains is our own output.
        _drop_output()
        _fail(f"standard output cannot be written: {error.strerror}. Nothing follows.", code=2)
    except RuntimeError as error:
        if not _is_lack_of_memory(error):
            raise
        _fail(
            "the memory of the GPU does not suffice. Use smaller batches, or --device cpu, or end "
            "other programs that take the GPU's memory.",
            code=2,
        )
    except SystemExit as end:
        # `rich` ends the program with 1 where its reader went away, and nothing else does.
        sys.exit(_BROKEN_PIPE if end.code == 1 else end.code)


def _is_lack_of_memory(error: RuntimeError) -> bool:
    torch = sys.modules.get("torch")  # which not every command needs
    return torch is not None and isinstance(error, torch.OutOfMemoryError)


def _fail(message: str, *, code: int) -> None:
    print(f"annoseq: {message}", file=sys.stderr)  # noqa: T201
    sys.exit(code)


def _drop_output() -> None:
    """Keep Python from trying at exit to write what could not be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
