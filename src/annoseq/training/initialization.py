"""Initial weights: random, from word vectors, or from a trained model."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from annoseq.errors import DatasetError, OptionError
from annoseq.models.build import build_seq2seq, build_tagger
from annoseq.models.tagger import Tagger
from annoseq.tokenization.hash_features import FeatureHasher
from annoseq.tokenization.tagger_tokenizer import TaggerTokenizer
from annoseq.training.objectives import Seq2SeqObjective, TaggerObjective
from annoseq.vectors.init_embeddings import init_source_and_target
from annoseq.vectors.lookup import open_token_vectors

if TYPE_CHECKING:
    from pathlib import Path

    from annoseq.config import NetworkConfig, TaggerConfig, TrainingConfig
    from annoseq.models.interfaces import AnySeq2SeqNetwork
    from annoseq.models.serialization import TrainedModel
    from annoseq.tokenization.dataset import Dataset
    from annoseq.tokenization.gazetteer import LexiconFeatures
    from annoseq.tokenization.seq2seq_tokenizer import Seq2SeqTokenizer
    from annoseq.vectors.init_embeddings import InitialEmbeddings
    from annoseq.vectors.lookup import TokenVectors


class InitialModel(NamedTuple):
    """A network with its objective, tokenizer and final configuration, ready to be trained.

    `vectors` are the initial embeddings of the target vocabulary; of a tagger, the open file.
    """

    config: NetworkConfig
    tokenizer: Seq2SeqTokenizer | TaggerTokenizer
    objective: TaggerObjective | Seq2SeqObjective
    vectors: InitialEmbeddings | TokenVectors | None = None


def initialize_model(
    dataset: Dataset,
    network: NetworkConfig,
    training: TrainingConfig,
    *,
    base: TrainedModel | None,
    vectors: str | Path | None,
    lexicon_features: LexiconFeatures,
) -> InitialModel:
    """Build the model to train on a dataset, or copy a trained model.

    Raises:
        OptionError: options are not for this kind of network, or a lexicon or the patterns cannot
            be read.
        DatasetError: the data do not fit the trained model.
        VectorsError: the file of vectors cannot be read.
    """
    seed = training.seed
    if network.model == "tagger":
        tagger, tokenizer = initialize_tagger(
            dataset, network.tagger, base, lexicon_features, seed=seed, vectors=vectors
        )
        tagger_objective = TaggerObjective(tagger, dataset, tokenizer)
        tokenizer.feature_hasher.read_vectors()
        token_vectors = tokenizer.feature_hasher.vectors
        return InitialModel(network, tokenizer, tagger_objective, token_vectors)
    if lexicon_features:
        raise OptionError(
            f"--lexicon and --patterns are for the tagger, and the model is {network.model}. Leave "
            "them off, or use --model tagger."
        )
    embeddings: InitialEmbeddings | None = None
    if base is not None:
        seq2seq_network = copy_network(base, dataset.tokenizer)
    elif vectors is not None:
        network, seq2seq_network, embeddings = initialize_from_vectors(
            network, dataset, vectors, seed=seed
        )
    else:
        seq2seq_network = build_seq2seq(network, dataset.tokenizer, seed=seed)
    objective = Seq2SeqObjective(
        seq2seq_network,
        training,
        train_rows=dataset.encoded_train.encodings,
        valid_rows=dataset.encoded_valid.encodings,
    )
    return InitialModel(network, dataset.tokenizer, objective, embeddings)


def copy_network(base: TrainedModel, tokenizer: Seq2SeqTokenizer) -> AnySeq2SeqNetwork:
    """Copy the network of a trained model.

    Raises:
        DatasetError: the data have other vocabularies than the model.
    """
    assert not isinstance(base.network, Tagger)
    if base.tokenizer.signature() != tokenizer.signature():
        raise DatasetError(
            "the data were prepared with other vocabularies than the model's. "
            "Give the table of pairs, so that it is prepared with the model's own."
        )
    return deepcopy(base.network)


def initialize_tagger(
    dataset: Dataset,
    config: TaggerConfig,
    base: TrainedModel | None,
    lexicon_features: LexiconFeatures,
    *,
    seed: int,
    vectors: str | Path | None = None,
) -> tuple[Tagger, TaggerTokenizer]:
    """Build a tagger for a dataset, or copy that of a trained model, which has its vectors.

    Raises:
        OptionError: lexicons or patterns cannot be read, or are given with a trained model.
        VectorsError: the file of vectors cannot be read.
    """
    if base is None:
        tokenizer = TaggerTokenizer.fit(
            dataset.train,
            buckets=config.buckets,
            lexicon_features=lexicon_features,
            vectors=None if vectors is None else open_token_vectors(vectors),
        )
        return build_tagger(config, tokenizer, seed=seed), tokenizer
    if lexicon_features:
        raise OptionError(
            "--lexicon and --patterns were settled when the model was first trained. Leave them "
            "off, or train a new model."
        )
    assert isinstance(base.tokenizer, TaggerTokenizer)
    # A hasher of its own: an annotator of the base model may clear that one.
    opened = base.tokenizer.feature_hasher.vectors
    feature_hasher = FeatureHasher(
        buckets=config.buckets, vectors=None if opened is None else opened.empty_copy()
    )
    tokenizer = replace(base.tokenizer, feature_hasher=feature_hasher)
    network = build_tagger(config, tokenizer, seed=seed)
    network.load_state_dict(base.network.state_dict())
    return network, tokenizer


def initialize_from_vectors(
    config: NetworkConfig, dataset: Dataset, path: str | Path, *, seed: int
) -> tuple[NetworkConfig, AnySeq2SeqNetwork, InitialEmbeddings]:
    """Build a network whose embeddings are as wide as the vectors of a file, and filled with them.

    Returns its configuration, the network, and the embeddings of the target vocabulary. One factor
    scales the vectors of both sides to a mean norm of 1: the output layer shares the weights, and
    larger ones would begin with extreme logits.

    Raises:
        VectorsError: the file cannot be read.
        OptionError: another width was asked for, or the network cannot have that of the vectors.
    """
    source, target = init_source_and_target(
        dataset.tokenizer, path, seed=seed, cache=dataset.folder
    )
    config = config.with_embedding(target.matrix.shape[1])
    network = build_seq2seq(config, dataset.tokenizer, seed=seed)
    length = float(np.linalg.norm(target.matrix, axis=1).mean())
    with torch.no_grad():
        if network.source.copies is None:
            network.source.table.weight.copy_(torch.from_numpy(source.matrix / length))
        network.target.embedding.weight.copy_(torch.from_numpy(target.matrix / length))
    return config, network, target
