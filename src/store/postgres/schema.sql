-- Version 1. Times are microseconds since 1970, ids of ours are 16 bytes, JSON is text.
-- What must always hold is written as a constraint, so that no bug above this file can break it. The tables are those
-- of SQLite; what is particular to many gateways stands at the end.

CREATE TABLE patient (
    seq BIGINT GENERATED ALWAYS AS IDENTITY UNIQUE,
    id BYTEA PRIMARY KEY CHECK (length(id) = 16),
    nhs_number TEXT UNIQUE,
    -- Folded, for the search by demographics.
    family TEXT,
    birth_date TEXT,
    postal_code TEXT,
    model TEXT NOT NULL,
    -- What the record is found by, in one piece.
    keys BYTEA
);
CREATE INDEX patient_demographics ON patient (birth_date, family, postal_code) WHERE birth_date IS NOT NULL;

CREATE TABLE service (
    id TEXT PRIMARY KEY,
    model TEXT NOT NULL,
    resource TEXT
);

CREATE TABLE referral (
    seq BIGINT GENERATED ALWAYS AS IDENTITY UNIQUE,
    id BYTEA PRIMARY KEY CHECK (length(id) = 16),
    patient_id BYTEA NOT NULL REFERENCES patient (id) DEFERRABLE,
    service_id TEXT NOT NULL,
    category TEXT NOT NULL,
    status TEXT NOT NULL,
    worklist TEXT,
    model TEXT NOT NULL,
    resource TEXT,
    -- The record that a referral came with, where it hangs on another one.
    record_id BYTEA REFERENCES patient (id) DEFERRABLE,
    -- The appointments' foreign key needs it; it also finds a patient's referrals.
    UNIQUE (patient_id, id),
    CONSTRAINT live_is_on_a_worklist CHECK ((status IN ('awaited', 'active', 'on-hold')) = (worklist IS NOT NULL))
);
CREATE UNIQUE INDEX referral_live_once ON referral (patient_id, service_id, category)
    WHERE status IN ('active', 'on-hold');
CREATE INDEX referral_record ON referral (record_id) WHERE record_id IS NOT NULL;

CREATE TABLE appointment (
    seq BIGINT GENERATED ALWAYS AS IDENTITY UNIQUE,
    id BYTEA PRIMARY KEY CHECK (length(id) = 16),
    referral_id BYTEA NOT NULL,
    patient_id BYTEA NOT NULL,
    service_id TEXT NOT NULL,
    slot_id TEXT,
    status TEXT NOT NULL,
    start BIGINT NOT NULL,
    model TEXT NOT NULL,
    resource TEXT,
    -- No appointment of one patient on the referral of another.
    CONSTRAINT appointment_of_the_referrals_patient
        FOREIGN KEY (patient_id, referral_id) REFERENCES referral (patient_id, id) DEFERRABLE
);
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
);

CREATE TABLE slot (
    seq BIGINT GENERATED ALWAYS AS IDENTITY UNIQUE,
    id TEXT PRIMARY KEY,
    schedule TEXT NOT NULL,
    start BIGINT NOT NULL,
    "end" BIGINT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('free', 'busy', 'busy-unavailable')),
    resource TEXT NOT NULL
);

CREATE TABLE slot_service (
    service_id TEXT NOT NULL,
    start BIGINT NOT NULL,
    slot_id TEXT NOT NULL REFERENCES slot (id),
    PRIMARY KEY (service_id, start, slot_id)
);
CREATE INDEX slot_service_slot ON slot_service (slot_id);

