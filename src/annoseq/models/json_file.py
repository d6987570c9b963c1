"""The JSON files of a model folder that say what was measured."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from annoseq.errors import ModelError, describe_fault

Kind = TypeVar("Kind", bound=BaseModel)


def read_json_file(kind: type[Kind], content: str, *, name: str) -> Kind:
    """Read what a file of a model folder holds; `name` is the file's.

    Raises:
        ModelError: the content is not of this version.
    """
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        raise ModelError(
            f"{name} is damaged or of another version ({describe_fault(error)}). "
            "Use the version that wrote it, or train again."
        ) from error
