// The raw log: every event, by its number; payloads open where they are.

import { useCallback, useMemo, useRef, useState } from "preact/hooks";
import type { EventView } from "../../api_types";
import { showBytes, showClock, showCount, showInstant } from "../../model/instants";
import { showInline } from "../../model/payloads";
import { useKeys } from "../../state/keyboard";
import { toastFailure } from "../../state/toasts";
import { Payload } from "../parts/Payload";
import { Empty } from "../parts/small";
import { useVirtual } from "../parts/virtual";
import { readEvent } from "./data";

const ROW = 28;

export function EventsTab({
  runId,
  events,
  onSelect,
}: {
  runId: string;
  events: readonly EventView[];
  onSelect: (spanId: string) => void;
}) {
  const [type, setType] = useState("");
  const [text, setText] = useState("");
  const [open, setOpen] = useState<ReadonlyMap<number, EventView>>(new Map());
  const scroller = useRef<HTMLDivElement>(null);
  const types = useMemo(() => [...new Set(events.map((event) => event.type))].sort(), [events]);
  const shown = useMemo(() => {
    const word = text.trim().toLowerCase();
    return events.filter(
      (event) =>
        (type === "" || event.type === type) &&
        (word === "" ||
          `${event.type} ${event.name ?? ""} ${JSON.stringify(event.payload)}`.toLowerCase().includes(word)),
    );
  }, [events, type, text]);
  const virtual = useVirtual({
    count: shown.length,
    rowHeight: ROW,
    scroller,
    keyOf: useCallback((index: number) => shown[index]!.seq, [shown]),
  });

  const [cursor, setCursor] = useState(-1);
  const move = (by: number) => {
    const next = Math.max(0, Math.min(shown.length - 1, cursor + by));
    setCursor(next);
    scroller.current?.focus({ preventScroll: true }); // or Enter would be for the button that was clicked last
    virtual.scrollToIndex(next, { align: "auto" });
  };
  useKeys(
    [
      { keys: "j", label: "next event", group: "events", run: () => move(1) },
      { keys: "k", label: "event before", group: "events", run: () => move(-1) },
      {
        keys: "Enter",
        label: "open the event, or close it",
        group: "events",
        run: () => {
          const event = shown[cursor];
          if (event) void toggle(event);
        },
      },
    ],
    [shown, cursor, open],
  );

  const toggle = async (event: EventView) => {
    const next = new Map(open);
    if (next.delete(event.seq)) {
      setOpen(next);
      return;
    }
    setOpen(next.set(event.seq, event));
    try {
      const whole = await readEvent(runId, event.seq);
      if (whole) setOpen((now) => (now.has(event.seq) ? new Map(now).set(event.seq, whole) : now));
    } catch (error) {
      toastFailure(error);
    }
  };

  if (events.length === 0) return <Empty title="Its log is empty" />;
  return (
    <div class="tab-table">
      <div class="tab-bar">
        <select aria-label="type of event" value={type} onChange={(event) => setType(event.currentTarget.value)}>
          <option value="">all types</option>
          {types.map((one) => (
            <option key={one} value={one}>
              {one}
            </option>
          ))}
        </select>
        <input
          type="search"
          aria-label="find events"
          placeholder="name or payload"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <span class="dim num">
          {showCount(shown.length)}
          {shown.length === events.length ? "" : ` of ${showCount(events.length)}`} events
        </span>
      </div>
      <div class="events-grid" role="table" aria-label="events" aria-rowcount={shown.length + 1}>
        <div class="events-row grid-head" role="row" aria-rowindex={1}>
          {["#", "At", "Type", "Call", "Name", "Attempt", "Payload"].map((title) => (
            <span role="columnheader" key={title}>
              {title}
            </span>
          ))}
        </div>
        <div class="grid-scroll" role="rowgroup" ref={scroller} tabIndex={0} aria-label="rows of events">
          <div role="presentation" class="grid-space" style={{ height: `${virtual.getTotalSize()}px` }}>
            {virtual.getVirtualItems().map((row) => {
              const event = shown[row.index]!;
              const opened = open.get(event.seq);
              return (
                <div
                  key={row.key}
                  class="events-item"
                  data-index={row.index}
                  ref={(element) => {
                    if (element) virtual.measureElement(element);
                  }}
                  role="presentation"
                  style={{ transform: `translateY(${row.start}px)` }}
                >
                  <div
                    class={row.index === cursor ? "events-row at-cursor" : "events-row"}
                    role="row"
                    aria-rowindex={row.index + 2}
                    onClick={() => void toggle(event)}
                  >
                    <span role="cell" class="num dim">
                      {event.seq}
                    </span>
                    <span role="cell" class="num dim" title={showInstant(event.at)}>
                      {showClock(event.at)}
                    </span>
                    <span role="cell" class={`cut event-type event-${event.type.split("_").at(-1)}`}>
                      <button
                        type="button"
                        class="link"
                        aria-expanded={opened !== undefined}
                        onClick={(click) => {
                          click.stopPropagation();
                          void toggle(event);
                        }}
                      >
                        {event.type}
                      </button>
                    </span>
                    <span role="cell" class="num">
                      {event.correlation_id !== null && (
                        <button
                          type="button"
                          class="link"
                          title="inspect this call"
                          aria-label={`inspect call ${event.correlation_id}`}
                          onClick={(click) => {
                            click.stopPropagation();
                            onSelect(String(event.correlation_id));
                          }}
                        >
                          {event.correlation_id}
                        </button>
                      )}
                    </span>
                    <span role="cell" class="cut">
                      {event.name}
                    </span>
                    <span role="cell" class="num">
                      {event.attempt}
                    </span>
                    <span role="cell" class="cut mono dim">
                      {event.is_locked ? "locked" : event.payload_bytes ? showInline(event.payload) : showMeta(event)}
                    </span>
                  </div>
                  {opened && (
                    <div class="events-open" role="row">
                      <div role="cell">
                        <p class="dim num">
                          {showInstant(event.at)}
                          {event.payload_bytes ? ` · ${showBytes(event.payload_bytes)} sealed` : " · no payload"}
                        </p>
                        {Object.keys(event.meta).length > 0 && (
                          <>
                            <h3>In clear</h3>
                            <Payload value={event.meta} label={`what event ${event.seq} says in clear`} />
                          </>
                        )}
                        {event.payload_bytes > 0 && (
                          <>
                            <h3>Payload</h3>
                            <Payload
                              value={opened.payload}
                              label={`payload of event ${event.seq}`}
                              isLocked={opened.is_locked}
                            />
                          </>
                        )}
                      </div>
                    </div>
                  )}
                </div>
              );
            })}
          </div>
        </div>
      </div>
    </div>
  );
}

function showMeta(event: EventView): string {
  return Object.keys(event.meta).length ? showInline(event.meta) : "";
}
