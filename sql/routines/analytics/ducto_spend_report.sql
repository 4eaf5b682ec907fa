create or replace function public.ducto_spend_report(
    p_start timestamptz,
    p_end timestamptz,
    p_group_by text[] default '{}',
    p_bucket text default null
)
returns table (
    bucket date,
    user_id text,
    team_id text,
    model text,
    operation text,
    spent numeric,
    allowance_consumed numeric,
    refunded numeric,
    cost numeric,
    charges bigint,
    input_tokens bigint,
    output_tokens bigint,
    cache_read_tokens bigint,
    cache_write_tokens bigint
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v_failure jsonb := coalesce(
        ducto.check_window(p_start, p_end), ducto.check_grouping(p_group_by, p_bucket)
    );
begin
    if v_failure is not null then
        perform ducto.raise_error('DU017', v_failure);
    end if;
    return query select u.* from ducto.usage_totals(p_start, p_end, p_group_by, p_bucket) u;
end
$$;
comment on function public.ducto_spend_report(timestamptz, timestamptz, text[], text) is
    'What was used from p_start to before p_end, by any of user, team, model, operation '
    '(p_group_by) and by day, week or month (p_bucket; null: the whole window). A column that is '
    'not grouped by is null; team_id null: paid by the user. bucket is its first UTC day; weeks '
    'begin on Monday. Errors: DU017. Callers: service, admin, reader.';
