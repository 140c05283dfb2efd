-- Evidence first: `record` keeps the exact bytes that arrived, once per (gateway, stream, seq).
-- `summary`, `shadow`, `meter_day`, `alarm`, `event`, `correction`, `reply`, `gap` and `gap_total` are derived from
-- them for queries, and can be derived anew.
-- Columns carry the names of the vocabulary; times are UTC seconds since 1970.

CREATE TABLE IF NOT EXISTS gateway (
    gateway     TEXT PRIMARY KEY,
    public_key  TEXT NOT NULL,              -- pinned: by enrolment, else by the first status; another one is refused
    stream      TEXT NOT NULL,              -- the stream that the gateway writes now
    status      BLOB NOT NULL,              -- payload of the last accepted status
    received_s  INTEGER NOT NULL,
    heard_s     INTEGER NOT NULL,           -- when anything of it arrived last
    window_s    INTEGER NOT NULL,
    goodbye     INTEGER NOT NULL,           -- 1: it took leave itself
    boot_id     TEXT NOT NULL,
    boot_s      REAL NOT NULL               -- boot-time clock of that status
);

CREATE TABLE IF NOT EXISTS boot (
    gateway     TEXT NOT NULL,
    boot_id     TEXT NOT NULL,
    boot_s      REAL NOT NULL,              -- largest that a status of this boot told
    heard_s     INTEGER NOT NULL,
    PRIMARY KEY (gateway, boot_id)
);

CREATE TABLE IF NOT EXISTS gateway_key (
    gateway     TEXT NOT NULL,
    public_key  TEXT NOT NULL,              -- every key that was ever pinned
    since_s     INTEGER NOT NULL,
    how         TEXT NOT NULL,              -- first use, enrolled, rotated
    PRIMARY KEY (gateway, public_key)
);

CREATE TABLE IF NOT EXISTS stream (
    gateway     TEXT NOT NULL,
    stream      TEXT NOT NULL,
    through     INTEGER NOT NULL,           -- 1..through are committed and chained
    head        BLOB NOT NULL,              -- chain head after `through`
    highest     INTEGER NOT NULL,           -- largest seq seen
    verified    INTEGER NOT NULL,           -- seq of the last checkpoint whose signature and head fit
    checked     INTEGER NOT NULL,           -- seq of the last checkpoint looked at
    suspect     INTEGER NOT NULL,           -- a signed head contradicts verified+1..suspect; 0: none does
    received_s  INTEGER NOT NULL,
    since_s     INTEGER NOT NULL,           -- when its first record arrived
    public_key  TEXT NOT NULL,              -- that signed the checkpoint `verified`
    PRIMARY KEY (gateway, stream)
);

CREATE TABLE IF NOT EXISTS record (
    id          INTEGER PRIMARY KEY,        -- order of arrival
    gateway     TEXT NOT NULL,
    stream      TEXT NOT NULL,
    seq         INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    payload     BLOB NOT NULL,
    head        BLOB,                       -- chain head after this record; NULL while an earlier one is missing
    received_s  INTEGER NOT NULL,
    UNIQUE (gateway, stream, seq)
);
CREATE INDEX IF NOT EXISTS record_checkpoint ON record (gateway, stream, seq) WHERE kind = 'checkpoint';
CREATE INDEX IF NOT EXISTS record_gap ON record (gateway, stream, seq) WHERE kind = 'gap';

