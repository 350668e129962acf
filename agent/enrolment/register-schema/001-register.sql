-- The register of many posts in one database. Stations reach it only through four functions; what counts is guarded by
-- constraints and triggers, so that no statement, also none of the owner, takes place number quota + 1.
-- Times are UTC milliseconds.

CREATE FUNCTION dock.now_ms() RETURNS bigint LANGUAGE sql VOLATILE
  RETURN floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint;

-- What the norms provide for: cameras by the headcount of a post, a computer for each department.
CREATE TYPE dock.item AS ENUM ('camera', 'computer');

-- The editions of the norm and the wording of refusals: data of the program, brought up to date with it.
CREATE TABLE dock.norm (
  edition text NOT NULL,
  effective_from date NOT NULL,
  item dock.item NOT NULL,
  citation text NOT NULL,
  norm_row integer NOT NULL CHECK (norm_row > 0),
  up_to integer,                       -- headcount, included; NULL in the last row
  sets integer NOT NULL CHECK (sets BETWEEN 0 AND 50),
  PRIMARY KEY (edition, item, norm_row)
);
CREATE TABLE dock.refusal (code text PRIMARY KEY, meaning text NOT NULL);

-- A holder of sets: a post with its cameras, or a department itself with its computer, whose name is empty.
CREATE TABLE dock.post (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  department text NOT NULL,
  name text NOT NULL,
  item dock.item NOT NULL GENERATED ALWAYS AS
    (CASE name WHEN '' THEN 'computer'::dock.item ELSE 'camera'::dock.item END) STORED,
  headcount integer CHECK (headcount BETWEEN 0 AND 1000000),
  assignment_number integer,           -- of the newest signed assignment that stated it; NULL: none ever did
  revision bigint NOT NULL DEFAULT 0,  -- counts every change of the post and its cameras
  audit_records integer NOT NULL DEFAULT 0,
  audit_hash text NOT NULL DEFAULT repeat('0', 64),
  UNIQUE (department, name)
) WITH (fillfactor = 50);

CREATE FUNCTION dock.count_headcount() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.revision := OLD.revision + 1;
  RETURN NEW;
END $$;
CREATE TRIGGER headcount BEFORE UPDATE OF headcount ON dock.post FOR EACH ROW EXECUTE FUNCTION dock.count_headcount();

CREATE FUNCTION dock.enter_department() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO dock.post (department, name) VALUES (NEW.department, '') ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
CREATE TRIGGER department AFTER INSERT ON dock.post FOR EACH ROW WHEN (NEW.name <> '')
  EXECUTE FUNCTION dock.enter_department();

-- A station is the role that it logs in with: it cannot act for another post, nor under another name.
CREATE TABLE dock.station (
  role name PRIMARY KEY,
  post_id integer NOT NULL REFERENCES dock.post,
  name text NOT NULL,
  UNIQUE (post_id, name)
);

