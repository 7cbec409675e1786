def run_data(wildcards):
    """Return the prepared dataset that a run's problem needs."""
    return prepared(resolution.dataset_of(CONFIGURATION, wildcards.problem))


def run_arrays(wildcards):
    return run_data(wildcards)[0]


def run_data_manifest(wildcards):
    return run_data(wildcards)[1]


def run_data_content(wildcards):
    """Return what decides the content of a run's data. How the files are got is no part of it."""
    return {
        "dataset": resolution.dataset_of(CONFIGURATION, wildcards.problem),
        "allow_unverified": CONFIGURATION.data.allow_unverified,
        "code": module_digest(
            *(f"secondorder.data.{part}" for part in ("datasets", "splits", "dataset", "mnist_reader", "cifar_reader"))
        ),
    }


def run_specification(wildcards):
    return specification(wildcards.problem, wildcards.run)


def run_code(wildcards):
    """Return the digests of the code that decides a run's result: an edit of one optimizer retrains its runs alone."""
    problem_file = resolution.module_of(CONFIGURATION, wildcards.problem)
    return training_code(problem_file, CONFIGURATION.runs[wildcards.run].optimizer)


def cores_per_run(wildcards):
    return workflow.cores if CONFIGURATION.exclusive else CONFIGURATION.threads


rule train_run:
    input:
        # Data that is prepared again is the same data, unless the parameter `data` says otherwise; the aggregation
        # compares its digest with each run's manifest.
        arrays=ancient(run_arrays),
        manifest=ancient(run_data_manifest),
    output:
        metrics=f"{RESULTS}/runs/{{problem}}/{{run}}/{METRICS}",
        timing=f"{RESULTS}/runs/{{problem}}/{{run}}/{TIMING}",
        manifest=f"{RESULTS}/runs/{{problem}}/{{run}}/{MANIFEST}",
    log:
        f"logs/{TIER}/train_run/{{problem}}/{{run}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train_run/{{problem}}/{{run}}.tsv"
    conda:
        "../../environment.yml"
    threads: cores_per_run
    params:
        specification=run_specification,
        checkpoints=f"{RESULTS}/checkpoints/{{problem}}/{{run}}",
        data=run_data_content,
        code=run_code,
    script:
        "../scripts/train_run.py"
