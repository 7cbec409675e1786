"""Numbers of results stand in pages only where a program wrote them; one that is typed is found."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from secondorder.archive.pages import written_by_hand

ROOT = Path(__file__).resolve().parents[1]
# This page is generated as a whole, from the models of the configuration.
GENERATED = ROOT / "docs/configuration.md"
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        ROOT / "claims/README.md",
        ROOT / "reference/README.md",
        *sorted(set((ROOT / "docs").glob("*.md")) - {GENERATED}),
    )
}

WORDS = (
    "half|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty|sixty|hundred"
)
NUMBER = rf"(?:(?<![\w.,])\d[\d,]*(?:\.\d+)?|\b(?:{WORDS})\b)"
UNITS = (
    "(?:[mµn]|milli|micro|nano)?s|(?:milli|micro|nano)?seconds?|min|minutes?|h|hours?|days?|[KMG]i?B|%|per ?cent|"
    "points?|times|fold|x(?! ?\\d)|×|gradients?|gradient-equivalents?|(?:tests? )?(?:passed|failed|skipped)"
)
# As decimals they come too, which stand behind these words without being any.
NO_NUMBER = "".join(rf"(?<!{word} )" for word in ("Python", "version", "algorithm", "equation", "procedure"))
RESULT = re.compile(
    rf"{NUMBER}[\s-]*(?:{UNITS})(?![\w-])"
    r"|\b\d+(?:\.\d+)?e[-+]?\d+\b"
    r"|(?:\d\s*×\s*)?10(?:\^\{?-?\d+|[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)"
    rf"|{NO_NUMBER}(?<![\w.])\d+\.\d+(?!\.?\w)",
    flags=re.IGNORECASE,
)


@dataclass(frozen=True)
class Allowed:
    """What looks like a number of a result and is none: on a page, within these words, for this reason."""

    page: str
    words: str
    reason: str


DEFINITION, FORMULA, PLAN = (
    "definition",
    "follows from the formulas beside it, measured nowhere",
    "plan, no measurement",
)
CHOSEN, REVIEWED = "value that was chosen: a tolerance, a step, a margin, a setting", "title of the page for reviewers"
ALLOWED = [
    Allowed("README.md", "goes from a clone to a verdict in thirty minutes", REVIEWED),
    Allowed("CHANGELOG.md", "thirty minutes from a clone to a verdict", REVIEWED),
    Allowed("CHANGELOG.md", "2 gradient-equivalents in place of 3", DEFINITION),
    Allowed("docs/REVIEWERS.md", "Thirty minutes from a clone", PLAN),
    Allowed("docs/REVIEWERS.md", "at the level of 5 %", CHOSEN),
    Allowed("docs/deviations.md", "ten times fewer updates", CHOSEN),
    Allowed("docs/design.md", "two gradients |", DEFINITION),
    Allowed("docs/design.md", "three times those of the forward", DEFINITION),
    Allowed("docs/design.md", "all eigenvalues and eigenvectors 4.5 r³", DEFINITION),
    Allowed("docs/design.md", "A chosen value within 5 %", CHOSEN),
    Allowed("docs/design.md", "The tolerance is max(1e-12,", CHOSEN),
    Allowed("docs/design.md", "over steps from 1e-1 to 1e-200", CHOSEN),
    Allowed("docs/design.md", "The tolerances are those of the claim, 1e-14 and 2e-6", CHOSEN),
    Allowed("docs/design.md", "the test has power 0.8", CHOSEN),
    Allowed("docs/extending.md", "{learning_rate: 1.0}", CHOSEN),
    Allowed("docs/methods.md", "A gradient multiplies three times per layer", FORMULA),
    Allowed(
        "docs/methods.md",
        "a product six times (twice): 1.33 gradients for a 784-512-256-10 perceptron, 1.79 for LeNet-5",
        FORMULA,
    ),
    Allowed("docs/methods.md", "h may be 1e-20 or 1e-100", CHOSEN),
    Allowed("docs/methods.md", "2.11 gradients for the perceptron, 2.95 for LeNet-5", FORMULA),
    Allowed("docs/methods.md", "must not lose y = 1e-100", CHOSEN),
    Allowed("docs/methods.md", "The default, 10^{-6},", CHOSEN),
    Allowed("docs/methods.md", "3 gradient-equivalents a step for AdaHessian, 1.2 for Sophia-H", FORMULA),
    Allowed("docs/methods.md", "three times those that PyTorch counts", DEFINITION),
    Allowed("docs/methods.md", "18.8 gradients without its roots, of SOAP 36.5", FORMULA),
    Allowed("docs/methods.md", "The unit is three times the multiplications", DEFINITION),
    Allowed("docs/methods.md", "one over three times the batch size", FORMULA),
    Allowed("docs/methods.md", "so 1/3 gradient-equivalent", FORMULA),
    Allowed("docs/methods.md", "factors are 2 gradient-equivalents", FORMULA),
    Allowed("docs/methods.md", "**Rosenbrock** from (-1.2, 1)", DEFINITION),
    Allowed("docs/methods.md", "costs as much as 19 gradients", FORMULA),
    Allowed("docs/methods.md", "which resolves 1e-7", FORMULA),
    Allowed("docs/methods.md", "Both at most 1e-12 is *certified*", CHOSEN),
    Allowed("docs/methods.md", "above 1e-10 it stops the stage", CHOSEN),
    Allowed("docs/methods.md", "the same checks at the same 1e-12", CHOSEN),
]


def prose(text: str) -> str:
    """Return a text in one line, without formulas, and of examples in a language only what their comments say."""
    text = re.sub(r"```(?:sh|python|yaml)\n(.*?)```", lambda block: " ".join(comments(block[1])), text, flags=re.DOTALL)
    text = re.sub(r"\$\$.*?\$\$|\$[^$]+\$", lambda formula: constant(formula[0]), text, flags=re.DOTALL)
    return " ".join(text.split())


def comments(example: str) -> list[str]:
    return re.findall(r"# (.*)$", example, flags=re.MULTILINE)


def constant(formula: str) -> str:
    """Return a formula that is nothing but a number; of another, nothing."""
    number = formula.strip("$").replace(r"\times", "×").replace(r"\,", "")
    return "" if re.search(r"[A-Za-z\\]", number) else number


def typed_numbers(text: str, allowed: list[str]) -> list[str]:
    """Return the numbers of a text that look like results, with the words around them, but for the allowed ones."""
    text = prose(text)
    spans = [found.span() for words in allowed for found in re.finditer(re.escape(words), text)]
    return [
        text[max(0, found.start() - 40) : found.end() + 20]
        for found in RESULT.finditer(text)
        if not any(start <= found.start() and found.end() <= end for start, end in spans)
    ]


def words_of(page: str) -> list[str]:
    return [allowed.words for allowed in ALLOWED if allowed.page == page]


@pytest.mark.parametrize("page", PAGES)
def test_no_number_of_a_result_is_typed(page):
    assert typed_numbers(written_by_hand(PAGES[page], page), words_of(page)) == []


@pytest.mark.parametrize("allowed", ALLOWED, ids=lambda allowed: f"{allowed.page}: {allowed.words}")
def test_what_is_allowed_is_still_there(allowed):
    others = [words for words in words_of(allowed.page) if words != allowed.words]
    text = written_by_hand(PAGES[allowed.page], allowed.page)
    assert typed_numbers(text, others) != [], "these words hold no number that is found, or are gone: take them out"


@pytest.mark.parametrize(
    "sentence",
    [
        pytest.param("```sh\nmake replicate  # the whole pipeline: 10 min\n```", id="minutes in an example's comment"),
        pytest.param("The tests took\n18 minutes.", id="minutes over a line's end"),
        pytest.param("It takes twenty seconds.", id="seconds in words"),
        pytest.param("A spectrum takes 2.5 ms.", id="milliseconds"),
        pytest.param("The run took 0.4h.", id="hours without a space"),
        pytest.param("It needs 969 MB.", id="memory"),
        pytest.param("Adam reaches 97.3 % of the images.", id="per cent"),
        pytest.param("Adam reaches an accuracy of 0.973.", id="decimals"),
        pytest.param("| adam | 0.973 | 12 |", id="cell of a table"),
        pytest.param("It is 4 times faster.", id="times"),
        pytest.param("It is ten times faster.", id="times in words"),
        pytest.param("A step costs 12× a gradient.", id="factor"),
        pytest.param("A product costs 2 gradients.", id="gradients"),
        pytest.param("The error is 1e-13.", id="power of ten"),
        pytest.param("The error is $3\\times10^{-15}$.", id="power of ten in a formula"),
        pytest.param("The error is 10⁻¹³.", id="power of ten in small figures"),
        pytest.param("1,208 passed", id="tests that passed"),
        pytest.param("```\n12 failed, 3 skipped\n```", id="output"),
    ],
)
def test_a_typed_number_is_found(sentence):
    assert typed_numbers(f"A page begins. {sentence} It goes on.", []) != []


def test_what_is_allowed_lets_nothing_else_pass():
    assert len(typed_numbers("The limit is 5 %. The error is 5 %.", ["The limit is 5 %"])) == 1


@pytest.mark.parametrize(
    "sentence",
    [
        "Python 3.11 or newer, 28 x 28 pixels, 5,000 images, arXiv 2104.00000v1 and seed 3.",
        "```yaml\nmargin: 0.5\n```",
        "The step is $\\max(10^{-12}, 10\\,\\mathrm{eps})$ (Nocedal & Wright 2006, algorithm 7.2).",
        "ResNet-20 has three parts, and 784-128-64-10 has 109,386 parameters.",
    ],
)
def test_other_numbers_are_not(sentence):
    assert typed_numbers(sentence, []) == []


def test_what_a_program_wrote_is_not_searched():
    page = "Before.\n<!-- from reference/metrics: times -->\nIt took 10 min.\n<!-- end -->\nAfter 3 s.\n"
    assert typed_numbers(written_by_hand(page, "page"), []) == ["Before. After 3 s."]
