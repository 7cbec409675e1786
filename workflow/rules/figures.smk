def figure_kind(wildcards):
    """Return the name of a figure's module."""
    return FIGURES[wildcards.name][0]


def figure_tables(wildcards):
    """Return the aggregated tables that a figure reads."""
    return aggregated(CONFIGURATION.figures[figure_kind(wildcards)].reads)


def figure_context(wildcards):
    return presentation_context(FIGURES[wildcards.name][1])


def figure_code(wildcards):
    return code_digest(f"{plotting.__name__}.{figure_kind(wildcards)}", f"{plotting.__name__}.saving")


rule draw_figure:
    input:
        unpack(figure_tables),
    output:
        pdf=f"figures/{TIER}/{{name}}.pdf",
        png=report(f"figures/{TIER}/{{name}}.png", category="Figures", caption="../report/figure.rst"),
    log:
        f"logs/{TIER}/draw_figure/{{name}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/draw_figure/{{name}}.tsv"
    conda:
        "../../environment.yml"
    params:
        kind=figure_kind,
        context=figure_context,
        code=figure_code,
    script:
        "../scripts/draw_figure.py"
