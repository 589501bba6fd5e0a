"""The shape of the source: who imports whom, how long things get, what the files may say."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "moorage"

# The architecture diagram: each part, and all that it may import of ours (besides itself).
# Doors know the rules, the rules know the words; only app.py knows the drivers.
MAY_IMPORT = {
    "domain": [],
    "logs": [],
    "bodies": ["domain"],
    "registry": ["config", "domain", "logs"],
    "operations": ["registry", "domain"],
    "layouts": ["registry", "domain"],
    "jobs": ["registry", "domain", "logs"],
    "doctor": [],
    "draining": [],
    "lives": [],
    "readahead": [],
    "drivers": ["registry", "domain", "config", "logs"],
    "metrics": ["registry", "domain", "logs"],
    "readiness": ["draining", "registry", "logs"],
    "tracing": ["registry", "logs"],
    "watch": ["metrics", "proxies", "registry", "domain", "logs"],
    "migrations": ["registry.tables"],
    "aws": ["operations", "registry", "domain", "bodies", "logs"],
    "oci": ["registry", "domain", "bodies", "logs"],
    "console": ["operations", "domain"],
    "config": ["domain"],
    "proxies": ["config"],
    "authority": ["installation", "keyfile", "config"],
    "tls": ["authority", "config", "logs"],
    "workers": ["tls", "config", "draining", "lives", "logs"],
    "app": [
        "draining",
        "metrics",
        "readiness",
        "watch",
        "tracing",
        "proxies",
        "aws",
        "oci",
        "console",
        "operations",
        "jobs",
        "drivers",
        "installation",
        "keyfile",
        "registry",
        "config",
        "domain",
    ],
    "keyfile": ["registry", "config", "logs"],
    "installation": ["keyfile", "migrations", "registry", "config", "domain"],
    "server": ["workers", "readahead", "metrics", "tls", "app", "installation", "config", "logs"],
    "session": ["app", "installation", "config"],
    "cli": [
        "doctor",
        "server",
        "app",
        "installation",
        "keyfile",
        "migrations",
        "config",
        "layouts",
        "operations",
        "jobs",
        "registry",
        "domain",
    ],
    "testing": ["session", "app", "config", "registry", "domain"],
    "pytest_plugin": ["testing"],
    "__init__": ["app", "config", "registry", "session"],
    "__main__": ["cli"],
}

LONGEST_MODULE = 500
MEDIAN_MODULE = 150
LONGEST_FUNCTION = 60

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = Function | ast.ClassDef

MODULES = {path.relative_to(SOURCE).with_suffix(""): path.read_text() for path in sorted(SOURCE.rglob("*.py"))}
TREES = {path: ast.parse(text) for path, text in MODULES.items()}
NAMES = {"moorage"} | {".".join(("moorage", *path.parts)).removesuffix(".__init__") for path in MODULES}


# --- Who imports whom -----------------------------------------------------------


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """The modules of ours that a module imports, wherever in it, with the line."""
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = ("moorage", *path.parts)[: -node.level] if node.level else ()
            base = ".".join((*above, *filter(None, [node.module])))
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                yield node.lineno, whole if whole in NAMES or base == "moorage" else base


def test_imports_point_one_way() -> None:
    """Each part of the source imports only the parts that the table gives it."""
    wrong = []
    for path in MODULES:
        part = path.parts[0]
        allowed = [part, *MAY_IMPORT.get(part, []), "__version__"]
        for line, name in imports(path):
            target = name.removeprefix("moorage.")
            if name.startswith("moorage.") and not any(f"{target}.".startswith(f"{one}.") for one in allowed):
                wrong.append(f"src/moorage/{path}.py:{line} imports {name}")
    assert not wrong, "\n".join(["arrows that the diagram does not have:", *wrong])


def test_every_part_is_in_the_diagram() -> None:
    """A new folder or module at the top of the source states what it may import."""
    assert {path.parts[0] for path in MODULES} <= set(MAY_IMPORT)


def test_no_door_imports_storage() -> None:
    """The table itself gives the drivers to the composition alone."""
    assert [part for part, allowed in MAY_IMPORT.items() if "drivers" in allowed] == ["app"]


# --- How long things get --------------------------------------------------------


def lengths() -> dict[str, int]:
    """The number of lines of every module."""
    return {f"src/moorage/{path}.py": len(text.splitlines()) for path, text in MODULES.items()}


def test_no_module_is_long() -> None:
    """No module of the source is longer than 500 lines."""
    long = [f"{name}: {lines} lines" for name, lines in lengths().items() if lines > LONGEST_MODULE]
    assert not long, "\n".join([f"longer than {LONGEST_MODULE} lines:", *long])


def test_most_modules_are_small() -> None:
    """The middle one of all modules is not longer than 150 lines."""
    longest = sorted(lengths().items(), key=lambda item: -item[1])[:10]
    median = statistics.median(lengths().values())
    names = [f"{name}: {lines} lines" for name, lines in longest]
    assert median <= MEDIAN_MODULE, "\n".join([f"the median module has {median} lines; the longest:", *names])


def test_no_function_is_long() -> None:
    """No function of the source is longer than 60 lines."""
    long = []
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, Function):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > LONGEST_FUNCTION:
                    long.append(f"src/moorage/{path}.py:{node.lineno} {node.name}: {lines} lines")
    assert not long, "\n".join([f"longer than {LONGEST_FUNCTION} lines:", *long])


# --- What is explained ----------------------------------------------------------


def public(tree: ast.Module | ast.ClassDef) -> Iterator[Definition]:
    """The classes, functions and methods that others may use; a setter is explained by its property."""
    for node in tree.body:
        if not isinstance(node, Definition) or node.name.startswith("_"):
            continue
        if not any(ast.unparse(mark).endswith((".setter", "overload", "override")) for mark in node.decorator_list):
            yield node
        if isinstance(node, ast.ClassDef):
            yield from public(node)


def test_what_is_public_is_explained() -> None:
    """Every module, public class, public function and public method of the source has a docstring."""
    bare = [f"src/moorage/{path}.py" for path, tree in TREES.items() if not ast.get_docstring(tree)]
    for path, tree in TREES.items():
        bare += [f"src/moorage/{path}.py:{n.lineno} {n.name}" for n in public(tree) if not ast.get_docstring(n)]
    assert not bare, "\n".join(["without a docstring:", *bare])


def test_every_test_states_its_claim() -> None:
    """Every test, this one too, has a docstring that says what it claims."""
    silent = [
        f"{file.relative_to(ROOT)}:{node.lineno} {node.name}"
        for file in sorted((ROOT / "tests").rglob("test_*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, Function) and node.name.startswith("test_") and not ast.get_docstring(node)
    ]
    assert not silent, "\n".join(["without a claim:", *silent])


# --- What the files may say -----------------------------------------------------

# In pieces, so that this file does not say it either.
PACKAGE_HOSTS = ["pypi" + ".org", "python" + "hosted.org", "npmjs" + ".org", "npmjs" + ".com", "crates" + ".io"]
ONE_MACHINE = r"(?<![\w.}$])/(?:work|root|home/\w+|Users/\w+)" + r"/\w"
FORBIDDEN = re.compile("|".join([*map(re.escape, PACKAGE_HOSTS), ONE_MACHINE]))


def files() -> list[Path]:
    """The files of the repository: those that git has, and those that it would take."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def test_no_file_depends_on_a_place() -> None:
    """No file of the repository names a package index, or a path that only one machine has."""
    found = []
    for path in files():
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if match := FORBIDDEN.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number} {match[0]}")
    assert not found, "\n".join(["names a place:", *found])


# --- The locks ------------------------------------------------------------------


def locked(name: str) -> list[str]:
    """The requirements of a lock, each on one line, with all that is said of it."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def test_locks_hold_exact_versions_with_hashes() -> None:
    """Every line of every lock is one exact version with its hashes, and nothing about where it comes from."""
    requirement = re.compile(r"[a-z0-9._-]+(\[[a-z0-9,._-]+\])?==\S+( ; [^#]+?)?(\s+--hash=sha256:[0-9a-f]{64})+")
    locks = [path.stem for path in (ROOT / "requirements").glob("*.txt")]
    loose = [f"{name}: {line[:80]}" for name in locks for line in locked(name) if not requirement.fullmatch(line)]
    assert locks
    assert not loose, "\n".join(["not exact, or without a hash:", *loose])


def test_what_serves_is_what_is_tested() -> None:
    """Every requirement of the runtime lock stands in the dev lock, with the same version and hashes."""
    untested = {line.split(" ")[0] for line in locked("runtime")} - {line.split(" ")[0] for line in locked("dev")}
    assert not untested
