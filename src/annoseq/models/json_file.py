"""The JSON files of a model folder that say what was measured."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from annoseq.errors import ModelError

Kind = TypeVar("Kind", bound=BaseModel)


def read_json_file(kind: type[Kind], content: str, *, name: str) -> Kind:
    """Read what a file of a model folder holds; `name` is the file's.

    Raises:
        ModelError: the content is not of this version.
    """
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, fault["loc"])) or "the whole file"
        raise ModelError(
            f"{name} is damaged or of another version ({where}: {fault['msg']}). "
            "Use the version that wrote it, or train again."
        ) from error
