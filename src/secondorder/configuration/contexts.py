"""What figures and tables are told of a configuration."""

from secondorder.configuration.models import Configuration
from secondorder.configuration.resolution import metric_of
from secondorder.presentation import Context


def context_of(configuration: Configuration, problem: str | None = None, study: str | None = None) -> Context:
    """Return the context of a tier's figures and tables."""
    return Context(
        labels={run: section.label or run for run, section in configuration.all_runs.items()},
        targets={name: section.target_metric for name, section in configuration.problems.items()},
        confidence=configuration.statistics.confidence,
        exclusive=configuration.exclusive,
        optimizers={run: section.optimizer for run, section in configuration.all_runs.items()},
        reference=configuration.statistics.reference,
        problem=problem,
        studies={name: [section.varies, *section.runs] for name, section in configuration.studies.items()},
        study_labels={name: section.label for name, section in configuration.studies.items()},
        study=study,
        metrics={name: metric_of(configuration, name).to_mapping() for name in configuration.problems},
    )
