"""Pages quote kept metrics and nothing else, and the committed pages are what the program writes."""

from pathlib import Path

import pandas as pd
import pytest
from claim_cases import bound, claim

from secondorder.archive import quoted
from secondorder.archive.jobs import jobs_table
from secondorder.archive.judging import judge_kept, kept_tables
from secondorder.archive.keeping import description, keep_metrics, write_kept_manifest
from secondorder.archive.kept import KeptMetrics, read_kept
from secondorder.archive.layout import KEPT_FOLDER
from secondorder.archive.pages import filled
from secondorder.configuration.loading import load_configuration
from secondorder.errors import InputError, ResultError

ROOT = Path(__file__).resolve().parents[2]
HEADING = "s\th:m:s\tmax_rss\n"
KEPT = KeptMetrics(
    Path("kept"),
    {
        "tier": "smoke",
        "made_by": {
            "commits": [{"revision": "0123456789abcdef", "dirty": False}],
            "hardware": ["cpu (Some CPU)"],
            "wall_seconds": 90.0,
        },
        "whole_run": {"hardware": {"cores": 2}},
        "kept_on": "2026-01-31",
        "files": {
            name: {}
            for name in (
                "aggregated/a/curves.parquet",
                "aggregated/b/curves.parquet",
                "capabilities/a.parquet",
                "curvature/growth.parquet",
            )
        },
    },
)
NOTE = "Kept metrics of the tier smoke: commit 0123456789ab, made on cpu (Some CPU), kept on 2026-01-31."
JOBS = pd.DataFrame({"job": ["a", "b"], "seconds": [150.0, 90.0], "memory_bytes": [5e8, 1.25e9]})


def test_committed_pages_are_what_is_written():
    pages = quoted.quoting_pages(ROOT)
    assert "README.md" in pages
    for name, text in pages.items():
        assert (ROOT / name).read_text(encoding="utf-8") == text, f"{name} is out of date: run `make document`"


# Blocks of a page


PAGE = "Before.\n<!-- from reference/metrics: one -->\nold\n<!-- end -->\nBetween.\n"


def test_block_is_written_anew_and_the_rest_stays():
    assert filled(PAGE, {"one": lambda: "new\nlines"}, "page") == PAGE.replace("old", "new\nlines")


@pytest.mark.parametrize(
    ("page", "complaint"),
    [
        pytest.param(PAGE.replace("one", "two"), "page: there is no block 'two'; name one of one", id="unknown"),
        pytest.param(PAGE.replace("<!-- end -->\n", ""), "page: the block 'one' has no end", id="no end"),
        pytest.param(
            PAGE.replace("<!-- end -->\n", "") + PAGE, "page: the block 'one' has no end", id="end of another"
        ),
    ],
)
def test_a_block_that_cannot_be_written_is_refused(page, complaint):
    with pytest.raises(InputError, match=complaint):
        filled(page, {"one": lambda: "new"}, "page")


# What blocks say


def test_times_are_sums_of_jobs():
    assert quoted.times_block(KEPT, JOBS) == (
        "The 2 jobs of the tier smoke took 4.0 minutes together, which is 2.0 minutes for each of the 2 cores; 1.5 "
        f"minutes of it were the training and evaluation of all runs. The largest job held 1.25 GB of memory. *{NOTE}*"
    )


def test_verdicts_are_counted_and_listed():
    verdicts = pd.DataFrame(
        {
            "claim": ["A1", "A2", "B1"],
            "sentence": ["It is exact.", "It is fast.", "It is |H|."],
            "verdict": ["REPRODUCED", "INCONCLUSIVE", "REPRODUCED"],
            "why": ["All is shown.", "Undecided.", "All is shown."],
        }
    )
    lines = quoted.verdicts_block(KEPT, verdicts).splitlines()
    assert lines[0] == f"Of 3 claims: 2 REPRODUCED, 1 INCONCLUSIVE. *{NOTE}*"
    assert lines[4] == "| [A1](claims/A1.yaml): It is exact. | REPRODUCED | All is shown. |"
    assert lines[6] == r"| [B1](claims/B1.yaml): It is \|H\|. | REPRODUCED | All is shown. |"


