from __future__ import annotations

import pytest

from annoseq import errors
from annoseq.errors import AnnoseqError

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_is_in_the_tree_and_in_its_drawing(kind: type) -> None:
    assert issubclass(kind, AnnoseqError)
    assert errors.__doc__ is not None
    assert kind.__name__ in errors.__doc__
