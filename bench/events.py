"""What listeners cost those who charge, and what a poll costs on a long ledger.

    python -m bench.events [--seconds 3] [--rounds 7] [--clients 1,4] [--rows 10000000]

Two databases are charged in turn, in short rounds; one of them has listeners, which are stopped (as
processes, by a signal) while it is the other's turn. The median of the rounds' ratios is printed.
Then a ledger of so many rows is made, and polled: by a consumer that reads on, by one that looks
for what hardly ever happens, and after the end of a transaction that was open all the time.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from statistics import median

import psycopg

from bench.lab import MODELS, Lab, lab, settle
from bench.pgbench import TURN_SECONDS, by_round
from ducto_pg import CreditEvent, EventListener, PostgresStore
from ducto_pg.install.migrate import migrate

LISTENERS = {
    "one that waits for low balances": [("mail", "credits.low_balance")],
    "one that gets everything": [("audit", "*")],
    "three: low balances, caps, everything": [
        ("mail", "credits.low_balance"), ("caps", "credits.cap_reached"), ("audit", "*"),
    ],
}  # fmt: skip
CHUNK = 1_000_000


def listen(dsn: str, consumer: str, event_type: str) -> None:
    """A process of a listener whose handler does nothing."""

    def handle(event: CreditEvent) -> None:
        pass

    with PostgresStore(dsn) as store:
        EventListener(store, consumer, start="now").on(event_type, handle).run()


@contextmanager
def listening(
    dsn: str, wanted: Sequence[tuple[str, str]]
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Listeners in processes of their own."""
    processes = [
        subprocess.Popen([sys.executable, "-m", "bench.events", "--listen", dsn, *each])
        for each in wanted
    ]
    try:
        with psycopg.connect(dsn, autocommit=True) as connection:
            query = "select count(*) from ducto_list_consumers() where consumer = any (%s)"
            while connection.execute(query, [[name for name, _ in wanted]]).fetchone() != (
                len(wanted),
            ):
                time.sleep(0.05)
        yield processes
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            process.wait()


def charging(opened: Lab, name: str) -> str:
    """A database of accounts to charge."""
    dsn = opened.create(name)
    opened.install(dsn, "portable", MODELS)
    with psycopg.connect(dsn, autocommit=True) as link:
        link.execute(
            "select ducto_add_credits('user_' || n, 1000000) from generate_series(1, %s) n",
            [opened.accounts],
        )
        settle(link)
    return dsn


def compare(
    opened: Lab, dsns: Sequence[str], clients: int, wanted: Sequence[tuple[str, str]]
) -> tuple[list[float], float]:
    """Throughput on the database with listeners, as a share of the other's, by round; and how many
    charges a second that is."""
    turns = max(1, round(opened.seconds / TURN_SECONDS))
    with ExitStack() as stack:
        processes = stack.enter_context(listening(dsns[0], wanted))
        players = [
            stack.enter_context(opened.pgbench.player(opened.load(dsn, "charge.sql"), clients))
            for dsn in dsns
        ]
        for _ in range(opened.rounds * turns):
            for player, number in zip(players, (signal.SIGCONT, signal.SIGSTOP), strict=True):
                for process in processes:
                    process.send_signal(number)
                player.play()
        logs = [player.finish() for player in players]
    rates = [
        [count / taken for count, taken in by_round(player, log, turns)]
        for player, log in zip(players, logs, strict=True)
    ]
    return [heard / unheard for heard, unheard in zip(*rates, strict=True)], median(rates[0])


def fill(connection: psycopg.Connection, rows: int) -> None:
    """A ledger of so many charges, of ten thousand users."""
    for begin in range(0, rows, CHUNK):
        connection.execute(
            """
            insert into ducto.credit_transactions (
                account_id, actor_id, type, amount, balance_after, metrics, model,
                pricing_version, idempotency_key, created_at
            )
            select 'user_' || mod(n, 10000), 'user_' || mod(n, 10000), 'usage', -1, 100,
                '{"model": "gpt-4", "input_tokens": 500}', 'gpt-4', 1, 'key-' || n,
                clock_timestamp()
            from generate_series(%s::bigint, %s::bigint) n
            """,
            [begin + 1, min(begin + CHUNK, rows)],
        )


