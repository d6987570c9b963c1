"""`annoseq redact --policy`: the rules of a law or a protocol, and what contradicts them."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from annoseq.deid.audit_log import AuditLog
from annoseq.deid.manifest import RedactionManifest
from annoseq.deid.policy import Policy
from annoseq.inference.resumable_output import ResumableOutput
from tests.cli.command import refusal, run, snapshot, write_key
from tests.deid.documents import LookupAnnotator

if TYPE_CHECKING:
    from pathlib import Path

PATTERNS = r"""
[name]
label = "NAME:PATIENT"
pattern = 'Ms (?P<value>\w+)'
[birth]
label = "DATE"
pattern = '\d+/\d+/\d{4}'
[age]
label = "AGE"
pattern = '(?P<value>\d+) years'
[zip]
label = "ZIP"
pattern = '\b\d{5}\b'
[country]
label = "COUNTRY"
pattern = 'Peru'
[pet]
label = "PET"
pattern = 'Rex'
"""
NOTE = "Ms Ames, 94 years, born 3/4/1931, seen 5/6/2024 with Rex, from Peru, 03601."
SAFE = "Ms [NAME:PATIENT], 90+ years, born 90+, seen 2024 with , from Peru, 000."
ONLY_PATTERNS = ("--patterns", "patterns.toml", "--best-path")
POLICY = 'base = "safe-harbor"\nname = "cohort"\nstandard = "none"\n'


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a note, patterns, a key and two policies."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text(NOTE)
    (tmp_path / "patterns.toml").write_text(PATTERNS)
    write_key(tmp_path / "key", "0123456789abcdef" * 2)
    (tmp_path / "cohort.toml").write_text(POLICY + '[rules.date]\naction = "shift"\n')
    (tmp_path / "zip.csv").write_text("zip3,census\n021,2020\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def silent(here: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a model that marks nothing by itself: what a pattern finds is known."""
    monkeypatch.setattr("annoseq.cli.redact.annotate_function", lambda *_: LookupAnnotator())
    return model


def test_safe_harbor_is_applied_counted_and_recorded(here: Path, silent: Path) -> None:
    result = run(
        "redact", silent, "notes", "--out", "clean", *ONLY_PATTERNS, "--policy", "safe-harbor"
    )
    note = (
        "the policy safe-harbor has no rule for PET: its default, remove, is applied to what they "
        "mark\n"
    )
    assert (result.code, result.err) == (0, note)
    assert (here / "clean" / "a.txt").read_text() == SAFE
    report = json.loads((here / "clean" / "report.json").read_bytes())
    assert report["actions"] == {"remove": 1, "label": 1, "generalise": 4}
    assert (report["kept"], report["without_a_rule"]) == ({"COUNTRY": 1}, {"PET": 1})
    assert "kept by the policy: 1 span" in result.out
    assert "its default was applied: 1 span of 1 label" in result.out
    config = json.loads((here / "clean" / "config.json").read_bytes())
    assert (config["policy"], config["census"]) == ("safe-harbor", "2020")
    assert len(config["policy_sha256"]) == 64
    annotated = json.loads((here / "clean" / "annotations.jsonl").read_bytes())
    assert [span["action"] for span in annotated["spans"]] == ["label", *["generalise"] * 4]


def test_what_is_known_by_its_form_is_replaced_without_a_model_or_patterns(
    here: Path, silent: Path
) -> None:
    (here / "notes" / "a.txt").write_text("A 93-year-old man, ames@mail.org, 310-555-1234")
    options = ("--policy", "safe-harbor", "--best-path")
    result = run("redact", silent, "notes", "--out", "clean", *options)
    assert (result.code, result.err) == (0, "")
    text = (here / "clean" / "a.txt").read_text()
    assert text == "A 90+-year-old man, [EMAIL], [PHONE]"


