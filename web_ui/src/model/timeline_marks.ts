/**
 * A run's markers as columns: when each is, and at which span. Made when they are first read, and read on as more come.
 *
 * A run whose steps log has as many markers as it has spans, and most of them are looked at for every picture.
 */

import type { Marker } from "../api_types";
import type { SpanTable } from "./timeline_spans";

export class Marks {
  /** In the order of the table's markers; only the first `count` are read. */
  atMs = new Float64Array(0);
  /** The row of the marker's span in the table, or `NONE`. */
  spans = new Int32Array(0);
  count = 0;
  private of: readonly Marker[] = [];

  constructor(private readonly table: SpanTable) {}

  /** Bring it up to date. Cheap when there is nothing new. */
  read(): this {
    const { markers } = this.table;
    if (markers !== this.of || markers.length < this.count) this.count = 0;
    this.of = markers;
    if (markers.length > this.atMs.length) this.grow(Math.max(64, markers.length, this.atMs.length * 2));
    for (; this.count < markers.length; this.count++) {
      const { at_ms: atMs, span_id: spanId } = markers[this.count]!;
      this.atMs[this.count] = atMs;
      this.spans[this.count] = this.table.findId(spanId);
    }
    return this;
  }

  private grow(size: number): void {
    const atMs = new Float64Array(size);
    const spans = new Int32Array(size);
    atMs.set(this.atMs);
    spans.set(this.spans);
    this.atMs = atMs;
    this.spans = spans;
  }
}
