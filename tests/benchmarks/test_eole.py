"""Everything around eole, with a fake in its place: files in, outputs read, times kept, scores."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path

import pytest

from annoseq.config import DataConfig, GruConfig
from annoseq.data.pairs import Pair, Pairs, write_pairs
from annoseq.errors import OptionError
from annoseq.evaluation.span_matching import SpanScore
from annoseq.sample import sample_pairs
from benchmarks import eole_peer
from benchmarks.eole import main, parse_arguments
from benchmarks.eole_data import (
    evaluate_outputs,
    from_eole_tokens,
    select_short,
    tags_of,
    to_eole_tokens,
)
from benchmarks.eole_systems import FIGURES, OURS, eole_config

pytestmark = pytest.mark.e2e

PYTHON = Path(sys.executable)
ODD = [
    ("Dr. Ames, 31yo", "Dr. {{NAME}}Ames{{/NAME}}, {{AGE}}31{{/AGE}}yo"),
    (" a  b\t\u00a0c\r\u2028d\x1c\x85", " a  b\t\u00a0{{NAME}}c{{/NAME}}\r\u2028d\x1c\x85"),
    ("▁ 100% %41; ▁", "▁ {{AGE}}100{{/AGE}}% %41; ▁"),
    ("{{NAME}} <unk> <s> ｟x｠￨", "{{\\NAME}} <unk> <s> ｟x｠￨"),
    ("日本 e\u0301 😀 0", "{{NAME}}日本{{/NAME}} e\u0301 😀 0"),
]

FAKE_MAIN = """
import json, pathlib, sys, time
config = json.loads(pathlib.Path(sys.argv[sys.argv.index("--config") + 1]).read_text())
training = config["training"]
print("importing", flush=True)
sum(range(1_000_000))
print("Start training loop without validation...", flush=True)
step, saved = 0, training["save_checkpoint_steps"]
while step < training["train_steps"]:
    step += 1
    began = time.process_time()
    while time.process_time() - began < 0.005:
        pass
    print(f"Step {step:2d}/{training['train_steps']:5d}; acc: 1.0; sents:  7; bsz:   90/ 100/ 7; "
          "1/ 1 tok/s;", flush=True)
    if step % saved == 0 or step == training["train_steps"]:
        folder = pathlib.Path(training["model_path"]) / f"step_{step}"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
"""
FAKE_ENGINE = """
import pathlib
class InferenceEnginePY:
    def __init__(self, config):
        self.config = config
    def infer_file(self):
        text = pathlib.Path(self.config["src"]).read_bytes()
        pathlib.Path(self.config["output"]).write_bytes(text)
