rule aggregate_metrics:
    input:
        runs=RUN_FILES,
        data=[prepared(dataset)[1] for dataset in DATASETS],
    output:
        **aggregated(AGGREGATED),
    log:
        f"logs/{TIER}/aggregate_metrics.log",
    benchmark:
        f"{RESULTS}/benchmarks/aggregate_metrics.tsv"
    conda:
        "../../environment.yml"
    params:
        specifications=[specification(problem, run) for problem, run in RUNS],
        targets={problem: section.target_accuracy for problem, section in CONFIGURATION.problems.items()},
        confidence=CONFIGURATION.statistics.confidence,
        resamples=CONFIGURATION.statistics.resamples,
        code=code_digest("secondorder.statistics.aggregation", "secondorder.statistics.collection"),
    script:
        "../scripts/aggregate_metrics.py"
