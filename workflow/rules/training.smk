rule train_run:
    input:
        arrays=run_arrays,
        manifest=run_data_manifest,
    output:
        metrics=f"{RESULTS}/runs/{{problem}}/{{run}}/{METRICS}",
        timing=f"{RESULTS}/runs/{{problem}}/{{run}}/{TIMING}",
        snapshots=f"{RESULTS}/runs/{{problem}}/{{run}}/{SNAPSHOTS}",
        manifest=f"{RESULTS}/runs/{{problem}}/{{run}}/{MANIFEST}",
    log:
        f"logs/{TIER}/train_run/{{problem}}/{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train_run/{{problem}}/{{run}}.tsv"
    conda:
        "../../environment.yml"
    threads: cores_per_run
    resources:
        gpu=gpus_per_run,
    params:
        specification=run_specification,
        checkpoints=f"{RESULTS}/checkpoints/{{problem}}/{{run}}",
        code=run_code,
    message:
        "Train {wildcards.run} on {wildcards.problem}; progress in {log}"
    script:
        "../scripts/train_run.py"
