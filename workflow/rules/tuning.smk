rule tune:
    """Settings chosen from equally many trials of every run: config/tuned/<tier>.yaml, which later calls read."""
    input:
        TUNING_FILES,


for batch in TUNING_BATCHES:

    rule:
        name:
            f"train_trials_{batch.name}"
        input:
            arrays=prepared(batch.dataset)[0],
            manifest=prepared(batch.dataset)[1],
        output:
            batch_trial_files(batch),
        log:
            f"logs/{TIER}/train_trials/{batch.name}.log",
        benchmark:
            f"{RESULTS}/benchmarks/train_trials/{batch.name}.tsv"
        conda:
            "../../environment.yml"
        threads: CONFIGURATION.threads
        resources:
            gpu=gpus_per_run,
        params:
            searches=partial(batch_searches, batch),
            code=partial(batch_code, batch),
        message:
            f"Train all trials of {batch_text(batch)}; progress in {{log}}"
        script:
            "../scripts/train_trials.py"


# What was tuned is a source file, which Snakemake otherwise would delete before it is written anew.
rule select_settings:
    input:
        trials=[path for problem, run in SEARCHED for path in trial_files(problem, run)],
        data=[prepared(dataset)[1] for dataset in DATASETS],
    output:
        trials=f"{RESULTS}/tuning/trials.parquet",
        tuned=update(f"{TUNED}.yaml"),
        evidence=update(f"{TUNED}.csv"),
    log:
        f"logs/{TIER}/select_settings.log",
    benchmark:
        f"{RESULTS}/benchmarks/select_settings.tsv"
    conda:
        "../../environment.yml"
    params:
        tier=TIER,
        searches=all_searches,
        folders=[tuning_folder(problem, run) for problem, run in SEARCHED],
        code=code_digest("secondorder.tuning.selection", "secondorder.tuning.tuned_files"),
    script:
        "../scripts/select_settings.py"
