import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerege.ground.ids import canonical_json, digest, new_id

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_canonical_json_reads_back_as_the_same_value(value):
    try:
        raw = canonical_json(value)
    except UnicodeEncodeError:  # lone surrogates are not text
        return
    assert json.loads(raw) == value


def test_keys_are_sorted_by_utf16_code_units_as_rfc_8785_asks():
    assert canonical_json({"\U0001f600": 1, "\ufb33": 2}) == '{"\U0001f600":1,"\ufb33":2}'.encode()


def test_floats_are_refused_because_they_have_many_spellings():
    with pytest.raises(TypeError, match="floats"):
        canonical_json({"price": 1.5})


def test_the_digest_does_not_depend_on_key_order():
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})


def test_new_ids_do_not_repeat():
    assert len({new_id("case") for _ in range(1000)}) == 1000