CREATE TABLE dock.enrolment (
  post_id integer NOT NULL REFERENCES dock.post,
  serial_number text NOT NULL CHECK (length(serial_number) BETWEEN 1 AND 200),
  state text NOT NULL CHECK (state IN ('enrolled', 'retired', 'refused')),
  place integer CHECK (place BETWEEN 1 AND 50),
  public_key bytea CHECK (length(public_key) = 32),
  changed_at bigint NOT NULL,
  changed_by text NOT NULL,
  reason text NOT NULL,
  commissioned_on date,
  service_reported integer,            -- months that were left at the last report of its service life
  item dock.item NOT NULL DEFAULT 'camera', -- that of its holder, by trigger
  PRIMARY KEY (post_id, serial_number),
  CHECK ((state = 'enrolled') = (place IS NOT NULL))
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX enrolment_place ON dock.enrolment (post_id, place) WHERE place IS NOT NULL;
CREATE UNIQUE INDEX enrolment_once ON dock.enrolment (item, serial_number) WHERE state = 'enrolled';

-- Every act, never changed, numbered and chained under the lock of the post: see protocol/norm/audit-record.ts.
-- station: the one that tells of it.
CREATE TABLE dock.audit (
  post_id integer NOT NULL REFERENCES dock.post,
  number integer NOT NULL,
  station name NOT NULL,
  request_id uuid NOT NULL,
  record text NOT NULL,
  digest text NOT NULL,
  hash text NOT NULL,
  PRIMARY KEY (post_id, number)
);
CREATE INDEX audit_by_station ON dock.audit (post_id, station, number);
CREATE INDEX audit_by_request ON dock.audit (request_id, post_id, number);

CREATE FUNCTION dock.hex_sha256(words text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN encode(sha256(convert_to(words, 'UTF8')), 'hex');
END $$;

CREATE FUNCTION dock.chain() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  last dock.post;
BEGIN
  SELECT * INTO last FROM dock.post WHERE id = NEW.post_id FOR NO KEY UPDATE;
  NEW.number := last.audit_records + 1;
  NEW.record := (jsonb_build_object('number', NEW.number) || NEW.record::jsonb)::text;
  NEW.digest := dock.hex_sha256(NEW.record);
  NEW.hash := dock.hex_sha256(last.audit_hash || NEW.digest);
  UPDATE dock.post SET audit_records = NEW.number, audit_hash = NEW.hash WHERE id = NEW.post_id;
  RETURN NEW;
END $$;
CREATE TRIGGER chain BEFORE INSERT ON dock.audit FOR EACH ROW EXECUTE FUNCTION dock.chain();
ALTER TABLE dock.audit ENABLE ALWAYS TRIGGER chain;

-- In plpgsql throughout: its plans are kept for the connection, those of SQL functions are made anew at each call.
-- The row of the norm for a headcount, by the edition in force; a post without workers has no row. Of computers no
-- headcount is asked.
CREATE FUNCTION dock.norm_of(what dock.item, workers integer, OUT quota integer, OUT norm_row integer, OUT edition text, OUT citation text)
LANGUAGE plpgsql STABLE AS $$
DECLARE
  today date := (now() AT TIME ZONE 'UTC')::date;
BEGIN
  IF what = 'computer' THEN workers := 1; END IF;
  SELECT CASE WHEN workers > 0 THEN n.sets END, CASE WHEN workers > 0 THEN n.norm_row END, n.edition, n.citation
    INTO quota, norm_row, edition, citation
    FROM dock.norm n WHERE n.item = what AND (n.up_to IS NULL OR coalesce(workers, 0) <= n.up_to)
    ORDER BY n.effective_from <= today DESC,
      CASE WHEN n.effective_from <= today THEN n.effective_from END DESC, n.effective_from, n.norm_row LIMIT 1;
  quota := coalesce(quota, 0);
  norm_row := coalesce(norm_row, 0);
END $$;

-- The row of the post is written first: takers of a post wait for each other, and one with an older snapshot fails.
CREATE FUNCTION dock.guard_enrolment() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  workers integer;
  allowed integer;
  taken integer;
BEGIN
  UPDATE dock.post SET revision = revision + 1 WHERE id = NEW.post_id RETURNING headcount, item INTO workers, NEW.item;
  IF NEW.state <> 'enrolled' THEN RETURN NEW; END IF;
  IF TG_OP = 'UPDATE' THEN
    IF OLD.state = 'enrolled' AND OLD.post_id = NEW.post_id AND OLD.place = NEW.place THEN RETURN NEW; END IF;
  END IF;
  allowed := (dock.norm_of(NEW.item, workers)).quota;
  SELECT count(*) INTO taken FROM dock.enrolment WHERE post_id = NEW.post_id AND place IS NOT NULL
    AND NOT (TG_OP = 'UPDATE' AND post_id = OLD.post_id AND serial_number = OLD.serial_number);
  IF taken >= allowed OR NEW.place > allowed THEN
    RAISE EXCEPTION 'post % has % of % places taken', NEW.post_id, taken, allowed
      USING ERRCODE = 'check_violation', CONSTRAINT = 'quota';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON dock.enrolment FOR EACH ROW EXECUTE FUNCTION dock.guard_enrolment();
ALTER TABLE dock.enrolment ENABLE ALWAYS TRIGGER guard;

CREATE FUNCTION dock.keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% of % is not allowed: its rows are kept', TG_OP, TG_TABLE_NAME USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER keep BEFORE UPDATE OR DELETE OR TRUNCATE ON dock.audit FOR EACH STATEMENT EXECUTE FUNCTION dock.keep();
CREATE TRIGGER keep BEFORE DELETE OR TRUNCATE ON dock.enrolment FOR EACH STATEMENT EXECUTE FUNCTION dock.keep();

CREATE FUNCTION dock.me() RETURNS dock.station LANGUAGE plpgsql STABLE AS $$
DECLARE
  me dock.station;
BEGIN
  SELECT * INTO me FROM dock.station WHERE role = session_user;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'role % is no station', session_user USING ERRCODE = 'insufficient_privilege';
  END IF;
  RETURN me;
END $$;

-- The post in numbers. The smaller headcount counts, where the station was told another one.
CREATE FUNCTION dock.usage_of(post integer, stated integer) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT jsonb_build_object('item', p.item, 'headcount', coalesce(least(p.headcount, stated), 0), 'quota', n.quota, 'row', n.norm_row,
    'editionId', n.edition, 'citation', n.citation,
    'isHeadcountKnown', p.item = 'computer' OR p.headcount IS NOT NULL,
    'enrolled', e.enrolled, 'refused', e.refused,
    'audit', jsonb_build_object('records', p.audit_records, 'hash', p.audit_hash))
  FROM dock.post p,
    dock.norm_of(p.item, CASE WHEN p.headcount IS NOT NULL THEN least(p.headcount, stated) END) n,
    LATERAL (SELECT count(place) AS enrolled, count(*) FILTER (WHERE state = 'refused') AS refused
      FROM dock.enrolment WHERE post_id = post) e WHERE p.id = post);
END $$;

CREATE FUNCTION dock.department_of(post integer) RETURNS integer LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT d.id FROM dock.post p JOIN dock.post d ON d.department = p.department AND d.name = '' WHERE p.id = post);
END $$;

