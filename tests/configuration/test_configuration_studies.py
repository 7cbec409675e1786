"""What the configuration says of studies: runs that each change one thing of another run."""

from pathlib import Path

import pytest

from secondorder.configuration.contexts import context_of
from secondorder.configuration.loading import load_configuration
from secondorder.configuration.resolution import run_specification, runs_of, studies_of
from secondorder.configuration.searching import searched_runs
from secondorder.errors import ConfigurationError

CONFIG = Path(__file__).resolve().parents[2] / "config"
STUDY = {
    "label": "Damping",
    "varies": "exact_joint_hessian",
    "runs": {"undamped": {"label": "Undamped", "settings": {"damping": 1e-9}}, "small_batches": {"batch_size": 8}},
}
PROBLEMS = {"mnist_mlp": {"studies": ["damping"]}}


def loaded(**overrides):
    return load_configuration({"studies": {"damping": STUDY}, "problems": PROBLEMS, **overrides}, CONFIG)


def test_problem_trains_the_runs_of_the_studies_it_lists_after_its_own():
    configuration = loaded()
    assert runs_of(configuration, "mnist_mlp") == [*configuration.runs, "undamped", "small_batches"]
    assert studies_of(configuration, "mnist_mlp") == ["damping"]
    assert "undamped" not in runs_of(configuration, "mnist_mlp_narrow")


def test_variant_is_the_varied_run_with_one_thing_changed():
    configuration = loaded(tuned=None)
    varied, undamped, small = (
        run_specification(configuration, "mnist_mlp", run).to_mapping()
        for run in ("exact_joint_hessian", "undamped", "small_batches")
    )
    settings = {**varied["optimizer_settings"], "damping": 1e-9}
    assert undamped == {**varied, "run": "undamped", "optimizer_settings": settings}
    assert small == {**varied, "run": "small_batches", "batch_size": 8}


def test_variant_searches_what_the_varied_run_searches_but_for_what_it_sets():
    configuration = loaded()
    assert set(configuration.all_runs["small_batches"].search) == {"learning_rate", "damping"}
    assert set(configuration.all_runs["undamped"].search) == {"learning_rate"}
    assert {"undamped", "small_batches"} <= set(searched_runs(configuration, "mnist_mlp"))


def test_study_is_left_out_where_the_run_it_varies_is_not_trained():
    configuration = loaded(problems={"mnist_mlp": {"studies": ["damping"], "runs": ["sgd"]}})
    assert runs_of(configuration, "mnist_mlp") == ["sgd"]
    assert studies_of(configuration, "mnist_mlp") == []


def test_variant_can_be_left_out_of_a_problem():
    configuration = loaded(problems={"mnist_mlp": {"studies": ["damping"], "without": ["undamped"]}})
    assert runs_of(configuration, "mnist_mlp")[-1] == "small_batches"
    assert "undamped" not in runs_of(configuration, "mnist_mlp")


def test_figures_tell_runs_of_studies_from_the_others():
    context = context_of(loaded())
    assert context.studies["damping"] == ["exact_joint_hessian", "undamped", "small_batches"]
    assert not {"undamped", "small_batches"} & set(context.main_runs)
    assert {"sgd", "exact_joint_hessian"} <= set(context.main_runs)
    assert context.labels["undamped"] == "Undamped"
    assert context.labels["small_batches"] == "small_batches"


def test_setting_given_to_a_variant_goes_before_what_was_tuned():
    study = {"runs": {"adjustment_flat": {"settings": {"damping": 0.5}}}}
    configuration = load_configuration({"studies": {"adjustments": study}}, CONFIG)
    found = run_specification(configuration, "mnist_mlp_narrow", "adjustment_flat").optimizer_settings
    assert found["damping"] == 0.5


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (
            {"studies": {"damping": {**STUDY, "varies": "exact_joint"}}},
            "studies.damping.varies: there is no run 'exact_joint', did you mean 'exact_joint_hessian'?",
        ),
        (
            {"studies": {"damping": {**STUDY, "runs": {"sgd": {"settings": {"damping": 1.0}}}}}},
            "studies.damping.runs.sgd: there is such a run already; choose another name",
        ),
        (
            {"studies": {"damping": {**STUDY, "runs": {"undamped": {"settings": {"dampnig": 1.0}}}}}},
            "runs.undamped.settings.dampnig: unknown key, did you mean 'damping'?",
        ),
        (
            {"problems": {"mnist_mlp": {"studies": ["dampings"]}}},
            "problems.mnist_mlp.studies: there is no study 'dampings', did you mean 'damping'?",
        ),
        (
            {"studies": {"damping": {**STUDY, "runs": {}}}},
            "studies.damping.runs: given {}; mapping should have at least 1 item",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(overrides, line):
    with pytest.raises(ConfigurationError) as caught:
        loaded(**overrides)
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)
