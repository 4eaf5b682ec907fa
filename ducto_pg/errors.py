"""Everything that can go wrong in the client, as exceptions: all of them are `DuctoError`.

The database raises a stable code, a sentence, a JSON detail and a hint; here they become
`InsufficientCreditsError`, `CapReachedError` and so on. Those classes are generated from the error
catalogue, so that type checkers and editors know them. What is not in the catalogue (no connection,
no installation, no permission) has its class here.

    try:
        manager.deduct("user_abc", {"model": "gpt-4", "input_tokens": 500})
    except InsufficientCreditsError as error:
        print(error.detail["available"], error.hint)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ducto_pg.exact_json import loads

if TYPE_CHECKING:
    import psycopg

# Of a detail, what repeats the error itself; the rest are the facts.
IDENTITY = ("code", "error", "status")


class DuctoError(Exception):
    """Any error of the credits engine; ``str(error)`` is a sentence a person can act on.

    ``code`` is the SQLSTATE, ``name`` the catalogue's name, ``http_status`` what an HTTP API
    answers with, ``detail`` the facts (money as Decimal), ``hint`` what to do next.
    """

    code: str = ""
    name: ClassVar[str] = "error"
    http_status: ClassVar[int] = 500
    default_message: ClassVar[str] = "An error of the credits engine."
    default_hint: ClassVar[str] = ""

    def __init__(
        self,
        message: str | None = None,
        *,
        detail: Mapping[str, Any] | None = None,
        hint: str | None = None,
    ) -> None:
        self.message = message or self.default_message
        self.detail: dict[str, Any] = dict(detail or {})
        self.hint = self.default_hint if hint is None else hint
        super().__init__(self.message)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.detail, self.hint, self.code)


class UnavailableError(DuctoError):
    """The database cannot be reached, or the connection was lost; what was sent may have happened.

    Repeat the call with the same idempotency key: it is charged once, however often it is sent.
    """

    code = "08006"
    name = "unavailable"
    http_status = 503
    default_message = "The database cannot be reached."
    default_hint = (
        "Repeat the call with the same idempotency key; what did happen happens no second time."
    )


class NotInstalledError(DuctoError):
    """The database lacks the function: `ducto migrate` was not run there, or an older one was."""

    code = "42883"
    name = "not_installed"
    default_message = "This database has no ducto-pg, or an older one."
    default_hint = "Run `ducto migrate`."


class PermissionDeniedError(DuctoError):
    """The role, or the token, may not call the function."""

    code = "42501"
    name = "permission_denied"
    http_status = 403
    default_message = "The role may not call this function."
    default_hint = "The role needs ducto_reader, ducto_service or ducto_admin."


class TransactionConflictError(DuctoError):
    """Another transaction was in the way: a deadlock, a serialization failure, a lock timeout.

    Nothing was written, and a transaction that was open must be rolled back and run again.
    """

    code = "40001"
    name = "transaction_conflict"
    http_status = 409
    default_message = "Another transaction was in the way."
    default_hint = "Roll back and run the transaction again."


class DatabaseError(DuctoError):
    """Any other error of the database; ``code`` is its SQLSTATE, the cause the driver's error."""

    code = "XX000"
    name = "database_error"
    default_message = "The database reported an error."


def _rebuild(
    kind: type[DuctoError], message: str, detail: dict[str, Any], hint: str, code: str
) -> DuctoError:
    error = kind(message, detail=detail, hint=hint)
    error.code = code
    return error


def from_sqlstate(
    sqlstate: str | None,
    message: str | None = None,
    detail: str | Mapping[str, Any] | None = None,
    hint: str | None = None,
) -> DuctoError | None:
    """The exception for an error code, or None if the code is not of this engine."""
    kind = CLASSES.get(sqlstate or "")
    if kind is None:
        return None
    return kind(message, detail=_facts(detail), hint=hint)


# Of the codes of PostgreSQL itself, those that have a class: a code or how it begins.
_FOREIGN: dict[str, type[DuctoError]] = {
    "08": UnavailableError,
    "53300": UnavailableError,
    "57P01": UnavailableError,
    "57P02": UnavailableError,
    "57P03": UnavailableError,
    "57P05": UnavailableError,
    "42501": PermissionDeniedError,
    "40001": TransactionConflictError,
    "40P01": TransactionConflictError,
    "55P03": TransactionConflictError,
}


