"""The house rules that a reader relies on, held on the syntax tree."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "fer_demo"

ORDER = (
    "types", "errors", "settings", "images", "weights", "faces", "crops", "classifier",
    "saliency", "quality", "tracking", "pipeline", "draw", "charts", "export", "live", "ui",
    "__main__",
)  # fmt: skip
"""The way through the house: a room imports only from rooms before it (rooms of one step, such as
draw and charts, from each other's left)."""

ALIASES = {
    "yunet": "faces", "regions": "saliency",
    "answers": "types",
    "containers": "images", "log": "errors", "slots": "errors", "silent_openvino": "errors",
    "scaling": "images", "predictors": "classifier",
    "lean_timm": "errors",
    "hub": "weights", "hub_download": "weights", "verify": "weights", "prefetch": "weights",
    "ensemble": "classifier", "models": "pipeline", "examples": "ui", "bench": "__main__",
    "measured": "charts", "model_charts": "charts", "faithfulness_charts": "charts",
    "error_charts": "charts", "certainty_charts": "charts", "robustness_charts": "charts",
}  # fmt: skip
"""Modules that share a step with a room of the list."""


def _modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _room(dotted: str) -> str:
    parts = dotted.split(".")
    name = parts[1] if len(parts) > 1 else "types"
    return ALIASES.get(name, name)


@pytest.mark.parametrize("path", _modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_imports_only_from_above_itself(path: Path) -> None:
    relative = path.relative_to(PACKAGE)
    if path.name == "__init__.py" and len(relative.parts) == 1:
        assert set(_imports(path)) <= {"__future__"}
        return
    room = _room("fer_demo." + relative.parts[0].removesuffix(".py"))
    assert room in ORDER, f"{relative} has no place in the order of rooms"
    for name in _imports(path):
        if name.startswith("fer_demo.") and _room(name) in ORDER:
            assert ORDER.index(_room(name)) <= ORDER.index(room), f"{relative} imports {name}"


@pytest.mark.parametrize("path", _modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_the_pages_know_streamlit_and_nothing_knows_training(path: Path) -> None:
    roots = {name.split(".")[0] for name in _imports(path)}
    assert "training" not in roots
    assert "tests" not in roots
    if "ui" not in path.relative_to(PACKAGE).parts:
        assert not roots & {"streamlit", "streamlit_webrtc"}


def test_types_know_numpy_only() -> None:
    roots = {name.split(".")[0] for name in _imports(PACKAGE / "types.py")}
    assert roots <= {"__future__", "collections", "dataclasses", "typing", "numpy"}


def test_one_place_opens_pictures() -> None:
    found = [
        path.relative_to(ROOT)
        for path in [*_modules(), *sorted((ROOT / "training").rglob("*.py"))]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Image.open")
    ]
    assert found == [Path("fer_demo/images.py")]


everywhere = pytest.mark.parametrize(
    "path", [ROOT / "app.py", *_modules()], ids=lambda path: str(path.relative_to(ROOT))
)


@everywhere
def test_nothing_unpickles_and_no_markup_is_trusted(path: Path) -> None:
    imported = set(_imports(path))
    assert not {name.split(".")[0] for name in imported} & {"pickle", "dill", "joblib"}
    assert "torch.load" not in imported
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in ("np.load", "eval", "exec", "cv2.imread", "cv2.imdecode")
            assert not re.fullmatch(r"torch\.(.*\.)?load\w*", called)
            assert "unsafe_allow_html" not in {keyword.arg for keyword in node.keywords}


SILENT = """
import sys
import fer_demo.silent_openvino
from openvino.tools.ovc import telemetry_utils
print(telemetry_utils.tm.__name__)
"""


def test_openvino_sends_nothing_home() -> None:
    roots = {path.name: {name.split(".")[0] for name in _imports(path)} for path in _modules()}
    importers = {name for name, found in roots.items() if "openvino" in found}
    assert importers == {"silent_openvino.py"}
    command = [sys.executable, "-c", SILENT]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "openvino.tools.ovc.telemetry_stub"


LEAN = """
import sys
from fer_demo.classifier import load_classifier
from fer_demo.settings import Settings
from fer_demo.weights import model_names, open_weights
settings = Settings()
for name in model_names(settings):
    classifier = load_classifier(open_weights(name, settings), settings)
print("torch._dynamo" in sys.modules, "sympy" in sys.modules)

import torch
double = torch.compile(lambda x: 2 * x, backend="eager")
print(double(torch.ones(1)).item(), torch._dynamo.config.cache_size_limit)
"""


@pytest.fixture(scope="module")
def lean() -> list[list[str]]:
    """The words of the lines that LEAN prints."""
    command = [sys.executable, "-c", LEAN]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return [line.split() for line in done.stdout.splitlines()]


def test_the_app_loads_timm_without_the_compiler(lean: list[list[str]]) -> None:
    roots = {path.name: {name.split(".")[0] for name in _imports(path)} for path in _modules()}
    assert {name for name, found in roots.items() if "timm" in found} == {"lean_timm.py"}
    assert lean[0] == ["False", "False"]


def test_who_wants_the_compiler_has_it_nevertheless(lean: list[list[str]]) -> None:
    doubled, limit = lean[1]
    assert float(doubled) == 2
    assert int(limit) > 0


CACHES = re.compile(r"\b(cache_data|cache_resource|lru_cache|cache|Once)\b")
PICTURES = (
    "Photo", "Picture", "Gallery", "Analysis", "Crops", "Predictions", "bytes", "bytearray",
    "BytesIO", "NDArray", "ndarray", "Tensor", "Image", "VideoFrame",
)  # fmt: skip
"""Types that hold what a person brought."""
NOBODYS = {"_thumbnail", "_tag"}
"""Cached pictures of nobody: of our own examples, and of the letters of a label."""


def _cached(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and any(
            CACHES.search(ast.unparse(decorator)) for decorator in node.decorator_list
        ):
            yield node


def _names(annotation: ast.AST) -> set[str]:
    return {
        part
        for node in ast.walk(annotation)
        for part in (getattr(node, "id", None), getattr(node, "attr", None))
        if part
    }


def _caches_a_picture(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    given = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    annotations = [argument.annotation for argument in given]
    unknown = any(annotation is None for annotation in annotations)
    types = [a for a in (*annotations, function.returns) if a is not None]
    # What is made from nothing is the same for everybody: a colour map, a film for a benchmark.
    return bool(given) and (
        unknown or any(_names(annotation) & set(PICTURES) for annotation in types)
    )


@everywhere
def test_no_cache_that_sessions_share_takes_or_keeps_a_picture(path: Path) -> None:
    for function in _cached(ast.parse(path.read_text())):
        if function.name not in NOBODYS:
            assert not _caches_a_picture(function), f"{function.name} is cached for everybody"


@pytest.mark.parametrize(
    "code",
    [
        "@st.cache_data\ndef f(photo: Photo) -> int: ...",
        "@st.cache_data(ttl=5)\ndef f(name: str, data: bytes) -> int: ...",
        "@st.cache_resource\ndef f(name: str) -> Analysis: ...",
        "@lru_cache\ndef f(rgb: NDArray[np.uint8]) -> int: ...",
        "@st.cache_data\ndef f(anything): ...",
        "@cache\ndef f(frame: VideoFrame) -> int: ...",
        "@functools.cache\ndef f(name: str) -> BytesIO: ...",
        "@lru_cache(maxsize=4)\nasync def f(x: Tensor) -> int: ...",
    ],
)
def test_the_rule_about_caches_finds_a_cached_picture(code: str) -> None:
    (function,) = _cached(ast.parse(code))
    assert _caches_a_picture(function)
