"""Sets of record numbers as closed ranges: 13,500 records that wait in a row cost as much as one."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class Ranges:
    """Whole numbers, kept as closed ranges in order, none of which touch.

    >>> waiting = Ranges([(1, 9)])
    >>> waiting.remove(4, 5)
    >>> waiting.add(20)
    >>> list(waiting), 4 in waiting, waiting.first_from(4), len(waiting)
    ([(1, 3), (6, 9), (20, 20)], False, 6, 8)
    """

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in ranges:
            self.add(first, last)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(tuple(zip(self._firsts, self._lasts, strict=True)))

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self)

    def __bool__(self) -> bool:
        return bool(self._firsts)

    def __contains__(self, number: int) -> bool:
        return self.first_from(number) == number

    def add(self, first: int, last: int | None = None) -> None:
        """Add ``first..last``, or one number; an empty range adds nothing."""
        last = first if last is None else last
        if first > last:
            return
        low, high = bisect_left(self._lasts, first - 1), bisect_right(self._firsts, last + 1)
        if low < high:  # these touch it
            first, last = min(first, self._firsts[low]), max(last, self._lasts[high - 1])
        self._firsts[low:high], self._lasts[low:high] = [first], [last]

    def remove(self, first: int, last: int | None = None) -> None:
        """Take ``first..last``, or one number, out, as far as it is in."""
        last = first if last is None else last
        low, high = bisect_left(self._lasts, first), bisect_right(self._firsts, last)
        if first > last or low >= high:
            return
        rests = (self._firsts[low], first - 1), (last + 1, self._lasts[high - 1])
        kept = [rest for rest in rests if rest[0] <= rest[1]]
        self._firsts[low:high] = [rest[0] for rest in kept]
        self._lasts[low:high] = [rest[1] for rest in kept]

    def first_from(self, number: int) -> int | None:
        """Give the lowest one that is not below ``number``."""
        at = bisect_left(self._lasts, number)
        return max(number, self._firsts[at]) if at < len(self._firsts) else None

    def last_outside(self, number: int) -> int:
        """Give the highest number, up to ``number``, that is not in."""
        at = bisect_left(self._lasts, number)
        return self._firsts[at] - 1 if at < len(self._firsts) and self._firsts[at] <= number else number
