-- Whole UTC days, because the rollup has them per account and model: what is read grows with the
-- days and with what is not rolled up yet, not with the user's history. What teams paid for the
-- user is the teams'.
create or replace function public.ducto_my_usage(
    p_start timestamptz default null,
    p_end timestamptz default null
)
returns table (
    day date,
    model text,
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
    v_user_id text := ducto.signed_in_user();
    -- The end is exclusive, and what happens now counts.
    v_end timestamptz := coalesce(p_end, ducto.now() + interval '1 microsecond');
    v_start timestamptz := coalesce(
        p_start, greatest(v_end, '2000-01-01 00:00+00') - interval '696 hours'
    );
    v_failure jsonb := ducto.check_window(v_start, v_end);
    v_rolled_id bigint;
begin
    if v_failure is not null then
        perform ducto.raise_error('DU017', v_failure);
    end if;
    v_start := date_trunc('day', v_start, 'UTC');
    select w.rolled_id into v_rolled_id
    from ducto.credit_usage_watermarks w
    where w.account_id = v_user_id;
    return query
    select
        (u.day_at at time zone 'UTC')::date, nullif(u.model, ''),
        trim_scale(sum(u.spent)), trim_scale(sum(u.allowance_consumed)),
        trim_scale(sum(u.refunded)), trim_scale(sum(u.spent + u.allowance_consumed)),
        sum(u.charges)::bigint, sum(u.input_tokens)::bigint, sum(u.output_tokens)::bigint,
        sum(u.cache_read_tokens)::bigint, sum(u.cache_write_tokens)::bigint
    from (
        select r.start_at as day_at, r.model, r.spent, r.allowance_consumed, r.refunded,
            r.charges, r.input_tokens, r.output_tokens, r.cache_read_tokens, r.cache_write_tokens
        from ducto.credit_usage_rollup r
        where r.actor_id = v_user_id and r.team_id = '' and r.scope = 'detail' and r.hours = 24
            and r.start_at >= v_start and r.start_at < v_end
        union all
        select date_trunc('day', e.happened_at, 'UTC'), e.model, e.spent, e.allowance_consumed,
            e.refunded, e.charges, e.input_tokens, e.output_tokens, e.cache_read_tokens,
            e.cache_write_tokens
        from ducto.credit_usage_entries e
        where e.account_id = v_user_id and e.id > coalesce(v_rolled_id, 0)
            and e.happened_at >= v_start
            and date_trunc('day', e.happened_at, 'UTC') < v_end
    ) u
    group by u.day_at, u.model
    order by u.day_at desc, u.model collate "default";
end
$$;
comment on function public.ducto_my_usage(timestamptz, timestamptz) is
    'What the signed-in user spent per UTC day and model (null: none), newest first, for the whole '
    'of each day between p_start (null: the 30 days up to the end) and p_end (exclusive; null: '
    'now). Less refunds, which count against the day of their charge. What a team paid is not in '
    'it. The user is taken from the verified token. Errors: DU017, DU023. Callers: authenticated.';
