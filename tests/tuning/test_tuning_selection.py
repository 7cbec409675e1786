"""The best trial by validation is chosen, whatever the test split, the order or the diverged say."""

from dataclasses import replace

import pandas as pd
import pytest
import yaml

from secondorder.configuration.models import TunedFile
from secondorder.errors import ResultError
from secondorder.problems.metrics import ACCURACY
from secondorder.statistics.collection import CollectedRuns
from secondorder.training.specification import RunSpecification
from secondorder.tuning.search import Range, Search
from secondorder.tuning.selection import combine, mark_chosen, outcome
from secondorder.tuning.tuned_files import evidence_text, tuned_text

RANGES = {"learning_rate": Range(1e-3, 1.0)}


def search(*values, run="sgd", problem="mnist_mlp", ranges=RANGES):
    """A search with these values of its one setting."""
    (name,) = ranges
    specification = RunSpecification(
        problem=problem,
        problem_module="mnist_mlp",
        dataset="mnist_5k",
        run=run,
        optimizer="sgd",
        batch_size=32,
        unit_batch_size=32,
        budget_epochs=1,
        seeds=(1_000_000,),
    )
    return Search(specification, ranges, tuple({name: value} for value in values))


def trials(searched, *results):
    """Rows of trials with these accuracies and losses; None is a diverged one."""
    names = {"problem": searched.specification.problem, "run": searched.specification.run}
    rows = []
    for trial, (settings, result) in enumerate(zip(searched.trials, results, strict=True)):
        accuracy, loss = result or (None, None)
        values = {"status": "finished" if result else "diverged", "metric": "accuracy", "validation_metric": accuracy}
        rows.append({**names, "trial": trial, **settings, **values, "validation_loss": loss, "seconds": 1.5})
    return pd.DataFrame(rows)


MIDDLE = (0.01, 0.02, 0.03)
CHOICES = {
    "highest accuracy": ([(0.5, 1.0), (0.9, 2.0), (0.8, 0.1)], 1),
    "tie goes to the lowest loss": ([(0.9, 1.0), (0.9, 0.4), (0.9, 0.5)], 1),
    "tie of both goes to the first": ([(0.2, 0.1), (0.9, 0.4), (0.9, 0.4)], 1),
    "diverged is never chosen": ([None, (0.1, 9.0), None], 1),
    "an accuracy of nothing is one": ([None, None, (0.0, 9.0)], 2),
}


@pytest.mark.parametrize(("results", "expected"), CHOICES.values(), ids=CHOICES.keys())
def test_choice(results, expected):
    searched = search(*MIDDLE)
    marked = mark_chosen(trials(searched, *results), searched)
    assert marked["chosen"].tolist() == [trial == expected for trial in range(3)]
    assert marked["at_edge"].tolist() == ["", "", ""]


@pytest.mark.parametrize(("results", "expected"), CHOICES.values(), ids=CHOICES.keys())
def test_choice_does_not_depend_on_the_order_of_the_rows(results, expected):
    searched = search(*MIDDLE)
    marked = mark_chosen(trials(searched, *results).iloc[::-1], searched)
    assert marked[marked["chosen"]]["trial"].tolist() == [expected]


def test_lower_is_better_where_the_problem_says_so():
    searched = search(*MIDDLE)
    images = replace(searched, specification=replace(searched.specification, problem_module="mnist_autoencoder"))
    results = (9.0, 2.0), (8.0, 1.0), (8.5, 0.1)
    chosen = [mark_chosen(trials(one, *results), one)["chosen"].tolist() for one in (images, searched)]
    assert chosen == [[False, True, False], [True, False, False]]


def test_all_diverged_names_the_run_and_what_was_searched():
    searched = search(0.5, 1.0)
    with pytest.raises(ResultError) as caught:
        mark_chosen(trials(searched, None, None), searched)
    assert str(caught.value) == (
        "sgd on mnist_mlp: all 2 trials diverged with learning_rate from 0.001 to 1; give other ranges under "
        "runs.sgd.search"
    )


@pytest.mark.parametrize(("value", "edge"), [(0.00124, "learning_rate"), (0.03, ""), (0.95, "learning_rate")])
def test_edge_is_told_of_the_chosen_trial_alone(value, edge):
    searched = search(value, 0.001)
    marked = mark_chosen(trials(searched, (0.9, 0.1), (0.8, 0.1)), searched)
    assert marked["at_edge"].tolist() == [edge, ""]


