"""Static embeddings of sub-words, as Model2Vec and Sentence Transformers write them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from model2vec import StaticModel
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from annoseq.errors import VectorsError
from annoseq.vectors.init_embeddings import vectors_file_signature
from annoseq.vectors.lookup import VectorsRecord, open_token_vectors, open_vectors

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SUBWORDS = ["[UNK]", "madrid", "diabet", "##es", "##ic", ".", "don", "'", "t"]
MATRIX = np.arange(18, dtype=np.float16).reshape(9, 2)


def write_folder(
    folder: Path, tensors: dict[str, NDArray[Any]] | None = None, *, truncates: bool = False
) -> Path:
    """Write a tokenizer of `SUBWORDS`, and tensors, by default `MATRIX`."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {subword: number for number, subword in enumerate(SUBWORDS)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    if truncates:
        tokenizer.enable_truncation(1)
        tokenizer.enable_padding(length=4)
    tokenizer.save(str(folder / "tokenizer.json"))
    save_file(tensors or {"embeddings": MATRIX}, folder / "model.safetensors")
    return folder


def test_the_vector_of_a_word_is_the_mean_of_those_of_its_subwords(tmp_path: Path) -> None:
    vectors = open_vectors(write_folder(tmp_path))
    rows = vectors.look_up(["Madrid", "diabetes", "diabetic", "☃", "", "don't"])
    assert rows.origins == ["seen", "composed", "composed", "missing", "missing", "composed"]
    assert rows.matrix.tolist() == [[2, 3], [5, 6], [6, 7], [0, 0], [0, 0], [14, 15]]
    assert (vectors.path, vectors.width) == (tmp_path, 2)
    assert vectors.indexed() is vectors


def test_weights_and_rows_of_subwords(tmp_path: Path) -> None:
    mapping = np.array([0, 1, 0, 1, 0, 1, 0, 1, 0])
    weights = np.array([9, 0.5, 1, 3, 1, 1, 1, 1, 1], np.float32)
    folder = write_folder(
        tmp_path, {"embeddings": MATRIX[1:3], "mapping": mapping, "weights": weights}
    )
    rows = open_vectors(folder).look_up(["Madrid", "diabetes"])
    assert rows.matrix.tolist() == [[2, 2.5], [(2 + 3 * 4) / 2, (3 + 3 * 5) / 2]]


def test_quantised_values_of_8_bits(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, {"embeddings": MATRIX.astype(np.int8)})
    assert open_vectors(folder).look_up(["Madrid"]).matrix.tolist() == [[2, 3]]


@pytest.mark.parametrize("place", [".", "0_StaticEmbedding"])
def test_the_folders_of_sentence_transformers(place: str, tmp_path: Path) -> None:
    write_folder(tmp_path / place, {"embedding.weight": MATRIX.astype(np.float32)})
    assert open_vectors(tmp_path).look_up(["."]).matrix.tolist() == [[10, 11]]


def test_words_of_the_vocabulary_are_listed_without_parts_of_words(tmp_path: Path) -> None:
    vectors = open_vectors(write_folder(tmp_path))
    assert vectors.first_words(9) == ["madrid", "diabet", "don", "t"]
    assert vectors.first_words(1) == ["madrid"]


def test_truncation_and_padding_of_the_tokenizer_are_switched_off(tmp_path: Path) -> None:
    rows = open_vectors(write_folder(tmp_path, truncates=True)).look_up(["Madrid", "diabetes"])
    assert rows.origins == ["seen", "composed"]
    assert rows.matrix.tolist() == [[2, 3], [5, 6]]