def test_exact_hessian_is_that_of_the_largest_network_that_was_measured():
    common = {"method": ["exact", "exact", "exact", "dense"], "parameters": [100, 2000, 5000, 5000]}
    common["status"] = ["measured", "measured", "left out", "measured"]
    growth = pd.DataFrame(
        {**common, "rank": [9, 1034, 2, 2], "matrix_bytes": [8e4, 3.2e7, 2e8, 2e8], "certificate": [1e-15] * 4}
    )
    timing = pd.DataFrame({**common, "seconds": [1.0, 0.25, 9.0, 9.0], "memory_bytes": [1e6, 2e6, 9e6, 9e6]})
    assert quoted.exact_hessian_block(growth, timing) == (
        "Of a perceptron with 2,000 parameters, all 1,034 eigenvalues that may differ from 0 took 0.25 s and 2 MB on "
        "one core, with a certificate of 1e-15; its dense Hessian would take 32 MB."
    )


# Where the numbers come from


def test_jobs_are_read_from_their_files_but_for_those_that_make_no_tier(tmp_path):
    for name, row in {
        "train_runs/a_1": "2.5\t0:00:02\t100",
        "report": "1.0\t0:00:01\t-",
        "keep_metrics": "9\t-\t1",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.tsv").write_text(f"{HEADING}{row}\n", encoding="utf-8")
    jobs = jobs_table(tmp_path).to_pandas()
    expected = {"job": ["report", "train_runs/a_1"], "seconds": [1.0, 2.5], "memory_bytes": [float("nan"), 100 * 2**20]}
    pd.testing.assert_frame_equal(jobs, pd.DataFrame(expected))


def test_tables_of_several_problems_are_in_the_order_of_these():
    found = {name: [path.as_posix() for path in paths] for name, paths in kept_tables(KEPT, ["b", "a"]).items()}
    assert found == {
        "curves": ["kept/aggregated/b/curves.parquet", "kept/aggregated/a/curves.parquet"],
        "capabilities": ["kept/capabilities/a.parquet"],
        "growth": ["kept/curvature/growth.parquet"],
    }


@pytest.fixture(scope="module")
def measured():
    """The configuration of the tier that was measured."""
    return load_configuration({"tier": "smoke"}, ROOT / "config")


@pytest.fixture
def project(tmp_path, measured):
    """A project with kept metrics of the tier smoke: one table, which claims are judged by."""
    (tmp_path / "config").symlink_to(ROOT / "config")
    pd.DataFrame({"error": [0.5, 0.25], "tolerance": [1.0, 1.0]}).to_parquet(tmp_path / "product_error.parquet")
    folder = tmp_path / KEPT_FOLDER / "smoke"
    tables = {"curvature/product_error.parquet": tmp_path / "product_error.parquet"}
    names = keep_metrics(tables, [], jobs_table(tmp_path / "benchmarks"), folder)
    described = description(measured.model_dump(mode="json"), [], {"hardware": {"cores": 2}}, {}, "2026-01-31")
    write_kept_manifest(folder, names, described)
    return tmp_path


def largest_error(margin):
    """A part of a claim: the largest error, over its tolerance, is at most this."""
    error = {"table": "product_error", "column": "error", "over": "tolerance", "statistic": "largest"}
    return bound(**error, test="at_most", margin=margin)


def test_claims_are_judged_by_kept_tables(project, measured):
    parts = {"A1": largest_error(0.5), "A2": largest_error(0.4), "A3": bound(table="sharpness")}
    claims = {name: claim(part, name=name) for name, part in parts.items()}
    findings, verdicts = judge_kept(read_kept(project / KEPT_FOLDER / "smoke"), measured, claims)
    assert dict(zip(verdicts["claim"], verdicts["verdict"], strict=True)) == {
        "A1": "REPRODUCED",
        "A2": "NOT-REPRODUCED",
        "A3": "NOT-RUN",
    }
    assert findings["estimate"].tolist()[:2] == [0.5, 0.5]


def test_falsified_metrics_are_not_quoted(project):
    (project / "README.md").write_text(PAGE.replace("one", "times"), encoding="utf-8")
    (project / KEPT_FOLDER / "smoke" / "jobs.parquet").write_bytes(b"falsified")
    with pytest.raises(ResultError, match=r"jobs\.parquet: has 9 bytes"):
        quoted.quoting_pages(project)


def test_nothing_is_quoted_where_nothing_is_kept(tmp_path):
    page = PAGE.replace("one", "times")
    (tmp_path / "README.md").write_text(page, encoding="utf-8")
    assert quoted.quoting_pages(tmp_path) == {"README.md": page.replace("old", quoted.NOTHING_KEPT)}
