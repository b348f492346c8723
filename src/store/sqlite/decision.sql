-- Version 3: what people decided about quarantined messages. Their reasons may name patients, so they are here only.
CREATE TABLE feed_decision (
    message_id BLOB PRIMARY KEY REFERENCES feed_message (message_id),
    who TEXT NOT NULL,
    why TEXT NOT NULL,
    CONSTRAINT a_decision_has_a_reason CHECK (trim(why) <> '')
) STRICT, WITHOUT ROWID;