CREATE TABLE IF NOT EXISTS summary (
    gateway                 TEXT NOT NULL,
    meter                   TEXT NOT NULL,
    start_s                 INTEGER NOT NULL,
    part                    INTEGER NOT NULL, -- not 0 where the clock was stepped: parts add up
    window_s                INTEGER NOT NULL,
    coverage                REAL NOT NULL,
    quality                 TEXT NOT NULL,
    active_power_w          REAL,
    active_power_min_w      REAL,
    active_power_max_w      REAL,
    power_factor            REAL,
    active_energy_import_wh REAL,
    active_energy_export_wh REAL,
    verdict                 TEXT NOT NULL,
    score                   REAL NOT NULL,
    mining_p10_w            REAL NOT NULL,
    mining_p50_w            REAL NOT NULL,
    mining_p90_w            REAL NOT NULL,
    since_s                 INTEGER,
    stream                  TEXT NOT NULL,
    seq                     INTEGER NOT NULL,
    clock                   TEXT NOT NULL,    -- trust in its time, as told
    offset_s                INTEGER NOT NULL, -- what a clock_correction added to the times that were told
    PRIMARY KEY (gateway, meter, start_s, part)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS shadow (           -- records whose window another record tells with better trust, or as well
    gateway TEXT NOT NULL,
    meter   TEXT NOT NULL,
    start_s INTEGER NOT NULL,
    part    INTEGER NOT NULL,
    stream  TEXT NOT NULL,
    seq     INTEGER NOT NULL,
    PRIMARY KEY (gateway, meter, start_s, part, stream, seq)
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS summary_broken ON summary (quality, gateway, meter, start_s) WHERE quality IN ('X', 'R');

CREATE TABLE IF NOT EXISTS meter_day (
    gateway                 TEXT NOT NULL,
    meter                   TEXT NOT NULL,
    day_s                   INTEGER NOT NULL, -- 00:00 UTC
    windows                 INTEGER NOT NULL,
    load_wh                 REAL NOT NULL,    -- mean power x window x coverage, and what declared gaps tell
    mining_wh               REAL NOT NULL,    -- p50 x window, windows of good quality only, and of declared gaps
    active_energy_import_wh REAL,             -- last register reading of the day
    active_energy_export_wh REAL,
    PRIMARY KEY (gateway, meter, day_s)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS alarm (
    gateway      TEXT NOT NULL,
    stream       TEXT NOT NULL,
    seq          INTEGER NOT NULL,
    meter        TEXT NOT NULL,
    alarm        TEXT NOT NULL,
    state        TEXT NOT NULL,
    time_s       INTEGER NOT NULL,
    raised_s     INTEGER NOT NULL,
    verdict      TEXT NOT NULL,
    score        REAL NOT NULL,
    mining_p10_w REAL NOT NULL,
    mining_p50_w REAL NOT NULL,
    mining_p90_w REAL NOT NULL,
    mining_share REAL NOT NULL,
    since_s      INTEGER,
    reasons      TEXT NOT NULL,               -- JSON, as in the message
    clock        TEXT NOT NULL,
    PRIMARY KEY (gateway, stream, seq)
);
CREATE UNIQUE INDEX IF NOT EXISTS alarm_once ON alarm (gateway, alarm, time_s, state); -- a spool may tell it again
CREATE INDEX IF NOT EXISTS alarm_latest ON alarm (gateway, alarm, time_s, seq);

CREATE TABLE IF NOT EXISTS event (
    gateway TEXT NOT NULL,
    stream  TEXT NOT NULL,
    seq     INTEGER NOT NULL,
    meter   TEXT,
    event   TEXT NOT NULL,
    time_s  INTEGER NOT NULL,
    text    TEXT NOT NULL,
    data    TEXT NOT NULL,                    -- JSON, as in the message
    clock   TEXT NOT NULL,
    PRIMARY KEY (gateway, stream, seq)
);
CREATE UNIQUE INDEX IF NOT EXISTS event_once ON event (gateway, event, time_s, coalesce(meter, ''), text);
CREATE INDEX IF NOT EXISTS event_news ON event (time_s, seq) WHERE event <> 'site_day';
CREATE INDEX IF NOT EXISTS event_site_day ON event (gateway, time_s, seq) WHERE event = 'site_day';

CREATE TABLE IF NOT EXISTS correction (       -- records of these numbers told times that were wrong by offset_s
    gateway     TEXT NOT NULL,
    stream      TEXT NOT NULL,
    seq         INTEGER NOT NULL,             -- of the event that says so; the last one holds
    from_seq    INTEGER NOT NULL,
    through_seq INTEGER NOT NULL,
    offset_s    REAL NOT NULL,                -- true = told + offset_s
    PRIMARY KEY (gateway, stream, seq)
);

CREATE TABLE IF NOT EXISTS reply (
    gateway  TEXT NOT NULL,
    stream   TEXT NOT NULL,
    seq      INTEGER NOT NULL,
    counter  INTEGER NOT NULL,
    command  TEXT NOT NULL,
    state    TEXT NOT NULL,
    time_s   INTEGER NOT NULL,
    text     TEXT NOT NULL,
    data     TEXT NOT NULL,                   -- JSON, as in the message
    attached INTEGER NOT NULL,                -- letters of the attachment; it stands in the record's payload
    PRIMARY KEY (gateway, stream, seq)
);
CREATE INDEX IF NOT EXISTS reply_news ON reply (time_s, seq);

CREATE TABLE IF NOT EXISTS gap (              -- properly signed statements that records are lost for good
    gateway     TEXT NOT NULL,
    stream      TEXT NOT NULL,
    seq         INTEGER NOT NULL,
    from_seq    INTEGER NOT NULL,
    through_seq INTEGER NOT NULL,
    head        BLOB NOT NULL,                -- chain head after through_seq
    cause       TEXT NOT NULL,
    time_s      INTEGER NOT NULL,
    records     TEXT NOT NULL,                -- JSON: kind -> count
    PRIMARY KEY (gateway, stream, seq)
);

CREATE TABLE IF NOT EXISTS gap_total (
    gateway                 TEXT NOT NULL,
    stream                  TEXT NOT NULL,
    seq                     INTEGER NOT NULL, -- of the gap
    meter                   TEXT NOT NULL,
    start_s                 INTEGER NOT NULL,
    end_s                   INTEGER NOT NULL,
    coverage                REAL NOT NULL,
    load_wh                 REAL NOT NULL,
    mining_wh               REAL NOT NULL,
    active_energy_import_wh REAL,
    active_energy_export_wh REAL,
    PRIMARY KEY (gateway, stream, seq, meter)
);
CREATE INDEX IF NOT EXISTS gap_total_time ON gap_total (gateway, meter, end_s);

CREATE TABLE IF NOT EXISTS finding (
    id         INTEGER PRIMARY KEY,
    gateway    TEXT NOT NULL,
    stream     TEXT NOT NULL,                 -- '' where it concerns the gateway itself
    seq        INTEGER NOT NULL,              -- first record that it concerns, 0 for none
    to_seq     INTEGER NOT NULL,
    kind       TEXT NOT NULL,                 -- collector/store/findings.py describes each
    text       TEXT NOT NULL,
    evidence   BLOB NOT NULL,                 -- the bytes that contradict
    time_s     INTEGER NOT NULL,
    resolved_s INTEGER,
    UNIQUE (gateway, stream, seq, kind, text)
);

CREATE TABLE IF NOT EXISTS rejected (
    id      INTEGER PRIMARY KEY AUTOINCREMENT, -- counts all that ever were
    topic   TEXT NOT NULL,
    why     TEXT NOT NULL,
    bytes   INTEGER NOT NULL,                  -- length of the whole payload
    payload BLOB NOT NULL,                     -- its beginning
    time_s  INTEGER NOT NULL
);
