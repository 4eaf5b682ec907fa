"""Loads that pgbench puts on the server, compared in turns of a quarter of a second.

Guarantees: what is compared has its sessions open and warm at the same time and works in turns, the
others held meanwhile, so that whatever else the machine does falls on both alike; what a session
does only once (forking, compiling, starting an interpreter) is not counted; a load that fails ends
the benchmark instead of being fast.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import psycopg

HERE = Path(__file__).parent
TURN_SECONDS = 0.25
# What is in flight when a load is held ends in the pause, before the other's turn.
PAUSE_SECONDS = 0.03
WARM_UP_SECONDS = 0.5
CONNECT_SECONDS = 60
LONGEST_SECONDS = 3600


class BenchError(Exception):
    """The benchmark cannot run here; the message is one sentence."""


@dataclass(frozen=True)
class Script:
    """A script of pgbench, and which accounts it charges: those whose names begin so."""

    file: str
    prefix: str = "user_"

    def text(self) -> str:
        """What pgbench is given."""
        return (HERE / self.file).read_text().replace("{prefix}", self.prefix)


@dataclass(frozen=True)
class Load:
    """What clients do over and over: one of the scripts, in one database."""

    dsn: str
    scripts: tuple[Script, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    charges: int = 1

    def __str__(self) -> str:
        return ", ".join(script.file for script in self.scripts)


@dataclass(frozen=True)
class Entry:
    """One transaction of pgbench's log; times in seconds."""

    end: float
    latency: float
    script: int


@dataclass(frozen=True)
class Turn:
    """One turn of a load: when, the processor time its backends took (None: not known), and the
    bytes of log they wrote."""

    start: float
    end: float
    cpu: float | None
    log: int = 0


@dataclass(frozen=True)
class Comparison:
    """Ratios of a load's throughput to its base's, one per round; microseconds of backend time
    and bytes of log per charge, of the base and of the load."""

    ratios: tuple[float, ...]
    backend: tuple[float, float] | None
    log: tuple[float, float]


