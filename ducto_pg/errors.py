"""Every business error as an exception class of its own, with the facts it carries.

The database raises a stable code, a sentence, a JSON detail and a hint; here they become
`InsufficientCredits`, `CapReached` and so on, all of them `DuctoError`. The classes are generated
from the error catalogue, so that type checkers and editors know them.

    try:
        manager.deduct("user_abc", {"model": "gpt-4", "input_tokens": 500})
    except InsufficientCredits as error:
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
    """A business error; ``str(error)`` is a sentence a person can act on.

    ``code`` is the SQLSTATE, ``name`` the catalogue's name, ``http_status`` what an HTTP API
    answers with, ``detail`` the facts (money as Decimal), ``hint`` what to do next.
    """

    code: ClassVar[str] = ""
    name: ClassVar[str] = ""
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
        return _rebuild, (type(self), self.message, self.detail, self.hint)


def _rebuild(kind: type[DuctoError], message: str, detail: dict[str, Any], hint: str) -> DuctoError:
    return kind(message, detail=detail, hint=hint)


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


def translate(error: psycopg.Error) -> DuctoError | psycopg.Error:
    """The exception for an error the database raised; any but a business error comes back as is."""
    diagnostic = error.diag
    business = from_sqlstate(
        diagnostic.sqlstate,
        diagnostic.message_primary,
        diagnostic.message_detail,
        diagnostic.message_hint,
    )
    return business or error


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


class CapReached(DuctoError):
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


class InsufficientCredits(DuctoError):
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


class PricingNotLoaded(DuctoError):
    """DU003 pricing_not_loaded.

    It carries no facts.
    """

    code = "DU003"
    name = "pricing_not_loaded"
    http_status = 422
    default_message = "No pricing has been published yet."
    default_hint = "Publish one with ducto_pricing_set or `ducto pricing set FILE`."


class UnknownModel(DuctoError):
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


class InvalidExpression(DuctoError):
    """DU005 invalid_expression.

    Facts: errors.
    """

    code = "DU005"
    name = "invalid_expression"
    http_status = 422
    default_message = "A pricing expression is not valid."
    default_hint = "Expressions are arithmetic on metric names; see the expression reference."


class InvalidPricingConfig(DuctoError):
    """DU006 invalid_pricing_config.

    Facts: errors.
    """

    code = "DU006"
    name = "invalid_pricing_config"
    http_status = 422
    default_message = "The pricing config is not valid."
    default_hint = "`ducto pricing validate FILE` lists every error with its path."


class IdempotencyConflict(DuctoError):
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


class TransactionNotFound(DuctoError):
    """DU008 transaction_not_found.

    Facts: transaction_id.
    """

    code = "DU008"
    name = "transaction_not_found"
    http_status = 404
    default_message = "There is no transaction {transaction_id}."
    default_hint = "Look it up with ducto_list_transactions."


class RefundExceedsCharge(DuctoError):
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


class ReservationNotFound(DuctoError):
    """DU010 reservation_not_found.

    Facts: reservation_id.
    """

    code = "DU010"
    name = "reservation_not_found"
    http_status = 404
    default_message = "There is no reservation {reservation_id}."
    default_hint = "Use the reservation_id that ducto_reserve returned."


class ReservationExpired(DuctoError):
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


class ConcurrencyLimit(DuctoError):
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


class FeatureNotEntitled(DuctoError):
    """DU013 feature_not_entitled.

    Facts: user_id, feature, plan_key.
    """

    code = "DU013"
    name = "feature_not_entitled"
    http_status = 403
    default_message = "The plan of {user_id} does not include the feature {feature}."
    default_hint = "Move the user to a plan that has it with ducto_set_user_plan."


class PlanNotFound(DuctoError):
    """DU014 plan_not_found.

    Facts: plan_key, nearest.
    """

    code = "DU014"
    name = "plan_not_found"
    http_status = 404
    default_message = "There is no plan {plan_key} in the active pricing."
    default_hint = "ducto_list_plans lists the plans."


class TeamNotFound(DuctoError):
    """DU015 team_not_found.

    Facts: team_id.
    """

    code = "DU015"
    name = "team_not_found"
    http_status = 404
    default_message = "There is no team {team_id}."
    default_hint = "Use the id of a team, or leave it out to charge the user."


class NotATeamMember(DuctoError):
    """DU016 not_a_team_member.

    Facts: team_id, user_id.
    """

    code = "DU016"
    name = "not_a_team_member"
    http_status = 403
    default_message = "{user_id} is not a member of the team {team_id}."
    default_hint = "Charge a team that the user belongs to, or the user."


class InvalidArgument(DuctoError):
    """DU017 invalid_argument.

    Facts: argument.
    """

    code = "DU017"
    name = "invalid_argument"
    http_status = 422
    default_message = "An argument is not valid."
    default_hint = "Correct the argument and call again; nothing was written."


class UnknownFixedJob(DuctoError):
    """DU018 unknown_fixed_job.

    Facts: job_name, version, nearest.
    """

    code = "DU018"
    name = "unknown_fixed_job"
    http_status = 422
    default_message = "The job {job_name} has no fixed price in pricing version {version}."
    default_hint = "Add it to the pricing's `fixed` section."


class AccountFrozen(DuctoError):
    """DU019 account_frozen.

    Facts: user_id.
    """

    code = "DU019"
    name = "account_frozen"
    http_status = 403
    default_message = "The account {user_id} is frozen."
    default_hint = "Unfreeze it with ducto_unfreeze_account."


class VersionNotFound(DuctoError):
    """DU020 version_not_found.

    Facts: version.
    """

    code = "DU020"
    name = "version_not_found"
    http_status = 404
    default_message = "There is no pricing version {version}."
    default_hint = "ducto_pricing_list lists the versions."


class NotRefundable(DuctoError):
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


CLASSES: dict[str, type[DuctoError]] = {
    "DU001": CapReached,
    "DU002": InsufficientCredits,
    "DU003": PricingNotLoaded,
    "DU004": UnknownModel,
    "DU005": InvalidExpression,
    "DU006": InvalidPricingConfig,
    "DU007": IdempotencyConflict,
    "DU008": TransactionNotFound,
    "DU009": RefundExceedsCharge,
    "DU010": ReservationNotFound,
    "DU011": ReservationExpired,
    "DU012": ConcurrencyLimit,
    "DU013": FeatureNotEntitled,
    "DU014": PlanNotFound,
    "DU015": TeamNotFound,
    "DU016": NotATeamMember,
    "DU017": InvalidArgument,
    "DU018": UnknownFixedJob,
    "DU019": AccountFrozen,
    "DU020": VersionNotFound,
    "DU021": NotRefundable,
    "DU022": EvaluationError,
}
