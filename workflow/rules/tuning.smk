rule train_trials:
    input:
        arrays=run_arrays,
        manifest=run_data_manifest,
    output:
        trial_files("{problem}", "{run}"),
    log:
        f"logs/{TIER}/train_trials/{{problem}}/{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train_trials/{{problem}}/{{run}}.tsv"
    conda:
        "../../environment.yml"
    threads: CONFIGURATION.threads
    resources:
        gpu=gpus_per_run,
    params:
        search=run_search,
        folder=tuning_folder("{problem}", "{run}"),
        checkpoints=f"{RESULTS}/checkpoints/tuning/{{problem}}/{{run}}",
        code=run_code,
    message:
        "Train all trials of {wildcards.run} on {wildcards.problem}; progress in {log}"
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
