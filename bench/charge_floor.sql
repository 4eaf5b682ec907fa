\set n random(1, :accounts)
\set key random(1, 9000000000000000000)
select floor.charge('user_' || cast(:n as text), :cost, :key);
