-- What must hold after every fault. Each query gives the rows that contradict; none is good.
--
-- centre    the collector's database, as it is
-- expected  (meter, start_s, window_s)   every window that a configured meter lived through
-- truth     (meter, start_s, active_power_w)   what the simulator knows
-- facts     (meter, mining)              1 where mining loads are behind the meter
-- distrusted (meter, from_s, until_s)    where the case itself makes the meter tell something else

CREATE TEMP VIEW absence AS
    SELECT 0 AS from_s, time_s AS until_s FROM centre.event AS first WHERE event = 'start'
    AND NOT EXISTS (SELECT 1 FROM centre.summary WHERE start_s + window_s <= first.time_s)  -- else it was none
    UNION ALL
    SELECT json_extract(data, '$.told_until_s'), time_s FROM centre.event WHERE event = 'restart'
    UNION ALL
    SELECT json_extract(data, '$.before_s'), json_extract(data, '$.after_s') FROM centre.event
    WHERE event = 'clock_step'
    UNION ALL
    SELECT json_extract(data, '$.from_s'), json_extract(data, '$.from_s') + json_extract(data, '$.pause_s')
    FROM centre.event WHERE event = 'pause';

CREATE TEMP VIEW gap_range AS
    SELECT gateway, stream, json_extract(CAST(payload AS TEXT), '$.from_seq') AS from_seq,
           json_extract(CAST(payload AS TEXT), '$.through_seq') AS through_seq
    FROM centre.record WHERE kind = 'gap';

CREATE TEMP VIEW gap_total AS
    SELECT json_extract(each.value, '$.meter') AS meter, json_extract(each.value, '$.start_s') AS from_s,
           json_extract(each.value, '$.end_s') AS until_s
    FROM centre.record AS record, json_each(CAST(record.payload AS TEXT), '$.totals') AS each
    WHERE record.kind = 'gap';

-- lost: a window that a meter lived through is neither told nor declared missing
SELECT meter, start_s FROM expected
WHERE NOT EXISTS (SELECT 1 FROM centre.summary AS s WHERE s.meter = expected.meter AND s.start_s = expected.start_s)
  AND NOT EXISTS (SELECT 1 FROM absence AS a
                  WHERE a.from_s <= expected.start_s AND expected.start_s + expected.window_s <= a.until_s)
  AND NOT EXISTS (SELECT 1 FROM gap_total AS g WHERE g.meter = expected.meter
                  AND g.from_s <= expected.start_s AND expected.start_s + expected.window_s <= g.until_s);

-- duplicated: a record is stored twice, or a window is told twice with different contents
SELECT gateway, stream, seq FROM centre.record GROUP BY gateway, stream, seq HAVING count(*) > 1
UNION ALL
SELECT meter, start_s, count(*) FROM (
    SELECT DISTINCT json_extract(told, '$.meter') AS meter, json_extract(told, '$.start_s') AS start_s,
                    json_extract(told, '$.part') AS part, json_extract(told, '$.quality'),
                    json_extract(told, '$.coverage'), json_extract(told, '$.active_power_w'),
                    json_extract(told, '$.active_energy_import_wh'), json_extract(told, '$.mining_w[1]')
    FROM (SELECT CAST(payload AS TEXT) AS told FROM centre.record WHERE kind = 'summary'))
GROUP BY meter, start_s, part HAVING count(*) > 1;

-- doubled: a day of a meter holds more or less than its windows do
SELECT day.meter, day.day_s, day.windows, count(s.start_s), day.load_wh
FROM centre.meter_day AS day LEFT JOIN centre.summary AS s
  ON s.gateway = day.gateway AND s.meter = day.meter AND s.start_s >= day.day_s AND s.start_s < day.day_s + 86400
WHERE NOT EXISTS (SELECT 1 FROM gap_total)
GROUP BY day.gateway, day.meter, day.day_s
HAVING day.windows <> count(s.start_s)
    OR abs(day.load_wh - total(s.active_power_w * s.window_s / 3600.0 * s.coverage)) > 1 + 1e-6 * abs(day.load_wh);

