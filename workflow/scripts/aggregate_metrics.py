"""Check and read the metrics of all runs on some problems, and summarise them over seeds."""

from pathlib import Path

from secondorder.job import job
from secondorder.metric import MetricDescription
from secondorder.statistics.aggregation import aggregate, write_aggregated
from secondorder.statistics.collection import collect_runs, expected_runs
from secondorder.training.specification import RunSpecification

with job(snakemake.log[0]):
    for part in snakemake.params.problems:
        problem, loss = part["problem"], part["target_loss"]
        specifications = [RunSpecification.from_mapping(values) for values in part["specifications"]]
        expected = expected_runs(specifications, [Path(folder) for folder in part["runs"]], [Path(part["data"])])
        tables = aggregate(
            collect_runs(expected),
            {problem: MetricDescription(**part["metric"])},
            {problem: part["target"]},
            {problem: loss} if loss else {},
            snakemake.params.confidence,
            snakemake.params.resamples,
        )
        write_aggregated(tables, Path(part["output"]))
