"""Initialization of embeddings from a `.bin` of the shape of cc.en.300, compared with gensim.

The file has random values, and as many words and buckets as asked for. Each reader runs
in a process of its own, with nothing of the file in the system's cache, and reports its own peak
(`VmHWM`, because what `getrusage` says of a child can be its parent's). Needs Linux.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shlex
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from annoseq.errors import AnnoseqError, OutputError
from annoseq.vectors.fasttext_rows import MAGIC, NEWEST_VERSION
from benchmarks.measure import children_cpu_seconds, describe_machine, markdown_table, write_report

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import IO

    from numpy.typing import NDArray

REPORT = Path(__file__).with_suffix(".md")
MOST_SECONDS, MOST_BYTES = 60, 1.5e9
TOLERANCE = 1e-5
NGRAM = 5
"""Characters of an n-gram in cc.en.300 and its sisters: five, no more and no fewer."""
_UNSEEN = 0.2
"""Share of the words looked up that the file does not have."""
_BLOCK = 1 << 16
"""Rows of random values, written again and again."""
_STATUS = """
import json, pathlib, sys
status = pathlib.Path("/proc/self/status").read_text().splitlines()
peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) * 1024
print(json.dumps({"peak": peak}))
"""
_OURS = """
import sys
from collections import Counter
import numpy as np
from annoseq.config import DataConfig
from annoseq.tokenization.pretokenizer import build_pretokenizer
from annoseq.vectors.init_embeddings import init_embeddings
from annoseq.vectors.lookup import open_vectors
from annoseq.tokenization.vocabulary import Vocabulary
vectors, words, out = sys.argv[1:]
counts = Counter({" " + word: 2 for word in open(words).read().split()})
vocabulary = Vocabulary.build(counts, pre_tokenizer=build_pretokenizer(), config=DataConfig())
opened = open_vectors(vectors)
filled = init_embeddings(vocabulary, opened, width=opened.width, seed=42)
assert not filled.missing
ids = [vocabulary.ids[token] for token in counts]
np.save(out, filled.matrix[ids])
"""
_GENSIM = """
import sys
import numpy as np
from gensim.models.fasttext import load_facebook_vectors
vectors, words, out = sys.argv[1:]
loaded = load_facebook_vectors(vectors)
np.save(out, np.array([loaded[word] for word in open(words).read().split()]))
"""


@dataclass(frozen=True, slots=True)
class Run:
    """Measurements of a process; `peak` is in bytes, `matrix` its vectors (V, width)."""

    name: str
    seconds: float
    cpu_seconds: float
    peak: int
    matrix: NDArray[np.float32]

    def cells(self) -> list[str]:
        """Return the cells of the table."""
        return [
            self.name,
            f"{self.seconds:,.1f} s",
            f"{self.cpu_seconds:,.1f} s",
            f"{self.peak / 2**20:,.0f} MiB",
        ]


def make_words(count: int, *, seed: int) -> list[bytes]:
    """Return `count` different words of 4 to 12 letters."""
    generator = np.random.default_rng(seed)
    words: dict[bytes, None] = {}
    while len(words) < count:
        size = count - len(words) + 1_000
        letters = generator.integers(ord("a"), ord("z") + 1, (size, 12), dtype=np.uint8)
        lengths = generator.integers(4, 13, size).tolist()
        words |= dict.fromkeys(
            row[:length] for row, length in zip(map(bytes, letters), lengths, strict=True)
        )
    return list(words)[:count]


def write_vectors(
    path: Path, words: Sequence[bytes], *, buckets: int, width: int, seed: int
) -> None:
    """Write a `.bin` as fastText does; its output matrix is a hole in the file."""
    arguments = [width, 5, 5, 5, 10, 1, 2, 1, buckets, NGRAM, NGRAM, 100]
    with path.open("wb") as file:
        file.write(MAGIC + struct.pack("<13id", NEWEST_VERSION, *arguments, 1e-5))
        file.write(struct.pack("<3i2q", len(words), len(words), 0, len(words), -1))
        file.writelines(word + b"\0" + struct.pack("<qb", 5, 0) for word in words)
        _write_matrix(file, len(words) + buckets, width, seed=seed)
        file.write(struct.pack("<?2q", False, len(words), width))
        file.truncate(file.tell() + len(words) * width * 4)


def _write_matrix(file: IO[bytes], rows: int, width: int, *, seed: int) -> None:
    file.write(struct.pack("<?2q", False, rows, width))
    block = np.random.default_rng(seed).standard_normal((_BLOCK, width), np.float32)
    for first in range(0, rows, _BLOCK):
        file.write(block[: rows - first].tobytes())
        block = np.roll(block, 1)  # so that no two blocks are the same


def drop_page_cache(path: Path) -> None:
    """Drop a file from the page cache."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def measure(name: str, program: str, vectors: Path, words: Path) -> Run:
    """Look the words up in a process of its own.

    Raises:
        OutputError: the process failed; it has said why.
    """
    drop_page_cache(vectors)
    out = words.with_name("matrix.npy")
    command = [sys.executable, "-c", program + _STATUS, str(vectors), str(words), str(out)]
    start, cpu_start = time.perf_counter(), children_cpu_seconds()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    seconds, cpu_seconds = time.perf_counter() - start, children_cpu_seconds() - cpu_start
    if done.returncode:
        raise OutputError(f"{name} failed with exit code {done.returncode}.")
    peak = json.loads(done.stdout.splitlines()[-1])["peak"]
    return Run(name, seconds, cpu_seconds, peak, np.load(out))


