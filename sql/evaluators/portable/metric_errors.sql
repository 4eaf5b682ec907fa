-- What is wrong with the metrics that a config declares.
create or replace function ducto.metric_errors(p_metrics jsonb)
returns table (path text, message text)
language plpgsql
stable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
    if jsonb_typeof(p_metrics) <> 'array'
        or p_metrics @? 'strict $[*] ? (@.type() != "string")'
    then
        return query select 'metrics', '''metrics'' must be a list of names';
    elsif jsonb_array_length(p_metrics) > 200 then
        return query select 'metrics', 'more than 200 metrics';
    else
        return query
            select format('metrics[%s]', m.place - 1), case
                when m.name !~ '^[A-Za-z][A-Za-z0-9_]{0,62}$' then format(
                    '''%s'' cannot be a metric: a name has up to 63 letters, digits and'
                    ' underscores, and starts with a letter', ducto.shorten(m.name, 40)
                )
                else format('''%s'' already has a meaning and cannot be a metric', m.name) end
            from jsonb_array_elements_text(p_metrics) with ordinality m(name, place)
            where not ducto.may_be_metric(m.name)
            order by m.place;
    end if;
end
$$;
comment on function ducto.metric_errors(jsonb) is
    'What is wrong with the metrics that a pricing config declares: path and message.';
