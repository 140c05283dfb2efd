"""The checkers of all files, under random damage."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.acquire.profiles.profile import load_profile
from agent.config import load_gateway, load_site
from agent.errors import Complaint, InputError

CONFIGS = Path(__file__).parents[2] / "configs"
READERS: list[tuple[Callable[[Path], object], str]] = [
    (load_gateway, "gateway.example.toml"),
    (load_site, "site.example.toml"),
    (load_profile, "meters/sunspec_203.toml"),
    (load_profile, "meters/chint_dtsu666.toml"),
]
ODD = [
    "3", "-1", "1e400", "nan", "true", '""', '"x"', "[]", '["a"]', "[[1]]", "{}", "{ a = 1 }", "[{ a = 1 }]",
    "1979-05-27", "99999999999999999999", '"tcp://["', '"mqtt://[::1"', '"mqtt://a:b"', '"\\u0000"',
]  # fmt: skip
VALUE = re.compile(r'= ("[^"]*"|[\w.]+|\[[^\]]*\])')


@pytest.mark.parametrize(("read", "name"), READERS)
@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_value_of_a_wrong_type_is_more_than_a_complaint(
    read: Callable[[Path], object], name: str, tmp_path: Path, data: st.DataObject
) -> None:
    """Whatever stands where a value should: the file is accepted or refused with a reason, and never a crash."""
    text = (CONFIGS / name).read_text()
    places = list(VALUE.finditer(text))
    place, odd = data.draw(st.sampled_from(places)), data.draw(st.sampled_from(ODD))
    path = tmp_path / "damaged.toml"
    path.write_text(f"{text[: place.start()]}= {odd}{text[place.end() :]}")

    lines = [complaint.line for complaint in complaints(read, path)]

    assert all(0 < line <= len(text.splitlines()) for line in lines)


def complaints(read: Callable[[Path], object], path: Path) -> tuple[Complaint, ...]:
    """Give what a reader says against a file; anything but InputError is its fault."""
    try:
        read(path)
    except InputError as error:
        return error.complaints
    return ()
