"""What the pages for reviewers tell to call, open and read is there."""

import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from secondorder.command_line import main

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("REVIEWERS", "checklists", "deviations")
TEXTS = {page: (ROOT / f"docs/{page}.md").read_text(encoding="utf-8") for page in PAGES}
DEFAULTS = yaml.safe_load((ROOT / "config/defaults.yaml").read_text(encoding="utf-8"))
# Made by a run, or kept of one.
GENERATED = ("results", "figures", "paper_tables", "logs", "reference/metrics")
WITH_VALUE = {"--cores", "--configfile"}


def commands(text: str) -> list[list[str]]:
    """Return the words of each command of a page: lines of shell blocks, and code within sentences."""
    blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    called = [line for line in (*lines, *inline) if line.startswith(("make ", "snakemake", "secondorder "))]
    return [shlex.split(line, comments=True) for line in called]


def snakemake_targets(words: list[str]) -> Iterator[str]:
    """Yield the targets of a call of Snakemake: words that are no option, no option's value and no ``key=value``."""
    for previous, word in pairwise(words):
        if not word.startswith("-") and "=" not in word and previous not in WITH_VALUE:
            yield word


def known_targets() -> set[str]:
    """Return the rules of the workflow: those that are written out, and those that loops make."""
    files = [ROOT / "Snakefile", *(ROOT / "workflow/rules").glob("*.smk")]
    written = re.findall(
        r"^ *rule (\w+):", "\n".join(path.read_text(encoding="utf-8") for path in files), flags=re.MULTILINE
    )
    figures = [name for name, figure in DEFAULTS["figures"].items() if not {"per_problem", "per_study"} & set(figure)]
    return {
        *written,
        *(f"figure_{name}" for name in figures),
        *(f"table_{name}" for name in DEFAULTS["tables"]),
        *(f"claim_{path.stem}" for path in (ROOT / "claims").glob("*.yaml")),
    }


def called(program: str) -> list[list[str]]:
    """Return the words of each call of a program on all pages."""
    return [words for text in TEXTS.values() for words in commands(text) if words[0] == program]


TARGETS = sorted({target for words in called("snakemake") for target in snakemake_targets(words)})


def test_pages_have_targets():
    assert {"claim_B1", "figure_product_error", "verify"} <= set(TARGETS)


@pytest.mark.parametrize("target", TARGETS)
def test_target_is_a_rule_of_the_workflow(target):
    assert target in known_targets()


@pytest.mark.parametrize(
    ("call", "targets"),
    [
        ("snakemake --cores 2", []),
        ("snakemake --cores 2 figure_product_eror", ["figure_product_eror"]),
        ("snakemake all --config tier=mine seeds=10", ["all"]),
        ("snakemake --configfile config/archive.yaml  # no target", []),
    ],
)
def test_targets_are_told_from_options(call, targets):
    (words,) = commands(f"```sh\n{call}\n```")
    assert list(snakemake_targets(words)) == targets


@pytest.mark.parametrize("target", sorted({words[1] for words in called("make")}))
def test_make_has_the_target(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)


@pytest.mark.parametrize("name", sorted({words[1] for words in called("secondorder")}))
def test_command_line_has_the_command(name, capsys):
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0


def missing_files(text: str) -> list[str]:
    """Return the files of the checkout that a text names and that are not there, links apart."""
    named = [word for code in re.findall(r"`([^`\n]+)`|```sh\n(.*?)```", text, flags=re.DOTALL) for word in code]
    paths = {word for words in named for word in words.split() if re.fullmatch(r"[\w.*-]+(/[\w.*-]*)+", word)}
    # A path that does not begin in a folder of the project is no path of it, such as 4/3.
    inside = [path for path in paths if (ROOT / path.split("/")[0]).is_dir() and not path.startswith(GENERATED)]
    return sorted(path for path in inside if not any(ROOT.glob(path.rstrip("/"))))


@pytest.mark.parametrize("page", PAGES)
def test_named_files_exist(page):
    assert missing_files(TEXTS[page]) == []


def test_a_file_that_is_missing_is_found():
    text = "`docs/*.md`, `config/tuned/`, `config/nothing.yaml`, `results/smoke/report.html`, `<tier>/x` and 4/3"
    assert missing_files(text) == ["config/nothing.yaml"]


@pytest.mark.parametrize("page", PAGES)
def test_quoted_sections_exist(page):
    quoted = re.findall(r'\]\((\w+\.md)\),\s"([^"]+)"(?:\sand\s"([^"]+)")?', TEXTS[page])
    for file, *titles in quoted:
        headings = re.findall(r"^#+ (.*)$", (ROOT / "docs" / file).read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert {title for title in titles if title} <= set(headings)


@pytest.mark.parametrize("page", PAGES)
def test_anchors_of_the_page_exist(page):
    headings = re.findall(r"^#+ (.*)$", TEXTS[page], flags=re.MULTILINE)
    slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXTS[page])) <= slugs


@pytest.mark.parametrize("page", PAGES)
def test_figures_and_tables_that_are_named_are_made(page):
    lists = re.findall(r"\b(?:figures?|tables?) ((?:`\w+`(?:, | and )?)+)", TEXTS[page])
    named = {name for names in lists for name in re.findall(r"`(\w+)`", names)}
    assert named <= {*DEFAULTS["figures"], *DEFAULTS["tables"]}