"""


def pairs_of(*rows: tuple[str, str]) -> Pairs:
    return Pairs([Pair(*row, number) for number, row in enumerate(rows, 1)], name="rows")


@pytest.fixture
def fake_eole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put an eole in the way of every Python that is started: it copies what it reads."""
    folder = tmp_path / "fake"
    files = {
        "torch.py": "def set_num_threads(count): assert count == 1",
        "eole/__init__.py": "",
        "eole/bin/__init__.py": "",
        "eole/bin/main.py": FAKE_MAIN,
        "eole/config/__init__.py": "",
        "eole/config/run.py": "PredictConfig = dict",
        "eole/inference_engine.py": FAKE_ENGINE,
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return folder


@pytest.fixture
def environment(tmp_path: Path, fake_eole: Path) -> Path:
    """Return an environment that is complete, with this Python in it."""
    folder = tmp_path / "environment"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(PYTHON)
    (folder / "complete.txt").write_text("eole", encoding="utf-8")
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "meddocan"
    folder.mkdir()
    for seed, name in enumerate(("train.csv", "dev.csv")):
        write_pairs(sample_pairs(60, seed=seed), folder / name, overwrite=False)
    return folder


@pytest.mark.parametrize("pair", ODD)
def test_a_target_spelled_and_joined_is_the_target(pair: tuple[str, str]) -> None:
    pairs = pairs_of(pair)
    tokens = to_eole_tokens(pairs)
    written = "".join(tokens.source[0] + tokens.target[0])
    assert not any(character.isspace() for character in written)
    assert from_eole_tokens(tokens.target[0], tags=tags_of(pairs)) == pair[1]
    assert "".join(map(eole_peer.read_token, tokens.source[0])) == pair[0]


def test_rows_survive_their_files(tmp_path: Path) -> None:
    pairs = pairs_of(*ODD)
    tokens, tags = to_eole_tokens(pairs), tags_of(pairs)
    path = tmp_path / "rows.txt"
    eole_peer.write_lines(path, tokens.target)
    assert path.read_bytes().count(b"\n") == len(ODD)
    read = eole_peer.read_lines(path)
    assert [from_eole_tokens(row, tags=tags) for row in read] == [target for _, target in ODD]


def test_an_empty_output_is_a_row_without_tokens(tmp_path: Path) -> None:
    path = tmp_path / "rows.txt"
    path.write_bytes(b"a b\n\nc\n")
    assert eole_peer.read_lines(path) == [["a", "b"], [], ["c"]]
    path.write_bytes(b"a\n\n")
    assert eole_peer.read_lines(path) == [["a"], []]


def test_the_vocabulary_is_every_word_with_its_count(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    assert eole_peer.write_vocabulary(path, [["a", "▁b", "a"], ["{{X}}"]]) == 3
    assert path.read_text(encoding="utf-8") == "a\t2\n▁b\t1\n{{X}}\t1\n"


def test_what_is_counted_in_outputs() -> None:
    pairs = pairs_of(*[("Dr. Ames", "Dr. {{NAME}}Ames{{/NAME}}")] * 5)
    outputs = [
        "Dr. {{NAME}}Ames{{/NAME}}",
        "Dr. Ames",
        "Dr. {{NAME}}Anes{{/NAME}}",
        "Dr. {{NAME}}Ames",
        "<unk>. {{NAME}}Ames{{/NAME}}",
    ]
    quality = evaluate_outputs(outputs, pairs)
    assert (quality.rows, quality.unchanged, quality.malformed, quality.exact) == (5, 3, 1, 1)
    # A changed text's span counts where it lies: the third by luck, the fifth not.
    assert quality.spans == SpanScore(predicted=3, gold=5, correct=2)


def test_lines_are_the_first_that_are_short_enough() -> None:
    pairs = pairs_of(("", ""), ("a b c", "a b c"), ("a", "a"), ("a b", "a b"), ("b", "b"))
    chosen = select_short(pairs, max_tokens=2, first=2)
    assert [pair.source for pair in chosen] == ["a", "a b"]
    with pytest.raises(OptionError, match=r"no dev row has 1 to 2 tokens. Raise --max-tokens."):
        select_short(pairs[:2], max_tokens=2, first=2)


def test_target_tokens_are_words_tags_and_ends() -> None:
    tokens = to_eole_tokens(pairs_of(*ODD[:1], ("a b", "a b")))
    assert (tokens.count(), tokens.count([1])) == (12 + 3, 3)


def configured(folder: Path, steps: int) -> dict[str, object]:
    tokens = to_eole_tokens(pairs_of(*ODD))
    return eole_config(folder, tokens=tokens, steps=steps, seed=1, learning_rate=1e-3, batch=64)


def test_the_configuration_names_its_files(tmp_path: Path) -> None:
    config = configured(tmp_path, 100)
    words = Path(str(config["src_vocab"])).read_text(encoding="utf-8").splitlines()
    assert "{{NAME}}\t3" in words
    assert config["src_vocab_size"] == len(words) + 16
    assert len((tmp_path / "train.target").read_bytes().splitlines()) >= len(ODD)


def test_training_that_ends_by_itself_is_summed_up(tmp_path: Path, fake_eole: Path) -> None:
    done = eole_peer.train(PYTHON, configured(tmp_path, 60), tmp_path, seconds=60, core=None)
    assert (done.steps, done.tokens) == (60, 6_000)
    assert done.model == tmp_path / "model" / "step_60"
    assert done.seconds < 3
    eole_peer.save_training(done, tmp_path)
    assert eole_peer.load_training(tmp_path) == done


def test_training_is_stopped_in_time_and_keeps_the_newest_checkpoint(
    tmp_path: Path, fake_eole: Path
) -> None:
    core = max(os.sched_getaffinity(0)) if sys.platform == "linux" else None
    done = eole_peer.train(PYTHON, configured(tmp_path, 500), tmp_path, seconds=0.5, core=core)
    assert 0.5 <= done.seconds < 1.5
    assert 25 <= done.steps < 200
    assert done.model == tmp_path / "model" / f"step_{done.steps // 25 * 25}"
    assert done.steps_per_second == done.steps / done.seconds


def test_a_checkpoint_without_its_last_file_does_not_count(tmp_path: Path) -> None:
    assert eole_peer.newest_checkpoint(tmp_path) is None
    for step in (5, 25, 100):
        (tmp_path / f"step_{step}").mkdir()
    (tmp_path / "step_5" / "config.json").write_text("{}")
    (tmp_path / "step_25" / "config.json").write_text("{}")
    assert eole_peer.newest_checkpoint(tmp_path) == tmp_path / "step_25"
    assert eole_peer.load_training(tmp_path) is None


def test_a_failing_eole_is_said_with_its_log(tmp_path: Path, fake_eole: Path) -> None:
    (fake_eole / "eole" / "bin" / "main.py").write_text("raise SystemExit(3)")
    with pytest.raises(eole_peer.PeerError, match=r"exit code 3: see .*train\.log\.$"):
        eole_peer.train(PYTHON, configured(tmp_path, 5), tmp_path, seconds=1, core=None)
    (fake_eole / "eole" / "inference_engine.py").write_text("raise SystemExit(3)")
    with pytest.raises(eole_peer.PeerError, match=r"decoding failed: see .*predict\.log\.$"):
        eole_peer.decode(PYTHON, {"model_path": "x"}, tmp_path, core=None)
    with pytest.raises(eole_peer.PeerError, match="no checkpoint within the time"):
        eole_peer.decode(PYTHON, {"model_path": ""}, tmp_path, core=None)


def test_processor_time_is_that_of_a_process() -> None:
    before, own = eole_peer.processor_time(os.getpid()), time.process_time()
    assert before is not None
    while time.process_time() - own < 0.2:
        pass
    after = eole_peer.processor_time(os.getpid())
    assert after is not None
    assert after - before == pytest.approx(0.2, abs=0.15)
    assert eole_peer.processor_time(2**22 + 1) is None


def test_an_environment_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(eole_peer.PeerError, match=r"-m venv .*failed: "):
        eole_peer.install(tmp_path / "file" / "environment")
    with pytest.raises(eole_peer.PeerError, match=r"is no virtual environment\. Name another"):
        eole_peer.install(tmp_path)
    with pytest.raises(eole_peer.PeerError, match="nowhere cannot be run: No such file"):
        eole_peer.run([str(tmp_path / "nowhere")])


def test_the_environment_is_outside_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert parse_arguments([]).environment == Path("/caches/annoseq/eole-0.6.0")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert parse_arguments([]).environment == Path.home() / ".cache" / "annoseq" / "eole-0.6.0"


def test_both_sides_run_and_are_reported(
    data: Path,
    environment: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    small = GruConfig(embedding=8, hidden=8, layers=1)
    monkeypatch.setattr("benchmarks.eole_systems.DATA", DataConfig())
    monkeypatch.setitem(OURS, "model", small)
    monkeypatch.setattr("benchmarks.budget.PROBE_STEPS", 2)
    given = ["--data", str(data), "--environment", str(environment), "--lines", "5"]
    out = tmp_path / "report.md"
    assert main([*given, "--minutes", "0.008", "--out", str(out)]) == 0
    text = out.read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| ([^|]+) \| (.+) \|$", text, re.MULTILINE))
    assert rows["figure"] == "eole | annoseq, free | annoseq, constrained"
    assert set(FIGURES) <= rows.keys()
    # The fake copies its source: no text is changed, and no span is found.
    assert [rows["text unchanged"].split(" | ")[at] for at in (0, 2)] == ["100.0%", "100.0%"]
    assert rows["span F1"].startswith("0.000 | ")
    for fact in ("train rows: 60", "dev lines: the first 5 of 60", "seed: 42", "command: `python"):
        assert f"\n- {fact}" in text
    assert capsys.readouterr().out.strip() in text


def test_a_model_that_is_kept_is_used_again_and_not_reported(
    data: Path, environment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, kept = tmp_path / "report.md", tmp_path / "kept"
    given = ["--data", str(data), "--environment", str(environment), "--only", "eole"]
    given += ["--minutes", "0.008", "--out", str(out), "--reuse", str(kept)]
    assert main(given) == 0
    first = (kept / "training.json").read_text(encoding="utf-8")
    assert main(given) == 0
    assert (kept / "training.json").read_text(encoding="utf-8") == first
    assert json.loads(first)["steps"] > 0
    assert not out.exists()
    assert "| text unchanged | 100.0% |" in capsys.readouterr().out


def test_what_is_missing_is_said_in_a_line(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", str(tmp_path / "nowhere")]) == 2
    missing = f"error: {tmp_path / 'nowhere'}: there is no train.csv"
    assert capsys.readouterr().err.startswith(missing)
    (tmp_path / "file").write_text("in the way")
    blocked = str(tmp_path / "file" / "environment")
    assert main(["--data", str(data), "--environment", blocked]) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert re.match(r"error: .* failed: ", message)


@pytest.mark.parametrize("name", ["--minutes", "--lines", "--max-tokens", "--rows"])
def test_a_number_must_be_above_0(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([name, "0"])
    assert stop.value.code == 2
    assert "a number above 0 was expected" in capsys.readouterr().err


def test_a_core_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--core", "9999"])
    assert stop.value.code == 2
    assert "--core 9999: one of [" in capsys.readouterr().err
