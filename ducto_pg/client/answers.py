"""The parts of the clients that do not wait: arguments on the way in, answers on the way out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Context, Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from ducto_pg.client.results import Charge, Hold, Validation
from ducto_pg.errors import DuctoError, InvalidArgumentError, from_denial, from_sqlstate
from ducto_pg.plpython.config import compile_config

__all__ = [
    "EXACT",
    "Lease",
    "charged",
    "compiled",
    "given",
    "held",
    "invalid_config",
    "moment",
    "money",
    "validated",
]


# Sums of money that are computed here keep every digit.
EXACT = Context(prec=200)


def given(**params: Any) -> dict[str, Any]:
    """The parameters that were given a value; the database's defaults stand for the others."""
    return {name: value for name, value in params.items() if value is not None}


def money(value: Decimal | int | str | None) -> Decimal | None:
    """An exact amount; a float is refused, since its digits are not what was meant."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Decimal | int | str):
        raise InvalidArgumentError(
            f"An amount must be a Decimal, an int or text, not {type(value).__name__}."
        )
    try:
        amount = Decimal(value)
    except InvalidOperation:
        raise InvalidArgumentError(f"{value!r} is not an amount.") from None
    return amount


def moment(value: datetime | None) -> datetime | None:
    """An instant; one without a time zone could be any of 38, so it is refused."""
    if value is not None and value.tzinfo is None:
        raise InvalidArgumentError(f"The time {value} has no time zone.")
    return value


def charged(answer: Mapping[str, Any]) -> Charge:
    """The result of a charge; a denial is raised as its exception."""
    if answer.get("status") in ("denied", "error"):
        raise from_denial(answer) or DuctoError(str(answer.get("message")), detail=answer)
    return Charge.parse(answer)


def held(answer: Mapping[str, Any]) -> Hold:
    """The result of a hold; a denial is raised as its exception."""
    if answer.get("status") in ("denied", "error"):
        raise from_denial(answer) or DuctoError(str(answer.get("message")), detail=answer)
    return Hold.parse(answer)


def compiled(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config with the programs of its expressions, for a server that cannot compile."""
    outcome = compile_config(dict(config))
    if outcome["errors"]:
        raise invalid_config(outcome["code"], outcome["errors"])
    return {**config, "_compiled": outcome["programs"]}


def validated(config: Mapping[str, Any]) -> Validation:
    """Every error of a config, found here."""
    outcome = compile_config(dict(config))
    answer = {key: outcome[key] for key in ("errors", "warnings")}
    return Validation.parse({"valid": not outcome["errors"], **answer})


def invalid_config(code: str, errors: Sequence[Mapping[str, Any]]) -> DuctoError:
    """The exception for a config with errors; the sentence names the first of them."""
    first, further = errors[0], len(errors) - 1
    where = f"{first['path']}: " if first.get("path") else ""
    more = f" (and {further} more)" if further else ""
    message = f"The pricing config is not valid: {where}{first['message']}{more}."
    error = from_sqlstate(code, message, {"errors": list(errors)})
    return error or DuctoError(message)


class Lease:
    """A hold inside a `with` block: say what was used, and it is settled when the block ends."""

    def __init__(self, hold: Hold) -> None:
        self.hold = hold
        self.wanted: dict[str, Any] | None = None
        self.charge: Charge | None = None

    @property
    def reservation_id(self) -> UUID:
        """The hold's id."""
        return self.hold.reservation_id

    def settle(
        self,
        metrics: Mapping[str, Any] | None = None,
        *,
        amount: Decimal | int | str | None = None,
        idempotency_key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """What to charge when the block ends; the last call counts."""
        self.wanted = given(
            metrics=metrics, amount=amount, idempotency_key=idempotency_key, metadata=metadata
        )
