"""What people install: the wheel and the sdist hold everything, and work outside of the clone."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
VIEWS = sorted(path.parent.name for path in (ROOT / "js").glob("*/index.ts"))
MAX_BUNDLE = {"explorer": 275_000}
"""Bytes; of a view that is not named 110,000, as in js/build.mjs. The explorer holds all views."""
"""Bytes; every instance of a view carries its module to the browser."""

pytestmark = pytest.mark.slow

_USE = """
import glasshead
from glasshead.trace_view import TraceView
from pathlib import Path
from importlib.metadata import version
assert Path(glasshead.__file__).is_relative_to({environment!r}), glasshead.__file__
assert version("glasshead") == glasshead.__version__
for name in ("decoder", "encoder-decoder"):
    trace = glasshead.Lens.demo(name).trace("the brown dog ran .")
    public = [getattr(glasshead, name) for name in glasshead.__all__]
    views = [one for one in public if isinstance(one, type) and issubclass(one, TraceView)]
    assert len(views) >= 6, views
    for view in views:
        widget = view(trace)
        assert widget._esm and widget._css and widget.frame
print("works")
"""


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sdist of the tree, and the wheel that is made from that sdist with no Node at hand."""
    built = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(built)]
    subprocess.run([*command, "--sdist", str(ROOT)], check=True)
    (sdist,) = built.glob("*.tar.gz")
    unpacked = tmp_path_factory.mktemp("sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(unpacked, filter="data")
    (source,) = unpacked.iterdir()
    no_npm = {"PATH": str(Path(sys.executable).parent), "HOME": str(unpacked)}
    subprocess.run([*command, "--wheel", str(source)], check=True, env=no_npm)
    return built


@pytest.fixture(scope="module")
def wheel_files(dist: Path) -> dict[str, int]:
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return {info.filename: info.file_size for info in archive.infolist()}


def version() -> str:
    """Version in the sources: the only place where it is written."""
    source = (ROOT / "widgets" / "glasshead" / "__init__.py").read_text(encoding="utf-8")
    (found,) = re.findall(r'^__version__ = "(.+)"$', source, re.MULTILINE)
    return found


def test_the_wheel_holds_both_packages_bundles_and_demo_models(
    wheel_files: dict[str, int],
) -> None:
    for package in ("glasshead", "glasshead_backend"):
        assert {f"{package}/__init__.py", f"{package}/py.typed"} <= wheel_files.keys()
    for model in ("decoder", "encoder_decoder"):
        folder = f"glasshead_backend/demo/{model}"
        for file in ("model.safetensors", "config.json", "tokenizer.json", "README.md"):
            assert f"{folder}/{file}" in wheel_files
    assert any(name.endswith("licenses/LICENSE") for name in wheel_files)
    strangers = {name.split("/")[0] for name in wheel_files}
    assert strangers == {"glasshead", "glasshead_backend", f"glasshead-{version()}.dist-info"}


def test_every_bundle_is_small(wheel_files: dict[str, int]) -> None:
    for view in VIEWS:
        most = MAX_BUNDLE.get(view, 110_000)
        assert 0 < wheel_files[f"glasshead/static/{view}.js"] <= most
        assert 0 < wheel_files[f"glasshead/static/{view}.css"] <= most
        # What a saved page has instead of a kernel comes on top.
        assert 0 < wheel_files[f"glasshead/static/saved_page_{view}.js"] <= most + 40_000
    assert {f"glasshead/static/saved_page_{one}" for one in ("loader.js", "style.css")} <= {
        *wheel_files
    }


def test_demo_models_take_at_most_8_mb(wheel_files: dict[str, int]) -> None:
    weights = [size for name, size in wheel_files.items() if name.endswith(".safetensors")]
    assert len(weights) == 2
    assert sum(weights) <= 8_000_000


def test_the_sdist_holds_the_front_end_as_source_and_built(dist: Path) -> None:
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for view in VIEWS:
        assert {f"js/{view}/index.ts", f"widgets/glasshead/static/{view}.js"} <= names
    assert {"js/build.mjs", "package.json", "package-lock.json", "LICENSE"} <= names
    assert not any(name.startswith(("node_modules", ".venv", ".models")) for name in names)


def test_the_installed_wheel_works_outside_of_the_clone(dist: Path, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    (wheel,) = dist.glob("*.whl")
    python = environment / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    subprocess.run([*install, "--no-deps", "--no-index", str(wheel)], check=True)
    # torch and the others are borrowed from this environment, whose own glasshead comes later.
    site = next(environment.glob("lib/python*/site-packages"))
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    code = _USE.format(environment=str(environment))
    done = subprocess.run(
        [str(python), "-W", "error::ResourceWarning", "-c", code],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "works", done.stderr
    shutil.rmtree(environment)
