for batch in TRAINING_BATCHES:

    rule:
        name:
            f"train_runs_{batch.name}"
        input:
            arrays=prepared(resolution.dataset_of(CONFIGURATION, batch.problem))[0],
            manifest=prepared(resolution.dataset_of(CONFIGURATION, batch.problem))[1],
        output:
            batch_files(batch),
        log:
            f"logs/{TIER}/train_runs/{batch.name}.log",
        benchmark:
            f"{RESULTS}/benchmarks/train_runs/{batch.name}.tsv"
        conda:
            "../../environment.yml"
        threads: cores_per_run
        resources:
            gpu=gpus_per_run,
        params:
            runs=batch_runs(batch),
            code=batch_code(batch),
        message:
            f"Train {', '.join(batch.runs)} on {batch.problem}; progress in {{log}}"
        script:
            "../scripts/train_runs.py"
