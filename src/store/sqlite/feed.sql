-- Version 2: what hospitals' own systems say.

-- Whose a local number is. `merged`: it was another record's before a merge.
CREATE TABLE patient_number (
    system TEXT NOT NULL,
    value TEXT NOT NULL,
    patient_id BLOB NOT NULL REFERENCES patient (id),
    merged INTEGER NOT NULL CHECK (merged IN (0, 1)),
    PRIMARY KEY (system, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX patient_number_patient ON patient_number (patient_id);

-- Which referral a number is of. One that was given to two is of the first.
CREATE TABLE referral_number (
    system TEXT NOT NULL,
    value TEXT NOT NULL,
    referral_id BLOB NOT NULL REFERENCES referral (id),
    PRIMARY KEY (system, value)
) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO referral_number (system, value, referral_id)
    SELECT 'https://fhir.nhs.uk/Id/UBRN', json_extract(model, '$.ubrn'), id FROM referral
    WHERE json_extract(model, '$.ubrn') IS NOT NULL ORDER BY seq;

-- What sources said about bookings, referrals and people, and when it was true.
CREATE TABLE feed_record (
    kind TEXT NOT NULL,
    system TEXT NOT NULL,
    value TEXT NOT NULL,
    model TEXT NOT NULL,
    PRIMARY KEY (kind, system, value)
) STRICT, WITHOUT ROWID;

-- What became of each message of a feed: every one is in exactly one state.
CREATE TABLE feed_message (
    seq INTEGER PRIMARY KEY,
    message_id BLOB NOT NULL UNIQUE CHECK (length(message_id) = 16),
    channel TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL
        CHECK (state IN ('applied', 'stale', 'ignored', 'duplicate', 'quarantined', 'replayed', 'skipped', 'rerouted')),
    code TEXT,
    place TEXT,
    received_at INTEGER NOT NULL,
    -- The journal's message by which a person settled it.
    settled_by BLOB,
    CONSTRAINT quarantine_has_a_reason CHECK (state <> 'quarantined' OR code IS NOT NULL),
    CONSTRAINT settled_by_somebody CHECK ((state IN ('replayed', 'skipped', 'rerouted')) = (settled_by IS NOT NULL))
) STRICT;
CREATE INDEX feed_message_quarantined ON feed_message (seq) WHERE state = 'quarantined';

-- What whoever made a booking or a referral is to be told.
CREATE TABLE telling (
    seq INTEGER PRIMARY KEY,
    message_id BLOB NOT NULL,
    model TEXT NOT NULL
) STRICT;
