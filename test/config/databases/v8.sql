-- A database of schema version 8, printed by scripts/database-fixture.ts. Never changed.
PRAGMA foreign_keys = OFF;
CREATE TABLE counter (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
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
    removed_at INTEGER, stated_times TEXT, verified_at INTEGER,                  -- from the camera
    UNIQUE (source_key, sha256)
  ) STRICT, WITHOUT ROWID;
CREATE INDEX recording_by_camera ON recording (serial_number, stored_at);
CREATE INDEX recording_by_time ON recording (stored_at);
CREATE TABLE intake (
    source_key TEXT PRIMARY KEY,
    recording_id TEXT NOT NULL UNIQUE,
    session_id TEXT NOT NULL,
    recording TEXT NOT NULL,             -- JSON of the camera's entry
    stored_path TEXT NOT NULL UNIQUE,
    durable_bytes INTEGER NOT NULL,
    durable_sha256 TEXT NOT NULL         -- of the durable bytes
  ) STRICT, WITHOUT ROWID;
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
CREATE TABLE removal (
    recording_id TEXT PRIMARY KEY REFERENCES recording (id),
    intended_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    at INTEGER NOT NULL,
    data TEXT NOT NULL,
    class TEXT NOT NULL DEFAULT 'must' CHECK (class IN ('must', 'may')), total_bytes INTEGER NOT NULL DEFAULT 0) STRICT;
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
CREATE TABLE proven_attachment (
    serial_number TEXT PRIMARY KEY,
    place TEXT NOT NULL,                 -- start of the machine and port
    attach_id TEXT NOT NULL,
    proven_at INTEGER NOT NULL           -- 0 once it has come back
  ) STRICT, WITHOUT ROWID;
