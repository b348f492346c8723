-- Version 5: NHS numbers that are nobody's any more. `newer`: the one that replaced it; none: it was declared invalid.
CREATE TABLE nhs_number_retired (
    number TEXT PRIMARY KEY,
    newer TEXT,
    message_id BYTEA NOT NULL,
    at BIGINT NOT NULL,
    CONSTRAINT no_number_replaces_itself CHECK (newer <> number)
);
