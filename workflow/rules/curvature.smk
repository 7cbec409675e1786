rule curvature:
    """Checks of the exact Hessian, and curvature along training."""
    input:
        CURVATURE_FILES,


rule validate_exact_hessian:
    input:
        arrays=prepared(CONFIGURATION.curvature.dataset)[0],
        manifest=prepared(CONFIGURATION.curvature.dataset)[1],
    output:
        table=table_path("exact_hessian", None),
    log:
        f"logs/{TIER}/validate_exact_hessian.log",
    benchmark:
        f"{RESULTS}/benchmarks/validate_exact_hessian.tsv"
    conda:
        "../../environment.yml"
    params:
        **CONFIGURATION.curvature.exact_hessian.model_dump(),
        code=code_digest(*curvature_roots("exact_hessian")),
    script:
        "../scripts/validate_exact_hessian.py"


rule measure_exact_growth:
    input:
        arrays=prepared(CONFIGURATION.curvature.dataset)[0],
        manifest=prepared(CONFIGURATION.curvature.dataset)[1],
    output:
        numbers=table_path("growth", None),
        timing=table_path("growth_timing", None),
    log:
        f"logs/{TIER}/measure_exact_growth.log",
    benchmark:
        f"{RESULTS}/benchmarks/measure_exact_growth.tsv"
    conda:
        "../../environment.yml"
    threads: cores_for_timing
    params:
        **CONFIGURATION.curvature.growth.model_dump(),
        code=code_digest(*curvature_roots("growth")),
    script:
        "../scripts/measure_exact_growth.py"


rule measure_product_error:
    input:
        arrays=prepared(CONFIGURATION.curvature.dataset)[0],
        manifest=prepared(CONFIGURATION.curvature.dataset)[1],
    output:
        table=table_path("product_error", None),
    log:
        f"logs/{TIER}/measure_product_error.log",
    benchmark:
        f"{RESULTS}/benchmarks/measure_product_error.tsv"
    conda:
        "../../environment.yml"
    params:
        steps=CONFIGURATION.curvature.products.steps,
        code=code_digest(*curvature_roots("product_error")),
    script:
        "../scripts/measure_product_error.py"


rule measure_product_cost:
    input:
        arrays=prepared(CONFIGURATION.curvature.dataset)[0],
        manifest=prepared(CONFIGURATION.curvature.dataset)[1],
    output:
        numbers=table_path("product_cost", None),
        timing=table_path("product_cost_timing", None),
    log:
        f"logs/{TIER}/measure_product_cost.log",
    benchmark:
        f"{RESULTS}/benchmarks/measure_product_cost.tsv"
    conda:
        "../../environment.yml"
    threads: cores_for_timing
    params:
        **CONFIGURATION.curvature.products.model_dump(exclude={"steps"}),
        code=code_digest(*curvature_roots("product_cost")),
    script:
        "../scripts/measure_product_cost.py"


rule measure_full_hessian:
    input:
        arrays=prepared(CONFIGURATION.curvature.full_hessian.dataset)[0],
        manifest=prepared(CONFIGURATION.curvature.full_hessian.dataset)[1],
    output:
        numbers=table_path("full_hessian", None),
        timing=table_path("full_hessian_timing", None),
    log:
        f"logs/{TIER}/measure_full_hessian.log",
    benchmark:
        f"{RESULTS}/benchmarks/measure_full_hessian.tsv"
    conda:
        "../../environment.yml"
    threads: cores_per_run
    resources:
        gpu=gpus_per_run,
    params:
        **CONFIGURATION.curvature.full_hessian.model_dump(exclude={"dataset"}),
        device=CONFIGURATION.device,
        threads=CONFIGURATION.threads,
        code=code_digest(*curvature_roots("full_hessian")),
    script:
        "../scripts/measure_full_hessian.py"


rule track_spectrum:
    input:
        runs=followed_run_files,
        arrays=run_arrays,
        data=run_data_manifest,
    output:
        table=table_path("spectrum", "{problem}"),
    log:
        f"logs/{TIER}/track_spectrum/{{problem}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/track_spectrum/{{problem}}.tsv"
    conda:
        "../../environment.yml"
    params:
        **CONFIGURATION.curvature.spectrum.model_dump(),
        specifications=followed_specifications,
        code=curvature_code("spectrum"),
    script:
        "../scripts/track_spectrum.py"


rule compare_directions:
    input:
        runs=followed_run_files,
        arrays=run_arrays,
        data=run_data_manifest,
    output:
        table=table_path("directions", "{problem}"),
    log:
        f"logs/{TIER}/compare_directions/{{problem}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/compare_directions/{{problem}}.tsv"
    conda:
        "../../environment.yml"
    params:
        **CONFIGURATION.curvature.directions.model_dump(),
        specifications=followed_specifications,
        code=curvature_code("directions"),
    script:
        "../scripts/compare_directions.py"


rule compare_approximations:
    input:
        runs=followed_run_files,
        arrays=run_arrays,
        data=run_data_manifest,
    output:
        measures=table_path("approximations", "{problem}"),
        timing=table_path("approximations_timing", "{problem}"),
        eigenvalues=table_path("approximate_eigenvalues", "{problem}"),
        densities=table_path("approximate_densities", "{problem}"),
    log:
        f"logs/{TIER}/compare_approximations/{{problem}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/compare_approximations/{{problem}}.tsv"
    conda:
        "../../environment.yml"
    threads: cores_for_timing
    params:
        settings=CONFIGURATION.curvature.approximations.model_dump(exclude={"control_samples"}),
        specifications=followed_specifications,
        code=curvature_code("approximations"),
    script:
        "../scripts/compare_approximations.py"


rule measure_spectral_controls:
    input:
        runs=followed_run_files,
        arrays=run_arrays,
        data=run_data_manifest,
    output:
        table=table_path("spectral_controls", "{problem}"),
    log:
        f"logs/{TIER}/measure_spectral_controls/{{problem}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/measure_spectral_controls/{{problem}}.tsv"
    conda:
        "../../environment.yml"
    params:
        samples=CONFIGURATION.curvature.approximations.control_samples,
        specifications=followed_specifications,
        code=curvature_code("spectral_controls"),
    script:
        "../scripts/measure_spectral_controls.py"


rule measure_sharpness:
    input:
        runs=problem_run_files,
        arrays=run_arrays,
        data=run_data_manifest,
    output:
        table=table_path("sharpness", "{problem}"),
    log:
        f"logs/{TIER}/measure_sharpness/{{problem}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/measure_sharpness/{{problem}}.tsv"
    conda:
        "../../environment.yml"
    params:
        **CONFIGURATION.curvature.sharpness.model_dump(),
        specifications=problem_specifications,
        code=curvature_code("sharpness"),
    script:
        "../scripts/measure_sharpness.py"
