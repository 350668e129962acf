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
];
