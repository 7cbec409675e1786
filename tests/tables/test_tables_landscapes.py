"""The tables of analytic functions and of capabilities say what their numbers say."""

import math

import pandas as pd
import pytest
from landscape_frames import capabilities, landscape_outcomes

from secondorder import tables
from secondorder.presentation import Context

CONTEXT = Context(labels={"sgd": "SGD", "adam": "Adam", "lbfgs": "L-BFGS"}, targets={}, confidence=0.95, exclusive=True)
NOTE = "Made with data that fails its published checksums."


def build(name, frame):
    return tables.load(name).build({"landscape_outcomes": frame, "capabilities": frame}, CONTEXT)


@pytest.mark.parametrize(
    ("name", "frame"), [("conditioning", landscape_outcomes()), ("capabilities", capabilities())], ids=str
)
def test_table_can_be_written_in_all_forms_and_changes_no_input(name, frame):
    given = frame.copy()
    table = build(name, given)
    assert table.markdown().count("\n") > len(table.rows) == 3
    assert table.latex().startswith(r"\begin{table}")
    pd.testing.assert_frame_equal(given, frame)


def test_misses_take_infinitely_long_and_refusals_have_no_number_but_a_reason():
    table = build("conditioning", landscape_outcomes())
    rows = table.rows.set_index("optimizer")
    assert rows.loc["sgd", ["valley", "steeper", "escape_near"]].tolist() == [40, 40, 9]
    assert rows.loc["adam", ["valley", "steeper", "escape_nearer"]].tolist() == [40, math.inf, math.inf]
    assert rows.loc["lbfgs"].isna().all()
    assert "Reasons: 1: lbfgs: cannot; use adam." in table.caption


def test_runs_and_functions_are_in_the_order_of_the_configuration():
    table = build("conditioning", landscape_outcomes().sample(frac=1, random_state=0).sort_values("kind"))
    assert table.rows["optimizer"].tolist() == ["sgd", "adam", "lbfgs"]


def test_capabilities_say_who_trains_who_could_and_who_cannot():
    table = build("capabilities", capabilities())
    assert table.rows["mnist_mlp"].tolist() == ["trained"] * 3
    assert table.rows["mnist_lenet5"].tolist() == ["trained", "possible: 31.2", "refused (1)"]
    assert "(1) module '0' is no linear layer; use adam." in table.caption


@pytest.mark.parametrize("verified", [True, False])
def test_note_on_unverified_data(verified):
    assert build("capabilities", capabilities(verified)).caption.endswith(NOTE) is not verified
