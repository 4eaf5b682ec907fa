"""Arguments on the way into the database: the right type, exact, or refused by name.

Whatever a caller passes becomes a value the database's functions take, or an InvalidArgumentError
that says which argument is wrong. Ids and keys may be text, a UUID or an int, each as its text;
money is a Decimal, an int or text, never a float; a time without a zone is UTC.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias
from uuid import UUID

from ducto_pg.client.usage import UsageMetrics
from ducto_pg.errors import DuctoError, InvalidArgumentError

__all__ = ["Amount", "Identifier", "Json", "Metrics", "given", "needed"]

Amount: TypeAlias = Decimal | int | str
Identifier: TypeAlias = str | UUID | int
Json: TypeAlias = Mapping[str, Any]
Metrics: TypeAlias = Mapping[str, Any] | UsageMetrics

INTEGER_LIMIT = 2**31
BIGINT_LIMIT = 2**63
IDENTIFIER_LIMIT = 10**200
AMOUNT_DIGITS_MAX = 100
SHOWN_MAX = 60

# Parameters of the database whose argument in Python is called otherwise.
_ARGUMENTS = {"p_type": "tx_type", "p_from": "from_version", "p_to": "to_version"}


def needed(**params: Any) -> dict[str, Any]:
    """The parameters a call cannot do without, each as the database takes it."""
    return {name: _read(name, value) for name, value in params.items()}


def given(**params: Any) -> dict[str, Any]:
    """The parameters that were given a value; the database's defaults stand for the others."""
    return {name: _read(name, value) for name, value in params.items() if value is not None}


def refuse(argument: str, sentence: str) -> InvalidArgumentError:
    """The exception for an argument: `sentence` goes on after its name."""
    return InvalidArgumentError(f"{argument} {sentence}.", detail={"argument": argument})


def _read(name: str, value: Any) -> Any:
    argument = _ARGUMENTS.get(name, name.removeprefix("p_"))
    return READERS[name](argument, value)


def _kind(value: Any) -> str:
    return "None" if value is None else type(value).__name__


def _shown(value: object) -> str:
    """A value as a message shows it: quoted, and not all of a long one."""
    quoted = repr(value)
    return quoted if len(quoted) <= SHOWN_MAX else f"{quoted[:SHOWN_MAX]}…"


def text(argument: str, value: Any) -> str:
    """Text that a database can hold."""
    if not isinstance(value, str):
        raise refuse(argument, f"must be text, not {_kind(value)}")
    if not is_storable(value):
        raise refuse(argument, "contains a character that PostgreSQL cannot store")
    return value


def is_storable(value: str) -> bool:
    """Whether PostgreSQL can store a text: no NUL, and no half of a surrogate pair."""
    if "\0" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def identifier(argument: str, value: Any) -> str:
    """The id of an account or a key: text, or the text of a UUID or an int."""
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) >= IDENTIFIER_LIMIT:
            raise refuse(argument, "is a number with more than 200 digits")
        return str(value)
    if isinstance(value, UUID):
        return str(value)
    if not isinstance(value, str):
        raise refuse(argument, f"must be text, a UUID or an int, not {_kind(value)}")
    return text(argument, value)


def money(argument: str, value: Any) -> Decimal:
    """An exact amount; a float is refused, since its digits are not what was meant."""
    if isinstance(value, bool) or not isinstance(value, Decimal | int | str):
        raise refuse(argument, f"must be a Decimal, an int or text, not {_kind(value)}")
    try:
        amount = Decimal(value)
    except (InvalidOperation, ValueError):
        raise refuse(argument, f"is {_shown(value)}, which is not an amount") from None
    if not amount.is_finite():
        raise refuse(argument, f"must be a finite number, not {amount}")
    _, digits, exponent = amount.as_tuple()
    if len(digits) + abs(int(exponent)) > AMOUNT_DIGITS_MAX:
        raise refuse(argument, "has more digits than any amount of credits")
    return amount


