"""What people install: the wheel and the sdist hold everything, and work outside of the clone."""

from __future__ import annotations

import filecmp
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from email.message import Message

ROOT = Path(__file__).parents[1]
VIEWS = sorted(path.parent.name for path in (ROOT / "js").glob("*/index.ts"))
MAX_BUNDLE = {
    "explorer": 318_000,
    "fused_attention_matrix": 115_000,
    "attribution_strip": 113_000,
    "head_finder": 118_000,
}
"""Bytes; of a view that is not named 110,000, as in js/build.mjs. The explorer holds all views.
Every instance of a view carries its module to the browser."""

pytestmark = pytest.mark.slow

_USE = """
import glasshead
from glasshead.trace_view import TraceView
from pathlib import Path
from importlib.metadata import version
assert Path(glasshead.__file__).is_relative_to({environment!r}), glasshead.__file__
assert version("glasshead") == glasshead.__version__
for name in ("decoder", "encoder-decoder"):
    lens = glasshead.Lens.demo(name)
    trace, other = lens.trace("the cat eats the apple"), lens.trace("the dog eats the apple")
    public = [getattr(glasshead, name) for name in glasshead.__all__]
    views = [one for one in public if isinstance(one, type) and issubclass(one, TraceView)]
    assert len(views) >= 6, views
    for view in views:
        widget = view(trace, other) if view is glasshead.PatchGrid else view(trace)
        assert widget._esm and widget._css and widget.frame
    assert "gh-code" in glasshead.AttentionLines(trace).to_html()
print("works")
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, dist: Path) -> Path:
    """What the sdist holds, in a folder of its own: no repository, no packages of Node."""
    unpacked = tmp_path_factory.mktemp("sdist")
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(unpacked, filter="data")
    (source,) = unpacked.iterdir()
    return source


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sdist and wheel of the tree, with no Node at hand."""
    built = tmp_path_factory.mktemp("dist")
    build(ROOT, built)
    return built


def build(source: Path, into: Path, **environment: str) -> None:
    """Build the sdist, and from that the wheel."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(into), str(source)]
    no_npm = {"PATH": str(Path(sys.executable).parent), "HOME": str(into), **environment}
    subprocess.run(command, check=True, env=no_npm, capture_output=True)


@pytest.fixture(scope="module")
def wheel_files(dist: Path) -> dict[str, int]:
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return {info.filename: info.file_size for info in archive.infolist()}


@pytest.fixture(scope="module")
def metadata(dist: Path) -> Message:
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read(f"glasshead-{version()}.dist-info/METADATA").decode("utf-8")
    return Parser().parsestr(text)


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
    strangers = {name.split("/")[0] for name in wheel_files}
    assert strangers == {"glasshead", "glasshead_backend", f"glasshead-{version()}.dist-info"}


def test_its_metadata_say_what_it_is_and_the_readme_describes_it(metadata: Message) -> None:
    assert (metadata["Name"], metadata["Version"]) == ("glasshead", version())
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload() == (ROOT / "README.md").read_text(encoding="utf-8")
    oldest = metadata["Requires-Python"].removeprefix(">=")
    assert f"Programming Language :: Python :: {oldest}" in metadata.get_all("Classifier", [])


def test_every_bundle_is_small(wheel_files: dict[str, int]) -> None:
    for view in VIEWS:
        most = MAX_BUNDLE.get(view, 110_000)
        assert 0 < wheel_files[f"glasshead/static/{view}.js"] <= most
        assert 0 < wheel_files[f"glasshead/static/{view}.css"] <= most
        # What a saved page has instead of a kernel comes on top.
        assert 0 < wheel_files[f"glasshead/static/saved_page_{view}.js"] <= most + 42_000
    assert {f"glasshead/static/saved_page_{one}" for one in ("loader.js", "style.css")} <= {
        *wheel_files
    }


def test_demo_models_take_at_most_8_mb(wheel_files: dict[str, int]) -> None:
    weights = [size for name, size in wheel_files.items() if name.endswith(".safetensors")]
    assert len(weights) == 2
    assert sum(weights) <= 8_000_000


def test_the_wheel_holds_modules_models_and_views_and_takes_at_most_10_mb(
    dist: Path, wheel_files: dict[str, int]
) -> None:
    (wheel,) = dist.glob("*.whl")
    assert wheel.stat().st_size <= 10_000_000
    code = {name for name in wheel_files if name.endswith(".py")}
    marks = {"glasshead/py.typed", "glasshead_backend/py.typed"}
    rest = {name for name in wheel_files.keys() - code - marks if ".dist-info/" not in name}
    kinds = {(Path(name).parent.as_posix(), Path(name).suffix) for name in rest}
    demo = "glasshead_backend/demo"
    models = {f"{demo}/decoder", f"{demo}/encoder_decoder"}
    files = {(one, kind) for one in models for kind in (".md", ".json", ".csv", ".safetensors")}
    assert kinds == files | {("glasshead/static", ".js"), ("glasshead/static", ".css")}


def test_the_sdist_holds_what_the_wheel_is_built_from_and_nothing_else(source: Path) -> None:
    """No tests and their pictures, no recordings, no packages of Node, no environments."""
    names = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
    assert {name for name in names if "/" not in name} == {
        *(".gitignore", "CHANGELOG.md", "CITATION.cff", "LICENSE", "PKG-INFO", "README.md"),
        *("THIRD_PARTY_LICENSES.txt", "constraints.txt", "package.json", "package-lock.json"),
        *("pyproject.toml", "tsconfig.json"),
    }
    folders = {name.split("/")[0] for name in names if "/" in name}
    assert folders == {"examples", "js", "kernel_backend", "widgets"}
    for view in VIEWS:
        assert {f"js/{view}/index.ts", f"widgets/glasshead/static/{view}.js"} <= names
    assert "js/build.mjs" in names


def test_both_files_are_the_same_bytes_wherever_and_whenever_they_are_built(
    dist: Path, source: Path, tmp_path: Path
) -> None:
    for path in source.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    build(source, tmp_path, TZ="Asia/Kathmandu", LC_ALL="C", PYTHONHASHSEED="7")
    names = [path.name for path in dist.iterdir()]
    assert len(names) == 2
    assert filecmp.cmpfiles(dist, tmp_path, names, shallow=False) == (names, [], [])


@pytest.fixture(scope="module")
def built_elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the front end, built in another place, time zone and language."""
    copy = tmp_path_factory.mktemp("another place") / "deep" / "inside"
    copy.mkdir(parents=True)
    shutil.copytree(ROOT / "js", copy / "js", copy_function=shutil.copyfile)
    for name in ("package.json", "tsconfig.json"):
        shutil.copyfile(ROOT / name, copy / name)
    (copy / "node_modules").symlink_to((ROOT / "node_modules").resolve())
    node = shutil.which("node")
    assert node, "building the front end needs Node"
    environment = {"PATH": os.environ["PATH"], "TZ": "Asia/Kathmandu", "LC_ALL": "tr_TR.UTF-8"}
    subprocess.run([node, "js/build.mjs"], cwd=copy, check=True, env=environment)
    return copy


