"""Joins the evaluator's modules into the text of one self-contained program.

`bundle("runtime")` is what a charge needs (no `ast`), `bundle("compiler")` adds the language and
the validation of configs. The text defines every module's top-level names in one namespace, in
order of dependency. Removed from it are the imports between the modules, `from __future__`, the
blocks under TYPE_CHECKING and all annotations, so that it also runs nested in a function body (as
PL/Python makes of it) and on Python 3.9. Comments and docstrings stay: what is installed in the
database can be read there. No line contains a dollar sign followed by a dollar sign, so the text
may be dollar-quoted.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from ducto_pg.plpython.language import PARSING

PACKAGE = "ducto_pg.plpython"

BUNDLES = {
    "runtime": ("names", "machine", "runtime"),
    "compiler": ("names", "machine", "runtime", "language", "config"),
}


@cache
def bundle(name: str) -> str:
    """The source text of one program made of the modules of a bundle."""
    parts = [
        f"# {PACKAGE}.{module}\n{standalone(module_source(module))}" for module in BUNDLES[name]
    ]
    text = "\n\n".join(parts)
    if "$$" in text:
        raise ValueError("the evaluator's text cannot be dollar-quoted")
    return text


def module_source(module: str) -> str:
    """The text of one module of the package, as installed."""
    return (Path(__file__).parent / f"{module}.py").read_text(encoding="utf-8")


def standalone(source: str) -> str:
    """The module's text without annotations, typing blocks and imports within the package."""
    encoded = source.encode()
    starts = [0]
    for line in encoded.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    kept: list[bytes] = []
    position = 0
    with PARSING:
        tree = ast.parse(source)
    for start, end in sorted(_removals(tree, encoded, starts)):
        kept.append(encoded[position:start])
        position = end
    kept.append(encoded[position:])
    return b"".join(kept).decode().strip() + "\n"


def _removals(tree: ast.Module, encoded: bytes, starts: list[int]) -> Iterator[tuple[int, int]]:
    """The byte ranges to leave out; no two overlap."""
    typing_blocks = [node for node in tree.body if _is_typing_block(node)]
    inside = {id(child) for block in typing_blocks for child in ast.walk(block)}
    for node in ast.walk(tree):
        if node in typing_blocks or (id(node) not in inside and _is_internal_import(node)):
            assert isinstance(node, ast.stmt) and node.end_lineno is not None
            yield starts[node.lineno - 1], starts[node.end_lineno]
        elif id(node) not in inside:
            yield from _annotation_ranges(node, encoded, starts)


def _is_typing_block(node: ast.AST) -> bool:
    if isinstance(node, ast.Assign):
        target = node.targets[0]
        return isinstance(target, ast.Name) and target.id == "TYPE_CHECKING"
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


def _is_internal_import(node: ast.AST) -> bool:
    return isinstance(node, ast.ImportFrom) and (
        node.module == "__future__" or (node.module or "").startswith(PACKAGE)
    )


def _annotation_ranges(
    node: ast.AST, encoded: bytes, starts: list[int]
) -> Iterator[tuple[int, int]]:
    if isinstance(node, ast.arg) and node.annotation is not None:
        begin = starts[node.lineno - 1] + node.col_offset + len(node.arg.encode())
        yield begin, _end(node.annotation, starts)
    elif isinstance(node, ast.FunctionDef) and node.returns is not None:
        returns = starts[node.returns.lineno - 1] + node.returns.col_offset
        yield encoded.rindex(b"->", 0, returns) - 1, _end(node.returns, starts)
    elif isinstance(node, ast.AnnAssign):
        if node.value is None:
            raise ValueError(f"line {node.lineno}: a bare annotation cannot be left out")
        yield _end(node.target, starts), _end(node.annotation, starts)


def _end(node: ast.expr, starts: list[int]) -> int:
    assert node.end_lineno is not None and node.end_col_offset is not None
    return starts[node.end_lineno - 1] + node.end_col_offset
