"""The import rules of ``docs/architecture.md``, read from its tables and held against every module."""

import ast
from pathlib import Path

import pytest

from tests.imports import (
    CLOCK_READINGS,
    HIDDEN_IMPORTS,
    PRINTING,
    Rule,
    broken_imports,
    code_words,
    imports,
    matches,
    modbus_writes,
    sources,
    table,
    uses,
)

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/architecture.md").read_text()
FILES = sources(ROOT)
TREES = {module: ast.parse(path.read_text(), str(path)) for module, path in FILES.items()}
RULES = [Rule(code_words(modules), code_words(allowed)) for modules, allowed in table(PAGE, "### Who may know whom")]
DOORS = {
    library: code_words(modules)
    for names, modules, *_ in table(PAGE, "### One door for each outside library")
    for library in code_words(names)
}

COMMAND_LINE = (
    "agent.cli",
    "agent.terminal",
    "agent.verbs.*",
    "collector.verb",
    "collector.ca.verb",
    "collector.operator.verb",
    "collector.proof.verb_export",
    "collector.proof.verb_verify",
    "firmware_sim.verb",
    "firmware_sim.demo*",
)
COMPOSITION_ROOTS = (
    "agent.clock",
    "agent.clock_kernel",
    "firmware_sim.clock",
    "agent.verbs.*",
    "collector.verb",
    "collector.ca.verb",
    "collector.operator.verb",
    "firmware_sim.verb",
    "firmware_sim.demo*",
)


@pytest.mark.parametrize("module", FILES)
def test_a_module_imports_only_what_the_map_allows(module: str) -> None:
    """Each module knows of ours only what its row of the map names, and outside libraries by their doors."""
    assert broken_imports(module, TREES[module], FILES, RULES, DOORS) == []


def test_every_row_of_the_map_is_of_use() -> None:
    """A row, a pattern or a door that fits no module is a leftover, and would allow what nobody decided."""
    patterns = [pattern for rule in RULES for pattern in (*rule.modules, *rule.allowed)]
    patterns += [pattern for door in DOORS.values() for pattern in door]

    assert [pattern for pattern in patterns if not any(matches(module, [pattern]) for module in FILES)] == []


def test_the_map_itself_keeps_the_three_packages_apart() -> None:
    """The agent never knows collector or simulator, and the simulator nothing of the agent: no row may say so."""
    allowed = {(module.partition(".")[0], name) for rule in RULES for module in rule.modules for name in rule.allowed}

    assert {name for package, name in allowed if package == "agent" and not name.startswith("agent")} == set()
    assert {
        name for package, name in allowed if package == "firmware_sim" and not name.startswith("firmware_sim")
    } == set()
    assert {name for package, name in allowed if package == "collector" and not name.startswith("collector")} <= {
        "agent",  # its version
        "agent.deliver.wire",
        "agent.deliver.chain",
        "agent.deliver.command_table",  # what a command may say, as the wire says how it is said
        "agent.deliver.durable",  # files that are whole or not there
        "agent.deliver.identity.keys",  # public keys in files
        "agent.loopback",
        "agent.watchdog",
        "agent.private_file",
        "agent.terminal",  # how a verb writes
        "agent.records",
        "agent.quantities",
        "agent.errors",
    }


@pytest.mark.parametrize("module", [module for module in FILES if not matches(module, COMMAND_LINE)])
def test_only_the_command_line_prints(module: str) -> None:
    """Everything else logs, returns or raises."""
    assert uses(TREES[module], PRINTING) == []


@pytest.mark.parametrize("module", [module for module in FILES if not matches(module, COMPOSITION_ROOTS)])
def test_only_composition_roots_ask_what_time_it_is(module: str) -> None:
    """Time is an argument: fast motion, replay and tests depend on it."""
    assert uses(TREES[module], CLOCK_READINGS) == []


@pytest.mark.parametrize("module", [module for module in FILES if module.startswith("agent")])
def test_the_agent_cannot_write_to_a_meter(module: str) -> None:
    """No write request of Modbus is named in the agent, and no function code that writes."""
    assert modbus_writes(TREES[module]) == []


@pytest.mark.parametrize("module", FILES)
def test_no_import_hides_in_a_string(module: str) -> None:
    """What is imported by name at run time would escape the map; entry points are the one way."""
    assert uses(TREES[module], HIDDEN_IMPORTS) == []


