"""One fast tagger that learned from a tagger with a pre-trained encoder, on unlabelled texts.

The recipe of two commands: `annoseq train --encoder` makes the teacher, `annoseq train --teacher
--unlabelled` the pupil. Another needs no teacher: `annoseq pretrain` reads the texts as a language
model, with whose weights `annoseq train --language-model` begins. All keep the same share of the
training rows for the choice of the epoch and for calibration, or train on all rows to the last
epoch. The dev rows choose nothing. Encoders come from `benchmarks.encoder_weights`,
texts from `benchmarks.unlabelled_sentences` and `benchmarks.background`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annoseq.config import PretrainingConfig, TaggerConfig, TrainingConfig
from annoseq.data.text_inputs import read_texts
from annoseq.errors import OptionError, count_noun
from annoseq.tokenization.gazetteer import LexiconFeatures
from annoseq.training.learner import Learner
from annoseq.training.pretraining import Pretraining
from benchmarks.budget import TIMING_NOTE, log
from benchmarks.command import Benchmark, command_line, make_parser, read_options
from benchmarks.dev_scores import (
    CORPORA,
    KEPT,
    SEEDS,
    device_clock,
    evaluate,
    score_tables,
    split_corpus,
)
from benchmarks.meddocan import FOLDER
from benchmarks.saved_runs import (
    add_run_options,
    load_outcomes,
    run_and_join,
)
from benchmarks.saved_targets import SavedDistillation, save_targets
from benchmarks.unlabelled_sentences import letters

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from annoseq.data.pairs import Pair
    from annoseq.tokenization.dataset import Dataset

REPORT = Path(__file__).with_suffix(".md")
SYSTEMS = {
    "plain": "tagger",
    "beside": "tagger, language modelling beside its tags",
    "ahead": "tagger, pre-trained on unlabelled texts",
    "both": "tagger, pre-trained on unlabelled texts, language modelling beside its tags",
    "self": "pupil of three taggers, unlabelled texts too",
    "rows": "pupil of teachers with an encoder, training rows alone",
    "texts": "pupil of teachers with an encoder, unlabelled texts too",
    "all": "pupil of three taggers and of teachers with an encoder, unlabelled texts too",
    "teacher": "teacher with an encoder",
}
_LANGUAGE = "language"
"""System that is no tagger: the language model of the unlabelled texts."""
_READERS = {_LANGUAGE, "self", "texts", "all"}
_PRETRAINED, _LEARNS_WORDS = {"ahead", "both"}, {"beside", "both"}
_LM_WEIGHT = 0.1
TEACHERS = {
    "self": ("plain",),
    "rows": ("teacher",),
    "texts": ("teacher",),
    "all": ("plain", "teacher"),
}


def run_names(corpora: Sequence[str], *, teachers: int = len(SEEDS)) -> list[str]:
    """Return the names of all runs, in the order in which they are made: teachers first."""
    taggers = [one for one in SYSTEMS if one != "teacher"]
    seeds = {_LANGUAGE: SEEDS[:1], "teacher": SEEDS[:teachers]} | dict.fromkeys(taggers, SEEDS)
    return [f"{one}-{corpus}-{seed}" for one in seeds for seed in seeds[one] for corpus in corpora]


def teacher_names(
    system: str, corpus: str, *, teachers: int = len(SEEDS), pretrained: bool = False
) -> list[str]:
    """Return the names of the runs that make the teachers of a pupil."""
    kinds = ["both" if pretrained and one == "plain" else one for one in TEACHERS[system]]
    trained = run_names([corpus], teachers=teachers)
    return [name for name in trained if name.partition("-")[0] in kinds]


def perform(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Train and evaluate a tagger, a teacher with an encoder or a pupil.

    Raises:
        ModelError: a pupil's teacher is not trained.
        OptionError: texts or the encoder are not given.
    """
    system, corpus, number = name.split("-")
    dataset, train, dev = split_corpus(
        options.data, corpus, rows=options.rows, kept=options.valid_share
    )
    texts = _texts(options.texts, [*train, *dev]) if system in _READERS else []
    folder = options.results / f"{name}.model"
    if system == _LANGUAGE:
        read = [*texts, *(example.source for example in dataset.train)]
        return _pretrain(read, options, folder)
    cache = options.results / f"{system}-{corpus}.targets"
    is_read = cache.exists()
    clock = device_clock(options.device)
    began = clock()
    learner = _learner(options, system, corpus, dataset, seed=int(number), texts=texts, cache=cache)
    started = clock()
    learner.fit_one_cycle(report=log)
    seconds = clock() - started
    learner.save(folder, overwrite=True)
    facts: dict[str, Any] = {"seconds": seconds, "epochs": learner.epochs}
    if options.save_targets:
        began = clock()
        read = _texts(options.texts, [*train, *dev])
        save_targets(learner, folder, _targets(folder), read)
        facts |= {"reading": clock() - began}
    if learner.lessons is not None and not is_read:
        facts["reading"] = started - began
    if learner.encoder is not None:
        facts["encoder"] = learner.encoder.summary()
    if texts:
        facts["texts"] = f"{len(texts):,} rows, {sum(map(len, texts)):,} characters"
    return evaluate(folder, train, dev, options.device) | facts


