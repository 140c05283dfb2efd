"""What a source says of its imports and calls, by its syntax alone; nothing is executed."""

import ast
import fnmatch
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("agent", "collector", "firmware_sim")

CLOCK_READINGS = frozenset(
    {
        "time.time",
        "time.time_ns",
        "time.localtime",
        "datetime.datetime.now",
        "datetime.datetime.utcnow",
        "datetime.datetime.today",
        "datetime.date.today",
    }
)
PRINTING = frozenset({"print", "sys.stdout.write", "rich.print"})
HIDDEN_IMPORTS = frozenset({"__import__", "importlib.import_module"})
WRITE_CODES = frozenset({5, 6, 15, 16, 21, 22, 23})  # Modbus: coils, registers, file record, mask, read-write
_WRITE_NAME = re.compile(
    r"write_?(single_?|multiple_?)?(coil|register|file_?record)|readwrite_?(multiple_?)?register", re.I
)


@dataclass(frozen=True, slots=True)
class Import:
    """One module that a source imports; ``typing_only`` where only the type checker does."""

    target: str
    line: int
    typing_only: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """What one row of the import map allows: patterns of modules, and what these may import of ours."""

    modules: tuple[str, ...]
    allowed: tuple[str, ...]


def sources(root: Path) -> dict[str, Path]:
    """Give every module of the three packages, dotted name to file; a package goes by its own name."""
    files = sorted(path for package in PACKAGES for path in (root / package).rglob("*.py"))
    return {_dotted(path.relative_to(root)): path for path in files}


def _dotted(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def matches(module: str, patterns: Iterable[str]) -> bool:
    """Say whether a module fits one of the patterns; ``a.b.*`` means ``a.b`` too."""
    return any(fnmatch.fnmatchcase(module, p) or module == p.removesuffix(".*") for p in patterns)


def imports(tree: ast.AST, known: Collection[str]) -> list[Import]:
    """Give what a source imports. ``from a import b`` is ``a.b`` where that is a known module, else ``a``."""
    guarded = {id(node) for block in _typing_blocks(tree) for node in ast.walk(block)}
    found = []
    for node in ast.walk(tree):
        for target in _targets(node, known):
            found.append(Import(target, getattr(node, "lineno", 0), id(node) in guarded))
    return sorted(found, key=lambda item: item.line)


def _targets(node: ast.AST, known: Collection[str]) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        full = [f"{node.module}.{alias.name}" for alias in node.names]
        return [name if name in known else str(node.module) for name in full]
    return []


def _typing_blocks(tree: ast.AST) -> Iterator[ast.stmt]:
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            yield from node.body


def uses(tree: ast.AST, names: Collection[str]) -> list[tuple[str, int]]:
    """Give where a source refers to one of these dotted names, whatever it calls them: (name, line)."""
    aliases = _aliases(tree)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            root, _, rest = ast.unparse(node).partition(".")
            name = ".".join(filter(None, (aliases.get(root, root), rest)))
            if name in names:
                found.append((name, node.lineno))
    return sorted(set(found), key=lambda item: item[1])


def _aliases(tree: ast.AST) -> dict[str, str]:
    aliases: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            aliases |= {alias.asname: alias.name for alias in node.names if alias.asname}
        if isinstance(node, ast.ImportFrom):
            aliases |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return aliases


def modbus_writes(tree: ast.AST) -> list[int]:
    """Give the lines that name a Modbus write request, or give a function code that writes."""
    lines = set()
    for node in ast.walk(tree):
        name = _name_of(node)
        if name and _WRITE_NAME.search(name):
            lines.add(node.lineno)  # type: ignore[attr-defined]
        lines |= {line for word, value, line in _bindings(node) if "function" in word and value in WRITE_CODES}
    return sorted(lines)


def _name_of(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.name if isinstance(node, ast.alias) else ""


def _bindings(node: ast.AST) -> Iterator[tuple[str, object, int]]:
    """Give (name, constant, line) of ``f(name=1)``, ``name = 1`` and ``name == 1`` or ``name in (1, 2)``."""
    if isinstance(node, ast.keyword) and isinstance(node.value, ast.Constant):
        yield (node.arg or "").lower(), node.value.value, node.lineno
    if isinstance(node, ast.Assign):
        yield from (
            (ast.unparse(target).lower(), value, node.lineno)
            for target in node.targets
            for value in _constants(node.value)
        )
    if isinstance(node, ast.Compare):
        name = ast.unparse(node.left).lower()
        yield from ((name, value, node.lineno) for side in node.comparators for value in _constants(side))


def _constants(node: ast.AST) -> list[object]:
    return [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]


def broken_imports(
    module: str, tree: ast.AST, known: Collection[str], rules: Sequence[Rule], doors: Mapping[str, Sequence[str]]
) -> list[str]:
    """Give one sentence for each import that the map or the doors do not allow."""
    rule = next((rule for rule in rules if matches(module, rule.modules)), None)
    if rule is None:
        return [f"{module}: no row of the import map names it"]
    complaints = []
    for item in imports(tree, known):
        library = item.target.partition(".")[0]
        if library in PACKAGES:
            if not matches(item.target, rule.allowed):
                complaints.append(f"{module}:{item.line}: may not import {item.target}")
        elif library in doors:
            if not item.typing_only and not matches(module, doors[library]):
                complaints.append(f"{module}:{item.line}: is not a door of {library}")
        elif library not in sys.stdlib_module_names:
            complaints.append(f"{module}:{item.line}: {library} is not in the table of outside libraries")
    return list(dict.fromkeys(complaints))


def table(page: str, heading: str) -> list[list[str]]:
    """Give the rows of the first table under a heading of a Markdown page, without head and rule."""
    section = page.split(f"\n{heading}\n", 1)[1]
    lines = section[section.index("\n|") :].strip().split("\n\n", 1)[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def code_words(cell: str) -> tuple[str, ...]:
    """Give the words of a table's cell that stand in backquotes."""
    return tuple(re.findall(r"`([^`]+)`", cell))
