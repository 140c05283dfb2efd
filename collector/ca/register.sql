-- What the authority knows: tokens that are out, certificates that it signed, keys that it let in, and its log.

CREATE TABLE IF NOT EXISTS token (
    hash      TEXT PRIMARY KEY,   -- SHA-256 of the secret, which is kept nowhere
    gateway   TEXT NOT NULL,
    expires_s INTEGER NOT NULL,
    replaces  INTEGER NOT NULL,   -- 1: a gateway that is enrolled already gets this new key
    used_by   TEXT                -- public key that used it
);

CREATE TABLE IF NOT EXISTS certificate (
    serial     TEXT PRIMARY KEY,  -- hexadecimal
    name       TEXT NOT NULL,
    public_key TEXT NOT NULL,
    not_after_s INTEGER NOT NULL,
    revoked_s  INTEGER
);
CREATE INDEX IF NOT EXISTS certificate_name ON certificate (name, not_after_s);

CREATE TABLE IF NOT EXISTS enrolled (
    gateway    TEXT PRIMARY KEY,
    public_key TEXT NOT NULL,
    since_s    INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS log (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    time_s INTEGER NOT NULL,
    what   TEXT NOT NULL,         -- token, issued, refused, revoked
    name   TEXT NOT NULL,
    sender TEXT NOT NULL,         -- address, '' for the command line
    text   TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS log_name ON log (name, time_s);
CREATE INDEX IF NOT EXISTS log_refused ON log (time_s) WHERE what = 'refused';
CREATE TRIGGER IF NOT EXISTS log_stays_1 BEFORE UPDATE ON log BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS log_stays_2 BEFORE DELETE ON log BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