def results(ours: Run, peer: Run) -> tuple[str, bool]:
    """Return the table of results, a sentence about them, and True if all checks hold."""
    apart = float(np.abs(ours.matrix - peer.matrix).max())
    holds = ours.seconds < MOST_SECONDS and ours.peak < MOST_BYTES and apart < TOLERANCE
    table = markdown_table(
        ["reader", "time", "CPU time", "peak memory"], [run.cells() for run in (ours, peer)]
    )
    verdict = "within" if holds else "NOT within"
    return (
        f"{table}\n\nannoseq is {verdict} {MOST_SECONDS} s, {MOST_BYTES / 1e9} GB, and "
        f"{TOLERANCE:.0e} of gensim's vectors (the largest difference is {apart:.1e}). gensim "
        f"takes {peer.cpu_seconds / ours.cpu_seconds:,.1f} times the CPU time and "
        f"{peer.peak / ours.peak:,.1f} times the memory."
    ), holds


ABOUT = """\
The embeddings of a vocabulary are initialised from a fastText `.bin` of random values. annoseq
reads only the rows that the words need, gensim (`load_facebook_vectors`) reads all. Each runs in a
process of its own, measured with the start of Python and all imports, and with nothing of the file
in the page cache."""


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.vectors",
        description="Fill embeddings from a large .bin, and load it with gensim.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--words", type=int, default=2_000_000, help="in the file")
    add("--buckets", type=int, default=2_000_000, help="in the file")
    add("--width", type=int, default=300, help="of the vectors")
    add("--vocabulary", type=int, default=25_000, help="words to look up")
    add("--seed", type=int, default=42, help="seed of the file")
    add("--out", type=Path, default=REPORT, help="Markdown file that the results replace")
    options = parser.parse_args(arguments)
    if min(options.words, options.buckets, options.width, options.vocabulary) <= 0:
        parser.error("--words, --buckets, --width, --vocabulary: numbers above 0 were expected")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark, print its table, and replace its report."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parse_arguments(given)
    facts = describe_machine(torch.device("cpu"))
    try:
        with tempfile.TemporaryDirectory() as name:
            vectors, listed = Path(name) / "vectors.bin", Path(name) / "words.txt"
            unseen = int(options.vocabulary * _UNSEEN)
            words = make_words(options.words + unseen, seed=options.seed)
            known, rest = words[: options.words], words[options.words :]
            write_vectors(
                vectors, known, buckets=options.buckets, width=options.width, seed=options.seed
            )
            step = max(1, options.words // (options.vocabulary - unseen))
            wanted = known[::step][: options.vocabulary - unseen] + rest
            listed.write_bytes(b"\n".join(wanted))
            size = vectors.stat().st_size
            del words, known
            ours = measure("annoseq", _OURS, vectors, listed)
            peer = measure("gensim", _GENSIM, vectors, listed)
        table, holds = results(ours, peer)
        print(table)
        write_report(
            options.out,
            title="Embeddings from a large file of vectors",
            about=ABOUT,
            tables=[table],
            facts={
                "file": f"{options.words:,} words, {options.buckets:,} buckets, "
                f"{options.width} wide, n-grams of {NGRAM} characters, {size / 1e9:.2f} GB with "
                "an output matrix that neither reads",
                "vocabulary": f"{len(wanted):,} words, {len(rest):,} of them not in the file",
                "seed": str(options.seed),
                **facts,
                "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
                "command": f"`{shlex.join(['python', '-m', 'benchmarks.vectors', *given])}`",
            },
        )
    except AnnoseqError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
