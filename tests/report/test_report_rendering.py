"""The report is one whole page: nothing comes from outside, every link leads somewhere, and warnings are where due."""

import base64
import re
from pathlib import Path

import pandas as pd
import pytest
from report_page import MANIFEST, Page, manifest

from secondorder.configuration.contexts import context_of
from secondorder.configuration.loading import load_configuration
from secondorder.provenance.tier_manifest import TierManifest
from secondorder.report.rendering import ReportFigure, render_report
from secondorder.tables import load
from secondorder.tables.table import Table

ROOT = Path(__file__).resolve().parents[2]
STYLE_SHEET = ROOT / "src" / "secondorder" / "report" / "templates" / "report.css"
PICTURE = b"\x89PNG\r\n not really a picture"
HOSTILE = "<script>alert('&')</script>"


@pytest.fixture
def render(tmp_path):
    """Render the page of the smoke tier with one figure and two tables; ``overrides`` change the configuration."""
    png = tmp_path / "figure.png"
    png.write_bytes(PICTURE)

    def render(overrides=None, manifests=(MANIFEST,), tables=None, figures=None):
        configuration = load_configuration(overrides or {}, ROOT / "config")
        if tables is None:
            tables = built_tables(configuration)
        if figures is None:
            figures = [ReportFigure("training_curves_mnist_mlp", "training_curves", png, "Curves of <everything>.")]
        return render_report(configuration, figures, tables, manifests, context_of(configuration))

    return render


def built_tables(configuration):
    row = {"problem": "mnist_mlp", "run": "sgd", "metric": "accuracy (%)", "better": "higher", "seeds": 3}
    positions = ("epoch", "step", "gradient_equivalents", "seconds")
    spent = {f"{name}{end}": 1.5 for name in positions for end in ("", "_min", "_max")}
    aggregated = {
        "final_metric": pd.DataFrame([{**row, "mean": 97.1234, "ci_low": 96.5, "ci_high": 98.5, "diverged": 0}]),
        "time_to_target": pd.DataFrame([{**row, "target": 90.0, "reached": 3, **spent, "epoch_max": float("inf")}]),
        "seeds": pd.DataFrame({"data_verified": [True]}),
    }
    return {
        name: load(name).build(aggregated, context_of(configuration)) for name in ("final_metric", "time_to_target")
    }


def test_tags_are_balanced(render):
    page = Page(render())
    assert [tag for tag, _ in page.tags[:2]] == ["html", "head"]


def test_parser_of_these_tests_finds_unbalanced_tags():
    for text in ("<p><b></p></b>", "<p>", "</p>"):
        with pytest.raises(AssertionError):
            Page(text)


def test_nothing_is_loaded_from_outside(render):
    text = render()
    page = Page(text)
    assert page.addresses
    for address in page.addresses:
        assert address.startswith(("#", "data:")), address
    assert not any(tag in {"script", "iframe", "object", "embed", "base"} for tag, _ in page.tags)
    without_pictures = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]*", "", text)
    assert not re.search(r"https?:|//\w|@import|url\(", without_pictures)


def test_ids_are_unique_and_every_link_leads_to_one(render):
    page = Page(render())
    assert len(page.ids) == len(set(page.ids))
    links = [address[1:] for address in page.addresses if address.startswith("#")]
    assert set(links) == {"tables", "figures", "protocol", "provenance"}
    assert set(links) <= set(page.ids)


def test_figures_and_tables_can_be_linked_to(render):
    ids = Page(render()).ids
    assert {"table_final_metric", "table_time_to_target", "figure_training_curves_mnist_mlp"} <= set(ids)


