// Made by `python -m tests.api_types` from the server's OpenAPI document. Do not edit.

/** One attempt of a step. Status: `running`, `completed`, `failed`, `cancelled`, `lost` (its process was killed). */
export interface AttemptView {
  number: number;
  status: string;
  started_at: string;
  ended_at: string | null;
  duration_ms: number | null;
  error: ErrorView | null;
}

/** Why a run rests although it has not ended. `recorded`, `actual`, `where` are text. */
export interface Attention {
  code: "BLOCKED" | "DEAD_LETTER" | "DECRYPTION" | "NONDETERMINISM" | "NOT_REGISTERED";
  message: string;
  seq: number | null;
  recorded: string | null;
  actual: string | null;
  where: string | null;
}

/** Why a run rests although it has not ended: its code is missing, differs from the log, or its key is. */
export interface AttentionView {
  code: string;
  message: string;
  seq: number | null;
  recorded: string | null;
  actual: string | null;
  where: string | null;
}

/** What a task waits for. Kind: `step`, `sleep`, `hook`, `lock`, `child`, `task`, or `asyncio` (a queue, an event, a group of tasks). `text` says it in words; `tasks` are numbers of tasks; `due_at` is when a sleep, or else the timeout around the wait, is over. */
export interface AwaitView {
  kind: string;
  text: string;
  name: string | null;
  correlation_id: number | null;
  due_at: string | null;
  tasks: number[];
}

/** `force` ends the run at once, without any clean-up of its body. */
export interface CancelBody {
  reason?: string | null;
  force?: boolean;
}

/** One difference of two JSON values. `path` reads like Python (`result.lines[3].price`). Kind: `added` (there is no `before`), `removed` (no `after`), `changed`, or `retyped`: the same JSON of another type. */
export interface ChangeView {
  path: string;
  kind: "added" | "changed" | "removed" | "retyped";
  before: unknown;
  after: unknown;
}

/** What a check came to, for faces. `workflows` are the ids of those that were checked, `codes` how often each rule was broken. `replay` are the verdicts on runs in flight, null where none were asked for. `deployment_id` names the code, null where it is the disk's. */
export interface CheckView {
  deployment_id: string | null;
  errors: number;
  warnings: number;
  codes: Record<string, number>;
  findings: Finding[];
  workflows: string[];
  files: number;
  replay: ReplayList | null;
}

/** `next_index` goes on after these; `is_closed` says that nothing comes after them. */
export interface ChunkPage {
  items: ChunkView[];
  next_index: number;
  is_closed: boolean;
}

export interface ChunkView {
  index: number;
  at: string;
  value: unknown;
  is_locked: boolean;
}

/** How many faults were taken back. */
export interface Cleared {
  cleared: number;
}

/** `codes` are one or two: `today` (the files on the disk), `latest`, `own`, or ids of deployments. */
export interface CodeDiffBody {
  codes: string[];
}

/** One run replayed against one code, or two. `is_same`: each makes exactly the calls that are recorded. `first` is the place in `codes` of the one that parts from the log first. `files` are those that differ between the two codes, or between the run's own and the one that was named; of code that is not kept nothing is known. */
export interface CodeDiffView {
  run_id: string;
  workflow: string;
  codes: ReplayView[];
  is_same: boolean;
  first: number | null;
  files: string[];
}

export interface Column {
  name: string;
  type: string;
}

export interface ColumnDoc {
  name: string;
  type: string;
  doc: string;
}

export interface DeploymentList {
  items: DeploymentView[];
}

/** A snapshot of the code. `files` maps paths to the SHA-256 (hex) of their contents. `used_at` is null where no worker of this world ever loaded it: it came with a run that was imported. */
export interface DeploymentView {
  id: string;
  created_at: string;
  used_at: string | null;
  files: Record<string, string>;
  workflows: string[];
}

/** A call, side by side. `occurrence` counts the calls of its kind and name, from 1. State: `same`, `changed`, `only_a`, `only_b`. `input` and `output` are where their values differ (an error is an output, too), `more_changes` how many places are not shown. `delta_ms` is how much longer `b` took. */
export interface DiffCallView {
  kind: string;
  name: string;
  occurrence: number;
  state: "changed" | "only_a" | "only_b" | "same";
  a: DiffSideView | null;
  b: DiffSideView | null;
  input: ChangeView[];
  output: ChangeView[];
  more_changes: number;
  delta_ms: number | null;
}

