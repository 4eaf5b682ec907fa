-- An instant out of a text: ISO 8601 with a zone, of our era. Null: it is none. Nothing depends on
-- the session's settings, and nothing is raised.
create or replace function ducto.read_instant(p_text text)
returns timestamptz
language plpgsql
immutable
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v text[] := regexp_match(
        p_text,
        '^([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]([0-9]{2}):([0-9]{2})'
        || '(?::([0-9]{2})([.][0-9]{1,9})?)?(Z|[+-][0-9]{2}(?::?[0-9]{2})?)$', 'i'
    );
    v_offset interval;
    v_zone text;
    v_instant timestamptz;
begin
    if v is null or v[1]::integer = 0 or v[2]::integer not between 1 and 12
        or v[3]::integer not between 1 and 31 or v[4]::integer > 23 or v[5]::integer > 59
        or coalesce(v[6]::integer, 0) > 59
        or v[3]::integer > extract(day from make_date(v[1]::integer, v[2]::integer, 1)
            + interval '1 month' - interval '1 day')
    then
        return null;
    end if;
    v_zone := case when upper(v[8]) = 'Z' then '+0000'
        else rpad(replace(v[8], ':', ''), 5, '0') end;
    if substr(v_zone, 2, 2)::integer > 15 or substr(v_zone, 4, 2)::integer > 59 then
        return null;
    end if;
    v_offset := make_interval(
        mins => (left(v_zone, 1) || '1')::integer
            * (substr(v_zone, 2, 2)::integer * 60 + substr(v_zone, 4, 2)::integer)
    );
    v_instant := (
        make_timestamp(
            v[1]::integer, v[2]::integer, v[3]::integer, v[4]::integer, v[5]::integer,
            (coalesce(v[6], '0') || coalesce(v[7], ''))::double precision
        ) - v_offset
    ) at time zone 'UTC';
    -- The zone may have moved it out of the years that its text can have.
    return case when v_instant >= '0001-01-01 00:00Z' and v_instant < '10000-01-01 00:00Z'
        then v_instant end;
end
$$;
comment on function ducto.read_instant(text) is
    'For instants inside JSON, where a cast would raise.';
