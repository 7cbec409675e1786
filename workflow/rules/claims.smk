rule judge_claims:
    input:
        **claimed_paths(),
    output:
        claims=table_path("claims", None),
        verdicts=table_path("verdicts", None),
    log:
        f"logs/{TIER}/judge_claims.log",
    benchmark:
        f"{RESULTS}/benchmarks/judge_claims.tsv"
    conda:
        "../../environment.yml"
    params:
        claims=[claim.model_dump(mode="json") for claim in CLAIMS.values()],
        absent=CLAIMED_ABSENT,
        conditions=resolution.condition_references(CONFIGURATION),
        confidence=CONFIGURATION.statistics.confidence,
        code=code_digest("secondorder.claims.ledger", "secondorder.statistics.aggregation"),
    message:
        "Judge the claims by what was measured"
    script:
        "../scripts/judge_claims.py"
