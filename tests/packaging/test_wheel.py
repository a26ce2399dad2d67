"""The built wheel, as a user gets it: what is in it, what it needs, what it imports."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "im_proto",
    "im_asyncio",
    "im_cli",
    "im_runtime",
    "im_server",
    "im_threads",
    "im_web",
}

pytestmark = pytest.mark.slow


def _run(*command: str | Path) -> str:
    # -I: nothing of this tree, only what is installed
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    _run(sys.executable, "-m", "build", "--wheel", "--outdir", out, ROOT)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("bare")
    venv.create(home, with_pip=True)
    found = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    _run(found, "-m", "pip", "install", "-q", "--disable-pip-version-check", wheel)
    return found


def test_the_wheel_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == PACKAGES
    for package in PACKAGES:
        assert f"{package}/py.typed" in names
        assert f"{package}/__init__.py" in names


def test_the_wheel_holds_the_page_as_it_was_built_and_not_what_it_is_built_of(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("im_web/")}
    built = {name for name in names if name.startswith("im_web/built/")}
    assert {"im_web/built/page/index.html", "im_web/built/lab/index.html"} <= built
    assert "im_web/built/lib/im-client.js" in built
    assert {Path(name).suffix for name in names - built} == {".py", ".typed"}
    here = ROOT / "adapters" / "im_web"
    assert built == {
        f"im_web/{path.relative_to(here).as_posix()}"
        for path in (here / "built").rglob("*")
        if path.is_file()
    }


def test_the_sources_hold_what_the_page_is_built_of_and_nothing_that_was_fetched(
    tmp_path: Path,
) -> None:
    _run(sys.executable, "-m", "build", "--sdist", "--outdir", tmp_path, ROOT)
    (built,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(built) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    web = "adapters/im_web"
    assert {f"{web}/package.json", f"{web}/package-lock.json", f"{web}/vite.config.ts"} <= names
    assert f"{web}/built/page/index.html" in names
    assert any(name.startswith(f"{web}/src/") for name in names)
    assert not [name for name in names if "node_modules" in name or "__pycache__" in name]


def test_the_bare_install_is_three_packages_and_what_they_need(python: Path) -> None:
    listed = _run(python, "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check")
    installed = {line.partition("==")[0].partition(" @")[0].lower() for line in listed.split("\n")}
    installed = {name.replace("_", "-") for name in installed if name}
    assert installed - {"pip", "setuptools"} == {
        "im-proto",
        "python-statemachine",
        "wsproto",
        "pydantic",
        # what these three need
        "h11",
        "pydantic-core",
        "annotated-types",
        "typing-extensions",
        "typing-inspection",
    }


def test_the_clients_import_nothing_else(python: Path) -> None:
    code = (
        "import sys; before = set(sys.modules); import im_proto, im_asyncio;"
        "new = {n.partition('.')[0] for n in set(sys.modules) - before};"
        "print(*sorted(new - set(sys.stdlib_module_names)))"
    )
    imported = {
        name
        for name in _run(python, "-I", "-c", code).split()
        # of Python itself, under a name that has the platform in it
        if not name.startswith("_sysconfigdata")
    }
    assert imported == {
        "im_proto",
        "im_asyncio",
        "im_runtime",
        "statemachine",
        "wsproto",
        "h11",
        "pydantic",
        "pydantic_core",
        "annotated_types",
        "typing_extensions",
        "typing_inspection",
    }


def test_the_command_says_what_to_install(python: Path) -> None:
    done = subprocess.run([python, "-I", "-m", "im_cli"], capture_output=True, text=True)
    assert done.returncode == 1
    assert 'pip install "im-proto[server,cli]"' in done.stderr
