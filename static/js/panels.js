// What each chart of console/live/panels.py looks like: its lines in the order of the server's columns.

const rate = (label, color, more) => ({ label, color, banded: true, ...more });
// Latencies, ages and shares exist only when somebody calls: so many seconds without one are drawn through.
const mean = (label, color, more) => ({ label, color, banded: true, sparse: 10, ...more });
const age = (label, color, more) => ({ label, color, sparse: 60, ...more });
const share = (label, color, more) => ({ label, color, sparse: 10, ...more });
const latency = (label, color, p50, p99) => [share(`${label} p50`, color, p50), mean(`${label} p99`, color, p99)];

const DASHED = { dash: [7, 4] };
const DOTTED = { dash: [2, 4] };
const RARE = { sparse: 1_000 }; // deliveries come when a buffer is full
const FILLED = { fill: true };

/** A line without a colour is a figure in the legend. top: the axis ends there. limit: the write limit is drawn. */
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
  "write-latency": { unit: "s", lines: [...latency("PutRecord", "--c1", {}, DOTTED), ...latency("PutRecords", "--c2", DASHED, { dash: [7, 4, 2, 4] })] },
  "read-latency": { unit: "s", lines: latency("GetRecords", "--c1", {}, DOTTED) },
  throttles: { unit: "1/s", lines: [rate("Records refused", "--bad", FILLED), rate("GetRecords calls refused", "--c3", DASHED)] },
  age: { unit: "s", lines: [age("GetRecords", "--c1"), age("Fan-out", "--c2", DASHED)] },
  success: {
    unit: "1", top: 1,
    lines: [share("PutRecord", "--c1"), share("PutRecords", "--c2", DASHED), share("GetRecords", "--c3", DOTTED)],
  },
};

/** Of delivery streams, by the last part of `delivery/<name>/<panel>`. */
export const DELIVERY_PANELS = {
  throughput: {
    unit: "B/s",
    lines: [
      rate("Incoming", "--c1", FILLED), rate("Delivered", "--c2", DASHED),
      rate("Throttled", null, { unit: "records/s" }), age("Oldest record waiting", null, { unit: "s" }),
    ],
  },
  bytes: { unit: "B/s", lines: [rate("Incoming", "--c1", FILLED), rate("Delivered", "--c2", DASHED), rate("Backed up", "--c3", DOTTED)] },
  records: { unit: "records/s", lines: [rate("Incoming", "--c1", FILLED), rate("Delivered", "--c2", DASHED)] },
  freshness: { unit: "s", lines: [age("Oldest record waiting", "--c1"), age("Backup", "--c2", DASHED)] },
  success: {
    unit: "1", top: 1,
    lines: [share("Deliveries", "--c1", RARE), share("Backups", "--c2", { ...DASHED, ...RARE }), share("Transforms", "--c3", { ...DOTTED, ...RARE })],
  },
  latency: { unit: "s", lines: [mean("PutRecord", "--c1"), mean("PutRecordBatch", "--c2", DASHED), mean("Transform", "--c3", DOTTED)] },
  throttles: { unit: "records/s", lines: [rate("Throttled", "--bad", FILLED)] },
  processing: {
    unit: "records/s",
    lines: [rate("Processed", "--c1", FILLED), rate("Converted", "--c2", DASHED), rate("Not converted", "--bad", DOTTED)],
  },
  partitions: { unit: "partitions", lines: [age("Active partitions", "--c1")] },
  objects: { unit: "1/s", lines: [rate("Objects", "--c1", FILLED)] },
  behind: { unit: "s", lines: [age("Behind the stream", "--c1")] },
};

/** The axis reaches so far, or noise would look like mountains. */
export const SMALLEST_TOP = { partitions: 5, "B/s": 1_000, "records/s": 5, "1/s": 1, s: 0.01, 1: 1 };

/** span and res in seconds. */
export const RANGES = {
  "5m": { span: 300, res: 1, words: "5 minutes" },
  "1h": { span: 3_600, res: 10, words: "hour" },
  "6h": { span: 21_600, res: 60, words: "6 hours" },
  "24h": { span: 86_400, res: 300, words: "24 hours" },
  "7d": { span: 604_800, res: 1_800, words: "7 days" },
};