/** One of the two runs. `error` is how it failed. */
export interface DiffRunView {
  id: string;
  workflow: string;
  status: string;
  deployment_id: string | null;
  duration_ms: number | null;
  events: number;
  forked_from: string | null;
  error: ErrorView | null;
}

/** A call in one of the runs. `seq` and `end_seq` are the events that begin and end it; `running_ms` is what its attempts took, `duration_ms` all of it, with waiting in queues and between attempts. */
export interface DiffSideView {
  correlation_id: number;
  seq: number;
  end_seq: number | null;
  status: string;
  attempts: number;
  duration_ms: number | null;
  running_ms: number | null;
  error: ErrorView | null;
}

/** Two runs side by side. `is_same`: they differ in nothing but times, ids and drawn tokens. `divergence` is the first difference, in the order of their logs. `input`, `output` and `attributes` are those of the runs. `calls` are all calls in order, or only those that differ; of more than the limit `more_calls` are left out. Where payloads cannot be opened (`is_locked`) only what is clear is compared. */
export interface DiffView {
  a: DiffRunView;
  b: DiffRunView;
  is_same: boolean;
  divergence: DivergenceView | null;
  input: ChangeView[];
  output: ChangeView[];
  attributes: ChangeView[];
  more_changes: number;
  calls: DiffCallView[];
  same_calls: number;
  changed_calls: number;
  only_a: number;
  only_b: number;
  more_calls: number;
  delta_ms: number | null;
  is_locked: boolean;
}

/** Where two runs part: at which event of each, and at which call. What: `workflow`, `input`, `output`, `status` (it ended otherwise), `call` (only one makes it), `end` (of the run). `text` says it in words. */
export interface DivergenceView {
  what: "call" | "end" | "input" | "output" | "status" | "workflow";
  text: string;
  name: string | null;
  seq_a: number | null;
  seq_b: number | null;
  correlation_id_a: number | null;
  correlation_id_b: number | null;
}

/** `result` says what was done. */
export interface Done {
  result: Record<string, unknown>;
}

/** What a fork heard otherwise: `input`, `output`, `error` or `payload`; of which call, but for the input. */
export interface EditView {
  what: string;
  correlation_id: number | null;
  name: string | null;
}

/** What a step that was tried asked of wf, and what did not happen. Kind: `chunk`, `close` (of a stream), `attributes`, `start` (of a run), `message` (to a run: cancel, terminate, wake), or `refused`: it would have needed an answer of the world, and got an error. `text` says it in words, `data` what was asked for. */
export interface EffectView {
  kind: string;
  text: string;
  data: unknown;
}

export interface EmptyBody {
}

/** How the body had ended: `returned` a `value`, `raised` an `error` in `frames`, was `cancelled`, or was `forced` to end from outside. */
export interface EndView {
  kind: "cancelled" | "forced" | "raised" | "returned";
  value: ValueView | null;
  error: string | null;
  frames: FrameView[];
}

export interface ErrorAnswer {
  error: ErrorBody;
}

/** `slug` has a page docs/errors/<slug>.md; `where` is `file:line in function`; `hint` is the cure. */
export interface ErrorBody {
  slug: string;
  message: string;
  where: string | null;
  hint: string | null;
}

/** An exception as people write it: `type` is a name like `ValueError` or `shop.Declined`. */
export interface ErrorText {
  type: string;
  message: string;
}

/** An exception as recorded. `code` is a failed run's: `USER_ERROR`, `TIMEOUT`, `LIMIT_EXCEEDED`, `RUNTIME_ERROR`. Of a locked view only `type` and `code` are known. */
export interface ErrorView {
  type: string | null;
  message: string | null;
  code: string | null;
  traceback: string | null;
  cause: ErrorView | null;
}

export interface EventPage {
  items: EventView[];
  cursor: string | null;
}

export interface EventView {
  seq: number;
  type: string;
  correlation_id: number | null;
  name: string | null;
  attempt: number | null;
  at: string;
  meta: Record<string, unknown>;
  payload: unknown;
  payload_bytes: number;
  is_locked: boolean;
}

/** `action` is `fail`, `fail=Type: message`, `delay=2s`, `crash`, or `twice` (a payload is delivered twice). Steps are those of `run`, or of all runs of `workflow`; `step`, `attempt` and `hook` narrow it. Of all that would be struck `probability` are, which of them is fixed by `seed`. */
export interface FaultBody {
  action: string;
  run?: string | null;
  workflow?: string | null;
  step?: string | null;
  hook?: string | null;
  attempt?: number | null;
  probability?: number;
  seed?: number;
}

