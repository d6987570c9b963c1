"""Command line: a command per stage, each imported when it is used."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from cyclopts import App, CycloptsError, Group

from annoseq._version import __version__
from annoseq.cli.output import logged_notes, print_error, usage_error_message
from annoseq.errors import AnnoseqError, MissingColumnError

if TYPE_CHECKING:
    from collections.abc import Sequence

_COMMANDS = {
    "Data": {
        "sample": ("datasets:sample", "Write a synthetic corpus of annotated clinical sentences."),
        "check": (
            "check:check",
            "Look at a table of pairs and name every row that cannot be used.",
        ),
        "show-batch": ("datasets:show_batch", "Show training rows as the model sees them."),
        "prepare": (
            "datasets:prepare",
            "Split pairs, build the vocabularies, and save all of it for training.",
        ),
    },
    "Train": {
        "pretrain": (
            "pretrain:pretrain",
            "Train a tagger's network on texts without annotations, as a language model.",
        ),
        "find-lr": ("train:find_lr", "Find a learning rate by a range test."),
        "train": ("train:train", "Train a model on a table of pairs or on prepared data."),
        "ensemble": (
            "ensemble:app",
            "Make one model of several taggers, which is slower and finds more.",
        ),
        "sweep": ("sweep:sweep", "Train with many settings and keep the best model."),
    },
    "Annotate": {
        "annotate": (
            "annotate:annotate",
            "Annotate the texts of a table, a folder, a file or a pipe.",
        ),
        "redact": (
            "redact:redact",
            "Write texts de-identified: labels, masks or surrogates for what a model finds.",
        ),
        "review": ("review:app", "Review and correct annotations in the browser, and learn again."),
        "label-studio": (
            "label_studio_server:label_studio",
            "Answer Label Studio as its ML backend: predictions, and training on annotations.",
        ),
        "serve": ("serve:serve", "Serve models over HTTP, for programs that annotate and redact."),
    },
    "Measure": {
        "evaluate": ("evaluate:evaluate", "Score a model on a table of pairs."),
        "score": ("score:score", "Score predicted spans, whoever made them, against gold ones."),
        "certify": ("certify:certify", "Bound what a model misses, with confidence, for a record."),
        "curve": (
            "curve:curve",
            "Tell from a learning curve what more annotated documents would give.",
        ),
        "audit": ("label_audit:app", "Find likely label errors in annotated pairs."),
        "compare": ("score:compare", "Compare two files of scores, document by document."),
    },
    "Exchange": {
        "import": ("convert:import_", "Turn a corpus into a table of pairs."),
        "export": (
            "convert:export_app",
            "Write annotations, or pairs, in another program's format, or a model as an ONNX file.",
        ),
    },
}
"""Module, function and help of each command, by stage."""
_GROUPS = {name: Group(name, sort_key=place) for place, name in enumerate(_COMMANDS)}


def _make_app() -> App:
    app = App(
        name="annoseq",
        help="Learn to annotate text from examples, without changing a character of it.",
        version=__version__,
        suppress_keyboard_interrupt=False,
    )
    app["--help"].group = app["--version"].group = Group("Options", sort_key=len(_GROUPS))
    for stage, commands in _COMMANDS.items():
        for place, (name, (function, summary)) in enumerate(commands.items()):
            app.command(
                f"annoseq.cli.{function}",
                name=name,
                help=summary,
                group=_GROUPS[stage],
                sort_key=place,
            )
    vectors = App(
        name="vectors",
        help="Train word vectors on the pairs' own text, or look at some.",
        group=_GROUPS["Data"],
        sort_key=len(_COMMANDS["Data"]),
    )
    vectors.command(
        "annoseq.cli.vectors:train",
        name="train",
        help="Train fastText vectors on the pairs' own text.",
    )
    vectors.command(
        "annoseq.cli.vectors:show",
        name="show",
        help="Show words' vectors and their nearest neighbours.",
    )
    app.command(vectors)
    return app


app = _make_app()

_BROKEN_PIPE = 141
"""Exit code that a shell reports of a program whose output nobody reads."""
_PRINTING_MODULES = {__name__, "annoseq.cli.output", "annoseq.cli.annotate_output", "rich.console"}


def _describe_error(error: AnnoseqError, words: Sequence[str]) -> str:
    """Return the message; on a missing column, with the options that name one, if it has none."""
    message = str(error)
    if not isinstance(error, MissingColumnError) or "--" in message:
        return message
    _, parsed, _ = app.parse_commands(words)
    names = {name for each in parsed[-1].assemble_argument_collection() for name in each.names}
    options = [option for option in ("--column", "--source", "--target") if option in names]
    return f"{message} Use {' or '.join(options)}." if options else message


def main() -> None:
    """Run the command line: exit code 0, 2 for bad input or options, 130 when interrupted."""
    _reserve_closed_streams()
    try:
        # cyclopts takes a bare - for an option; as a path, ./- is the same, and is - again.
        words = ["./-" if word == "-" else word for word in sys.argv[1:]]
        with logged_notes():
            app(words, exit_on_error=False, print_error=False, result_action="return_value")
        if sys.stdout is not None:  # closed by the caller
            sys.stdout.flush()
    except CycloptsError as error:
        _fail(usage_error_message(error), code=2)
    except AnnoseqError as error:
        _fail(_describe_error(error, words), code=2)
    except KeyboardInterrupt as interrupt:
        _fail(str(interrupt) or "interrupted", code=130)
    except BrokenPipeError:
        _discard_output()
        sys.exit(_BROKEN_PIPE)
    except OSError as error:
        _fail(_os_error_message(error), code=2)
    except RuntimeError as error:
        if not _is_out_of_memory(error):
            raise
        _fail(
            "the memory of the GPU does not suffice. Use smaller batches, or --device cpu, or end "
            "other programs that take the GPU's memory.",
            code=2,
        )
    except SystemExit as end:
        # `rich` ends the program with 1 where its reader went away, and nothing else does.
        sys.exit(_BROKEN_PIPE if end.code == 1 else end.code)


def _reserve_closed_streams() -> None:
    """Open the null device where a standard stream is closed, or a file would get its number.

    What libraries write to the stream would then end up in that file.
    """
    for stream in range(3):
        try:
            os.fstat(stream)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number


def _os_error_message(error: OSError) -> str:
    """Describe an error that was not explained where it occurred."""
    reason = error.strerror or str(error)
    if _is_raised_by_output(error):
        _discard_output()
        return f"standard output cannot be written: {reason}. Nothing follows."
    if error.filename is None:
        return f"a file cannot be read or written: {reason}. Check the room on the disk."
    paths = " and ".join(map(os.fsdecode, filter(None, (error.filename, error.filename2))))
    return (
        f"{paths} cannot be read or written: {reason}. "
        "Check that it exists, and that you may read and write it."
    )


def _is_raised_by_output(error: OSError) -> bool:
    """Return True if a write to standard output raised the error.

    It has no path, and its innermost frame is one that prints. (A second flush would not tell:
    Python discards what could not be written.)
    """
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    module = traceback.tb_frame.f_globals.get("__name__") if traceback else None
    return error.filename is None and module in _PRINTING_MODULES


def _is_out_of_memory(error: RuntimeError) -> bool:
    torch = sys.modules.get("torch")  # which not every command needs
    return torch is not None and isinstance(error, torch.OutOfMemoryError)


def _fail(message: str, *, code: int) -> None:
    print_error(f"annoseq: {message}")
    sys.exit(code)


def _discard_output() -> None:
    """Keep Python from trying at exit to write what could not be written."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
