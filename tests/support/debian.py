"""The PostgreSQL of another Debian beside this machine's own, with PL/Python and the rest.

    python -m tests.support.debian trixie

brings that Debian's packages into the folder `.servers/trixie` by debootstrap, which needs root,
and writes programs that run there on its libraries. The ladder (`tests.support.server`) finds them
as `local` ones: `DUCTO_TEST_RELEASE=17 make test`. Nothing else on the machine changes; deleting
the folder undoes it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

SERVERS = Path(__file__).parents[2] / ".servers"
# The release of PostgreSQL that each comes with.
RELEASES = {"bookworm": 15, "trixie": 17}
PACKAGES = (
    "postgresql-{0},postgresql-plpython3-{0},postgresql-{0}-cron,postgresql-{0}-plpgsql-check"
)
LOADER = "lib*/ld-linux-*.so.*"


def bring(suite: str) -> Path:
    """Make the folder of that Debian, and return where its server programs are."""
    release = RELEASES[suite]
    root = SERVERS / suite / "root"
    if not root.exists():
        partial = root.with_name("partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        packages = PACKAGES.format(release)
        command = ["debootstrap", "--variant=minbase", f"--include={packages}", suite]
        subprocess.run([*command, str(partial)], check=True, stdout=subprocess.DEVNULL)
        partial.rename(root)
    return _programs(root, release)


def _programs(root: Path, release: int) -> Path:
    """Scripts that run each program with the loader and the libraries it came with.

    They lie as in a tree of their own, because PostgreSQL finds its files by where it is.
    """
    installed = root / f"usr/lib/postgresql/{release}"
    tree = root.parent / "usr"
    own = tree / f"lib/postgresql/{release}"
    folder = own / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    (tree / "share").mkdir(exist_ok=True)
    for link, target in (
        (own / "lib", installed / "lib"),
        (tree / "share/postgresql", root / "usr/share/postgresql"),
    ):
        link.unlink(missing_ok=True)
        link.symlink_to(target)
    loader = next(path for path in sorted(root.glob(LOADER)) if path.exists())
    libraries = ":".join(str(path) for path in sorted((root / "usr/lib").glob("*-linux-gnu")))
    for program in sorted((installed / "bin").iterdir()):
        real = _inside(root, program)
        with real.open("rb") as file:
            if file.read(4) != b"\x7fELF":
                continue
        script = folder / program.name
        command = [str(loader), "--library-path", libraries, "--argv0", str(script), str(real)]
        script.write_text(
            "#!/bin/sh\n"
            f"export PYTHONHOME={shlex.quote(str(root / 'usr'))}\n"
            f'exec {shlex.join(command)} "$@"\n'
        )
        script.chmod(0o755)
    return folder


def _inside(root: Path, path: Path) -> Path:
    """Where a path leads in that Debian, whose absolute links mean its own files."""
    while path.is_symlink():
        target = path.readlink()
        path = root / target.relative_to("/") if target.is_absolute() else path.parent / target
    return path


def main() -> int:
    """Bring the Debian named, and say where its programs are; otherwise one sentence."""
    suite = sys.argv[1] if len(sys.argv) == 2 else ""
    if suite not in RELEASES:
        problem = f"usage: python -m tests.support.debian {'|'.join(RELEASES)}"
    elif os.geteuid() != 0 or shutil.which("debootstrap") is None:
        problem = "this needs root and debootstrap: apt-get install debootstrap"
    else:
        try:
            print(bring(suite))
            return 0
        except subprocess.CalledProcessError as error:
            problem = f"debootstrap failed ({error.returncode})"
    print(problem, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
