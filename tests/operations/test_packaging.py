"""What is installed is what is in the tree, from a wheel and from an editable install."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

import ducto_pg
from ducto_pg.install.migrate import build_script

ROOT = Path(__file__).parents[2]
PACKAGES = {"ducto_pg": "ducto_pg", "cli": "ducto_pg/cli", "sql": "ducto_pg/sql"}
PACKAGES["plpython"] = "ducto_pg/plpython"
# Runs without the environment's own site-packages, so that its editable install is not seen; the
# dependencies are appended as plain folders.
PROBE = """
import site, sys
site.addsitedir(sys.argv[1])
sys.path.append(sys.argv[2])
sys.path.append(sys.argv[3])
import ducto_pg, ducto_pg.sql
from ducto_pg.cli.main import cli
print(ducto_pg.__file__)
print(next(iter(ducto_pg.sql.__path__)))
cli(["migrate", "--sql"], standalone_mode=False)
"""


def run(command: Sequence[str | Path], cwd: Path) -> str:
    """Run a command that must succeed; its output."""
    done = subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files under version control, and nothing a working copy has gathered besides."""
    target = tmp_path_factory.mktemp("tree")
    listed = run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], ROOT)
    for name in listed.splitlines():
        source = ROOT / name
        if source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target / name)
    return target


@pytest.fixture(scope="module")
def wheel(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source archive, which is built from the tree."""
    target = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", target, tree], tree)
    (found,) = target.glob("*.whl")
    return found


def test_the_wheel_holds_what_the_tree_holds(wheel: Path, tree: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    wanted = {
        f"{package}/{path.relative_to(tree / folder).as_posix()}"
        for folder, package in PACKAGES.items()
        for path in (tree / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == wanted
    assert "ducto_pg/py.typed" in packed
    assert "ducto_pg/sql/migrations/0001_core.sql" in packed


def probe(site: Path, cwd: Path) -> tuple[str, str, str]:
    """Where an installation's package and SQL come from, and the script it prints."""
    paths = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    output = run([sys.executable, "-S", "-P", "-c", PROBE, site, *paths], cwd)
    package, sql, script = output.split("\n", 2)
    return package, sql, script


def test_a_wheel_installs_and_runs(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "--no-deps", "--no-index", "--target", site, wheel], tmp_path)
    package, sql, script = probe(site, tmp_path)
    assert Path(package) == site / "ducto_pg" / "__init__.py"
    assert Path(sql) == site / "ducto_pg" / "sql"
    assert script == build_script()
    assert (site / "bin" / "ducto").exists()
    assert not (site / "cli").exists()


def test_an_editable_install_runs_from_the_tree(tree: Path, tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--ignore-installed"]
    run([*pip, *options, "--prefix", tmp_path / "env", "--editable", tree], tmp_path)
    (site,) = {path.parent for path in (tmp_path / "env").rglob("__editable__*.pth")}
    package, sql, script = probe(site, tmp_path)
    assert Path(package) == tree / "ducto_pg" / "__init__.py"
    assert Path(sql) == tree / "sql"
    assert script == build_script()


def test_every_public_name_can_be_imported() -> None:
    for name in ducto_pg.__all__:
        assert getattr(ducto_pg, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = ducto_pg.no_such_name


def test_importing_the_package_loads_no_database_driver() -> None:
    code = "import sys, ducto_pg, ducto_pg.cli.main; print('psycopg' in sys.modules)"
    assert run([sys.executable, "-c", code], ROOT) == "False\n"
