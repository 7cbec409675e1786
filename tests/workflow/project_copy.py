"""Copies of the project to run Snakemake in."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("Snakefile", "environment.yml", "requirements.txt", "workflow", "config", "claims", "profiles", "src")
BATCHED = re.compile(r"^(train_runs|train_trials|aggregate_metrics|draw_figures|write_tables)_\w+$")
TRIMMED = Path(__file__).with_name("trimmed.yaml")


@dataclass(frozen=True)
class Project:
    """A copy of the project that a test may change.

    Attributes:
        folder: Its root.
    """

    folder: Path

    def command(self, *arguments: str, configuration: Path = TRIMMED) -> list[str]:
        """Return a call of Snakemake, with the trimmed configuration where no other is named."""
        return [sys.executable, "-m", "snakemake", *arguments, "--cores", "2", "--configfile", str(configuration)]

    def environment(self) -> dict[str, str]:
        """Return the environment of such a call, in which there is no drop-in folder and no other checkout."""
        return {name: value for name, value in os.environ.items() if name not in {"SECONDORDER_DATA", "PYTHONPATH"}}

    def snakemake(self, *arguments: str, configuration: Path = TRIMMED) -> subprocess.CompletedProcess[str]:
        """Run Snakemake to its end."""
        return subprocess.run(
            self.command(*arguments, configuration=configuration),
            cwd=self.folder,
            env=self.environment(),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )

    def planned(self, *arguments: str) -> dict[str, int]:
        """Return how many jobs of each rule a call would run; rules of one stage that are numbered count as one."""
        output = self.snakemake("--dry-run", *arguments).stdout
        if "Nothing to be done" in output:
            return {}
        table = output[output.index("Job stats:") :].splitlines()[3:]
        planned: Counter[str] = Counter()
        for rule, count in (line.split() for line in table[: table.index("")]):
            planned[BATCHED.sub(r"\1", rule)] += int(count)
        return {rule: count for rule, count in planned.items() if rule not in {"all", "total"}}

    def planned_runs(self) -> set[str]:
        """Return the runs that a call would train, as ``problem/run``."""
        output = self.snakemake("--dry-run", "--quiet", "host").stdout
        trained = re.findall(r"([\w, ]+) on (\w+)", "; ".join(re.findall(r"Train (.+); progress", output)))
        return {f"{problem}/{run}" for runs, problem in trained for run in runs.strip().split(", ")}

    def append(self, path: str, text: str) -> None:
        """Add text to the end of a file."""
        with (self.folder / path).open("a", encoding="utf-8") as stream:
            stream.write(text)

    def start(self) -> "subprocess.Popen[str]":
        """Start the pipeline as a process group of its own."""
        return subprocess.Popen(
            self.command(),
            cwd=self.folder,
            env=self.environment(),
            text=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def kill_group(process: "subprocess.Popen[str]") -> None:
    """End a process group as a power cut would."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def copy_of_project(target: Path) -> Project:
    """Copy what Snakemake needs of the project to a folder, without results."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)
    return Project(target)