def test_types_that_nothing_marks_are_named_beforehand(here: Path, silent: Path) -> None:
    (here / "types.toml").write_text('[labels]\nAGE = "none"\nDATE = "none"\n')
    options = ("--policy", "safe-harbor", "--best-path", "--phi-types", "types.toml")
    result = run("redact", silent, "notes", "--out", "clean", *options)
    assert result.err == (
        "neither the model nor a pattern marks date, age, which the standard safe-harbor lists: if "
        "the texts have any, they stay (--patterns)\n"
    )


def test_what_a_policy_keeps_is_counted(here: Path, silent: Path) -> None:
    options = ("--policy", "limited-data-set", *ONLY_PATTERNS)
    result = run("redact", silent, "notes", "--out", "clean", *options)
    assert "kept by the policy: 5 spans" in result.out
    report = json.loads((here / "clean" / "report.json").read_bytes())
    assert report["kept"] == {"AGE": 1, "COUNTRY": 1, "DATE": 2, "ZIP": 1}
    (here / "notes" / "a.txt").write_text("from Peru")
    result = run("redact", silent, "notes", "--out", "clean", *options, "--overwrite")
    assert "without any span" not in result.out


def test_another_table_of_zip_codes(here: Path, silent: Path) -> None:
    options = ("--policy", "safe-harbor", "--zip-table", "zip.csv", *ONLY_PATTERNS)
    assert run("redact", silent, "notes", "--out", "clean", *options).code == 0
    assert (here / "clean" / "a.txt").read_text() == SAFE.replace("000", "036")


def test_a_policy_of_ones_own_shifts_dates(here: Path, silent: Path) -> None:
    options = ("--policy", "cohort.toml", "--key", "key", *ONLY_PATTERNS)
    assert run("redact", silent, "notes", "--out", "clean", *options).code == 0
    text = (here / "clean" / "a.txt").read_text()
    assert text.startswith("Ms [NAME:PATIENT], 90+ years, born ")
    assert "3/4/1931" not in text
    assert "[DATE]" not in text


def test_labels_without_a_rule_are_named_beforehand(here: Path, silent: Path) -> None:
    (here / "bare.toml").write_text(
        'name = "bare"\nstandard = "none"\n[default]\naction = "mask"\n[rules.name]\n'
        'action = "label"\n'
    )
    options = ("--policy", "bare.toml", "--best-path")
    result = run("redact", silent, "notes", "--out", "clean", *options)
    assert result.code == 0
    assert result.err.startswith("the policy bare has no rule for AGE, ")
    assert result.err.endswith("its default, mask, is applied to what they mark\n")


MESSAGES = {
    "--policy safe-harbor --with surrogate": (
        "--with and --policy both say what is done. Leave --with off, or write a policy of your "
        "own that says so."
    ),
    "--policy safe-harbor --shift-by weeks": (
        "--shift-by and --policy both say what is done. Leave --shift-by off, or write a policy of "
        "your own that says so."
    ),
    "--policy safe-harbor --min-score 0.5": (
        "--min-score leaves identifiers in the text, which the standard safe-harbor does not "
        "allow. Leave it off."
    ),
    "--policy limited-data-set --zip-table zip.csv": (
        "--zip-table: the policy limited-data-set generalises no ZIP codes. Leave it off."
    ),
    "--zip-table zip.csv": (
        "--zip-table is for policies that generalise ZIP codes. Add --policy safe-harbor, or leave "
        "it off."
    ),
    "--policy hipaa": (
        "--policy hipaa: there is no such policy. Use safe-harbor or limited-data-set, or the name "
        "of a TOML file."
    ),
    "--policy cohort.toml --resume": (
        "--resume needs the secret of the interrupted run, which is forgotten unless it is in a "
        "file. Give --key FILE, or start again with --overwrite instead of --resume."
    ),
    "--only-new": (
        "--only-new leaves out what is done, and --manifest says what that is. Give --manifest "
        "FILE; it need not exist yet."
    ),
    "--manifest m.db": (
        "--manifest holds keyed hashes of the texts, and surrogates stay the same only by a key. "
        "Give --key FILE."
    ),
    "--manifest key --key key": "--manifest key is read by this command. Choose another name.",
    "--manifest m.db --audit-log m.db --key key": (
        "--audit-log and --manifest name one file. Give each its own."
    ),
    "--audit-log clean/audit.json": (
        "--audit-log clean/audit.json is inside --out clean, and that is written as a whole. Keep "
        "it elsewhere."
    ),
    "--policy safe-harbor --shift-by x": "--shift-by: found 'x'. Give one of days, weeks.",
}


