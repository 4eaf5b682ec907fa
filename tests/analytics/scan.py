"""What reports must say, by a scan of the whole ledger that shares nothing with them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from psycopg import sql

from tests.support.databases import Connection

COLUMNS = {"user": "user_id", "team": "team_id", "model": "model", "operation": "operation"}
SUMS = ("spent", "allowance_consumed", "refunded", "cost", "charges", "input_tokens")

SCAN = sql.SQL("""
    with entries as (
        select t.actor_id as user_id, case a.kind when 'team' then a.account_id end as team_id,
            c.model, c.operation, coalesce(c.occurred_at, c.created_at) as at,
            -t.amount as spent, t.allowance_consumed,
            (t.type = 'refund')::integer * (t.amount - t.allowance_consumed) as refunded,
            t.allowance_consumed - t.amount as cost,
            (t.type = 'usage')::integer as charges,
            coalesce((t.metrics ->> 'input_tokens')::numeric, 0) as input_tokens
        from ducto.credit_transactions t
        join ducto.credit_transactions c
            on c.id = case t.type when 'refund' then t.reference_id else t.id end
        join ducto.credit_accounts a on a.account_id = t.account_id
        where t.type in ('usage', 'refund')
    )
    select {columns}, {sums} from entries
    where at >= %(start)s and at < %(end)s
    group by {columns}
""")
REPORT = sql.SQL("""
    select {columns}, {sums}
    from ducto_spend_report(%(start)s, %(end)s, %(group_by)s::text[], %(bucket)s)
""")


def compare(
    connection: Connection,
    start: datetime,
    end: datetime,
    group_by: list[str],
    bucket: str | None = None,
) -> int:
    """Fails unless the report says what the scan says, both of one instant; how many rows."""
    names = [COLUMNS[each] for each in group_by]
    columns: list[sql.Composable] = [sql.Identifier(name) for name in names]
    scanned, reported = list(columns), list(columns)
    if bucket is not None:
        scanned.append(
            sql.SQL("date_trunc({}, at at time zone 'UTC')::date").format(sql.Literal(bucket))
        )
        reported.append(sql.Identifier("bucket"))
    parameters = {"start": start, "end": end, "group_by": group_by, "bucket": bucket}
    none = sql.SQL("'all'::text")

    def ask(query: sql.SQL, keys: list[sql.Composable], form: str) -> dict[Any, Any]:
        found = connection.execute(
            query.format(
                columns=sql.SQL(", ").join(keys or [none]),
                sums=sql.SQL(", ").join(sql.SQL(form).format(sql.Identifier(s)) for s in SUMS),
            ),
            parameters,
        ).fetchall()
        width = len(keys) or 1
        return {row[:width]: tuple(+value for value in row[width:]) for row in found}

    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read read only")
        expected = ask(SCAN, scanned, "sum({})")
        answer = ask(REPORT, reported, "{}")
    assert answer == expected, (start, end, group_by, bucket)
    return len(expected)
