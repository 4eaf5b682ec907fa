"""`ducto events`: watching, handing events to commands and webhooks, dead letters, consumers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from ducto_pg import verify_signature
from tests.cli.conftest import PROGRAM, Manage, Run
from tests.events.test_webhooks import Receiver, receiver

__all__ = ["receiver"]


@pytest.fixture
def granted(dsn: str, manage: Manage) -> None:
    """Two accounts with a grant each."""
    manager = manage(dsn)
    manager.add_credits("ann", "10.50")
    manager.add_credits("bob", 5)


def lines(text: str) -> list[dict[str, Any]]:
    """JSON, an object a line."""
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.usefixtures("granted")
def test_tail_prints_events(run: Run) -> None:
    done = run("events", "tail", "--from", "start", "--once")
    assert done.exit_code == 0
    first, second = done.stdout.splitlines()
    assert "credits.added  ann  " in first
    assert "amount=10.5 balance_after=10.5" in first
    assert "credits.added  bob  " in second
    printed = lines(run("events", "tail", "--from", "start", "--once", "--json").stdout)
    assert [(event["type"], event["data"]["amount"]) for event in printed] == [
        ("credits.added", 10.5), ("credits.added", 5),
    ]  # fmt: skip
    assert run("events", "tail", "--once").stdout == ""
    some = run("events", "tail", "--from", "start", "--once", "--type", "credits.deducted")
    assert some.stdout == ""
    assert run("events", "consumers").stdout == "No consumers yet.\n"


def test_a_type_that_cannot_be_is_refused(run: Run) -> None:
    done = run("events", "tail", "--once", "--type", "low_balance")
    assert done.exit_code == 2
    assert "is no type of event" in done.stderr


@pytest.mark.usefixtures("granted")
def test_tail_goes_on_until_it_is_interrupted(dsn: str, manage: Manage) -> None:
    command = [*PROGRAM, "events", "tail", "--json", "--dsn", dsn]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        manager = manage(dsn)
        deadline = time.monotonic() + 30
        while not manager._store.rows("ducto_list_consumers"):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        manager.deduct_amount("ann", 3)
        event = json.loads(process.stdout.readline())
        assert (event["type"], event["data"]["amount"]) == ("credits.deducted", 3)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert manager._store.rows("ducto_list_consumers") == []


@pytest.mark.usefixtures("granted")
def test_tail_ends_with_the_program_it_prints_to(dsn: str, manage: Manage) -> None:
    tail = " ".join([*PROGRAM, "events", "tail", "--from", "start", "--json"])
    pipeline = subprocess.Popen(
        f"{tail} | head -n 1", shell=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env={**os.environ, "DATABASE_URL": dsn},
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while pipeline.poll() is None:
        assert time.monotonic() < deadline
        manage(dsn).add_credits("cat", 1)
        time.sleep(0.1)
    stdout, stderr = pipeline.communicate()
    assert [event["user_id"] for event in lines(stdout)] == ["ann"]
    assert stderr == ""


@pytest.mark.usefixtures("granted")
def test_listen_hands_each_event_to_a_command(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = f"cat >> {log}; echo $DUCTO_EVENT $DUCTO_EVENT_ID >> {log}.names"
    done = run("events", "listen", "--exec", command, "--consumer", "mail", "--once")
    assert (done.exit_code, done.output) == (0, "")
    assert [event["user_id"] for event in lines(log.read_text())] == ["ann", "bob"]
    assert Path(f"{log}.names").read_text() == "credits.added 1\ncredits.added 2\n"
    run("events", "listen", "--exec", command, "--consumer", "mail", "--once")
    assert len(lines(log.read_text())) == 2


@pytest.mark.usefixtures("granted")
def test_what_a_command_refuses_is_a_dead_letter_that_can_be_retried(
    run: Run, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    fails = "grep -v ann > /dev/null"
    done = run("events", "listen", "--exec", fails, "--attempts", "1", "--once")
    assert done.exit_code == 0
    assert "gives up on event 1 (credits.added) after 1 attempts" in done.stderr
    (letter,) = json.loads(run("events", "dead", "--json").stdout)
    assert (letter["user_id"], letter["attempts"]) == ("ann", 1)
    assert letter["error"] == "CommandFailed: the command ended with status 1"
    listed = run("events", "dead").stdout
    assert "credits.added" in listed
    assert "status 1" in listed
    assert run("events", "dead", "--consumer", "other").stdout == "No dead letters.\n"
    assert run("events", "dead", "--retry", "99").exit_code == 1
    assert run("events", "dead", "--retry", "1").stdout == "1 event to be delivered again.\n"
    run("events", "listen", "--exec", f"cat >> {log}", "--once")
    assert [event["user_id"] for event in lines(log.read_text())] == ["ann"]
    assert run("events", "dead").stdout == "No dead letters.\n"


@pytest.mark.usefixtures("granted")
def test_dead_letters_can_be_forgotten(run: Run) -> None:
    run("events", "listen", "--exec", "false", "--attempts", "1", "--once")
    assert run("events", "dead", "--discard", "all").stdout == "2 events forgotten.\n"
    assert run("events", "dead").stdout == "No dead letters.\n"
    assert run("events", "dead", "--discard", "1", "--retry", "1").exit_code == 2


@pytest.mark.usefixtures("granted")
def test_a_command_that_hangs_is_ended(run: Run) -> None:
    began = time.monotonic()
    run(
        "events", "listen", "--exec", "sleep 60; true", "--timeout", "1s", "--attempts", "1",
        "--type", "credits.added", "--once",
    )  # fmt: skip
    assert time.monotonic() - began < 20
    letters = json.loads(run("events", "dead", "--json").stdout)
    assert {letter["error"] for letter in letters} == {
        "CommandFailed: the command took longer than 1 s"
    }


@pytest.mark.usefixtures("granted")
def test_listen_posts_each_event_to_a_webhook(
    run: Run,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DUCTO_WEBHOOK_SECRET", "s3cret")
    receiver.statuses.append(500)
    done = run("events", "listen", "--webhook", receiver.url, "--once")
    assert done.exit_code == 0
    assert "attempt 1, next in 1.0 s: the receiver answers with status 500" in done.stderr
    assert [json.loads(body)["user_id"] for _, body in receiver.requests] == ["ann", "ann", "bob"]
    for headers, body in receiver.requests:
        assert verify_signature("s3cret", body, headers["Ducto-Signature"])


def test_what_listen_cannot_do_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DUCTO_WEBHOOK_SECRET", raising=False)
    assert run("events", "listen").exit_code == 2
    assert run("events", "listen", "--exec", "true", "--webhook", "http://x/").exit_code == 2
    unsigned = run("events", "listen", "--webhook", "http://x/")
    assert unsigned.exit_code == 1
    assert "DUCTO_WEBHOOK_SECRET" in unsigned.stderr
    monkeypatch.setenv("DUCTO_WEBHOOK_SECRET", "s3cret")
    assert run("events", "listen", "--webhook", "file:///etc/passwd").exit_code == 2


@pytest.mark.usefixtures("granted")
def test_listen_stops_when_asked_and_loses_nothing(dsn: str, tmp_path: Path, run: Run) -> None:
    log = tmp_path / "log"
    command = f"sleep 0.5; cat >> {log}"
    process = subprocess.Popen([*PROGRAM, "events", "listen", "--exec", command, "--dsn", dsn])
    deadline = time.monotonic() + 30
    while not log.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    run("events", "listen", "--exec", f"cat >> {log}", "--once")
    assert [event["user_id"] for event in lines(log.read_text())] == ["ann", "bob"]


@pytest.mark.usefixtures("granted")
def test_consumers_are_listed_and_removed(run: Run) -> None:
    run("events", "listen", "--exec", "true", "--consumer", "mail", "--once", "--lanes", "2")
    (consumer,) = json.loads(run("events", "consumers", "--json").stdout)
    assert (consumer["consumer"], consumer["lanes"], consumer["behind"]) == ("mail", 2, 0)
    assert "mail" in run("events", "consumers").stdout
    assert run("events", "consumers", "--remove", "mail").stdout == (
        "The consumer mail is removed.\n"
    )
    for extra in ((), ("--json",)):
        again = run("events", "consumers", "--remove", "mail", *extra)
        assert again.exit_code == 1
        assert "there is no consumer mail" in again.stderr
