rule data:
    """Prepared datasets."""
    input:
        [prepared(dataset) for dataset in DATASETS],


rule prepare_dataset:
    output:
        arrays="results/data/{dataset}.npz",
        manifest="results/data/{dataset}.json",
    log:
        "logs/prepare_dataset/{dataset}.log",
    benchmark:
        "results/data/benchmarks/prepare_dataset/{dataset}.tsv"
    conda:
        "../../environment.yml"
    params:
        allow_unverified=CONFIGURATION.data.allow_unverified,
        downloads="results/data/downloads",
        code=[DATA_CODE, DATA_REGISTRY],
    script:
        "../scripts/prepare_dataset.py"
