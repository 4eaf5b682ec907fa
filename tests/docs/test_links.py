"""Links between the pages lead somewhere: to a file of the tree, and to a heading of it."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import FENCE, ROOT, pages, read

LINK = re.compile(r"\[[^\]\n]*(?:\n[^\]\n]*)?\]\(([^)\s]+)\)")
EVERYTHING = [*pages(), "sql/README.md"]


def prose(page: str) -> str:
    """A page without its code blocks."""
    return FENCE.sub("", read(page))


def anchors(page: str) -> set[str]:
    """What its headings are called in links."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", prose(page), re.M):
        text = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower())
        slug, number = text.strip().replace(" ", "-"), 0
        while (f"{slug}-{number}" if number else slug) in found:
            number += 1
        found.add(f"{slug}-{number}" if number else slug)
    return found


@pytest.mark.parametrize("page", EVERYTHING)
def test_links_resolve(page: str) -> None:
    for target in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", target):
            assert target.startswith("https://"), f"{page}: {target}"
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), f"{page}: {target}"
        if anchor:
            assert anchor in anchors(str(file.resolve().relative_to(ROOT))), f"{page}: {target}"


def test_every_page_is_on_the_index() -> None:
    listed = set(LINK.findall(prose("docs/index.md")))
    there = {path.name for path in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert listed == there


def test_paths_named_in_prose_exist() -> None:
    for page in EVERYTHING:
        for path in re.findall(
            r"`((?:sql|docs|tests|cli|plpython|ducto_pg)/[\w./-]+)`", prose(page)
        ):
            assert (ROOT / path).exists(), f"{page}: {path}"