-- reordered: in a stream, a later record tells of an earlier window, and no event says why: clock or salvage
SELECT later.meter, later.start_s, later.seq FROM centre.summary AS later
JOIN centre.summary AS earlier ON earlier.gateway = later.gateway AND earlier.meter = later.meter
 AND earlier.stream = later.stream AND earlier.seq < later.seq AND earlier.start_s > later.start_s
WHERE NOT EXISTS (SELECT 1 FROM centre.event WHERE event IN ('clock_step', 'spool_salvaged'));

-- undeclared_gaps: a number of a stream is missing, and no signed gap record covers it
SELECT gateway, stream, seq + 1 AS first, next - 1 AS last FROM (
    SELECT gateway, stream, seq, lead(seq) OVER (PARTITION BY gateway, stream ORDER BY seq) AS next FROM (
        SELECT gateway, stream, seq FROM centre.record
        UNION SELECT gateway, stream, 0 FROM centre.stream))
AS hole
WHERE next > seq + 1 AND next - 1 - seq > (
    SELECT total(max(0, min(next - 1, g.through_seq) - max(seq + 1, g.from_seq) + 1)) FROM gap_range AS g
    WHERE g.gateway = hole.gateway AND g.stream = hole.stream);

-- unchained: a stream whose chain does not reach its newest record
SELECT gateway, stream, through, highest FROM centre.stream WHERE through < highest;

-- invented: a window of good quality differs from the truth, or was never lived through
SELECT s.meter, s.start_s, s.active_power_w, truth.active_power_w
FROM centre.summary AS s LEFT JOIN truth ON truth.meter = s.meter AND truth.start_s = s.start_s
WHERE s.quality = 'G' AND s.coverage = 1 AND s.part = 0
  AND (truth.active_power_w IS NULL
       OR abs(s.active_power_w - truth.active_power_w) > 10 + 0.01 * abs(truth.active_power_w))
  AND NOT EXISTS (SELECT 1 FROM distrusted AS d WHERE d.meter = s.meter
                  AND d.from_s < s.start_s + s.window_s AND s.start_s < d.until_s);

-- zeroed: a window of whatever quality shows a power of zero where some was consumed
SELECT s.meter, s.start_s, truth.active_power_w
FROM centre.summary AS s JOIN truth ON truth.meter = s.meter AND truth.start_s = s.start_s
WHERE s.active_power_w = 0 AND truth.active_power_w > 100
  AND NOT EXISTS (SELECT 1 FROM distrusted AS d WHERE d.meter = s.meter
                  AND d.from_s < s.start_s + s.window_s AND s.start_s < d.until_s);

-- energy_off: over the windows that are whole, the register's difference is not the sum of the powers
SELECT meter, sum(difference_wh) AS register_wh, sum(power_wh) AS summed_wh FROM (
    SELECT meter, start_s, active_power_w * window_s / 3600.0 AS power_wh,
           active_energy_import_wh - lag(active_energy_import_wh) OVER w AS difference_wh,
           quality = 'G' AND coverage = 1 AND lag(quality) OVER w = 'G' AND lag(coverage) OVER w = 1
           AND start_s - lag(start_s) OVER w = window_s AS whole
    FROM centre.summary AS s
    WHERE part = 0 AND NOT EXISTS (SELECT 1 FROM distrusted AS d WHERE d.meter = s.meter
                      AND d.from_s < s.start_s + s.window_s AND s.start_s < d.until_s)
    WINDOW w AS (PARTITION BY meter ORDER BY start_s))
WHERE whole AND difference_wh IS NOT NULL
GROUP BY meter HAVING abs(register_wh - summed_wh) > 50 + 0.01 * summed_wh;

-- false_alarms: an alarm at a meter that has no mining load behind it
SELECT meter, alarm, state FROM centre.alarm WHERE meter IN (SELECT meter FROM facts WHERE NOT mining);

-- false_kwh: mining energy at a meter that has no mining load behind it
SELECT meter, day_s, mining_wh FROM centre.meter_day
WHERE mining_wh <> 0 AND meter IN (SELECT meter FROM facts WHERE NOT mining);
