from snakemake.utils import min_version

min_version("9.0")


include: "workflow/rules/common.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/report.smk"


# Where kept metrics are shown, there is no rule that gets data, trains or measures.
if not KEPT:

    include: "workflow/rules/data.smk"
    include: "workflow/rules/training.smk"
    include: "workflow/rules/statistics.smk"
    include: "workflow/rules/curvature.smk"
    include: "workflow/rules/landscapes.smk"
    include: "workflow/rules/capabilities.smk"
    include: "workflow/rules/tuning.smk"
    include: "workflow/rules/provenance.smk"
    include: "workflow/rules/archive.smk"

else:

    for name in ("data", "training", "curvature", "landscapes", "capabilities", "tune", "verify", "keep_metrics"):

        rule:
            name:
                name
            input:
                nothing_is_measured,


rule all:
    """Everything of the tier: figures, tables, report, and the manifest of what they come from."""
    default_target: True
    input:
        FIGURE_FILES,
        TABLE_FILES,
        REPORT_FILE,
        [] if KEPT else TIER_MANIFEST,


rule claims:
    """Every claim with its verdict, and the numbers that it rests on."""
    input:
        [table_path(name, None) for name in OF_CLAIMS],


rule figures:
    """All figures."""
    input:
        FIGURE_FILES,


rule tables:
    """All tables."""
    input:
        TABLE_FILES,


rule report:
    """The self-contained page over everything."""
    input:
        REPORT_FILE,


# One target for each figure and table: `snakemake --list-target-rules` is the menu.
for name in FIGURES:

    rule:
        name:
            f"figure_{name}"
        input:
            figure_files(name),


for name in TABLES:

    rule:
        name:
            f"table_{name}"
        input:
            table_files(name),


# One target for each claim, with the figures and tables that show its evidence.
for name in CLAIMS:

    rule:
        name:
            f"claim_{name}"
        input:
            claim_files(name),


# What the menu says of them. A docstring in the loop would be the same for all.
for name, sentence in TARGET_SENTENCES.items():
    workflow.get_rule(name).docstring = sentence


onstart:
    lock_results()


onsuccess:
    say_where_everything_is()


onerror:
    say_where_the_errors_are()