class Player:
    """A running pgbench that can be held and let go; its sessions stay open."""

    def __init__(self, command: Sequence[str], load: Load, clients: int, server: str) -> None:
        self.load = load
        self.turns: list[Turn] = []
        self._directory = Path(tempfile.mkdtemp(prefix="ducto-bench-"))
        self._name = f"bench {self._directory.name}"
        files = []
        for number, script in enumerate(load.scripts):
            path = self._directory / f"{number}.sql"
            path.write_text(script.text())
            files += ["--file", str(path)]
        self._process = subprocess.Popen(
            [*command, *files, f"--log-prefix={self._directory / 'log'}", load.dsn],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PGAPPNAME": self._name},
        )
        self._backends: list[int] = []
        self._clients, self._server = clients, server
        self._link = psycopg.connect(server, autocommit=True)

    def warm_up(self) -> None:
        """Let every session do what it does only once, then hold."""
        time.sleep(WARM_UP_SECONDS + 0.05 * self._clients)
        self._backends = self._wait_for_sessions()
        self._hold()

    def play(self) -> None:
        """Take a turn."""
        before, begin = self._cpu(), self._log_position()
        start = time.time()
        self._process.send_signal(signal.SIGCONT)
        time.sleep(TURN_SECONDS)
        end = time.time()
        self._hold()
        after = self._cpu()
        cpu = None if before is None or after is None else after - before
        self.turns.append(Turn(start, end, cpu, self._log_position() - begin))

    def finish(self) -> list[Entry]:
        """End the sessions; all transactions, in the order of their ends."""
        # pgbench's own end of time, come early.
        self._process.send_signal(signal.SIGCONT)
        self._process.send_signal(signal.SIGALRM)
        words = self._process.communicate()[1]
        if self._process.returncode != 0:
            raise self._failure(words)
        return read_logs(sorted(self._directory.glob("log*")))

    def close(self) -> None:
        """Stop it however it is, and remove its logs."""
        self._link.close()
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _hold(self) -> None:
        if self._process.poll() is not None:
            raise self._failure(self._process.communicate()[1])
        self._process.send_signal(signal.SIGSTOP)
        time.sleep(PAUSE_SECONDS)

    def _failure(self, words: str) -> BenchError:
        lines = words.strip().splitlines() or ["it ended too early"]
        first = next((line for line in lines if "ERROR:" in line), lines[-1])
        return BenchError(f"pgbench failed on {self.load}: {first}")

    def _wait_for_sessions(self) -> list[int]:
        query = "select pid from pg_stat_activity where application_name = %s"
        deadline = time.monotonic() + CONNECT_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            found = [int(row[0]) for row in self._link.execute(query, [self._name])]
            if len(found) == self._clients:
                return found
            time.sleep(0.01)
        if self._process.poll() is None:
            raise BenchError(f"pgbench could not open its {self._clients} sessions")
        raise self._failure(self._process.communicate()[1])

    def _log_position(self) -> int:
        """Where the server's log ends, in bytes."""
        row = self._link.execute("select pg_current_wal_insert_lsn() - '0/0'").fetchone()
        assert row is not None
        return int(row[0])

    def _cpu(self) -> float | None:
        """Seconds of processor time that the backends have taken, where the system tells."""
        ticks = 0
        for backend in self._backends:
            try:
                text = Path(f"/proc/{backend}/stat").read_text()
            except OSError:
                return None
            # The name in brackets may hold blanks; utime and stime are fields 14 and 15.
            fields = text.rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Pgbench:
    """pgbench against one server."""

    program: Path
    server: str

    def compare(
        self, base: Load, load: Load, clients: int, *, seconds: float, rounds: int
    ) -> Comparison:
        """Base and load in turns; a round is so many seconds of each."""
        turns = max(1, round(seconds / TURN_SECONDS))
        with ExitStack() as stack:
            players = [stack.enter_context(self.player(each, clients)) for each in (base, load)]
            for _ in range(rounds * turns):
                for player in players:
                    player.play()
            logs = [player.finish() for player in players]
        rates = [
            [count / taken * player.load.charges for count, taken in by_round(player, log, turns)]
            for player, log in zip(players, logs, strict=True)
        ]
        ratios = tuple(of / to for to, of in zip(*rates, strict=True))
        times = [backend_time(player, log) for player, log in zip(players, logs, strict=True)]
        written = [log_bytes(player, log) for player, log in zip(players, logs, strict=True)]
        backend = None if times[0] is None or times[1] is None else (times[0], times[1])
        return Comparison(ratios, backend, (written[0], written[1]))

    def mixed(self, load: Load, *, seconds: float, rounds: int) -> list[tuple[float, ...]]:
        """One client that picks one of the scripts at random each time: per round, how much longer
        the first script takes than each other. Both see the same machine, moment by moment."""
        found = []
        with self.player(load, 1) as player:
            for _ in range(rounds):
                for _ in range(max(1, round(seconds / TURN_SECONDS))):
                    player.play()
            log = player.finish()
        # What was in flight when the load was held took the time of the pause as well.
        starts = [turn.start for turn in player.turns]
        whole = [entry for entry in log if not carried(entry, starts)]
        whole = [entry for entry in whole if entry.end > starts[0]]
        for number in range(rounds):
            share = whole[len(whole) * number // rounds : len(whole) * (number + 1) // rounds]
            means = [trimmed(share, script) for script in range(len(load.scripts))]
            found.append(tuple(means[0] / mean for mean in means[1:]))
        return found

    @contextmanager
    def player(self, load: Load, clients: int) -> Iterator[Player]:
        """A load with its sessions open and warm, held until its turn."""
        threads = min(clients, os.cpu_count() or 1)
        command = [str(self.program), "--no-vacuum", "--protocol=prepared", "--log"]
        command += [f"--client={clients}", f"--jobs={threads}", f"--time={LONGEST_SECONDS}"]
        for name, value in load.variables.items():
            command += ["--define", f"{name}={value}"]
        player = Player(command, load, clients, self.server)
        try:
            player.warm_up()
            yield player
        finally:
            player.close()


def read_logs(logs: Sequence[Path]) -> list[Entry]:
    """pgbench's logs: client, transaction, microseconds, script, and the end's two parts."""
    entries = []
    for log in logs:
        for line in log.read_text().splitlines():
            words = line.split()
            end = int(words[4]) + int(words[5]) / 1e6
            entries.append(Entry(end, int(words[2]) / 1e6, int(words[3])))
    return sorted(entries, key=lambda entry: entry.end)


def carried(entry: Entry, starts: Sequence[float]) -> bool:
    """Whether a transaction was in flight when the load was held."""
    began = entry.end - entry.latency
    return any(began < start <= entry.end for start in starts)


def counts(player: Player, log: Sequence[Entry]) -> list[float]:
    """Transactions of each turn. One that was in flight when the turn before ended counts half:
    some of it was done in that turn, some in the pause, which nobody is given."""
    starts = [turn.start for turn in player.turns]
    totals = [0.0] * len(starts)
    place = 0
    for entry in log:
        if entry.end < starts[0]:
            continue
        while place + 1 < len(starts) and entry.end >= starts[place + 1]:
            place += 1
        if place + 1 == len(starts) and entry.end > player.turns[-1].end + PAUSE_SECONDS:
            break
        totals[place] += 0.5 if entry.end - entry.latency < starts[place] else 1.0
    return totals


def by_round(player: Player, log: Sequence[Entry], turns: int) -> list[tuple[float, float]]:
    """Transactions and seconds of each round."""
    totals = counts(player, log)
    found = []
    for first in range(0, len(totals), turns):
        count = sum(totals[first : first + turns])
        taken = sum(turn.end - turn.start for turn in player.turns[first : first + turns])
        if count == 0:
            raise BenchError(f"{player.load} finished nothing in a round")
        found.append((count, taken))
    return found


def backend_time(player: Player, log: Sequence[Entry]) -> float | None:
    """Microseconds of processor time per charge."""
    spent = 0.0
    for turn in player.turns:
        if turn.cpu is None:
            return None
        spent += turn.cpu
    return spent / sum(counts(player, log)) / player.load.charges * 1e6


def log_bytes(player: Player, log: Sequence[Entry]) -> float:
    """Bytes of the server's log per charge."""
    written = sum(turn.log for turn in player.turns)
    return written / sum(counts(player, log)) / player.load.charges


def trimmed(entries: Sequence[Entry], script: int) -> float:
    """The mean latency of a script without the slowest percent, which are the machine's."""
    found = sorted(entry.latency for entry in entries if entry.script == script)
    if not found:
        raise BenchError("pgbench finished too few transactions: give it more --seconds")
    return fmean(found[: max(1, len(found) * 99 // 100)])