CREATE TABLE doubt (
    matter TEXT PRIMARY KEY CHECK (matter IN ('register')),
    since INTEGER NOT NULL,
    reason TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
CREATE INDEX recording_by_verification ON recording (coalesce(verified_at, stored_at));
CREATE INDEX recording_by_session ON recording (session_id);
CREATE INDEX docking_session_by_end ON docking_session (ended_at);
CREATE TABLE command (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    at INTEGER NOT NULL,
    answer TEXT NOT NULL                 -- JSON: status, error, data
  ) STRICT;
CREATE INDEX command_by_time ON command (at);
CREATE TABLE alarm (
    code TEXT NOT NULL,
    subject TEXT NOT NULL,               -- a bay or camera; empty where there is only one
    level TEXT NOT NULL CHECK (level IN ('warning', 'critical')),
    since INTEGER NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (code, subject)
  ) STRICT, WITHOUT ROWID;
CREATE TABLE retained_topic (topic TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE register_copy (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    revision INTEGER,
    refreshed_at INTEGER,
    usage TEXT,
    seen INTEGER
  , computer_usage TEXT) STRICT;
CREATE TABLE queued_retirement (
    id TEXT PRIMARY KEY,                 -- of the request
    serial_number TEXT NOT NULL,
    by TEXT NOT NULL,
    cause TEXT NOT NULL,
    note TEXT NOT NULL,
    enrolled_at INTEGER NOT NULL         -- of the enrolment it ends
  ) STRICT;
CREATE TABLE assignment (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    number INTEGER NOT NULL,
    jws TEXT NOT NULL,
    installed_at INTEGER NOT NULL,
    installed_by TEXT NOT NULL
  , is_audited INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE INDEX assignment_by_number ON assignment (number, id);
CREATE TABLE waiting_event (
    seq INTEGER PRIMARY KEY,
    class TEXT NOT NULL CHECK (class IN ('must', 'may'))
  ) STRICT;
CREATE INDEX waiting_sample ON waiting_event (seq) WHERE class = 'may';
CREATE TABLE audit (
    number INTEGER PRIMARY KEY,
    record TEXT,
    digest TEXT NOT NULL,
    hash TEXT NOT NULL
  ) STRICT;
CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is kept'); END;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
    WHEN new.number != old.number OR new.digest != old.digest OR new.hash != old.hash OR new.record IS NOT NULL
      OR old.record ->> 'act' != 'refused'
    BEGIN SELECT RAISE(ABORT, 'the audit is not changed'); END;
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
CREATE INDEX enrolment_by_state ON enrolment (item, state);
INSERT INTO counter VALUES ('boot', 7);
INSERT INTO counter VALUES ('mqtt-session', 12);
INSERT INTO camera VALUES ('BC-1001', 'X2', '1.4.0', 'C', X'1111111111111111111111111111111111111111111111111111111111111111', 1763800000000, 1763830000000, 1, '{"batteryPercent":81,"errorCounters":{}}');
INSERT INTO camera VALUES ('БК-2', '', '', '', NULL, 1763800000000, 1763830000000, 2, NULL);
INSERT INTO docking_session VALUES ('01975b7e-2c00-7000-8000-000000000001', 1, 'BC-1001', 1763830000000, 1763830060000, 'complete', NULL, 2, 1, 0, 1, 0, 0, 5000000000, 58000, -1250.5, 12.25, 3.5, 'edge', 1763830001000, 4.5, 11);
INSERT INTO docking_session VALUES ('01975b7e-2c00-7000-8000-000000000002', 2, 'БК-2', 1763830000000, NULL, NULL, NULL, 3, 0, 0, 0, 3, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO recording VALUES ('01975b7e-2c00-7000-8000-0000000000a1', 'BC-1001', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', '17', '/DCIM/REC''0001.MP4', 5000000000, 'video', 1, 1763820000000, 1763823600000, 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 'BC-1001/2025-11-22/REC_0001-a1.MP4', 1763830050000, '01975b7e-2c00-7000-8000-000000000001', -1250.5, 12.25, 3.5, 'edge', NULL, '{"captured":"20251122T173000","zoneMinutes":300}', 1763900000000);
INSERT INTO intake VALUES ('cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc', '01975b7e-2c00-7000-8000-0000000000a2', '01975b7e-2c00-7000-8000-000000000001', '{"id":"18","path":"/DCIM/REC0002.MP4","sizeBytes":900,"kind":"video","isProtected":false}', 'BC-1001/2025-11-22/REC_0002-a2.MP4', 400, 'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd');
INSERT INTO quarantine VALUES ('eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee', 'BC-1001', '/DCIM/REC0003.MP4', '18446744073709551615', 'recording.stalled', 'silent', 1, 2, 3);
INSERT INTO removal VALUES ('01975b7e-2c00-7000-8000-0000000000a1', 1763830055000);
INSERT INTO event VALUES (41, '01975b7e-2c00-7000-8000-0000000000e1', 'agent-started', 1763829000000, '{"version":"0.1.0","bootNumber":7}', 'must', 34);
INSERT INTO event VALUES (42, '01975b7e-2c00-7000-8000-0000000000e2', 'camera-undocked', 1763830070000, '{"bay":1,"serialNumber":"BC-1001","sessionId":"01975b7e-2c00-7000-8000-000000000001"}', 'must', 119);
INSERT INTO event VALUES (43, '01975b7e-2c00-7000-8000-0000000000e3', 'station-sampled', 1763830080000, '{"waitingEvents":1}', 'may', 138);
INSERT INTO event VALUES (44, '01975b7e-2c00-7000-8000-0000000000e4', 'agent-stopping', 1763830090000, '{}', 'must', 140);
INSERT INTO fault VALUES (2, '', 'wire.timeout', 9, 1763800000000, 1763830000000);
INSERT INTO proven_attachment VALUES ('BC-1001', 'boot-1 1-1.2', '77', 1763830000000);
INSERT INTO doubt VALUES ('register', 1763830000000, 'state.damaged, restored from station.db');
INSERT INTO command VALUES ('req-00000001', 'pull', 'monitoring', 1763830080000, '{"status":"ok","data":{"bays":[1]}}');
INSERT INTO alarm VALUES ('vault.slow', '', 'warning', 1763830080000, 'no answer for 9 s');
INSERT INTO retained_topic VALUES ('alarm/vault.slow');
INSERT INTO retained_topic VALUES ('bay/1');
INSERT INTO register_copy VALUES (1, 7, 1763830080000, '{"headcount":40,"quota":5,"row":1,"editionId":"order-1358-2021",
    "citation":"Order No. 1358","isHeadcountKnown":true,"enrolled":1,"refused":0}', 12, NULL);
INSERT INTO queued_retirement VALUES ('019aa000-0000-7000-8000-000000000001', 'BC-1', 'aigerim', 'lost', 'not in its bay', 1763830000000);
INSERT INTO assignment VALUES (1, 7, 'eyJhbGciOiJFZERTQSJ9.e30.AA', 1763830090000, 'aigerim', 0);
INSERT INTO waiting_event VALUES (42, 'must');
INSERT INTO waiting_event VALUES (43, 'may');
INSERT INTO waiting_event VALUES (44, 'must');
INSERT INTO audit VALUES (1, '{"number":1,"at":"2025-11-22T08:26:40.000Z","station":"","act":"enrolled","serialNumber":"BC-1001","by":"automatic","reason":"first docking at this post","headcount":120,"headcountSource":"unsigned","quota":20,"enrolled":0,"row":5,"editionId":"2024","citation":""}', '7e1eb84fe7b20fe961613842bf71ec949aba1b95b0790b40ead45e62b4ccc9ad', '9418d0a898ad6e0617b6b796f111378c26db2c06a973d4c4c4ea3a733c492938');
INSERT INTO audit VALUES (2, '{"number":2,"at":"2025-11-22T16:48:11.000Z","station":"","act":"enrolled","serialNumber":"BC-1003","by":"automatic","reason":"first docking at this post","headcount":120,"headcountSource":"assignment","quota":20,"enrolled":1,"row":3,"editionId":"order-1358-2021","citation":""}', '165bcf930bfb978f2516e391805f0fb635752e1267d1cb78c945b180b04ae75d', 'be437831d18e6db97a8793266b844cfb2703ae405a1be14b6496ebd3b81261af');
INSERT INTO enrolment VALUES ('camera', 'BC-1001', 'enrolled', X'1111111111111111111111111111111111111111111111111111111111111111', 1763800000000, 'automatic', 'first docking at this post', '2025-11-22', 12);
INSERT INTO enrolment VALUES ('camera', 'BC-1002', 'retired', NULL, 1763800000000, 'aigerim', 'broken: lens cracked', NULL, NULL);
INSERT INTO enrolment VALUES ('camera', 'БК-2', 'refused', NULL, 1763800000000, 'automatic', 'quota full', NULL, NULL);
PRAGMA application_id = 1685021547;
PRAGMA user_version = 8;