def from_database(
    sqlstate: str | None,
    message: str,
    detail: str | Mapping[str, Any] | None = None,
    hint: str | None = None,
) -> DuctoError:
    """The exception for whatever a database reported; one without a class is a DatabaseError."""
    code = sqlstate or ""
    known = from_sqlstate(code, message, detail, hint)
    if known is not None:
        return known
    if code in ("42883", "3F000") and "ducto" in message:
        error: DuctoError = NotInstalledError(
            f"This database has no ducto-pg, or an older one: {message}."
        )
    else:
        kind = _FOREIGN.get(code) or _FOREIGN.get(code[:2]) or DatabaseError
        error = kind(message, hint=hint)
    error.code = code or error.code
    return error


def translate(error: psycopg.Error) -> DuctoError:
    """The exception for an error of the driver."""
    from psycopg import OperationalError

    diagnostic = error.diag
    message = diagnostic.message_primary or " ".join(str(error).strip().split("\n")[0].split())
    code = diagnostic.sqlstate or error.sqlstate
    if code is None and isinstance(error, OperationalError):
        return UnavailableError(message or type(error).__name__)
    return from_database(
        code, message or type(error).__name__, diagnostic.message_detail, diagnostic.message_hint
    )


def from_denial(result: Mapping[str, Any]) -> DuctoError | None:
    """The exception for a result whose ``status`` is denied or error."""
    message, hint = result.get("message"), result.get("hint")
    return from_sqlstate(
        str(result.get("code")),
        None if message is None else str(message),
        {key: value for key, value in result.items() if key not in ("message", "hint")},
        None if hint is None else str(hint),
    )


def _facts(detail: str | Mapping[str, Any] | None) -> dict[str, Any]:
    if isinstance(detail, str):
        try:
            detail = loads(detail)
        except ValueError:
            return {"text": detail}
    if not isinstance(detail, Mapping):
        return {}
    return {key: value for key, value in detail.items() if key not in IDENTITY}


# --- generated from sql/errors.yaml by `make errors`; change it there ---


class CapReachedError(DuctoError):
    """DU001 cap_reached.

    Facts: user_id, cap_type, model, used, limit, required, resets_at.
    """

    code = "DU001"
    name = "cap_reached"
    http_status = 429
    default_message = (
        "The {cap_type} spend cap of {user_id} is reached: {used} of {limit} used, {required} "
        "more asked for; it resets at {resets_at}."
    )
    default_hint = "Wait for the reset, or raise the cap with ducto_set_spend_cap."


class InsufficientCreditsError(DuctoError):
    """DU002 insufficient_credits.

    Facts: user_id, available, required, balance, allowance_remaining, held, floor.
    """

    code = "DU002"
    name = "insufficient_credits"
    http_status = 402
    default_message = (
        "{user_id} has {available} credits available and needs {required}; the balance may not "
        "fall below {floor}."
    )
    default_hint = "Add credits with ducto_add_credits, or release holds that are no longer needed."


class PricingNotLoadedError(DuctoError):
    """DU003 pricing_not_loaded.

    It carries no facts.
    """

    code = "DU003"
    name = "pricing_not_loaded"
    http_status = 422
    default_message = "No pricing has been published yet."
    default_hint = "Publish one with ducto_pricing_set or `ducto pricing set FILE`."


class UnknownModelError(DuctoError, ValueError):
    """DU004 unknown_model.

    Facts: model, version.
    """

    code = "DU004"
    name = "unknown_model"
    http_status = 422
    default_message = (
        "The model {model} has no price in pricing version {version}, and there is no _default."
    )
    default_hint = "Add the model, a prefix of its name, or _default to the pricing's models."


class ConfigError(DuctoError, ValueError):
    """DU006 invalid_pricing_config.

    Facts: errors.
    """

    code = "DU006"
    name = "invalid_pricing_config"
    http_status = 422
    default_message = "The pricing config is not valid."
    default_hint = "`ducto pricing validate FILE` lists every error with its path."