-- The journal. A key is there once: that row is the first answer. Its repeats refer to it.
CREATE TABLE message (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id BYTEA NOT NULL UNIQUE CHECK (length(id) = 16),
    received_at BIGINT NOT NULL,
    channel TEXT NOT NULL,
    caller TEXT NOT NULL,
    organisation TEXT NOT NULL,
    kind TEXT NOT NULL,
    key TEXT,
    correlation TEXT NOT NULL,
    bundle TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('accepted', 'refused', 'duplicate', 'repeated')),
    status INTEGER NOT NULL,
    first_id BYTEA,
    alarm INTEGER NOT NULL CHECK (alarm IN (0, 1)),
    command TEXT,
    patient_id BYTEA,
    referral_id BYTEA,
    appointment_id BYTEA,
    issues TEXT NOT NULL,
    sha256 BYTEA NOT NULL CHECK (length(sha256) = 32),
    body_bytes BIGINT NOT NULL,
    body BYTEA NOT NULL,
    answer BYTEA,
    CONSTRAINT no_failure_under_a_key CHECK (key IS NULL OR status < 500),
    CONSTRAINT repeats_refer_to_the_first CHECK ((outcome IN ('duplicate', 'repeated')) = (first_id IS NOT NULL)),
    CONSTRAINT repeats_have_no_key CHECK (key IS NULL OR first_id IS NULL)
);
CREATE UNIQUE INDEX message_key ON message (key) WHERE key IS NOT NULL;
CREATE INDEX message_bundle ON message (bundle, correlation) WHERE outcome = 'accepted' AND bundle <> '';
CREATE INDEX message_unaccepted ON message (outcome, seq) WHERE outcome <> 'accepted';
-- They are compressed already.
ALTER TABLE message ALTER COLUMN body SET STORAGE EXTERNAL;
ALTER TABLE message ALTER COLUMN answer SET STORAGE EXTERNAL;

-- Letters. Of the open ones with the same destination and key only the first may go; the others wait.
CREATE TABLE outbox (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id BYTEA NOT NULL,
    destination TEXT NOT NULL,
    key BYTEA NOT NULL,
    event TEXT NOT NULL,
    control_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'delivered', 'parked', 'superseded')),
    waiting INTEGER NOT NULL CHECK (waiting IN (0, 1)),
    attempts BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    settled_at BIGINT,
    failure TEXT,
    body BYTEA NOT NULL,
    -- Which gateway sends it, until when by the server's clock, and how often it went to another one.
    leased_to BYTEA,
    leased_until BIGINT NOT NULL DEFAULT 0,
    lease BIGINT NOT NULL DEFAULT 0,
    CONSTRAINT settled_has_a_time CHECK ((state IN ('delivered', 'superseded')) = (settled_at IS NOT NULL))
);
CREATE UNIQUE INDEX outbox_first ON outbox (destination, key) WHERE state IN ('queued', 'parked') AND waiting = 0;
CREATE INDEX outbox_waiting ON outbox (destination, key, id) WHERE state IN ('queued', 'parked') AND waiting = 1;
CREATE INDEX outbox_ready ON outbox (destination, due_at, id) WHERE state = 'queued' AND waiting = 0;
CREATE INDEX outbox_undelivered ON outbox (state, destination, id) WHERE state <> 'delivered';
CREATE INDEX outbox_oldest ON outbox (destination, created_at) WHERE state IN ('queued', 'parked');

-- How many there are of each, kept in the same transaction as what they count. Each writer has a lane of its own, so
-- that none waits for another's commit to count; the sum over the lanes is the number.
CREATE TABLE message_tally (
    outcome TEXT NOT NULL,
    lane BIGINT NOT NULL,
    n BIGINT NOT NULL,
    PRIMARY KEY (outcome, lane)
);

CREATE TABLE outbox_tally (
    destination TEXT NOT NULL,
    state TEXT NOT NULL,
    lane BIGINT NOT NULL,
    n BIGINT NOT NULL,
    PRIMARY KEY (destination, state, lane)
);

-- Whose a local number is. `merged`: it was another record's before a merge.
CREATE TABLE patient_number (
    system TEXT NOT NULL,
    value TEXT NOT NULL,
    patient_id BYTEA NOT NULL REFERENCES patient (id) DEFERRABLE,
    merged INTEGER NOT NULL CHECK (merged IN (0, 1)),
    PRIMARY KEY (system, value)
);
CREATE INDEX patient_number_patient ON patient_number (patient_id);

-- Which referral a number is of. One that was given to two is of the first.
CREATE TABLE referral_number (
    system TEXT NOT NULL,
    value TEXT NOT NULL,
    referral_id BYTEA NOT NULL REFERENCES referral (id) DEFERRABLE,
    PRIMARY KEY (system, value)
);

-- What sources said about bookings, referrals and people, and when it was true.
CREATE TABLE feed_record (
    kind TEXT NOT NULL,
    system TEXT NOT NULL,
    value TEXT NOT NULL,
    model TEXT NOT NULL,
    PRIMARY KEY (kind, system, value)
);

