rule aggregate_metrics:
    input:
        runs=problem_run_files,
        data=run_data_manifest,
    output:
        **aggregated(AGGREGATED, "{problem}"),
    log:
        f"logs/{TIER}/aggregate_metrics/{{problem}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/aggregate_metrics/{{problem}}.tsv"
    conda:
        "../../environment.yml"
    params:
        specifications=problem_specifications,
        metric=problem_metric,
        target=problem_target,
        target_loss=problem_target_loss,
        confidence=CONFIGURATION.statistics.confidence,
        resamples=CONFIGURATION.statistics.resamples,
        code=code_digest("secondorder.statistics.aggregation", "secondorder.statistics.collection"),
    script:
        "../scripts/aggregate_metrics.py"
