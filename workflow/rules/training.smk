rule training:
    """Metrics, timing and manifest of every run."""
    input:
        RUN_FILES,


for batch in TRAINING_BATCHES:

    rule:
        name:
            f"train_runs_{batch.name}"
        input:
            arrays=prepared(batch.dataset)[0],
            manifest=prepared(batch.dataset)[1],
        output:
            batch_files(batch),
        log:
            f"logs/{TIER}/train_runs/{batch.name}.log",
        benchmark:
            f"{RESULTS}/benchmarks/train_runs/{batch.name}.tsv"
        # All but the checks of methods waits for it.
        priority: 1
        conda:
            "../../environment.yml"
        threads: cores_per_run
        resources:
            gpu=gpus_per_run,
        params:
            runs=batch_runs(batch),
            code=partial(batch_code, batch),
        message:
            f"Train {batch_text(batch)}; progress in {{log}}"
        script:
            "../scripts/train_runs.py"