def test_picture_is_inside_the_page(render):
    (image,) = [attributes for tag, attributes in Page(render()).tags if tag == "img"]
    kind, data = image["src"].split(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(data) == PICTURE
    assert image["alt"] == "training curves mnist mlp"


def test_style_sheet_is_inside_the_page_as_it_is(render):
    style = STYLE_SHEET.read_text(encoding="utf-8")
    assert " ".join(style.split()) in Page(render()).text("style")


def test_numbers_are_shown_as_in_the_tables(render):
    text = Page(render()).text()
    assert (
        " mnist_mlp accuracy (%) higher SGD 3 97.12 96.50 98.50 0 "
        in f" {' '.join(re.findall(r'<td[^>]*>(.*?)</td>', render()))} "
    )
    assert "1.5 (1.5–∞)" in text
    assert "Curves of <everything>." in text


def test_numbers_are_on_the_right_and_names_on_the_left(render):
    page = render()
    for name in ("mnist_mlp", "SGD", "higher"):
        assert f"<td>{name}</td>" in page
    assert '<td class="number">97.12</td>' in page
    assert '<th scope="col" class="number">mean</th>' in page


def test_every_figure_and_table_says_how_to_make_it_again(render):
    text = Page(render()).text()
    for target in ("table_final_metric", "table_time_to_target", "figure_training_curves_mnist_mlp"):
        assert f"snakemake {target}" in text


def test_protocol_has_a_row_per_problem(render):
    values = {"batch_size": 32, "budget_epochs": 10, "target_metric": 0.9}
    problems = {
        "mnist_mlp": {**values, "runs": ["lbfgs"]},
        "mnist_lenet5": {**values, "budget_epochs": 2.5, "runs": ["adam", "sgd"]},
        "mnist_mlp_narrow": None,
    }
    runs = [("mnist_mlp", "lbfgs"), ("mnist_lenet5", "sgd"), ("mnist_lenet5", "adam")]
    manifests = [manifest(specification={"problem": problem, "run": run}) for problem, run in runs]
    text = render({"problems": problems}, manifests=manifests)
    protocol = text[text.index('<section id="protocol">') : text.index('<section id="provenance">')]
    rows = [re.findall(r"<td>(.*?)</td>", line) for line in protocol.splitlines() if "<td>" in line]
    assert rows[:2] == [
        ["mnist_mlp", "mnist_5k", "32", "10", "accuracy (higher is better)", "90.00%", "L-BFGS"],
        ["mnist_lenet5", "mnist_5k", "32", "2.5", "accuracy (higher is better)", "90.00%", "SGD, Adam"],
    ]


@pytest.mark.parametrize(
    ("manifests", "words"),
    [
        pytest.param([manifest(data={"verified": False})], ["Unverified data.", "mnist_5k"], id="unverified"),
        pytest.param(
            [manifest(seeds=[{"seed": 7, "status": "diverged", "diverged_at_step": 41}])],
            ["Diverged:", "SGD on mnist_mlp, seed 7, step 41"],
            id="diverged",
        ),
        pytest.param(
            [manifest(), manifest(data={"verified": False, "name": "mnist"})], ["Unverified data.", "mnist:"], id="one"
        ),
    ],
)
def test_warning_where_due(render, manifests, words):
    page = Page(render(manifests=manifests))
    assert len(page.warnings()) == 1
    for word in words:
        assert word in page.text("header")


def test_both_warnings(render):
    diverged = [{"seed": 7, "status": "diverged", "diverged_at_step": 41}]
    page = Page(render(manifests=[manifest(data={"verified": False}, seeds=diverged)]))
    assert len(page.warnings()) == 2


def test_no_warning_where_all_is_well(render):
    page = Page(render())
    assert page.warnings() == []
    assert "nverified" not in page.text()
    assert "iverged:" not in page.text()


@pytest.mark.parametrize(("exclusive", "told"), [(False, True), (True, False)])
def test_shared_machine_is_told(render, exclusive, told):
    assert ("Runs shared the machine" in Page(render({"exclusive": exclusive})).text()) == told


@pytest.mark.parametrize(("seeds", "words"), [(1, "1 seed per run"), (3, "3 seeds per run"), ([4], "1 seed per run")])
def test_number_of_seeds(render, seeds, words):
    assert words in Page(render({"seeds": seeds})).text("header")


FACTS = {
    "cpu": (MANIFEST, "cpu (Some CPU)"),
    "cpu without a name": (manifest(machine={"processor": ""}), "cpu (x86_64)"),
    "gpu": (manifest(device={"type": "cuda", "name": "NVIDIA H200"}), "cuda (NVIDIA H200)"),
    "revision": (MANIFEST, "0.1.0, commit 0123456789ab"),
    "dirty": (manifest(commit={"dirty": True}), "commit 0123456789ab with uncommitted changes"),
    "python": (MANIFEST, "3.11.7"),
    "time": (MANIFEST, "all seeds of all runs12 s"),
}


@pytest.mark.parametrize(("made", "words"), FACTS.values(), ids=FACTS.keys())
def test_provenance(render, made, words):
    assert words in Page(render(manifests=[made])).text("dl")


TIER_MANIFEST = TierManifest(
    tier="smoke",
    commit=None,
    configuration={},
    configuration_sha256="0f1e2d",
    environment={},
    hardware={"processor": "Some CPU", "cores": 2, "memory_bytes": 8 * 2**30, "gpus": ["Some GPU"]},
    data={"mnist_5k": {"sha256": "a1b2c3", "verified": True, "files": {}}},
    runs={},
    tables={},
)


@pytest.mark.parametrize(
    "words",
    [
        "Commit unknown: the package ran from no git checkout. On Some CPU, 2 cores, 8 GiB, Some GPU.",
        "sha256 0f1e2d",
        "mnist_5k, verified, sha256 a1b2c3",
        "results/smoke/manifest.json",
    ],
)
def test_provenance_of_the_tier(words):
    configuration = load_configuration({}, ROOT / "config")
    context = context_of(configuration)
    assert words in Page(render_report(configuration, [], {}, [MANIFEST], context, tier=TIER_MANIFEST)).text("dl")


def test_clean_checkout_and_no_checkout_say_nothing_of_changes(render):
    assert "uncommitted" not in render()
    without = Page(render(manifests=[manifest(commit={})])).text("dl")
    assert "commit" not in without
    assert re.search(r"secondorder\s*0\.1\.0", without)


def test_several_machines_are_all_named_once(render):
    gpu = manifest(device={"type": "cuda", "name": "NVIDIA H200"}, wall_seconds=0.6)
    facts = Page(render(manifests=[MANIFEST, gpu, gpu])).text("dl")
    assert "cpu (Some CPU); cuda (NVIDIA H200)" in facts
    assert "all seeds of all runs14 s" in facts


@pytest.mark.parametrize(
    "where",
    [
        pytest.param(lambda render: render({"runs": {"sgd": {"label": HOSTILE}}}), id="label"),
        pytest.param(
            lambda render: render(
                {"runs": {"sgd": {"label": HOSTILE}}},
                manifests=[manifest(seeds=[{"seed": 0, "status": "diverged", "diverged_at_step": 1}])],
            ),
            id="label in a warning",
        ),
        pytest.param(lambda render: render(manifests=[manifest(machine={"processor": HOSTILE})]), id="machine"),
        pytest.param(
            lambda render: render(manifests=[manifest(data={"name": HOSTILE, "verified": False})]), id="dataset"
        ),
        pytest.param(
            lambda render: render(tables={"final_metric": Table(pd.DataFrame({"problem": [HOSTILE]}), HOSTILE)}),
            id="table and its caption",
        ),
        pytest.param(
            lambda render: render(tables={"final_metric": Table(pd.DataFrame({HOSTILE: ["x"]}), "Caption.")}),
            id="column of a table",
        ),
    ],
)
def test_text_is_text(render, where):
    page = Page(where(render))
    assert not any(tag == "script" for tag, _ in page.tags)
    assert HOSTILE in page.text().replace("  ", " ")


def test_figure_caption_is_text(render, tmp_path):
    png = tmp_path / "x.png"
    png.write_bytes(PICTURE)
    page = Page(render(figures=[ReportFigure("x", "x", png, HOSTILE)]))
    assert not any(tag == "script" for tag, _ in page.tags)
    assert HOSTILE in page.text("figcaption")


def test_page_without_figures_and_tables(render):
    page = Page(render({"figures": None, "tables": None}, tables={}, figures=[]))
    assert not any(tag == "img" for tag, _ in page.tags)


def test_same_input_gives_the_same_page(render):
    assert render() == render()


def test_settings_of_every_run_are_shown(render):
    text = Page(render(manifests=[manifest(), manifest(specification={"run": "adam", "optimizer": "adam"})])).text()
    for run, optimizer in (("SGD", "sgd"), ("Adam", "adam")):
        assert f"mnist_mlp{run}{optimizer}48cosinelearning rate 0.125, nesterov False" in text.replace(
            " mnist", "mnist"
        )


TUNED = {
    "settings": {"learning_rate": 0.125},
    "tier": "smoke",
    "trials": 16,
    "search": {
        "learning_rate": {"low": 0.001, "high": 1.0, "scale": "log"},
        "momentum": {"low": 0.0, "high": 0.9, "scale": "linear"},
    },
}


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        pytest.param(TUNED, "16 trials in tier smoke: learning rate from 0.001 to 1, log scale", id="tuned"),
        pytest.param(
            {**TUNED, "at_edge": ["learning_rate"]}, "to 1, log scale (chosen near an end)", id="tuned, at an edge"
        ),
    ],
)
def test_tuned_run_says_over_what_it_was_tuned(render, entry, words):
    text = Page(render({"tuned": {"mnist_mlp": {"sgd": entry}}}, tables={})).text()
    assert words in text
    assert "momentum from" not in text, "what was searched and then replaced is not told"


def test_run_that_is_not_tuned_says_so(render):
    tuned = {"mnist_mlp": {"adam": TUNED, "sgd": None}, "mnist_lenet5": {"sgd": TUNED}}
    page = render({"tuned": tuned}, tables={})
    assert re.findall(r"<td>(.*?)</td>", page)[-1] == "no"


@pytest.mark.parametrize(("tier", "again"), [("smoke", ""), ("reduced", " --config tier=reduced")])
def test_command_names_the_tier_that_is_not_the_default(render, tier, again):
    assert f"<code>snakemake table_final_metric{again}</code>" in render({"tier": tier})
