-- Version 3: what people do at the command line that pauses something or shows them patients, and what is paused.
CREATE TABLE act (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at BIGINT NOT NULL,
    deed TEXT NOT NULL CHECK (
        deed IN ('pause-in', 'resume-in', 'pause-out', 'resume-out', 'view-message', 'view-letter')),
    subject TEXT NOT NULL,
    who TEXT NOT NULL,
    why TEXT NOT NULL,
    CONSTRAINT who_pauses_says_why CHECK (deed IN ('view-message', 'view-letter') OR trim(why) <> '')
);
CREATE TABLE pause (
    direction TEXT NOT NULL CHECK (direction IN ('in', 'out')),
    name TEXT NOT NULL,
    since BIGINT NOT NULL,
    who TEXT NOT NULL,
    PRIMARY KEY (direction, name)
);
