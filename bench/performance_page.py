"""The page ``docs/performance.md``, whose sections are measured by programs of their own."""

from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs/performance.md"
_HEADING = "\n## "


def write_sections(sections: list[str]) -> None:
    """Put sections into the page, in the place of those with the same heading."""
    page = PAGE.read_text().split(_HEADING) if PAGE.exists() else []
    parts = {_title(part): part.removesuffix("\n") for part in page}
    parts |= {_title(section): section.removeprefix(_HEADING.lstrip()).removesuffix("\n") for section in sections}
    PAGE.write_text(_HEADING.join(f"{part}\n" for part in parts.values()))


def _title(section: str) -> str:
    return section.removeprefix(_HEADING.lstrip()).partition("\n")[0]
