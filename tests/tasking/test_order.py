"""The table of states and what an order may ask."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasking.errors import IllegalTransitionError, InvalidOrderError
from tasking.order import (
    ATTEMPT_TRANSITIONS,
    FILTER_PROPERTIES,
    FINAL,
    MAX_FILTER_DEPTH,
    TRANSITIONS,
    AttemptStatus,
    Constraints,
    OrderStatus,
    check_transition,
)

STATES = st.sampled_from(OrderStatus)


def test_every_state_has_its_line_in_the_tables():
    assert set(TRANSITIONS) == set(OrderStatus)
    assert set(ATTEMPT_TRANSITIONS) == set(AttemptStatus)


def test_final_states_are_those_of_stapi():
    """STAPI v0.1.0, order statuses: what ends an order; user_cancelled is our extension."""
    assert FINAL == {"rejected", "completed", "failed", "expired", "cancelled", "user_cancelled"}


def test_every_state_can_be_reached_and_can_end():
    reached, edge = {OrderStatus.RECEIVED}, [OrderStatus.RECEIVED]
    while edge:
        for state in TRANSITIONS[edge.pop()] - reached:
            reached.add(state)
            edge.append(state)
    assert reached == set(OrderStatus)
    assert all(TRANSITIONS[state] & FINAL for state in set(OrderStatus) - FINAL)


@given(STATES, STATES)
def test_a_change_passes_exactly_when_the_table_lists_it(before, after):
    if after in TRANSITIONS[before]:
        check_transition(before, after)
    else:
        with pytest.raises(IllegalTransitionError, match=f"{before} cannot become {after}"):
            check_transition(before, after)


def test_a_filter_is_judged_on_an_opportunity():
    constraints = Constraints(filter={"op": "<", "args": [{"property": "view:off_nadir"}, 20]})
    assert constraints.matches(dict(FILTER_PROPERTIES))
    assert not constraints.matches({**FILTER_PROPERTIES, "view:off_nadir": 25.0})
    assert Constraints().matches({})


def _nested(depth: int) -> dict:
    node = {"op": "=", "args": [{"property": "gsd"}, 1]}
    for _ in range(depth):
        node = {"op": "not", "args": [node]}
    return node


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"op": "<", "args": [{"property": "cloud"}, 1]}, "unknown property 'cloud'"),
        ({"op": "nonsense"}, "filter:"),
        ({}, "filter:"),
        ({"op": "my_function", "args": [{"property": "gsd"}]}, "filter:"),
        (_nested(MAX_FILTER_DEPTH), "nested more than"),
        (_nested(100_000), "nested more than"),
    ],
)
def test_a_filter_that_cannot_be_judged_is_refused(wrong, reason):
    with pytest.raises(InvalidOrderError, match=reason):
        Constraints(filter=wrong)


@pytest.mark.parametrize("share", [-1.0, 100.1, float("nan"), float("inf")])
def test_cloud_cover_is_a_percentage(share):
    with pytest.raises(InvalidOrderError, match="no percentage"):
        Constraints(max_cloud_cover_pct=share)
