"""The drawings of the report's page: SVG without scripts, in colours that the page's style has.

Guarantees: whatever comes from the database is escaped; every drawing has a title and a description
for those who do not see it. Positions are floats, values never are.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import ROUND_CEILING, ROUND_HALF_UP, Context, Decimal
from html import escape

from ducto_pg.cli.output import amount, safe
from ducto_pg.cli.report_data import Series

__all__ = ["bar", "columns", "name", "short", "text"]

WIDTH, HEIGHT = 1000, 280
LEFT, RIGHT, TOP, BOTTOM = 64, 8, 12, 30
LABELS_MAX = 8
NAME_MAX = 64
STEPS = (Decimal(1), Decimal(2), Decimal("2.5"), Decimal(5), Decimal(10))
UNITS = ((Decimal(10) ** 12, "T"), (Decimal(10) ** 9, "bn"), (Decimal(10) ** 6, "m"))
EXACT = Context(prec=200)


def text(value: str) -> str:
    """A text of the database as HTML shows it, and nothing but shows it."""
    return escape(safe(" ".join(value.split()) or "(empty)"), quote=True)


def name(value: str) -> str:
    """A name of the database, cut where it is very long; the whole of it is a hover away."""
    if len(value) <= NAME_MAX:
        return text(value)
    return f'<span title="{text(value)}">{text(value[:NAME_MAX])}…</span>'


def short(value: Decimal | int) -> str:
    """A number with about four digits that count."""
    number = Decimal(value)
    size = abs(number)
    for unit, name in UNITS:
        if size >= unit * 10:
            return f"{amount(_rounded(number / unit, 1))} {name}"
    if size >= 1000 or size == 0:
        return amount(_rounded(number, 0))
    if size >= 1:
        return amount(_rounded(number, 2))
    return amount(_rounded(number, 2 - size.adjusted()))


def _rounded(value: Decimal, places: int) -> Decimal:
    return (
        EXACT.quantize(value, Decimal(1).scaleb(-places))
        if places
        else value.to_integral_value(ROUND_HALF_UP)
    )


def _scale(largest: Decimal) -> tuple[Decimal, int]:
    """A round step, and how many of them reach the largest value."""
    if largest <= 0:
        return Decimal(1), 1
    rough = largest / 4
    power = Decimal(1).scaleb(rough.adjusted())
    step = next(step * power for step in STEPS if step * power >= rough)
    return step, int((largest / step).to_integral_value(ROUND_CEILING))


def columns(
    key: str,
    title: str,
    description: str,
    days: Sequence[date],
    series: Sequence[tuple[Series, str]],
) -> str:
    """A column a day, its parts one on the other; each series with the class of its colour."""
    totals = [sum((each.values[i] for each, _ in series), Decimal(0)) for i in range(len(days))]
    step, steps = _scale(max(totals, default=Decimal(0)))
    top = step * steps
    room, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    slot = room / max(len(days), 1)
    width = min(max(slot * 0.72, 1.0), 46.0)
    parts = [
        f'<svg class="chart" role="img" viewBox="0 0 {WIDTH} {HEIGHT}"'
        f' aria-labelledby="{key}-title {key}-text">',
        f'<title id="{key}-title">{escape(title)}</title>',
        f'<desc id="{key}-text">{text(description)}</desc>',
    ]
    for number in range(steps + 1):
        y = TOP + height * (1 - number / steps)
        parts.append(
            f'<line class="{"axis" if number == 0 else "grid"}" x1="{LEFT}" x2="{WIDTH - RIGHT}"'
            f' y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{LEFT - 10}" y="{y + 4:.1f}" text-anchor="end">{short(step * number)}</text>'
        )
    every = -(-len(days) // LABELS_MAX)
    for place, day in enumerate(days):
        middle = LEFT + slot * (place + 0.5)
        parts.append(f'<g class="day"><title>{_told(day, series, place, totals[place])}</title>')
        # The whole slot answers to the pointer.
        parts.append(
            f'<rect x="{LEFT + slot * place:.2f}" y="{TOP}" width="{slot:.2f}" height="{height}"'
            ' fill="transparent"/>'
        )
        y = float(TOP + height)
        for each, colour in series:
            tall = height * float(each.values[place] / top)
            if tall <= 0:
                continue
            y -= tall
            parts.append(
                f'<rect class="{colour}" x="{middle - width / 2:.2f}" y="{y:.2f}"'
                f' width="{width:.2f}" height="{max(tall - 0.6, 0.6):.2f}" rx="1.5"/>'
            )
        parts.append("</g>")
        if place % every == 0:
            parts.append(
                f'<text x="{middle:.1f}" y="{HEIGHT - 8}" text-anchor="middle">'
                f"{day.day} {day:%b}</text>"
            )
    parts.append("</svg>")
    return "".join(parts)


def _told(day: date, series: Sequence[tuple[Series, str]], place: int, total: Decimal) -> str:
    lines = [f"{day.day} {day:%B %Y}: {short(total)}"]
    lines += [
        f"{text(each.name)}: {short(each.values[place])}"
        for each, _ in series
        if each.values[place] > 0
    ]
    return "\n".join(lines)


def bar(value: Decimal, largest: Decimal, colour: str, label: str) -> str:
    """A bar as long as its share of the largest."""
    share = float(max(value, Decimal(0)) / largest) if largest > 0 else 0.0
    return (
        f'<svg role="img" aria-label="{text(label)}" viewBox="0 0 100 10"'
        ' preserveAspectRatio="none"><rect class="track" width="100" height="10" rx="1"/>'
        f'<rect class="{colour}" width="{min(share, 1) * 100:.2f}" height="10" rx="1"/></svg>'
    )
