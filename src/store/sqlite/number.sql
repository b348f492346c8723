-- Version 9: NHS numbers that are nobody's any more. `newer`: the one that replaced it; none: it was declared invalid.
CREATE TABLE nhs_number_retired (
    number TEXT PRIMARY KEY,
    newer TEXT,
    message_id BLOB NOT NULL,
    at INTEGER NOT NULL,
    CONSTRAINT no_number_replaces_itself CHECK (newer <> number)
) STRICT, WITHOUT ROWID;