CREATE FUNCTION dock.enrolment_json(e dock.enrolment) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT jsonb_build_object('item', e.item, 'serialNumber', e.serial_number, 'state', e.state, 'publicKey', encode(e.public_key, 'hex'),
    'changedAt', e.changed_at, 'changedBy', e.changed_by, 'reason', e.reason, 'commissionedOn', e.commissioned_on,
    'serviceReported', e.service_reported)
$$;

CREATE FUNCTION dock.state_of(post integer, serial text) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN coalesce((SELECT state FROM dock.enrolment WHERE post_id = post AND serial_number = serial), 'unknown');
END $$;

-- Records what was done: `teller` tells of it, `more` says what only this act has. What a department has stands in the
-- audit of the post that acted.
CREATE FUNCTION dock.note(post integer, teller name, request jsonb, usage jsonb, act text, reason text, more jsonb)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  place text := (SELECT concat_ws('/', p.department, p.name, s.name) FROM dock.me() s JOIN dock.post p ON p.id = s.post_id);
BEGIN
  INSERT INTO dock.audit (post_id, number, station, request_id, record, digest, hash) VALUES (
    CASE usage->>'item' WHEN 'computer' THEN (dock.me()).post_id ELSE post END, 0, teller,
    (request->>'id')::uuid, jsonb_strip_nulls(jsonb_build_object('item', nullif(usage->>'item', 'camera'),
      'at', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'station', place, 'act', act,
      'by', coalesce(request->>'by', ''), 'reason', reason, 'headcount', usage->'headcount',
      'headcountSource', coalesce(request->>'headcountSource', 'unsigned'),
      'assignmentNumber', request->'assignmentNumber', 'quota', usage->'quota', 'enrolled', usage->'enrolled',
      'row', usage->'row', 'editionId', usage->'editionId', 'citation', usage->'citation') || more)::text, '', '');
END $$;

CREATE FUNCTION dock.take(post integer, teller name, request jsonb, usage jsonb, serial text, more jsonb DEFAULT '{}')
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  before text := dock.state_of(post, serial);
  commissioned date;
BEGIN
  INSERT INTO dock.enrolment VALUES (post, serial, 'enrolled',
    (SELECT min(n) FROM generate_series(1, (usage->>'quota')::integer) n
      WHERE n NOT IN (SELECT place FROM dock.enrolment WHERE post_id = post AND place IS NOT NULL)),
    decode(request->>'publicKey', 'hex'), dock.now_ms(), request->>'by', request->>'reason',
    coalesce((request->>'commissionedOn')::date, (now() AT TIME ZONE 'UTC' + interval '5 hours')::date))
  ON CONFLICT (post_id, serial_number) DO UPDATE SET state = 'enrolled', place = excluded.place,
    public_key = excluded.public_key, changed_at = excluded.changed_at, changed_by = excluded.changed_by,
    reason = excluded.reason, commissioned_on = coalesce((request->>'commissionedOn')::date,
      dock.enrolment.commissioned_on, excluded.commissioned_on),
    service_reported = CASE WHEN dock.enrolment.commissioned_on IS NOT DISTINCT FROM
      coalesce((request->>'commissionedOn')::date, dock.enrolment.commissioned_on) THEN dock.enrolment.service_reported END
  RETURNING commissioned_on INTO commissioned;
  PERFORM dock.note(post, teller, request, usage, 'enrolled', request->>'reason', jsonb_build_object(
    'serialNumber', serial, 'before', before, 'after', 'enrolled', 'hasKey', request->>'publicKey' IS NOT NULL,
    'commissionedOn', commissioned) || more);
  RETURN jsonb_build_object('kind', 'enrolled', 'isNew', true);
