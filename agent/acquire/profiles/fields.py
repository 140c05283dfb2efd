"""What each key of a profile may say, in words that teach: the tables of docs/adding-a-meter.md."""

from collections.abc import Mapping, Sequence

from agent.records import Tier
from agent.toml_check import Field, Rule, did_you_mean, flag, list_of, matching, number, one_of, text, whole

ORDERS = ("AB", "BA", "ABCD", "CDAB", "BADC", "DCBA", "ABCDEFGH", "GHEFCDAB", "BADCFEHG", "HGFEDCBA")
LAST_ADDRESS = 0xFFFF
_NAME = matching("[a-z][a-z0-9_]*", "a name of a-z, 0-9 and _")
_DTYPES = ("u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64")
_DTYPES_ELSEWHERE = {
    **{f"{word}{bits}": f"{letter}{bits}" for word, letter in (("uint", "u"), ("int", "i")) for bits in (16, 32, 64)},
    "float": "f32",
    "float32": "f32",
    "float64": "f64",
    "double": "f64",
    "word": "u16",
    "dword": "u32",
}
_ORDERS_ELSEWHERE = {"big": "ABCD", "1234": "ABCD", "little": "CDAB", "3412": "CDAB", "2143": "BADC", "4321": "DCBA"}
_MANUAL_FUNCTIONS = {3: 4, 4: 3}  # the first digit of a manual's number, and the function that reads it


def _word(words: Sequence[str], elsewhere: Mapping[str, str]) -> Rule:
    """Accept one of our words, and know what others call it."""

    def rule(value: object) -> object:
        if value in words:
            return value
        ours = elsewhere.get(str(value).lower())
        hint = f', did you mean "{ours}"?' if ours else did_you_mean(value, words)
        raise ValueError(f"one of {', '.join(words)}{hint}")

    return rule


def _function(value: object) -> int:
    if not isinstance(value, int) or value not in (3, 4):
        raise ValueError("3 (holding registers) or 4 (input registers); the agent only reads")
    return value


def _address(value: object) -> int:
    """Accept an address as on the wire; tell what a manual's six-digit number means."""
    expected = f"a number from 0 to {LAST_ADDRESS}, as on the wire"
    if isinstance(value, str):
        raise ValueError(f"{expected}, without quotes: 0x0012 or 18")
    if isinstance(value, int):
        digit, offset = divmod(value - 1, 100_000)
        if digit in _MANUAL_FUNCTIONS and offset <= LAST_ADDRESS:
            function = _MANUAL_FUNCTIONS[digit]
            raise ValueError(f"{expected}: a manual's {value} is address {offset} of function {function}")
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LAST_ADDRESS:
        raise ValueError(expected)
    return value


def _address_range(value: object) -> tuple[int, int]:
    ends = value if isinstance(value, list) else []
    if len(ends) != 2 or not all(type(end) is int and 0 <= end <= LAST_ADDRESS for end in ends) or ends[0] > ends[1]:
        raise ValueError("a pair [first, last] of addresses, such as [0x0014, 0x0017]")
    return ends[0], ends[1]


def _scale(value: object) -> float:
    scale = float(number()(value))
    if not scale:
        raise ValueError("a number other than 0")
    return scale


def _sources(value: object) -> tuple[str, ...]:
    if not value:
        raise ValueError('a list of texts, at least one: the manual with its revision, as ["Acme E3 manual, rev. 1.4"]')
    sources: tuple[str, ...] = list_of(text)(value)
    return sources


METER = (
    Field("maker", text),
    Field("model", text),
    Field("phases", one_of(1, 2, 3)),
    Field("sources", _sources),
    Field("left_out", list_of(text), default=()),
)

LIMITS = (
    Field("max_registers", whole(1, 125), default=125),  # 125 is what a Modbus reply can carry
    Field("max_gap", whole(0, 124), default=None),
    Field("forbidden", list_of(_address_range), default=()),
    Field("even_blocks", flag, default=False),
    Field("single", list_of(_NAME), default=()),
    Field("min_gap_ms", number(0, 10_000, expected="milliseconds, from 0 to 10000"), default=0.0),
    Field("min_timeout_ms", number(0, 10_000, expected="milliseconds, from 0 to 10000"), default=0.0),
)

SERIAL = (
    Field("baud", whole(300, 4_000_000), default=0),
    Field("parity", one_of("N", "E", "O"), default=""),
    Field("stopbits", one_of(1, 2), default=0),
)

SUNSPEC = (Field("models", list_of(whole(1, 0xFFFF)), default=()),)

COMMON = (  # what [defaults] may say for every entry; the required ones must come from there or from the entry
    Field("function", _function),
    Field("dtype", _word(_DTYPES, _DTYPES_ELSEWHERE)),
    Field("order", _word(ORDERS, _ORDERS_ELSEWHERE)),
    Field("verified", matching("2 sources|1 source", '"2 sources" where two independent ones agree, else "1 source"')),
    Field("scale", _scale, default=1.0),
    Field("tier", one_of(*(str(tier) for tier in Tier)), default="fast"),
    Field("absent", list_of(whole(0, 2**64 - 1)), default=()),
)

OWN = (
    Field("address", _address),
    Field("multiply_by", list_of(_NAME), default=()),
    Field("exponent_from", _NAME, default=""),
    Field("plus", list_of(_NAME), default=()),
    Field("minus", list_of(_NAME), default=()),
)
