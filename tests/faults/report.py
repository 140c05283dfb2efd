"""The page docs/reliability.md: the table of the last full run, between two marks of the page."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tests.faults.case import CASES, GROUPS, listed
from tests.faults.process import ROOT

PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- faults: begin (written by make faults) -->", "<!-- faults: end -->"


def table(results: Sequence[Mapping[str, Any]], *, date: str, minutes: float, seed: int) -> str:
    """Give the text between the marks."""
    by_case = {str(result["case"]): result for result in results}
    counts = Counter(str(result["verdict"]) for result in results)
    lines = [
        f"Run of {date}, seed {seed}, {minutes:.0f} minutes on two cores: "
        f"{counts['passed']} passed, {counts['failed']} failed, {counts['not possible']} not possible, "
        f"of {len(listed())} listed.",
    ]
    for group, title in GROUPS.items():
        lines += ["", f"### {title}", "", "| | fault | injection: what must hold besides I1 to I8 | | measured |"]
        lines.append("|---|---|---|---|---|")
        lines += [_row(number, by_case.get(number)) for number in listed() if number[0] == group]
    return "\n".join(lines) + "\n"


def _row(number: str, result: Mapping[str, Any] | None) -> str:
    case = CASES.get(number)
    name, rule = (case.fault, case.rule) if case else ("", "not written")
    verdict, text = (str(result["verdict"]), str(result["text"])) if result else ("not run", "")
    text = " ".join(text.split())[:300]
    if excused := ", ".join(result.get("excused", ())) if result else "":
        text += f" (not asked: {excused})"
    shown = verdict if verdict == "passed" else f"**{verdict}**"
    cells = (number, name, rule, shown, text)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def write(results: Sequence[Mapping[str, Any]], *, date: str, minutes: float, seed: int) -> None:
    """Replace what stands between the marks of the page."""
    page = PAGE.read_text()
    head, rest = page.split(BEGIN, 1)
    _, tail = rest.split(END, 1)
    text = table(results, date=date, minutes=minutes, seed=seed)
    PAGE.write_text(f"{head}{BEGIN}\n{text}{END}{tail}")