END $$;

CREATE FUNCTION dock.free(post integer, teller name, request jsonb, usage jsonb, serial text, more jsonb DEFAULT '{}')
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  words text := request->>'cause' || coalesce(': ' || nullif(request->>'note', ''), '');
BEGIN
  UPDATE dock.enrolment SET state = 'retired', place = NULL, changed_at = dock.now_ms(), changed_by = request->>'by',
    reason = words WHERE post_id = post AND serial_number = serial;
  PERFORM dock.note(post, teller, request, usage, 'retired', words, jsonb_build_object('serialNumber', serial,
    'before', 'enrolled', 'after', 'retired', 'cause', request->>'cause', 'note', coalesce(request->>'note', '')) || more);
END $$;

-- `kept`: what the camera is stays as it is. A retired camera stays retired also when it is refused.
CREATE FUNCTION dock.turn_away(post integer, teller name, request jsonb, usage jsonb, serial text, code text,
  kept boolean DEFAULT false) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  before text := dock.state_of(post, serial);
  taken text := format('%s: %s of %s sets are taken',
    coalesce((SELECT meaning FROM dock.refusal r WHERE r.code = turn_away.code), code), usage->>'enrolled', usage->>'quota');
  words text := CASE usage->>'item' WHEN 'computer' THEN concat_ws(', ', taken, usage->>'citation')
    ELSE format('%s, headcount %s, %s of %s', taken,
    CASE WHEN (usage->>'isHeadcountKnown')::boolean THEN usage->>'headcount' ELSE 'unknown' END,
    CASE usage->>'row' WHEN '0' THEN 'no row applies' ELSE 'row ' || (usage->>'row') END, usage->>'citation') END;
BEGIN
  IF NOT kept THEN
    INSERT INTO dock.enrolment VALUES (post, serial, 'refused', NULL, decode(request->>'publicKey', 'hex'), dock.now_ms(),
      request->>'by', words)
    ON CONFLICT (post_id, serial_number) DO UPDATE SET public_key = excluded.public_key,
      changed_at = excluded.changed_at, changed_by = excluded.changed_by, reason = excluded.reason
      WHERE dock.enrolment.state = 'refused';
  END IF;
  PERFORM dock.note(post, teller, request, usage, 'refused', words, jsonb_build_object('serialNumber', serial,
    'before', before, 'after', dock.state_of(post, serial), 'code', code));
  RETURN jsonb_build_object('kind', 'refused', 'code', code, 'reason', words);
END $$;

-- Why a camera may not take one of the places of a post, `spare` of which are about to be freed; NULL when it may.
CREATE FUNCTION dock.objection(usage jsonb, serial text, spare integer DEFAULT 0) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT CASE
    WHEN NOT (usage->>'isHeadcountKnown')::boolean THEN 'enrolment.no-headcount'
    WHEN EXISTS (SELECT FROM dock.enrolment WHERE item = (usage->>'item')::dock.item AND serial_number = serial
      AND state = 'enrolled') THEN 'enrolment.at-another-post'
    WHEN (usage->>'enrolled')::integer - spare >= (usage->>'quota')::integer THEN
      CASE usage->>'item' WHEN 'computer' THEN 'enrolment.has-computer' ELSE 'enrolment.quota-full' END
  END);
END $$;

-- Performs a request of a station, once, however often it is sent: its id tells. The answer holds what was decided, what
-- the cameras named are now, and every decision of this station that it has not seen.
CREATE FUNCTION dock.act(request jsonb) RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  me dock.station := dock.me();
  serial text := request->>'serialNumber';
  stated integer := (request->>'headcount')::integer;
  home integer := CASE request->>'item' WHEN 'computer' THEN dock.department_of(me.post_id) ELSE me.post_id END;
  target integer := (SELECT id FROM dock.post
    WHERE department = request->>'department' AND name = request->>'post' AND item = 'camera');
  usage jsonb;
  entered jsonb;
  answer jsonb;
  standing text;
  objection text;
