// What each chart of console/live/panels.py looks like: its lines in the order of the server's columns.

const rate = (label, color, more = {}) => ({ label, color, banded: true, ...more });
// Latencies, ages and shares exist only when somebody calls: so many seconds without one are drawn through.
const mean = (label, color, more = {}) => ({ label, color, banded: true, sparse: 10, ...more });
const age = (label, color, more = {}) => ({ label, color, sparse: 60, ...more });
const share = (label, color, more = {}) => ({ label, color, sparse: 10, ...more });

const DASHED = { dash: [7, 4] };
const DOTTED = { dash: [2, 4] };
const FILLED = { fill: true };

/** A line without a colour is a figure in the legend alone. top: the axis ends there. limit: the write limit is drawn. */
export const PANELS = {
  throughput: {
    unit: "B/s", limit: true,
    lines: [
      rate("Incoming", "--c1", FILLED), rate("Outgoing", "--c2", DASHED),
      rate("Throttled", null, { unit: "records/s" }), age("Iterator age", null, { unit: "s" }),
    ],
  },
  bytes: { unit: "B/s", limit: true, lines: [rate("Incoming", "--c1", FILLED), rate("Outgoing", "--c2", DASHED)] },
  records: { unit: "records/s", lines: [rate("Incoming", "--c1", FILLED), rate("Outgoing", "--c2", DASHED)] },
  "write-latency": { unit: "s", lines: [mean("PutRecord", "--c1"), mean("PutRecords", "--c2", DASHED)] },
  "read-latency": { unit: "s", lines: [mean("GetRecords", "--c1")] },
  throttles: { unit: "1/s", lines: [rate("Records refused", "--bad", FILLED), rate("GetRecords calls refused", "--c3", DASHED)] },
  age: { unit: "s", lines: [age("GetRecords", "--c1"), age("Fan-out", "--c2", DASHED)] },
  success: {
    unit: "1", top: 1,
    lines: [share("PutRecord", "--c1"), share("PutRecords", "--c2", DASHED), share("GetRecords", "--c3", DOTTED)],
  },
};

/** The axis reaches at least so far, or noise would look like mountains. */
export const SMALLEST_TOP = { "B/s": 1_000, "records/s": 5, "1/s": 1, s: 0.01, 1: 1 };

/** span and res in seconds. */
export const RANGES = {
  "5m": { span: 300, res: 1, words: "5 minutes" },
  "1h": { span: 3_600, res: 10, words: "hour" },
  "6h": { span: 21_600, res: 60, words: "6 hours" },
  "24h": { span: 86_400, res: 300, words: "24 hours" },
  "7d": { span: 604_800, res: 1_800, words: "7 days" },
};
