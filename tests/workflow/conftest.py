"""A copy of the project in which a trimmed pipeline has run, made once for all workflow tests of a worker."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("Snakefile", "environment.yml", "requirements.txt", "workflow", "config", "profiles", "src")
TRIMMED = Path(__file__).with_name("trimmed.yaml")


@dataclass(frozen=True)
class Project:
    """A copy of the project that a test may change.

    Attributes:
        folder: Its root.
    """

    folder: Path

    def command(self, *arguments: str) -> list[str]:
        """Return a call of Snakemake with the trimmed configuration."""
        return [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", str(TRIMMED), *arguments]

    def environment(self) -> dict[str, str]:
        """Return the environment of such a call: the copy's own package comes first, and there is no drop-in folder."""
        inherited = {name: value for name, value in os.environ.items() if name != "SECONDORDER_DATA"}
        return {**inherited, "PYTHONPATH": str(self.folder / "src")}

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake to its end."""
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment(),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )

    def planned(self, *arguments: str) -> dict[str, int]:
        """Return how many jobs of each rule a call would run."""
        output = self.snakemake("--dry-run", *arguments).stdout
        if "Nothing to be done" in output:
            return {}
        table = output[output.index("Job stats:") :].splitlines()[3:]
        rows = [line.split() for line in table[: table.index("")]]
        return {rule: int(count) for rule, count in rows if rule not in {"all", "total"}}

    def planned_runs(self) -> set[str]:
        """Return the runs that a call would train, as ``problem/run``."""
        output = self.snakemake("--dry-run", "--quiet", "none").stdout
        wanted = "metrics.parquet, "
        lines = [line for line in output.splitlines() if line.strip().startswith("output:") and wanted in line]
        return {"/".join(line.split("runs/")[1].split("/")[:2]) for line in lines}

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


def _copy(target: Path, names: Sequence[str] = COPIED) -> Project:
    for name in names:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)
    return Project(target)


@pytest.fixture
def fresh_project(tmp_path: Path) -> Project:
    """A copy of the project in which nothing has run."""
    return _copy(tmp_path / "project")


@pytest.fixture(scope="session")
def _finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, str]:
    project = _copy(tmp_path_factory.mktemp("finished") / "project")
    result = project.snakemake()
    assert result.returncode == 0, result.stdout
    return project, result.stdout


@pytest.fixture(scope="session")
def finished_project(_finished: tuple[Project, str]) -> Project:
    """The project after one complete run; tests read it and leave it alone."""
    return _finished[0]


@pytest.fixture(scope="session")
def console(_finished: tuple[Project, str]) -> str:
    """What the complete run printed."""
    return _finished[1]


@pytest.fixture
def project(finished_project: Project, tmp_path: Path) -> Project:
    """A copy of the finished project that a test may change; times of modification are kept."""
    shutil.copytree(finished_project.folder, tmp_path / "project", symlinks=True)
    return Project(tmp_path / "project")


@pytest.fixture
def edited(project: Project) -> Callable[[str, str], Project]:
    """A copy of the finished project in which one line was added to one file."""

    def edit(path: str, line: str) -> Project:
        project.append(path, line)
        return project

    return edit