BEGIN
  -- Locked also to say that it was done already: the commit of this answer waits for the synchronous standby, so that no
  -- station is told what a failover can undo. In one order, so that two transfers do not wait for each other.
  PERFORM FROM dock.post WHERE id IN (me.post_id, home, target) ORDER BY id FOR NO KEY UPDATE;
  SELECT CASE done->>'act'
      WHEN 'refused' THEN jsonb_build_object('kind', 'refused', 'code', done->>'code', 'reason', done->>'reason')
      WHEN 'assignment-installed' THEN jsonb_build_object('kind', 'done')
      WHEN 'service-life-due' THEN jsonb_build_object('kind', 'done')
      ELSE jsonb_build_object('kind', done->>'act', 'isNew', true) END
    INTO answer FROM (SELECT record::jsonb AS done FROM dock.audit WHERE request_id = (request->>'id')::uuid
      AND post_id = me.post_id ORDER BY number DESC LIMIT 1) AS last;
  usage := dock.usage_of(home, stated);
  SELECT state INTO standing FROM dock.enrolment WHERE post_id = home AND serial_number = serial;

  IF answer IS NOT NULL THEN
    NULL;
  ELSIF request->>'kind' = 'enrol' THEN
    objection := dock.objection(usage, serial);
    IF standing = 'enrolled' THEN answer := jsonb_build_object('kind', 'enrolled', 'isNew', false);
    ELSIF objection IS NULL THEN answer := dock.take(home, me.role, request, usage, serial);
    ELSE answer := dock.turn_away(home, me.role, request, usage, serial, objection);
    END IF;
  ELSIF request->>'kind' = 'refuse' THEN
    IF standing = 'enrolled' THEN answer := jsonb_build_object('kind', 'enrolled', 'isNew', false);
    ELSE answer := dock.turn_away(home, me.role, request, usage, serial, request->>'code');
    END IF;
  ELSIF request->>'kind' = 'retire' THEN
    IF standing = 'enrolled' AND NOT EXISTS (SELECT FROM dock.enrolment WHERE post_id = home
      AND serial_number = serial AND changed_at <> (request->>'enrolledAt')::bigint) THEN
      PERFORM dock.free(home, me.role, request, usage, serial);
      answer := jsonb_build_object('kind', 'retired', 'isNew', true);
    ELSIF standing IN ('retired', 'enrolled') THEN answer := jsonb_build_object('kind', 'retired', 'isNew', false);
    ELSE answer := jsonb_build_object('kind', 'unknown');
    END IF;
  ELSIF request->>'kind' = 'replace' THEN
    objection := dock.objection(usage, serial, 1);
    IF (SELECT state FROM dock.enrolment WHERE post_id = home AND serial_number = request->>'replaces')
      IS DISTINCT FROM 'enrolled' THEN answer := jsonb_build_object('kind', 'unknown');
    ELSIF standing = 'enrolled' THEN answer := jsonb_build_object('kind', 'enrolled', 'isNew', false);
    ELSIF objection IS NOT NULL THEN
      answer := dock.turn_away(home, me.role, request, usage, serial, objection);
    ELSE
      PERFORM dock.free(home, me.role, request, usage, request->>'replaces',
        jsonb_build_object('replacedBy', serial));
      answer := dock.take(home, me.role, request, dock.usage_of(home, stated), serial,
        jsonb_build_object('replaces', request->>'replaces'));
    END IF;
  ELSIF request->>'kind' = 'transfer' THEN
    entered := dock.usage_of(target, NULL);
    IF standing IS DISTINCT FROM 'enrolled' THEN answer := jsonb_build_object('kind', 'unknown');
    ELSIF target IS NULL OR target = home THEN
      answer := dock.turn_away(home, me.role, request, usage, serial, 'enrolment.unknown-post', true);
    ELSIF NOT (entered->>'isHeadcountKnown')::boolean
      OR (entered->>'enrolled')::integer >= (entered->>'quota')::integer THEN
      answer := dock.turn_away(home, me.role, request, entered, serial, 'enrolment.quota-full', true);
    ELSE
      PERFORM dock.free(home, me.role, request, usage, serial,
        jsonb_build_object('transferredTo', (SELECT concat_ws('/', department, name) FROM dock.post WHERE id = target)));
      -- Told by a station of the post that gains the camera.
      PERFORM dock.take(target, coalesce((SELECT min(role) FROM dock.station WHERE post_id = target), me.role),
        request || (SELECT jsonb_build_object('publicKey', encode(public_key, 'hex'), 'commissionedOn', commissioned_on)
          FROM dock.enrolment WHERE post_id = home AND serial_number = serial),
        entered, serial, jsonb_build_object('transferredFrom',
          (SELECT concat_ws('/', department, name) FROM dock.post WHERE id = home)));
      answer := jsonb_build_object('kind', 'retired', 'isNew', true);
    END IF;
  ELSIF request->>'kind' = 'fix-key' THEN
    UPDATE dock.enrolment SET public_key = decode(request->>'publicKey', 'hex')
      WHERE post_id = home AND serial_number = serial AND state = 'enrolled' AND public_key IS NULL;
    answer := jsonb_build_object('kind', 'done');
  ELSIF request->>'kind' = 'report-service-life' THEN
    UPDATE dock.enrolment SET service_reported = (request->>'months')::integer WHERE post_id = home
      AND serial_number = serial AND state = 'enrolled' AND commissioned_on = (request->>'commissionedOn')::date
      AND coalesce(service_reported, 100) > (request->>'months')::integer;
    IF FOUND THEN
      PERFORM dock.note(home, me.role, request, usage, 'service-life-due', '', jsonb_build_object('serialNumber',
        serial, 'commissionedOn', request->'commissionedOn', 'serviceEndsOn', request->'serviceEndsOn',
        'months', request->'months'));
    END IF;
    answer := jsonb_build_object('kind', 'done');
  ELSIF request->>'kind' = 'note-assignment' THEN
    PERFORM dock.note(home, me.role, request, usage, 'assignment-installed', request->>'reason', '{}');
    answer := jsonb_build_object('kind', 'done');
  ELSE
    RAISE EXCEPTION 'no request of kind %', request->>'kind' USING ERRCODE = 'invalid_parameter_value';
  END IF;

  RETURN dock.news(me, stated, (request->>'seen')::bigint) || jsonb_build_object('answer', answer,
    'computerUsage', CASE WHEN home <> me.post_id THEN dock.usage_of(home, NULL) END, 'enrolments',
    (SELECT coalesce(jsonb_agg(dock.enrolment_json(e)), '[]') FROM dock.enrolment e
      WHERE post_id = home AND serial_number IN (serial, request->>'replaces')));