def _pretrain(texts: Sequence[str], options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Train and save the language model of texts; return its figures."""
    training = PretrainingConfig(epochs=options.lm_epochs, words=options.lm_words)
    tagger = TaggerConfig(hidden=options.hidden)
    run = Pretraining(texts, tagger=tagger, training=training, device=options.device)
    clock = device_clock(options.device)
    began = clock()
    run.fit(report=log)
    seconds = clock() - began
    run.save(folder, overwrite=True)
    facts = {"seconds": seconds, "perplexity": run.perplexity, "epochs": options.lm_epochs}
    return facts | {"texts": f"{run.texts:,} rows, {sum(map(len, texts)):,} characters"}


def _learner(
    options: argparse.Namespace,
    system: str,
    corpus: str,
    dataset: Dataset,
    *,
    seed: int,
    texts: Sequence[str],
    cache: Path,
) -> Learner:
    settings: dict[str, Any] = {"seed": seed, "keep": "best" if options.valid_share else "last"}
    is_pupil = system in TEACHERS
    if system in _LEARNS_WORDS or (is_pupil and options.words_beside):
        settings["lm_weight"] = _LM_WEIGHT
    language_model = None
    if system in _PRETRAINED or (is_pupil and options.pretrained):
        language_model = options.results / f"{_LANGUAGE}-{corpus}-{SEEDS[0]}.model"
    if options.epochs is not None:
        settings["epochs"] = options.epochs
    training, encoder, teaching = TrainingConfig(**settings), None, None
    if system == "teacher":
        if options.encoder is None:
            raise OptionError("the teacher needs an encoder. Give --encoder.")
        encoder = str(options.encoder)
    elif is_pupil:
        names = teacher_names(
            system, corpus, teachers=options.teachers, pretrained=options.pretrained
        )
        folders = [(options.teachers_in or options.results) / f"{name}.model" for name in names]
        teaching = SavedDistillation(
            teachers=tuple(one for one in folders if not _targets(one).exists()),
            saved=tuple(_targets(one) for one in folders if _targets(one).exists()),
            unlabelled=tuple(texts),
            cache=cache,
        )
    return Learner(
        dataset,
        model=TaggerConfig(hidden=options.hidden),
        training=training,
        device=options.device,
        encoder=encoder,
        language_model=language_model,
        lexicon_features=LexiconFeatures(lexicons=options.lexicon, gazetteers=options.gazetteers),
        distillation=teaching,
    )


def _targets(folder: Path) -> Path:
    """Return the file of what the teacher of a folder expects, if it was asked elsewhere."""
    return folder.with_suffix(".targets")


def _texts(paths: Iterable[Path] | None, pairs: Iterable[Pair]) -> list[str]:
    """Read unlabelled texts, a row each, without those of pairs.

    Raises:
        OptionError: there are none.
    """
    known = {letters(pair.source) for pair in pairs}
    texts = [text.text for path in paths or () for text in read_texts(path, column="orig_text")]
    kept = [text for text in dict.fromkeys(texts) if letters(text) not in known]
    if not kept:
        raise OptionError("there are no unlabelled texts. Give tables of them with --texts.")
    return kept


def join(options: argparse.Namespace) -> tuple[list[str], dict[str, str]]:
    """Return the table of all saved runs, and the facts of the report.

    Raises:
        OptionError: there are none.
    """
    outcomes, machine = load_outcomes(options.results, run_names(CORPORA))
    facts = {}
    for name, outcome in outcomes.items():
        system, corpus, _ = name.split("-")
        if system == _LANGUAGE:
            epochs = count_noun(outcome["epochs"], "epoch")
            figures = f"perplexity {outcome['perplexity']:.1f}, {outcome['seconds']:,.0f} s"
            facts[f"language model, {corpus}"] = f"{outcome['texts']}, {epochs}, {figures}"
            continue
        facts[f"epochs, {corpus}, {SYSTEMS[system]}"] = str(outcome["epochs"])
        if "texts" in outcome:
            facts[f"unlabelled texts, {corpus}"] = outcome["texts"]
        if "reading" in outcome:
            read = f"{outcome['reading']:,.0f} s"
            facts[f"time in which the teacher reads, {corpus}, {SYSTEMS[system]}"] = read
        if "encoder" in outcome:
            facts["encoder"] = outcome["encoder"]
    tables = score_tables(outcomes, SYSTEMS)
    kept = f"{options.valid_share:g} of training" if options.valid_share else "none"
    return tables, {"rows kept": kept} | facts | machine


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser("unlabelled", "Train pupils on unlabelled texts.", report=REPORT)
    parser.set_defaults(data=FOLDER.parents[1])
    add = parser.add_argument
    add("--encoder", type=Path, help="folder of the teachers' pre-trained encoder")
    add("--texts", nargs="+", type=Path, help="tables of unlabelled texts, in orig_text")
    add("--corpora", nargs="+", choices=CORPORA, default=["bc5cdr", "ncbi_disease"])
    add("--valid-share", type=float, default=KEPT, help="share of training rows that is kept")
    add("--lexicon", nargs="*", default=[], type=Path, help="lexicons of the taggers and pupils")
    add("--gazetteers", nargs="*", default=[], help="languages of their open gazetteers")
    add("--teachers", type=int, default=1, choices=range(1, 1 + len(SEEDS)), help="with an encoder")
    add("--pretrained", action="store_true", help="pupils begin with the language model")
    add("--words-beside", action="store_true", help="pupils predict words beside their tags")
    add("--teachers-in", type=Path, help="folder of the teachers, if they are not in --results")
    add("--hidden", type=int, default=TaggerConfig().hidden, help="width of the taggers' LSTM")
    add("--save-targets", action="store_true", help="for pupils that are trained elsewhere")
    add("--device", default="cpu", help="cpu or cuda")
    add("--epochs", type=int, help="epochs of every run; by default the tagger's own")
    defaults = PretrainingConfig()
    add("--lm-epochs", type=int, default=defaults.epochs, help="epochs of the language model")
    add("--lm-words", type=int, default=defaults.words, help="words that it tells apart")
    add_run_options(parser, cache="unlabelled", runs=run_names(CORPORA))
    return read_options(parser, arguments, above_zero=("epochs", "lm_epochs", "lm_words"))


ABOUT = f"""\
An ordinary tagger; a tagger with a pre-trained encoder, which is a teacher; and pupils, ordinary
taggers that learned from gold spans and from what teachers expect of the training rows, or of
unlabelled texts too. Three taggers that differ in their seed are teachers, too. Other taggers read
the texts as a language model first (`annoseq pretrain`), and go on to predict words beside their
tags (`--lm-weight 0.1`). Teachers may be wider (`--hidden`), or have read on another machine
(`--save-targets`). A share of the training rows is kept for the choice of the epoch and for
calibration; where none is kept, all are trained on, the last epoch is taken, and scores are not
calibrated. The dev rows choose nothing, and texts that are rows of the corpus are left out. Means
over seeds, and the standard deviation of F1. The time in which teachers read the texts is told
below the table.
{TIMING_NOTE}"""

BENCHMARK = Benchmark(name="unlabelled", title="A teacher, and unlabelled texts", about=ABOUT)


def main(given: Sequence[str] | None = None) -> int:
    """Perform the runs that are asked for, print the table, and replace the report."""
    arguments = command_line(given)
    options = parse_arguments(arguments)
    names = run_names(options.corpora, teachers=options.teachers)
    return run_and_join(
        BENCHMARK, options, arguments, names, perform=perform, join=join, device=options.device
    )


if __name__ == "__main__":
    sys.exit(main())
