-- Two charges, each a transaction. With a cap on a model the headroom is of one model, so that each
-- charge finds it open for the other one.
\set n random(1, :accounts)
\set key random(1, 9000000000000000000)
select public.ducto_deduct('{prefix}' || cast(:n as text), :metrics, :key);
\set key random(1, 9000000000000000000)
select public.ducto_deduct('{prefix}' || cast(:n as text), :other, :key);
