"""A tier that shows kept metrics has their configuration, and takes nothing that they do not depend on any more."""

import shutil
from pathlib import Path

import pytest

from secondorder.archive.jobs import jobs_table
from secondorder.archive.keeping import description, keep_metrics, write_kept_manifest
from secondorder.configuration.contexts import context_of
from secondorder.configuration.loading import check_machine, load_configuration
from secondorder.errors import ConfigurationError, ResultError

CONFIG = Path(__file__).resolve().parents[2] / "config"


@pytest.fixture(scope="module")
def measured():
    """The tier that was measured."""
    return load_configuration({"tier": "smoke"}, CONFIG)


@pytest.fixture
def folder(tmp_path, measured):
    """A folder of tiers, with the kept metrics of smoke where they belong."""
    shutil.copytree(CONFIG, tmp_path / "config")
    kept = tmp_path / "reference" / "metrics" / "smoke"
    names = keep_metrics({}, [], jobs_table(tmp_path), kept)
    write_kept_manifest(kept, names, description(measured.model_dump(mode="json"), [], None, {}, "2026-01-31"))
    return tmp_path / "config"


def test_configuration_is_that_of_the_metrics_but_for_its_name_and_its_jobs(folder, measured):
    shown = load_configuration({"tier": "archive"}, folder)
    assert (shown.tier, shown.measured_tier, measured.measured_tier) == ("archive", "smoke", "smoke")
    same = set(type(shown).model_fields) - {"tier", "archive", "per_process"}
    assert shown.model_dump(include=same) == measured.model_dump(include=same)
    assert [*shown.all_runs] == [*measured.all_runs], "in the order to show them"


def test_figures_are_told_what_those_of_the_measured_tier_are_told(folder, measured):
    """Settings that were tuned in that tier are not called transferred from another."""
    assert context_of(load_configuration({"tier": "archive"}, folder)) == context_of(measured)


def test_nothing_is_asked_of_this_machine(folder):
    check_machine(load_configuration({"tier": "archive"}, folder).model_copy(update={"device": "cuda"}))


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        pytest.param({"seeds": 5}, "^seeds: cannot be given to 'archive'", id="seeds"),
        pytest.param({"runs": {"adam": {"label": "ADAM"}}}, "^runs: cannot be given", id="a run"),
        pytest.param({"based_on": "smoke", "archive": {}}, "cannot be given to", id="over another tier"),
        pytest.param({"archive": {"tier": "paper"}}, "^archive.tier: there is no folder .* 'paper'.* smoke", id="tier"),
        pytest.param({"archive": {"tiers": "smoke"}}, "^archive.tiers: unknown key, did you mean 'tier'", id="key"),
        pytest.param({"per_process": {"runs": 0}}, "^per_process.runs: given 0", id="a value"),
    ],
)
def test_overrides_without_effect_are_refused(folder, overrides, complaint):
    with pytest.raises(ConfigurationError, match=complaint):
        load_configuration({"tier": "archive", **overrides}, folder)


def test_no_kept_metrics_at_all_are_said_with_how_to_keep_some(folder):
    shutil.rmtree(folder.parent / "reference")
    with pytest.raises(ConfigurationError, match="snakemake keep_metrics --config tier=smoke"):
        load_configuration({"tier": "archive"}, folder)


def test_falsified_metrics_are_refused_as_the_configuration_is_read(folder):
    (folder.parent / "reference" / "metrics" / "smoke" / "added.parquet").write_bytes(b"x")
    with pytest.raises(ResultError, match=r"added\.parquet: is not among the metrics"):
        load_configuration({"tier": "archive"}, folder)
