for batch in FIGURE_BATCHES:

    rule:
        name:
            f"draw_figures_{batch.name}"
        input:
            figure_batch_tables(batch),
        output:
            [f"figures/{TIER}/{name}.pdf" for name in batch.members],
            report(
                [f"figures/{TIER}/{name}.png" for name in batch.members],
                category="Figures",
                caption="../report/figure.rst",
            ),
        log:
            f"logs/{TIER}/draw_figures/{batch.name}.log",
        benchmark:
            f"{RESULTS}/benchmarks/draw_figures/{batch.name}.tsv"
        conda:
            "../../environment.yml"
        params:
            figures=figure_batch(batch),
            code=figure_batch_code(batch),
        message:
            f"Draw {', '.join(batch.members)}"
        script:
            "../scripts/draw_figures.py"
