// How numbers are written for people; the same rules as console/pages/words.py: units always, three figures at most.

const SIZES = [[2 ** 40, "TiB"], [2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]];

export function figures(value) {
  return value >= 100 || Number.isInteger(value) ? Math.round(value).toLocaleString("en-US") : value.toFixed(1);
}

function sizeParts(bytes) {
  for (const [factor, unit] of SIZES) {
    if (bytes >= factor * 0.9995) return [figures(bytes / factor), unit];
  }
  return [Math.round(bytes).toString(), "B"];
}

function durationParts(seconds) {
  if (seconds < 1) return [seconds * 1000 < 10 && seconds > 0 ? (seconds * 1000).toFixed(1) : (seconds * 1000).toFixed(0), "ms"];
  if (seconds < 60) return [figures(Math.round(seconds * 10) / 10), "s"];
  if (seconds < 3600) return [(seconds / 60).toFixed(0), "min"];
  if (seconds < 172800) return [(seconds / 3600).toFixed(0), "h"];
  return [(seconds / 86400).toFixed(0), "d"];
}

/** [figure, unit] of a value in one of the units of console/live/panels.py. */
export function parts(value, unit) {
  if (unit === "B/s") {
    const [figure, size] = sizeParts(value);
    return [figure, `${size}/s`];
  }
  if (unit === "s") return durationParts(value);
  if (unit === "1") return [(value * 100).toFixed(value >= 0.9995 || value === 0 ? 0 : 1), "%"];
  return [figures(value < 100 ? Math.round(value * 10) / 10 : value), unit === "1/s" ? "/s" : unit];
}

export function words(value, unit) {
  const [figure, word] = parts(value, unit);
  return word === "%" ? `${figure}%` : `${figure} ${word}`;
}

/** A value on an axis: without the word that stands in the heading, and without an idle .0 */
export function tick(value, unit) {
  if (value === 0) return "0";
  const [figure, word] = parts(value, unit);
  const number = figure.replace(/\.0$/, "");
  return word === "%" ? `${number}%` : unit === "B/s" || unit === "s" ? `${number} ${word}` : number;
}

// Times are in the person's zone, as everywhere on the page; in UTC where the browser does not know that zone.
const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
export const zone = known(document.documentElement.dataset.zone ?? "UTC");
const inClock = new Intl.DateTimeFormat("en-GB", { ...CLOCK, timeZone: zone });
const inDays = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: zone });
const named = new Intl.DateTimeFormat("en-GB", { timeZone: zone, timeZoneName: "short" });
export const zoneName = named.formatToParts(Date.now()).find((part) => part.type === "timeZoneName").value;

function known(name) {
  try {
    new Intl.DateTimeFormat("en-GB", { timeZone: name });
    return name;
  } catch {
    return "UTC";
  }
}

export function clock(seconds) {
  return inClock.format(seconds * 1000);
}

export function day(seconds) {
  return inDays.format(seconds * 1000);
}
