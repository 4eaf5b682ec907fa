-- The PL/Python evaluator. Its text is the package's own runtime, below, and a source of rates that
-- looks single ones up: a session's first charge compiles nothing, and a warm charge reads nothing.
-- What a session keeps is bounded. It keeps a version for good only once that version's transaction
-- has committed: until then its number may come to stand for another config.
create or replace function ducto.price_plpython(
    p_version integer,
    p_plan_key text,
    p_metrics jsonb
)
returns jsonb
language plpython3u
stable
security invoker
set search_path = pg_catalog, pg_temp
as $ducto_runtime$
if "price" in SD:
    return SD["price"](p_version, p_plan_key, p_metrics)

{{bundle:runtime}}


VERSION_LIMIT = 16

VERSION_PLAN = plpy.prepare(
    "select c.id::text as id, c.scale, c.rounding, c.metric_names, c.override_plans,"
    " coalesce(c.xid = pg_current_xact_id_if_assigned(), false) as unsettled"
    " from ducto.credit_pricing_config c where c.version = $1",
    ["integer"],
)
RATES = " from ducto.credit_rates r where r.version = $1 and r.plan_key = $2 and r.section = $3"
PROGRAM = "select r.key, r.code, r.constants, r.names"
ONE_RATE = ["integer", "text", "text", "text"]
RATE_PLAN = plpy.prepare(f"{PROGRAM}{RATES} and r.key = $4", ONE_RATE)
PREFIX_PLAN = plpy.prepare(
    f"{PROGRAM} from ducto.longest_prefix($1, $2, $3, $4) r where r.key is not null", ONE_RATE
)
SECTION_PLAN = plpy.prepare(f"{PROGRAM}{RATES} order by r.key", ONE_RATE[:3])
KEY_PLAN = plpy.prepare(f"select r.key{RATES}", ONE_RATE[:3])


def make_rates(rows):
    """Keys with their programs, ready to run."""
    return [(row["key"], Program(row["code"], row["constants"], row["names"])) for row in rows]


class StoredRates:
    """The rates of one version, read from the database one by one."""

    def __init__(self, version):
        self.version = version

    def find(self, plan_key, section, key):
        """The rate of exactly this key."""
        rows = plpy.execute(RATE_PLAN, [self.version, plan_key, section, key], 1)
        return make_rates(rows)[0][1] if rows else None

    def longest_prefix(self, plan_key, section, name):
        """The rate with the longest key that `name` starts with, the default left out."""
        rows = plpy.execute(PREFIX_PLAN, [self.version, plan_key, section, name], 1)
        return make_rates(rows)[0] if rows else None

    def section(self, plan_key, section):
        """All rates of a section."""
        return make_rates(plpy.execute(SECTION_PLAN, [self.version, plan_key, section]))

    def keys(self, plan_key, section):
        """The keys of a section."""
        return [row["key"] for row in plpy.execute(KEY_PLAN, [self.version, plan_key, section])]


class StoredVersion:
    """A pricing version as this session knows it."""

    def __init__(self, version, row):
        self.id = row["id"]
        self.unsettled = row["unsettled"]
        self.override_plans = frozenset(row["override_plans"])
        self.pricing = Pricing(
            StoredRates(version), row["metric_names"], row["scale"], row["rounding"]
        )


versions = {}


def load_version(version):
    """Read a version, and remember it; one that was known under another id is forgotten."""
    known = versions.pop(version, None)
    rows = plpy.execute(VERSION_PLAN, [version], 1)
    if not rows:
        return None
    if known is None or known.id != rows[0]["id"]:
        known = StoredVersion(version, rows[0])
    known.unsettled = rows[0]["unsettled"]
    while len(versions) >= VERSION_LIMIT:
        del versions[next(iter(versions))]
    versions[version] = known
    return known


def price(version, plan_key, metrics):
    """The result of ducto.price_usage."""
    known = versions.get(version)
    if known is None or known.unsettled:
        known = load_version(version)
        if known is None:
            return json.dumps({"code": "DU020", "detail": {"version": version}})
    if plan_key not in known.override_plans:
        plan_key = ""
    answer = known.pricing.price_json("null" if metrics is None else metrics, plan_key)
    if answer.startswith(('{"code": "DU004"', '{"code": "DU018"')):
        refusal = json.loads(answer)
        refusal["detail"]["version"] = version
        answer = json.dumps(refusal)
    return answer


SD["price"] = price
return price(p_version, p_plan_key, p_metrics)
$ducto_runtime$;
comment on function ducto.price_plpython(integer, text, jsonb) is
    'ducto.price_usage by the PL/Python evaluator.';
