-- Verifies a program before it is stored, so that run_program needs no checks of its own. Returns
-- what is wrong with it, null if nothing. Programs may come from any client: nothing about them is
-- taken for granted.
create or replace function ducto.verify_program(
    p_expression text,
    p_program jsonb,
    p_metric_names text[]
)
returns text
language plpgsql
immutable
parallel safe
security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
    v_code jsonb := p_program -> 'code';
    v_constants jsonb := p_program -> 'constants';
    v_names jsonb := p_program -> 'names';
    v_bad text;
begin
    if jsonb_typeof(p_program) is distinct from 'object'
        or jsonb_typeof(v_code) is distinct from 'array'
        or jsonb_typeof(v_constants) is distinct from 'array'
        or jsonb_typeof(v_names) is distinct from 'array'
    then
        return 'a program is an object with the lists code, constants and names';
    elsif p_program ->> 'sha256'
        is distinct from encode(sha256(convert_to(p_expression, 'UTF8')), 'hex')
    then
        return 'the program belongs to another expression';
    elsif jsonb_array_length(v_code) not between 2 and 4000
        or jsonb_array_length(v_code) % 2 <> 0
    then
        return 'code must be 1 to 2000 pairs of an opcode and its argument';
    elsif jsonb_array_length(v_constants) > 2000 or jsonb_array_length(v_names) > 2000 then
        return 'a program has at most 2000 constants and 2000 names';
    end if;
    select coalesce(n.value #>> '{}', 'null') into v_bad
    from jsonb_array_elements(v_names) n
    where jsonb_typeof(n.value) <> 'string' or n.value #>> '{}' <> all (p_metric_names)
    limit 1;
    if found then
        return format('unknown metric ''%s''', left(v_bad, 100));
    end if;
    select coalesce(c.value #>> '{}', 'null') into v_bad
    from jsonb_array_elements(v_constants) c
    where jsonb_typeof(c.value) <> 'string'
        or c.value #>> '{}' !~ '^[0-9]{1,27}([.][0-9]{1,40})?$'
        or (c.value #>> '{}')::numeric > 1e26
    limit 1;
    if found then
        return format('bad constant ''%s''', left(v_bad, 100));
    end if;
    select coalesce(i.value #>> '{}', 'null') into v_bad
    from jsonb_array_elements(v_code) i
    where jsonb_typeof(i.value) <> 'number' or i.value #>> '{}' !~ '^[0-9]{1,4}$'
    limit 1;
    if found then
        return format('bad number in code: %s', left(v_bad, 100));
    end if;
    return ducto.verify_code(
        array(select i.value::integer from jsonb_array_elements(v_code) i),
        jsonb_array_length(v_constants),
        jsonb_array_length(v_names)
    );
end
$$;
comment on function ducto.verify_program(text, jsonb, text[]) is
    'What is wrong with the program of an expression; null: it is safe to run.';
