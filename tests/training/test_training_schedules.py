"""Schedules have the values of their formulas."""

import math

import pytest

from secondorder.training.schedules import Schedule

COSINE = {0.0: 1.0, 1 / 3: 0.75, 0.5: 0.5, 2 / 3: 0.25, 0.25: (2 + math.sqrt(2)) / 4, 1.0: 0.0, 1.2: 0.0}
STEP = {0.0: 1.0, 0.499: 1.0, 0.5: 0.1, 0.749: 0.1, 0.75: 0.01, 1.0: 0.01}


@pytest.mark.parametrize("spent", [0.0, 0.3, 1.0, 1.5])
def test_constant_is_one(spent):
    assert Schedule().factor(spent) == 1


@pytest.mark.parametrize(("spent", "factor"), COSINE.items())
def test_cosine_falls_from_one_to_zero_and_stays(spent, factor):
    assert Schedule("cosine").factor(spent) == pytest.approx(factor, abs=1e-15)


@pytest.mark.parametrize(("spent", "factor"), STEP.items())
def test_step_drops_at_its_milestones(spent, factor):
    assert Schedule("step").factor(spent) == pytest.approx(factor, rel=1e-12)


def test_step_takes_its_own_milestones_and_factor():
    schedule = Schedule("step", milestones=[0.2, 0.4, 0.6], gamma=0.5)
    assert [schedule.factor(spent) for spent in (0.1, 0.2, 0.5, 0.6, 1.0)] == [1, 0.5, 0.25, 0.125, 0.125]


def test_step_without_milestones_is_constant():
    assert Schedule("step", milestones=()).factor(1.0) == 1
