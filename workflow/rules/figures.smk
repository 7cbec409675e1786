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