def _whole(limit: int) -> Callable[[str, Any], int]:
    def read(argument: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise refuse(argument, f"must be an int, not {_kind(value)}")
        if not -limit <= value < limit:
            raise refuse(argument, "is a number out of range")
        return value

    return read


def flag(argument: str, value: Any) -> bool:
    """True or False, and nothing that is only like it."""
    if not isinstance(value, bool):
        raise refuse(argument, f"must be True or False, not {_kind(value)}")
    return value


def moment(argument: str, value: Any) -> datetime:
    """An instant in UTC; one without a time zone is UTC already."""
    if not isinstance(value, datetime):
        raise refuse(argument, f"must be a datetime, not {_kind(value)}")
    try:
        aware = value if value.utcoffset() is not None else value.replace(tzinfo=UTC)
        return aware.astimezone(UTC)
    except OverflowError:
        raise refuse(argument, "is in UTC not in the years 1 to 9999") from None
    except Exception as error:  # a time zone is code of the caller's
        raise refuse(argument, f"has a time zone that fails: {type(error).__name__}") from error


def uuid(argument: str, value: Any) -> UUID:
    """The id of a reservation."""
    if isinstance(value, UUID):
        return value
    if not isinstance(value, str):
        raise refuse(argument, f"must be a UUID or its text, not {_kind(value)}")
    try:
        return UUID(value)
    except ValueError:
        raise refuse(argument, f"is {_shown(value)}, which is not a UUID") from None


def json_object(argument: str, value: Any) -> Json:
    """A JSON object."""
    if not isinstance(value, Mapping):
        raise refuse(argument, f"must be an object (a dict), not {_kind(value)}")
    return value


def metrics(argument: str, value: Any) -> Json:
    """A usage: a dict of metrics, or a UsageMetrics."""
    if isinstance(value, UsageMetrics):
        try:
            return value.to_dict()
        except DuctoError:
            raise
        except Exception as error:  # such as an array, which is neither true nor false
            raise refuse(argument, f"cannot be read: {type(error).__name__}") from error
    if not isinstance(value, Mapping):
        raise refuse(argument, f"must be a UsageMetrics or a dict, not {_kind(value)}")
    return value


def names(argument: str, value: Any) -> str:
    """A list of names, as the text of a PostgreSQL array, which every transport can send."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise refuse(argument, f"must be a list of names, not {_kind(value)}")
    quoted = (text(f"{argument}[{place}]", name) for place, name in enumerate(value))
    return "{" + ",".join('"' + re.sub(r'(["\\])', r"\\\1", name) + '"' for name in quoted) + "}"


def items(argument: str, value: Any) -> list[Json]:
    """The items of a batch, each with its members as the database takes them."""
    if isinstance(value, str | Mapping) or not isinstance(value, Sequence):
        raise refuse(argument, f"must be a list of objects, not {_kind(value)}")
    return [_item(f"{argument}[{place}]", item) for place, item in enumerate(value)]


def _item(place: str, value: Any) -> Json:
    members = json_object(place, value)
    return {
        name: _ITEM_READERS[name](f"{place}.{name}", member)
        if name in _ITEM_READERS and member is not None
        else member
        for name, member in members.items()
    }


def _written_moment(argument: str, value: Any) -> Any:
    """An instant, which in JSON may be written as text already."""
    return text(argument, value) if isinstance(value, str) else moment(argument, value)


_ITEM_READERS: dict[str, Callable[[str, Any], Any]] = {
    "user_id": identifier,
    "team_id": identifier,
    "idempotency_key": identifier,
    "amount": money,
    "metrics": metrics,
    "metadata": json_object,
    "job_name": text,
    "type": text,
    "occurred_at": _written_moment,
    "expires_at": _written_moment,
}

_integer, _bigint = _whole(INTEGER_LIMIT), _whole(BIGINT_LIMIT)

READERS: dict[str, Callable[[str, Any], Any]] = {
    "p_action": text,
    "p_bucket": text,
    "p_after": identifier,
    "p_amount": money,
    "p_before": _bigint,
    "p_cap_type": text,
    "p_category": text,
    "p_charges": items,
    "p_config": json_object,
    "p_dry_run": flag,
    "p_end": moment,
    "p_expires_at": moment,
    "p_feature": text,
    "p_final": flag,
    "p_from": _integer,
    "p_grants": items,
    "p_group_by": names,
    "p_idempotency_key": identifier,
    "p_initial_balance": money,
    "p_job_name": text,
    "p_label": text,
    "p_limit": _integer,
    "p_metadata": json_object,
    "p_metrics": metrics,
    "p_min_balance": money,
    "p_model": text,
    "p_name": text,
    "p_occurred_at": moment,
    "p_operation_type": text,
    "p_owner_id": identifier,
    "p_period_anchor": moment,
    "p_plan_key": text,
    "p_priority": _integer,
    "p_reason": text,
    "p_remove_cap": flag,
    "p_required_feature": text,
    "p_reservation_id": uuid,
    "p_role": text,
    "p_spend_cap": money,
    "p_start": moment,
    "p_team_id": identifier,
    "p_to": _integer,
    "p_transaction_id": _bigint,
    "p_ttl_seconds": _integer,
    "p_type": text,
    "p_user_id": identifier,
    "p_version": _integer,
    "p_write_off": flag,
}
