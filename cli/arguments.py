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
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ducto_pg import exact_json
from ducto_pg.cli.common import CliError

if TYPE_CHECKING:
    from ducto_pg.client.manager import CreditManager

__all__ = [
    "AMOUNT",
    "DURATION",
    "IDENTIFIER",
    "MOMENT",
    "NAME",
    "WHOLE",
    "beginning",
    "json_object",
    "key_option",
    "metadata_option",
    "metrics_options",
    "named_values",
    "open_manager",
    "usage",
]

F = TypeVar("F", bound=Callable[..., Any])

NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?", re.ASCII)
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
TEXT_METRICS = frozenset({"model", "operation", "job_name"})
FILE_SIZE_MAX = 1 << 20
DURATION_MAX = timedelta(days=36_525)


@contextmanager
def open_manager(dsn: str | None) -> Iterator[CreditManager]:
    """A manager on the database that the user means, its connection closed at the end."""
    # The driver is loaded by the commands that need it, and when they do.
    from ducto_pg.cli.stores import open_store
    from ducto_pg.client.manager import CreditManager

    with open_store(dsn) as store:
        yield CreditManager(store)


def AMOUNT(text: str) -> Decimal:  # click shows the name as the placeholder
    """The exact amount of a text."""
    digits = str(text).strip()
    if "," in digits:
        raise click.BadParameter(
            f"{text!r} has a comma, which is a decimal point to some and a separator to others; "
            "write 1.5 or 1500"
        )
    if not NUMBER.fullmatch(digits):
        raise click.BadParameter(f"{text!r} is not an amount")
    return Decimal(digits)


def DURATION(text: str) -> timedelta:
    """`90s`, `15m`, `12h`, `30d`, `2w`."""
    found = re.fullmatch(r"([0-9]{1,9})([smhdw])", str(text).strip(), re.ASCII)
    if not found:
        raise click.BadParameter(f"{text!r} is not a duration such as 15m, 12h, 30d")
    seconds = int(found.group(1)) * UNITS[found.group(2)]
    if seconds > DURATION_MAX.total_seconds():
        raise click.BadParameter(f"{text!r} is longer than a hundred years")
    if not seconds:
        raise click.BadParameter(f"{text!r} is no time at all")
    return timedelta(seconds=seconds)


def MOMENT(text: str) -> datetime:
    """An ISO date or time; one without a zone is UTC."""
    try:
        moment = datetime.fromisoformat(str(text).strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a date or time like 2026-05-01") from None
    except OverflowError:
        raise click.BadParameter(f"{text!r} is not in the years 1 to 9999") from None


def beginning(since: str, end: datetime) -> datetime:
    """Where a time begins that is given as its length or as its first instant."""
    if not re.fullmatch(r"[0-9]+[a-z]", since, re.ASCII):
        return MOMENT(since)
    try:
        return end - DURATION(since)
    except OverflowError:
        raise click.BadParameter(f"{since!r} reaches back before the year 1") from None


class WHOLE(click.IntRange):
    """A whole number within limits, in plain digits."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number; Python would also take underscores, and the digits of any script."""
        if isinstance(value, str) and not re.fullmatch(r"\s*[+-]?[0-9]{1,19}\s*", value, re.ASCII):
            self.fail(f"{value!r} is not a whole number", param, ctx)
        return super().convert(value, param, ctx)


def NAME(text: str) -> str:
    """The name of a user, a plan, a model, ...; never an empty one."""
    if not str(text).strip():
        raise click.BadParameter("it is empty")
    return str(text)


def IDENTIFIER(text: str) -> int:
    """The number of a transaction or a version."""
    digits = str(text).strip()
    if not re.fullmatch(r"[0-9]{1,19}", digits, re.ASCII) or int(digits) >= 2**63:
        raise click.BadParameter(f"{text!r} is not the number of an entry or a version")
    return int(digits)


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
        type=NAME,
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
    for name, value in named_values(pairs, "--metric").items():
        if name in metrics:
            raise click.UsageError(f"the metric {name!r} is given twice")
        metrics[name] = value
    if not metrics:
        raise click.UsageError("the usage is empty")
    return metrics


def named_values(pairs: Sequence[str], option: str) -> dict[str, Any]:
    """The values of NAME=VALUE options; a name given twice is refused, not overwritten."""
    values: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not name:
            raise click.UsageError(f"{option} takes NAME=VALUE, not {pair!r}")
        if name in values:
            raise click.UsageError(f"the metric {name!r} is given twice")
        values[name] = _metric_value(name, value)
    return values


def _metric_value(name: str, value: str) -> Any:
    if name in TEXT_METRICS:
        return value
    if NUMBER.fullmatch(value):
        return Decimal(value)
    if value[:1] in ("[", "{"):
        try:
            return exact_json.parse(value)
        except (ValueError, RecursionError) as error:
            raise click.UsageError(f"the metric {name} is not JSON: {error}") from None
    return value


def json_object(text: str | None, what: str) -> dict[str, Any] | None:
    """A JSON object given as text, or as @FILE."""
    if text is None:
        return None
    if text.startswith("@"):
        text = _text_of(text[1:])
    try:
        value = exact_json.parse(text)
    except (ValueError, RecursionError) as error:
        raise CliError(f"{what} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise CliError(f"{what} must be a JSON object")
    return value


def _text_of(file: str) -> str:
    """What a file says; one that is far too long is not read to its end."""
    with Path(file).open("rb") as stream:
        data = stream.read(FILE_SIZE_MAX + 1)
    if len(data) > FILE_SIZE_MAX:
        raise CliError(f"{file} is larger than {FILE_SIZE_MAX >> 20} MB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CliError(f"{file}: not text in UTF-8") from None
