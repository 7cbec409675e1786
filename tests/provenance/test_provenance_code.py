"""The digest of a stage changes with the code it reaches, and with no other."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from secondorder import optim, problems
from secondorder.provenance import code

PACKAGE = Path(code.__file__).resolve().parents[1]

TREE = {
    "__init__.py": '"""Package."""\n',
    "errors.py": "class Error(Exception): ...\n",
    "alone.py": "VALUE = 1\n",
    "training/__init__.py": "",
    "training/run.py": "import json\nfrom secondorder.training import seed\nfrom secondorder import optim\n",
    "training/seed.py": "import json\nfrom secondorder.errors import Error\n",
    "optim/__init__.py": '"""Found by name."""\n',
    "optim/adam.py": "from secondorder.optim.shared import Base\n",
    "optim/sgd.py": "def build():\n    from secondorder.optim.shared import Base\n    return Base\n",
    "optim/relative.py": "from .shared import Base\nfrom .. import alone\n",
    "optim/newton.py": "import secondorder.curvature.products as products\n",
    "optim/shared.py": "class Base: ...\n",
    "curvature/__init__.py": "from . import deep\n",
    "curvature/products.py": "import torch\n",
    "curvature/deep/__init__.py": "from ..products import x\n",
    "problems/__init__.py": "",
    "problems/toy.py": "from secondorder.problems.problem import Problem\n",
    "problems/problem.py": "",
    "plotting/__init__.py": "",
    "plotting/curves.py": "from secondorder.plotting.style import STYLE\n",
    "plotting/style.py": "STYLE = 1\n",
    "typed.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from secondorder import alone\n",
    "cycle/__init__.py": "",
    "cycle/one.py": "from secondorder.cycle import two\n",
    "cycle/two.py": "from secondorder.cycle import one\n",
}
CORE = {"__init__.py", "training/__init__.py", "training/run.py", "training/seed.py", "errors.py", "optim/__init__.py"}


def forget():
    for cached in (code._reached, code._digest, code._name, code._source, code._imports):
        cached.cache_clear()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of the same name, small enough to know by heart."""
    for name, text in TREE.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(code, "_ROOT", tmp_path)
    forget()
    yield tmp_path
    forget()


REACHED = {
    "itself and the package": ("secondorder.alone", {"__init__.py", "alone.py"}),
    "what it imports, and so on": ("secondorder.training.run", CORE),
    "package of a submodule": (
        "secondorder.plotting.curves",
        {"__init__.py", "plotting/__init__.py", "plotting/curves.py", "plotting/style.py"},
    ),
    "import inside a function": (
        "secondorder.optim.sgd",
        {"__init__.py", "optim/__init__.py", "optim/sgd.py", "optim/shared.py"},
    ),
    "imports for type checkers alone": ("secondorder.typed", {"__init__.py", "typed.py"}),
    "relative imports": (
        "secondorder.optim.relative",
        {"__init__.py", "alone.py", "optim/__init__.py", "optim/relative.py", "optim/shared.py"},
    ),
    "import under another name, relative imports of packages": (
        "secondorder.optim.newton",
        {
            "__init__.py",
            "curvature/__init__.py",
            "curvature/deep/__init__.py",
            "curvature/products.py",
            "optim/__init__.py",
            "optim/newton.py",
        },
    ),
    "a package": ("secondorder.optim", {"__init__.py", "optim/__init__.py"}),
    "modules that import each other": (
        "secondorder.cycle.one",
        {"__init__.py", "cycle/__init__.py", "cycle/one.py", "cycle/two.py"},
    ),
}


@pytest.mark.parametrize(("root", "files"), REACHED.values(), ids=REACHED.keys())
def test_files_that_a_module_reaches(package, root, files):
    assert set(code.code_files(root)) == files


def test_several_roots_reach_what_each_does(package):
    both = code.code_files("secondorder.alone", "secondorder.optim.adam")
    assert both == code.code_files("secondorder.alone") | code.code_files("secondorder.optim.adam")


def test_digests_are_those_of_the_files(package):
    files = code.code_files("secondorder.training.run")
    assert files == {name: hashlib.sha256((package / name).read_bytes()).hexdigest() for name in CORE}


@pytest.mark.parametrize("root", ["secondorder.nothing", "secondorder.optim.nothing", "json", "json.alone", "torch"])
def test_root_that_is_no_module_of_the_package(package, root):
    with pytest.raises(ModuleNotFoundError, match=f"{root} is no module of secondorder"):
        code.code_files(root)


def test_training_code_is_the_core_its_problem_and_its_optimizer(package):
    expected = CORE | {"problems/__init__.py", "problems/toy.py", "problems/problem.py"}
    expected |= {"optim/adam.py", "optim/shared.py"}
    assert set(code.training_code("toy", "adam")) == expected - {"training/run.py"}


EDITS = {
    "optim/adam.py": {"adam"},
    "optim/sgd.py": {"sgd"},
    "optim/shared.py": {"adam", "sgd", "relative"},
    "curvature/products.py": {"newton"},
    "training/seed.py": {"adam", "sgd", "relative", "newton"},
    "errors.py": {"adam", "sgd", "relative", "newton"},
    "problems/toy.py": {"adam", "sgd", "relative", "newton"},
    "plotting/style.py": set(),
    "plotting/curves.py": set(),
}


