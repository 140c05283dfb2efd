"""Where a key of a TOML file stands."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import InputError
from agent.toml_source import KeyPath, read_toml

TRICKY = '''
top = """
[not.a.header]
key = "neither"
"""          # "quotes" in a comment
[a.b]
"quoted key".inner = 'literal # no comment'
list = [
  1, "two ] , #",   # a comment, with ] and "
  { x = 1, y = [ { z = 2 } ] },
]
[[a.b.c]]
k = 1
[[a.b.c]]
[a.b.c.sub]
k = 2
"\\u00e9" = 3
'''


def lines_of(tmp_path: Path, text: str) -> dict[KeyPath, int]:
    """Give the lines of a text."""
    path = tmp_path / "some.toml"
    path.write_bytes(text.encode())
    return dict(read_toml(path).lines)


def test_every_kind_of_key_has_its_line(tmp_path: Path) -> None:
    """Strings that look like headers, dotted and quoted keys, inline tables and arrays of tables are told apart."""
    lines = lines_of(tmp_path, TRICKY)

    assert lines == {
        ("top",): 2,
        ("a",): 6,
        ("a", "b"): 6,
        ("a", "b", "quoted key"): 7,
        ("a", "b", "quoted key", "inner"): 7,
        ("a", "b", "list"): 8,
        ("a", "b", "list", 0): 9,
        ("a", "b", "list", 1): 9,
        ("a", "b", "list", 2): 10,
        ("a", "b", "list", 2, "x"): 10,
        ("a", "b", "list", 2, "y"): 10,
        ("a", "b", "list", 2, "y", 0): 10,
        ("a", "b", "list", 2, "y", 0, "z"): 10,
        ("a", "b", "c"): 12,
        ("a", "b", "c", 0): 12,
        ("a", "b", "c", 0, "k"): 13,
        ("a", "b", "c", 1): 14,
        ("a", "b", "c", 1, "sub"): 15,
        ("a", "b", "c", 1, "sub", "k"): 16,
        ("a", "b", "c", 1, "sub", "é"): 17,
    }


def test_line_ends_of_windows_count_once(tmp_path: Path) -> None:
    """A file saved on Windows has the same lines."""
    lines = lines_of(tmp_path, "a = 1\r\n\r\n[t]\r\nb = 2\r\n")

    assert lines == {("a",): 1, ("t",): 3, ("t", "b"): 4}


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    """Some editors of Windows begin every file with one."""
    lines = lines_of(tmp_path, "\N{ZERO WIDTH NO-BREAK SPACE}a = 1\n")

    assert lines == {("a",): 1}


def test_a_key_that_is_not_there_has_the_line_of_its_table(tmp_path: Path) -> None:
    """A missing key is complained about where it should have been."""
    path = tmp_path / "some.toml"
    path.write_text("\n[t]\nb = 2\n")

    source = read_toml(path)

    assert source.line(("t", "missing", "deeper")) == 2
    assert source.line(("nothing",)) == 1


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"a = 1\nb = \n", ":2: syntax: expected a value: 0x0012, 0.1, true"),
        (b"a = 1\nb = 2\na = 3\n", ":3: syntax: this key is there already"),
        (b"a = {\n  x = 1,\n}", ":1: syntax: expected a key; a table in { } is one line"),
        (b"a = " + b"9" * 5000, ":1: syntax: a number has thousands of digits"),
        (b"a = 1\n" * 200_000, ":1: file: longer than 1 MB"),
        (b"a = [1\n", ":1: syntax: "),
        (b"a = " + b"[" * 5000, ":1: syntax: arrays or tables are nested too deeply"),
        (b'a = 1\nb = "\xff"\n', ":2: encoding: not UTF-8; save the file as UTF-8 text"),
    ],
)
def test_what_is_no_toml_is_refused_with_its_line(tmp_path: Path, content: bytes, complaint: str) -> None:
    """A syntax error or another encoding is one located complaint."""
    path = tmp_path / "some.toml"
    path.write_bytes(content)

    with pytest.raises(InputError) as caught:
        read_toml(path)

    assert str(caught.value).startswith(f"{path}{complaint}")


def test_a_file_that_cannot_be_read_is_one_complaint(tmp_path: Path) -> None:
    """A missing file and a folder are wrong input, not a crash."""
    for path in (tmp_path / "missing.toml", tmp_path):
        with pytest.raises(InputError, match="file: cannot be read"):
            read_toml(path)


BARE = st.text("abcxyz_-09", min_size=1, max_size=4)
SCALAR = st.sampled_from(["1", "true", '"a # ] } , = "', "'[x]'", "1979-05-27T07:32:00Z", "-1_000.5e3", '"""q"""'])
VALUE = st.recursive(
    SCALAR,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[ {', '.join(items)} ]")
        | st.dictionaries(BARE, inner, max_size=3).map(
            lambda pairs: "{ " + ", ".join(f"{key} = {value}" for key, value in pairs.items()) + " }"
        )
    ),
    max_leaves=6,
)


def paths(value: object, path: KeyPath = ()) -> set[KeyPath]:
    """Give every path of the data that the standard library read."""
    items = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    return {path} | {deeper for key, inner in items for deeper in paths(inner, (*path, key))}


@given(tables=st.dictionaries(BARE, st.dictionaries(BARE, VALUE, max_size=4), max_size=4))
def test_the_scanner_finds_exactly_the_keys_that_the_standard_library_finds(
    tables: dict[str, dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """On any mix of values, each path of the data has a line, and no line is for anything else."""
    path = tmp_path_factory.mktemp("toml") / "some.toml"
    text, expected = "", {}
    for table, pairs in tables.items():
        text += f"[{table}] # comment\n"
        for key, value in pairs.items():
            text += f"{key} = {value}\n"
            expected[(table, key)] = text.count("\n")
    path.write_text(text)

    source = read_toml(path)

    assert set(source.lines) == paths(source.data) - {()}
    assert {path: source.lines[path] for path in expected} == expected
