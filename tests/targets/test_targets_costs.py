"""Seconds of shared jobs count once, and what was not measured never counts as 0."""

import pytest

from secondorder.errors import InputError, ResultError
from secondorder.targets.costs import Cost, cost_of, read_benchmarks, target_cost
from secondorder.targets.graph import JobGraph

GRAPH = JobGraph(
    {
        "claim": frozenset({"draw", "judge"}),
        "draw": frozenset({"curves", "ranks"}),
        "judge": frozenset({"ranks"}),
        "curves": frozenset({"train"}),
        "ranks": frozenset({"train"}),
        "train": frozenset(),
    }
)
SECONDS = {"draw": 1.0, "judge": 2.0, "curves": 4.0, "ranks": 8.0, "train": 1600.0, "of another target": 3200.0}
HEAD = "s\th:m:s\tmax_rss\n"


def without(*jobs):
    return {job: seconds for job, seconds in SECONDS.items() if job not in jobs}


def test_every_job_counts_once_however_many_need_it():
    cost = target_cost(GRAPH, SECONDS, "claim")
    assert cost.whole == Cost(1615.0, 5, ())
    assert cost.last == Cost(3.0, 2, ())


def test_job_without_a_measurement_is_named():
    cost = target_cost(GRAPH, without("train", "judge"), "claim")
    assert cost.whole == Cost(13.0, 5, ("judge", "train"))
    assert cost.last == Cost(1.0, 2, ("judge",))


@pytest.mark.parametrize(
    ("jobs", "seconds", "text"),
    [
        pytest.param(["train", "draw"], SECONDS, "1,601.0", id="all measured"),
        pytest.param(["train", "draw"], without("draw"), "at least 1,600.0", id="some measured"),
        pytest.param(["train", "draw"], without("draw", "train"), "not measured", id="none measured"),
        pytest.param(["fast"], {"fast": 0.0}, "0.0", id="measured as 0"),
    ],
)
def test_text_tells_a_measured_sum_from_a_bound_and_from_nothing(jobs, seconds, text):
    assert cost_of(jobs, seconds).text == text


def test_order_of_jobs_decides_no_digit():
    seconds = {"a": 0.1, "b": 0.2, "c": 0.3}
    assert cost_of("abc", seconds).seconds == cost_of("cba", seconds).seconds


def test_unknown_target_is_refused():
    with pytest.raises(InputError, match="no target 'claim_Z9'"):
        target_cost(GRAPH, SECONDS, "claim_Z9")


def test_files_are_of_the_jobs_that_their_paths_name(tmp_path):
    files = {
        "tier/write_manifest.tsv": 0.5,
        "tier/draw_figures/1.tsv": 2.25,
        "tier/track_spectrum/mnist_mlp.tsv": 30.0,
        "data/prepare_dataset/mnist_5k.tsv": 4.0,
    }
    for path, seconds in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(f"{HEAD}{seconds}\t0:00:00\t100.0\n")
    assert read_benchmarks([tmp_path / "tier", tmp_path / "data", tmp_path / "missing"]) == {
        "write_manifest": 0.5,
        "draw_figures_1": 2.25,
        "track_spectrum_mnist_mlp": 30.0,
        "prepare_dataset_mnist_5k": 4.0,
    }


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("", id="empty"),
        pytest.param(HEAD, id="no row"),
        pytest.param(f"{HEAD}fast\t0:00:00\t1\n", id="no number"),
        pytest.param("seconds\n1.0\n", id="no column s"),
    ],
)
def test_file_that_is_no_measurement_is_refused(content, tmp_path):
    (tmp_path / "train.tsv").write_text(content)
    with pytest.raises(ResultError, match=r"train\.tsv: cannot be read as a measurement"):
        read_benchmarks([tmp_path])
