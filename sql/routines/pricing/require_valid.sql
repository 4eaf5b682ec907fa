-- Raises DU005 or DU006 unless a checked config is valid; the sentence names its first error.
create or replace function ducto.require_valid(p_checked jsonb)
returns void
language plpgsql
stable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_first jsonb := p_checked -> 'errors' -> 0;
    v_further integer := (p_checked -> 'count')::integer - 1;
begin
    if v_first is null then
        return;
    end if;
    perform ducto.raise_error(
        p_checked ->> 'code',
        jsonb_strip_nulls(jsonb_build_object(
            'errors', p_checked -> 'errors',
            'message', concat(
                'The pricing config is not valid: ',
                nullif(v_first ->> 'path', '') || ': ',
                v_first ->> 'message',
                case when v_further > 0 then format(' (and %s more)', v_further) end,
                '.'
            )
        ))
    );
end
$$;
comment on function ducto.require_valid(jsonb) is
    'Raises the error of a checked pricing config, if it has one.';
