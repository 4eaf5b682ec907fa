"""`ducto credits`: grants, charges, holds, refunds and look-ups for one account at a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from ducto_pg.cli.arguments import (
    AMOUNT,
    DURATION,
    IDENTIFIER,
    MOMENT,
    NAME,
    WHOLE,
    json_object,
    key_option,
    metadata_option,
    metrics_options,
    open_manager,
    usage,
)
from ducto_pg.cli.common import Group, dsn_option, json_option
from ducto_pg.cli.output import amount as shown
from ducto_pg.cli.output import cell, echo, fields, print_json, table

if TYPE_CHECKING:
    from ducto_pg.client.results import Breakdown, Charge, Explanation, Grant, Hold, Quote

GRANT_TYPES = ("adjustment", "purchase", "subscription", "promo", "signup_bonus")
ENTRY_TYPES = ("usage", "refund", "expiry", "revocation", *GRANT_TYPES, "opening", "rollover")
Params = dict[str, Any]


@click.group(cls=Group)
def credits() -> None:
    """Grant, charge and look up credits."""


def _command(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """A command of this group that takes --dsn and --json."""

    def register(function: Callable[..., None]) -> click.Command:
        return credits.command(name)(dsn_option(json_option(function)))

    return register


@_command("add")
@click.argument("user", type=NAME)
@click.argument("amount", type=AMOUNT)
@click.option("--type", "kind", type=click.Choice(GRANT_TYPES), default="adjustment")
@click.option("--expires-at", type=MOMENT, help="When they lapse, such as 2026-12-31.")
@click.option("--expires-in", type=DURATION, help="When they lapse from now, such as 30d.")
@click.option(
    "--priority",
    type=WHOLE(-(2**31), 2**31 - 1),
    help="Lower is spent first; the default is 100.",
)
@key_option
@metadata_option
def add(
    user: str,
    amount: Decimal,
    kind: str,
    expires_at: datetime | None,
    expires_in: timedelta | None,
    priority: int | None,
    idempotency_key: str | None,
    metadata_text: str | None,
    dsn: str | None,
    as_json: bool,
) -> None:
    """Give USER an AMOUNT of credits; a negative adjustment (after `--`) takes them."""
    if expires_at and expires_in:
        raise click.UsageError("give --expires-at or --expires-in, not both")
    if expires_in is not None:
        expires_at = datetime.now(UTC) + expires_in
    metadata = json_object(metadata_text, "--metadata")
    with open_manager(dsn) as manager:
        grant = manager.add_credits(
            user,
            amount,
            tx_type=kind,
            expires_at=expires_at,
            priority=priority,
            idempotency_key=idempotency_key,
            metadata=metadata,
        )
    _print_grant(grant, as_json)


def _print_grant(grant: Grant, as_json: bool) -> None:
    if as_json:
        print_json(grant.raw)
        return
    verb = "Already added" if grant.replayed else ("Added" if grant.amount >= 0 else "Took")
    lapse = f", until {grant.expires_at:%Y-%m-%d %H:%M %Z}" if grant.expires_at else ""
    echo(
        f"{verb} {shown(abs(grant.amount))} credits for {grant.user_id}{lapse}; "
        f"the balance is {shown(grant.balance_after)}."
    )


@_command("balance")
@click.argument("user", type=NAME)
def balance(user: str, dsn: str | None, as_json: bool) -> None:
    """What USER has: balance, allowance, holds, and what is available."""
    with open_manager(dsn) as manager:
        found = manager.get_balance(user)
    if as_json:
        print_json(found.raw)
        return
    fields(
        [
            ("user", found.user_id),
            ("plan", found.plan_key),
            ("balance", found.balance),
            ("allowance", found.allowance_remaining),
            ("held", found.held),
            ("available", found.available),
            ("debt", found.debt),
            ("granted in all", found.lifetime_granted),
            ("spent in all", found.lifetime_spent),
        ]
    )


@_command("deduct")
@click.argument("user", type=NAME)
@metrics_options
@click.option("--amount", type=AMOUNT, help="An amount priced elsewhere.")
@click.option("--job", type=NAME, help="A job with a fixed price.")
@key_option
@metadata_option
def deduct(
    user: str,
    metrics_text: str | None,
    metric_pairs: tuple[str, ...],
    amount: Decimal | None,
    job: str | None,
    idempotency_key: str | None,
    metadata_text: str | None,
    dsn: str | None,
    as_json: bool,
) -> None:
    """Charge USER a usage, a fixed job, or an amount."""
    metrics = usage(metrics_text, metric_pairs)
    if sum(given is not None for given in (metrics, amount, job)) != 1:
        raise click.UsageError("give one of --metric/--metrics, --amount and --job")
    params: Params = {
        "idempotency_key": idempotency_key,
        "metadata": json_object(metadata_text, "--metadata"),
    }
    with open_manager(dsn) as manager:
        if metrics is not None:
            charge = manager.deduct(user, metrics, **params)
        elif amount is not None:
            charge = manager.deduct_amount(user, amount, **params)
        else:
            charge = manager.deduct_fixed(user, job or "", **params)
    print_charge(charge, as_json)


def print_charge(charge: Charge, as_json: bool) -> None:
    """A charge, for people or programs."""
    if as_json:
        print_json(charge.raw)
        return
    again = " (already charged before)" if charge.replayed else ""
    fields(
        [
            ("transaction", str(charge.transaction_id) + again),
            ("model", charge.model),
            ("cost", charge.cost),
            ("from allowance", charge.allowance_consumed),
            ("from balance", charge.amount),
            ("balance after", charge.balance_after),
            ("pricing version", charge.pricing_version),
            *_parts(charge.breakdown),
        ]
    )
    _print_warnings(charge.warnings)


def _parts(breakdown: Breakdown | None) -> list[tuple[str, Decimal]]:
    """The parts of a price that are not zero, where there is more than one."""
    if breakdown is None:
        return []
    parts = [(n, getattr(breakdown, n)) for n in ("model", "tools", "search", "cache", "fixed")]
    present = [(f"  of it {name}", value) for name, value in parts if value]
    return present if len(present) > 1 else []


def _print_warnings(warnings: tuple[Any, ...]) -> None:
    for warning in warnings:
        facts = {k: v for k, v in warning.items() if k not in ("message", "code", "user_id")}
        details = ", ".join(f"{key} {cell(value)}" for key, value in facts.items() if value)
        text = str(warning.get("message") or warning.get("code")).replace("_", " ")
        echo(f"Warning: {text}{f': {details}' if details else ''}", err=True)


@_command("transactions")
@click.argument("user", type=NAME)
@click.option("--limit", type=WHOLE(1, 1000), default=20, show_default=True)
@click.option(
    "--before",
    type=IDENTIFIER,
    metavar="TRANSACTION",
    help="Only entries older than this transaction.",
)
@click.option("--type", "kind", type=click.Choice(ENTRY_TYPES), help="Only such entries.")
def transactions(
    user: str, limit: int, before: int | None, kind: str | None, dsn: str | None, as_json: bool
) -> None:
    """The ledger of USER, newest first."""
    with open_manager(dsn) as manager:
        entries = manager.list_transactions(user, limit=limit, before=before, tx_type=kind)
    if as_json:
        print_json([entry.raw for entry in entries])
        return
    table(
        ["id", "time", "type", "model", "amount", "allowance", "balance after"],
        [
            [
                str(entry.transaction_id),
                entry.created_at,
                entry.type,
                entry.model,
                entry.amount,
                entry.allowance_consumed,
                entry.balance_after,
            ]
            for entry in entries
        ],
        empty=f"{user} has no transactions.",
    )


@_command("lots")
@click.argument("user", type=NAME)
def lots(user: str, dsn: str | None, as_json: bool) -> None:
    """The grants of USER, in the order they are spent."""
    with open_manager(dsn) as manager:
        found = manager.list_lots(user)
    if as_json:
        print_json([lot.raw for lot in found])
        return
    table(
        ["lot", "kind", "amount", "remaining", "priority", "expires", "status"],
        [
            [
                str(lot.lot_id),
                lot.kind,
                lot.amount,
                lot.remaining,
                lot.priority,
                lot.expires_at,
                lot.status,
            ]
            for lot in found
        ],
        empty=f"{user} has no grants.",
    )


@_command("quote")
@click.argument("user", type=NAME)
@metrics_options
def quote(
    user: str,
    metrics_text: str | None,
    metric_pairs: tuple[str, ...],
    dsn: str | None,
    as_json: bool,
) -> None:
    """What a usage would cost USER now; exits with 1 when it would be denied."""
    metrics = usage(metrics_text, metric_pairs)
    if metrics is None:
        raise click.UsageError("give --metric or --metrics")
    with open_manager(dsn) as manager:
        found = manager.quote(user, metrics)
    _print_quote(found, as_json)
    if not found.affordable:
        click.get_current_context().exit(1)


def _print_quote(found: Quote, as_json: bool) -> None:
    if as_json:
        print_json(found.raw)
        return
    consequences = [
        ("from allowance", found.allowance_consumed),
        ("from balance", found.amount),
        ("balance after", found.balance_after),
    ]
    fields(
        [
            ("affordable", found.affordable),
            *([] if found.affordable else [("reason", found.message or found.error)]),
            ("model", found.model),
            ("cost", found.cost),
            *_parts(found.breakdown),
            *(consequences if found.affordable else []),
        ]
    )
    _print_warnings(found.warnings)


@_command("explain")
@click.argument("transaction", type=IDENTIFIER)
def explain(transaction: int, dsn: str | None, as_json: bool) -> None:
    """How a TRANSACTION came to its amount, and whether it can be recomputed."""
    with open_manager(dsn) as manager:
        found = manager.explain(transaction)
    if as_json:
        print_json(found.raw)
        return
    _print_explanation(found)


def _print_explanation(found: Explanation) -> None:
    metrics = ", ".join(f"{name}={cell(value)}" for name, value in found.variables.items())
    fields(
        [
            ("transaction", f"{found.transaction_id} ({found.type})"),
            ("user", found.user_id),
            ("time", found.created_at),
            ("usage", metrics or None),
            ("pricing version", found.pricing_version),
            ("plan", found.plan_key),
            *_parts(found.breakdown),
            ("cost", found.cost),
            ("from allowance", found.allowance_consumed),
            ("to the balance", found.amount),
            ("balance after", found.balance_after),
            ("recomputes", found.recomputes),
        ]
    )
    if found.expressions:
        echo()
        table(
            ["section", "key", "expression"],
            [[rate["section"], rate["key"], rate["expression"]] for rate in found.expressions],
        )
    if found.lots:
        echo()
        headings = list(found.lots[0])
        table(headings, [[lot.get(name) for name in headings] for lot in found.lots])


@_command("reserve")
@click.argument("user", type=NAME)
@click.option("--amount", type=AMOUNT, help="How much to set aside.")
@metrics_options
@click.option("--operation", type=NAME, help="Whose policy of the plan applies.")
@click.option("--ttl", type=DURATION, help="How long it is held, such as 15m; default 10m.")
@click.option("--feature", type=NAME, help="A feature that the plan must have.")
@key_option
@metadata_option
def reserve(
    user: str,
    amount: Decimal | None,
    metrics_text: str | None,
    metric_pairs: tuple[str, ...],
    operation: str | None,
    ttl: timedelta | None,
    feature: str | None,
    idempotency_key: str | None,
    metadata_text: str | None,
    dsn: str | None,
    as_json: bool,
) -> None:
    """Set credits of USER aside: an amount, or the estimated price of a usage."""
    with open_manager(dsn) as manager:
        hold = manager.reserve_credits(
            user,
            amount,
            metrics=usage(metrics_text, metric_pairs),
            operation_type=operation,
            ttl_seconds=None if ttl is None else int(ttl.total_seconds()),
            required_feature=feature,
            idempotency_key=idempotency_key,
            metadata=json_object(metadata_text, "--metadata"),
        )
    _print_hold(hold, as_json)


def _print_hold(hold: Hold, as_json: bool) -> None:
    if as_json:
        print_json(hold.raw)
        return
    fields(
        [
            ("reservation", str(hold.reservation_id)),
            ("amount", hold.amount),
            ("available", hold.available),
            ("expires", hold.expires_at),
            ("state", hold.state),
        ]
    )


@_command("settle")
@click.argument("reservation", type=click.UUID)
@click.option("--amount", type=AMOUNT, help="An amount priced elsewhere.")
@metrics_options
@click.option("--partial", is_flag=True, help="Keep the rest of the hold open.")
@key_option
@metadata_option
def settle(
    reservation: Any,
    amount: Decimal | None,
    metrics_text: str | None,
    metric_pairs: tuple[str, ...],
    partial: bool,
    idempotency_key: str | None,
    metadata_text: str | None,
    dsn: str | None,
    as_json: bool,
) -> None:
    """Charge what a RESERVATION was really used for, and free the rest."""
    with open_manager(dsn) as manager:
        charge = manager.settle(
            reservation,
            usage(metrics_text, metric_pairs),
            amount=amount,
            final=False if partial else None,
            idempotency_key=idempotency_key,
            metadata=json_object(metadata_text, "--metadata"),
        )
    print_charge(charge, as_json)


@_command("release")
@click.argument("reservation", type=click.UUID)
def release(reservation: Any, dsn: str | None, as_json: bool) -> None:
    """Give a RESERVATION up; nothing is charged."""
    with open_manager(dsn) as manager:
        released = manager.release(reservation)
    if as_json:
        print_json(released.raw)
    else:
        left = shown(released.available)
        echo(f"{reservation} is {released.state}; {left} credits are available.")


@_command("renew")
@click.argument("reservation", type=click.UUID)
@click.option("--ttl", type=DURATION, help="How long from now, such as 15m.")
def renew(reservation: Any, ttl: timedelta | None, dsn: str | None, as_json: bool) -> None:
    """Move the deadline of a RESERVATION."""
    with open_manager(dsn) as manager:
        seconds = None if ttl is None else int(ttl.total_seconds())
        _print_hold(manager.renew(reservation, ttl_seconds=seconds), as_json)


@_command("refund")
@click.argument("transaction", type=IDENTIFIER)
@click.option("--amount", type=AMOUNT, help="Default: all that is left of the charge.")
@click.option("--reason")
@key_option
@metadata_option
def refund(
    transaction: int,
    amount: Decimal | None,
    reason: str | None,
    idempotency_key: str | None,
    metadata_text: str | None,
    dsn: str | None,
    as_json: bool,
) -> None:
    """Give the charge TRANSACTION back, or part of it."""
    with open_manager(dsn) as manager:
        given_back = manager.refund_credits(
            transaction,
            amount,
            reason=reason,
            idempotency_key=idempotency_key,
            metadata=json_object(metadata_text, "--metadata"),
        )
    if as_json:
        print_json(given_back.raw)
        return
    fields(
        [
            ("transaction", str(given_back.transaction_id)),
            ("to the balance", given_back.amount),
            ("to the allowance", given_back.allowance_restored),
            ("balance after", given_back.balance_after),
        ]
    )


@_command("revoke")
@click.argument("transaction", type=IDENTIFIER)
@click.option("--write-off", is_flag=True, help="Forgive what was already spent of it.")
@click.option("--reason")
@key_option
def revoke(
    transaction: int,
    write_off: bool,
    reason: str | None,
    idempotency_key: str | None,
    dsn: str | None,
    as_json: bool,
) -> None:
    """Take back the grant TRANSACTION; what was spent of it becomes debt."""
    with open_manager(dsn) as manager:
        revoked = manager.revoke_grant(
            transaction,
            write_off=write_off or None,
            reason=reason,
            idempotency_key=idempotency_key,
        )
    if as_json:
        print_json(revoked.raw)
        return
    fields(
        [
            ("transaction", str(revoked.transaction_id)),
            ("taken from the lot", revoked.taken),
            ("new debt", revoked.debt_added),
            ("balance after", revoked.balance_after),
        ]
    )


@_command("freeze")
@click.argument("user", type=NAME)
def freeze(user: str, dsn: str | None, as_json: bool) -> None:
    """Refuse every charge and hold of USER."""
    with open_manager(dsn) as manager:
        manager.freeze_account(user)
    _say(as_json, user, "frozen")


@_command("unfreeze")
@click.argument("user", type=NAME)
def unfreeze(user: str, dsn: str | None, as_json: bool) -> None:
    """Let USER charge again."""
    with open_manager(dsn) as manager:
        manager.unfreeze_account(user)
    _say(as_json, user, "active")


def _say(as_json: bool, user: str, status: str) -> None:
    if as_json:
        print_json({"user_id": user, "status": status})
    else:
        echo(f"{user} is {status}.")