export interface FaultList {
  items: FaultRule[];
}

/** A rule. It strikes attempts of `run`, or of runs of `workflow`; only of `step`, only the `attempt`th. Actions: `fail` raises `error` with `message`, `delay` waits for `delay_ms` first, `crash` kills the worker process, `twice` delivers a payload of `hook` (of any, if none is named) twice. `probability` is how often, and `seed` which of them. Workflows and steps go by their ids or short names; a step also by its number, a hook by its token, name or number. */
export interface FaultRule {
  id: string;
  action: "crash" | "delay" | "fail" | "twice";
  run: string | null;
  workflow: string | null;
  step: string | null;
  hook: string | null;
  attempt: number | null;
  probability: number;
  seed: number;
  error: string | null;
  message: string | null;
  delay_ms: number | null;
}

/** `path` is relative to the project's root, or absolute where it is not in it. */
export interface FileView {
  path: string;
  text: string;
}

/** One thing that is wrong at one place. `where` is `function` of the file, with the calls that lead there from a workflow: `in price, called by flow:order`. `workflows` are the ids of all workflows whose runs it concerns. */
export interface Finding {
  code: string;
  severity: "error" | "warning";
  message: string;
  why: string;
  fix: string;
  more: string;
  file: string;
  line: number;
  column: number;
  where: string | null;
  workflows: string[];
}

/** What is wrong with a workflow. Either a rule of `wf check` is broken: `code` is the rule's (`WF101`), and `file`, `line` and `column` say where. Or `wf dev` found it by replaying the run `run_id`, which had ended: `NONDETERMINISM`. `severity` is `error` or `warning`, `more` the rule's page, `where` a text: `in price, called by flow:order`. */
export interface FindingView {
  code: string;
  message: string;
  where: string | null;
  run_id: string | null;
  severity: string;
  why: string | null;
  fix: string | null;
  more: string | null;
  file: string | null;
  line: number | null;
  column: number | null;
}

/** Steps, children and hooks are named by their names, `name#2` for the second call, or by their numbers. `from` is the seq of an event, or a step, which is then run again. `set` and `raise` say what steps and children came to instead (an exception as `"Type: message"`, or in parts), `payload` what hooks were sent, `input` the arguments, by name or in order. With `keep_tokens` the fork takes the run's place. */
export interface ForkBody {
  from?: number | string | null;
  set?: Record<string, unknown>;
  raise?: Record<string, string | ErrorText>;
  payload?: Record<string, unknown>;
  input?: Record<string, unknown> | unknown[] | null;
  id?: string | null;
  attributes?: Record<string, string>;
  deployment?: string | null;
  keep_tokens?: boolean;
}

/** Where a fork comes from: it shares the log of `run_id` up to the event `seq`, but for the `edits`. One that `is_beside` that run has hooks with tokens of its own; else it took its place. */
export interface ForkView {
  run_id: string;
  seq: number;
  is_beside: boolean;
  edits: EditView[];
}

/** A fork that was just made. `notes` say in words where it was cut, which code it has, and what else is new. */
export interface ForkedView {
  run: RunView;
  notes: string[];
}

/** A frame of the user's. `file` is relative to the project where it is in it; `source` are the lines of its function, thirty before and after `line` at most, as the code that was replayed has them. `gone` are variables that it has no more. */
export interface FrameView {
  file: string;
  line: number;
  function: string;
  source: LineView[];
  locals: LocalView[];
  gone: string[];
  more_locals: number;
}

export interface FunctionDoc {
  name: string;
  signature: string;
  doc: string;
}

export interface Health {
  status: "ok";
  version: string;
}

export interface HookList {
  items: HookView[];
}

/** A live hook. Kind: `hook` or `webhook`. `path` is where a webhook's requests go. */
export interface HookView {
  token: string | null;
  run_id: string;
  correlation_id: number;
  kind: string;
  name: string | null;
  created_at: string;
  metadata: unknown;
  schema: Record<string, unknown> | null;
  path: string | null;
  is_locked: boolean;
}

/** What an import did. Kind: `bundle`, `redacted` or `vercel`; `deployments` counts those that were new. */
export interface ImportView {
  source: string;
  kind: string;
  items: ImportedView[];
  deployments: number;
  problems: ProblemView[];
}

