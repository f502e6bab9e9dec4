"""A digest of the code that a function reaches: the part of a file that a result used.

A hash of the file would call a result stale for a comment, or for a new function beside
the ones that made it.
"""

import ast
import hashlib
import json
from pathlib import Path
from typing import Any

#: What a definition does not depend on, or what not every Python version tells.
_SILENT = {"annotation", "returns", "type_comment", "type_params", "kind"}
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_ALL = "*"


def reached_digest(root: Path, start: str) -> str:
    """Sixteen hexadecimal digits that name the code reached from a function.

    Reached are the module-level definitions that the function names, directly or by way
    of others, in its own file and in files of the same folder that it imports from.
    Docstrings, comments, annotations and layout do not count. What is imported from
    elsewhere, the library above all, is not followed: whether that still comes to the
    same numbers is for :mod:`lrpbook_lib.training.behavior` to say.

    Parameters
    ----------
    root
        Folder of the checkout.
    start
        ``"path/of/file.py:function"``, below `root`; without a function it is ``main``.

    Returns
    -------
    str
        ``"gone"`` where there is no such function.
    """
    file, _, name = start.partition(":")
    known: dict[Path, dict[str, list[Any]]] = {}
    waiting, seen, told = [(root / file, name or "main")], set(), []
    while waiting:
        path, name = place = waiting.pop(0)
        if place in seen or not path.is_file():
            continue
        seen.add(place)
        meanings = known.get(path) or known.setdefault(path, _meanings(path, root))
        for meaning in meanings.get(name, ()):
            if isinstance(meaning, tuple):  # defined elsewhere
                waiting.append(meaning)
            else:
                names: list[str] = []
                told.append(_plain(meaning, names))
                waiting += [(path, each) for each in names]
    text = json.dumps(told, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16] if told else "gone"


def _meanings(path: Path, root: Path) -> dict[str, list[Any]]:
    """Names of a module to the statements, or places, that give them a meaning."""
    found: dict[str, list[Any]] = {_ALL: []}
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for statement in tree.body:
        if not isinstance(statement, (ast.Import, ast.ImportFrom)):
            for name in {*_defines(statement), _ALL}:
                found.setdefault(name, []).append(statement)
    for node in ast.walk(tree):  # a function may import, too
        if isinstance(node, ast.ImportFrom):
            start = path.parents[node.level - 1] if node.level else root
            module = start.joinpath(*(node.module or "").split("."))
            for alias in node.names:
                place = module.with_suffix(".py"), alias.name
                if module == path.parent:  # a whole module of this folder
                    place = module / f"{alias.name}.py", _ALL
                if place[0].parent == path.parent:
                    found.setdefault(alias.asname or alias.name, []).append(place)
    return found


def _defines(statement: ast.stmt) -> set[str]:
    """The names that a statement of a module gives a meaning to."""
    if isinstance(statement, _DEFINITIONS):
        return {statement.name}
    parts: list[Any] = [statement]  # whatever a loop or a call names, it may change
    if isinstance(statement, ast.Assign):
        parts = list(statement.targets)
    elif isinstance(statement, (ast.AnnAssign, ast.AugAssign)):
        parts = [statement.target]
    nodes = [node for part in parts for node in ast.walk(part)]
    return {node.id for node in nodes if isinstance(node, ast.Name)}


def _plain(node: Any, names: list[str]) -> Any:
    """A syntax tree as JSON can say it; the names that it uses are added to a list."""
    if isinstance(node, list):
        return [_plain(each, names) for each in node]
    if not isinstance(node, ast.AST):
        return repr(node)
    if isinstance(node, ast.Name):
        names.append(node.id)
    parts = dict(ast.iter_fields(node))
    if isinstance(node, _DEFINITIONS) and ast.get_docstring(node, clean=False):
        parts["body"] = node.body[1:]
    # Python versions differ in whether they tell of what is not there.
    told = {k: v for k, v in parts.items() if v not in (None, []) and k not in _SILENT}
    return [type(node).__name__, {k: _plain(v, names) for k, v in told.items()}]
