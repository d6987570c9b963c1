from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from annoseq.deid.propagation import PropagatedValue, PropagatedValues, tokenize
from annoseq.review.occurrences import StringOccurrences

texts = st.text("aA1é'\u0301- \n\u00a0", max_size=30)


@given(texts, texts)
@example("a a a", "a a")
@example("aa a", "a")
@example("e\u0301 e", "e")
def test_the_search_is_that_of_all_tokens_of_the_text(text: str, string: str) -> None:
    tokens = tuple(token.text for token in tokenize(string))
    if not tokens:
        return
    value = PropagatedValues([PropagatedValue(tokens, "", is_exact=True)])
    expected = [(place.start, place.end) for place in value.find(text)]
    assert list(StringOccurrences(tokens).find(text)) == expected
