"""What people type: amounts, usages, durations and instants, each refused with a reason.

Amounts and metrics become exact decimals straight from the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import click

from ducto_pg import exact_json
from ducto_pg.cli.common import CliError
from ducto_pg.cli.stores import open_store
from ducto_pg.client.manager import CreditManager

__all__ = [
    "AMOUNT",
    "DURATION",
    "MOMENT",
    "json_object",
    "key_option",
    "metadata_option",
    "metrics_options",
    "open_manager",
    "usage",
]

F = TypeVar("F", bound=Callable[..., Any])

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?", re.ASCII)
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
TEXT_METRICS = frozenset({"model", "operation", "job_name"})


@contextmanager
def open_manager(dsn: str | None) -> Iterator[CreditManager]:
    """A manager on the database that the user means, its connection closed at the end."""
    with open_store(dsn) as store:
        yield CreditManager(store)


def AMOUNT(text: str) -> Decimal:  # click shows the name as the placeholder
    """The exact amount of a text."""
    digits = str(text).strip().replace(",", "")
    if not NUMBER.fullmatch(digits):
        raise click.BadParameter(f"{text!r} is not an amount")
    return Decimal(digits)


def DURATION(text: str) -> timedelta:
    """`90s`, `15m`, `12h`, `30d`, `2w`."""
    found = re.fullmatch(r"([0-9]{1,6})([smhdw])", str(text).strip())
    if not found:
        raise click.BadParameter(f"{text!r} is not a duration such as 15m, 12h, 30d")
    return timedelta(seconds=int(found.group(1)) * UNITS[found.group(2)])


def MOMENT(text: str) -> datetime:
    """An ISO date or time; one without a zone is UTC."""
    try:
        moment = datetime.fromisoformat(str(text).strip())
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a date or time like 2026-05-01") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def metrics_options(command: F) -> F:
    """`--metrics JSON` and `--metric NAME=VALUE`: read them with `usage`."""
    command = click.option(
        "-m",
        "--metric",
        "metric_pairs",
        multiple=True,
        metavar="NAME=VALUE",
        help="One metric, such as model=gpt-4o or input_tokens=500; may be repeated.",
    )(command)
    return click.option(
        "--metrics",
        "metrics_text",
        metavar="JSON",
        help="The usage as a JSON object, or @FILE.",
    )(command)


def key_option(command: F) -> F:
    """`--key`: the idempotency key."""
    return click.option(
        "--key",
        "idempotency_key",
        metavar="KEY",
        help="Idempotency key: the same command with the same key happens once.",
    )(command)


def metadata_option(command: F) -> F:
    """`--metadata`: kept with the ledger entry."""
    return click.option(
        "--metadata", "metadata_text", metavar="JSON", help="A JSON object kept with the entry."
    )(command)


def usage(metrics_text: str | None, pairs: Sequence[str]) -> dict[str, Any] | None:
    """The usage given by both options together; None when neither was given."""
    if metrics_text is None and not pairs:
        return None
    metrics = json_object(metrics_text, "--metrics") or {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise click.UsageError(f"--metric takes NAME=VALUE, not {pair!r}")
        metrics[name.strip()] = _metric_value(name.strip(), value.strip())
    return metrics


def _metric_value(name: str, value: str) -> Any:
    if name in TEXT_METRICS:
        return value
    if NUMBER.fullmatch(value):
        return Decimal(value)
    if value[:1] in ("[", "{"):
        try:
            return exact_json.loads(value)
        except (ValueError, RecursionError) as error:
            raise click.UsageError(f"the metric {name} is not JSON: {error}") from None
    return value


def json_object(text: str | None, what: str) -> dict[str, Any] | None:
    """A JSON object given as text, or as @FILE."""
    if text is None:
        return None
    if text.startswith("@"):
        text = Path(text[1:]).read_text(encoding="utf-8")
    try:
        value = exact_json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CliError(f"{what} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise CliError(f"{what} must be a JSON object")
    return value
