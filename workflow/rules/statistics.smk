for batch in SUMMARY_BATCHES:

    rule:
        name:
            f"aggregate_metrics_{batch.name}"
        input:
            summary_inputs(batch),
        output:
            summary_outputs(batch),
        log:
            f"logs/{TIER}/aggregate_metrics/{batch.name}.log",
        benchmark:
            f"{RESULTS}/benchmarks/aggregate_metrics/{batch.name}.tsv"
        conda:
            "../../environment.yml"
        params:
            problems=summary_parts(batch),
            confidence=CONFIGURATION.statistics.confidence,
            resamples=CONFIGURATION.statistics.resamples,
            code=code_digest("secondorder.statistics.aggregation", "secondorder.statistics.collection"),
        message:
            f"Summarise {', '.join(batch.members)} over seeds"
        script:
            "../scripts/aggregate_metrics.py"