-- What became of each message of a feed: every one is in exactly one state.
CREATE TABLE feed_message (
    seq BIGINT GENERATED ALWAYS AS IDENTITY UNIQUE,
    message_id BYTEA PRIMARY KEY CHECK (length(message_id) = 16),
    channel TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL
        CHECK (state IN ('applied', 'stale', 'ignored', 'duplicate', 'quarantined', 'replayed', 'skipped', 'rerouted')),
    code TEXT,
    place TEXT,
    received_at BIGINT NOT NULL,
    -- The journal's message by which a person settled it.
    settled_by BYTEA,
    CONSTRAINT quarantine_has_a_reason CHECK (state <> 'quarantined' OR code IS NOT NULL),
    CONSTRAINT settled_by_somebody CHECK ((state IN ('replayed', 'skipped', 'rerouted')) = (settled_by IS NOT NULL))
);
CREATE INDEX feed_message_quarantined ON feed_message (seq) WHERE state = 'quarantined';

-- What people decided about quarantined messages. Their reasons may name patients, so they are here only.
CREATE TABLE feed_decision (
    message_id BYTEA PRIMARY KEY REFERENCES feed_message (message_id),
    who TEXT NOT NULL,
    why TEXT NOT NULL,
    CONSTRAINT a_decision_has_a_reason CHECK (trim(why) <> '')
);

-- What a record is found by: hashes of what it says, as the matcher has them.
CREATE TABLE patient_key (
    key BIGINT NOT NULL,
    patient BIGINT NOT NULL REFERENCES patient (seq),
    PRIMARY KEY (key, patient)
);

-- The record that a record follows. The one that follows none stands for the person; referrals hang on that one.
CREATE TABLE patient_link (
    record_id BYTEA PRIMARY KEY REFERENCES patient (id) DEFERRABLE,
    to_id BYTEA NOT NULL REFERENCES patient (id) DEFERRABLE,
    model TEXT NOT NULL,
    linked_at BIGINT NOT NULL,
    CONSTRAINT nobody_follows_himself CHECK (record_id <> to_id)
);
CREATE INDEX patient_link_to ON patient_link (to_id);

-- Every link and every parting, for ever.
CREATE TABLE patient_event (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id BYTEA NOT NULL,
    record_id BYTEA NOT NULL,
    at BIGINT NOT NULL,
    model TEXT NOT NULL
);
CREATE INDEX patient_event_record ON patient_event (record_id);

-- The worklist: what a person has to decide about two things, and what was decided.
CREATE TABLE task (
    seq BIGINT GENERATED ALWAYS AS IDENTITY UNIQUE,
    id BYTEA PRIMARY KEY CHECK (length(id) = 16),
    kind TEXT NOT NULL CHECK (kind IN ('same-person', 'same-referral', 'same-appointment', 'create-rate')),
    a BYTEA NOT NULL,
    b BYTEA NOT NULL,
    source TEXT NOT NULL,
    grade TEXT NOT NULL CHECK (grade IN ('possible', 'probable', 'certain')),
    state TEXT NOT NULL CHECK (state IN ('open', 'linked', 'parted', 'left')),
    raised_at BIGINT NOT NULL,
    raised_by BYTEA NOT NULL,
    decided_at BIGINT,
    model TEXT NOT NULL,
    CONSTRAINT decided_has_a_time CHECK ((state = 'open') = (decided_at IS NULL))
);
CREATE INDEX task_a ON task (a);
CREATE INDEX task_b ON task (b);
CREATE INDEX task_open ON task (kind, grade, seq) WHERE state = 'open';

-- How many records of people whose identity is unproven each source made in each hour since 1970.
CREATE TABLE create_rate (
    source TEXT NOT NULL,
    hour BIGINT NOT NULL,
    n BIGINT NOT NULL,
    PRIMARY KEY (source, hour)
);

-- What follows SQLite does not have.

-- Whoever decides about something holds its row here until the commit. Only the locks matter, never the rows: so the
-- table need not survive a crash.
CREATE UNLOGGED TABLE claim (
    bucket INTEGER PRIMARY KEY,
    times BIGINT NOT NULL
) WITH (fillfactor = 50);

-- The last transaction of each writer, so that one whose connection was lost while it committed can be looked up.
CREATE TABLE commit_marker (
    writer BYTEA PRIMARY KEY,
    last BYTEA NOT NULL,
    at BIGINT NOT NULL
);