class IdempotencyConflictError(DuctoError):
    """DU007 idempotency_conflict.

    Facts: user_id, idempotency_key, transaction_id.
    """

    code = "DU007"
    name = "idempotency_conflict"
    http_status = 409
    default_message = (
        "The idempotency key {idempotency_key} was already used by {user_id} for a different "
        "operation."
    )
    default_hint = "Use one key for one operation; retry with exactly the same arguments."


class TransactionNotFoundError(DuctoError):
    """DU008 transaction_not_found.

    Facts: transaction_id.
    """

    code = "DU008"
    name = "transaction_not_found"
    http_status = 404
    default_message = "There is no transaction {transaction_id}."
    default_hint = "Look it up with ducto_list_transactions."


class RefundExceedsChargeError(DuctoError):
    """DU009 refund_exceeds_charge.

    Facts: transaction_id, cost, refunded, refundable, requested.
    """

    code = "DU009"
    name = "refund_exceeds_charge"
    http_status = 422
    default_message = (
        "Transaction {transaction_id} has {refundable} left to refund; {requested} was asked for."
    )
    default_hint = "Leave the amount out to refund all that is left."


class ReservationNotFoundError(DuctoError):
    """DU010 reservation_not_found.

    Facts: reservation_id.
    """

    code = "DU010"
    name = "reservation_not_found"
    http_status = 404
    default_message = "There is no reservation {reservation_id}."
    default_hint = "Use the reservation_id that ducto_reserve returned."


class ReservationExpiredError(DuctoError):
    """DU011 reservation_expired.

    Facts: reservation_id, user_id, state, closed_at.
    """

    code = "DU011"
    name = "reservation_expired"
    http_status = 409
    default_message = (
        "The reservation {reservation_id} is no longer active: {state} at {closed_at}."
    )
    default_hint = (
        "Renew a hold before its deadline with ducto_renew; charge late usage with ducto_deduct."
    )


class ConcurrencyLimitError(DuctoError):
    """DU012 concurrency_limit.

    Facts: user_id, active, max_concurrent, operation.
    """

    code = "DU012"
    name = "concurrency_limit"
    http_status = 429
    default_message = (
        "{user_id} already holds {active} of {max_concurrent} concurrent reservations."
    )
    default_hint = "Settle or release a reservation first."


class FeatureNotEntitledError(DuctoError):
    """DU013 feature_not_entitled.

    Facts: user_id, feature, plan_key.
    """

    code = "DU013"
    name = "feature_not_entitled"
    http_status = 403
    default_message = "The plan of {user_id} does not include the feature {feature}."
    default_hint = "Move the user to a plan that has it with ducto_set_user_plan."


class PlanNotFoundError(DuctoError):
    """DU014 plan_not_found.

    Facts: plan_key, nearest.
    """

    code = "DU014"
    name = "plan_not_found"
    http_status = 404
    default_message = "There is no plan {plan_key} in the active pricing."
    default_hint = "ducto_list_plans lists the plans."


class TeamNotFoundError(DuctoError):
    """DU015 team_not_found.

    Facts: team_id.
    """

    code = "DU015"
    name = "team_not_found"
    http_status = 404
    default_message = "There is no team {team_id}."
    default_hint = "Use the id of a team, or leave it out to charge the user."


class NotATeamMemberError(DuctoError):
    """DU016 not_a_team_member.

    Facts: team_id, user_id.
    """

    code = "DU016"
    name = "not_a_team_member"
    http_status = 403
    default_message = "{user_id} is not a member of the team {team_id}."
    default_hint = "Charge a team that the user belongs to, or the user."


class InvalidArgumentError(DuctoError, ValueError):
    """DU017 invalid_argument.

    Facts: argument.
    """

    code = "DU017"
    name = "invalid_argument"
    http_status = 422
    default_message = "An argument is not valid."
    default_hint = "Correct the argument and call again; nothing was written."


class UnknownFixedJobError(DuctoError, ValueError):
    """DU018 unknown_fixed_job.

    Facts: job_name, version, nearest.
    """

    code = "DU018"
    name = "unknown_fixed_job"
    http_status = 422
    default_message = "The job {job_name} has no fixed price in pricing version {version}."
    default_hint = "Add it to the pricing's `fixed` section."


class AccountFrozenError(DuctoError):
    """DU019 account_frozen.

    Facts: user_id.
    """

    code = "DU019"
    name = "account_frozen"
    http_status = 403
    default_message = "The account {user_id} is frozen."
    default_hint = "Unfreeze it with ducto_unfreeze_account."


