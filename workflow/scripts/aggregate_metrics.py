"""Check and read the metrics of all runs, and summarise them over seeds."""

from pathlib import Path

from secondorder.job import job
from secondorder.metric import MetricDescription
from secondorder.statistics.aggregation import aggregate, write_aggregated
from secondorder.statistics.collection import collect_runs, expected_runs
from secondorder.training.specification import RunSpecification

with job(snakemake.log[0]):
    specifications = [RunSpecification.from_mapping(values) for values in snakemake.params.specifications]
    metrics = [Path(path) for path in snakemake.input.runs if path.endswith("metrics.parquet")]
    expected = expected_runs(specifications, [path.parent for path in metrics], [Path(snakemake.input.data)])
    problem, target, loss = snakemake.wildcards.problem, snakemake.params.target, snakemake.params.target_loss
    tables = aggregate(
        collect_runs(expected),
        {problem: MetricDescription(**snakemake.params.metric)},
        {problem: target},
        {problem: loss} if loss else {},
        snakemake.params.confidence,
        snakemake.params.resamples,
    )
    write_aggregated(tables, Path(snakemake.output[0]).parent)
