-- Version 1. Times are microseconds since 1970, ids of ours are 16 bytes, JSON is text.
-- What must always hold is written as a constraint, so that no bug above this file can break it.

CREATE TABLE patient (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    nhs_number TEXT UNIQUE,
    -- Folded, for the search by demographics.
    family TEXT,
    birth_date TEXT,
    postal_code TEXT,
    model TEXT NOT NULL
) STRICT;
CREATE INDEX patient_demographics ON patient (birth_date, family, postal_code) WHERE birth_date IS NOT NULL;

CREATE TABLE service (
    id TEXT PRIMARY KEY,
    model TEXT NOT NULL,
    resource TEXT
) STRICT;

CREATE TABLE referral (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    patient_id BLOB NOT NULL REFERENCES patient (id),
    service_id TEXT NOT NULL,
    category TEXT NOT NULL,
    status TEXT NOT NULL,
    worklist TEXT,
    model TEXT NOT NULL,
    resource TEXT,
    -- The appointments' foreign key needs it; it also finds a patient's referrals.
    UNIQUE (patient_id, id),
    CONSTRAINT live_is_on_a_worklist CHECK ((status IN ('awaited', 'active', 'on-hold')) = (worklist IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX referral_live_once ON referral (patient_id, service_id, category)
    WHERE status IN ('active', 'on-hold');

CREATE TABLE appointment (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    referral_id BLOB NOT NULL,
    patient_id BLOB NOT NULL,
    service_id TEXT NOT NULL,
    slot_id TEXT,
    status TEXT NOT NULL,
    start INTEGER NOT NULL,
    model TEXT NOT NULL,
    resource TEXT,
    -- No appointment of one patient on the referral of another.
    FOREIGN KEY (referral_id, patient_id) REFERENCES referral (id, patient_id)
) STRICT;
CREATE INDEX appointment_patient ON appointment (patient_id);
CREATE INDEX appointment_referral ON appointment (referral_id, patient_id);
CREATE UNIQUE INDEX appointment_slot_once ON appointment (slot_id)
    WHERE status IN ('booked', 'arrived') AND slot_id IS NOT NULL;
CREATE UNIQUE INDEX appointment_referral_once ON appointment (referral_id) WHERE status IN ('booked', 'arrived');

-- Schedules, locations and whatever else describes a diary.
CREATE TABLE directory (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    resource TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT;

CREATE TABLE slot (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    schedule TEXT NOT NULL,
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('free', 'busy', 'busy-unavailable')),
    resource TEXT NOT NULL
) STRICT;

CREATE TABLE slot_service (
    service_id TEXT NOT NULL,
    start INTEGER NOT NULL,
    slot_id TEXT NOT NULL REFERENCES slot (id),
    PRIMARY KEY (service_id, start, slot_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX slot_service_slot ON slot_service (slot_id);

-- The journal. A key is there once: that row is the first answer. Its repeats refer to it.
CREATE TABLE message (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    received_at INTEGER NOT NULL,
    channel TEXT NOT NULL,
    caller TEXT NOT NULL,
    organisation TEXT NOT NULL,
    kind TEXT NOT NULL,
    key TEXT,
    correlation TEXT NOT NULL,
    bundle TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('accepted', 'refused', 'duplicate', 'repeated')),
    status INTEGER NOT NULL,
    first_id BLOB,
    alarm INTEGER NOT NULL CHECK (alarm IN (0, 1)),
    command TEXT,
    patient_id BLOB,
    referral_id BLOB,
    appointment_id BLOB,
    issues TEXT NOT NULL,
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    body_bytes INTEGER NOT NULL,
    body BLOB NOT NULL,
    answer BLOB,
    CONSTRAINT no_failure_under_a_key CHECK (key IS NULL OR status < 500),
    CONSTRAINT repeats_refer_to_the_first CHECK ((outcome IN ('duplicate', 'repeated')) = (first_id IS NOT NULL)),
    CONSTRAINT repeats_have_no_key CHECK (key IS NULL OR first_id IS NULL)
) STRICT;
CREATE UNIQUE INDEX message_key ON message (key) WHERE key IS NOT NULL;
CREATE INDEX message_bundle ON message (bundle, correlation) WHERE outcome = 'accepted' AND bundle <> '';
CREATE INDEX message_unaccepted ON message (outcome) WHERE outcome <> 'accepted';

-- Letters. Of the open ones with the same destination and key only the first may go; the others wait.
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id BLOB NOT NULL,
    destination TEXT NOT NULL,
    key BLOB NOT NULL,
    event TEXT NOT NULL,
    control_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'delivered', 'parked', 'superseded')),
    waiting INTEGER NOT NULL CHECK (waiting IN (0, 1)),
    attempts INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    settled_at INTEGER,
    failure TEXT,
    body BLOB NOT NULL,
    CONSTRAINT settled_has_a_time CHECK ((state IN ('delivered', 'superseded')) = (settled_at IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX outbox_first ON outbox (destination, key) WHERE state IN ('queued', 'parked') AND waiting = 0;
CREATE INDEX outbox_waiting ON outbox (destination, key) WHERE state IN ('queued', 'parked') AND waiting = 1;
CREATE INDEX outbox_ready ON outbox (destination, due_at) WHERE state = 'queued' AND waiting = 0;
CREATE INDEX outbox_undelivered ON outbox (state, destination) WHERE state <> 'delivered';

-- How many there are of each, kept in the same transaction as what they count.
CREATE TABLE message_tally (
    outcome TEXT PRIMARY KEY,
    n INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE outbox_tally (
    destination TEXT NOT NULL,
    state TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (destination, state)
) STRICT, WITHOUT ROWID;