def poll(connection: psycopg.Connection, consumer: str, *types: str) -> tuple[float, int]:
    """Poll and acknowledge: milliseconds, and how many events came."""
    began = time.perf_counter()
    rows = connection.execute(
        "select cursor from ducto_poll_events(%s, 100, %s)", [consumer, list(types) or None]
    ).fetchall()
    if rows:
        connection.execute("select ducto_ack_events(%s, %s)", [consumer, rows[-1][0]])
    return (time.perf_counter() - began) * 1000, len(rows)


def long_ledger(opened: Lab, rows: int) -> None:
    """What polls cost behind so many rows."""
    dsn = opened.create("long_ledger")
    migrate(dsn, evaluator="portable")
    with (
        psycopg.connect(dsn, autocommit=True) as connection,
        psycopg.connect(dsn) as open_all_the_time,
    ):
        connection.execute("select ducto_create_consumer('now', 'now')")
        for consumer in ("start", "refunds", "mail"):
            connection.execute("select ducto_create_consumer(%s, 'start')", [consumer])
        poll(connection, "now")
        open_all_the_time.execute("select ducto_add_credits('slow', 1)")
        fill(connection, rows)
        settle(connection)
        print(f"{rows:,} rows; milliseconds of a poll with its acknowledgement")
        show("from the start, 100 events each", [poll(connection, "start") for _ in range(100)])
        show("looking for a refund, of which there are none", to_the_end(connection, "refunds"))
        show("looking for low balances", to_the_end(connection, "mail", "credits.low_balance"))
        to_the_end(connection, "now")
        found = []
        for _ in range(100):
            connection.execute("select ducto_add_credits('ann', 1)")
            found.append(poll(connection, "now"))
        show("at the end, one new event each", found)
        show("at the end, nothing new", [poll(connection, "now") for _ in range(100)])
        open_all_the_time.commit()
        late = to_the_end(connection, "now", "credits.added")
        show("after a transaction from before all rows is committed", late)


def to_the_end(
    connection: psycopg.Connection, consumer: str, event_type: str = "credits.refunded"
) -> list[tuple[float, int]]:
    """Poll until there is nothing left to look through."""
    polls = []
    query = (
        "select bool_or(c.reading is not null or c.top_id < ducto.last_event_id())"
        " from ducto.event_cursors c where c.consumer = %s"
    )
    while connection.execute(query, [consumer]).fetchone() != (False,):
        polls.append(poll(connection, consumer, event_type))
    # What ended in between, at most once more from where it began.
    polls.append(poll(connection, consumer, event_type))
    return polls


def show(what: str, polls: Sequence[tuple[float, int]]) -> None:
    """One line of figures."""
    times = [taken for taken, _ in polls]
    events = sum(count for _, count in polls)
    print(
        f"  {what}: {len(polls)} polls, {events} events, median {median(times):.2f},"
        f" longest {max(times):.2f}",
        flush=True,
    )


def main(argv: Sequence[str]) -> None:
    """Both parts, or a listener."""
    parser = argparse.ArgumentParser(prog="python -m bench.events", description=__doc__)
    parser.add_argument("--listen", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--clients", default="1,4")
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=10_000_000)
    options = parser.parse_args(argv)
    if options.listen:
        listen(*options.listen)
        return
    counts = tuple(int(text) for text in options.clients.split(","))
    with lab(options.seconds, options.rounds, counts, options.accounts) as opened:
        dsns = [charging(opened, name) for name in ("heard", "unheard")]
        print("charges with listeners, as a share of the throughput without")
        for title, wanted in LISTENERS.items():
            for clients in counts:
                ratios, rate = compare(opened, dsns, clients, wanted)
                print(
                    f"  {title}, {clients} clients: {median(ratios):.2f}"
                    f" (rounds {min(ratios):.2f} to {max(ratios):.2f}; {rate:.0f} charges/s)",
                    flush=True,
                )
        if options.rows:
            long_ledger(opened, options.rows)


if __name__ == "__main__":
    main(sys.argv[1:])