/** A run of what was imported. Outcome: `imported`, `present` (the world has a run of this id, which stays as it is), or with a dry run `new`. */
export interface ImportedView {
  id: string;
  workflow: string;
  status: string;
  events: number;
  outcome: "imported" | "new" | "present";
}

/** A part of a value: `key` is an index, a key's text, or a field's name. */
export interface ItemView {
  key: string;
  value: ValueView;
}

/** `code` opens one browser: it goes behind the studio's address, as `/#code=…`, and is good once. */
export interface LaunchCode {
  code: string;
  expires_in_ms: number;
}

export interface LineView {
  number: number;
  text: string;
}

/** A local variable. `change`: `new` or `changed` since the delivery before; null: it is as it was. */
export interface LocalView {
  name: string;
  value: ValueView;
  change: "changed" | "new" | null;
}

export interface LogPage {
  items: LogView[];
  cursor: string | null;
}

/** A line that an attempt printed or logged. `source` is `stdout`, `stderr` or `logging:<LEVEL>`. `position` names the line: reading on begins behind it. */
export interface LogView {
  position: string;
  at: string;
  run_id: string;
  correlation_id: number;
  attempt: number;
  source: string;
  text: string;
}

/** A marker of a trace that no event stands for: `log` (a batch of lines), `stream_opened`, `stream_closed`. */
export interface MarkView {
  kind: "log" | "stream_closed" | "stream_opened";
  at: string;
  correlation_id: number | null;
  data: Record<string, unknown>;
}

/** An instant of interest. `span_id` is where it belongs. Kinds: `attributes` (data: what was `set`), `cancel_requested`, `timeout` (the run's), `payload` (a hook's), `fault` (one that was injected; data: `text`), `log` (data: `attempt`), `stream_opened`, `stream_closed` (data: `name`). */
export interface Marker {
  kind: string;
  span_id: string;
  at: string;
  at_ms: number;
  seq: number | null;
  data: Record<string, unknown>;
}

/** What a trace has that no event tells: markers, and which waits are still wanted of those until `seq`. */
export interface MarksView {
  seq: number;
  items: MarkView[];
  pending_waits: number[];
}

/** The event that the moment is at. `where` is where the body made this call: `file:line in function`. */
export interface MomentEventView {
  seq: number;
  type: string;
  at: string;
  correlation_id: number | null;
  name: string | null;
  attempt: number | null;
  where: string | null;
}

/** A run as it was right after an event. Calls that the body makes are events, too, but they do not move it: it stands where the delivery `delivered_seq` brought it, and changes are those since the delivery before that, `before_seq`. `events` are those of the log, `reached_seq` the last that the code follows: a moment after it is given as that one, with `trouble`. `now` is what `wf.now()` gives. `deployment_id` is the code that was replayed; `is_own`: it is the run's own. `is_plain`: no `__repr__` of the user's was called, since one never came back. */
export interface MomentView {
  run_id: string;
  workflow: string;
  status: string;
  deployment_id: string | null;
  is_own: boolean;
  seq: number;
  events: number;
  reached_seq: number;
  event: MomentEventView;
  delivered_seq: number | null;
  before_seq: number | null;
  now: string | null;
  has_begun: boolean;
  tasks: TaskView[];
  more_tasks: number;
  open_calls: OpenCallView[];
  more_calls: number;
  attributes: Record<string, string>;
  end: EndView | null;
  trouble: TroubleView | null;
  is_plain: boolean;
}

/** `frame` is the user's line with those around it, as text; `traceback` begins at the user's frames. */
export interface NotLoaded {
  type: "not_loaded";
  slug: string;
  message: string;
  where: string | null;
  hint: string | null;
  traceback: string | null;
  frame: string | null;
}

/** `file` is given from the project's root, or whole. */
export interface OpenBody {
  file: string;
  line?: number;
  column?: number;
}

/** A call that has no result yet. Kind: `step`, `operation` (a step of wf's own), `sleep`, `deadline`, `hook`, `lock`, `child`, `watch`. Status: of a step `queued`, `running`, `retrying`; of a hook `waiting`, or `received` with `payloads` that nobody took yet; of a lock `queued` or `held`; else `waiting`. `input` are a step's arguments. */
export interface OpenCallView {
  correlation_id: number;
  kind: string;
  name: string | null;
  status: string;
  attempt: number | null;
  due_at: string | null;
  token: string | null;
  payloads: number | null;
  run_id: string | null;
  input: Record<string, unknown> | null;
}

