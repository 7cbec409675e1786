rule render_report:
    input:
        **TABLES_READ,
        figures=[f"figures/{TIER}/{name}.png" for name in FIGURES],
        tables=TABLE_FILES,
        manifests=RUN_MANIFESTS,
        tier=[] if KEPT else TIER_MANIFEST,
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
        figures={
            name: [kind, presentation_context(problem, study), shown_problems(CONFIGURATION.figures[kind], problem)]
            for name, (kind, problem, study) in FIGURES.items()
        },
        context=presentation_context(),
        claims=[claim.model_dump(mode="json") for claim in shown_claims()],
        claimed_runs={claim.id: runs_behind(claim, CONFIGURATION) for claim in shown_claims()},
        reads=list(TABLES_READ),
        tables=TABLE_PROBLEMS,
        code=[
            code_digest("secondorder.report.rendering", *(f"{tables.__name__}.{name}" for name in TABLES)),
            [figure_module_digest(kind) for kind, *_ in FIGURES.values()],
            data_files_digest(TEMPLATES.iterdir()),
        ],
    script:
        "../scripts/render_report.py"
