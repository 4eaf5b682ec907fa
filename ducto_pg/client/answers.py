"""The parts of the clients that do not wait: what an answer is, and which events it tells of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias
from uuid import UUID

from ducto_pg.client.arguments import (
    Amount,
    Identifier,
    Json,
    Metrics,
    given,
    metrics,
    money,
    needed,
)
from ducto_pg.client.results import Charge, Hold
from ducto_pg.errors import DuctoError, from_denial

__all__ = [
    "Bill",
    "Event",
    "cap_parameters",
    "charge_events",
    "charged",
    "held",
    "hold_events",
    "operation_of",
]

# A type such as credits.deducted, and the answer that tells of it.
Event: TypeAlias = tuple[str, Mapping[str, Any]]


def charge_events(answer: Mapping[str, Any]) -> Iterator[Event]:
    """What a charge did, as events; a replay did nothing."""
    if answer.get("status") == "ok":
        if not answer.get("replayed"):
            yield "credits.deducted", answer
            for warning in answer.get("warnings") or ():
                if isinstance(warning, Mapping) and warning.get("code") == "cap_warning":
                    yield "credits.cap_warning", {"user_id": answer.get("user_id"), **warning}
    else:
        yield from _denial_events(answer)


def hold_events(answer: Mapping[str, Any]) -> Iterator[Event]:
    """What taking a hold did, as events."""
    if answer.get("status") not in ("denied", "error"):
        if not answer.get("replayed"):
            yield "credits.reserved", answer
    else:
        yield from _denial_events(answer)


def _denial_events(answer: Mapping[str, Any]) -> Iterator[Event]:
    if answer.get("status") == "denied":
        if answer.get("error") == "cap_reached":
            yield "credits.cap_reached", answer
        yield "credits.deduct_failed", answer


def operation_of(operation_type: str | None, usage: Metrics | None) -> str | None:
    """The operation to send: the default one leaves it to a usage that names its own."""
    named = usage is not None and metrics("metrics", usage).get("operation") is not None
    return None if named and operation_type == "usage" else operation_type


def cap_parameters(
    user_id: Identifier | None,
    cap_type: str | None,
    limit: Amount | None,
    action: str,
    model: str | None,
) -> dict[str, Any]:
    """A cap as the database takes it; its limit is an amount, elsewhere a limit is a count."""
    params = needed(p_user_id=user_id, p_cap_type=cap_type, p_action=action)
    return params | {"p_limit": money("limit", limit)} | given(p_model=model)


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


class Bill:
    """A call that is being billed: its hold, then what was used, then the charge."""

    def __init__(self, hold: Hold) -> None:
        self.hold = hold
        self.reported: dict[str, Any] | None = None
        self.charge: Charge | None = None

    @property
    def reservation_id(self) -> UUID:
        """The hold's id: a settlement that was lost can be repeated with it."""
        return self.hold.reservation_id

    def settle(
        self,
        usage: Metrics | None = None,
        *,
        amount: Amount | None = None,
        metadata: Json | None = None,
    ) -> None:
        """What to charge when the block ends; the last call counts.

        `bill.settle(usage_from(response))`, or `bill.settle(amount=3)`; nothing given charges all
        of the hold.
        """
        given(p_metrics=usage, p_amount=amount, p_metadata=metadata)
        self.reported = {"metrics": usage, "amount": amount, "metadata": metadata}
