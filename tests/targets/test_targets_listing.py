"""The list has every target that gathers files, each under its heading, and says what was not measured."""

from secondorder.targets.costs import Cost, TargetCost
from secondorder.targets.listing import parse_menu, render_listing

PRINTED = """\
all (Everything of the tier.)
claim_A1 (Steps go down (always).)
draw_figures_1
figure_krylov (Steps | lengths.)
keep_metrics (Keep the metrics of this tier.)
table_krylov (What steps are like.)
train_runs_mnist_5k_1
"""
MENU = {
    "all": "Everything of the tier.",
    "claim_A1": "Steps go down (always).",
    "figure_krylov": "Steps | lengths.",
    "table_krylov": "What steps are like.",
}


def test_menu_has_what_gathers_files_and_no_job():
    assert parse_menu(PRINTED) == MENU


def test_page_has_a_row_per_target_and_names_what_is_not_measured():
    measured = TargetCost(Cost(1.5, 1, ()), Cost(20.0, 3, ()))
    bounded = TargetCost(Cost(0.0, 1, ("judge",)), Cost(20.0, 4, ("judge",)))
    page = render_listing("mine", MENU, {**dict.fromkeys(MENU, measured), "claim_A1": bounded})
    assert page.startswith("# Targets of the tier mine\n")
    headings = [line for line in page.splitlines() if line.startswith("## ")]
    assert headings == ["## Stages", "## Figures", "## Tables", "## Claims"]
    assert "| `claim_A1` | Steps go down (always). | not measured | at least 20.0 | 4 (1 not measured) |" in page
    assert r"| `figure_krylov` | Steps \| lengths. | 1.5 | 20.0 | 3 |" in page
    assert page.endswith("\nNot measured: `judge`.\n")


def test_page_of_a_measured_tier_leaves_nothing_out():
    cost = TargetCost(Cost(1.5, 1, ()), Cost(20.0, 3, ()))
    page = render_listing("mine", {"all": "Everything."}, {"all": cost})
    assert page.endswith("| `all` | Everything. | 1.5 | 20.0 | 3 |\n")
