// Time travel: the run right after any of its events. Where every coroutine stands, in the source as it was, with
// its variables and what changed since the last delivery.

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { call } from "../../api";
import type { FrameView, MomentView, TaskView } from "../../api_types";
import { showClock } from "../../model/instants";
import { tokenize } from "../../model/python_tokens";
import { useKeys } from "../../state/keyboard";
import { useResource } from "../../state/resource";
import { place, setParams } from "../../state/router";
import { Icon } from "../parts/Icon";
import { Place, placeAt } from "../parts/Placed";
import { Button, Chip, Copy, FailureNote, Loading } from "../parts/small";
import { Tokens } from "../parts/Tokens";
import type { RunData } from "./data";

const PLAY_MS = 700;
const ERROR_TYPES = new Set(["step_failed", "step_retrying", "run_failed", "hook_conflict"]);

export function CodeTab({ data }: { data: RunData }) {
  useEffect(() => data.events.want(), [data]);
  const events = data.events.data.value ?? [];
  const last = events.at(-1)?.seq ?? data.run.data.value?.events ?? 1;
  const asked = Number(place.value?.params.get("at"));
  const seq = Number.isInteger(asked) && asked >= 1 ? Math.min(asked, last) : last;
  const [isPlaying, setPlaying] = useState(false);
  const moment = useResource(`${data.id} ${seq}`, (signal) =>
    call("GET /api/runs/{id}/at/{seq}", { path: { id: data.id, seq }, signal }),
  );
  const { data: shown, failure, isLoading } = moment.state.value;
  const [kept, setKept] = useState<MomentView | null>(null);
  useEffect(() => {
    if (shown) setKept(shown);
  }, [shown]);
  const view = shown ?? kept;

  const seek = (next: number) => setParams({ at: String(Math.max(1, Math.min(last, next))) });
  const step = (by: number) => seek(seq + by);
  useEffect(() => {
    if (!isPlaying || isLoading) return;
    if (seq >= last) {
      setPlaying(false);
      return;
    }
    const timer = setTimeout(() => step(1), PLAY_MS);
    return () => clearTimeout(timer);
  }, [isPlaying, seq, last, isLoading]);
  const nextError = events.find((event) => event.seq > seq && ERROR_TYPES.has(event.type));
  useKeys(
    [
      { keys: ",", label: "one event back", group: "time travel", run: () => step(-1) },
      { keys: ".", label: "one event on", group: "time travel", run: () => step(1) },
      { keys: "<", label: "to the first event", group: "time travel", run: () => seek(1) },
      { keys: ">", label: "to the last event", group: "time travel", run: () => seek(last) },
      { keys: "Space", label: "play, or stop", group: "time travel", run: () => setPlaying(!isPlaying) },
      { keys: "e", label: "to the next error", group: "time travel", run: () => nextError && seek(nextError.seq) },
    ],
    [seq, last, isPlaying, nextError],
  );

  return (
    <div class="travel">
      <div class="travel-bar">
        <Button
          icon={isPlaying ? "pause" : "play"}
          aria-label={isPlaying ? "stop" : "play"}
          repeats
          onClick={() => setPlaying(!isPlaying)}
        />
        <Button repeats aria-label="one event back" disabled={seq <= 1} onClick={() => step(-1)}>
          ‹
        </Button>
        <Button repeats aria-label="one event on" disabled={seq >= last} onClick={() => step(1)}>
          ›
        </Button>
        <input
          type="range"
          aria-label="event"
          aria-valuetext={`event ${seq} of ${last}`}
          min={1}
          max={last}
          value={seq}
          onInput={(event) => seek(Number(event.currentTarget.value))}
        />
        <span class="num travel-place">
          {seq} / {last}
        </span>
        {nextError && (
          <Button repeats icon="bang" onClick={() => seek(nextError.seq)}>
            Next error
          </Button>
        )}
      </div>
      {failure && <FailureNote failure={failure} again={() => moment.reload()} />}
      {!view && !failure && <Loading what="the run at that event" rows={10} />}
      {view && <Moment view={view} isLoading={isLoading && shown === null} />}
    </div>
  );
}

