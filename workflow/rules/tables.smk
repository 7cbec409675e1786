for batch in TABLE_BATCHES:

    rule:
        name:
            f"write_tables_{batch.name}"
        input:
            table_batch_tables(batch),
        output:
            report(
                [f"paper_tables/{TIER}/{name}.csv" for name in batch.members],
                category="Tables",
                caption="../report/table.rst",
            ),
            [f"paper_tables/{TIER}/{name}.{suffix}" for name in batch.members for suffix in ("md", "tex")],
        log:
            f"logs/{TIER}/write_tables/{batch.name}.log",
        benchmark:
            f"{RESULTS}/benchmarks/write_tables/{batch.name}.tsv"
        conda:
            "../../environment.yml"
        params:
            tables=table_batch(batch),
            context=presentation_context(),
            code=table_batch_code(batch),
        message:
            f"Write {', '.join(batch.members)}"
        script:
            "../scripts/write_tables.py"
