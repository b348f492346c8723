-- Version 4: the index of patients. A row of `patient` is a record; a link makes it a person's.

-- What a record is found by: hashes of what it says, as the matcher has them. `keys`: the same in one piece.
ALTER TABLE patient ADD COLUMN keys BLOB;
CREATE TABLE patient_key (
    key INTEGER NOT NULL,
    patient INTEGER NOT NULL REFERENCES patient (seq),
    PRIMARY KEY (key, patient)
) STRICT, WITHOUT ROWID;

-- The record that a record follows. The one that follows none stands for the person; referrals hang on that one.
CREATE TABLE patient_link (
    record_id BLOB PRIMARY KEY REFERENCES patient (id),
    to_id BLOB NOT NULL REFERENCES patient (id),
    model TEXT NOT NULL,
    linked_at INTEGER NOT NULL,
    CONSTRAINT nobody_follows_himself CHECK (record_id <> to_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX patient_link_to ON patient_link (to_id);
INSERT INTO patient_link (record_id, to_id, model, linked_at)
    SELECT loser.id, survivor.id, json_object('record', json_extract(loser.model, '$.id'),
        'to', json_extract(survivor.model, '$.id'), 'linked', json('true'), 'by', json_object('source', ''),
        'reason', '', 'evidence', NULL), 0
    FROM patient AS loser JOIN patient AS survivor
        ON survivor.id = unhex(replace(json_extract(loser.model, '$.replaced_by'), '-', ''))
    WHERE survivor.id <> loser.id;

-- Every link and every parting, for ever.
CREATE TABLE patient_event (
    seq INTEGER PRIMARY KEY,
    message_id BLOB NOT NULL,
    record_id BLOB NOT NULL,
    at INTEGER NOT NULL,
    model TEXT NOT NULL
) STRICT;
CREATE INDEX patient_event_record ON patient_event (record_id);

-- The record that a referral came with, where it hangs on another one.
ALTER TABLE referral ADD COLUMN record_id BLOB REFERENCES patient (id);
CREATE INDEX referral_record ON referral (record_id) WHERE record_id IS NOT NULL;

-- The worklist: what a person has to decide about two things, and what was decided.
CREATE TABLE task (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    kind TEXT NOT NULL CHECK (kind IN ('same-person', 'same-referral', 'same-appointment', 'create-rate')),
    a BLOB NOT NULL,
    b BLOB NOT NULL,
    source TEXT NOT NULL,
    grade TEXT NOT NULL CHECK (grade IN ('possible', 'probable', 'certain')),
    state TEXT NOT NULL CHECK (state IN ('open', 'linked', 'parted', 'left')),
    raised_at INTEGER NOT NULL,
    raised_by BLOB NOT NULL,
    decided_at INTEGER,
    model TEXT NOT NULL,
    CONSTRAINT decided_has_a_time CHECK ((state = 'open') = (decided_at IS NULL))
) STRICT;
CREATE INDEX task_a ON task (a);
CREATE INDEX task_b ON task (b);
CREATE INDEX task_open ON task (kind, grade, seq) WHERE state = 'open';

-- How many records of people whose identity is unproven each source made in each hour since 1970.
CREATE TABLE create_rate (
    source TEXT NOT NULL,
    hour INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (source, hour)
) STRICT, WITHOUT ROWID;