KNOWN = ("agent.records", "agent.deliver.wire", "collector.store", "firmware_sim.loads")
SAMPLE_RULES = [Rule(("agent.deliver.*",), ("agent.records", "agent.deliver.*"))]
SAMPLE_DOORS = {"paho": ("agent.deliver.link.publisher",), "numpy": ("agent.analyse.*",)}


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("import collector.store", "agent.deliver.spool.spool:1: may not import collector.store"),
        ("from collector import store", "agent.deliver.spool.spool:1: may not import collector.store"),
        (
            "def f():\n    from firmware_sim.loads import farm",
            "agent.deliver.spool.spool:2: may not import firmware_sim.loads",
        ),
        ("if TYPE_CHECKING:\n    import collector", "agent.deliver.spool.spool:2: may not import collector"),
        ("import paho.mqtt.client", "agent.deliver.spool.spool:1: is not a door of paho"),
        ("import numpy as np", "agent.deliver.spool.spool:1: is not a door of numpy"),
        ("import requests", "agent.deliver.spool.spool:1: requests is not in the table of outside libraries"),
    ],
)
def test_the_checker_sees_a_forbidden_import(source: str, complaint: str) -> None:
    """However it is written, at whatever depth."""
    assert broken_imports("agent.deliver.spool.spool", ast.parse(source), KNOWN, SAMPLE_RULES, SAMPLE_DOORS) == [
        complaint
    ]


@pytest.mark.parametrize(
    "source",
    [
        "import agent.records",
        "from agent.deliver import wire",
        "import os.path",
        "if TYPE_CHECKING:\n    import numpy as np",
    ],
)
def test_the_checker_lets_an_allowed_import_pass(source: str) -> None:
    """The map's own names, the standard library, and outside names that only the type checker reads."""
    assert broken_imports("agent.deliver.spool.spool", ast.parse(source), KNOWN, SAMPLE_RULES, SAMPLE_DOORS) == []


def test_the_checker_refuses_a_module_that_the_map_does_not_name() -> None:
    """A new room gets its row before anything moves in."""
    complaints = broken_imports("agent.cellar", ast.parse(""), KNOWN, SAMPLE_RULES, SAMPLE_DOORS)

    assert complaints == ["agent.cellar: no row of the import map names it"]


def test_a_module_and_a_name_in_a_module_are_told_apart() -> None:
    """``from agent.deliver import wire`` knows the module ``wire``, ``from agent.records import Window`` the nouns."""
    tree = ast.parse("from agent.deliver import wire\nfrom agent.records import Window")

    assert [item.target for item in imports(tree, KNOWN)] == ["agent.deliver.wire", "agent.records"]


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.time()",
        "import time as t\nt.time()",
        "from time import time\nnow = field(default_factory=time)",
        "from datetime import datetime\ndatetime.now(UTC)",
        "import datetime as d\nd.datetime.utcnow()",
    ],
)
def test_the_checker_sees_a_reading_of_the_clock(source: str) -> None:
    """Called or handed on, under whatever alias."""
    assert [line for _, line in uses(ast.parse(source), CLOCK_READINGS)] == [2]


def test_the_checker_lets_durations_pass() -> None:
    """``time.monotonic`` measures how long something takes, not what time it is."""
    assert uses(ast.parse("import time\ntime.monotonic()\nclock.time()"), CLOCK_READINGS) == []


@pytest.mark.parametrize(
    "source",
    [
        "client.write_register(1, 2)",
        "client.write_coils(1, [True])",
        "from pymodbus.pdu.register_message import WriteMultipleRegistersRequest",
        "client.mask_write_register(1)",
        "client.readwrite_registers()",
        "request(function=16)",
        "function_code = 6",
        "ok = request.function in (3, 4, 23)",
    ],
)
def test_the_checker_sees_a_modbus_write(source: str) -> None:
    """By the name of the request or by the function code."""
    assert modbus_writes(ast.parse(source)) == [1]


def test_the_checker_lets_modbus_reads_pass() -> None:
    """Functions 3 and 4, and a count that happens to be 16."""
    assert modbus_writes(ast.parse("client.read_holding_registers(1, count=16)\nok = function in (3, 4)")) == []


def test_the_checker_sees_printing_and_hidden_imports() -> None:
    """By their plain names and by the modules that hold them."""
    tree = ast.parse("print(1)\nsys.stdout.write('x')\nimportlib.import_module('collector')\n__import__('collector')")

    assert [line for _, line in uses(tree, PRINTING)] == [1, 2]
    assert [line for _, line in uses(tree, HIDDEN_IMPORTS)] == [3, 4]
