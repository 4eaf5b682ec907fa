"""What went wrong, for people and for programs: one sentence, a hint, an exit status.

Whatever an exception is, `describe` finds a sentence for it. Hints speak of commands, because that
is what the reader has at hand; the database's own speak of its functions.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from ducto_pg.cli.output import echo, safe

if TYPE_CHECKING:
    from ducto_pg.errors import DuctoError

__all__ = ["CliError", "Failure", "describe", "in_commands"]

LENGTH_MAX = 800
END_LENGTH = 200
# In what stands before an @ only, and from the beginning of a word: else it would be quadratic.
IN_ADDRESS = re.compile(r"((?<!\w)\w+://[^:/@\s]*:)[^@\s]+@")
WORD = re.compile(r"\S+")
IN_SETTING = re.compile(r"(password\s*=\s*)('[^']*'|\S+)", re.IGNORECASE)
FUNCTION = re.compile(r"`?\bducto_[a-z_]+\b`?")
# The command that does what a function of the API does.
COMMANDS_OF = {
    "ducto_add_credits": "ducto credits add",
    "ducto_revoke_grant": "ducto credits revoke",
    "ducto_get_balance": "ducto credits balance",
    "ducto_list_transactions": "ducto credits transactions",
    "ducto_list_lots": "ducto credits lots",
    "ducto_freeze_account": "ducto credits freeze",
    "ducto_unfreeze_account": "ducto credits unfreeze",
    "ducto_deduct": "ducto credits deduct",
    "ducto_deduct_fixed": "ducto credits deduct --job",
    "ducto_deduct_amount": "ducto credits deduct --amount",
    "ducto_deduct_batch": "ducto usage import",
    "ducto_quote": "ducto credits quote",
    "ducto_explain": "ducto credits explain",
    "ducto_reserve": "ducto credits reserve",
    "ducto_settle": "ducto credits settle",
    "ducto_release": "ducto credits release",
    "ducto_renew": "ducto credits renew",
    "ducto_refund": "ducto credits refund",
    "ducto_set_user_plan": "ducto plans set",
    "ducto_get_user_plan": "ducto plans get",
    "ducto_list_plans": "ducto plans list",
    "ducto_check_feature": "ducto plans feature",
    "ducto_set_spend_cap": "ducto caps set",
    "ducto_list_spend_caps": "ducto caps list",
    "ducto_remove_spend_cap": "ducto caps remove",
    "ducto_check_spend_cap": "ducto caps check",
    "ducto_create_team": "ducto teams create",
    "ducto_get_team": "ducto teams get",
    "ducto_list_teams": "ducto teams list",
    "ducto_add_team_member": "ducto teams add",
    "ducto_update_team_member": "ducto teams update",
    "ducto_remove_team_member": "ducto teams remove",
    "ducto_list_team_members": "ducto teams members",
    "ducto_add_team_credits": "ducto teams credit",
    "ducto_deduct_team": "ducto teams deduct",
    "ducto_pricing_set": "ducto pricing set",
    "ducto_pricing_get": "ducto pricing get",
    "ducto_pricing_list": "ducto pricing list",
    "ducto_pricing_activate": "ducto pricing activate",
    "ducto_pricing_validate": "ducto pricing validate",
    "ducto_pricing_export": "ducto pricing export",
    "ducto_pricing_diff": "ducto pricing diff",
    "ducto_calculate": "ducto pricing test",
    "ducto_sweep_expired_credits": "ducto sweep",
    "ducto_expire_reservations": "ducto sweep",
    "ducto_spend_by_user": "ducto report",
    "ducto_spend_by_model": "ducto report",
    "ducto_top_users": "ducto report",
    "ducto_daily_spend": "ducto report",
    "ducto_spend_report": "ducto report --by",
    "ducto_aggregate_stats": "ducto report",
    "ducto_poll_events": "ducto events listen",
    "ducto_list_consumers": "ducto events consumers",
    "ducto_list_dead_events": "ducto events dead",
    "ducto_list_jobs": "ducto jobs list",
    "ducto_schedule_jobs": "ducto jobs schedule",
    "ducto_unschedule_jobs": "ducto jobs unschedule",
    "ducto_check": "ducto check",
    "ducto_version": "ducto status",
}


class CliError(click.ClickException):
    """One sentence for the person at the terminal; the exit status is 1.

    `detail` is for programs; `lines` stand above the sentence and are for people.
    """

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        code: str | None = None,
        name: str = "failed",
        detail: Mapping[str, Any] | None = None,
        lines: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.hint = hint
        self.failure = Failure(message, hint, code, name, dict(detail or {}), tuple(lines))


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure as it is shown."""

    message: str
    hint: str = ""
    code: str | None = None
    name: str = "failed"
    detail: Mapping[str, Any] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    status: int = 1

    def show(self, *, as_json: bool) -> None:
        """Write it to standard error."""
        message, hint = _sentence(self.message), _sentence(self.hint)
        if as_json:
            # Only what fails needs it.
            from ducto_pg import exact_json

            error = {
                "code": self.code,
                "name": self.name,
                "message": message,
                "hint": hint,
                "detail": self.detail,
            }
            echo(exact_json.dumps({"error": error}, indent=2), err=True)
            return
        for line in self.lines:
            echo(line, err=True)
        shows_code = self.code and (self.code.startswith("DU") or self.name == "database_error")
        code = f" [{self.code}]" if shows_code else ""
        echo(f"Error: {message}{code}", err=True)
        if hint:
            echo(f"Hint: {hint}", err=True)