/** `editor` is what was started. */
export interface Opened {
  editor: string;
}

/** How an attempt ended. Kind: `returned` (a `value`), `raised` (an `error`), `timed_out`, or `none`: it has no end yet. */
export interface OutcomeView {
  kind: "none" | "raised" | "returned" | "timed_out";
  value: unknown;
  error: ErrorView | null;
}

/** Kind: `positional`, `keyword`, `args`, `kwargs`. `default` is its text, for people. */
export interface ParameterView {
  name: string;
  kind: string;
  is_required: boolean;
  schema: Record<string, unknown>;
  default: string | null;
}

/** A line that the attempt printed or logged. `source` is `stdout`, `stderr` or `logging:<LEVEL>`. */
export interface PrintedView {
  at: string;
  source: string;
  text: string;
}

/** What could not be read of what was imported. `where` is the file. */
export interface ProblemView {
  where: string;
  message: string;
}

/** A query that reads. `parameters` go for `$name`; with an `id` it can be cancelled. */
export interface QueryBody {
  sql: string;
  parameters?: Record<string, string | number | boolean | null>;
  limit?: number;
  timeout_seconds?: number;
  locked?: boolean;
  id?: string | null;
}

/** `rows` hold the values in order of `columns`. `is_capped`: there were more. `error`: it failed under way. */
export interface QueryResult {
  columns: Column[];
  rows: unknown[][];
  row_count: number | null;
  is_capped: boolean | null;
  elapsed_ms: number | null;
  error: ErrorBody | null;
}

/** What a reload came to. `files` are the saved ones, relative; `moved` runs that went to new code. */
export interface Reload {
  outcome: "loaded" | "not_loaded" | "unchanged";
  files: string[];
  deployment_id: string | null;
  workflows: number;
  load_ms: number;
  whole_ms: number;
  clean: number;
  diverging: Verdict[];
  error: NotLoaded | null;
  is_mended: boolean;
}

export interface RemedyBody {
  action: string;
}

export interface ReplayBody {
  deployment?: string;
}

/** Verdicts on several runs, with how many there are of each. */
export interface ReplayList {
  items: ReplayView[];
  clean: number;
  extends: number;
  diverges: number;
  cannot_load: number;
}

/** What replaying a run's log against some code came to. - `clean`: the code makes exactly the calls that the log recorded, and stands where the log ends. - `extends`: it makes all that are recorded, and goes on where the log ends. A run that has ended would have done more; one in flight cannot be moved to this code. - `diverges`: it makes another call, or none, where event `seq` recorded one. - `cannot_load`: there is no verdict. The code does not load, has no such workflow or died; or the log cannot be read. `recorded` and `actual` name both calls, `where` is `file:line in function`, the file relative to the project where it is in it. `code` says why it is not clean: `NONDETERMINISM`, `NOT_REGISTERED`, `DECRYPTION`, `LOAD`, `BENCH` (its process died) or `IMPORTED` (its log cannot be replayed). `deployment_id` names the code; null where it did not load. `events` is the length of the log. */
export interface ReplayView {
  run_id: string;
  workflow: string;
  status: string;
  outcome: "cannot_load" | "clean" | "diverges" | "extends";
  deployment_id: string | null;
  events: number;
  seq: number | null;
  recorded: string | null;
  actual: string | null;
  where: string | null;
  code: string | null;
  message: string | null;
  hint: string | null;
}

export interface ReplaysBody {
  runs?: string;
  deployment?: string;
}

/** The same `delivery_id` delivers once, however often it is sent. */
export interface ResumeBody {
  payload: unknown;
  delivery_id?: string | null;
}

/** A page of runs. `cursor` asks for the next one; null: there is none. */
export interface RunList {
  items: RunView[];
  cursor: string | null;
}

/** A run. `reason` says why it rests, null where it has ended or works. `origin` says where it came from that did not run here, and can only be read: `bundle:…`, `redacted:…`, `vercel:…`. `duration_ms` goes from its start to its end, or until now; `queued_ms` from its creation to its start, or until now. In lists, `input`, `output`, `fork` and the texts of `error` are not read: null; its `type` and `code` are there. */
export interface RunView {
  id: string;
  workflow: string;
  status: string;
  reason: string | null;
  deployment_id: string | null;
  created_at: string;
  started_at: string | null;
  ended_at: string | null;
  duration_ms: number | null;
  queued_ms: number;
  attributes: Record<string, string>;
  parent_run_id: string | null;
  continued_from: string | null;
  continued_as: string | null;
  forked_from: string | null;
  error: ErrorView | null;
  attention: AttentionView | null;
  input: Record<string, unknown> | null;
  output: unknown;
  events: number;
  payload_bytes: number;
  is_locked: boolean;
  origin: string | null;
  fork: ForkView | null;
}

