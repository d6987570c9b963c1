"""Options of teachers, and the unlabelled texts that they name."""

from __future__ import annotations

from pathlib import Path

import pytest

from annoseq.cli.teacher_options import TeacherOptions
from annoseq.config import ColumnsConfig
from annoseq.errors import MissingColumnError, OptionError

PAIRS = Path("pairs.csv")
TEXTS = 'text,note\nDr. Moss saw Mr. Finch.,a\n" ",b\nSeen by Dr. Moss.,c\n'


def read(path: Path, column: str | None = None, *, source: str = "orig_text") -> tuple[str, ...]:
    """Return the unlabelled texts of a training with a teacher."""
    options = TeacherOptions(teacher=(Path("teacher"),), unlabelled=path, unlabelled_column=column)
    options.check(PAIRS)
    found = options.make_distillation(ColumnsConfig(source=source), cache=Path("cache"))
    assert found is not None
    return found.unlabelled


def test_unlabelled_texts_have_a_column_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "u.csv"
    path.write_text(TEXTS)
    texts = ("Dr. Moss saw Mr. Finch.", "Seen by Dr. Moss.")
    assert read(path, "text") == read(path, source="text") == texts
    told = "unlabelled: 3 texts given, 2 read; 1 is blank\n"
    assert capsys.readouterr().err == told * 2
    assert read(path, "note") == ("a", "b", "c")
    assert capsys.readouterr().err == ""
    with pytest.raises(MissingColumnError) as caught:
        read(path)
    assert str(caught.value) == (
        f"{path}: there is no column 'orig_text'. Its columns are 'text', 'note'. Name one of "
        "these. --unlabelled-column names it."
    )


def test_texts_that_are_all_blank_teach_nothing(tmp_path: Path) -> None:
    path = tmp_path / "u.txt"
    path.write_text(" \n")
    with pytest.raises(OptionError) as caught:
        read(path)
    assert str(caught.value) == (
        f"--unlabelled {path}: 1 text given, and none that is not blank. Give texts, or leave "
        "--unlabelled off."
    )


def test_a_column_is_that_of_a_table(tmp_path: Path) -> None:
    for path in (None, tmp_path, tmp_path / "u.txt"):
        options = TeacherOptions(teacher=(tmp_path,), unlabelled=path, unlabelled_column="text")
        with pytest.raises(OptionError) as caught:
            options.check(PAIRS)
        assert str(caught.value) == (
            "--unlabelled-column is for a table of --unlabelled. Name one, or leave "
            "--unlabelled-column off."
        )
    with pytest.raises(OptionError, match=r"--unlabelled-column belongs to --teacher\. Give one"):
        TeacherOptions(unlabelled_column="text").check(PAIRS)


def test_a_file_of_an_unknown_kind_is_refused_with_advice_that_train_takes(tmp_path: Path) -> None:
    path = tmp_path / "x.weird"
    path.write_text("Dr. Moss")
    with pytest.raises(OptionError) as caught:
        TeacherOptions(teacher=(tmp_path,), unlabelled=path).check(PAIRS)
    assert str(caught.value).startswith(f"{path}: the suffix '.weird' stands for no known")
    assert str(caught.value).endswith(" If it is one whole text, give it a name that ends in .txt.")
