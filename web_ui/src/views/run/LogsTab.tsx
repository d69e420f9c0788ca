// What the run's attempts printed and logged. It follows its end, until somebody scrolls away from it.

import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { LogView } from "../../api_types";
import { showClock, showCount } from "../../model/instants";
import { printable } from "../../model/printable";
import { Button, Copy, Empty } from "../parts/small";
import { useVirtual } from "../parts/virtual";

const ROW = 24;

export function LogsTab({
  logs,
  isLive,
  onSelect,
}: {
  logs: readonly LogView[];
  isLive: boolean;
  onSelect: (spanId: string) => void;
}) {
  const [source, setSource] = useState("");
  const [text, setText] = useState("");
  const [isFollowing, setFollowing] = useState(true);
  const scroller = useRef<HTMLDivElement>(null);
  const sources = useMemo(() => [...new Set(logs.map((line) => line.source))].sort(), [logs]);
  const shown = useMemo(() => {
    const word = text.trim().toLowerCase();
    return logs.filter(
      (line) => (source === "" || line.source === source) && (word === "" || line.text.toLowerCase().includes(word)),
    );
  }, [logs, source, text]);
  const virtual = useVirtual({ count: shown.length, rowHeight: ROW, scroller });
  useLayoutEffect(() => {
    const element = scroller.current;
    if (isFollowing && element) element.scrollTop = element.scrollHeight;
  }, [shown.length, isFollowing]);

  if (logs.length === 0) {
    return (
      <Empty title="Nothing was printed or logged">
        <p class="dim">{isLive ? "An attempt’s lines come when it ends." : "What steps print and log is kept here."}</p>
      </Empty>
    );
  }
  return (
    <div class="tab-table">
      <div class="tab-bar">
        <select aria-label="source" value={source} onChange={(event) => setSource(event.currentTarget.value)}>
          <option value="">all sources</option>
          {sources.map((one) => (
            <option key={one} value={one}>
              {one}
            </option>
          ))}
        </select>
        <input
          type="search"
          aria-label="find lines"
          placeholder="text"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <span class="dim num">{showCount(shown.length)} lines</span>
        <Copy text={() => shown.map((line) => line.text).join("\n")} label="copy" what="copy the lines" />
        {!isFollowing && (
          <Button kind="quiet" icon="down" onClick={() => setFollowing(true)}>
            Follow
          </Button>
        )}
      </div>
      <div
        class="grid-scroll log-scroll mono"
        ref={scroller}
        tabIndex={0}
        role="log"
        aria-label="log lines"
        onScroll={(event) => {
          const element = event.currentTarget;
          setFollowing(element.scrollHeight - element.scrollTop - element.clientHeight < ROW * 2);
        }}
      >
        <div class="grid-space" style={{ height: `${virtual.getTotalSize()}px` }}>
          {virtual.getVirtualItems().map((row) => {
            const line = shown[row.index]!;
            return (
              <div
                key={line.position}
                class={`log-line ${/stderr|WARN/.test(line.source) ? "tone-warn" : /ERROR|CRITICAL/.test(line.source) ? "tone-bad" : ""}`}
                data-index={row.index}
                ref={(element) => {
                  if (element) virtual.measureElement(element);
                }}
                style={{ transform: `translateY(${row.start}px)` }}
              >
                <span class="num dim">{showClock(line.at)}</span>
                <button
                  type="button"
                  class="link num dim"
                  title={`call ${line.correlation_id}, attempt ${line.attempt}`}
                  aria-label={`inspect call ${line.correlation_id}`}
                  onClick={() => onSelect(String(line.correlation_id))}
                >
                  {line.correlation_id}
                  {line.attempt > 1 ? `·${line.attempt}` : ""}
                </button>
                <span class="log-source dim">{line.source.replace("logging:", "")}</span>
                <span class="log-text">{printable(line.text)}</span>
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}
