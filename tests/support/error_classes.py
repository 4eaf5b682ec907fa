"""Writes the exception classes of `ducto_pg/errors.py` from the error catalogue.

`python -m tests.support.error_classes` rewrites what stands below the marker line.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from ducto_pg.install.manifest import CatalogueError, load_errors

MARKER = "# --- generated from sql/errors.yaml by `make errors`; change it there ---\n"
WIDTH = 100

# What the catalogue says only where there is a nearest name.
OPTIONAL = re.compile(r"\[.*\]")

# Names that say more in Python than the catalogue's, and what else an error is.
NAMES = {"invalid_pricing_config": "ConfigError"}
BASES = {
    "invalid_argument": ("DuctoError", "ValueError"),
    "invalid_expression": ("ConfigError",),
    "invalid_pricing_config": ("DuctoError", "ValueError"),
    "unknown_fixed_job": ("DuctoError", "ValueError"),
    "unknown_model": ("DuctoError", "ValueError"),
}


def source_file() -> Path:
    """The module whose tail is generated."""
    return Path(__file__).parents[2] / "ducto_pg" / "errors.py"


def class_name(name: str) -> str:
    """`insufficient_credits` is raised as `InsufficientCreditsError`."""
    if name in NAMES:
        return NAMES[name]
    return "".join(word.capitalize() for word in name.removesuffix("_error").split("_")) + "Error"


def render(errors: tuple[CatalogueError, ...]) -> str:
    """The classes, and the table that finds one by its code."""
    in_order = sorted(errors, key=lambda error: "ConfigError" in BASES.get(error.name, ()))
    classes = [_render_class(error) for error in in_order]
    table = "".join(f'    "{error.code}": {class_name(error.name)},\n' for error in errors)
    return "\n".join(classes) + f"\n\nCLASSES: dict[str, type[DuctoError]] = {{\n{table}}}\n"


def _render_class(error: CatalogueError) -> str:
    bases = BASES.get(error.name, ("DuctoError",))
    facts = f"Facts: {', '.join(error.detail)}." if error.detail else "It carries no facts."
    documentation = textwrap.fill(facts, WIDTH - 4, subsequent_indent="    ")
    return (
        f"\nclass {class_name(error.name)}({', '.join(bases)}):\n"
        f'    """{error.code} {error.name}.\n\n'
        f'    {documentation}\n    """\n\n'
        f'    code = "{error.code}"\n'
        f'    name = "{error.name}"\n'
        f"    http_status = {error.http_status}\n"
        f"    {_assignment('default_message', error.message)}\n"
        f"    {_assignment('default_hint', OPTIONAL.sub('', error.hint))}\n"
    )


def _assignment(name: str, text: str) -> str:
    """An assignment laid out as the formatter does: on one line, in brackets, or in pieces."""
    quoted = _literal(text)
    if len(quoted) + len(f"    {name} = ") <= WIDTH:
        return f"{name} = {quoted}"
    pieces = [quoted]
    if len(quoted) + 8 > WIDTH:
        lines = textwrap.wrap(text, WIDTH - 12, drop_whitespace=False, break_long_words=False)
        pieces = [_literal(line) for line in lines]
    body = "".join(f"        {piece}\n" for piece in pieces)
    return f"{name} = (\n{body}    )"


def _literal(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def expected() -> str:
    """What the module should contain."""
    head, _, _ = source_file().read_text(encoding="utf-8").partition(MARKER)
    tail = render(load_errors())
    names = sorted(re.findall(r"^class (\w+)\(", head + tail, re.MULTILINE))
    exported = "".join(f'    "{name}",\n' for name in names)
    return head + MARKER + "\n" + tail + f"\n__all__ = [  # the exceptions\n{exported}]\n"


if __name__ == "__main__":
    source_file().write_text(expected(), encoding="utf-8")