/** `replace` allows it to take the place of one of this name. */
export interface SaveBody {
  name: string;
  sql: string;
  replace?: boolean;
}

export interface SavedQueries {
  items: SavedQuery[];
}

/** A query with a name. `doc` is its leading comment; `origin` is whose it is. */
export interface SavedQuery {
  name: string;
  doc: string;
  sql: string;
  origin: "project" | "wf";
}

/** What SQL is written against. DuckDB's own functions are there besides. */
export interface SchemaDoc {
  tables: TableDoc[];
  functions: FunctionDoc[];
}

/** A stretch of a span in one state. `attempt` and `outcome` are of a step's `running`. `outcome`: `completed`, `failed`, `cancelled`, `lost` (its process was killed), `abandoned`. */
export interface Segment {
  kind: "held" | "open" | "queued" | "retry_wait" | "running" | "waiting";
  start_ms: number;
  end_ms: number | null;
  attempt: number | null;
  outcome: string | null;
}

export interface SessionBody {
  code: string;
}

/** One call, or the run. `seq` and `end_seq` are the events that begin and end it. What `is_inherited` began in the run that this one was forked from. Status, by kind: run `pending running completed failed cancelled`; step and operation `queued running retrying completed failed cancelled`; sleep and deadline `waiting completed`; hook `waiting received disposed conflict`; lock `queued held released`; child and watch `running completed failed cancelled`. Any of the calls may be `abandoned`. */
export interface Span {
  id: string;
  kind: "child" | "deadline" | "hook" | "lock" | "operation" | "run" | "sleep" | "step" | "watch";
  name: string;
  status: string;
  parent_id: string | null;
  correlation_id: number | null;
  seq: number;
  end_seq: number | null;
  at: string;
  ended_at: string | null;
  start_ms: number;
  end_ms: number | null;
  segments: Segment[];
  attempts: number;
  is_inherited: boolean;
  due_at: string | null;
  child_run_id: string | null;
  error_type: string | null;
  error_code: string | null;
}

/** Arguments go by place (`args`), by name (`kwargs`), or both. With an `id` a start may be repeated. */
export interface StartBody {
  workflow: string;
  args?: unknown[];
  kwargs?: Record<string, unknown>;
  id?: string | null;
  attributes?: Record<string, string>;
  deployment?: string | null;
  delay?: number | string | null;
}

/** Of the newest runs (200 at most): how many there are, are in flight, and failed, and how long those took that completed, from their start. None where none did. */
export interface StatsView {
  runs: number;
  in_flight: number;
  failed: number;
  failure_rate: number | null;
  p50_ms: number | null;
  p95_ms: number | null;
}

/** `status` is what the dev server says of itself. */
export interface Status {
  status: Record<string, unknown>;
}

export interface StepPage {
  items: StepView[];
  cursor: string | null;
}

/** `input` replaces arguments by name; those that it leaves out keep their recorded value. */
export interface StepReplayBody {
  input?: Record<string, unknown>;
  attempt?: number | null;
  deployment?: string;
  timeout?: number;
}

/** A step that was carried out once more, beside its run: nothing of it is recorded. `outcome`: `same` as recorded, `differs` (`changes` say where), `timed_out`, or `unrecorded`: the recorded attempt has no end to compare with. `attempt` is the recorded attempt that it repeats. `is_edited`: its `input` is not the recorded one. `effects` are what it would have done to its run and to others. */
export interface StepReplayView {
  id: string;
  run_id: string;
  correlation_id: number;
  name: string;
  attempt: number;
  deployment_id: string | null;
  outcome: "differs" | "same" | "timed_out" | "unrecorded";
  is_edited: boolean;
  input: Record<string, unknown>;
  recorded: OutcomeView;
  actual: OutcomeView;
  changes: ChangeView[];
  more_changes: number;
  duration_ms: number;
  logs: PrintedView[];
  effects: EffectView[];
}