END $$;

-- Counts every change of a post and of its department.
CREATE FUNCTION dock.revision_of(post integer) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT sum(p.revision) FROM dock.post p WHERE p.id IN (post, dock.department_of(post)));
END $$;

CREATE FUNCTION dock.news(me dock.station, stated integer, seen bigint) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT jsonb_build_object('revision', dock.revision_of(me.post_id),
    'usage', dock.usage_of(me.post_id, stated),
    'decisions', (SELECT coalesce(jsonb_agg(d.record::jsonb || jsonb_build_object('hash', d.hash) ORDER BY d.number), '[]')
      FROM dock.audit d WHERE d.post_id = me.post_id AND d.station = me.role AND d.number > seen)));
END $$;

-- What a station asks every other second.
CREATE FUNCTION dock.revision() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT dock.revision_of((dock.me()).post_id)
$$;

-- The whole post and the computer of its department, for the local copy of a station.
CREATE FUNCTION dock.copy(stated integer, seen bigint) RETURNS jsonb LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
  SELECT dock.news(me, stated, seen) || jsonb_build_object(
    'computerUsage', dock.usage_of(dock.department_of(me.post_id), NULL), 'enrolments',
    (SELECT coalesce(jsonb_agg(dock.enrolment_json(e)), '[]') FROM dock.enrolment e
      WHERE e.post_id IN (me.post_id, dock.department_of(me.post_id))))
  FROM dock.me() me
$$;

-- The audit of the post, a page at a time.
CREATE FUNCTION dock.audit_after(behind integer, most integer) RETURNS jsonb LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(jsonb_agg(jsonb_build_object('number', number, 'record', record, 'digest', digest, 'hash', hash)
    ORDER BY number), '[]')
  FROM (SELECT * FROM dock.audit WHERE post_id = (dock.me()).post_id AND number > behind ORDER BY number LIMIT most) page
$$;

REVOKE ALL ON ALL TABLES IN SCHEMA dock FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA dock FROM PUBLIC;
GRANT USAGE ON SCHEMA dock TO dock_station;
GRANT EXECUTE ON FUNCTION dock.act, dock.revision, dock.copy, dock.audit_after TO dock_station;