@pytest.mark.parametrize(("edited", "changed"), EDITS.items(), ids=EDITS.keys())
def test_edit_changes_the_runs_that_use_the_file(package, edited, changed):
    def digests():
        forget()
        runs = ("adam", "sgd", "relative", "newton")
        return {optimizer: code.combined_digest(code.training_code("toy", optimizer)) for optimizer in runs}

    before = digests()
    with (package / edited).open("a", encoding="utf-8") as stream:
        stream.write("# edited\n")
    after = digests()
    assert {optimizer for optimizer in before if before[optimizer] != after[optimizer]} == changed


def test_new_import_brings_its_file(package):
    (package / "optim" / "adam.py").write_text("import secondorder.alone\n", encoding="utf-8")
    assert "alone.py" in code.training_code("toy", "adam")


def test_line_ends_do_not_matter(package):
    before = code.code_digest("secondorder.training.run")
    for name in CORE:
        path = package / name
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    forget()
    assert code.code_digest("secondorder.training.run") == before


def test_digest_depends_on_names_and_contents_and_not_on_order():
    digest = code.combined_digest({"a": "1", "b": "2"})
    assert code.combined_digest({"b": "2", "a": "1"}) == digest
    others = [{"a": "2", "b": "1"}, {"a": "1"}, {"a": "1", "c": "2"}, {"a": "1", "b": "2", "c": "3"}, {}]
    assert digest not in {code.combined_digest(other) for other in others}


def test_digest_is_sha256_of_a_line_per_file():
    assert code.combined_digest({"b": "2", "a": "1"}) == hashlib.sha256(b"a 1\nb 2\n").hexdigest()


def test_module_digest_is_of_the_modules_own_files(package):
    digests = []
    for edited in (None, "errors.py", "training/seed.py"):
        if edited:
            (package / edited).write_text("# edited\n", encoding="utf-8")
        forget()
        digests.append(code.module_digest("secondorder.training.seed"))
    assert digests[0] == digests[1] != digests[2]


def test_module_digest_of_no_module(package):
    with pytest.raises(ModuleNotFoundError, match=r"secondorder\.nothing is no module of secondorder"):
        code.module_digest("secondorder.alone", "secondorder.nothing")


def test_digest_of_data_files(tmp_path):
    one, two = tmp_path / "one.txt", tmp_path / "two.txt"
    one.write_text("1"), two.write_text("2")
    before = code.data_files_digest([one, two])
    assert code.data_files_digest([two, one]) == before
    two.write_text("3")
    forget()
    assert code.data_files_digest([one, two]) != before


REAL_RUNS = [(problem, optimizer) for problem in problems.available() for optimizer in optim.available()]


@pytest.mark.parametrize(("problem", "optimizer"), REAL_RUNS, ids="-".join)
def test_real_run_depends_on_its_own_problem_and_optimizer_alone(problem, optimizer):
    files = set(code.training_code(problem, optimizer))
    assert {f"problems/{problem}.py", f"optim/{optimizer}.py", "training/seed.py"} <= files
    others = {f"problems/{other}.py" for other in problems.available() if other != problem}
    others |= {f"optim/{other}.py" for other in optim.available() if other != optimizer}
    assert not files & others
    apart = ("plotting/", "tables/", "statistics/", "report/", "configuration/", "presentation.py")
    assert not [name for name in files if name.startswith(apart)]


def test_the_exact_hessian_is_code_of_the_runs_and_checks_that_use_it_alone():
    exact = "curvature/exact_hessian.py"
    assert exact not in code.training_code("mnist_mlp", "sgd")
    assert exact in code.training_code("mnist_mlp", "exact_newton")
    assert exact in code.code_files("secondorder.validation.exact_hessian")


@pytest.mark.parametrize("optimizer", optim.available())
def test_hessian_vector_products_are_code_of_the_runs_that_take_them_alone(optimizer):
    files = code.training_code("mnist_mlp", optimizer)
    takes = optimizer in (
        "adahessian",
        "exact_newton",
        "fosi",
        "hessian_free",
        "low_rank_newton",
        "newton_krylov",
        "sophia",
    )
    assert ("curvature/hessian_vector_products.py" in files) == takes
    assert ("newton/conjugate_gradients.py" in files) == (optimizer in ("hessian_free", "newton_krylov"))


@pytest.mark.parametrize("rare", ["exact_newton", "newton_krylov"])
def test_code_of_a_run_is_also_that_of_the_optimizers_its_settings_name(rare):
    used = optim.used("intermittent", {"rare": rare})
    files = set(code.training_code("mnist_mlp", *used))
    assert files == {file for name in used for file in code.training_code("mnist_mlp", name)}
    assert {"optim/intermittent.py", "optim/sgd.py", f"optim/{rare}.py"} <= files
    assert not files & {"optim/adam.py", "optim/fosi.py"}


def test_real_figure_does_not_depend_on_training():
    files = set(code.code_files("secondorder.plotting.training_curves"))
    assert {"plotting/style.py", "plotting/__init__.py", "presentation.py"} <= files
    assert not [name for name in files if name.startswith(("training/seed", "training/run", "optim/", "tables/"))]


LOADED = """
import sys
{statements}
root = {root!r}
for module in list(sys.modules.values()):
    file = getattr(module, "__file__", None)
    if module.__name__.split(".")[0] == "secondorder" and file:
        print(file[len(root) + 1:].replace("\\\\", "/"))
"""


def test_real_closure_holds_every_module_that_python_loads():
    """The truth is Python's own: what is in ``sys.modules`` after the imports of a training job."""
    statements = "import secondorder.training.seed, secondorder.problems.cifar10_3c3d, secondorder.optim.lbfgs"
    script = LOADED.format(statements=statements, root=str(PACKAGE))
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(result.stdout.split())
    assert "training/seed.py" in loaded
    assert loaded <= set(code.training_code("cifar10_3c3d", "lbfgs"))
