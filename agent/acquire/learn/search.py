"""Why a meter refuses a block: a search by halves for the addresses that it does not have.

A refused block is taken for a row of registers with gaps between some of them. The search asks for
pieces of the row and infers what it can: a part of what was answered would be answered, and what
holds a refused part would be refused.
"""

from collections.abc import Generator, Sequence

from agent.records import Register

Piece = tuple[int, int]  # index of the first and of the last register of a piece


class Search:
    """The search in one row of registers, in the order of their addresses, of one function code.

    ``piece`` is what to ask next, None at the end. For ``n`` registers with ``k`` faults it asks at
    most ``(k + 1) * (ceil(log2(n)) + 3)`` pieces. ``whole_refused``: the row as a whole was refused
    for certain, so a row of one register needs no further question.
    """

    def __init__(self, registers: Sequence[Register], *, whole_refused: bool) -> None:
        self.registers = tuple(registers)
        self.runs: list[Piece] = []  # pieces that are answered; together they are what can be read
        self.holes: list[tuple[int, int]] = []  # first and last address of unlisted registers that are refused
        self.refused: list[str] = []  # names of registers that are refused alone
        self.limit: int | None = None  # registers of the longest read that is answered, where length is the fault
        self._answered: list[Piece] = []
        self._refused = [(0, len(registers) - 1)] if whole_refused or len(registers) > 1 else []
        self._steps = self._walk()
        self.piece = self._next(None)

    def answer(self, answered: bool) -> None:
        """Note whether the piece was answered, and go on to the next."""
        assert self.piece is not None
        (self._answered if answered else self._refused).append(self.piece)
        self.piece = self._next(answered)

    def span(self, piece: Piece) -> tuple[int, int]:
        """Give address and count of a piece."""
        first, last = self.registers[piece[0]], self.registers[piece[1]]
        return first.address, last.address + last.count - first.address

    def _next(self, answered: bool | None) -> Piece | None:
        """Go on until a piece comes up whose answer cannot be inferred."""
        try:
            piece = next(self._steps) if answered is None else self._steps.send(answered)
            while (inferred := self._infer(piece)) is not None:
                piece = self._steps.send(inferred)
        except StopIteration:
            return None
        return piece

    def _infer(self, piece: Piece) -> bool | None:
        if any(first <= piece[0] and piece[1] <= last for first, last in self._answered):
            return True
        if any(piece[0] <= first and last <= piece[1] for first, last in self._refused):
            return False
        return None

    def _walk(self) -> Generator[Piece, bool, None]:
        """From left to right find the longest piece that is answered, and why it ends where it ends."""
        end = len(self.registers) - 1
        begin = 0
        while begin <= end:
            last = end if (yield begin, end) else (yield from self._longest(begin, end))
            if last >= begin:
                self.runs.append((begin, last))
            if last == end:
                return
            begin = yield from self._explain(begin, last)
            if self.limit is not None:
                return

    def _longest(self, begin: int, end: int) -> Generator[Piece, bool, int]:
        """Give the last register up to which a piece from ``begin`` is answered; ``begin - 1`` where none is."""
        low, high = begin - 1, end
        while high - low > 1:
            middle = (low + high) // 2
            if (yield begin, middle):
                low = middle
            else:
                high = middle
        if low < begin and (yield begin, begin):  # a row of one register, of which only silence is known
            return begin
        return low

    def _explain(self, begin: int, last: int) -> Generator[Piece, bool, int]:
        """Find why the piece that begins at ``begin`` must end at ``last``; give where to go on."""
        after = last + 1
        if last < begin or not (yield after, after):
            self.refused.append(self.registers[after].name)
            return after + 1
        first = self.registers[last].address + self.registers[last].count
        if first < self.registers[after].address and not (yield last, after):
            self.holes.append((first, self.registers[after].address - 1))
        else:
            self.limit = self.span((begin, last))[1]
        return after
