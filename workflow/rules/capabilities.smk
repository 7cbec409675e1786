rule capabilities:
    """Which run can train which problem, by trying one step of each."""
    input:
        CAPABILITY_FILES,


rule probe_capabilities:
    input:
        arrays=run_arrays,
        data=run_data_manifest,
    output:
        capabilities=table_path("capabilities", "{problem}"),
        timing=table_path("capabilities_timing", "{problem}"),
    log:
        f"logs/{TIER}/probe_capabilities/{{problem}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/probe_capabilities/{{problem}}.tsv"
    conda:
        "../../environment.yml"
    params:
        specifications=probed_specifications,
        trained=problem_runs,
        samples=CONFIGURATION.capabilities.samples,
        code=probe_code,
    script:
        "../scripts/probe_capabilities.py"
