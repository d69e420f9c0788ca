/**
 * Logs of runs that never were, as long as one likes: fan-outs, chains, retries, queues, sleeps, hooks, locks.
 *
 * The same seed gives the same log. Its events keep the rules of docs/event-log.md that a timeline depends on, so that
 * a trace of it can be folded, followed and asked for its critical path like any other.
 */

import type { EventView, Trace } from "../src/api_types";
import { Fold } from "../src/model/timeline_fold";
import { readTrace, showInstantUs, showTrace, type SpanTable } from "../src/model/timeline_spans";

export const BEGAN_US = Date.UTC(2026, 0, 5, 9) * 1000;

/** A small generator of numbers in [0, 1): mulberry32. */
export function makeRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

export function makeEvent(seq: number, type: string, atUs: number, more: Partial<EventView> = {}): EventView {
  const at = showInstantUs(atUs);
  const plain = { correlation_id: null, name: null, attempt: null, meta: {}, payload: null, payload_bytes: 0 };
  return { seq, type, at, is_locked: true, ...plain, ...more };
}

/** A trace of nothing but `run_created`: what a fold begins with. */
export function beginTrace(runId: string, workflow: string, createdUs = BEGAN_US): Trace {
  const at = showInstantUs(createdUs);
  const span = {
    id: "run",
    kind: "run" as const,
    name: workflow,
    status: "pending",
    parent_id: null,
    correlation_id: null,
    seq: 1,
    end_seq: null,
    at,
    ended_at: null,
    start_ms: 0,
    end_ms: null,
    segments: [{ kind: "queued" as const, start_ms: 0, end_ms: null, attempt: null, outcome: null }],
    attempts: 0,
    is_inherited: false,
    due_at: null,
    child_run_id: null,
    error_type: null,
    error_code: null,
  };
  return {
    run_id: runId,
    workflow,
    status: "pending",
    seq: 1,
    at,
    end_ms: null,
    inherited_gap_ms: 0,
    spans: [span],
    markers: [],
  };
}

/** An event of a call that has no number yet; `call` is the same object for all events of one call. */
interface Planned {
  readonly atUs: number;
  readonly type: string;
  readonly call: { id: number };
  readonly more: Partial<EventView>;
}

const STEPS = ["fetch_profile", "render_page", "resize_photo", "charge_card", "send_mail", "embed_text", "rank_results"];

export class SyntheticLog {
  readonly events: EventView[] = [];
  private readonly random: () => number;
  private nowUs = BEGAN_US;
  private calls = 0;

  constructor(
    readonly spans: number,
    seed = 1,
    private readonly isEnded = true,
  ) {
    this.random = makeRandom(seed);
    this.push("run_started", this.nowUs + 3_000);
    while (this.calls < spans) this.makePhase();
    if (this.isEnded) this.push("run_completed", this.nowUs + 500);
  }

  private push(type: string, atUs: number, more: Partial<EventView> = {}): void {
    this.nowUs = Math.max(this.nowUs, Math.round(atUs));
    this.events.push(makeEvent(this.events.length + 2, type, this.nowUs, more));
  }

  private makePhase(): void {
    const fate = this.random();
    const plans: Planned[] = [];
    if (fate < 0.02) this.planWait(plans);
    else if (fate < 0.04) this.planHook(plans);
    else if (fate < 0.08) this.planLock(plans);
    else this.planFan(plans, Math.ceil(this.random() ** 4 * 120));
    plans.sort((left, right) => left.atUs - right.atUs);
    for (const { atUs, type, call, more } of plans) {
      if (call.id === 0) call.id = ++this.calls;
      this.push(type, atUs, { ...more, correlation_id: call.id });
    }
    this.nowUs += Math.round(this.random() * 2_000);
  }

  /** Several chains of one to three steps side by side. */
  private planFan(plans: Planned[], width: number): void {
    for (let chain = 0; chain < width; chain++) {
      let atUs = this.nowUs;
      const length = 1 + Math.floor(this.random() * 3);
      for (let link = 0; link < length; link++) atUs = this.planStep(plans, atUs, chain > 16);
    }
  }

  private planStep(plans: Planned[], atUs: number, isQueued: boolean): number {
    const call = { id: 0 };
    const name = `shop.site:${STEPS[Math.floor(this.random() ** 2 * STEPS.length)]}`;
    const add = (type: string, at: number, attempt: number, meta: Record<string, unknown> = {}): void => {
      plans.push({ atUs: at, type, call, more: { name, attempt, meta } });
    };
    add("step_created", atUs, isQueued ? 0 : 1);
    let at = atUs;
    if (isQueued) {
      at += Math.round(this.random() * 40_000);
      add("step_started", at, 1);
    }
    for (let attempt = 1; ; attempt++) {
      at += Math.round(200 + this.random() ** 5 * 400_000);
      if (attempt > 3 || this.random() > 0.04) break;
      const dueUs = at + 50_000 * 2 ** attempt;
      add("step_retrying", at, attempt, { due_at: dueUs, error_type: "shop.site.ServiceBusy" });
      at = dueUs + Math.round(this.random() * 3_000);
      add("step_started", at, attempt + 1);
    }
    const isFailed = this.random() < 0.004;
    add(isFailed ? "step_failed" : "step_completed", at, 1, isFailed ? { error_type: "shop.site.Declined" } : {});
    return at;
  }

  private planWait(plans: Planned[]): void {
    const call = { id: 0 };
    const dueUs = this.nowUs + Math.round(this.random() ** 6 * 7_200_000_000) + 100_000;
    plans.push({ atUs: this.nowUs, type: "wait_created", call, more: { meta: { kind: "sleep", due_at: dueUs } } });
    plans.push({ atUs: dueUs, type: "wait_completed", call, more: {} });
  }

  private planHook(plans: Planned[]): void {
    const call = { id: 0 };
    const atUs = this.nowUs + Math.round(this.random() ** 6 * 86_400_000_000) + 100_000;
    plans.push({ atUs: this.nowUs, type: "hook_created", call, more: { name: "shop.site:Approval" } });
    plans.push({ atUs, type: "hook_received", call, more: {} });
    plans.push({ atUs: atUs + 10, type: "hook_disposed", call, more: {} });
  }

  private planLock(plans: Planned[]): void {
    const call = { id: 0 };
    const heldUs = this.nowUs + Math.round(this.random() * 30_000);
    plans.push({ atUs: this.nowUs, type: "lock_requested", call, more: { name: "lock:stock", meta: { limit: 1 } } });
    plans.push({ atUs: heldUs, type: "lock_acquired", call, more: { name: "lock:stock" } });
    const endUs = this.planStep(plans, heldUs + 10, false);
    plans.push({ atUs: endUs + 20, type: "lock_released", call, more: {} });
  }
}

/** Fold a log from its beginning. */
export function foldLog(log: SyntheticLog, runId = "wrun_synthetic"): SpanTable {
  const table = readTrace(beginTrace(runId, "shop.site:build"));
  const fold = new Fold(table);
  for (const event of log.events) fold.add(event);
  return table;
}

export function makeSyntheticTrace(spans: number, seed = 1, isEnded = true): Trace {
  return showTrace(foldLog(new SyntheticLog(spans, seed, isEnded)));
}
