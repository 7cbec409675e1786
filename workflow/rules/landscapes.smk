rule landscapes:
    """Paths of every run on analytic functions."""
    input:
        LANDSCAPE_FILES,


rule trace_trajectories:
    output:
        trajectories=table_path("trajectories", None),
        outcomes=table_path("landscape_outcomes", None),
    log:
        f"logs/{TIER}/trace_trajectories.log",
    benchmark:
        f"{RESULTS}/benchmarks/trace_trajectories.tsv"
    conda:
        "../../environment.yml"
    params:
        functions=landscapes.functions_of(CONFIGURATION),
        contestants=contestants,
        budget=CONFIGURATION.landscapes.budget,
        tolerance=CONFIGURATION.landscapes.tolerance,
        code=landscapes_code,
    script:
        "../scripts/trace_trajectories.py"
