-- What a report is grouped by: null when valid, else the error.
create or replace function ducto.check_grouping(p_group_by text[], p_bucket text)
returns jsonb
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_unknown text;
begin
    if p_group_by is null or array_ndims(p_group_by) > 1
        or array_position(p_group_by, null) is not null
    then
        return ducto.invalid(
            'p_group_by', 'A report is grouped by a list of user, team, model and operation.'
        );
    end if;
    select g.name into v_unknown
    from unnest(p_group_by) g (name)
    where g.name not in ('user', 'team', 'model', 'operation')
    limit 1;
    if found then
        return ducto.invalid('p_group_by', format(
            'A report is grouped by user, team, model and operation, not by %s.',
            left(v_unknown, 60)
        ));
    elsif p_bucket not in ('day', 'week', 'month') then
        return ducto.invalid('p_bucket', format(
            'A bucket is a day, a week or a month, not %s.', left(p_bucket, 60)
        ));
    end if;
    return null;
end
$$;
