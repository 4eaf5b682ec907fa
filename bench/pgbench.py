"""Runs of pgbench, and their comparison round by round.

Guarantees: each measured run stands between two runs of what it is compared with, so that what
else the machine does, which changes slowly against a round, changes both; what a session does
only once (forking, compiling, starting an interpreter) is not counted.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median

import psycopg

HERE = Path(__file__).parent
# The part of a run that is thrown away: sessions start, caches fill.
WARM_UP = 0.25
EXIT_SECONDS = 10


class BenchError(Exception):
    """The benchmark cannot run here; the message is one sentence."""


@dataclass(frozen=True)
class Load:
    """What clients do over and over: one of the scripts, in one database."""

    dsn: str
    scripts: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    charges: int = 1


@dataclass(frozen=True)
class Run:
    """One run: transactions per second when warm, processor time, latencies by script."""

    rate: float
    transactions: int
    cpu: float | None
    latencies: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Comparison:
    """Ratios of a load's throughput to its base's, one per round; microseconds of backend time
    per charge, of the base and of the load."""

    ratios: tuple[float, ...]
    backend: tuple[float, float] | None


@dataclass(frozen=True)
class Pgbench:
    """pgbench against one server, whose processor time is read where the system tells it."""

    program: Path
    server: str
    postmaster: int

    def run(self, load: Load, clients: int, *, seconds: int = 0, transactions: int = 0) -> Run:
        """Run a load for some seconds, or for some transactions of each client."""
        threads = min(clients, os.cpu_count() or 1)
        directory = Path(tempfile.mkdtemp(prefix="ducto-bench-"))
        command = [str(self.program), "--no-vacuum", "--protocol=prepared", "--log"]
        command += [f"--log-prefix={directory / 'log'}"]
        command += [f"--client={clients}", f"--jobs={threads}"]
        command += [f"--time={seconds}"] if seconds else [f"--transactions={transactions}"]
        for script in load.scripts:
            command += ["--file", str(HERE / script)]
        for name, value in load.variables.items():
            command += ["--define", f"{name}={value}"]
        try:
            before = self._cpu()
            done = subprocess.run([*command, load.dsn], capture_output=True, text=True)
            if done.returncode != 0:
                words = " / ".join(done.stderr.strip().splitlines()[-3:])
                raise BenchError(f"pgbench failed on {', '.join(load.scripts)}: {words}")
            self._wait_for_exits()
            after = self._cpu()
            cpu = None if before is None or after is None else after - before
            return read_logs(sorted(directory.iterdir()), len(load.scripts), seconds, cpu)
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def compare(
        self, base: Load, load: Load, clients: int, *, seconds: int, rounds: int
    ) -> Comparison:
        """B A B A … B: each round's ratio is A against the mean of the two B around it."""
        # Also warms the server's own caches; a session's first transaction is not counted below.
        starts = [self.run(each, clients, transactions=1).cpu for each in (base, load)]
        before = self.run(base, clients, seconds=seconds)
        bases, loads, ratios = [before], [], []
        for _ in range(rounds):
            run = self.run(load, clients, seconds=seconds)
            after = self.run(base, clients, seconds=seconds)
            around = fmean((before.rate * base.charges, after.rate * base.charges))
            ratios.append(run.rate * load.charges / around)
            loads.append(run)
            bases.append(after)
            before = after
        of_base = backend_time(bases, starts[0], clients, base.charges)
        of_load = backend_time(loads, starts[1], clients, load.charges)
        known = of_base is not None and of_load is not None
        return Comparison(tuple(ratios), (of_base, of_load) if known else None)  # type: ignore[arg-type]

    def mixed(self, load: Load, *, seconds: int, rounds: int) -> list[tuple[float, ...]]:
        """One client that picks one of the scripts at random each time: per round, how much longer
        the first script takes than each other. Both see the same machine, moment by moment."""
        found = []
        for _ in range(rounds):
            means = [trimmed(each) for each in self.run(load, 1, seconds=seconds).latencies]
            found.append(tuple(means[0] / mean for mean in means[1:]))
        return found

    def _cpu(self) -> float | None:
        """Seconds of processor time of all backends that have ended."""
        try:
            text = Path(f"/proc/{self.postmaster}/stat").read_text()
        except OSError:
            return None
        # The name in brackets may hold blanks; cutime and cstime are fields 16 and 17.
        fields = text.rpartition(")")[2].split()
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")

    def _wait_for_exits(self) -> None:
        deadline = time.monotonic() + EXIT_SECONDS
        query = "select count(*) from pg_stat_activity where application_name = 'pgbench'"
        with psycopg.connect(self.server, autocommit=True) as link:
            while time.monotonic() < deadline:
                row = link.execute(query).fetchone()
                if row is not None and row[0] == 0:
                    break
                time.sleep(0.01)
        time.sleep(0.05)


def read_logs(logs: Sequence[Path], scripts: int, seconds: int, cpu: float | None) -> Run:
    """A run from pgbench's logs: client, transaction, microseconds, script, end of each."""
    entries: list[tuple[float, float, int]] = []
    for log in logs:
        for line in log.read_text().splitlines():
            words = line.split()
            latency = float(words[2])
            entries.append((int(words[4]) + int(words[5]) / 1e6, latency, int(words[3])))
    if not entries:
        raise BenchError("pgbench finished no transaction: give it more --seconds")
    start = min(end - latency / 1e6 for end, latency, _ in entries)
    finish = max(end for end, _, _ in entries)
    warm = start + WARM_UP * seconds
    counted = [entry for entry in entries if entry[0] > warm]
    return Run(
        rate=len(counted) / max(finish - warm, 1e-6),
        transactions=len(entries),
        cpu=cpu,
        latencies=tuple(
            tuple(latency for _, latency, number in counted if number == script)
            for script in range(scripts)
        ),
    )


def backend_time(
    runs: Sequence[Run], start: float | None, clients: int, charges: int
) -> float | None:
    """Microseconds of processor time per charge, the median of some runs; what the sessions'
    first transactions take is known and not counted."""
    if start is None:
        return None
    figures = [
        (run.cpu - start) / max(run.transactions - clients, 1) / charges * 1e6
        for run in runs
        if run.cpu is not None
    ]
    return median(figures) if figures else None


def trimmed(latencies: Sequence[float]) -> float:
    """The mean without the slowest percent, which are the machine's."""
    if not latencies:
        raise BenchError("pgbench finished too few transactions: give it more --seconds")
    kept = sorted(latencies)[: max(1, len(latencies) * 99 // 100)]
    return fmean(kept)
