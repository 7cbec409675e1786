"""The project's own files hold together."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"].values()
RANGES = [Requirement(line) for lines in (PROJECT["dependencies"], *EXTRAS) for line in lines]


def pins(lines: list[str]) -> dict[str, Version]:
    """Return the pinned version of each package, by its canonical name."""
    requirements = [Requirement(line) for line in lines]
    for requirement in requirements:
        assert re.fullmatch(r"==[^,*]+", str(requirement.specifier)), f"{requirement} is no pin"
    return {
        canonicalize_name(requirement.name): Version(str(requirement.specifier).removeprefix("=="))
        for requirement in requirements
    }


def requirements_pins() -> dict[str, Version]:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return pins([line for line in lines if line and not line.startswith("#")])


def conda_environment() -> dict[str, object]:
    environment: dict[str, object] = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    return environment


@pytest.mark.parametrize("wanted", RANGES, ids=[requirement.name for requirement in RANGES])
def test_pin_lies_in_the_range(wanted: Requirement) -> None:
    assert requirements_pins()[canonicalize_name(wanted.name)] in wanted.specifier


def test_conda_installs_the_same_pins() -> None:
    (listed,) = [entry["pip"] for entry in conda_environment()["dependencies"] if isinstance(entry, dict)]
    assert pins(listed) == requirements_pins()


def test_conda_python_lies_in_the_range() -> None:
    (python,) = [entry for entry in conda_environment()["dependencies"] if str(entry).startswith("python ")]
    lowest = re.search(r">=([\d.]+)", python)
    assert lowest is not None
    assert Version(lowest[1]) in SpecifierSet(PROJECT["requires-python"])


def test_pinned_torch_fits_torchvision() -> None:
    # Each minor release of torchvision is built for one of torch, whose number is 15 lower; another pair cannot load.
    pinned = requirements_pins()
    assert pinned["torchvision"].minor == pinned["torch"].minor + 15


@pytest.mark.parametrize("command", ["make replicate", "make test", "make setup", "make check", "make document"])
def test_documented_target_exists(command: str) -> None:
    documents = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    assert any(command in path.read_text(encoding="utf-8") for path in documents)
    target = command.removeprefix("make ")
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)


def test_continuous_integration_calls_the_documented_test_command() -> None:
    assert "make test" in (ROOT / ".ci/run").read_text(encoding="utf-8")


def links(path: Path) -> list[str]:
    """Return the relative links of a Markdown page."""
    found = re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8"))
    return [link for link in found if "://" not in link]


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))])
def test_links_resolve(page: str) -> None:
    folder = (ROOT / page).parent
    assert [link for link in links(ROOT / page) if not (folder / link).exists()] == []


def tracked_files() -> list[Path]:
    """Return the text files of the checkout; empty outside of one."""
    result = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    return [ROOT / name for name in result.stdout.splitlines() if not name.endswith((".png", ".pdf", ".parquet"))]


def test_no_path_of_a_single_machine_is_written_down() -> None:
    machine_path = re.compile(r"(?<![\w.])/(?:home|root|Users|work)/\w")
    found = [
        path for path in tracked_files() if path.is_file() and machine_path.search(path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize("page", ["README.md", "CHANGELOG.md", "docs/design.md", "docs/extending.md", "docs/data.md"])
def test_no_placeholder_is_left(page: str) -> None:
    assert re.findall(r"@[A-Z_]+@|\bTBD\b", (ROOT / page).read_text(encoding="utf-8")) == []
