import { auditBeginning } from '../../protocol/norm/audit-record.ts';

/** "dock" in ASCII: tells `file` and other tools whose database this is. */
export const applicationId = 0x646f636b;

/**
 * Steps from an empty database to the present schema; the number applied is the user_version. Never change one
 * that was released: add another. Times are UTC milliseconds, digests lower-case hex SHA-256.
 */
export const migrations: readonly string[] = [
  `
  -- Counters that survive restarts: boot, mqtt-session.
  CREATE TABLE counter (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  -- Every camera ever seen, by its normalised serial number.
  CREATE TABLE camera (
    serial_number TEXT PRIMARY KEY,
    model TEXT NOT NULL,
    firmware TEXT NOT NULL,
    hardware_revision TEXT NOT NULL,
    public_key BLOB,                     -- Ed25519, as the camera states it; proven only at enrolment
    first_seen_at INTEGER NOT NULL,
    last_docked_at INTEGER NOT NULL,
    last_bay INTEGER NOT NULL,
    health TEXT                          -- JSON, as last read
  ) STRICT, WITHOUT ROWID;

  -- Who counts against the quota. A retired camera keeps its row.
  CREATE TABLE enrolment (
    serial_number TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('enrolled', 'retired', 'refused')),
    public_key BLOB,                     -- Ed25519, fixed at enrolment; NULL for a camera without a key
    changed_at INTEGER NOT NULL,
    changed_by TEXT NOT NULL,
    reason TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX enrolment_by_state ON enrolment (state);

  -- Every decision about enrolment, never changed: who, when, why, under which numbers.
  CREATE TABLE enrolment_decision (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    decided_at INTEGER NOT NULL,
    serial_number TEXT NOT NULL,
    decision TEXT NOT NULL CHECK (decision IN ('enrolled', 'refused', 'retired')),
    by TEXT NOT NULL,
    reason TEXT NOT NULL,
    headcount INTEGER NOT NULL,
    quota INTEGER NOT NULL,
    enrolled_before INTEGER NOT NULL,
    norm_row INTEGER NOT NULL,
    norm_edition TEXT NOT NULL
  ) STRICT;

  CREATE TABLE docking_session (
    id TEXT PRIMARY KEY,
    bay INTEGER NOT NULL,
    serial_number TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    outcome TEXT CHECK (outcome IN ('complete', 'interrupted', 'refused', 'attention')),
    code TEXT,
    listed INTEGER NOT NULL DEFAULT 0,
    stored INTEGER NOT NULL DEFAULT 0,
    held INTEGER NOT NULL DEFAULT 0,
    quarantined INTEGER NOT NULL DEFAULT 0,
    refused INTEGER NOT NULL DEFAULT 0,
    removed INTEGER NOT NULL DEFAULT 0,
    stored_bytes INTEGER NOT NULL DEFAULT 0,
    pull_ms INTEGER NOT NULL DEFAULT 0,
    clock_offset_ms REAL,
    clock_uncertainty_ms REAL,
    clock_drift_ppm REAL,
    clock_method TEXT,
    clock_set_at INTEGER,
    clock_residual_ms REAL,
    clock_residual_uncertainty_ms REAL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX docking_session_by_camera ON docking_session (serial_number, started_at);
  CREATE INDEX docking_session_open ON docking_session (id) WHERE ended_at IS NULL;

  -- The catalogue: one row for each stored recording. source_key recognises it on the camera.
  CREATE TABLE recording (
    id TEXT PRIMARY KEY,
    serial_number TEXT NOT NULL,
    source_key TEXT NOT NULL,
    source_id TEXT NOT NULL,
    path TEXT NOT NULL,                  -- on the camera, as read
    size_bytes INTEGER NOT NULL,
    kind TEXT NOT NULL,
    is_protected INTEGER NOT NULL,
    started_at INTEGER,                  -- by the camera's clock, as read
    ended_at INTEGER,
    sha256 TEXT NOT NULL,
    stored_path TEXT NOT NULL UNIQUE,    -- relative to the vault
    stored_at INTEGER NOT NULL,
    session_id TEXT NOT NULL REFERENCES docking_session (id),
    clock_offset_ms REAL,                -- of the camera in that session, before its clock was set
    clock_uncertainty_ms REAL,
    clock_drift_ppm REAL,
    clock_method TEXT,
    removed_at INTEGER,                  -- from the camera
    UNIQUE (source_key, sha256)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX recording_by_camera ON recording (serial_number, stored_at);
  CREATE INDEX recording_by_time ON recording (stored_at);

  -- A pull under way. What is durable of its part file, so that it resumes there.
  CREATE TABLE intake (
    source_key TEXT PRIMARY KEY,
    recording_id TEXT NOT NULL UNIQUE,
    session_id TEXT NOT NULL,
    recording TEXT NOT NULL,             -- JSON of the camera's entry
    stored_path TEXT NOT NULL UNIQUE,
    durable_bytes INTEGER NOT NULL,
    durable_sha256 TEXT NOT NULL         -- of the durable bytes
  ) STRICT, WITHOUT ROWID;

  -- What could not be pulled, with the reason; gone once it is stored.
  CREATE TABLE quarantine (
    source_key TEXT PRIMARY KEY,
    serial_number TEXT NOT NULL,
    path TEXT NOT NULL,
    size_bytes TEXT NOT NULL,            -- decimal: may exceed 64 bits
    code TEXT NOT NULL,
    detail TEXT NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  -- A removal announced to a camera and not yet seen done.
  CREATE TABLE removal (
    recording_id TEXT PRIMARY KEY REFERENCES recording (id),
    intended_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  -- The outbox: every event, written in the transaction of its fact.
  CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    at INTEGER NOT NULL,
    data TEXT NOT NULL,
    acknowledged_at INTEGER              -- by the broker
  ) STRICT;
  CREATE INDEX event_unacknowledged ON event (seq) WHERE acknowledged_at IS NULL;
  `,
  `
  -- What went wrong between bays and cameras, to tell the one from the other.
  CREATE TABLE fault (
    bay INTEGER NOT NULL,
    serial_number TEXT NOT NULL,         -- empty for a device that never said who it is
    code TEXT NOT NULL,
    count INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    PRIMARY KEY (bay, serial_number, code)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX fault_by_time ON fault (last_at);

  -- JSON of the camera's own words for its times and the zone assumed, where they left it open.
  ALTER TABLE recording ADD COLUMN stated_times TEXT;

  -- The attach under which a camera with a key came back unlocked, after it had proved itself.
  CREATE TABLE proven_attachment (
    serial_number TEXT PRIMARY KEY,
    place TEXT NOT NULL,                 -- start of the machine and port
    attach_id TEXT NOT NULL,
    proven_at INTEGER NOT NULL           -- 0 once it has come back
  ) STRICT, WITHOUT ROWID;
  `,
  `
  -- What a person has to look at first: while its row is there, the agent refuses in its matter.
  CREATE TABLE doubt (
    matter TEXT PRIMARY KEY CHECK (matter IN ('register')),
    since INTEGER NOT NULL,
    reason TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  -- When a stored recording was last read back and found whole; NULL until the first time.
  ALTER TABLE recording ADD COLUMN verified_at INTEGER;
  CREATE INDEX recording_by_verification ON recording (coalesce(verified_at, stored_at));
  CREATE INDEX recording_by_session ON recording (session_id);
  CREATE INDEX docking_session_by_end ON docking_session (ended_at);
  `,
  `
  -- Samples (class may) may be dropped where too many wait. total_bytes runs over all events up to and with this one, so
  -- that what waits is measured by two rows.
  ALTER TABLE event ADD COLUMN class TEXT NOT NULL DEFAULT 'must' CHECK (class IN ('must', 'may'));
  ALTER TABLE event ADD COLUMN total_bytes INTEGER NOT NULL DEFAULT 0;
  UPDATE event SET total_bytes = total FROM
    (SELECT seq AS numbered, sum(length(CAST(data AS BLOB))) OVER (ORDER BY seq) AS total FROM event)
    WHERE seq = numbered;
  CREATE INDEX event_waiting_sample ON event (seq) WHERE class = 'may' AND acknowledged_at IS NULL;

  -- Commands that were answered: the same id gets the same answer.
  CREATE TABLE command (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    at INTEGER NOT NULL,
    answer TEXT NOT NULL                 -- JSON: status, error, data
  ) STRICT;
  CREATE INDEX command_by_time ON command (at);

  -- What stands and was told.
  CREATE TABLE alarm (
    code TEXT NOT NULL,
    subject TEXT NOT NULL,               -- a bay or camera; empty where there is only one
    level TEXT NOT NULL CHECK (level IN ('warning', 'critical')),
    since INTEGER NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (code, subject)
  ) STRICT, WITHOUT ROWID;

  -- Below the station's base: what the broker may still hold of us, also of bays and alarms that are gone.
  CREATE TABLE retained_topic (topic TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
  `,
  `
  -- Where the register of the post is kept elsewhere, enrolment holds a copy of it: of which revision, how fresh, and
  -- which of the decisions made here were told as events. usage: JSON, as the register counted last.
  CREATE TABLE register_copy (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    revision INTEGER,
    refreshed_at INTEGER,
    usage TEXT,
    seen INTEGER
  ) STRICT;

  -- Made while the register was away: their places are free once it has them.
  CREATE TABLE queued_retirement (
    id TEXT PRIMARY KEY,                 -- of the request
    serial_number TEXT NOT NULL,
    by TEXT NOT NULL,
    cause TEXT NOT NULL,
    note TEXT NOT NULL,
    enrolled_at INTEGER NOT NULL         -- of the enrolment it ends
  ) STRICT;
  `,
  `
  -- Post assignments that were installed, whole, so that each start verifies them again. Never changed.
  CREATE TABLE assignment (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    number INTEGER NOT NULL,
    jws TEXT NOT NULL,
    installed_at INTEGER NOT NULL,
    installed_by TEXT NOT NULL
  ) STRICT;
  CREATE INDEX assignment_by_number ON assignment (number, id);

  -- Of the assignment that stated the headcount of the decision; NULL: the configuration did, which nobody signs.
  ALTER TABLE enrolment_decision ADD COLUMN assignment_number INTEGER;
  `,
  `
  -- Which events wait for their receipt. Apart from the events, as these are long and a receipt takes many at once.
  CREATE TABLE waiting_event (
    seq INTEGER PRIMARY KEY,
    class TEXT NOT NULL CHECK (class IN ('must', 'may'))
  ) STRICT;
  CREATE INDEX waiting_sample ON waiting_event (seq) WHERE class = 'may';
  INSERT INTO waiting_event SELECT seq, class FROM event WHERE acknowledged_at IS NULL;
  DROP INDEX event_unacknowledged;
  DROP INDEX event_waiting_sample;
  ALTER TABLE event DROP COLUMN acknowledged_at;
  `,
  `
  -- Every act on the register, chained: see protocol/norm/audit-record.ts. Never changed; only the text of an old refusal
  -- may be forgotten, its digest stays.
  CREATE TABLE audit (
    number INTEGER PRIMARY KEY,
    record TEXT,
    digest TEXT NOT NULL,
    hash TEXT NOT NULL
  ) STRICT;
  INSERT INTO audit
    WITH RECURSIVE old AS MATERIALIZED (
      SELECT row_number() OVER (ORDER BY id) AS number, json_object(
        'number', row_number() OVER (ORDER BY id), 'at', strftime('%Y-%m-%dT%H:%M:%fZ', decided_at / 1000.0, 'unixepoch'),
        'station', '', 'act', decision, 'serialNumber', serial_number, 'by', by, 'reason', reason, 'headcount', headcount,
        'headcountSource', iif(assignment_number IS NULL, 'unsigned', 'assignment'), 'quota', quota,
        'enrolled', enrolled_before, 'row', norm_row, 'editionId', norm_edition, 'citation', '') AS record
      FROM enrolment_decision),
    chain AS (
      SELECT number, record, sha256(record) AS digest, sha256('${auditBeginning}' || sha256(record)) AS hash
        FROM old WHERE number = 1
      UNION ALL SELECT old.number, old.record, sha256(old.record), sha256(chain.hash || sha256(old.record))
        FROM chain JOIN old ON old.number = chain.number + 1)
    SELECT number, record, digest, hash FROM chain;
  CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is kept'); END;
  CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
    WHEN new.number != old.number OR new.digest != old.digest OR new.hash != old.hash OR new.record IS NOT NULL
      OR old.record ->> 'act' != 'refused'
    BEGIN SELECT RAISE(ABORT, 'the audit is not changed'); END;

  ALTER TABLE assignment ADD COLUMN is_audited INTEGER NOT NULL DEFAULT 0;

  DROP TABLE enrolment_decision;

  -- item: what the norm provides for, a camera of the post or the computer of its department.
  ALTER TABLE enrolment RENAME TO camera_enrolment;
  CREATE TABLE enrolment (
    item TEXT NOT NULL CHECK (item IN ('camera', 'computer')),
    serial_number TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('enrolled', 'retired', 'refused')),
    public_key BLOB,
    changed_at INTEGER NOT NULL,
    changed_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    commissioned_on TEXT,
    service_reported INTEGER, -- months that were left at the last report of its service life
    PRIMARY KEY (item, serial_number)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO enrolment SELECT 'camera', serial_number, state, public_key, changed_at, changed_by, reason,
    (SELECT date(min(julianday(record ->> 'at')), '+5 hours') FROM audit
     WHERE record ->> 'serialNumber' = serial_number AND record ->> 'act' = 'enrolled'), NULL FROM camera_enrolment;
  DROP TABLE camera_enrolment;
  CREATE INDEX enrolment_by_state ON enrolment (item, state);
  ALTER TABLE register_copy ADD COLUMN computer_usage TEXT;
  `,
];
