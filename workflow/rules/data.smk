rule prepare_dataset:
    output:
        arrays="results/data/{dataset}.npz",
        manifest="results/data/{dataset}.json",
    log:
        "logs/prepare_dataset/{dataset}.log",
    conda:
        "../../environment.yml"
    params:
        folder=CONFIGURATION.data.folder or os.environ.get("SECONDORDER_DATA"),
        allow_unverified=CONFIGURATION.data.allow_unverified,
        downloads="results/data/downloads",
        code=code_digest("secondorder.data.datasets", "secondorder.data.storage"),
    script:
        "../scripts/prepare_dataset.py"
