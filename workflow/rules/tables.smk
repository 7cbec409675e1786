rule write_table:
    input:
        unpack(table_tables),
    output:
        csv=report(f"paper_tables/{TIER}/{{name}}.csv", category="Tables", caption="../report/table.rst"),
        markdown=f"paper_tables/{TIER}/{{name}}.md",
        latex=f"paper_tables/{TIER}/{{name}}.tex",
    log:
        f"logs/{TIER}/write_table/{{name}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/write_table/{{name}}.tsv"
    conda:
        "../../environment.yml"
    params:
        context=presentation_context(),
        problems=table_problems,
        code=table_code,
    script:
        "../scripts/write_table.py"