def rows(scope, **values):
    """Rows of a metrics or timing file: values by metric, one per evaluation."""
    listed = [
        {"scope": scope, "evaluation": evaluation, "metric": metric, "value": value}
        for metric, series in values.items()
        for evaluation, value in enumerate(series)
    ]
    return pd.DataFrame(listed)


def collected(status="finished"):
    metrics = pd.concat(
        [
            rows("evaluation", validation_loss=[2.0, 0.5, 0.7], validation_accuracy=[0.1, 0.95, 0.9]),
            rows("final", test_accuracy=[0.99], test_loss=[0.0]),
        ]
    )
    timing = pd.concat([rows("evaluation", seconds=[0.0, 1.0, 2.5]), rows("step", seconds=[9.0])])
    return CollectedRuns(metrics, timing, pd.DataFrame({"seed": [1_000_000], "status": [status]}))


def test_outcome_is_that_of_the_end_of_the_budget():
    expected = {
        "status": "finished",
        "metric": "accuracy",
        "validation_metric": 0.9,
        "validation_loss": 0.7,
        "seconds": 2.5,
    }
    assert outcome(collected(), ACCURACY) == expected


def test_outcome_does_not_read_the_test_split():
    changed = collected()
    changed.metrics.loc[changed.metrics["scope"] == "final", "value"] = float("nan")
    assert outcome(changed, ACCURACY) == outcome(collected(), ACCURACY)


def test_outcome_of_a_diverged_trial_has_no_numbers():
    expected = {
        "status": "diverged",
        "metric": "accuracy",
        "validation_metric": None,
        "validation_loss": None,
        "seconds": 2.5,
    }
    assert outcome(collected("diverged"), ACCURACY) == expected


@pytest.fixture
def two_searches():
    searches = [search(0.3, 0.95), search(3, 40, run="lbfgs", ranges={"history": Range(1, 100, whole=True)})]
    results = [((0.8, 0.1), (0.9, 0.1)), (None, (0.7, 0.2))]
    tables = [mark_chosen(trials(one, *result), one) for one, result in zip(searches, results, strict=True)]
    return searches, combine(tables)


def test_searches_are_combined_with_a_column_per_setting(two_searches):
    _, table = two_searches
    names = ["problem", "run", "trial", "learning_rate", "history"]
    outcomes = ["status", "metric", "validation_metric", "validation_loss", "seconds", "chosen", "at_edge"]
    assert list(table.columns) == names + outcomes
    assert table["history"].isna().tolist() == [True, True, False, False]


def test_tuned_file_is_a_layer_of_configuration(two_searches):
    text = tuned_text("smoke", *two_searches)
    values = yaml.safe_load(text)
    read = TunedFile.model_validate(values).tuned["mnist_mlp"]
    assert text.startswith("# Generated by `snakemake tune` in the tier smoke")
    assert max(map(len, text.splitlines())) <= 120
    assert {run: entry.settings for run, entry in read.items()} == {
        "sgd": {"learning_rate": 0.95},
        "lbfgs": {"history": 40},
    }
    assert isinstance(read["lbfgs"].settings["history"], int)
    assert (read["sgd"].tier, read["sgd"].trials, read["sgd"].at_edge) == ("smoke", 2, ["learning_rate"])
    assert read["sgd"].search["learning_rate"].model_dump() == {"low": 0.001, "high": 1.0, "scale": "log"}


def test_tiny_values_are_read_back_as_numbers():
    searched = search(1.23e-7, ranges={"learning_rate": Range(1e-8, 1e-5)})
    text = tuned_text("smoke", [searched], combine([mark_chosen(trials(searched, (0.5, 1.0)), searched)]))
    read = TunedFile.model_validate(yaml.safe_load(text))
    assert read.tuned["mnist_mlp"]["sgd"].settings == {"learning_rate": 1.23e-7}


def test_evidence_holds_all_trials_and_nothing_that_a_second_call_does_not_repeat(two_searches):
    _, table = two_searches
    lines = evidence_text(table).splitlines()
    assert lines[0] == (
        "problem,run,trial,learning_rate,history,status,metric,validation_metric,validation_loss,chosen,at_edge"
    )
    assert lines[2] == "mnist_mlp,sgd,1,0.95,,finished,accuracy,0.9,0.1,True,learning_rate"
    assert lines[3] == "mnist_mlp,lbfgs,0,,3.0,diverged,accuracy,,,False,"
    assert evidence_text(table.assign(seconds=7.0)) == evidence_text(table)
