"""The trimmed pipeline on real images, run once for all workflow tests."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from project_copy import Project, copy_of_project


@pytest.fixture
def fresh_project(tmp_path: Path) -> Project:
    """A copy of the project in which nothing has run."""
    return copy_of_project(tmp_path / "project")


@pytest.fixture(scope="session")
def _finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, str]:
    project = copy_of_project(tmp_path_factory.mktemp("finished") / "project")
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
