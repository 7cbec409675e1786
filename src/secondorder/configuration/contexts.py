"""What figures and tables are told of a configuration."""

from secondorder.configuration.models import Configuration
from secondorder.configuration.resolution import metric_of
from secondorder.presentation import Context


def context_of(configuration: Configuration, problem: str | None = None, study: str | None = None) -> Context:
    """Return the context of a tier's figures and tables."""
    varied = {name: configuration.condition_problems(name) for name in configuration.problems}
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
        metrics={name: metric_of(configuration, name).to_mapping() for name in configuration.all_problems},
        families={run: section.family for run, section in configuration.all_runs.items()},
        left_out={name: section.without for name, section in configuration.problems.items() if section.without},
        conditions={
            problem: {
                problem: section.condition_label,
                **{made: section.conditions[name].label or name for name, made in varied[problem].items()},
            }
            for problem, section in configuration.problems.items()
            if varied[problem]
        },
        condition_references={
            problem: varied[problem].get(section.condition_reference or "", problem)
            for problem, section in configuration.problems.items()
            if varied[problem]
        },
        transfers={name: source for name in configuration.all_problems if (source := _transfer(configuration, name))},
    )


def _transfer(configuration: Configuration, problem: str) -> str:
    """Return where the tuned settings of a problem's runs come from, if they were tuned elsewhere."""
    section, base = configuration.all_problems[problem], configuration.base_problems.get(problem)
    sources = set()
    for run in configuration.all_runs:
        tuned = configuration.tuned_for(problem, run)
        if tuned is None or run in section.without or (section.runs is not None and run not in section.runs):
            continue
        own = run in configuration.tuned.get(problem, {})
        named = tuned.problem or (None if own else base)
        tier = None if tuned.tier == configuration.measured_tier else f"tier {tuned.tier}"
        sources.add(", ".join(filter(None, (tier, f"problem {named}" if named else None))))
    return " and ".join(sorted(filter(None, sources)))