@pytest.mark.parametrize("options", MESSAGES)
def test_what_contradicts_a_policy_is_refused(options: str, here: Path, model: Path) -> None:
    before = snapshot(here)
    arguments = (model, "notes", "--out", "clean", *options.split())
    assert refusal(run("redact", *arguments)) == MESSAGES[options]
    assert snapshot(here) == before


def test_a_policy_that_shifts_dates_is_no_safe_harbor(here: Path, model: Path) -> None:
    (here / "mine.toml").write_text(
        'base = "safe-harbor"\nname = "mine"\n[rules.date]\naction = "shift"\n'
    )
    message = refusal(run("redact", model, "notes", "--out", "clean", "--policy", "mine.toml"))
    assert message.startswith(
        "--policy mine.toml: rules.date: the standard safe-harbor does not allow the action 'shift'"
    )
    assert "Shifted dates are no Safe Harbor" in message


def test_dates_shifted_by_weeks_keep_their_weekdays(here: Path, silent: Path) -> None:
    (here / "notes" / "a.txt").write_text("seen 5/6/2024")
    (here / "dates.toml").write_text("[date]\nlabel = 'DATE'\npattern = '\\d+/\\d+/\\d{4}'\n")
    options = ("--with", "surrogate", "--shift-by", "weeks", "--best-path")
    patterns = ("--patterns", "dates.toml")
    assert run("redact", silent, "notes", "--out", "clean", *options, *patterns).code == 0
    written = (here / "clean" / "a.txt").read_text().removeprefix("seen ")
    shifted = datetime.strptime(written, "%m/%d/%Y")
    original = datetime(2024, 5, 6)
    assert shifted != original
    assert shifted.weekday() == original.weekday()


def by_patient(folder: Path) -> list[tuple[str, str]]:
    """Return the name and the date of each note of a folder."""
    texts = [path.read_text() for path in sorted(folder.glob("*.txt"))]
    return [(text.split()[1].rstrip(","), text.rpartition(" ")[2]) for text in texts]


KEYED = ("--with", "surrogate", "--key", "key", "--best-path", "--patterns", "two.toml")


@pytest.fixture
def patients(here: Path) -> Path:
    """A folder and a table with two notes of one patient, and one of another."""
    for path in (here / "notes").iterdir():
        path.unlink()
    (here / "two.toml").write_text(PATTERNS[: PATTERNS.index("[age]")])
    rows = [("7_a", "7"), ("7_b", "7"), ("8_a", "8")]
    for name, _ in rows:
        (here / "notes" / f"{name}.txt").write_text("Ms Ames, seen 5/6/2024")
    lines = [f'{name},{patient},"Ms Ames, seen 5/6/2024"' for name, patient in rows]
    (here / "notes.csv").write_text("\n".join(["doc_id,case,orig_text", *lines]) + "\n")
    return here


def test_all_documents_of_a_patient_share_surrogates_and_shift(
    patients: Path, silent: Path
) -> None:
    options = (*KEYED, "--patient-from", r"^(\d+)_")
    assert run("redact", silent, "notes", "--out", "clean", *options).code == 0
    first, second, other = by_patient(patients / "clean")
    assert first == second
    assert first[0] != other[0]
    assert first[1] != other[1]
    result = run("redact", silent, "notes.csv", "--out", "table", *KEYED, "--patient", "case")
    assert (result.code, result.err) == (0, "")
    texts = (patients / "table" / "notes.csv").read_text()
    assert texts.startswith('"doc_id","orig_text"\n')
    assert texts.count(first[0]) == texts.count(first[1]) == 2
    assert texts.count(other[0]) == texts.count(other[1]) == 1


