from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Never

import pyarrow.parquet as pq
import pytest
import torch

from annoseq.data.filesystems import stat_file
from annoseq.errors import OptionError, OutputError
from annoseq.scale import part_worker
from annoseq.scale.part_manifest import RunFolder, digest
from annoseq.scale.part_worker import WorkerError, isolate_failures
from annoseq.scale.parts import InputPart, find_parts
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer
from tests.faults import file_size_limit
from tests.fidelity import random_annotator
from tests.scale.folders import (
    PLAN,
    EchoAnnotator,
    annotate_job,
    echo_worker,
    lines,
    outputs,
    write_csv,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from annoseq.scale.part_manifest import PartRecord

TEXTS = [f"Dr. Ames came {number} times." for number in range(10)]
SECRET = "Xanthippe"


def make_part(folder: Path, content: str | bytes, name: str = "a.csv") -> InputPart:
    folder.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    (folder / name).write_bytes(data)
    return find_parts(str(folder / name)).parts[0]


def csv_part(folder: Path, texts: Sequence[str]) -> InputPart:
    write_csv(folder / "a.csv", texts)
    return find_parts(str(folder / "a.csv")).parts[0]


def record_of(outcome: part_worker.PartOutcome) -> PartRecord:
    assert outcome.failure is None
    assert outcome.record is not None
    return outcome.record


def test_a_part_is_annotated_and_recorded(tmp_path: Path) -> None:
    part, out = csv_part(tmp_path / "in", TEXTS), tmp_path / "out"
    record = record_of(echo_worker(out).process(part))
    rows = lines(out / "parts" / "a.jsonl")
    assert [(row["id"], row["text"]) for row in rows] == [
        (str(number), text) for number, text in enumerate(TEXTS, 1)
    ]
    assert rows[0]["annotated"] == "{{TITLE}}Dr{{/TITLE}}. Ames came 0 times."
    assert (record.texts, record.spans, record.labels) == (10, 10, ("TITLE",))
    assert record == RunFolder(str(out)).record("a.csv")
    assert not (out / "errors").exists()
    assert "Ames" not in (out / "manifest" / "a.csv.json").read_text()


def test_a_text_that_fails_is_an_error_row_and_loses_no_other(tmp_path: Path) -> None:
    texts = [*TEXTS[:2], f"FAIL {SECRET}", *TEXTS[2:]]
    out = tmp_path / "out"
    record = record_of(echo_worker(out).process(csv_part(tmp_path / "in", texts)))
    assert [row["id"] for row in lines(out / "parts/a.jsonl")] == [
        *["1", "2"],
        *[str(number) for number in range(4, 12)],
    ]
    assert lines(out / "errors/a.jsonl") == [{"id": "3", "reason": "ValueError"}]
    assert (record.texts, record.errors) == (10, 1)
    assert SECRET not in json.dumps(record.report) + (out / "manifest/a.csv.json").read_text()


def test_a_row_that_cannot_be_read_is_an_error_row(tmp_path: Path) -> None:
    rows = [{"orig_text": "Dr. Ames"}, {"orig_text": None}, {"orig_text": "Dr. Bond"}]
    content = "".join(json.dumps(row) + "\n" for row in rows)
    part, out = make_part(tmp_path / "in", content, "a.jsonl"), tmp_path / "out"
    record = record_of(echo_worker(out).process(part))
    assert (record.texts, record.errors) == (2, 1)
    (error,) = lines(out / "errors/a.jsonl")
    assert error["id"] == "2"
    assert str(error["reason"]).startswith(f"{part.address}: row 2")


def test_a_file_of_one_text_that_fails_has_no_output(tmp_path: Path) -> None:
    part, out = make_part(tmp_path / "in", "FAIL", "a.txt"), tmp_path / "out"
    worker = echo_worker(out, job=annotate_job(format_="inline"))
    record = record_of(worker.process(part))
    assert (record.texts, record.errors, record.output) == (0, 1, "")
    assert not (out / "parts/a.txt").exists()
    assert lines(out / "errors/a.jsonl") == [{"id": "a.txt", "reason": "ValueError"}]
    write = make_part(tmp_path / "in", "Dr. Ames\r\n", "a.txt")
    assert record_of(worker.process(write)).texts == 1
    assert (out / "parts/a.txt").read_bytes() == b"{{TITLE}}Dr{{/TITLE}}. Ames\r\n"
    assert not (out / "errors/a.jsonl").exists()


def test_a_device_that_fails_at_every_text_fails_the_part(tmp_path: Path) -> None:
    part, out = csv_part(tmp_path / "in", [f"FAIL {SECRET}"] * 5), tmp_path / "out"
    worker = echo_worker(out, annotator=EchoAnnotator(error=torch.OutOfMemoryError))
    outcome = worker.process(part)
    assert outcome == (
        "a.csv",
        None,
        "a.csv: OutOfMemoryError at each of 4 texts in the worker",
        False,
    )
    assert not (out / "parts").exists() or not list((out / "parts").iterdir())


def test_texts_that_are_refused_one_by_one_are_no_failure_of_the_worker() -> None:
    failed = []

    def refuse(items: Sequence[str]) -> Never:
        raise OptionError(f"{len(items)} refused")

    assert isolate_failures(["a", "b"], refuse, lambda *failure: failed.append(failure)) == []
    assert [(item, str(error)) for item, error in failed] == [
        ("a", "1 refused"),
        ("b", "1 refused"),
    ]


def test_an_output_that_fails_among_texts_one_by_one_ends_the_run() -> None:
    def fail(items: Sequence[str]) -> Never:
        raise ValueError if len(items) > 1 else OutputError("the disk is full")

    with pytest.raises(OutputError, match="the disk is full"):
        isolate_failures(["a", "b"], fail, lambda *failure: None)


def test_an_unreadable_part_fails_or_is_left_out(tmp_path: Path) -> None:
    whole = gzip.compress(b"orig_text\n" + b"Dr. Ames\n" * 1000)
    part, out = make_part(tmp_path / "in", whole[:-20], "a.csv.gz"), tmp_path / "out"
    failure = f"{part.address}: the gzip compression is damaged or cut off."
    outcome = echo_worker(out).process(part)
    assert outcome.record is None
    assert not outcome.is_fatal
    assert (outcome.failure or "").startswith(failure)
    assert not list(out.rglob("*.jsonl"))
    record = record_of(echo_worker(out, skip_bad=True).process(part))
    assert (record.texts, record.errors, record.output) == (0, 1, "")
    (error,) = lines(out / "errors/a.jsonl")
    assert error["id"] is None
    assert str(error["reason"]).startswith(failure)


@pytest.mark.parametrize("skip_bad", [False, True])
def test_a_changed_part_that_fails_leaves_nothing_of_before(skip_bad: bool, tmp_path: Path) -> None:
    part, out = csv_part(tmp_path / "in", [*TEXTS, "FAIL"]), tmp_path / "out"
    assert record_of(echo_worker(out).process(part)).texts == 10
    assert len(list(out.rglob("a.*"))) == 3
    worse = make_part(tmp_path / "in", "other\nDr. Ames\n")
    outcome = echo_worker(out, skip_bad=skip_bad).process(worse)
    left = {str(path.relative_to(out)) for path in out.rglob("a.*")}
    if skip_bad:
        assert record_of(outcome).skipped is not None
        assert left == {"errors/a.jsonl", "manifest/a.csv.json"}
    else:
        assert (outcome.record, left) == (None, set())


def set_device(works: bool) -> EchoAnnotator:
    """Return an annotator that fails at "Dr", whatever the text, unless its device works."""
    return EchoAnnotator() if works else EchoAnnotator(fails_at="Dr", error=torch.OutOfMemoryError)


def supersede(out: Path) -> None:
    """Let every part be done again, as --overwrite does."""
    RunFolder(str(out)).supersede_records(digest(PLAN))


def test_a_part_that_cannot_be_read_for_a_moment_keeps_its_output(tmp_path: Path) -> None:
    part, out = csv_part(tmp_path / "in", [*TEXTS, "FAIL"]), tmp_path / "out"
    record_of(echo_worker(out).process(part))
    before = outputs(out)
    assert len(before) == 2  # the errors, too
    Path(part.address).rename(tmp_path / "away.csv")
    outcome = echo_worker(out, skip_bad=True).process(part._replace(modified=7))
    assert "cannot be read: No such file" in (outcome.failure or "")
    assert outputs(out) == before
    assert RunFolder(str(out)).record("a.csv") is not None
    (tmp_path / "away.csv").rename(part.address)
    annotator = EchoAnnotator()
    assert record_of(echo_worker(out, annotator=annotator).process(part)).texts == 10
    assert annotator.calls == 0


@pytest.mark.parametrize("name", ["a.csv", "one.csv", "a.txt"])
def test_a_device_that_fails_removes_the_outputs_of_changed_texts_alone(
    name: str, tmp_path: Path
) -> None:
    content = "orig_text\nDr. Ames\n" + "Dr. Bond\n" * (name == "a.csv")
    part, out = make_part(tmp_path / "in", content, name), tmp_path / "out"
    job = annotate_job(format_="inline" if name == "a.txt" else "csv")
    record_of(echo_worker(out, job=job).process(part))
    before = outputs(out)
    supersede(out)
    broken = echo_worker(out, annotator=set_device(works=False), job=job, skip_bad=True)
    assert broken.process(part).failure == (
        "a.csv: OutOfMemoryError at each of 2 texts in the worker"
        if name == "a.csv"
        else f"{name}: failed at every text, as it did not before: OutOfMemoryError"
    )
    assert outputs(out) == before
    changed = make_part(tmp_path / "in", content + "Dr. Cole\n", name)
    broken.process(changed)
    assert not (out / "parts" / name).exists()


def test_a_part_at_which_workers_die_keeps_its_output_unless_it_changed(tmp_path: Path) -> None:
    part, out = csv_part(tmp_path / "in", TEXTS), tmp_path / "out"
    record_of(echo_worker(out).process(part))
    supersede(out)
    RunFolder(str(out)).write_json("_attempts/run/a.csv.json", {"attempts": 3})
    worker = echo_worker(out, attempts="run")
    assert "its worker died 3 times" in (worker.process(part).failure or "")
    assert (out / "parts/a.jsonl").exists()
    worker.process(csv_part(tmp_path / "in", TEXTS[:1]))
    assert list(out.rglob("a.jsonl")) == []


def test_a_part_that_was_readable_is_not_left_out(tmp_path: Path) -> None:
    part, out = csv_part(tmp_path / "in", TEXTS), tmp_path / "out"
    record_of(echo_worker(out).process(part))
    before = outputs(out)
    supersede(out)
    worker = echo_worker(out, job=replace(annotate_job(), column="other"), skip_bad=True)
    assert "there is no column 'other'" in (worker.process(part).failure or "")
    assert outputs(out) == before
    (out / "parts/a.jsonl").unlink()  # so that there is nothing to lose
    assert record_of(worker.process(part)).skipped is not None


def test_an_output_of_an_unknown_text_stays(tmp_path: Path) -> None:
    part, out = csv_part(tmp_path / "in", TEXTS), tmp_path / "out"
    record_of(echo_worker(out).process(part))
    (out / "manifest/a.csv.json").unlink()
    assert echo_worker(out, annotator=set_device(works=False)).process(part).record is None
    assert (out / "parts/a.jsonl").exists()


def test_a_part_in_another_format_takes_the_place_of_its_output(tmp_path: Path) -> None:
    part, out = csv_part(tmp_path / "in", TEXTS), tmp_path / "out"
    record_of(echo_worker(out).process(part))
    more = csv_part(tmp_path / "in", [*TEXTS, "x"])
    record_of(echo_worker(out, job=annotate_job(format_="csv")).process(more))
    assert [path.name for path in (out / "parts").iterdir()] == ["a.csv"]


def test_a_full_disk_ends_the_run(tmp_path: Path) -> None:
    part, out = csv_part(tmp_path / "in", TEXTS * 50), tmp_path / "out"
    with file_size_limit(10_000):
        outcome = echo_worker(out).process(part)
    assert outcome.is_fatal
    assert (outcome.failure or "").startswith(
        f"{out / 'parts/a.jsonl'} cannot be written: File too large."
    )
    assert not list(out.rglob("*.json*"))


def test_a_part_that_is_done_is_not_done_again(tmp_path: Path) -> None:
    part, out = csv_part(tmp_path / "in", TEXTS), tmp_path / "out"
    annotator = EchoAnnotator()
    worker = echo_worker(out, annotator=annotator)
    record = record_of(worker.process(part))
    calls = annotator.calls
    assert record_of(worker.process(part)) == record
    # Its content is the same, and its time is not: its fingerprint is compared.
    write_csv(tmp_path / "in" / "a.csv", TEXTS)
    touched = find_parts(part.address).parts[0]._replace(modified=7)
    assert record_of(worker.process(touched)).modified == 7
    assert annotator.calls == calls


def test_a_part_that_changes_while_it_is_read_is_not_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part, out = csv_part(tmp_path / "in", TEXTS), tmp_path / "out"

    def stat_later(address: str) -> tuple[int, int] | None:
        write_csv(tmp_path / "in" / "a.csv", TEXTS * 2)
        return stat_file(address)

    monkeypatch.setattr(part_worker, "stat_file", stat_later)
    outcome = echo_worker(out).process(part)
    assert outcome.failure == (
        "a.csv: it was changed while it was read. Run the same command again."
    )
    assert RunFolder(str(out)).record("a.csv") is None
    assert not list(out.rglob("a.*"))


def test_a_part_at_which_workers_die_is_given_up(tmp_path: Path) -> None:
    part, out = csv_part(tmp_path / "in", TEXTS), tmp_path / "out"

    class Killed(BaseException):
        pass

    class KilledAnnotator(EchoAnnotator):
        def annotate(self, texts: Sequence[str], **_: object) -> Never:
            raise Killed

    for _ in range(3):
        with pytest.raises(Killed):
            echo_worker(out, annotator=KilledAnnotator(), attempts="run").process(part)
    assert echo_worker(out, attempts="run").process(part).failure == (
        "a.csv: its worker died 3 times; its texts may be too long for the memory in the worker"
    )
    assert echo_worker(out, attempts="next").process(part).failure is None


def test_columns_are_kept_and_empty_parts_are_empty(tmp_path: Path) -> None:
    out = tmp_path / "out"
    part = make_part(tmp_path / "in", "orig_text,ward\nDr. Ames,3\n")
    for format_ in ("csv", "jsonl", "parquet"):
        worker = echo_worker(out, job=annotate_job(format_=format_, keep=None))
        (out / "manifest/a.csv.json").unlink(missing_ok=True)
        assert record_of(worker.process(part)).texts == 1
    assert (out / "parts/a.csv").read_text().splitlines()[0].endswith('"alternatives","ward"')
    assert lines(out / "parts/a.jsonl")[0]["ward"] == "3"
    (row,) = pq.read_table(out / "parts/a.parquet").to_pylist()
    assert (row["ward"], row["spans"][0]["label"]) == ("3", "TITLE")
    empty = make_part(tmp_path / "in", "orig_text,ward\n", "e.csv")
    for format_, content in (("jsonl", b""), ("csv", b'"id","doc_id"'), ("parquet", b"PAR1")):
        worker = echo_worker(out, job=annotate_job(format_=format_, keep=None))
        (out / "manifest/e.csv.json").unlink(missing_ok=True)
        assert record_of(worker.process(empty)).texts == 0
        assert (out / f"parts/e.{format_}").read_bytes().startswith(content)


def test_a_kept_column_of_a_part_has_the_type_that_holds_all_its_values(tmp_path: Path) -> None:
    rows = [
        {"orig_text": "Dr. Ames", "n": 1, "visit": 1},
        {"orig_text": None, "n": "x"},
        {"orig_text": "FAIL", "n": None},
        {"orig_text": "Dr. Bond", "n": 2.5, "visit": "Ida"},
    ]
    content = "".join(json.dumps(row) + "\n" for row in rows)
    part, out = make_part(tmp_path / "in", content, "a.jsonl"), tmp_path / "out"
    worker = echo_worker(out, job=annotate_job(format_="parquet", keep=None))
    assert record_of(worker.process(part)).texts == 2
    table = pq.read_table(out / "parts/a.parquet")
    assert table["n"].to_pylist() == [1.0, 2.5]
    assert table["visit"].to_pylist() == ["1", "Ida"]


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_a_row_with_a_column_of_its_own_is_an_error_row_in_a_table(
    format_: str, tmp_path: Path
) -> None:
    content = '{"orig_text": "a"}\n{"orig_text": "b", "y": 2}\n'
    part, out = make_part(tmp_path / "in", content, "a.jsonl"), tmp_path / "out"
    worker = echo_worker(out, job=annotate_job(format_=format_, keep=None))
    assert record_of(worker.process(part)).texts == 1
    (error,) = lines(out / "errors/a.jsonl")
    assert str(error["reason"]).startswith(f"{part.address}: row 2 has the column 'y', which the")


def test_a_kept_column_must_not_be_one_of_the_output(tmp_path: Path) -> None:
    part = make_part(tmp_path / "in", "orig_text,score\nDr. Ames,3\n")
    outcome = echo_worker(tmp_path / "out", job=annotate_job(keep=None)).process(part)
    assert (outcome.failure or "").startswith("--keep-columns: the output has a column 'score'")


def test_a_bug_tells_its_type_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Never:
        raise KeyError(SECRET)

    monkeypatch.setattr(part_worker, "_checksum", fail)
    outcome = echo_worker(tmp_path / "out").process(csv_part(tmp_path / "in", TEXTS))
    assert outcome.failure == "a.csv: KeyError in the worker"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    part = csv_part(tmp_path / "in", TEXTS)
    Path(part.address).unlink()
    assert (echo_worker(tmp_path / "out").process(part).failure or "").startswith(
        f"{part.address}: cannot be read: No such file or directory."
    )


def test_a_worker_error_of_several_texts_is_raised() -> None:
    def fail(_: Sequence[str]) -> Never:
        raise RuntimeError(SECRET)

    with pytest.raises(WorkerError, match=r"^RuntimeError at each of 2 texts$"):
        isolate_failures(["a", "b"], fail, lambda *_: None)


def test_a_part_does_not_depend_on_the_texts_before(tmp_path: Path) -> None:
    annotator = random_annotator("flat tagger")
    tokenizer = annotator.tokenizer
    assert isinstance(tokenizer, TaggerTokenizer)
    part = csv_part(tmp_path / "in", TEXTS)
    written = []
    for number, before in enumerate((["Mr. Cole"], TEXTS[::-1])):
        annotator.annotate(before, advance=lambda _: None)
        out, met = tmp_path / f"{number}", tokenizer.feature_hasher.generation
        worker = echo_worker(out, annotator=annotator)  # type: ignore[arg-type]
        assert record_of(worker.process(part)).texts == 10
        assert tokenizer.feature_hasher.generation == met + 1
        written.append((out / "parts/a.jsonl").read_bytes())
    assert written[0] == written[1]
