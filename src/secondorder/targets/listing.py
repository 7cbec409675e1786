"""The page that lists targets with what they are and what they cost."""

import re
from collections.abc import Mapping, Sequence

from secondorder.targets.costs import TargetCost

GATHERING = (
    "all",
    "figures",
    "tables",
    "claims",
    "report",
    "data",
    "training",
    "curvature",
    "landscapes",
    "capabilities",
    "tune",
)
"""Targets that gather the files of a whole stage."""

_SECTIONS = {"Figures": "figure_", "Tables": "table_", "Claims": "claim_"}
_HEAD = ("target", "what it is", "last jobs, s", "from nothing, s", "jobs")
_ENTRY = re.compile(r"^(\w+) \((.*)\)$", flags=re.MULTILINE)


def parse_menu(text: str) -> dict[str, str]:
    """Return the targets that only gather files, each with the line that says what it is.

    Args:
        text: What ``snakemake --list-target-rules`` prints: a name per line, with its line in brackets where it has
            one. Jobs that targets share have none.
    """
    return {
        name: sentence
        for name, sentence in _ENTRY.findall(text)
        if name in GATHERING or name.startswith(tuple(_SECTIONS.values()))
    }


def render_listing(tier: str, menu: Mapping[str, str], costs: Mapping[str, TargetCost]) -> str:
    """Return the page in Markdown.

    Args:
        tier: The tier.
        menu: Targets in the order to show them, each with the line that says what it is.
        costs: What each of them costs.
    """
    sections = {"Stages": [name for name in GATHERING if name in menu]}
    for title, prefix in _SECTIONS.items():
        sections[title] = [name for name in menu if name.startswith(prefix)]
    tables = [_section(title, names, menu, costs) for title, names in sections.items() if names]
    parts = [f"# Targets of the tier {tier}", _INTRODUCTION, *tables, *_unmeasured(costs)]
    return "\n\n".join(parts) + "\n"


_INTRODUCTION = """\
`snakemake <target>` makes a target and what it needs. *Last jobs* are those that make the files of the target; *from
nothing* are all jobs that it needs when nothing has been made. A job may draw, write, summarise or train several
things: a target has the whole of it, and what the others in it need. With `--config "per_process={renderings: 1}"`
every figure and table has a job of its own.

Seconds are those that Snakemake measured, one job after the other; jobs side by side are done sooner. They are of the
latest time that a job was run: one that went on after a kill, or found finished runs, took less than from nothing, and
where `per_process` was changed they are of the job that had the number before. *At least* stands where some job was not
measured."""


def _section(title: str, names: Sequence[str], menu: Mapping[str, str], costs: Mapping[str, TargetCost]) -> str:
    rows = [_HEAD, ("---", "---", "--:", "--:", "--:"), *(_row(name, menu[name], costs[name]) for name in names)]
    return f"## {title}\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(name: str, sentence: str, cost: TargetCost) -> tuple[str, ...]:
    missing = len(cost.whole.unmeasured)
    jobs = f"{cost.whole.jobs} ({missing} not measured)" if missing else f"{cost.whole.jobs}"
    return f"`{name}`", sentence.replace("|", r"\|"), cost.last.text, cost.whole.text, jobs


def _unmeasured(costs: Mapping[str, TargetCost]) -> list[str]:
    jobs = sorted({job for cost in costs.values() for job in cost.whole.unmeasured})
    return [f"Not measured: {', '.join(f'`{job}`' for job in jobs)}."] if jobs else []