/** A step. Status: `queued`, `running`, `retrying`, `completed`, `failed`, `cancelled`, `abandoned` (the run ended first). `id` is the same for every attempt, as `get_step_metadata().step_id` gives it. */
export interface StepView {
  id: string;
  run_id: string;
  correlation_id: number;
  name: string;
  status: string;
  created_at: string;
  started_at: string | null;
  ended_at: string | null;
  duration_ms: number | null;
  queued_ms: number | null;
  attempts: AttemptView[];
  due_at: string | null;
  input: Record<string, unknown> | null;
  output: unknown;
  error: ErrorView | null;
  is_locked: boolean;
}

/** `files` are those of the world, largest first; none where it is not on this disk. `free_bytes` is the disk's. */
export interface StorageView {
  world: string;
  files: WorldFileView[];
  free_bytes: number | null;
}

export interface StreamList {
  items: StreamView[];
}

/** A stream. `tail_index` is the index of its last chunk, −1 when there is none. */
export interface StreamView {
  run_id: string;
  name: string;
  tail_index: number;
  is_closed: boolean;
}

export interface TableDoc {
  name: string;
  doc: string;
  columns: ColumnDoc[];
}

/** A coroutine that has not ended. `frames` go inwards: the last one is where it stands. One that is only a call (`gather(step(), …)`) has none. */
export interface TaskView {
  number: number;
  name: string;
  is_new: boolean;
  frames: FrameView[];
  awaits: AwaitView | null;
}

/** What a run was made into: a test and the history that it replays. `calls` are those of the body, `steps` the numbers of those that have a test of their own, `notes` what should be known about it. */
export interface TestFilesView {
  run_id: string;
  workflow: string;
  calls: string[];
  steps: number[];
  test: FileView;
  history: FileView;
  is_redacted: boolean;
  notes: string[];
}

/** `spans` begin with the run's, then in order of their calls. `seq` is the last event that is in it. */
export interface Trace {
  run_id: string;
  workflow: string;
  status: string;
  seq: number;
  at: string;
  end_ms: number | null;
  inherited_gap_ms: number;
  spans: Span[];
  markers: Marker[];
}

/** Why the code cannot follow the log any further, or goes on beyond it (`is_extension`). */
export interface TroubleView {
  code: string;
  message: string;
  seq: number | null;
  recorded: string | null;
  actual: string | null;
  where: string | null;
  is_extension: boolean;
}

/** A value. `type` is its class, `text` a line that stands for it, `size` how many items, characters or bytes it has. `items` are its parts, as far as they are shown: `is_cut` says that there are more, or more of the text. `problem` says why its own `__repr__` gave no text. */
export interface ValueView {
  type: string;
  text: string;
  size: number | null;
  items: ItemView[];
  is_cut: boolean;
  problem: string | null;
}

/** `clean`: it goes on. `diverges`: it does not, and `trouble` says where and why. With `is_extension` everything that is recorded fits, and the code goes on where the log ends. A run in flight cannot be moved to such code either: what its body asks for there was never committed. */
export interface Verdict {
  run_id: string;
  workflow: string;
  outcome: "clean" | "diverges";
  trouble: Attention | null;
  is_extension: boolean;
}

/** A pending wait. Kind: `sleep`, `deadline` (of a timeout), `retry` (of a step), `run` (the run's timeout). */
export interface WaitView {
  run_id: string;
  correlation_id: number;
  kind: string;
  due_at: string;
}

/** How many sleeps were ended. */
export interface Woken {
  woken: number;
}

export interface WorkflowList {
  items: WorkflowView[];
}

/** A workflow of the newest deployment. `schema` describes the arguments by name, as one object. `stats` are None where they were not asked for; `findings` are those of the code that is loaded. */
export interface WorkflowView {
  id: string;
  name: string;
  doc: string | null;
  file: string;
  line: number;
  parameters: ParameterView[];
  schema: Record<string, unknown>;
  returns: Record<string, unknown> | null;
  timeout_ms: number | null;
  concurrency: number | null;
  deployment_id: string;
  stats: StatsView | null;
  findings: FindingView[];
}

export interface WorldFileView {
  name: string;
  kind: "log" | "mirror" | "other" | "world";
  bytes: number;
}

