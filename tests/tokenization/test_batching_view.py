from __future__ import annotations

import io
from typing import TYPE_CHECKING

from rich.console import Console

from annoseq.config import DataConfig
from annoseq.tokenization.batching import show_examples
from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqTokenizer
from tests.tokenization.tables import EVERYTHING, LETTERS, pairs_of, parsed

if TYPE_CHECKING:
    from annoseq.data.pairs import Pair

CODEC = Seq2SeqTokenizer.fit(parsed(LETTERS), task="annotate", config=EVERYTHING)


def shown(
    *pairs: Pair, tokenizer: Seq2SeqTokenizer = CODEC, width: int = 120, colors: bool = False
) -> str:
    file = io.StringIO()
    console = Console(
        file=file, width=width, force_terminal=colors, color_system="standard" if colors else None
    )
    show_examples(parsed(pairs, tokenizer.task), tokenizer, console=console)
    return file.getvalue()


def cells(output: str, column: int) -> str:
    """Return all of a column, its lines run together."""
    lines = [line.split("│") for line in output.splitlines() if line.startswith("│")]
    return "".join(line[column].strip() for line in lines)


def test_tokens_stand_apart_with_their_spaces_visible() -> None:
    output = shown(LETTERS[0])
    assert cells(output, 1) == "1"
    assert cells(output, 2) == "Dear ·Dr . ·Ames :"
    assert cells(output, 3) == "Dear ·Dr . {{NAME}} ·Ames {{/NAME}} :"


def test_white_space_is_visible() -> None:
    (pair,) = pairs_of(("a\tb\r\n", "a\tb\r\n"))
    assert cells(shown(pair), 2) == "<unk:a> <unk:⇥> <unk:b> ␍ ⏎"


def test_unknown_tokens_are_marked_and_named() -> None:
    (pair,) = pairs_of(("Dear Zoe", "Dear {{NAME}}Zoe{{/NAME}}"))
    output = shown(pair)
    assert cells(output, 2) == "Dear <unk:·Zoe>"
    assert cells(output, 3) == "Dear {{NAME}} <unk:·Zoe> {{/NAME}}"
    assert "\x1b[1;31m<unk:·Zoe>" in shown(pair, colors=True)


def test_the_pieces_of_a_word_are_joined() -> None:
    config = DataConfig(tokens="bpe", min_frequency=3)
    pieces = Seq2SeqTokenizer.fit(parsed(LETTERS), task="annotate", config=config)
    (pair,) = pairs_of(("Dr. Zoe, Call\n", "Dr. {{NAME}}Zoe{{/NAME}}, Call\n"))
    output = shown(pair, tokenizer=pieces, width=200)
    assert cells(output, 2) == "|D|r . ·|<0x5A>|o|e |, ·|C|a|l|l ⏎"
    assert cells(output, 3) == "|D|r . {{NAME}} ·|<0x5A>|o|e {{/NAME}} |, ·|C|a|l|l ⏎"


def test_a_long_token_is_folded_never_cut() -> None:
    word = "".join(chr(ord("a") + n % 26) for n in range(300))
    (pair,) = pairs_of((word, f"{{{{NAME}}}}{word}{{{{/NAME}}}}"))
    output = shown(pair, width=60)
    assert "…" not in output
    assert cells(output, 2) == f"<unk:{word}>"
    assert word in cells(output, 3)


def test_text_is_never_taken_for_styling() -> None:
    (pair,) = pairs_of(("[bold]x[/bold] :smile:", "[bold]x[/bold] :smile:"))
    seen = cells(shown(pair), 2).replace("<unk:", "").replace(">", "").replace(" ", "")
    assert seen == "[bold]x[/bold]·:smile:"


def test_all_rows_are_shown_with_their_numbers() -> None:
    assert cells(shown(*LETTERS), 1) == "12345"
