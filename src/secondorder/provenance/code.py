"""Digests of code: a stage's own modules and everything they import from this package.

Snakemake does not notice an edit of an imported module. So each rule carries the digest of its stage in ``params``: an
edit of a plot changes the digest of the plots alone, an edit of one optimizer that of its own runs alone. Modules that
are found by name at run time (optimizers, problems, figures) are no static imports, and are named as roots where
they are used.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

PACKAGE = "secondorder"
_ROOT = Path(__file__).resolve().parents[1]


def code_files(*roots: str) -> dict[str, str]:
    """Return the sha256 of each source file that ``roots`` reach, by its path below the package.

    Args:
        roots: Module names such as ``secondorder.optim.adam``.

    Raises:
        ModuleNotFoundError: A root is no module of this package.
    """
    sources = {_existing(module) for module in set().union(*map(_reached, roots))}
    return {_name(path): _digest(path) for path in sorted(sources)}


def training_code(problem_module: str, *optimizers: str) -> dict[str, str]:
    """Return the digests of the sources that decide the result of a run: the core, its problem, its optimizers.

    Args:
        problem_module: Module under ``secondorder.problems``.
        optimizers: Modules under ``secondorder.optim``: the run's own, and those that it runs (``optim.used``).
    """
    return code_files(
        f"{PACKAGE}.training.seed",
        f"{PACKAGE}.problems.{problem_module}",
        *(f"{PACKAGE}.optim.{optimizer}" for optimizer in optimizers),
    )


def code_digest(*roots: str) -> str:
    """Return one digest over :func:`code_files`."""
    return combined_digest(code_files(*roots))


def module_digest(*modules: str) -> str:
    """Return one digest over these modules' own files, without what they import.

    Raises:
        ModuleNotFoundError: One is no module of this package.
    """
    return combined_digest({module: _digest(_existing(module)) for module in modules})


def combined_digest(files: Mapping[str, str]) -> str:
    """Return one digest over named digests, whatever their order."""
    lines = "".join(f"{name} {files[name]}\n" for name in sorted(files))
    return hashlib.sha256(lines.encode()).hexdigest()


def data_files_digest(paths: Iterable[Path]) -> str:
    """Return one digest over files that are not modules, such as templates."""
    return combined_digest({path.name: _digest(path) for path in paths})


@cache
def _reached(root: str) -> frozenset[str]:
    """Return a module and all modules of the package that its import runs."""
    _existing(root)
    reached: set[str] = set()
    waiting = [root]
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting.extend(_imports(module))
    return frozenset(reached)


@cache
def _digest(path: Path) -> str:
    # Line ends are normalised: a checkout on another system is the same code.
    return hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()


@cache
def _name(path: Path) -> str:
    return path.relative_to(_ROOT).as_posix()


def _existing(module: str) -> Path:
    path = _source(module)
    if path is None:
        raise ModuleNotFoundError(f"{module} is no module of {PACKAGE}")
    return path


@cache
def _source(module: str) -> Path | None:
    package, *parts = module.split(".")
    if package != PACKAGE:
        return None
    for path in (_ROOT.joinpath(*parts, "__init__.py"), _ROOT.joinpath(*parts).with_suffix(".py")):
        if path.is_file():
            return path
    return None


@cache
def _imports(module: str) -> tuple[str, ...]:
    path = _source(module)
    if path is None:
        return ()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    names = {name for node in _run_nodes(tree) for name in _imported_names(node, package)}
    parents = {module.rsplit(".", depth)[0] for depth in range(1, module.count(".") + 1)}
    return tuple(sorted(name for name in names | parents if _source(name) is not None))


def _run_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes but those under ``if TYPE_CHECKING``, which decide no result."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        yield node
        yield from _run_nodes(node)


def _imported_names(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        above = package.split(".")[: package.count(".") + 2 - node.level] if node.level else []
        source = ".".join([*above, *filter(None, [node.module])])
        names = [source, *(f"{source}.{alias.name}" for alias in node.names)]
    else:
        return
    yield from (name for name in names if name.split(".")[0] == PACKAGE)