export interface Queries {
  "GET /api/check": { deployment?: string };
  "GET /api/diff": { a?: string; b?: string; all?: boolean; locked?: boolean };
  "GET /api/export": { run?: string[]; redact?: boolean; children?: boolean; status?: string[]; workflow?: string; attr?: string[]; since?: string; until?: string };
  "GET /api/hooks": { run?: string; locked?: boolean };
  "POST /api/import": { name?: string; dry_run?: boolean };
  "GET /api/live": { last_id?: number };
  "GET /api/runs": { status?: string[]; workflow?: string; attr?: string[]; since?: string; until?: string; limit?: number; cursor?: string };
  "GET /api/runs/{id}": { locked?: boolean; max_bytes?: number };
  "GET /api/runs/{id}/at/{seq}": { deployment?: string };
  "GET /api/runs/{id}/events": { cursor?: string; limit?: number; locked?: boolean; max_bytes?: number };
  "GET /api/runs/{id}/logs": { cursor?: string; limit?: number };
  "GET /api/runs/{id}/steps": { cursor?: string; limit?: number; locked?: boolean; max_bytes?: number };
  "GET /api/runs/{id}/streams/{name}": { start?: number; limit?: number; max_bytes?: number };
  "GET /api/runs/{id}/test": { step?: string[]; redact?: boolean; hide?: string[]; keep?: string[] };
}

export interface Bodies {
  "POST /api/dev/reload": EmptyBody;
  "POST /api/faults": FaultBody;
  "POST /api/hooks/{token}/resume": ResumeBody;
  "POST /api/link": EmptyBody;
  "POST /api/open": OpenBody;
  "POST /api/queries": SaveBody;
  "POST /api/query": QueryBody;
  "POST /api/query/{id}/cancel": EmptyBody;
  "POST /api/replay": ReplaysBody;
  "POST /api/runs": StartBody;
  "POST /api/runs/{id}/cancel": CancelBody;
  "POST /api/runs/{id}/diff": CodeDiffBody;
  "POST /api/runs/{id}/fork": ForkBody;
  "POST /api/runs/{id}/jump": EmptyBody;
  "POST /api/runs/{id}/remedy": RemedyBody;
  "POST /api/runs/{id}/replay": ReplayBody;
  "POST /api/runs/{id}/retry": EmptyBody;
  "POST /api/runs/{id}/steps/{step}/replay": StepReplayBody;
  "POST /api/runs/{id}/wake": EmptyBody;
  "POST /api/session": SessionBody;
}

export interface Answers {
  "GET /api/check": CheckView;
  "GET /api/deployments": DeploymentList;
  "GET /api/deployments/{id}": DeploymentView;
  "GET /api/dev": Status;
  "POST /api/dev/reload": Done;
  "GET /api/diff": DiffView;
  "GET /api/faults": FaultList;
  "POST /api/faults": FaultRule;
  "DELETE /api/faults": Cleared;
  "DELETE /api/faults/{id}": Cleared;
  "GET /api/hooks": HookList;
  "POST /api/hooks/{token}/resume": HookView;
  "POST /api/import": ImportView;
  "POST /api/link": LaunchCode;
  "POST /api/open": Opened;
  "GET /api/queries": SavedQueries;
  "POST /api/queries": SavedQuery;
  "POST /api/query": QueryResult;
  "GET /api/query/schema": SchemaDoc;
  "POST /api/replay": ReplayList;
  "GET /api/runs": RunList;
  "POST /api/runs": RunView;
  "GET /api/runs/{id}": RunView;
  "GET /api/runs/{id}/at/{seq}": MomentView;
  "POST /api/runs/{id}/cancel": RunView;
  "POST /api/runs/{id}/diff": CodeDiffView;
  "GET /api/runs/{id}/events": EventPage;
  "POST /api/runs/{id}/fork": ForkedView;
  "POST /api/runs/{id}/jump": WaitView;
  "GET /api/runs/{id}/logs": LogPage;
  "GET /api/runs/{id}/marks": MarksView;
  "POST /api/runs/{id}/remedy": Done;
  "POST /api/runs/{id}/replay": ReplayView;
  "POST /api/runs/{id}/retry": RunView;
  "GET /api/runs/{id}/steps": StepPage;
  "POST /api/runs/{id}/steps/{step}/replay": StepReplayView;
  "GET /api/runs/{id}/streams": StreamList;
  "GET /api/runs/{id}/streams/{name}": ChunkPage;
  "GET /api/runs/{id}/test": TestFilesView;
  "GET /api/runs/{id}/trace": Trace;
  "POST /api/runs/{id}/wake": Woken;
  "GET /api/storage": StorageView;
  "GET /api/workflows": WorkflowList;
  "GET /health": Health;
}
