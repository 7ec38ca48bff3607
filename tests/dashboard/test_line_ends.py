"""Names at the ends of lines: apart from each other, and as near to their lines as that allows."""

import altair as alt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.charts import line_ends

places_strategy = st.lists(st.floats(0, 1, allow_subnormal=False), min_size=1, max_size=6).map(sorted)


@given(places_strategy, st.floats(0, 0.15))
def test_names_stand_apart_inside_the_picture(places, gap):
    found = line_ends.apart(places, gap, 0.0, 1.0)
    assert (np.diff(found) >= gap - 1e-9).all()
    assert found.min() >= 0
    assert found.max() <= 1 + 1e-9


@given(places_strategy, st.floats(0, 0.15), st.integers(0, 2**32 - 1))
def test_no_other_places_that_are_apart_lie_nearer_to_the_lines(places, gap, seed):
    found = line_ends.apart(places, gap, 0.0, 1.0)
    rng = np.random.default_rng(seed)
    for _ in range(20):
        other = np.sort(found + rng.normal(0, 0.05, len(found)))
        if (np.diff(other) >= gap).all() and other.min() >= 0 and other.max() <= 1:
            assert ((found - places) ** 2).sum() <= ((other - places) ** 2).sum() + 1e-9


@pytest.mark.parametrize("log", [False, True])
def test_each_line_has_its_name_once_where_it_ends(log):
    table = pd.DataFrame(
        {"who": ["a", "a", "b", "b", "c"], "x": [2.0, 1.0, 1.0, 2.0, 1.0], "y": [9.0, 1, 2, np.nan, 0]}
    )
    named = line_ends.with_names(table, "x", "y", "who", height=300, log=log)
    rows = named[named[line_ends.AT].notna()].set_index("who")
    assert rows.loc["a", "x"] == 2
    assert rows.loc["b", "x"] == 1  # what is no number is no end
    assert ("c" in rows.index) != log  # a logarithmic axis has no zero
    np.testing.assert_allclose(rows[line_ends.AT], rows["y"])


def test_a_table_without_numbers_has_no_names():
    for table in (pd.DataFrame({"who": [], "x": [], "y": []}), pd.DataFrame({"who": ["a"], "x": [1.0], "y": [np.nan]})):
        assert line_ends.with_names(table, "x", "y", "who", height=300)[line_ends.AT].isna().all()


def test_the_axis_keeps_what_it_had_and_leaves_room():
    for x in (alt.X("x:Q").scale(domain=[0, 9]), alt.X("x:Q", scale=alt.Scale(domain=[0, 9]))):
        scale = line_ends.room(x, ["a longer name"])["scale"]
        assert scale["domain"] == [0, 9]
        assert "width" in scale["range"][1]["expr"]
    assert "width" in line_ends.room(alt.X("x:Q"), [])["scale"]["range"][1]["expr"]
