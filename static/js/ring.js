// A fixed number of buckets of a few columns in typed arrays: messages only write here. A bucket's place follows from
// its time, so a late or repeated one lands where it belongs, and what was never written is a hole.

export class Ring {
  constructor(columns, width, capacity) {
    this.width = width;
    this.capacity = capacity;
    this.first = Infinity;
    this.last = -Infinity;
    this.times = new Float64Array(capacity).fill(NaN);
    this.columns = Array.from({ length: columns }, () => new Float64Array(capacity).fill(NaN));
  }

  /** Write columns of values (null: not known) at these times. What is known stays where null is said of it. */
  write(times, data) {
    for (let k = 0; k < times.length; k++) {
      const t = times[k];
      const at = Math.round(t / this.width) % this.capacity;
      const fresh = this.times[at] !== t;
      if (fresh && this.times[at] > t) continue; // older than all that is kept
      this.times[at] = t;
      for (let c = 0; c < this.columns.length; c++) {
        const value = data[c]?.[k];
        if (value !== null && value !== undefined) this.columns[c][at] = value;
        else if (fresh) this.columns[c][at] = NaN;
      }
      if (t > this.last) this.last = t;
      if (t < this.first) this.first = t;
    }
    this.first = Math.max(this.first, this.last - (this.capacity - 1) * this.width);
  }

  /** Arrays for uPlot from one time to another, a bucket each; null where there is a hole. */
  read(from, to, sparse) {
    const start = Math.ceil(Math.max(from, this.first) / this.width) * this.width;
    const end = Math.min(to, this.last);
    const times = [];
    const columns = this.columns.map(() => []);
    for (let t = start; t <= end; t += this.width) {
      const at = Math.round(t / this.width) % this.capacity;
      const known = this.times[at] === t;
      times.push(t);
      for (let c = 0; c < columns.length; c++) {
        const value = known ? this.columns[c][at] : NaN;
        columns[c].push(value === value ? value : null);
      }
    }
    columns.forEach((column, c) => sparse[c] && bridge(column, sparse[c] / this.width));
    return [times, ...columns];
  }

  /** Columns of values at these times, which are starts of buckets: null where nothing is known. */
  at(times) {
    return this.columns.map((column) => times.map((t) => {
      const at = Math.round(t / this.width) % this.capacity;
      const value = this.times[at] === t ? column[at] : NaN;
      return value === value ? value : null;
    }));
  }

  /** The newest value of a column that is not older than so many seconds before the last bucket. */
  newest(column, within) {
    for (let t = this.last; t >= this.last - within && t >= this.first; t -= this.width) {
      const at = Math.round(t / this.width) % this.capacity;
      const value = this.times[at] === t ? this.columns[column][at] : NaN;
      if (value === value) return value;
    }
    return null;
  }
}

/** Latencies and ages exist only when somebody calls: short runs without one are drawn through (undefined), long ones
 *  stay holes (null). */
function bridge(column, most) {
  let last = -1;
  for (let k = 0; k < column.length; k++) {
    if (column[k] === null) continue;
    if (last >= 0 && k - last - 1 <= most) column.fill(undefined, last + 1, k);
    last = k;
  }
}