function Moment({ view, isLoading }: { view: MomentView; isLoading: boolean }) {
  return (
    <div class={isLoading ? "moment is-loading" : "moment"} aria-busy={isLoading}>
      <p class="moment-event">
        <Chip tone={ERROR_TYPES.has(view.event.type) ? "bad" : "active"}>{view.event.type}</Chip>
        {view.event.name && <strong>{view.event.name}</strong>}
        <span class="num dim">{view.now ? showClock(view.now) : ""}</span>
        {view.delivered_seq !== null && view.delivered_seq !== view.seq && (
          <span class="dim">nothing was delivered since event {view.delivered_seq}</span>
        )}
        {!view.is_own && <Chip tone="warn">not the run’s own code</Chip>}
      </p>
      {view.trouble && (
        <div class="note note-warn" role="alert">
          <p>{view.trouble.message}</p>
        </div>
      )}
      {view.end && (
        <p class="moment-end">
          The body {view.end.kind === "returned" ? "returned" : view.end.kind === "raised" ? "raised" : "was ended"}
          {view.end.value && <code>{view.end.value.text}</code>}
          {view.end.error && <code class="tone-bad">{view.end.error}</code>}
        </p>
      )}
      {!view.has_begun && <p class="dim">The body has not begun.</p>}
      <div class="moment-columns">
        <div>
          {view.end?.frames.map((frame, index) => (
            <Frame key={`end ${index}`} frame={frame} isInner />
          ))}
          {view.tasks.map((task) => (
            <Task key={task.number} task={task} />
          ))}
          {view.more_tasks > 0 && <p class="dim">… and {view.more_tasks} more coroutines</p>}
        </div>
        <aside aria-label="open calls">
          <h3>Open calls</h3>
          {view.open_calls.length === 0 && <p class="dim">none</p>}
          <ul class="open-calls">
            {view.open_calls.map((one) => (
              <li key={one.correlation_id}>
                <button type="button" class="link" onClick={() => setParams({ span: String(one.correlation_id) })}>
                  {one.kind} {one.name ?? ""}
                </button>
                <span class="dim num">
                  {one.status}
                  {one.attempt ? `, attempt ${one.attempt}` : ""}
                </span>
              </li>
            ))}
          </ul>
          {view.more_calls > 0 && <p class="dim">… and {view.more_calls} more</p>}
        </aside>
      </div>
    </div>
  );
}

function Task({ task }: { task: TaskView }) {
  return (
    <section class="task" aria-label={`coroutine ${task.name}`}>
      <h3>
        <Icon name="workflows" size={14} /> {task.name}
        {task.is_new && <Chip tone="active">new</Chip>}
        {task.awaits && <span class="dim">waits for {task.awaits.text}</span>}
      </h3>
      {task.frames.map((frame, index) => (
        <Frame key={index} frame={frame} isInner={index === task.frames.length - 1} />
      ))}
      {task.frames.length === 0 && <p class="dim">only a call, with no frame of its own</p>}
    </section>
  );
}

function Frame({ frame, isInner }: { frame: FrameView; isInner: boolean }) {
  return (
    <div class="frame-box">
      <p class="frame-place mono">
        <Place place={placeAt(frame.file, frame.line)} /> <span class="dim">in {frame.function}</span>
        <Copy text={`${frame.file}:${frame.line}`} what="copy file and line" />
      </p>
      <div class={isInner ? "frame-columns" : "frame-columns is-outer"}>
        <Source frame={frame} />
        {frame.locals.length > 0 && (
          <div class="locals" tabIndex={0} role="group" aria-label={`variables of ${frame.function}`}>
            <table class="mono">
              <tbody>
                {frame.locals.map((local) => (
                  <tr key={local.name} class={local.change ? `is-${local.change}` : ""}>
                    <th scope="row">{local.name}</th>
                    <td title={local.value.type}>
                      <Value text={local.value.text} />
                    </td>
                    <td class="dim">{local.change}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </div>
      {isInner && frame.more_locals > 0 && <p class="dim">… and {frame.more_locals} more variables</p>}
    </div>
  );
}

/** The function's lines; the one where it stands is in sight, whatever was scrolled before. */
function Source({ frame }: { frame: FrameView }) {
  const box = useRef<HTMLPreElement>(null);
  const lines = useMemo(() => tokenize(frame.source.map((line) => line.text).join("\n")), [frame.source]);
  useLayoutEffect(() => {
    const pre = box.current;
    const here = pre?.querySelector<HTMLElement>(".is-here");
    if (pre && here) pre.scrollTop = here.offsetTop - pre.offsetTop - (pre.clientHeight - here.offsetHeight) / 2;
  }, [frame.file, frame.line, frame.source]);
  return (
    <pre class="source" ref={box} tabIndex={0} role="group" aria-label={`source around line ${frame.line}`}>
      {frame.source.map((line, index) => (
        <span key={line.number} class={line.number === frame.line ? "source-line is-here" : "source-line"}>
          <span class="num dim">{line.number}</span>
          <Tokens tokens={lines[index]!} />
          {"\n"}
        </span>
      ))}
    </pre>
  );
}

const SHORT = 120;

/** A variable's text; a long one opens where it is. */
function Value({ text }: { text: string }) {
  const [isOpen, setOpen] = useState(false);
  if (text.length <= SHORT) return <>{text}</>;
  return (
    <button type="button" class="link" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
      {isOpen ? text : `${text.slice(0, SHORT)} …`}
    </button>
  );
}
