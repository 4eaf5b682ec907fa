\set n random(1, :accounts)
\set key random(1, 9000000000000000000)
select public.ducto_reserve(
    '{prefix}' || cast(:n as text), p_metrics => :metrics, p_idempotency_key => :key
) ->> 'reservation_id' as hold \gset
select public.ducto_settle(cast(:hold as uuid), :metrics);