class VersionNotFoundError(DuctoError):
    """DU020 version_not_found.

    Facts: version.
    """

    code = "DU020"
    name = "version_not_found"
    http_status = 404
    default_message = "There is no pricing version {version}."
    default_hint = "ducto_pricing_list lists the versions."


class NotRefundableError(DuctoError):
    """DU021 not_refundable.

    Facts: transaction_id, type.
    """

    code = "DU021"
    name = "not_refundable"
    http_status = 422
    default_message = "Transaction {transaction_id} is of type {type} and cannot be refunded."
    default_hint = "Only charges can be refunded; take a grant back with ducto_revoke_grant."


class EvaluationError(DuctoError):
    """DU022 evaluation_error.

    Facts: reason, section, key.
    """

    code = "DU022"
    name = "evaluation_error"
    http_status = 422
    default_message = "Pricing this usage failed: {reason}."
    default_hint = (
        "Nothing was charged. Try the usage with ducto_calculate and correct the expression."
    )


class NotSignedInError(DuctoError):
    """DU023 not_signed_in.

    It carries no facts.
    """

    code = "DU023"
    name = "not_signed_in"
    http_status = 401
    default_message = "Nobody is signed in: the request carries no verified token of a user."
    default_hint = (
        "Send the access token of a signed-in user; self-service takes the user from its claim "
        "`sub`."
    )


class SchedulerMissingError(DuctoError):
    """DU024 scheduler_missing.

    Facts: database.
    """

    code = "DU024"
    name = "scheduler_missing"
    http_status = 501
    default_message = (
        "pg_cron is not installed in the database {database}, so nothing can be scheduled in it."
    )
    default_hint = (
        "Run `ducto jobs run` as a service instead: the same jobs; or install pg_cron there."
    )


class InvalidExpressionError(ConfigError):
    """DU005 invalid_expression.

    Facts: errors.
    """

    code = "DU005"
    name = "invalid_expression"
    http_status = 422
    default_message = "A pricing expression is not valid."
    default_hint = "Expressions are arithmetic on metric names; see the expression reference."


CLASSES: dict[str, type[DuctoError]] = {
    "DU001": CapReachedError,
    "DU002": InsufficientCreditsError,
    "DU003": PricingNotLoadedError,
    "DU004": UnknownModelError,
    "DU005": InvalidExpressionError,
    "DU006": ConfigError,
    "DU007": IdempotencyConflictError,
    "DU008": TransactionNotFoundError,
    "DU009": RefundExceedsChargeError,
    "DU010": ReservationNotFoundError,
    "DU011": ReservationExpiredError,
    "DU012": ConcurrencyLimitError,
    "DU013": FeatureNotEntitledError,
    "DU014": PlanNotFoundError,
    "DU015": TeamNotFoundError,
    "DU016": NotATeamMemberError,
    "DU017": InvalidArgumentError,
    "DU018": UnknownFixedJobError,
    "DU019": AccountFrozenError,
    "DU020": VersionNotFoundError,
    "DU021": NotRefundableError,
    "DU022": EvaluationError,
    "DU023": NotSignedInError,
    "DU024": SchedulerMissingError,
}

__all__ = [  # the exceptions
    "AccountFrozenError",
    "CapReachedError",
    "ConcurrencyLimitError",
    "ConfigError",
    "DatabaseError",
    "DuctoError",
    "EvaluationError",
    "FeatureNotEntitledError",
    "IdempotencyConflictError",
    "InsufficientCreditsError",
    "InvalidArgumentError",
    "InvalidExpressionError",
    "NotATeamMemberError",
    "NotInstalledError",
    "NotRefundableError",
    "NotSignedInError",
    "PermissionDeniedError",
    "PlanNotFoundError",
    "PricingNotLoadedError",
    "RefundExceedsChargeError",
    "ReservationExpiredError",
    "ReservationNotFoundError",
    "SchedulerMissingError",
    "TeamNotFoundError",
    "TransactionConflictError",
    "TransactionNotFoundError",
    "UnavailableError",
    "UnknownFixedJobError",
    "UnknownModelError",
    "VersionNotFoundError",
]
