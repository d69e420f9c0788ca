// The only module that talks to the server: typed calls, event streams, and what goes wrong with them.
//
// 1. Every failure is a `Failure` with the fields that all faces show: slug, message, where, hint.
// 2. A request that cannot reach the server, or whose answer breaks off, is `server-gone`, one without a session `access` with status 401;
//    whoever listens (`onFailure`) shows the state of the whole studio by that.
// 3. Streams resume: a browser's own reconnection sends `Last-Event-ID`; ours gives the last id anew.

import type { Answers, Bodies, ErrorBody, Queries } from "./api_types";

export type Operation = keyof Answers | keyof Bodies;
type QueryOf<P> = P extends keyof Queries ? Queries[P] : never;
type BodyOf<P> = P extends keyof Bodies ? Bodies[P] : never;
type AnswerOf<P> = P extends keyof Answers ? Answers[P] : undefined;

export interface Options<P> {
  path?: Record<string, string | number>;
  query?: QueryOf<P>;
  body?: BodyOf<P>;
  signal?: AbortSignal;
}

export class Failure extends Error {
  constructor(
    readonly slug: string,
    message: string,
    readonly where: string | null,
    readonly hint: string | null,
    readonly status: number,
  ) {
    super(message);
  }

  static from(error: unknown): Failure {
    if (error instanceof Failure) return error;
    return new Failure("internal", error instanceof Error ? error.message : String(error), null, null, 0);
  }
}

export const GONE = "server-gone";

type Listener = (failure: Failure) => void;
const listeners = new Set<Listener>();

/** Hear of failures that concern the whole studio: the server is gone, or there is no session. */
export function onFailure(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Call an operation by its name in the OpenAPI document: `call("GET /api/runs/{id}", { path: { id } })`. */
export async function call<P extends Operation>(operation: P, options: Options<P> = {}): Promise<AnswerOf<P>> {
  const [method, template] = operation.split(" ") as [string, string];
  const url = urlOf(template, options.path, options.query as Record<string, unknown> | undefined);
  const response = await request(method, url, options.body, options.signal);
  return (response.status === 204 ? undefined : await readWhole(() => response.json(), options.signal)) as AnswerOf<P>;
}

/** Give the bytes of an answer of another type than JSON. */
export async function callForBytes<P extends Operation>(
  operation: P,
  accept: string,
  body: BodyOf<P>,
): Promise<Uint8Array<ArrayBuffer>> {
  const [method, template] = operation.split(" ") as [string, string];
  const response = await request(method, urlOf(template), body, undefined, { accept });
  return new Uint8Array(await readWhole(() => response.arrayBuffer()));
}

/** Give a text that is no JSON: a source file. */
export async function readText(template: string, path: Record<string, string>): Promise<string> {
  const response = await request("GET", urlOf(template, path));
  return readWhole(() => response.text());
}

/** Tell whether the server answers; `silent`: it takes connections, and says nothing for so long. */
export async function lookForServer(patienceMs: number): Promise<"there" | "silent" | "gone"> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), patienceMs);
  try {
    return (await fetch("/health", { cache: "no-store", signal: abort.signal })).ok ? "there" : "gone";
  } catch {
    return abort.signal.aborted ? "silent" : "gone";
  } finally {
    clearTimeout(timer);
  }
}

async function request(
  method: string,
  url: string,
  body?: unknown,
  signal?: AbortSignal,
  headers: Record<string, string> = {},
): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, {
      method,
      headers: method === "GET" ? headers : { ...headers, "content-type": "application/json", "x-wf": "1" },
      ...(method === "GET" ? {} : { body: JSON.stringify(body ?? {}) }),
      ...(signal ? { signal } : {}),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw gone();
  }
  if (response.ok) return response;
  throw tell(await readFailure(response));
}

/** Read an answer that has begun: one that breaks off says that the server went meanwhile. */
async function readWhole<T>(read: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (signal?.aborted || error instanceof SyntaxError) throw error;
    throw gone();
  }
}

function gone(): Failure {
  return tell(new Failure(GONE, "the server does not answer", null, "is `wf dev` still running?", 0));
}

async function readFailure(response: Response): Promise<Failure> {
  let error: Partial<ErrorBody> = {};
  try {
    error = ((await response.json()) as { error?: Partial<ErrorBody> }).error ?? {};
  } catch {
    // No JSON: something between us and the server answered.
  }
  const message = error.message ?? `the server answered with status ${response.status}`;
  return new Failure(error.slug ?? "internal", message, error.where ?? null, error.hint ?? null, response.status);
}

function tell(failure: Failure): Failure {
  if (failure.slug === GONE || failure.status === 401) for (const listener of listeners) listener(failure);
  return failure;
}

export function urlOf(template: string, path: Record<string, string | number> = {}, query: object = {}): string {
  const url = template.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(path[name])));
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === null) continue;
    for (const one of Array.isArray(value) ? value : [value]) search.append(name, String(one));
  }
  const text = search.toString();
  return text ? `${url}?${text}` : url;
}

// -- streams of events

export interface Followed {
  close(): void;
}

export interface Follower {
  kinds: readonly string[];
  onEvent(kind: string, data: unknown, id: string): void;
  onOpen?(): void;
  /** The connection broke; the browser, or we, connect again. */
  onLost?(): void;
  /** The server says that nothing more will come, or that reading failed. */
  onEnd?(failure: Failure | null): void;
}

const AGAIN_MS = 1500;

/** Follow a stream of events until it ends or is closed. It reconnects for ever, and goes on where it was. */
export function follow(url: string, follower: Follower, resume?: (lastId: string) => string): Followed {
  let source: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let lastId: string | null = null;
  let isClosed = false;

  function open(): void {
    const at = lastId !== null && resume ? resume(lastId) : url;
    source = new EventSource(at);
    source.onopen = () => follower.onOpen?.();
    source.onmessage = (event) => take("message", event);
    for (const kind of follower.kinds.filter((one) => one !== "error"))
      source.addEventListener(kind, (event) => take(kind, event as MessageEvent));
    source.addEventListener("end", () => finish(null));
    source.addEventListener("bye", () => again());
    source.addEventListener("error", (event) => {
      if (event instanceof MessageEvent) {
        // The server's own `event: error` has data; the browser's has none.
        if (follower.kinds.includes("error")) return take("error", event);
        const { error } = JSON.parse(event.data as string) as { error: ErrorBody };
        finish(new Failure(error.slug, error.message, error.where, error.hint, 0));
      } else if (source?.readyState === EventSource.CLOSED) {
        again(); // refused outright: the browser gives up, we do not
      } else {
        follower.onLost?.();
      }
    });
  }

  function take(kind: string, event: MessageEvent): void {
    if (event.lastEventId) lastId = event.lastEventId;
    follower.onEvent(kind, JSON.parse(event.data as string), event.lastEventId);
  }

  function again(): void {
    source?.close();
    if (isClosed) return;
    follower.onLost?.();
    clearTimeout(timer);
    timer = setTimeout(open, AGAIN_MS);
  }

  function finish(failure: Failure | null): void {
    close();
    follower.onEnd?.(failure);
  }

  function close(): void {
    isClosed = true;
    clearTimeout(timer);
    source?.close();
  }

  open();
  return { close };
}