def test_special_symbols_in_a_text_are_text(tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_special_tokens(["madrid"])
    tokenizer.save(str(folder / "tokenizer.json"))
    assert open_vectors(folder).look_up(["madrid."]).matrix.tolist() == [[6, 7]]


def test_unknown_subwords_of_sentencepiece_count_for_nothing(tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    vocabulary = [("<unk>", 0.0), ("\u2581madrid", -1.0), ("\u2581", -2.0)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, 0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.save(str(folder / "tokenizer.json"))
    rows = open_vectors(folder).look_up(["madrid", "\u2603"])
    assert rows.origins == ["seen", "composed"]  # of the mark of a space
    assert rows.matrix.tolist() == [[2, 3], [4, 5]]


def test_model2vec_composes_the_same_vectors(tmp_path: Path) -> None:
    generator = np.random.default_rng(42)
    embeddings = generator.normal(size=(len(SUBWORDS), 16)).astype(np.float32)
    weights = generator.random(len(SUBWORDS)).astype(np.float32)
    folder = write_folder(tmp_path, {"embeddings": embeddings, "weights": weights})
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    model = StaticModel(embeddings, tokenizer, weights=weights, normalize=True)
    words = ["Madrid", "diabetes", "don't", "diabetic.", "☃"]
    found = open_token_vectors(folder)
    found.add_tokens([f" {word}" for word in words])
    np.testing.assert_allclose(found.take(range(5))[:, :-1], model.encode(words), atol=1e-6)
    assert found.take(range(5))[:, -1].tolist() == [0, 0, 0, 0, 1]


def test_a_model_knows_the_folder_again(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "static")
    record = open_token_vectors(folder).record()
    assert (record.format, record.width, record.name) == ("static", 2, "static")
    read = VectorsRecord.model_validate_json(record.model_dump_json())
    assert read.open(None, model=tmp_path).columns == 3
    signature = vectors_file_signature(folder)
    os.utime(folder / "tokenizer.json", ns=(0, 0))
    assert vectors_file_signature(folder) != signature
    write_folder(folder, {"embeddings": MATRIX + 1})
    with pytest.raises(VectorsError, match="these are not the word vectors that"):
        read.open(folder, model=tmp_path)


@pytest.mark.parametrize(
    "name", ["bert.embeddings.word_embeddings.weight", "embeddings.tok_embeddings.weight"]
)
def test_word_embeddings_of_an_encoder_without_their_mean(name: str, tmp_path: Path) -> None:
    others = {"embeddings.position_embeddings.weight": MATRIX[:3].copy(), "pooler.bias": MATRIX[0]}
    vectors = open_vectors(write_folder(tmp_path, {name: MATRIX, **others}))
    rows = vectors.look_up(["Madrid", "diabetes"])
    assert rows.matrix.tolist() == [[2 - 8, 3 - 9], [5 - 8, 6 - 9]]


def test_a_folder_with_other_tensors(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, {"linear.weight": MATRIX})
    with pytest.raises(VectorsError) as error:
        open_vectors(folder)
    assert str(error.value) == (
        f"{folder / 'model.safetensors'}: found 1 tensor, but none of static embeddings "
        "(embeddings, embedding.weight) or of an encoder's word embeddings "
        "(word_embeddings.weight, tok_embeddings.weight). Give another folder; Model2Vec makes "
        "static embeddings of any encoder."
    )


def test_files_that_do_not_belong_together(tmp_path: Path) -> None:
    vectors = open_vectors(write_folder(tmp_path, {"embeddings": MATRIX[:5]}))
    with pytest.raises(VectorsError) as error:
        vectors.look_up(["Madrid"])
    assert str(error.value) == (
        f"{tmp_path / 'model.safetensors'}: found vectors of 5 sub-words, 5 in all, where the "
        "tokenizer beside it has 9. Give a folder whose files belong together."
    )


def test_damaged_files(tmp_path: Path) -> None:
    vectors = open_vectors(write_folder(tmp_path, {"embeddings": MATRIX * np.float16("nan")}))
    with pytest.raises(VectorsError, match="the file is damaged: no number or one above 1e"):
        vectors.look_up(["Madrid"])
    with pytest.raises(VectorsError, match=r"damaged: its matrix has the shape \[9\]"):
        open_vectors(write_folder(tmp_path, {"embeddings": MATRIX[:, 0].copy()}))
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(VectorsError, match="damaged: it is cut off, or has numbers of an unknown"):
        open_vectors(tmp_path)
    for content in (b"{}", b"\xff"):
        (tmp_path / "tokenizer.json").write_bytes(content)
        with pytest.raises(VectorsError, match="the file is damaged: it holds no tokenizer"):
            open_vectors(tmp_path)