def _sentence(text: str) -> str:
    """One line that can be shown: no password, no control character, not endless."""
    shown = safe(" ".join(_without_passwords(text).split()))
    if len(shown) <= LENGTH_MAX:
        return shown
    # What is wrong with a long value is said behind it.
    return f"{shown[: LENGTH_MAX - END_LENGTH]} … {shown[-END_LENGTH:]}"


def _without_passwords(text: str) -> str:
    def hidden(found: re.Match[str]) -> str:
        before, at, behind = found[0].rpartition("@")
        return IN_ADDRESS.sub(r"\1***@", before + at) + behind

    return IN_SETTING.sub(r"\1***", WORD.sub(hidden, text))


def in_commands(text: str) -> str:
    """A hint in which the functions of the API are named as the commands that call them."""

    def command(found: re.Match[str]) -> str:
        name = COMMANDS_OF.get(found[0].strip("`"))
        return f"`{name}`" if name else found[0]

    return FUNCTION.sub(command, text)


def describe(error: BaseException) -> Failure:
    """The failure that an exception is; of one that nobody foresaw, its kind and its text."""
    if isinstance(error, click.ClickException):
        return _of_click(error)
    if isinstance(error, UnicodeError):
        return Failure(f"a text is not valid Unicode: {getattr(error, 'reason', error)}")
    if isinstance(error, OSError):
        where = f"{_text(error.filename)}: " if error.filename else ""
        return Failure(f"{where}{error.strerror or error}")
    return _of_the_engine(error) or Failure(
        f"unexpected {type(error).__name__}: {str(error).strip() or 'it says no more'}",
        "Run it again with --debug for the traceback; this should be reported.",
        name="internal",
    )


def _text(name: Any) -> str:
    return name.decode(errors="backslashreplace") if isinstance(name, bytes) else str(name)


def _of_click(error: click.ClickException) -> Failure:
    if isinstance(error, CliError):
        return error.failure
    message = error.format_message()
    if not isinstance(error, click.UsageError):
        return Failure(message)
    command = error.ctx.command_path if error.ctx else "ducto"
    hint = f"`{command} --help` shows what it takes."
    if "unexpected extra argument" in message and ("://" in message or "=" in message):
        hint = "The database is given as --dsn DSN, or in DATABASE_URL."
    return Failure(message, hint, name="usage", status=2)


def _of_the_engine(error: BaseException) -> Failure | None:
    """Errors of modules that only some commands load: what is not loaded cannot have raised."""
    errors, psycopg = sys.modules.get("ducto_pg.errors"), sys.modules.get("psycopg")
    if errors and psycopg and isinstance(error, psycopg.Error):
        error = errors.translate(error)
    if errors and isinstance(error, errors.DuctoError):
        return _of_ducto(error)
    reading = sys.modules.get("ducto_pg.pricing.config_file")
    if reading and isinstance(error, reading.ConfigFileError):
        return Failure(str(error), name="not_a_config")
    return None


def _of_ducto(error: DuctoError) -> Failure:
    hint = in_commands(error.hint)
    if error.code == "DU009" and error.detail.get("refundable") == 0:
        hint = "All of it was given back already; `ducto credits explain` shows the charge."
    elif error.name == "permission_denied":
        hint = _needed_role(error.message)
    elif error.name == "unavailable":
        hint = ""
    return Failure(error.message, hint, error.code or None, error.name, error.detail)


def _needed_role(message: str) -> str:
    """Which role may do what was refused, as the list of grants has it."""
    found = re.search(r"permission denied for function (?:public\.)?(ducto_\w+)", message)
    if found:
        from ducto_pg.install.manifest import sql_root

        access = (sql_root() / "access.sql").read_text(encoding="utf-8")
        role = re.search(rf"\('(\w+)', 'public\.{found[1]}'\)", access)
        if role and role[1] in ("reader", "service", "admin"):
            return f"It takes a member of the role ducto_{role[1]}: grant it to this login role."
    if re.search(r"permission denied for (schema|table|view|sequence)", message):
        return "Only the owner of the installation may: connect as who ran `ducto migrate`."
    return ""
