# A target of its own, and no part of `all`: what is kept is a source of the archive tier, to be committed.
rule keep_metrics:
    """Keep the metrics of this tier in reference/metrics/<tier>/, from which the tier archive draws everything."""
    input:
        tables=KEPT_TABLES,
        manifests=RUN_MANIFESTS,
        whole=TIER_MANIFEST,
        # What jobs took is kept of all of them, so that they have to be done.
        drawn=[*FIGURE_FILES, *TABLE_FILES, REPORT_FILE],
    output:
        tables=[f"{KEPT_FOLDER}/{TIER}/{name}" for name in KEPT_NAMES],
        runs=f"{KEPT_FOLDER}/{TIER}/{KEPT_RUNS}",
        jobs=f"{KEPT_FOLDER}/{TIER}/{KEPT_JOBS}",
        manifest=f"{KEPT_FOLDER}/{TIER}/{MANIFEST}",
    log:
        f"logs/{TIER}/keep_metrics.log",
    benchmark:
        f"{RESULTS}/benchmarks/keep_metrics.tsv"
    conda:
        "../../environment.yml"
    params:
        configuration=CONFIGURATION.model_dump(mode="json"),
        names=KEPT_NAMES,
        benchmarks=f"{RESULTS}/benchmarks",
        code=code_digest("secondorder.archive.keeping", "secondorder.archive.jobs"),
    script:
        "../scripts/keep_metrics.py"
