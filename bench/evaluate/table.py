"""Tables in Markdown, which read well in a terminal too."""

from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Give a table whose columns are as wide as their widest cell; figures stand to the right.

    >>> print(table(["a farm of", "found"], [["10 %", "0.05"], ["100 %", "1.00"]]))
    | a farm of | found |
    |-----------|------:|
    | 10 %      |  0.05 |
    | 100 %     |  1.00 |
    """
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    rule = "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])])
    return "\n".join([_line(head, widths), f"|{rule}|", *(_line(row, widths) for row in rows)])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
    return f"| {' | '.join(padded)} |"
