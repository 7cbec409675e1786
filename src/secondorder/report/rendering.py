"""Rendering of the report from templates: figures and styles are inside the page, nothing is loaded from outside."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from secondorder.configuration.models import Configuration, TunedSection
from secondorder.presentation import Context
from secondorder.provenance.hardware import trained_on
from secondorder.provenance.tier_manifest import TierManifest
from secondorder.report.claims import SYMBOLS, Ledger, ReportedClaim, counts, power, reported_claims
from secondorder.tables.table import Table, is_name

DEFAULT_TIER = "smoke"
TEMPLATES = Path(__file__).with_name("templates")
TEMPLATE = "report.html.j2"
OF_VERDICTS = "claims"
"""The table that the verdicts on top of the page stand for."""


@dataclass(frozen=True)
class ReportFigure:
    """A figure in the report.

    Attributes:
        name: The figure's name; ``snakemake figure_<name>`` draws it.
        kind: The module that draws it, by which claims name it.
        png: The picture.
        caption: What it shows, in sentences.
    """

    name: str
    kind: str
    png: Path
    caption: str

    @property
    def source(self) -> str:
        """The picture as a data URL."""
        return "data:image/png;base64," + base64.b64encode(self.png.read_bytes()).decode("ascii")


def render_report(
    configuration: Configuration,
    figures: Sequence[ReportFigure],
    tables: Mapping[str, Table],
    manifests: Sequence[Mapping[str, Any]],
    context: Context,
    ledger: Ledger | None = None,
    tier: TierManifest | None = None,
) -> str:
    """Return the page.

    Args:
        configuration: The tier's configuration.
        figures: Figures in the order to show them.
        tables: Tables by name, in the order to show them.
        manifests: The manifests of all runs of the tier.
        context: Gives labels, metrics and the level of confidence.
        ledger: The claims and what was found, on which the page opens and which the table ``claims`` among the tables
            is made of; None where the tier judges none.
        tier: The manifest of the tier; None where kept metrics are shown.
    """
    labels = context.labels
    drawn = {figure.name: figure.kind for figure in figures}
    shown = {name: table for name, table in tables.items() if not (ledger and name == OF_VERDICTS)}
    claims = reported_claims(ledger, drawn, shown, manifests, context) if ledger else []
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["column_of_names"] = is_name
    return environment.get_template(TEMPLATE).render(
        configuration=configuration,
        again=_again(configuration),
        kept=context.kept,
        runs=[_run_row(configuration, manifest, labels) for manifest in manifests],
        figures=figures,
        tables=shown,
        claims=claims,
        verdicts=counts(claims),
        symbols=SYMBOLS,
        power=power(ledger, len(configuration.seed_list), context.confidence) if ledger else "",
        legend=tables[OF_VERDICTS].caption if ledger else "",
        evidence_of=_evidence_of(claims),
        problems=[_problem_row(configuration, problem, manifests, context) for problem in configuration.all_problems],
        facts=_facts(manifests) | (_tier_facts(tier) if tier else {}),
        diverged=[
            f"{labels[manifest['specification']['run']]} on {manifest['specification']['problem']}, "
            f"seed {seed['seed']}, step {seed['diverged_at_step']}"
            for manifest in manifests
            for seed in manifest["seeds"]
            if seed["status"] == "diverged"
        ],
        unverified=sorted({manifest["data"]["name"] for manifest in manifests if not manifest["data"]["verified"]}),
    )


def _evidence_of(claims: Sequence[ReportedClaim]) -> dict[str, list[str]]:
    """Return by the id of each figure and table on the page the claims that it is evidence of."""
    evidence: dict[str, list[str]] = {}
    for claim in claims:
        for name in (*(f"figure_{name}" for name in claim.figures), *(f"table_{name}" for name in claim.tables)):
            evidence.setdefault(name, []).append(claim.name)
    return evidence


def _again(configuration: Configuration) -> str:
    """Return what a call of Snakemake needs besides its target to make parts of this page again."""
    if configuration.archive:
        return f' --config tier={configuration.tier} "archive={{tier: {configuration.archive.tier}}}"'
    return "" if configuration.tier == DEFAULT_TIER else f" --config tier={configuration.tier}"


def _problem_row(
    configuration: Configuration, problem: str, manifests: Sequence[Mapping[str, Any]], context: Context
) -> dict[str, str]:
    section, metric = configuration.all_problems[problem], context.metric(problem)
    trained = [manifest for manifest in manifests if manifest["specification"]["problem"] == problem]
    return {
        "problem": problem,
        "dataset": _distinct(manifest["data"]["name"] for manifest in trained),
        "batch size": str(section.batch_size),
        "budget (epochs)": f"{section.budget_epochs:g}",
        "metric": f"{metric.label} ({metric.better} is better)",
        "target (validation)": metric.text(section.target_metric),
        "runs": ", ".join(context.labels[manifest["specification"]["run"]] for manifest in trained),
    }


def _run_row(configuration: Configuration, manifest: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, str]:
    specification = manifest["specification"]
    settings = specification["optimizer_settings"].items()
    tuned = configuration.tuned_for(specification["problem"], specification["run"])
    return {
        "problem": specification["problem"],
        "run": labels[specification["run"]],
        "optimizer": specification["optimizer"],
        "batch size": str(specification["batch_size"]),
        "schedule": specification["schedule"]["kind"],
        "settings": ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in settings),
        "tuned": _tuning(tuned, configuration, specification["problem"], specification["run"]) if tuned else "no",
    }


def _tuning(tuned: TunedSection, configuration: Configuration, problem: str, run: str) -> str:
    """Return where and over how many trials settings were tuned and in which ranges, less those that are not in use."""
    ranges = [
        f"{name.replace('_', ' ')} from {searched.low:g} to {searched.high:g}, {searched.scale} scale"
        f"{' (chosen near an end)' if name in tuned.at_edge else ''}"
        for name, searched in tuned.search.items()
        if name in tuned.settings
    ]
    own = run in configuration.tuned.get(problem, {})
    tuned_on = (tuned.problem or problem) if own else (tuned.problem or configuration.base_problems[problem])
    where = f"tier {tuned.tier}{'' if tuned_on == problem else f', problem {tuned_on}'}"
    here = tuned.tier == configuration.measured_tier and tuned_on == problem
    return f"{'' if here else 'settings transferred: '}{tuned.trials} trials in {where}: {'; '.join(ranges)}"


def _facts(manifests: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    return {
        "Trained on": _distinct(trained_on(m) for m in manifests),
        "Threads per job": _distinct(str(m["specification"]["threads"]) for m in manifests),
        "Python": _distinct(m["environment"]["python"] for m in manifests),
        "PyTorch": _distinct(m["environment"].get("torch", "unknown") for m in manifests),
        "secondorder": _distinct(_revision(m) for m in manifests),
        "Training and evaluation, all seeds of all runs": f"{sum(m['wall_seconds'] for m in manifests):.0f} s",
    }


def _tier_facts(tier: TierManifest) -> dict[str, str]:
    hardware = tier.hardware
    memory = f", {hardware['memory_bytes'] / 2**30:.0f} GiB" if hardware["memory_bytes"] else ""
    gpus = "".join(f", {name}" for name in hardware["gpus"])
    return {
        "Put together": f"{tier.commit_sentence} On {hardware['processor']}, {hardware['cores']} cores{memory}{gpus}.",
        "Configuration": f"sha256 {tier.configuration_sha256}",
        "Data": "; ".join(
            f"{name}, {'verified' if record['verified'] else 'NOT verified'}, sha256 {record['sha256']}"
            for name, record in tier.data.items()
        ),
        "Sums of all runs and tables": f"results/{tier.tier}/manifest.json",
    }


def _revision(manifest: Mapping[str, Any]) -> str:
    commit = manifest["commit"]
    version: str = manifest["environment"].get("secondorder", "unknown")
    if not commit:
        return version
    return f"{version}, commit {commit['revision'][:12]}{' with uncommitted changes' if commit['dirty'] else ''}"


def _distinct(values: Any) -> str:
    return "; ".join(sorted(set(values)))