def test_random_surrogates_differ_within_a_note(patients: Path, silent: Path) -> None:
    (patients / "notes" / "7_a.txt").write_text("Ms Ames, Ms Ames, Ms Ames")
    options = (*KEYED, "--surrogates", "random")
    assert run("redact", silent, "notes", "--out", "clean", *options).code == 0
    text = (patients / "clean" / "7_a.txt").read_text()
    assert len(set(text.split(", "))) == 3
    assert "Ames" not in text


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (
            ("notes", "--patient-from", r"^(\d+)-"),
            "notes: '7_a.txt': --patient-from looks for the patient in the document's id, and it",
        ),
        (("notes.csv", "--patient", "person"), "notes.csv: there is no column 'person'."),
        (
            ("empty.csv", "--patient", "case"),
            "empty.csv: row 2: the column of --patient is empty.",
        ),
        (
            ("two.csv", "--patient", "case"),
            "two.csv: row 2: another row of its document has another patient.",
        ),
        (
            ("plain.csv", "--patient-from", "."),
            "plain.csv: row 1: --patient-from looks for the patient in the document's id, and th",
        ),
    ],
)
def test_a_document_without_one_patient_is_refused_or_left_out(
    arguments: tuple[str, ...], problem: str, patients: Path, silent: Path
) -> None:
    (patients / "empty.csv").write_text("doc_id,case,orig_text\na,7,x\nb,,Ms Ames\n")
    (patients / "two.csv").write_text("doc_id,case,orig_text\na,7,x\na,8,Ms Ames\nb,8,x\n")
    (patients / "plain.csv").write_text("orig_text\nMs Ames\n")
    before = snapshot(patients)
    command = ("redact", silent, *arguments, "--out", "clean", *KEYED)
    assert refusal(run(*command)).startswith(problem)
    assert snapshot(patients) == before
    if arguments[0] != "plain.csv" and "person" not in arguments:
        result = run(*command, "--skip-bad")
        assert (result.code, "could not be read" in result.err) == (0, True)
        left_out = 3 if arguments[0] == "notes" else 1
        assert json.loads((patients / "clean" / "report.json").read_bytes())["left_out"] == left_out


def test_a_key_that_others_may_read_is_refused(here: Path, model: Path) -> None:
    (here / "key").chmod(0o644)
    for options in (("--with", "surrogate"), ("--policy", "safe-harbor"), ("--with", "mask")):
        message = refusal(run("redact", model, "notes", "--out", "clean", *options, "--key", "key"))
        assert message.startswith("key: found the mode 0644: others than the owner can read or wri")


MANIFEST = ("--key", "key", "--manifest", "m.db", "--only-new")


def test_next_month_only_what_is_new_or_changed_is_redacted(patients: Path, silent: Path) -> None:
    notes = patients / "notes"
    command = ("redact", silent, "notes", *KEYED, "--patient-from", r"^(\d+)_", *MANIFEST[2:])
    result = run(*command, "--out", "january")
    assert (result.code, result.err) == (0, "")
    assert "by the manifest: 3 done, 0 skipped, 0 failed" in result.out
    january = snapshot(patients / "january")
    (notes / "7_a.txt").write_text("Ms Ames and Ms Bond, seen 5/6/2024")
    (notes / "7_c.txt").write_text("Ms Ames")
    (notes / "9_a.txt").write_bytes(b"Ms \xff")
    result = run(*command, "--out", "february", "--skip-bad")
    assert "by the manifest: 2 done, 2 skipped, 1 failed" in result.out
    february = snapshot(patients / "february")
    assert {name for name in february if name.endswith(".txt")} == {"7_a.txt", "7_c.txt"}
    same = january["7_a.txt"].split()[1].rstrip(b",")
    assert february["7_c.txt"] == b"Ms " + same
    assert february["7_a.txt"].startswith(b"Ms " + same + b" and Ms ")
    report = json.loads(february["report.json"])
    assert report["statuses"] == {"done": 2, "skipped": 2, "failed": 1}
    (notes / "9_a.txt").write_bytes(b"Ms Cole")
    result = run(*command, "--out", "march")
    assert "by the manifest: 1 done, 4 skipped, 0 failed" in result.out
    result = run(*command, "--out", "april")
    assert "by the manifest: 0 done, 5 skipped, 0 failed" in result.out
    assert not list((patients / "april").glob("*.txt"))
    result = run(*command, "--out", "other", "--locale", "es_ES")
    assert result.err.startswith("m.db: the last run had other settings: all is done again\n")
    assert "by the manifest: 5 done, 0 skipped, 0 failed" in result.out


