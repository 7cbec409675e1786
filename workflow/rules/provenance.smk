# The commit is no parameter: it is looked up when something that the manifest holds is new, and makes nothing new itself.
rule write_manifest:
    input:
        data=[prepared(dataset)[1] for dataset in DATASETS],
        runs=[f"{run_folder(problem, run)}/{MANIFEST}" for problem, run in RUNS],
        tables=rendered_tables(),
    output:
        manifest=TIER_MANIFEST,
    log:
        f"logs/{TIER}/write_manifest.log",
    benchmark:
        f"{RESULTS}/benchmarks/write_manifest.tsv"
    conda:
        "../../environment.yml"
    params:
        configuration=CONFIGURATION.without_places(),
        code=code_digest("secondorder.provenance.tier_manifest", "secondorder.provenance.hardware"),
    script:
        "../scripts/write_manifest.py"


rule recompute_runs:
    input:
        runs=verified_files(),
        arrays=[prepared(dataset)[0] for dataset in verified_datasets()],
        data=[prepared(dataset)[1] for dataset in verified_datasets()],
    output:
        record=f"{VERIFICATION}/report.json",
        page=f"{VERIFICATION}/report.md",
    log:
        f"logs/{TIER}/recompute_runs.log",
    benchmark:
        f"{RESULTS}/benchmarks/recompute_runs.tsv"
    conda:
        "../../environment.yml"
    threads: cores_per_run
    resources:
        gpu=gpus_per_run,
    params:
        runs=verifications,
        seeds=CONFIGURATION.verify.seeds,
        confidence=CONFIGURATION.statistics.confidence,
        code=verification_code,
    script:
        "../scripts/recompute_runs.py"


rule verify:
    """Some runs computed again and compared, a line for each; fails where one is different."""
    input:
        record=f"{VERIFICATION}/report.json",
    log:
        f"logs/{TIER}/verify.log",
    conda:
        "../../environment.yml"
    script:
        "../scripts/judge_recomputed.py"
