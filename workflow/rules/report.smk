rule render_report:
    input:
        figures=[f"figures/{TIER}/{name}.png" for name in FIGURES],
        tables=TABLE_FILES,
        aggregated=aggregated(
            sorted({read for table in CONFIGURATION.tables.values() for read in table.reads})
        ).values(),
        manifests=[f"{run_folder(problem, run)}/{MANIFEST}" for problem, run in RUNS],
    output:
        page=REPORT_FILE,
    log:
        f"logs/{TIER}/render_report.log",
    benchmark:
        f"{RESULTS}/benchmarks/render_report.tsv"
    conda:
        "../../environment.yml"
    params:
        configuration=CONFIGURATION.model_dump(mode="json"),
        figures={name: [kind, presentation_context(problem)] for name, (kind, problem) in FIGURES.items()},
        context=presentation_context(),
        code=[
            code_digest("secondorder.report.rendering", *(f"{tables.__name__}.{name}" for name in TABLES)),
            data_files_digest(TEMPLATES.iterdir()),
        ],
    script:
        "../scripts/render_report.py"
