"""The layers of the engine, lowest first: a module imports from lower ones only. And how long a file may be."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import gateway_proto

PACKAGE = Path(gateway_proto.__file__).parent
REPOSITORY = PACKAGE.parent
TRANSPORTS = REPOSITORY / "transports" / "gateway_transports"

LAYERS: tuple[frozenset[str], ...] = tuple(
    frozenset(layer.split())
    for layer in (
        "http_head",
        "backoff close_codes guilds heartbeat intents opcodes presence ratelimit secret setbacks sharding stage timers",
        "errors",
        "codec commands compression event_intents session url",
        "events websocket",
        "actions config route",
        "connection outbox requests tally websocket_ext",
        "lifecycle",
        "conversation snapshot",
        "shard",
        "gateway_proto",  # the face: what a user imports
        "discovery",
        "fleet",
        "world",
        "server",
        "testing",
    )
)
"""`events`, `fleet`, `requests`, `server`, `testing`, `websocket` and `world` are packages, each one layer.
A module is listed once."""

MAX_FILE = 700
MAX_FUNCTION = 70
MODULES = sorted(PACKAGE.glob("**/*.py"))
ALL_SOURCES = [*MODULES, *sorted(TRANSPORTS.glob("**/*.py"))]


def name_of(source: Path) -> str:
    """`gateway_proto/websocket/lane.py` is `gateway_proto.websocket.lane`."""
    parts = source.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(source) for source in MODULES}


def layer_name(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def height(module: str) -> int:
    [level] = [level for level, layer in enumerate(LAYERS) if layer_name(module) in layer]
    return level


def imported(source: Path) -> Iterator[str]:
    """The modules of the engine that this one imports, wherever in it the import stands."""
    package = name_of(source).split(".")
    if source.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in NAMES)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                name = f"{module}.{alias.name}"
                if name in NAMES:
                    yield name
                elif module in NAMES:
                    yield module


GRAPH = {name_of(source): set(imported(source)) for source in MODULES}


def test_every_module_is_in_one_layer_and_every_name_is_a_module() -> None:
    listed = [name for layer in LAYERS for name in layer]
    assert len(listed) == len(set(listed))
    assert {layer_name(module) for module in GRAPH} == set(listed)


@pytest.mark.parametrize("module", sorted(GRAPH))
def test_imports_point_down(module: str) -> None:
    up = {
        other
        for other in GRAPH[module]
        if height(other) >= height(module) and not (layer_name(other) == layer_name(module) and "." in module)
    }
    assert not up, f"{module} imports {up} of its own or a higher layer"


def test_no_cycles() -> None:
    below: set[str] = set()
    while ready := {module for module, others in GRAPH.items() if module not in below and others <= below}:
        below |= ready
    assert below == GRAPH.keys(), f"a cycle in {GRAPH.keys() - below}"


def test_the_parser_sees_the_imports() -> None:
    assert GRAPH["gateway_proto.shard"] >= {"gateway_proto.lifecycle", "gateway_proto.websocket.external"}
    assert GRAPH["gateway_proto.websocket.lane"] >= {"gateway_proto.errors", "gateway_proto.websocket.frames"}
    assert "gateway_proto.shard" in GRAPH["gateway_proto"]


@pytest.mark.parametrize("source", MODULES, ids=name_of)
def test_the_engine_knows_no_transport(source: Path) -> None:
    assert "gateway_transports" not in {
        name.split(".")[0]
        for node in ast.walk(ast.parse(source.read_text()))
        for name in ([a.name for a in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", "")])
        if name
    }


@pytest.mark.parametrize("source", ALL_SOURCES, ids=lambda source: source.relative_to(REPOSITORY).as_posix())
def test_no_file_and_no_function_is_too_long(source: Path) -> None:
    text = source.read_text()
    assert len(text.splitlines()) <= MAX_FILE
    functions = {
        f"{node.name} at line {node.lineno}": (node.end_lineno or node.lineno) - node.lineno + 1
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: size for name, size in functions.items() if size > MAX_FUNCTION} == {}
