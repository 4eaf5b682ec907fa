"""The report as one page: everything in it, nothing loaded, no script.

Guarantees: the page's own policy forbids scripts and every connection; whatever comes from the
database is escaped; each chart stands beside a table of the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from importlib.resources import files
from typing import TYPE_CHECKING

from ducto_pg.cli.output import amount, counted
from ducto_pg.cli.report_charts import bar, columns, name, short
from ducto_pg.cli.report_data import NO_MODEL, RISK_DAYS, Risk, Series

if TYPE_CHECKING:
    from ducto_pg.cli.report_data import Report

__all__ = ["page"]

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def page(found: Report, made_at: datetime) -> str:
    """The whole page."""
    style = files("ducto_pg.cli").joinpath("report.css").read_text(encoding="utf-8")
    window = _window(found)
    body = "\n".join(
        [
            f"<header><h1>Credits</h1><p>{window}</p></header>",
            _tiles(found),
            _daily(found),
            f'<div class="pair">{_users(found)}{_models(found)}</div>',
            _allowance(found),
            _risks(found),
            _footer(found, made_at),
        ]
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Credits, {window}</title>
<style>
{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def _window(found: Report) -> str:
    start, end = found.stats.start, found.stats.end
    same = start.year == end.year
    return (
        f"{start.day} {start:%B}{'' if same else f' {start.year}'}, {start:%H:%M} to"
        f" {end.day} {end:%B %Y}, {end:%H:%M} UTC"
    )


def _tiles(found: Report) -> str:
    stats, before = found.stats, found.before
    per_charge = stats.cost / stats.charges if stats.charges else Decimal(0)
    refunded = "taken off what was spent" if stats.refunded else "nothing was given back"
    teams = f"{counted(stats.teams, 'team')} paid for some" if stats.teams else "each paid alone"
    tiles = [
        ("Spent", stats.spent, _change(stats.spent, before.spent)),
        ("Paid by allowances", stats.allowance_consumed, f"of {short(stats.cost)} in all"),
        ("Refunded", stats.refunded, refunded),
        ("Charges", Decimal(stats.charges), f"{short(per_charge)} each on average"),
        ("Users", Decimal(stats.users), teams),
    ]
    return (
        '<dl class="tiles">'
        + "".join(
            f'<div class="tile"><dt>{name}</dt><dd><div class="value" title="{amount(value)}">'
            f'{short(value)}</div><div class="more">{more}</div></dd></div>'
            for name, value, more in tiles
        )
        + "</dl>"
    )


def _change(now: Decimal, before: Decimal) -> str:
    if before <= 0:
        return "nothing in the time before"
    percent = round((now - before) * 100 / before)
    if percent == 0:
        return "as in the time before"
    return f"<b>{percent:+,}%</b> on the time before"


def _card(title: str, note: str, content: str) -> str:
    return f'<section><h2>{title}</h2><p class="note">{note}</p>{content}</section>'


def _none(sentence: str) -> str:
    return f'<p class="empty">{sentence}</p>'


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, bars: bool = False) -> str:
    """The first column names the row; numbers stand to the right; with bars, the last is one."""
    last = len(headings) - 1

    def kind(place: int) -> str:
        return "name" if place == 0 else "bar" if bars and place == last else "number"

    head = "".join(
        f'<th scope="col" class="{kind(place)}">{name}</th>' for place, name in enumerate(headings)
    )
    lines = []
    for row in rows:
        cells = [f'<th scope="row" class="name">{row[0]}</th>']
        cells += [
            f'<td class="{kind(place)}">{value}</td>' for place, value in enumerate(row) if place
        ]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _exact(value: Decimal | int) -> str:
    return f'<span title="{amount(value)}">{short(value)}</span>'


def _legend(series: Sequence[tuple[Series, str]]) -> str:
    items = "".join(
        f'<li><i class="{colour}"></i><b>{name(each.name)}</b>'
        f" {short(sum(each.values, Decimal(0)))}</li>"
        for each, colour in series
    )
    return f'<ul class="legend">{items}</ul>'


def _chart(found: Report, key: str, title: str, series: Sequence[tuple[Series, str]]) -> str:
    """The columns, what their colours mean, and the same as a table."""
    days = [row.day for row in found.daily]
    told = "; ".join(f"{each.name} {short(sum(each.values, Decimal(0)))}" for each, _ in series)
    rows = [
        [f"{day:%Y-%m-%d}", *(_exact(each.values[place]) for each, _ in series)]
        for place, day in enumerate(days)
    ]
    return (
        _legend(series)
        + f'<div class="scroll">{columns(key, title, told, days, series)}</div>'
        + "<details><summary>As a table</summary>"
        + f'<div class="scroll">{_table(["Day", *(name(each.name) for each, _ in series)], rows)}'
        + "</div></details>"
    )


def _daily(found: Report) -> str:
    series = [(each, f"f{place}") for place, each in enumerate(found.by_model)]
    title = "Daily spend by model"
    note = "What left balances on each UTC day, less refunds."
    if not series:
        return _card(title, note, _none("Nothing left a balance in this time."))
    return _card(title, note, _chart(found, "daily", title, series))


def _allowance(found: Report) -> str:
    title = "Allowance against paid"
    note = "Who paid for the usage of each day: the plan's allowance, or the balance."
    series = [
        (Series("paid", tuple(row.spent for row in found.daily)), "paid"),
        (Series("allowance", tuple(row.allowance_consumed for row in found.daily)), "free"),
    ]
    if found.stats.cost <= 0:
        return _card(title, note, _none("There was nothing to pay in this time."))
    share = round(found.stats.allowance_consumed * 100 / found.stats.cost)
    return _card(title, f"{note} Allowances paid {share}%.", _chart(found, "free", title, series))


def _users(found: Report) -> str:
    title, note = "Top users", "Who spent most, teams' credits included."
    if not found.users:
        return _card(title, note, _none("Nobody used anything in this time."))
    largest = found.users[0].spent
    rows = [
        [
            name(row.user_id),
            _exact(row.spent),
            _exact(row.charges),
            bar(row.spent, largest, "paid", f"{short(row.spent)} of {short(largest)}"),
        ]
        for row in found.users
    ]
    return _card(title, note, _table(["User", "Spent", "Charges", ""], rows, bars=True))


def _models(found: Report) -> str:
    title, note = "Models", "What was spent on each, and the tokens that went in and came out."
    if not found.models:
        return _card(title, note, _none("No model was used in this time."))
    rows = [
        [
            name(NO_MODEL if row.model is None else row.model),
            _exact(row.spent),
            _exact(row.charges),
            _exact(row.input_tokens),
            _exact(row.output_tokens),
        ]
        for row in found.models[:20]
    ]
    return _card(title, note, _table(["Model", "Spent", "Charges", "In", "Out"], rows))


def _risks(found: Report) -> str:
    title = "Balances at risk"
    note = (
        f"Of the accounts that pay most, those that last {RISK_DAYS} days at most at the pace of"
        " this time, or are in debt."
    )
    if not found.risks:
        return _card(title, note, _none("None."))
    headings = ["Account", "Available", "Debt", "Spent a day", "Days left", ""]
    return _card(title, note, _table(headings, map(_risk, found.risks), bars=True))


def _risk(risk: Risk) -> list[str]:
    badges = '<span class="badge">team</span>' if risk.team else ""
    if risk.debt > 0:
        badges += '<span class="badge debt">in debt</span>'
    left = short(round(risk.days_left, 1))
    return [
        name(risk.account) + badges,
        _exact(risk.available),
        _exact(risk.debt) if risk.debt else "",
        _exact(risk.per_day),
        left,
        bar(risk.days_left, Decimal(RISK_DAYS), "low", f"{left} of {RISK_DAYS} days"),
    ]


def _footer(found: Report, made_at: datetime) -> str:
    behind = int(found.stats.rollup.get("entries_behind", 0))
    lag = (
        f"; {behind:,} entries are not rolled up yet, and are counted all the same"
        if behind
        else ""
    )
    return f"<footer>Made {made_at:%Y-%m-%d %H:%M} UTC by ducto report. Exact{lag}.</footer>"