def test_the_front_end_is_the_same_bytes_wherever_and_whenever_it_is_built(
    built_elsewhere: Path,
) -> None:
    """Also a sign that what lies in the tree, and goes into the wheel, is what the sources say."""
    static = Path("widgets/glasshead/static")
    names = sorted(path.name for path in (ROOT / static).iterdir())
    assert names == sorted(path.name for path in (built_elsewhere / static).iterdir())
    same = filecmp.cmpfiles(ROOT / static, built_elsewhere / static, names, shallow=False)
    assert same == (names, [], []), "build anew: npm run build"


def test_the_licences_of_what_is_bundled_are_those_that_are_shipped(
    built_elsewhere: Path, metadata: Message, wheel_files: dict[str, int]
) -> None:
    licences = "THIRD_PARTY_LICENSES.txt"
    said = (ROOT / licences).read_text(encoding="utf-8")
    assert said == (built_elsewhere / licences).read_text(encoding="utf-8"), "npm run build"
    files = metadata.get_all("License-File", [])
    assert files == ["LICENSE", licences]
    folder = f"glasshead-{version()}.dist-info/licenses"
    assert {f"{folder}/{file}" for file in files} <= wheel_files.keys()
    bundled = set(re.findall(r"\d \(([^)]+)\)", said))
    assert bundled
    assert set(metadata["License-Expression"].split(" AND ")) == {"MIT", *bundled}


def test_a_bundled_package_without_a_licence_is_refused(tmp_path: Path) -> None:
    package = tmp_path / "node_modules" / "nameless"
    package.mkdir(parents=True)
    about = {"name": "nameless", "version": "1.0.0", "license": "MIT"}
    (package / "package.json").write_text(json.dumps(about), encoding="utf-8")
    notices = (ROOT / "js" / "notices.mjs").as_uri()
    code = f"import {{ noticesOf }} from {notices!r}; noticesOf([process.argv[1]]);"
    command = ["node", "--input-type=module", "--eval", code, str(package)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert "nameless 1.0.0 is bundled, and no licence lies beside it." in done.stderr


def test_modules_and_pages_carry_the_licences_of_what_they_contain() -> None:
    static = ROOT / "widgets" / "glasshead" / "static"
    holders = {"layer_stats_chart", "head_finder", "explorer"}
    for name in VIEWS:
        for module in (f"{name}.js", f"saved_page_{name}.js"):
            notices = (static / module).read_text(encoding="utf-8").partition("/*! Contains")[2]
            assert ("Mike Bostock" in notices) == (name in holders), module


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