def test_an_interrupted_refresh_is_resumed_and_recorded_at_the_end(
    patients: Path, silent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("redact", silent, "notes.csv", *KEYED, "--chunk-size", 1, *MANIFEST[2:])
    add, chunks = ResumableOutput.add, 0

    def interrupt(self: ResumableOutput, chunk: Any, progress: Any) -> None:
        nonlocal chunks
        chunks += 1
        if chunks > 1:
            raise KeyboardInterrupt
        add(self, chunk, progress)

    with monkeypatch.context() as patch:
        patch.setattr(ResumableOutput, "add", interrupt)
        assert run(*command, "--out", "clean").code == 130
    assert not (patients / "m.db").exists()
    result = run(*command, "--out", "clean", "--resume")
    assert "by the manifest: 3 done, 0 skipped, 0 failed" in result.out
    assert (patients / "clean" / "notes.csv").read_text().count("\n") == 4
    assert "0 done, 3 skipped" in run(*command, "--out", "again").out


def test_a_kill_between_the_output_and_the_manifest_costs_no_document(
    patients: Path, silent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("redact", silent, "notes", *KEYED, *MANIFEST[2:])

    def killed(self: RedactionManifest) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RedactionManifest, "commit", killed)
        assert run(*command, "--out", "first").code == 130
    assert not (patients / "m.db").exists()
    result = run(*command, "--out", "second")
    assert "by the manifest: 3 done, 0 skipped, 0 failed" in result.out
    first, second = (snapshot(patients / name) for name in ("first", "second"))
    assert first == second


def test_the_audit_log_has_policy_counts_and_hashes_and_no_text(here: Path, silent: Path) -> None:
    options = ("--policy", "safe-harbor", "--audit-log", "audit.json", *ONLY_PATTERNS)
    assert run("redact", silent, "notes", "--out", "clean", *options).code == 0
    content = (here / "audit.json").read_bytes()
    assert b"Ames" not in content
    assert b"a.txt" not in content
    audit = AuditLog.model_validate_json(content)
    assert audit.policy == Policy.load("safe-harbor")
    assert audit.policy_sha256 == audit.policy.fingerprint
    assert (audit.documents, audit.texts, audit.replaced, audit.left_out) == (1, 1, 6, 0)
    assert audit.types == {
        "age": {"generalise": 1},
        "date": {"generalise": 2},
        "name": {"label": 1},
        "unknown": {"remove": 1},
        "zip": {"generalise": 1},
    }
    assert (audit.kept, audit.without_a_rule) == ({"COUNTRY": 1}, {"PET": 1})
    annotations = (here / "clean" / "annotations.jsonl").read_bytes()
    assert audit.annotations == hashlib.sha256(annotations).hexdigest()
    assert len(audit.model) == 64
    assert (audit.target, audit.certificate, audit.leaks, audit.statuses) == (None,) * 4
    refused = refusal(run("redact", silent, "notes", "--out", "other", *options))
    assert refused.startswith("audit.json exists already.")
    result = run("redact", silent, "-", "--out", "-", *options, "--overwrite", stdin=b"Ms Ames")
    assert result.code == 0
    streamed = AuditLog.model_validate_json((here / "audit.json").read_bytes())
    assert (streamed.annotations, streamed.replaced) == (None, 1)


def test_a_manifest_of_a_stream_is_refused(here: Path, model: Path) -> None:
    for arguments in (("notes.csv", "--out", "-"), ("-", "--out", "clean")):
        message = refusal(run("redact", model, *arguments, *MANIFEST, stdin=b"x"))
        assert message.startswith("--manifest is for files and folders: nobody can tell")
